//! Finds and reads golden files: the project's own, and where they lie beside the project others besides.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use csv::StringRecord;
use flate2::read::GzDecoder;
use jiff::civil::{Date, Weekday, date};

/// The project's own, see its README.
pub(crate) fn own() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data"))
}

/// Those beside the project, where they are.
pub(crate) fn beside() -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/golden"));
    folder.is_dir().then_some(folder)
}

/// The rows of a CSV file without its header.
pub(crate) fn rows(path: &Path) -> Vec<StringRecord> {
    let place = path.display().to_string();
    let file = File::open(path).expect(&place);
    let rows: Result<Vec<_>, _> = match path.extension() {
        Some(extension) if extension == "gz" => csv::Reader::from_reader(GzDecoder::new(file)).records().collect(),
        _ => csv::Reader::from_reader(file).records().collect(),
    };
    let rows = rows.expect(&place);
    assert!(!rows.is_empty(), "{place} has no rows");
    rows
}

/// A session as an independent calendar gives it: its date, when it opens and closes, and `1` where that is early.
pub(crate) type SessionRow = [String; 4];

/// The sessions of New York in each list there is, with the first day that the list speaks of and the first that it doesn't.
pub(crate) fn sessions() -> Vec<(Date, Date, Vec<SessionRow>)> {
    let mut lists = vec![unfolded(&rows(&own().join("xnys.csv")))];
    if let Some(folder) = beside() {
        let listed = rows(&folder.join("XNYS_sessions_1990_2016.csv"));
        let listed = listed.iter().map(|row| std::array::from_fn(|column| row[column].to_owned())).collect();
        lists.push((date(1990, 1, 1), date(2017, 1, 1), listed));
    }
    lists
}

/// Every session that the few rows stand for, as `scripts/golden_calendar.py` describes them.
fn unfolded(rows: &[StringRecord]) -> (Date, Date, Vec<SessionRow>) {
    let (from, to) = (date(1990, 1, 1), date(2028, 1, 1));
    let mut by_day: BTreeMap<Date, BTreeMap<&str, (&str, &str)>> = BTreeMap::new();
    for row in rows {
        by_day.entry(row[0].parse().expect("a date")).or_default().insert(&row[1], (&row[2], &row[3]));
    }
    assert!(by_day.range(..from).next().is_none() && by_day.range(to..).next().is_none());
    let (mut usual, mut sessions) = (("", ""), Vec::new());
    for day in from.series(jiff::Span::new().days(1)).take_while(|day| *day < to) {
        if matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) {
            assert!(!by_day.contains_key(&day), "{day} is a weekend's");
            continue;
        }
        let kinds = by_day.get(&day).cloned().unwrap_or_default();
        usual = kinds.get("hours").copied().unwrap_or(usual);
        let early = kinds.get("early");
        let (open, close) = *early.unwrap_or(&usual);
        let at = |time: &str| format!("{day}T{time}:00Z");
        if !kinds.contains_key("closed") {
            sessions.push([day.to_string(), at(open), at(close), u8::from(early.is_some()).to_string()]);
        }
    }
    (from, to, sessions)
}
