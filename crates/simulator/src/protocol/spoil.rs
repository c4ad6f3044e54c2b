//! Faults that spoil a response.
//!
//! In: a valid response. Out: one that a client must not accept as valid, or, for short and empty pages, must not
//! treat as the last.

use std::io;

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use jiff::SignedDuration;

use super::{Refusal, wire::WireBar};
use crate::{faults::FaultKind, synthetic::noise};

/// How long before the requested range an out-of-range bar lies.
const A_YEAR_AND_MORE: SignedDuration = SignedDuration::from_hours(24 * 400);

/// How long after another bar's start one starts between.
const BETWEEN: SignedDuration = SignedDuration::from_secs(130);

/// Breaks the connection after half of the body.
pub(super) async fn cut(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else { return Refusal::INTERNAL.into_response() };
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let broken = || io::Error::new(io::ErrorKind::ConnectionAborted, "cut off by a configured fault");
    let pieces: [io::Result<Bytes>; 2] = [Ok(body.slice(..body.len() / 2)), Err(broken())];
    Response::from_parts(parts, Body::from_stream(stream::iter(pieces)))
}

/// JSON that ends in the middle.
pub(super) fn malformed(mut json: Vec<u8>) -> Vec<u8> {
    json.truncate(json.len() / 2);
    json
}

/// JSON with `NaN` for the open in its middle.
pub(super) fn not_a_number(json: Vec<u8>) -> Vec<u8> {
    const FIELD: &[u8] = b"\"o\":";
    let (before, after) = json.split_at(json.len() / 2);
    let place = |part: &[u8]| part.windows(FIELD.len()).position(|window| window == FIELD);
    let Some(begin) = place(after).map(|at| before.len() + at).or_else(|| place(before)) else { return json };
    let begin = begin + FIELD.len();
    let length = json.iter().skip(begin).take_while(|byte| !matches!(byte, b',' | b'}')).count();
    [json.get(..begin), Some(b"NaN"), json.get(begin + length..)].into_iter().flatten().collect::<Vec<_>>().concat()
}

/// What is sent in place of bars.
pub(super) fn words() -> Vec<u8> {
    br#"{"message":"down for maintenance"}"#.to_vec()
}

/// Bars of one symbol with a fault among them; the kind of an invalid bar depends on its start.
pub(super) fn bars(bars: &mut Vec<WireBar>, fault: FaultKind) {
    match fault {
        FaultKind::Duplicate => bars.extend(bars.last().copied()),
        FaultKind::Unsorted => bars.reverse(),
        FaultKind::Stray => {
            let stray = bars
                .first()
                .and_then(|first| Some(WireBar { t: first.t.checked_sub(A_YEAR_AND_MORE).ok()?, ..*first }));
            if let Some(stray) = stray {
                bars.insert(0, stray);
            }
        }
        FaultKind::OffGrid => {
            let middle = bars.len() / 2;
            let between =
                bars.get(middle).and_then(|bar| Some(WireBar { t: bar.t.checked_add(BETWEEN).ok()?, ..*bar }));
            if let Some(between) = between {
                bars.insert(middle + 1, between);
            }
        }
        FaultKind::Contradiction => {
            let middle = bars.len() / 2;
            if let Some(other) = bars.get(middle).map(|bar| WireBar { v: bar.v + 1.0, ..*bar }) {
                bars.insert(middle, other);
            }
        }
        FaultKind::Insane => {
            let middle = bars.len() / 2;
            if let Some(bar) = bars.get_mut(middle) {
                match noise::mix(bar.t.as_second() as u64) % 3 {
                    0 => bar.h = bar.l * 0.5,
                    1 => bar.c = -bar.c,
                    _ => bar.v = -1.0 - bar.v,
                }
            }
        }
        _ => {}
    }
}
