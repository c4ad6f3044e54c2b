//! Finds the symbols that a search text may refer to, in order of relevance. In memory: no I/O.
//!
//! In: all symbols, once, then search texts. Out: the matching symbols. Holds: an exact ticker comes before tickers
//! that begin with the text, then names whose words do, then typing errors; within each the user's own symbols first,
//! then traded before delisted ones, then the better known, the shorter ticker, the alphabet. No text is an error.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use market::Ticker;
use uuid::Uuid;

/// No ticker and no word is longer; longer texts are cut to this length.
const LONGEST: usize = 64;

/// Further words only make a search slower, not more precise.
const MOST_WORDS: usize = 8;

/// With this many better matches no typing errors are corrected.
const ENOUGH: usize = 5;

/// A symbol that can be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub id: Uuid,
    pub ticker: Ticker,
    /// `stock`, `etf` or `crypto`.
    pub asset_type: String,
    /// Empty if unknown.
    pub name: String,
    pub exchange: String,
    pub active: bool,
    pub renamed_to: Option<Ticker>,
    /// How well known, 1 before 2.
    pub rank: Option<i32>,
    /// Whether the symbol is confirmed by a list or by bars, not only by users who asked for it.
    pub certain: bool,
}

/// How well a symbol matches, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Exact,
    Ticker,
    Name,
    Slip(usize),
}

/// Symbols, indexed for searching.
#[derive(Debug, Default)]
pub struct Index {
    items: Vec<Item>,
    by_ticker: HashMap<Ticker, u32>,
    /// Tickers with dots for other punctuation: `BRK.B`, `BTC.USD`; and their letters and digits alone: `BRKB`.
    marked: Vec<Word>,
    plain: Vec<Word>,
    /// Words of names.
    words: Vec<Word>,
}

/// A search word, and the symbols that it refers to.
#[derive(Debug)]
struct Word {
    text: Box<str>,
    letters: u64,
    /// In order, each once.
    items: Vec<u32>,
}

impl Index {
    pub fn new(items: Vec<Item>) -> Self {
        let by_ticker: HashMap<Ticker, u32> = items.iter().zip(0..).map(|(item, n)| (item.ticker.clone(), n)).collect();
        let (mut marked, mut plain, mut words) = (HashMap::new(), HashMap::new(), HashMap::new());
        for (item, n) in items.iter().zip(0_u32..) {
            // A renamed symbol is found by its old ticker and name, too.
            let now = item.renamed_to.as_ref().and_then(|new| by_ticker.get(new)).copied();
            for n in [Some(n), now].into_iter().flatten() {
                note(&mut marked, with_dots(item.ticker.as_str()), n);
                note(&mut plain, letters_and_digits(item.ticker.as_str()), n);
                for word in words_of_name(&item.name) {
                    note(&mut words, word, n);
                }
            }
        }
        Self { items, by_ticker, marked: sorted(marked), plain: sorted(plain), words: sorted(words) }
    }

    pub fn get(&self, ticker: &Ticker) -> Option<&Item> {
        self.by_ticker.get(ticker).and_then(|n| self.items.get(*n as usize))
    }

    /// At most `limit` symbols that `text` may refer to, the best match first. `kept`: the user's own symbols.
    pub fn search(&self, text: &str, kept: &HashSet<Ticker>, limit: usize) -> Vec<&Item> {
        let text: String = text.trim().chars().take(LONGEST).collect();
        let words = words_of_text(&text);
        if words.is_empty() {
            return Vec::new();
        }
        let mut fits = HashMap::new();
        let exact = text.parse::<Ticker>().ok();
        if exact.is_some() || letters_and_digits(&text).len() == text.len() {
            self.fit_tickers(&text, exact.as_ref(), &mut fits);
        }
        // `jp morgan` is JPMorgan.
        let together = [words.concat()];
        for words in [words.as_slice(), together.as_slice()] {
            for (n, _) in self.having(words, |word| begins(&self.words, word).map(|found| (found, 0)).collect()) {
                best(&mut fits, n, Fit::Name);
            }
        }
        if fits.len() < ENOUGH && !fits.values().any(|fit| *fit == Fit::Exact) {
            self.fit_slips(&text, &words, &mut fits);
        }
        let whole: Option<Vec<&Word>> = words.iter().map(|word| self.word(word)).collect();
        let is_whole = |n: &u32| whole.as_ref().is_some_and(|all| all.iter().all(|w| w.items.binary_search(n).is_ok()));
        let ranked = |(n, fit): (u32, Fit)| {
            let item = self.items.get(n as usize)?;
            let rank = item.rank.unwrap_or(i32::MAX);
            let length = item.ticker.as_str().len();
            Some(((fit, !kept.contains(&item.ticker), !item.active, rank, !is_whole(&n), length, &item.ticker), item))
        };
        let mut found: Vec<_> = fits.into_iter().filter_map(ranked).collect();
        found.sort_unstable_by_key(|(place, _)| *place);
        found.into_iter().take(limit).map(|(_, item)| item).collect()
    }

