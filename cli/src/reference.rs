//! The reference of the commands: completions for shells, the manual page, and docs/cli.md.

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::Cli;

/// The completions of a shell.
pub fn completions(shell: Shell) -> Result<String> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "peerd", &mut text);
    Ok(String::from_utf8(text)?)
}

/// The manual page.
pub fn man() -> Result<String> {
    let mut text = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut text)?;
    Ok(String::from_utf8(text)?)
}

/// docs/cli.md.
pub fn markdown() -> String {
    let options = clap_markdown::MarkdownOptions::new().title("The command line".to_owned()).show_footer(false);
    clap_markdown::help_markdown_custom::<Cli>(&options)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use peerd_core::Operator;
    use peerd_testkit::samples::{findings, path_checks};

    use super::*;

    #[test]
    fn docs_cli_md_is_up_to_date() {
        let documented = include_str!("../../docs/cli.md");
        assert!(documented == markdown(), "docs/cli.md is out of date: run `make docs`");
    }

    #[test]
    fn help_fits_a_terminal_of_80_columns() {
        let about = |command: &clap::Command| command.get_about().map(ToString::to_string).unwrap_or_default();
        let commands: Vec<clap::Command> = Cli::command().get_subcommands().cloned().collect();
        for command in commands.iter().chain(commands.iter().flat_map(clap::Command::get_subcommands)) {
            let text = about(command);
            assert!((1..=65).contains(&text.chars().count()) && !text.ends_with('.'), "{}: {text}", command.get_name());
        }
        let help = Cli::command().term_width(80).render_help().to_string();
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        let shown = commands.iter().filter(|command| !command.is_hide_set()).count();
        assert_eq!(listed.count(), shown + 1, "a line is wrapped:\n{help}"); // and `help`
    }

    /// The commands of peerd that a text quotes, as words.
    fn commands(text: &str) -> Vec<Vec<&str>> {
        let quoted = text.split('`').skip(1).step_by(2);
        quoted.map(|text| text.split_whitespace().collect::<Vec<_>>()).filter(|words| words[0] == "peerd").collect()
    }

    /// Parses the commands of a remedy with the real command line. Returns how many there are.
    fn parse_commands(remedy: &str) -> usize {
        let commands = commands(remedy);
        for words in &commands {
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{words:?}: {error}");
            }
        }
        commands.len()
    }

    #[test]
    fn every_command_in_a_remedy_parses() {
        let mut parsed = 0;
        let acme = Operator::Stack("acme".to_owned());
        for remedy in remedies(&Operator::default()) {
            parsed += parse_commands(&remedy);
            assert!(commands(&remedy).iter().all(|words| !words.contains(&"--stack")), "{remedy}");
        }
        for remedy in remedies(&acme) {
            parse_commands(&remedy);
            assert!(commands(&remedy).iter().all(|words| words.contains(&"acme")), "{remedy}");
        }
        assert!(parsed > 20, "{parsed} commands");
    }

    #[test]
    fn no_remedy_for_a_file_changes_a_deployment() {
        for remedy in remedies(&Operator::File("peerd.toml".to_owned())) {
            parse_commands(&remedy);
            for words in commands(&remedy) {
                assert!(["plan", "apply"].contains(&words[1]), "{remedy}");
            }
            for word in ["sweep", "stack", "peerd mesh", "peerd account"] {
                assert!(!remedy.contains(word), "{word}: {remedy}");
            }
        }
    }

    /// Every remedy of findings and checks for an operator.
    fn remedies(operator: &Operator) -> Vec<String> {
        let of_findings = findings::samples().into_iter().map(|finding| finding.remedy(operator));
        let of_checks = path_checks::samples().into_iter().filter_map(|check| check.remedy(operator));
        of_findings.chain(of_checks).collect()
    }

    /// The commands in the code blocks of a document, without comments.
    fn commands_in_blocks(document: &str) -> Vec<String> {
        let blocks = document.split("```").skip(1).step_by(2).map(|block| block.replace("\\\n", " "));
        let command = |line: &str| {
            let line = line.trim_start().trim_start_matches("$ ");
            let line =
                line.strip_prefix("AWS_PROFILE=").map_or(line, |rest| rest.split_once(' ').map_or("", |it| it.1));
            line.strip_prefix("peerd ").map(|rest| format!("peerd {}", rest.split(" #").next().unwrap_or_default()))
        };
        blocks.flat_map(|block| block.lines().filter_map(command).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn every_command_in_a_code_block_of_the_documents_parses() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let folders = ["", "docs", "guardrails"].map(|folder| std::fs::read_dir(root.join(folder)).unwrap());
        let files = folders.into_iter().flatten().map(|entry| entry.unwrap().path());
        let mut parsed = 0;
        for file in files.filter(|file| file.extension().is_some_and(|it| it == "md")) {
            for command in commands_in_blocks(&std::fs::read_to_string(&file).unwrap()) {
                if let Err(error) = Cli::try_parse_from(command.split_whitespace()) {
                    panic!("{}: {command}: {error}", file.display());
                }
                parsed += 1;
            }
        }
        assert!(parsed > 40, "{parsed} commands");
    }

    #[test]
    fn completions_and_the_man_page_list_every_command() {
        for text in [completions(Shell::Bash).unwrap(), completions(Shell::Zsh).unwrap(), man().unwrap()] {
            for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
                assert!(text.contains(command.get_name()), "{}", command.get_name());
            }
        }
    }
}
