//! Reads a folder of one-minute bars.
//!
//! In: `TICKER.csv` and `TICKER.csv.gz` with `ts_utc,open,high,low,close,volume`. Out: each ticker's minutes, oldest
//! first. Holds: an invalid line is refused with its number, never skipped.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use jiff::{Timestamp, civil::Date};
use market::{Bar, Calendar, Ticker};

use crate::{
    SimError,
    minute::{Minute, PARTS},
};

const COLUMNS: [&str; 6] = ["ts_utc", "open", "high", "low", "close", "volume"];

/// More than was ever traded of anything in a minute, and small enough to be summed without overflow.
const MOST_VOLUME: f64 = 1e15;

/// All minutes of the folder.
#[derive(Debug)]
pub(crate) struct Folder {
    series: BTreeMap<Ticker, Vec<Minute>>,
}

impl Folder {
    /// # Errors
    /// What is wrong with the folder or one of its files. Files with other endings are ignored.
    pub(crate) fn read(folder: &Path) -> Result<Self, SimError> {
        let unreadable = |source| SimError::Folder { folder: folder.to_owned(), source };
        let mut files: Vec<PathBuf> = fs::read_dir(folder)
            .map_err(unreadable)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<_>>()
            .map_err(unreadable)?;
        files.sort();
        let mut series = BTreeMap::new();
        for file in files {
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some(stem) = name.strip_suffix(".csv.gz").or(name.strip_suffix(".csv")) else { continue };
            let ticker: Ticker = stem.parse().map_err(|_| SimError::FileName { file: file.clone() })?;
            let minutes = read_file(&file)?;
            if series.insert(ticker, minutes).is_some() {
                return Err(SimError::SameTicker { file });
            }
        }
        if series.values().all(Vec::is_empty) {
            return Err(SimError::NoBars { folder: folder.to_owned() });
        }
        Ok(Self { series })
    }

    pub(crate) fn tickers(&self) -> impl Iterator<Item = &Ticker> {
        self.series.keys()
    }

    /// `None` where there is no such file.
    pub(crate) fn minutes(&self, ticker: &Ticker) -> Option<&[Minute]> {
        self.series.get(ticker).map(Vec::as_slice)
    }
}

/// The day of its market that a minute belongs to.
pub(crate) fn date_of(calendar: Calendar, minute: &Minute) -> Option<Date> {
    Timestamp::from_second(minute.start).ok().map(|at| calendar.date_of(at))
}

fn read_file(file: &Path) -> Result<Vec<Minute>, SimError> {
    let unreadable = |source| SimError::File { file: file.to_owned(), source };
    let opened = BufReader::new(File::open(file).map_err(unreadable)?);
    let text: Box<dyn Read> = match file.extension().is_some_and(|end| end == "gz") {
        true => Box::new(MultiGzDecoder::new(opened)),
        false => Box::new(opened),
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
    let wrong = |line, problem: String| SimError::Line { file: file.to_owned(), line, problem };
    let broken = |error: csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        match error.into_kind() {
            csv::ErrorKind::Io(source) => unreadable(source),
            csv::ErrorKind::UnequalLengths { len, .. } => wrong(line, format!("{len} columns")),
            other => wrong(line, format!("not CSV in UTF-8 ({other:?})")),
        }
    };
    if reader.headers().map_err(broken)? != COLUMNS.as_slice() {
        return Err(wrong(1, "other columns".to_owned()));
    }
    let mut minutes: Vec<(Minute, u64)> = Vec::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(broken)? {
        let line = record.position().map_or(0, csv::Position::line);
        minutes.push((minute(&record).map_err(|problem| wrong(line, problem))?, line));
    }
    minutes.sort_by_key(|(minute, _)| minute.start);
    if let Some([_, (_, line)]) = minutes.windows(2).find(|pair| pair[0].0.start == pair[1].0.start) {
        return Err(wrong(*line, "the same minute twice".to_owned()));
    }
    Ok(minutes.into_iter().map(|(minute, _)| minute).collect())
}

