//! A terminal that records what is written, and answers questions.

use std::sync::Mutex;

use anyhow::Result;
use async_trait::async_trait;
use peerd_cli::shell::Terminal;

/// What a command wrote.
pub struct Transcript {
    out: Mutex<String>,
    err: Mutex<String>,
    /// The answers that are left, the next one last; none without a terminal.
    answers: Option<Mutex<Vec<&'static str>>>,
    interrupted: bool,
    /// Whether it can be drawn on.
    live: bool,
    picture: Mutex<String>,
}

impl Transcript {
    pub fn new(answers: Option<&[&'static str]>, interrupted: bool, live: bool) -> Self {
        let answers = answers.map(|answers| Mutex::new(answers.iter().rev().copied().collect()));
        Self { out: Mutex::default(), err: Mutex::default(), answers, interrupted, live, picture: Mutex::default() }
    }

    /// What is drawn last.
    pub fn last_picture(&self) -> String {
        self.picture.lock().unwrap().clone()
    }

    /// The exit code, stdout and stderr, as snapshots have them.
    pub fn text(&self, code: u8) -> String {
        let [out, err] = [&self.out, &self.err].map(|text| without_times(&text.lock().unwrap()));
        let part = |name: &str, text: &str| if text.is_empty() { String::new() } else { format!("{name}\n{text}") };
        format!("exit {code}\n{}{}", part("stdout", &out), part("stderr", &err))
    }
}

/// Replaces virtual times: they depend on the number of calls.
fn without_times(text: &str) -> String {
    let mut parts = text.split("2026-01-01T");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "TIME" + part.split_once('Z').map_or(part, |(_, rest)| rest))
}

#[async_trait]
impl Terminal for Transcript {
    fn print(&self, text: &str, _: bool) -> Result<()> {
        self.out.lock().unwrap().push_str(text);
        Ok(())
    }

    fn say(&self, line: &str) {
        *self.err.lock().unwrap() += &format!("{line}\n");
    }

    fn ask(&self, text: &str, question: &str) -> Result<Option<String>> {
        let Some(answers) = &self.answers else { return Ok(None) };
        let answer = answers.lock().unwrap().pop().unwrap_or_default();
        self.say(text);
        self.say(&format!("{question}{answer}"));
        Ok(Some(format!("{answer}\n")))
    }

    fn stage(&self, _: &'static str, _: usize) {}

    fn step(&self) {}

    fn is_live(&self) -> bool {
        self.live
    }

    fn picture(&self, lines: &str) {
        lines.clone_into(&mut self.picture.lock().unwrap());
    }

    async fn interrupted(&self) {
        if !self.interrupted {
            std::future::pending().await
        }
    }
}
