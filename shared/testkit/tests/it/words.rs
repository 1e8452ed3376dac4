//! Everything that peerd words, as one text per kind: a change of a word is a change of a snapshot
//! (`INSTA_UPDATE=always cargo test -p peerd-testkit words` accepts it).

use std::fmt::Debug;

use peerd_core::Operator;
use peerd_core::finding::FindingVariant;
use peerd_core::path_check::PathCheckVariant;
use peerd_core::status::{StatusEntry, StatusReasonVariant};
use peerd_testkit::samples::{findings, path_checks, status_reasons};
use strum::VariantArray;

/// Returns the variants that no sample has.
fn unsampled<V, S>(samples: &[S]) -> Vec<&'static V>
where
    V: VariantArray + PartialEq + Debug + for<'a> From<&'a S>,
{
    V::VARIANTS.iter().filter(|variant| !samples.iter().any(|sample| V::from(sample) == **variant)).collect()
}

#[test]
fn every_finding_every_check_and_every_reason_has_a_sample() {
    assert_eq!(unsampled::<FindingVariant, _>(&findings::samples()), [] as [&FindingVariant; 0]);
    assert_eq!(unsampled::<PathCheckVariant, _>(&path_checks::samples()), [] as [&PathCheckVariant; 0]);
    assert_eq!(unsampled::<StatusReasonVariant, _>(&status_reasons::samples()), [] as [&StatusReasonVariant; 0]);
}

#[test]
fn findings_and_their_remedies() {
    let lines = findings::samples().into_iter().map(|finding| {
        let (kind, subject, message) = (finding.kind(), finding.subject(), finding.message());
        format!("{kind} {subject}: {message}\n    {}\n", finding.remedy(&Operator::default()))
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
    let lines = path_checks::samples().into_iter().map(|check| check.render(&Operator::default())).map(|check| {
        let remedy = check.remedy.map(|remedy| format!("    {remedy}\n")).unwrap_or_default();
        format!("{:?} {}\n{remedy}", check.result, check.text)
    });
    insta::assert_snapshot!(lines.collect::<String>());
}
