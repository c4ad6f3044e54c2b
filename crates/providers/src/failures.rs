//! Reads a refusal: status and body in, [`FetchError`] out.

use jiff::Timestamp;
use market::Ticker;

use crate::{
    FetchError,
    http::{Answer, Http},
    rates,
    words::words,
};

/// The error for a response with a status other than 200, as most providers use them: 401 and 403 are about our key,
/// 429 and 418 ask us to wait, 404 is about the address, 400 and 422 about our parameters or symbol, and everything
/// else is the provider's fault.
pub(crate) fn refusal(http: &Http, answer: &Answer, tickers: &[Ticker]) -> FetchError {
    let provider = http.provider.clone();
    let status = answer.status.as_u16();
    let message = words(&answer.body, &http.secrets());
    match status {
        401 | 403 => http.vendor.credentials(&provider, status, message),
        418 | 429 => throttled(http, answer),
        404 => FetchError::BadData {
            provider,
            message: format!("404 at {}: {}", answer.address, http.vendor.mend_address),
        },
        400 | 422 => FetchError::Refused { provider, status, message, tickers: tickers.to_vec() },
        // From a proxy, about payment or region: not about a symbol.
        402..=599 => FetchError::Server { provider, status, message },
        _ => FetchError::BadData {
            provider,
            message: format!("{status} instead of 200 at {}: check that address", answer.address),
        },
    }
}

/// A throttled response, with the wait that it asks for.
pub(crate) fn throttled(http: &Http, answer: &Answer) -> FetchError {
    let now = Timestamp::now();
    let reported = (http.vendor.report)(&answer.headers, now);
    let retry_after = rates::wait(&answer.headers, &reported, http.vendor.default_wait, now);
    FetchError::Throttled { provider: http.provider.clone(), retry_after }
}
