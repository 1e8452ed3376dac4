//! A seeded random number generator.

use std::ops::RangeInclusive;

/// A random number generator. Two generators with the same seed return the same sequence.
#[derive(Debug)]
pub struct SimRng(fastrand::Rng);

impl SimRng {
    /// Creates the generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// Returns true with a probability of `times` in a thousand.
    pub fn chance_per_mille(&mut self, times: u32) -> bool {
        times > 0 && self.0.u32(0..1000) < times
    }

    /// Returns a number of a range, uniformly distributed.
    pub fn within(&mut self, range: &RangeInclusive<u64>) -> u64 {
        self.0.u64(range.clone())
    }

    /// Returns a number of a range, log-uniformly distributed: from 1 to 1000, as often below 30 as above.
    pub fn log_uniform(&mut self, range: &RangeInclusive<u64>) -> u64 {
        let (low, high) = ((*range.start()).max(1), (*range.end()).max(1));
        let bits = |number: u64| u64::from(number.ilog2());
        let ceiling = 1u64 << self.within(&(bits(low)..=bits(high)));
        self.within(&(ceiling..=ceiling * 2 - 1)).clamp(low, high)
    }

    /// Returns a random element, or none of an empty slice.
    pub fn choose<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        (!of.is_empty()).then(|| &of[self.0.usize(0..of.len())])
    }

    /// Returns a seed for another generator.
    pub fn seed(&mut self) -> u64 {
        self.0.u64(..)
    }
}
