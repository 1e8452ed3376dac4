//! Text from outside, such as a tag, that a person may read.

/// Replaces the characters that change how a terminal or a page shows the text around them by `\u{…}`: control characters, and
/// those that set the direction of text or are invisible (<https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>).
pub fn printable(text: &str) -> String {
    let shown = |char: char| match is_unprintable(char) {
        true => char.escape_unicode().collect(),
        false => String::from(char),
    };
    text.chars().map(shown).collect()
}

/// Whether text has no character that [`printable`] replaces.
pub fn is_printable(text: &str) -> bool {
    !text.chars().any(is_unprintable)
}

fn is_unprintable(char: char) -> bool {
    let is_directional =
        matches!(char, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_invisible = matches!(char, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2028}'..='\u{2029}' | '\u{2060}'..='\u{2064}' | '\u{feff}');
    char.is_control() || is_directional || is_invisible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_directional_and_invisible_characters_are_escaped_and_other_text_is_kept() {
        assert_eq!(printable("a\u{1b}[2J\nb\r\u{7f}\u{9b}"), "a\\u{1b}[2J\\u{a}b\\u{d}\\u{7f}\\u{9b}");
        assert_eq!(printable("pro\u{202e}xyz\u{2066}\u{200b}"), "pro\\u{202e}xyz\\u{2066}\\u{200b}");
        let plain = "prod, größer, 製品, 10.0.0.0/16";
        assert_eq!(printable(plain), plain);
        assert!(is_printable(plain) && !is_printable("\t") && !is_printable("\u{2028}"));
    }
}
