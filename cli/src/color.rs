//! Colours: what a line begins with says what it is. They are on terminals only, and nowhere with `NO_COLOR`.

use std::io::Write;

use anstyle::{AnsiColor, Style};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const CHANGE: Style = AnsiColor::Yellow.on_default();
const LOUD: Style = AnsiColor::Magenta.on_default().bold();
const QUIET: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// What lines begin with, after their indentation.
const LINES: [(&str, Style); 14] = [
    ("+ ", GOOD),
    ("* ", CHANGE),
    ("- ", BAD),
    ("! ", LOUD),
    ("~ ", CHANGE),
    ("=> ", BOLD),
    ("yes ", GOOD),
    ("no ", BAD),
    ("partly ", CHANGE),
    ("failed:", LOUD),
    ("first:", BOLD),
    ("what to do:", QUIET),
    ("error:", LOUD),
    ("hint:", CHANGE),
];
/// Of these the first word is coloured, and the rest says what is the case.
const WORDS: [&str; 6] = ["yes ", "no ", "partly ", "failed:", "error:", "hint:"];

/// A text for people, with colours.
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

/// Writes a text for people to stdout.
///
/// # Errors
/// When it cannot be written.
pub fn to_stdout(text: &str) -> std::io::Result<()> {
    let mut out = anstream::stdout();
    out.write_all(paint(text).as_bytes())?;
    out.flush()
}

/// Writes a line for people to stderr. Whether or not anybody hears of it changes nothing.
pub fn to_stderr(line: &str) {
    drop(anstream::stderr().write_all(paint(&format!("{line}\n")).as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plans_lines_are_coloured_whole_and_of_a_verdict_the_word_alone() {
        assert_eq!(paint("prod: to be done\n"), "prod: to be done\n");
        assert_eq!(paint("    + peering\n"), "    \u{1b}[32m+ peering\u{1b}[0m\n");
        assert_eq!(paint("  no      no trail\n"), "  \u{1b}[31mno\u{1b}[0m      no trail\n");
        assert_eq!(paint("- peering"), "\u{1b}[31m- peering\u{1b}[0m");
        assert_eq!(paint("error: x"), "\u{1b}[1m\u{1b}[35merror:\u{1b}[0m x");
        assert_eq!(paint(""), "");
    }
}
