//! Colors: the beginning of a line determines its style. They are on terminals only, and never with `NO_COLOR`.

use std::io::Write;

use anstyle::{AnsiColor, Style};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const CHANGE: Style = AnsiColor::Yellow.on_default();
const LOUD: Style = AnsiColor::Magenta.on_default().bold();
const QUIET: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// The beginnings of lines, after their indentation.
const LINES: [(&str, Style); 14] = [
    ("+ ", GOOD),
    ("* ", CHANGE),
    ("- ", BAD),
    ("! ", LOUD),
    ("~ ", CHANGE),
    ("=> ", BOLD),
    ("pass ", GOOD),
    ("fail ", BAD),
    ("warn ", CHANGE),
    ("failed:", LOUD),
    ("blocking:", BOLD),
    ("fix:", QUIET),
    ("error:", LOUD),
    ("hint:", CHANGE),
];
/// With these beginnings, only the first word is colored; the rest of the line is the message.
const WORDS: [&str; 6] = ["pass ", "fail ", "warn ", "failed:", "error:", "hint:"];

/// A text with colors, for a terminal.
pub fn paint(text: &str) -> String {
    text.split_inclusive('\n').map(line).collect()
}

fn line(line: &str) -> String {
    let body = line.trim_start_matches(' ');
    let Some((begins, style)) = LINES.iter().find(|(begins, _)| body.starts_with(begins)) else {
        return line.to_owned();
    };
    let (indent, end) = (&line[..line.len() - body.len()], body.trim_end_matches('\n').len());
    let painted = if WORDS.contains(begins) { begins.trim_end().len() } else { end };
    format!("{indent}{style}{}{style:#}{}", &body[..painted], &body[painted..])
}

/// Writes a text to stdout, with colors on a terminal.
///
/// # Errors
/// When the text cannot be written.
pub fn to_stdout(text: &str) -> std::io::Result<()> {
    let mut out = anstream::stdout();
    out.write_all(paint(text).as_bytes())?;
    out.flush()
}

/// Writes a line to stderr, with colors on a terminal. An error while writing is ignored.
pub fn to_stderr(line: &str) {
    drop(anstream::stderr().write_all(paint(&format!("{line}\n")).as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plan_lines_are_colored_as_a_whole_and_check_lines_by_their_first_word() {
        assert_eq!(paint("prod: changes pending\n"), "prod: changes pending\n");
        assert_eq!(paint("    + peering\n"), "    \u{1b}[32m+ peering\u{1b}[0m\n");
        assert_eq!(paint("  fail    no trail\n"), "  \u{1b}[31mfail\u{1b}[0m    no trail\n");
        assert_eq!(paint("- peering"), "\u{1b}[31m- peering\u{1b}[0m");
        assert_eq!(paint("error: x"), "\u{1b}[1m\u{1b}[35merror:\u{1b}[0m x");
        assert_eq!(paint(""), "");
    }
}
