//! What operators do with a simulated deployment while its workers run: commands, and forecasts of decisions.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use peerd_core::MeshName;
use peerd_engine::what_if::{Consequences, Decision};
use peerd_engine::{Observer, Settings, Timestamp};

use crate::executor::{Turn, Worker};
use crate::world::World;

impl World {
    /// Returns the settings of the deployment.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.clone()
    }

    /// Completes some work in virtual time. While it waits, the deployment runs.
    ///
    /// # Panics
    /// When it waits for something that does not happen.
    #[expect(clippy::panic, reason = "work that hangs fails the test")]
    pub fn complete<T>(&mut self, work: impl Future<Output = T> + 'static) -> T {
        let mut worker = Worker::new(0, work);
        loop {
            if !worker.is_awake() && !self.step(Timestamp::MAX) {
                panic!("the work waits for something that does not happen");
            }
            match worker.act(&self.executor) {
                Turn::Waits => {}
                Turn::Done(done) => return done,
                Turn::Died => panic!("the work crashed"),
            }
        }
    }

    /// Computes what would follow from a decision.
    ///
    /// # Panics
    /// When it cannot be computed.
    #[expect(clippy::expect_used, reason = "a failed forecast fails the test")]
    pub fn foresee(&mut self, decision: &Decision) -> BTreeMap<MeshName, Consequences> {
        let (cloud, store, executor) = (self.cloud.clone(), self.store.clone(), self.executor.clone());
        let (settings, decision) = (self.settings.clone(), decision.clone());
        let foresee = async move {
            let (cloud, store, clock, settings) = (&*cloud, &*store, &*executor, &*settings);
            Observer { cloud, store, clock, settings }.foresee(&decision).await
        };
        self.complete(foresee).expect("the forecast is computed")
    }
}
