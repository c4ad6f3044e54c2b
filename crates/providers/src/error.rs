//! Why a fetch failed, by what the caller does next.

use std::time::Duration;

use market::Ticker;

/// Why a provider gave no bars.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Wait, then retry; the run is not to blame and spends no attempt.
    #[error("{provider} asks us to wait {}s", retry_after.as_secs())]
    Throttled { provider: String, retry_after: Duration },

    /// Keys missing, wrong or without the right to this endpoint: that provider stops until they are fixed.
    #[error("{provider} refuses our credentials ({status}: {message}): {mend}")]
    Credentials { provider: String, status: u16, message: String, mend: &'static str },

    /// The same credentials were rejected before: nothing was sent. The message is that of the rejection.
    #[error("{message}")]
    Refusing { message: String },

    /// Our parameters or one of the symbols: permanent for this request. With several tickers it may be one
    /// ticker's fault: split first.
    #[error("{provider} refused the request ({status}: {message})")]
    Refused { provider: String, status: u16, message: String, tickers: Vec<Ticker> },

    /// The plan or depth doesn't reach that far: recorded with its reason, not requested again on every tick.
    #[error("{provider} can't give this range: {message}")]
    Unavailable { provider: String, message: String },

    /// Not what the protocol promises: HTML, truncated JSON, a missing field. Retry with backoff; after some attempts
    /// it is shown.
    #[error("{provider} sent what we can't read: {message}")]
    BadData { provider: String, message: String },

    /// The provider's own fault (5xx). Retry with backoff.
    #[error("{provider} failed with {status}: {message}")]
    Server { provider: String, status: u16, message: String },

    /// No connection, no response in time, a truncated response. Retry with backoff.
    #[error("{provider} could not be reached at {address}: {message} ({mend})")]
    Transport {
        provider: String,
        address: String,
        message: String,
        mend: &'static str,
        /// No server responded: nothing was received.
        unreachable: bool,
    },
}

impl FetchError {
    /// A short stable word for `job_runs.error_code`, logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Throttled { .. } => "throttled",
            Self::Credentials { .. } | Self::Refusing { .. } => "credentials",
            Self::Refused { .. } => "refused",
            Self::Unavailable { .. } => "unavailable",
            Self::BadData { .. } => "bad_data",
            Self::Server { .. } => "server",
            Self::Transport { .. } => "transport",
        }
    }
}
