//! Everything that peerd words, as one text per kind: a change of a word is a change of a snapshot
//! (`INSTA_UPDATE=always cargo test -p peerd-testkit words` accepts it).

use peerd_core::status::StatusEntry;
use peerd_testkit::samples::{findings, path_checks, status_reasons};

#[test]
fn findings_and_their_remedies() {
    let lines = findings::samples().into_iter().map(|finding| {
        let (kind, subject, message) = (finding.kind(), finding.subject(), finding.message());
        format!("{kind} {subject}: {message}\n    {}\n", finding.remedy("peerd"))
    });
    insta::assert_snapshot!(lines.collect::<String>());
}

#[test]
fn entries_of_a_status_tag() {
    let entry = |reason: &_| format!("{}\n", StatusEntry::of_mesh("prod", reason));
    insta::assert_snapshot!(status_reasons::samples().iter().map(entry).collect::<String>());
}

#[test]
fn checks_of_a_path_and_their_remedies() {
    let lines = path_checks::samples().into_iter().map(|check| check.render()).map(|check| {
        let remedy = check.remedy.map(|remedy| format!("    {remedy}\n")).unwrap_or_default();
        format!("{:?} {}\n{remedy}", check.result, check.text)
    });
    insta::assert_snapshot!(lines.collect::<String>());
}
