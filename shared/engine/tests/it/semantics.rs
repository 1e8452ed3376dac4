//! Checks that every promise in docs/semantics.md is the doc comment of a test.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The folders of the tests whose doc comments are promises.
const FOLDERS: [&str; 2] = ["../engine/tests/it", "../testkit/tests/it"];

fn promises(text: &str) -> BTreeSet<String> {
    text.lines().filter_map(|line| line.strip_prefix("> ")).map(str::to_owned).collect()
}

/// Returns the doc comments directly above a test, each as one line.
fn doc_comments(source: &str) -> BTreeSet<String> {
    let mut comments = BTreeSet::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in source.lines() {
        match line.strip_prefix("/// ") {
            Some(text) => comment.push(text),
            None => {
                if line == "#[test]" && !comment.is_empty() {
                    comments.insert(comment.join(" "));
                }
                comment.clear();
            }
        }
    }
    comments
}

#[test]
fn every_promise_is_the_doc_comment_of_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let promised = promises(&fs::read_to_string(root.join("../../docs/semantics.md")).unwrap());
    assert!(promised.len() > 20, "{} promises were found in docs/semantics.md", promised.len());
    let files = FOLDERS.iter().flat_map(|folder| fs::read_dir(root.join(folder)).unwrap());
    let files = files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|is| is == "rs"));
    let tested: BTreeSet<String> = files.flat_map(|file| doc_comments(&fs::read_to_string(file).unwrap())).collect();
    let untested: Vec<_> = promised.difference(&tested).collect();
    assert!(untested.is_empty(), "promises that no test has as its doc comment: {untested:#?}");
}
