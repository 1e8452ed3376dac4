//! The data of the page, packed: as JSON, 500 VPCs with 12,250 pairs are 20 MB.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use peerd_core::Map;

use super::svg;

/// The length from which on a word that repeats is written once.
const LONG: usize = 8;

/// What `unpack` in `page/data.js` reads: three lines in gzip in base64.
pub fn pack(map: &Map) -> Result<String> {
    let json = serde_json::to_string(map)?;
    let (words, rest) = shorten(&json);
    let lines = [serde_json::to_string(&words)?, serde_json::to_string(&svg::curves(map))?, rest];
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(lines.join("\n").as_bytes())?;
    Ok(STANDARD.encode(packed.finish()?))
}

/// The long words that repeat, such as ids, and the JSON with a word's number after U+0001 in its place: JSON escapes U+0001, so
/// that it has no other meaning.
fn shorten(json: &str) -> (Vec<&str>, String) {
    let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
    for (word, _) in pieces(json).filter(|(word, _)| word.len() >= LONG) {
        *uses.entry(word).or_default() += 1;
    }
    let words: Vec<&str> = uses.into_iter().filter(|(_, uses)| *uses > 1).map(|(word, _)| word).collect();
    let numbers: BTreeMap<&str, usize> = words.iter().enumerate().map(|(n, word)| (*word, n)).collect();
    let mut short = String::new();
    for (word, rest) in pieces(json) {
        match numbers.get(word) {
            Some(n) => short.extend(["\u{1}", n.to_string().as_str(), rest]),
            None => short.extend([word, rest]),
        }
    }
    (words, short)
}

/// Each word with the character that ends it.
fn pieces(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let ends = |c: char| !c.is_ascii_alphanumeric() && c != '-';
    text.split_inclusive(ends).map(move |piece| piece.split_at(piece.find(ends).unwrap_or(piece.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_word_that_repeats_is_written_once_and_can_be_put_back() {
        let json = r#"["vpc-0a1b2c3d","é","short","short","vpc-0a1b2c3d (once-only)"]"#;
        let (words, short) = shorten(json);
        assert_eq!(words, ["vpc-0a1b2c3d"]);
        assert_eq!(short, "[\"\u{1}0\",\"é\",\"short\",\"short\",\"\u{1}0 (once-only)\"]");
        assert_eq!(short.replace("\u{1}0", words[0]), json);
    }
}
