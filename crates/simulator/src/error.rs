//! Why a simulator can't start or continue.

use std::{io, path::PathBuf};

/// What is wrong, with what, and how to fix it.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    #[error("the folder of bars {} can't be read ({source}): give one that exists", folder.display())]
    Folder { folder: PathBuf, source: io::Error },
    #[error("{} holds no bars: put files named TICKER.csv or TICKER.csv.gz there", folder.display())]
    NoBars { folder: PathBuf },
    #[error("{} is not named after a ticker: rename it like AAPL.csv or BTC-USD.csv.gz", file.display())]
    FileName { file: PathBuf },
    #[error("{} and another file hold the same ticker: keep one of them", file.display())]
    SameTicker { file: PathBuf },
    #[error("{} can't be read ({source}): check its permissions, and that it is complete", file.display())]
    File { file: PathBuf, source: io::Error },
    #[error("{}, line {line}: {problem}; expected columns: ts_utc,open,high,low,close,volume", file.display())]
    Line { file: PathBuf, line: u64, problem: String },
    #[error("{}, line {line}: {problem}; expected columns: symbol,ex_date,ratio and optionally dividend", file.display())]
    Action { file: PathBuf, line: u64, problem: String },
    #[error("the limit of requests is 0: allow at least one a minute")]
    NoRequests,
    #[error("the delay of {0} s is negative: give 0 or more")]
    NegativeDelay(i64),
    #[error("the shares of all faults add up to {0}: the maximum is 1, since a request has at most one fault")]
    Faults(f64),
    #[error("can't accept requests any more ({0}): restart, on another port if this one is taken")]
    Accept(#[source] io::Error),
}