/// One line's minute, or what is wrong with it.
fn minute(record: &csv::StringRecord) -> Result<Minute, String> {
    let field = |column: usize| record.get(column).unwrap_or_default();
    let number = |column: usize| {
        field(column)
            .parse::<f64>()
            .map_err(|_| format!("'{}' isn't a valid number for {}", field(column), COLUMNS[column]))
    };
    let start: Timestamp = field(0).parse().map_err(|_| format!("'{}' isn't a valid time in UTC", field(0)))?;
    if start.subsec_nanosecond() != 0 || start.as_second() % 60 != 0 {
        return Err(format!("{start} is not the start of a minute"));
    }
    let (open, high, low, close, volume) = (number(1)?, number(2)?, number(3)?, number(4)?, number(5)?);
    let bar = Bar { start, open, high, low, close, volume, vwap: None, trade_count: None };
    bar.check().map_err(|defect| defect.to_string())?;
    if volume > MOST_VOLUME {
        return Err(format!("a volume of {volume}"));
    }
    let volume = (volume * PARTS as f64).round() as u128;
    Ok(Minute { start: start.as_second(), open, high, low, close, volume, turnover: 0, trades: 0 })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may panic")]

    use std::io::Write as _;

    use super::*;

    const HEADER: &str = "ts_utc,open,high,low,close,volume\n";

    fn read(files: &[(&str, &str)]) -> Result<Folder, SimError> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Folder::read(folder.path())
    }

    #[test]
    fn plain_and_packed_files_are_read_in_order_of_time() {
        let folder = tempfile::tempdir().unwrap();
        let rows = "2026-11-24T14:31:00Z,2,3,1,2,0.5\n2026-11-24T14:30:00Z,1,1,1,1,100\n";
        fs::write(folder.path().join("ABC.csv"), format!("{HEADER}{rows}")).unwrap();
        fs::write(folder.path().join("notes.txt"), "no bars").unwrap();
        let packed = File::create(folder.path().join("btc-usd.csv.gz")).unwrap();
        let mut packed = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
        writeln!(packed, "{HEADER}2026-11-24T00:00:00Z,1,1,1,1,50.29017734").unwrap();
        packed.finish().unwrap();
        let folder = Folder::read(folder.path()).unwrap();
        assert_eq!(folder.tickers().map(Ticker::as_str).collect::<Vec<_>>(), ["ABC", "BTC-USD"]);
        let abc = folder.minutes(&"ABC".parse().unwrap()).unwrap();
        assert_eq!(abc.iter().map(|minute| minute.open).collect::<Vec<_>>(), [1.0, 2.0]);
        assert_eq!(abc.iter().map(Minute::volume).collect::<Vec<_>>(), [100.0, 0.5]);
        assert_eq!(folder.minutes(&"BTC-USD".parse().unwrap()).unwrap()[0].volume(), 50.29017734);
    }

    #[test]
    fn what_is_wrong_is_said_with_file_and_line() {
        let good = "2026-11-24T14:30:00Z,1,1,1,1,1\n";
        for (row, problem) in [
            ("2026-11-24 morning,1,1,1,1,1", "line 3: '2026-11-24 morning' isn't a valid time"),
            ("2026-11-24T14:31:30Z,1,1,1,1,1", "line 3: 2026-11-24T14:31:30Z is not the start of a minute"),
            ("2026-11-24T14:31:00Z,1,x,1,1,1", "line 3: 'x' isn't a valid number for high"),
            ("2026-11-24T14:31:00Z,1,1,2,1,1", "line 3: the high is below"),
            ("2026-11-24T14:31:00Z,1,1,1,1,-1", "line 3: the volume is negative"),
            ("2026-11-24T14:31:00Z,1,1,1,1,1e30", "line 3: a volume of"),
            ("2026-11-24T14:31:00Z,NaN,1,1,1,1", "line 3: a price is not"),
            ("2026-11-24T14:31:00Z,1,1,1,1", "line 3: 5 columns"),
            ("2026-11-24T14:30:00Z,1,1,1,1,1", "line 3: the same minute twice"),
        ] {
            let error = read(&[("ABC.csv", &format!("{HEADER}{good}{row}\n"))]).unwrap_err().to_string();
            assert!(error.contains("ABC.csv") && error.contains(problem), "{error}");
        }
        let error = read(&[("ABC.csv", "time,open,high,low,close,volume\n")]).unwrap_err().to_string();
        assert!(error.contains("line 1: other columns"), "{error}");
    }

    #[test]
    fn a_folder_without_bars_is_refused() {
        let missing = Path::new("no/such/folder");
        assert!(matches!(Folder::read(missing), Err(SimError::Folder { folder, .. }) if folder == missing));
        assert!(matches!(read(&[]), Err(SimError::NoBars { .. })));
        assert!(matches!(read(&[("ABC.csv", HEADER)]), Err(SimError::NoBars { .. })));
        assert!(matches!(read(&[("A B.csv", HEADER)]), Err(SimError::FileName { .. })));
        let same = [("ABC.csv", HEADER), ("abc.csv", HEADER)];
        assert!(matches!(read(&same), Err(SimError::SameTicker { .. })));
        assert!(matches!(read(&[("ABC.csv.gz", "not packed")]), Err(SimError::File { .. })));
    }
}
