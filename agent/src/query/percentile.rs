//! Percentiles of durations: exact as long as they fit, then by a histogram of bounded size and error.

use std::collections::BTreeMap;

/// Each power of two is cut into 2^7 parts: a value is wrong by at most 1/128 of itself.
const PART_BITS: u32 = 7;

/// Durations in microseconds.
#[derive(Clone, Debug)]
pub(super) enum Durations {
    Exact(Vec<u64>),
    /// How many values begin with these bits.
    Rounded(BTreeMap<u64, u64>),
}

impl Default for Durations {
    fn default() -> Self {
        Self::Exact(Vec::new())
    }
}

impl Durations {
    pub(super) fn add(&mut self, value: u64) {
        match self {
            Self::Exact(values) => values.push(value),
            Self::Rounded(parts) => *parts.entry(rounded(value)).or_default() += 1,
        }
    }

    /// Gives up exactness for a bound in memory: 57 · 128 parts at most.
    pub(super) fn round(&mut self) {
        if let Self::Exact(values) = self {
            let mut parts = BTreeMap::new();
            for value in values.drain(..) {
                *parts.entry(rounded(value)).or_default() += 1;
            }
            *self = Self::Rounded(parts);
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::Exact(mine), Self::Exact(theirs)) => mine.extend(theirs),
            (_, mut other) => {
                self.round();
                other.round();
                if let (Self::Rounded(mine), Self::Rounded(theirs)) = (self, other) {
                    for (part, count) in theirs {
                        *mine.entry(part).or_default() += count;
                    }
                }
            }
        }
    }

    /// The smallest value that so many percent don't exceed (nearest rank).
    pub(super) fn percentile(&mut self, percent: u64) -> Option<u64> {
        match self {
            Self::Exact(values) => {
                let rank = rank(values.len() as u64, percent)?;
                let (_, value, _) = values.select_nth_unstable(rank as usize);
                Some(*value)
            }
            Self::Rounded(parts) => {
                let mut rank = rank(parts.values().sum(), percent)?;
                for (&value, &count) in parts.iter() {
                    if rank < count {
                        return Some(value);
                    }
                    rank -= count;
                }
                None
            }
        }
    }
}

/// From 0; `None` when there is nothing.
fn rank(count: u64, percent: u64) -> Option<u64> {
    let last = count.checked_sub(1)?;
    Some((u128::from(count) * u128::from(percent)).div_ceil(100).saturating_sub(1).min(u128::from(last)) as u64)
}

/// Without the bits that a part of its power of two doesn't tell apart.
fn rounded(value: u64) -> u64 {
    let dropped = (u64::BITS - value.leading_zeros()).saturating_sub(PART_BITS + 1);
    value >> dropped << dropped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_is_the_nearest_rank() {
        let mut durations = Durations::default();
        assert_eq!(durations.percentile(50), None);
        (1..=10).rev().for_each(|value| durations.add(value));
        assert_eq!([50, 90, 99, 100, 0].map(|percent| durations.percentile(percent)), [5, 9, 10, 10, 1].map(Some));
    }

    #[test]
    fn rounded_is_near() {
        let mut exact = Durations::default();
        (0..5000_u64).for_each(|value| exact.add(value * value * 37 % 1_000_003));
        let mut rounded = exact.clone();
        rounded.round();
        for percent in [1, 50, 90, 99] {
            let (a, b) = (exact.percentile(percent).unwrap_or(0), rounded.percentile(percent).unwrap_or(0));
            assert!(b <= a && a - b <= a / 128, "{percent}: {a} {b}");
        }
        let mut both = exact.clone();
        both.merge(rounded);
        assert!(matches!(both, Durations::Rounded(ref parts) if parts.values().sum::<u64>() == 10_000));
    }
}
