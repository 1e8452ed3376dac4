//! The line that a VPC wears as `peerd:status`: per mesh one or more sentences that start with joined, waiting or refused.
//!
//! A run about one mesh rewrites that mesh's sentences and leaves those of the VPC's other meshes, so that runs of two
//! meshes do not fight over the tag.

use std::collections::BTreeSet;
use std::fmt;

use crate::tags::LONGEST_VALUE;

/// Between sentences. A full stop and a space never stand inside one.
const SEPARATOR: &str = ". ";

/// The first word of a sentence, in the order in which sentences of one mesh are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StatusState {
    /// Something is under way; later runs say what came of it.
    Waiting,
    /// Connected with every other member, but for those that a following sentence names.
    Joined,
    /// Not connected, and not going to be until somebody acts.
    Refused,
    /// There is more to say than there is room for.
    More,
}

impl StatusState {
    const ALL: [Self; 4] = [Self::Waiting, Self::Joined, Self::Refused, Self::More];
}

impl fmt::Display for StatusState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Waiting => "waiting",
            Self::Joined => "joined",
            Self::Refused => "refused",
            Self::More => "more",
        })
    }
}

/// One sentence: `<word> <mesh>`, and more where there is more to say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatusEntry {
    /// The mesh, or what was given for one.
    pub mesh: String,
    /// Its first word.
    pub word: StatusState,
    /// What follows the mesh's name, with its own leading punctuation.
    pub rest: String,
}

impl StatusEntry {
    /// `joined prod`.
    pub fn joined(mesh: impl fmt::Display) -> Self {
        Self { mesh: mesh.to_string(), word: StatusState::Joined, rest: String::new() }
    }

    /// `<word> prod with vpc-1: why`, or without a peer `<word> prod: why`.
    pub fn because(word: StatusState, mesh: impl fmt::Display, peer: Option<&str>, why: &str) -> Self {
        let peer = peer.map(|peer| format!(" with {peer}")).unwrap_or_default();
        Self { mesh: mesh.to_string(), word, rest: format!("{peer}: {}", why.replace(SEPARATOR, " ")) }
    }

    fn parse(text: &str) -> Option<Self> {
        let (word, rest) = text.split_once(' ')?;
        let word = StatusState::ALL.into_iter().find(|known| known.to_string() == word)?;
        let end = rest.find([' ', ':']).unwrap_or(rest.len());
        Some(Self { mesh: rest[..end].to_owned(), word, rest: rest[end..].to_owned() })
    }
}

impl fmt::Display for StatusEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.word, self.mesh, self.rest)
    }
}

/// The sentences of a line that peerd wrote earlier; anything else in it is dropped.
pub fn parse(line: &str) -> BTreeSet<StatusEntry> {
    line.split(SEPARATOR).filter_map(StatusEntry::parse).collect()
}

/// As many sentences of one mesh as fit into its share of a line that tells of so many meshes, at least one; the rest is
/// counted.
///
/// Each mesh keeps to its share, so that the run of one never has to cut what the run of another wrote: they would take
/// turns for ever.
pub fn fit(sentences: BTreeSet<StatusEntry>, meshes: usize) -> BTreeSet<StatusEntry> {
    let share = (LONGEST_VALUE / meshes.max(1)).saturating_sub(SEPARATOR.len());
    let length = |sentence: &StatusEntry| sentence.to_string().chars().count() + SEPARATOR.len();
    if sentences.len() == 1 || sentences.iter().map(length).sum::<usize>() <= share {
        return sentences;
    }
    let all = sentences.len();
    let mut kept = BTreeSet::new();
    let mut room = share;
    for sentence in sentences {
        let more =
            StatusEntry::because(StatusState::More, &sentence.mesh, None, &format!("{} not shown", all - kept.len()));
        if !kept.is_empty() && length(&sentence) + length(&more) > room {
            kept.insert(more);
            break;
        }
        room = room.saturating_sub(length(&sentence));
        kept.insert(sentence);
    }
    kept
}

