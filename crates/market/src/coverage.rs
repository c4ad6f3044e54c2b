//! Sets of ranges: what is covered, what is missing, what both have in common.
//!
//! In: ranges in any order, overlapping or not. Out: [`RangeSet`], in its one normal form. What holds: the ranges of a set
//! are sorted and neither overlap nor touch, so two sets that cover the same instants are equal.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::Range;

/// A set of instants, as sorted half-open ranges with room between each two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct RangeSet {
    ranges: Vec<Range>,
}

impl RangeSet {
    /// The empty set.
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// Adds all instants of `range`; what overlaps or touches becomes one.
    pub fn insert(&mut self, range: Range) {
        let first = self.ranges.partition_point(|r| r.to() < range.from());
        let end = self.ranges.partition_point(|r| r.from() <= range.to());
        let joined = match self.ranges.get(first..end) {
            Some([only]) => join(*only, range),
            Some([lowest, .., highest]) => join(join(*lowest, range), *highest),
            _ => range,
        };
        self.ranges.splice(first..end, [joined]);
    }

    /// The instants of either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.iter().chain(other).collect()
    }

    /// The instants of `self` that aren't in `other`.
    #[must_use]
    pub fn subtract(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        let mut holes = other.ranges.as_slice();
        for range in self {
            holes = from_first_ending_after(holes, range.from());
            let mut from = range.from();
            for hole in holes.iter().take_while(|hole| hole.from() < range.to()) {
                left.extend(Range::new(from, hole.from()));
                from = hole.to();
            }
            left.extend(Range::new(from, range.to()));
        }
        Self { ranges: left }
    }

    /// The instants of both.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let mut shared = Vec::new();
        let mut others = other.ranges.as_slice();
        for range in self {
            others = from_first_ending_after(others, range.from());
            let overlapping = others.iter().take_while(|other| other.from() < range.to());
            shared.extend(overlapping.filter_map(|other| other.intersection(&range)));
        }
        Self { ranges: shared }
    }

    pub fn contains(&self, at: Timestamp) -> bool {
        self.first_ending_after(at).is_some_and(|range| range.contains(at))
    }

    /// Whether all instants of `range` are in the set.
    pub fn encloses(&self, range: &Range) -> bool {
        self.first_ending_after(range.from()).is_some_and(|own| own.encloses(range))
    }

    /// The ranges, oldest first.
    pub fn iter(&self) -> std::iter::Copied<std::slice::Iter<'_, Range>> {
        self.ranges.iter().copied()
    }

    pub fn as_slice(&self) -> &[Range] {
        &self.ranges
    }

    /// How many separate ranges there are.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// From the first instant to the end of the last, gaps included; `None` where the set is empty.
    pub fn span(&self) -> Option<Range> {
        Some(join(*self.ranges.first()?, *self.ranges.last()?))
    }

    /// The total length of all ranges.
    pub fn duration(&self) -> SignedDuration {
        self.iter().map(|range| range.duration()).sum()
    }

    fn first_ending_after(&self, at: Timestamp) -> Option<&Range> {
        from_first_ending_after(&self.ranges, at).first()
    }
}

/// What is left of sorted ranges once those are skipped that end by `at`.
fn from_first_ending_after(ranges: &[Range], at: Timestamp) -> &[Range] {
    &ranges[ranges.partition_point(|range| range.to() <= at)..]
}

/// The smallest range that encloses both.
fn join(a: Range, b: Range) -> Range {
    Range::ordered(a.from().min(b.from()), a.to().max(b.to()))
}

impl From<Range> for RangeSet {
    fn from(range: Range) -> Self {
        Self { ranges: vec![range] }
    }
}

impl FromIterator<Range> for RangeSet {
    fn from_iter<I: IntoIterator<Item = Range>>(ranges: I) -> Self {
        let mut sorted: Vec<Range> = ranges.into_iter().collect();
        sorted.sort_unstable();
        let mut merged: Vec<Range> = Vec::with_capacity(sorted.len());
        for range in sorted {
            match merged.last_mut() {
                Some(last) if range.from() <= last.to() => *last = join(*last, range),
                _ => merged.push(range),
            }
        }
        Self { ranges: merged }
    }
}

impl Extend<Range> for RangeSet {
    fn extend<I: IntoIterator<Item = Range>>(&mut self, ranges: I) {
        *self = self.iter().chain(ranges).collect();
    }
}

impl<'a> IntoIterator for &'a RangeSet {
    type Item = Range;
    type IntoIter = std::iter::Copied<std::slice::Iter<'a, Range>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for RangeSet {
    type Item = Range;
    type IntoIter = std::vec::IntoIter<Range>;

    fn into_iter(self) -> Self::IntoIter {
        self.ranges.into_iter()
    }
}
