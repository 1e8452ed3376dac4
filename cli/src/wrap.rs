//! Long lines on a terminal: they are wrapped at words, with their indentation. The rows of tables stay as they are.

use textwrap::{Options, WordSplitter};

/// The narrowest terminal for which lines are wrapped, in columns.
const NARROWEST: usize = 40;

/// Wraps the lines of a text that are longer than a terminal of this width.
pub fn wrap(text: &str, width: usize) -> String {
    if width < NARROWEST {
        return text.to_owned();
    }
    text.split_inclusive('\n').map(|line| wrap_line(line, width)).collect()
}

fn wrap_line(line: &str, width: usize) -> String {
    let body = line.trim_end_matches('\n');
    let words = body.trim_start();
    let Some(hanging) = hanging_indent(body).filter(|_| body.chars().count() > width) else { return line.to_owned() };
    let (initial, subsequent) = (&body[..body.len() - words.len()], " ".repeat(hanging));
    let options = Options::new(width).initial_indent(initial).subsequent_indent(&subsequent);
    let options = options.break_words(false).word_splitter(WordSplitter::NoHyphenation);
    textwrap::fill(words, options) + &line[body.len()..]
}

/// The indentation of the lines that follow: for a check, that of its text. None for a row of a table.
fn hanging_indent(body: &str) -> Option<usize> {
    let words = body.trim_start();
    let indent = body.len() - words.len();
    match words.split_once("  ") {
        None => Some(indent + 2),
        Some(("pass" | "fail" | "warn", rest)) => {
            let text = rest.trim_start();
            let last = text.rsplit_once("  ").map_or(text, |(_, last)| last.trim_start()); // behind the place of the check
            Some(body.len() - last.len())
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_findings_and_checks_are_wrapped_with_their_indentation() {
        let finding = "conflict: vpc-1\n  fix: run `peerd adopt --mesh prod pcx-1`; or delete it\n";
        assert_eq!(
            wrap(finding, 40),
            "conflict: vpc-1\n  fix: run `peerd adopt --mesh prod\n    pcx-1`; or delete it\n"
        );
        let check = "  fail    no route to 10.1.0.0/16 in the table of the subnet";
        assert_eq!(wrap(check, 40), "  fail    no route to 10.1.0.0/16 in the\n          table of the subnet");
        let row = "fail    2 scopes  no trail logs the changes of EC2";
        assert_eq!(
            wrap(row, 40),
            "fail    2 scopes  no trail logs the\n                  changes of EC2",
            "a row of `doctor`"
        );
        let id = format!("  {}", "x".repeat(60));
        assert_eq!(wrap(&id, 40), id, "an id stays whole");
    }

    #[test]
    fn rows_of_tables_and_lines_that_fit_stay_as_they_are() {
        let row = "111111111111  registration,stack  eu-west-1,us-east-1  -\n";
        assert_eq!(wrap(row, 40), row);
        assert_eq!(wrap("short\n\n", 40), "short\n\n");
        assert_eq!(wrap(&"word ".repeat(20), 10), "word ".repeat(20), "a terminal that is too narrow");
    }
}
