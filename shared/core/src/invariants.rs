//! The ten rules that keep peerd safe, each named where the code keeps it.
//!
//! A rule is always kept. Only a build for the simulator's own test, with the feature `invariant-switches`, can break one on purpose,
//! to prove that the simulator notifications.

/// A rule (docs/semantics.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invariant {
    /// Peerings and routes are read before membership.
    PeeringsBeforeMembership,
    /// A delete needs proof; a gap proves nothing.
    ProofBeforeDelete,
    /// Only managed things change.
    OnlyManaged,
    /// A route goes in only when its peering is active.
    ActiveBeforeRoute,
    /// Only a wanted, managed request is accepted.
    OnlyWantedAccepted,
    /// One requester per pair, and one request.
    OneRequester,
    /// A pair that some mesh wants stays.
    AnyMeshKeepsAPair,
    /// Mass deletes wait for an operator.
    MassDeletesWait,
    /// A read that contradicts its event is stale.
    StaleReadsAreReadAgain,
    /// A failure stays alone.
    FailuresStayAlone,
}

impl Invariant {
    /// All of them, in the order of the design.
    pub const ALL: [Self; 10] = [
        Self::PeeringsBeforeMembership,
        Self::ProofBeforeDelete,
        Self::OnlyManaged,
        Self::ActiveBeforeRoute,
        Self::OnlyWantedAccepted,
        Self::OneRequester,
        Self::AnyMeshKeepsAPair,
        Self::MassDeletesWait,
        Self::StaleReadsAreReadAgain,
        Self::FailuresStayAlone,
    ];
}

#[cfg(not(feature = "invariant-switches"))]
impl Invariant {
    /// Whether the rule is kept: always.
    #[inline]
    pub const fn is_enforced(self) -> bool {
        true
    }

    /// Whether every rule is kept: always.
    #[inline]
    pub const fn all_are_enforced() -> bool {
        true
    }
}

#[cfg(feature = "invariant-switches")]
mod breaking {
    use std::cell::Cell;

    use super::Invariant;

    thread_local! {
        static BROKEN: Cell<Option<Invariant>> = const { Cell::new(None) };
    }

    impl Invariant {
        /// Whether the rule is kept in this thread.
        pub fn is_enforced(self) -> bool {
            BROKEN.get() != Some(self)
        }

        /// Whether every rule is kept in this thread.
        pub fn all_are_enforced() -> bool {
            BROKEN.get().is_none()
        }

        /// Breaks the rule in this thread while `play` runs.
        pub fn with_disabled<T>(self, play: impl FnOnce() -> T) -> T {
            BROKEN.set(Some(self));
            let played = play();
            BROKEN.set(None);
            played
        }
    }
}