    /// The symbol that the unknown `ticker` is most likely a misspelling of.
    pub fn instead_of(&self, ticker: &Ticker) -> Option<&Item> {
        let text = ticker.as_str();
        let alike = self.plain_slips(&letters_and_digits(text)).into_iter().filter_map(|(n, distance)| {
            let item = self.items.get(n as usize)?;
            (item.active && item.certain && item.ticker != *ticker).then_some((distance, item))
        });
        alike
            .min_by_key(|(distance, item)| {
                let begins_alike = item.ticker.as_str().bytes().next() == text.bytes().next();
                (*distance, !begins_alike, item.rank.unwrap_or(i32::MAX), &item.ticker)
            })
            .map(|(_, item)| item)
    }

    fn word(&self, text: &str) -> Option<&Word> {
        self.words.get(self.words.binary_search_by(|word| (*word.text).cmp(text)).ok()?)
    }

    fn fit_tickers(&self, text: &str, exact: Option<&Ticker>, fits: &mut HashMap<u32, Fit>) {
        let letters = letters_and_digits(text);
        let (list, begin) =
            if letters.len() == text.len() { (&self.plain, letters) } else { (&self.marked, with_dots(text)) };
        for word in begins(list, &begin) {
            let fit = if *word.text == *begin { Fit::Exact } else { Fit::Ticker };
            word.items.iter().for_each(|n| best(fits, *n, fit));
        }
        // An alias: `BRK-B` is `BRK.B`.
        if let Some(n) = exact.and_then(|ticker| self.by_ticker.get(ticker)) {
            best(fits, *n, Fit::Exact);
        }
    }

    fn fit_slips(&self, text: &str, words: &[String], fits: &mut HashMap<u32, Fit>) {
        for (n, distance) in self.plain_slips(&letters_and_digits(text)) {
            best(fits, n, Fit::Slip(distance));
        }
        let matching = |word: &String| -> Vec<(&Word, usize)> {
            let begun = begins(&self.words, word).map(|found| (found, 0));
            begun.chain(slips(&self.words, word)).collect()
        };
        for (n, distance) in self.having(words, matching) {
            best(fits, n, Fit::Slip(distance));
        }
    }

    fn plain_slips(&self, letters: &str) -> Vec<(u32, usize)> {
        let found = slips(&self.plain, letters);
        found.flat_map(|(word, distance)| word.items.iter().map(move |n| (*n, distance))).collect()
    }

    /// Symbols whose names contain a match of each of `words`, as `matching` finds them, with the sum of the edit
    /// distances.
    fn having<'a>(
        &'a self,
        words: &[String],
        matching: impl Fn(&String) -> Vec<(&'a Word, usize)>,
    ) -> HashMap<u32, usize> {
        let mut all: Option<HashMap<u32, usize>> = None;
        for word in words {
            let mut having: HashMap<u32, usize> = HashMap::new();
            for (found, distance) in matching(word) {
                for n in &found.items {
                    let least = having.entry(*n).or_insert(distance);
                    *least = distance.min(*least);
                }
            }
            all = Some(match all {
                None => having,
                Some(before) => before.into_iter().filter_map(|(n, sum)| Some((n, sum + having.get(&n)?))).collect(),
            });
        }
        all.unwrap_or_default()
    }
}

fn best(fits: &mut HashMap<u32, Fit>, n: u32, fit: Fit) {
    match fits.entry(n) {
        Entry::Vacant(entry) => {
            entry.insert(fit);
        }
        Entry::Occupied(mut entry) => {
            let held = *entry.get();
            entry.insert(held.min(fit));
        }
    }
}

