//! Sets of ranges: what is covered, what is missing, what both have in common.
//!
//! In: ranges in any order, overlapping or not. Out: [`RangeSet`], in its one normal form. What holds: the ranges of
//! a set are sorted and neither overlap nor touch, so two sets that cover the same instants are equal.

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails may panic")]

    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// The naive model: one bit for each of the 64 seconds from -32 on.
    type Model = u64;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second - 32).expect("an instant")
    }

    fn range(from: i64, to: i64) -> Range {
        Range::new(at(from), at(to)).expect("a range")
    }

    fn model(ranges: &[Range]) -> Model {
        (0..64).filter(|s| ranges.iter().any(|r| r.contains(at(*s)))).map(|s| 1 << s).sum()
    }

    /// The normal form of a model, found the slow way.
    fn normal(model: Model) -> RangeSet {
        let bit = |s: i64| (0..64).contains(&s) && model >> s & 1 == 1;
        let starts = (0..64).filter(|s| bit(*s) && !bit(s - 1));
        let ends = (1..=64).filter(|s| bit(s - 1) && !bit(*s));
        RangeSet { ranges: starts.zip(ends).map(|(from, to)| range(from, to)).collect() }
    }

    fn any_range() -> impl Strategy<Value = Range> {
        (0i64..64)
            .prop_flat_map(|from| (Just(from), from + 1..=(from + 20).min(64)))
            .prop_map(|(from, to)| range(from, to))
    }

    fn any_ranges() -> impl Strategy<Value = Vec<Range>> {
        vec(any_range(), 0..8)
    }

    fn set(ranges: &[Range]) -> RangeSet {
        ranges.iter().copied().collect()
    }

    #[test]
    fn ranges_that_touch_become_one() {
        let mut set = set(&[range(0, 10), range(20, 30)]);
        set.insert(range(10, 20));
        assert_eq!(set.as_slice(), [range(0, 30)]);
        assert_eq!(set.span(), Some(range(0, 30)));
        assert_eq!(set.duration(), SignedDuration::from_secs(30));
    }

    #[test]
    fn a_hole_leaves_both_sides() {
        let set = RangeSet::from(range(0, 30)).subtract(&RangeSet::from(range(10, 20)));
        assert_eq!(set.as_slice(), [range(0, 10), range(20, 30)]);
        assert!(!set.encloses(&range(5, 25)));
        assert_eq!(set.span(), Some(range(0, 30)));
    }

    #[test]
    fn the_empty_set_has_nothing() {
        let empty = RangeSet::new();
        assert!(empty.is_empty() && !empty.contains(at(0)) && !empty.encloses(&range(0, 1)));
        assert_eq!((empty.len(), empty.span(), empty.duration()), (0, None, SignedDuration::ZERO));
    }

    proptest! {
        #[test]
        fn a_set_of_ranges_is_in_normal_form(ranges in any_ranges()) {
            let expected = normal(model(&ranges));
            prop_assert_eq!(set(&ranges), expected.clone());
            let mut inserted = RangeSet::new();
            ranges.iter().for_each(|range| inserted.insert(*range));
            prop_assert_eq!(inserted, expected.clone());
            let mut extended = set(&ranges[..ranges.len() / 2]);
            extended.extend(ranges[ranges.len() / 2..].iter().copied());
            prop_assert_eq!(extended, expected);
        }

        #[test]
        fn set_arithmetic_is_that_of_the_instants(a in any_ranges(), b in any_ranges()) {
            let (x, y) = (model(&a), model(&b));
            let (a, b) = (set(&a), set(&b));
            prop_assert_eq!(a.union(&b), normal(x | y));
            prop_assert_eq!(a.intersect(&b), normal(x & y));
            prop_assert_eq!(a.subtract(&b), normal(x & !y));
            prop_assert_eq!(a.duration(), SignedDuration::from_secs(x.count_ones().into()));
        }

        #[test]
        fn membership_is_that_of_the_instants(ranges in any_ranges(), other in any_range(), second in -2i64..66) {
            let bits = model(&ranges);
            let set = set(&ranges);
            prop_assert_eq!(set.contains(at(second)), (0..64).contains(&second) && bits >> second & 1 == 1);
            let wanted = model(&[other]);
            prop_assert_eq!(set.encloses(&other), bits & wanted == wanted);
        }
    }
}
