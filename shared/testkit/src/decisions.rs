//! What a simulated deployment foresees of an operator's decision.

use std::collections::BTreeMap;

use peerd_core::MeshName;
use peerd_engine::Observer;
use peerd_engine::what_if::{Consequences, Decision};

use crate::executor::{Turn, Worker};
use crate::world::World;

impl World {
    /// Computes what would follow from a decision, while no worker runs.
    ///
    /// # Panics
    /// When it cannot be computed.
    #[expect(clippy::panic, reason = "a failed forecast fails the test")]
    pub fn foresee(&mut self, decision: &Decision) -> BTreeMap<MeshName, Consequences> {
        let (cloud, store, executor) = (self.cloud.clone(), self.store.clone(), self.executor.clone());
        let (settings, decision) = (self.settings.clone(), decision.clone());
        let mut worker = Worker::new(0, async move {
            let (cloud, store, clock, settings) = (&*cloud, &*store, &*executor, &*settings);
            Observer { cloud, store, clock, settings }.foresee(&decision).await
        });
        loop {
            if let Some(next) = self.executor.next_wake().filter(|_| !worker.is_awake()) {
                self.executor.advance(next);
            }
            match worker.act(&self.executor) {
                Turn::Waits => {}
                Turn::Done(Ok(consequences)) => return consequences,
                Turn::Done(Err(error)) => panic!("{error}"),
                Turn::Died => panic!("the forecast crashed"),
            }
        }
    }
}
