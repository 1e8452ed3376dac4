//! The ten invariants that keep peerd safe. The code names each of them where it enforces it.
//!
//! An invariant is always enforced. Only a build for the simulator's own test, with the feature `invariant-switches`,
//! can disable one on purpose, to prove that the simulator detects it.

/// An invariant; docs/semantics.md describes them as the ten rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invariant {
    /// A run reads peerings and routes before membership.
    PeeringsBeforeMembership,
    /// A delete needs proof; an unreadable scope proves nothing.
    ProofBeforeDelete,
    /// peerd changes only what this deployment owns.
    OnlyManaged,
    /// peerd adds a route only when its peering is active.
    ActiveBeforeRoute,
    /// peerd accepts only a wanted, owned request.
    OnlyWantedAccepted,
    /// A pair has one requester and one request.
    OneRequester,
    /// A pair that some mesh wants stays.
    AnyMeshKeepsAPair,
    /// Mass deletes wait for the confirmation of an operator.
    MassDeletesWait,
    /// A read that contradicts its event is stale.
    StaleReadsAreReadAgain,
    /// A failure in one pair, account or Region stops nothing elsewhere.
    FailuresStayAlone,
}

impl Invariant {
    /// All invariants, in the order of docs/semantics.md.
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
    /// Whether the invariant is enforced: always.
    #[inline]
    pub const fn is_enforced(self) -> bool {
        true
    }

    /// Whether every invariant is enforced: always.
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
        /// Whether the invariant is enforced in this thread.
        pub fn is_enforced(self) -> bool {
            BROKEN.get() != Some(self)
        }

        /// Whether every invariant is enforced in this thread.
        pub fn all_are_enforced() -> bool {
            BROKEN.get().is_none()
        }

        /// Disables the invariant in this thread while the function runs.
        pub fn with_disabled<T>(self, play: impl FnOnce() -> T) -> T {
            BROKEN.set(Some(self));
            let played = play();
            BROKEN.set(None);
            played
        }
    }
}
