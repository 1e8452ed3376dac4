//! What one step of the planner decides. A step returns its decisions; it never reads those of another step through them.

use std::collections::BTreeSet;

use super::status_reasons::StatusReasons;
use crate::action::Action;
use crate::contention::ManagedResource;
use crate::finding::Finding;
use crate::report::{InputRequest, Wait};

/// Actions, and what the report and the status tags say about them.
#[derive(Default)]
pub struct Decisions {
    /// Changes of peerings, routes, security group rules and ownership tags.
    pub actions: BTreeSet<Action>,
    /// Deletes that wait for a confirmation.
    pub held: BTreeSet<Action>,
    /// What the operator should know.
    pub findings: BTreeSet<Finding>,
    /// What the next run may find done.
    pub waits: BTreeSet<Wait>,
    /// What the plan should know and does not.
    pub questions: BTreeSet<InputRequest>,
    /// Why VPCs are not connected with their peers.
    pub reasons: StatusReasons,
}

impl Decisions {
    /// Adds an action.
    pub fn act(&mut self, action: Action) {
        self.actions.insert(action);
    }

    /// Adds a finding.
    pub fn report(&mut self, finding: Finding) {
        self.findings.insert(finding);
    }

    /// Adds a wait.
    pub fn wait(&mut self, subject: impl std::fmt::Display, text: impl Into<String>) {
        self.waits.insert(Wait { subject: subject.to_string(), text: text.into() });
    }

    /// Requests an input that the plan lacks.
    pub fn ask(&mut self, question: InputRequest) {
        self.questions.insert(question);
    }

    /// Whether an action creates something that another principal may revert.
    pub fn creates_something(&self) -> bool {
        self.actions.iter().any(|action| ManagedResource::created_by(action).is_some())
    }
}

/// All decisions together. Where two steps give a reason for the same VPC, peer and state, the earlier step's reason stays.
impl FromIterator<Decisions> for Decisions {
    fn from_iter<I: IntoIterator<Item = Decisions>>(steps: I) -> Self {
        let mut all = Self::default();
        for step in steps {
            let Decisions { actions, held, findings, waits, questions, reasons } = step;
            all.actions.extend(actions);
            all.held.extend(held);
            all.findings.extend(findings);
            all.waits.extend(waits);
            all.questions.extend(questions);
            all.reasons.merge(reasons);
        }
        all
    }
}
