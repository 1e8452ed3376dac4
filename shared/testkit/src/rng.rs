//! Chance, all of it from one seed.

use std::ops::RangeInclusive;

/// A source of chance. Two with the same seed say the same.
#[derive(Debug)]
pub struct SimRng(fastrand::Rng);

impl SimRng {
    /// The source of a seed.
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// Whether something happens that happens this many times in a thousand.
    pub fn permille(&mut self, times: u32) -> bool {
        times > 0 && self.0.u32(0..1000) < times
    }

    /// A number of a range, all alike.
    pub fn within(&mut self, range: &RangeInclusive<u64>) -> u64 {
        self.0.u64(range.clone())
    }

    /// A number of a range, small ones as often as large ones: from 1 to 1000 as often below 30 as above.
    pub fn scaled(&mut self, range: &RangeInclusive<u64>) -> u64 {
        let (low, high) = ((*range.start()).max(1), (*range.end()).max(1));
        let bits = |number: u64| u64::from(number.ilog2());
        let ceiling = 1u64 << self.within(&(bits(low)..=bits(high)));
        self.within(&(ceiling..=ceiling * 2 - 1)).clamp(low, high)
    }

    /// One of some; none of none.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        (!of.is_empty()).then(|| &of[self.0.usize(0..of.len())])
    }

    /// A seed for another source.
    pub fn seed(&mut self) -> u64 {
        self.0.u64(..)
    }
}
