//! Counts with their nouns.

use std::fmt;

/// A count with its noun, such as `1 subnet` and `2 subnets`. For a noun whose plural is not formed with `s`, see
/// [`counted_as`].
pub fn counted(count: impl fmt::Display + PartialEq + From<u8>, noun: &str) -> String {
    counted_as(count, noun, &format!("{noun}s"))
}

/// A count with its noun in the singular or the plural.
pub fn counted_as<N: fmt::Display + PartialEq + From<u8>>(count: N, singular: &str, plural: &str) -> String {
    format!("{count} {}", if count == N::from(1) { singular } else { plural })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_every_other_count_is_plural() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "subnet")), ["0 subnets", "1 subnet", "2 subnets"]);
        assert_eq!([1, 2].map(|count| counted_as(count, "mesh", "meshes")), ["1 mesh", "2 meshes"]);
    }
}
