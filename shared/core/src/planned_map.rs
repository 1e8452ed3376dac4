//! The map of a plan: the meshes as they will be after it, with the changes that lead there.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::desired::DesiredState;
use crate::dry_run::{PlannedRun, Step, play};
use crate::ids::{PeeringId, VpcRef};
use crate::map::{Edge, Map, Node};
use crate::observed::ObservedState;
use crate::operator::Operator;
use crate::report::InputRequest;

/// What a plan changes of a VPC or of a pair.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlannedChange {
    /// The effect of all steps together.
    pub kind: ChangeKind,
    /// The steps, one line each, in order.
    pub steps: Vec<String>,
}

/// The effect of the steps of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// The peering is created.
    Create,
    /// The peering exists before and after; or the VPC does.
    Update,
    /// The peering is deleted.
    Delete,
}

impl ChangeKind {
    /// The word for the kind.
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

impl PlannedChange {
    fn of(actions: &[Action]) -> Self {
        let any = |is: fn(&Action) -> bool| actions.iter().any(is);
        let kind = if any(|action| matches!(action, Action::DeletePeering { .. })) {
            ChangeKind::Delete
        } else if any(|action| matches!(action, Action::CreatePeering { .. })) {
            ChangeKind::Create
        } else {
            ChangeKind::Update
        };
        Self { kind, steps: actions.iter().map(ToString::to_string).collect() }
    }
}

/// The steps of a plan, by what they change.
#[derive(Default)]
struct Changes {
    peerings: BTreeMap<PeeringId, Vec<Action>>,
    vpcs: BTreeMap<VpcRef, Vec<Action>>,
}

impl Changes {
    fn add(&mut self, Step { action, pair: _, peering, vpc }: Step) {
        let of_peering = peering.map(|peering| self.peerings.entry(peering).or_default());
        let of_vpc = vpc.map(|vpc| self.vpcs.entry(vpc).or_default());
        of_peering.into_iter().chain(of_vpc).for_each(|actions| actions.push(action.clone()));
    }

    fn of_pair(&self, edge: &Edge) -> Option<PlannedChange> {
        self.peerings.get(edge.peering.as_ref()?).map(|actions| PlannedChange::of(actions))
    }
}

impl Map {
    /// The meshes as they will be after their plans, one mesh after the other: each VPC and pair has the steps that change
    /// it, and a pair whose peering they delete is as it was before. A paused mesh does not change. If the plans have questions,
    /// the caller answers them and calls again.
    ///
    /// # Errors
    /// The lint violations of a plan, which are a defect of peerd.
    pub fn planned(
        meshes: &[DesiredState],
        observed: &ObservedState,
        operator: &Operator,
    ) -> Result<(Self, BTreeSet<InputRequest>), Vec<String>> {
        let (mut before, mut after, mut changes) = (Self::default(), Self::default(), Changes::default());
        let (mut state, mut made, mut number) = (observed.clone(), 0, 0);
        let mut questions = BTreeSet::new();
        for desired in meshes {
            before.add(desired, observed, operator);
            let PlannedRun { steps, report } = play(desired, &mut state, &mut made)?;
            questions.extend(report.questions);
            number += steps.len();
            steps.into_iter().for_each(|step| changes.add(step));
        }
        for desired in meshes {
            after.add(desired, &state, operator);
        }
        after.mark(changes, before);
        Ok((Self { changes: Some(number), ..after }, questions))
    }

    /// Adds what the plan deletes, and marks what it changes.
    fn mark(&mut self, mut changes: Changes, before: Self) {
        let kept: BTreeSet<PeeringId> = self.pairs.iter().filter_map(|edge| edge.peering.clone()).collect();
        let is_deleted = |edge: &Edge| edge.peering.as_ref().is_some_and(|peering| !kept.contains(peering));
        self.add_pairs(before.pairs.into_iter().filter(is_deleted));
        for edge in &mut self.pairs {
            edge.planned = changes.of_pair(edge);
        }
        let known: BTreeSet<VpcRef> = self.vpcs.iter().map(Node::vpc_ref).collect();
        self.vpcs.extend(before.vpcs.into_iter().filter(|node| !known.contains(&node.vpc_ref())));
        let mark = |node: Node| Node {
            planned: changes.vpcs.remove(&node.vpc_ref()).map(|actions| PlannedChange::of(&actions)),
            ..node
        };
        self.vpcs = std::mem::take(&mut self.vpcs).into_iter().map(mark).collect();
    }
}