fn note(words: &mut HashMap<String, Vec<u32>>, text: String, n: u32) {
    words.entry(text).or_default().push(n);
}

fn sorted(words: HashMap<String, Vec<u32>>) -> Vec<Word> {
    let word = |(text, mut items): (String, Vec<u32>)| {
        items.sort_unstable();
        items.dedup();
        Word { letters: letters(&text), text: text.into(), items }
    };
    let mut words: Vec<Word> = words.into_iter().map(word).collect();
    words.sort_unstable_by(|a, b| a.text.cmp(&b.text));
    words
}

fn begins<'a>(words: &'a [Word], text: &str) -> impl Iterator<Item = &'a Word> {
    let from = words.partition_point(|word| *word.text < *text);
    let text = text.to_owned();
    words.iter().skip(from).take_while(move |word| word.text.starts_with(&text))
}

/// Words that `text` may be a misspelling of, with one letter wrong, missing, extra or swapped with its neighbour, or
/// two if both are longer; with the number of errors.
fn slips<'a>(words: &'a [Word], text: &str) -> impl Iterator<Item = (&'a Word, usize)> {
    let (text, own) = (text.to_owned(), letters(text));
    words.iter().filter_map(move |word| {
        // Two errors in five letters are a misspelling, two in three are another word.
        let most = match text.len().min(word.text.len()) {
            0..=2 => 0,
            3..=4 => 1,
            _ => 2,
        };
        // One error changes at most two of the letters, and the length by one: this rules most words out cheaply.
        let far = word.text.len().abs_diff(text.len()) > most || (word.letters ^ own).count_ones() as usize > 2 * most;
        if most == 0 || far {
            return None;
        }
        let distance = strsim::osa_distance(&text, &word.text);
        (distance <= most).then_some((word, distance))
    })
}

/// The set of letters and digits, as bits.
fn letters(text: &str) -> u64 {
    text.bytes().fold(0, |set, b| {
        set | match b {
            b'a'..=b'z' => 1 << (b - b'a'),
            b'A'..=b'Z' => 1 << (b - b'A'),
            b'0'..=b'9' => 1 << (26 + b - b'0'),
            _ => 1 << 36,
        }
    })
}

fn with_dots(ticker: &str) -> String {
    ticker.to_ascii_uppercase().replace(['-', '/'], ".")
}

fn letters_and_digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}

/// Words of a name as users type them: characters that join letters are dropped (`AT&T` is `att`), separators
/// separate. The first two words also form one word (`cocacola`, `exxonmobil`).
fn words_of_name(name: &str) -> Vec<String> {
    let mut words: Vec<String> = words_of(name).filter(|word| !word.is_empty()).collect();
    let own: Vec<&String> = words.iter().filter(|word| *word != "the").take(2).collect();
    if let [first, second] = own.as_slice() {
        words.push(format!("{first}{second}"));
    }
    words
}

/// The words of a search text. Common company forms are dropped, unless there is nothing else.
fn words_of_text(text: &str) -> Vec<String> {
    let mut words: Vec<String> = words_of(text).filter(|word| !word.is_empty()).take(MOST_WORDS).collect();
    let is_filler = |word: &String| matches!(word.as_str(), "the" | "and" | "of");
    if !words.iter().all(is_filler) {
        words.retain(|word| !is_filler(word));
    }
    words
}

fn words_of(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| c.is_whitespace() || matches!(c, '-' | '/' | ',' | '(' | ')' | '\u{2013}' | '\u{2014}'))
        .map(folded)
}

/// Lower case, without diacritics, letters and digits only.
fn folded(text: &str) -> String {
    text.chars()
        .flat_map(char::to_lowercase)
        .map(|c| match c {
            'à'..='å' => 'a',
            'ç' => 'c',
            'è'..='ë' => 'e',
            'ì'..='ï' => 'i',
            'ñ' => 'n',
            'ò'..='ö' | 'ø' => 'o',
            'ù'..='ü' => 'u',
            'ý' | 'ÿ' => 'y',
            other => other,
        })
        .filter(char::is_ascii_alphanumeric)
        .collect()
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