/// The line of these sentences, or none where there is nothing to say. What a tag cannot hold is left out at the end.
pub fn line(sentences: &BTreeSet<StatusEntry>) -> Option<String> {
    let mut line = String::new();
    for sentence in sentences.iter().map(ToString::to_string) {
        let sentence: String = sentence.chars().take(LONGEST_VALUE).collect();
        let separator = if line.is_empty() { "" } else { SEPARATOR };
        if line.chars().count() + separator.len() + sentence.chars().count() > LONGEST_VALUE {
            break;
        }
        line.push_str(separator);
        line.push_str(&sentence);
    }
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_back_as_the_sentences_that_it_was_written_from() {
        let sentences = BTreeSet::from([
            StatusEntry::joined("prod"),
            StatusEntry::because(StatusState::Refused, "prod", Some("vpc-2"), "10.1.0.0/16 overlaps 10.1.128.0/17"),
            StatusEntry::because(StatusState::Refused, "nosuch", None, "mesh is not declared"),
        ]);
        let written = line(&sentences).unwrap();
        assert_eq!(
            written,
            "refused nosuch: mesh is not declared. joined prod. refused prod with vpc-2: 10.1.0.0/16 overlaps 10.1.128.0/17"
        );
        assert_eq!(parse(&written), sentences);
    }

    #[test]
    fn a_line_never_exceeds_what_a_tag_can_hold_and_counts_what_it_leaves_out() {
        let of = |mesh: &str| {
            let sentence =
                |n| StatusEntry::because(StatusState::Waiting, mesh, Some(&format!("vpc-{n}")), "peering is pending");
            fit((100..140).map(sentence).collect(), 2)
        };
        let (prod, staging) = (of("prod"), of("staging"));
        let written = line(&(&prod | &staging)).unwrap();
        assert!(written.len() <= LONGEST_VALUE, "{}", written.len());
        assert!(written.contains("more prod: 38 not shown. waiting staging"), "{written}");
        assert!(written.ends_with("more staging: 39 not shown"), "{written}");
        assert_eq!(parse(&written), &prod | &staging);
    }

    #[test]
    fn a_line_of_more_meshes_than_fit_is_the_same_whoever_writes_it() {
        let sentence = |n| StatusEntry::joined(format!("mesh-number-{n}"));
        let written = line(&(10..40).map(sentence).collect()).unwrap();
        for n in 10..40 {
            let mut sentences = parse(&written);
            sentences.extend(fit(BTreeSet::from([sentence(n)]), 30));
            assert!(line(&sentences).unwrap().starts_with("joined mesh-number-10. joined mesh-number-11"));
        }
    }

    /// Sentences of exactly so many characters, in this order.
    fn of_lengths(lengths: &[usize]) -> BTreeSet<StatusEntry> {
        let sentence = |(n, length): (usize, &usize)| {
            let start = StatusEntry::because(StatusState::Refused, "a", None, &n.to_string()).to_string().len();
            StatusEntry::because(StatusState::Refused, "a", None, &format!("{n}{}", "x".repeat(length - start)))
        };
        lengths.iter().enumerate().map(sentence).collect()
    }

    #[test]
    fn a_line_that_just_fits_is_whole() {
        let written = |lengths: [usize; 2]| line(&of_lengths(&lengths)).unwrap().len();
        assert_eq!(written([127, 127]), LONGEST_VALUE);
        assert_eq!(written([127, 128]), 127, "the second would be cut");
    }

    #[test]
    fn as_many_sentences_are_kept_as_fit_with_the_count_of_the_others() {
        let fitted =
            |lengths: &[usize]| fit(of_lengths(lengths), 1).iter().map(|s| s.to_string().len()).collect::<Vec<_>>();
        let more = "more a: 1 not shown".len();
        assert_eq!(fitted(&[125, 125]), [125, 125], "254 with what separates them");
        assert_eq!(fitted(&[125, 126]), [125, more]);
        assert_eq!(fitted(&[100, 129, 100]), [100, 129, more], "to the last character");
        assert_eq!(fitted(&[100, 130, 100]), [100, more]);
        assert_eq!(fitted(&[60, 60, 60, 60]), [60, 60, 60, 60]);
    }

    #[test]
    fn nothing_to_say_is_no_line_and_foreign_text_is_dropped() {
        assert_eq!(line(&BTreeSet::new()), None);
        assert_eq!(parse("hello world. joined prod"), BTreeSet::from([StatusEntry::joined("prod")]));
    }
}
