//! Reads the inputs that a plan requests.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use peerd_core::cidr::IpNet;
use peerd_core::{
    DnsSupport, InputRequest, MeshName, ObservedState, PlannerInputs, PrefixListId, Quotas, RunHistory, Scope, VpcRef,
    contention,
};

use crate::error::{CloudError, InfraError, chain};
use crate::observer::Observer;

/// The number of inputs that are read concurrently.
const CONCURRENCY: usize = 32;

/// What was read for a request.
enum Answer {
    Dns(VpcRef, Result<DnsSupport, CloudError>),
    List(PrefixListId, Result<BTreeSet<IpNet>, CloudError>),
    RunHistory(MeshName, RunHistory),
    Quotas(Scope, Result<Quotas, CloudError>),
}

impl Observer<'_> {
    /// Reads the inputs that plans requested. Returns the requests that failed with a transient error.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn fetch_inputs(
        &self,
        requests: BTreeSet<InputRequest>,
        observed: &mut ObservedState,
    ) -> Result<BTreeSet<InputRequest>, InfraError> {
        let answer = |request: InputRequest| async move {
            let answer = match request.clone() {
                InputRequest::Dns(vpc) => Answer::Dns(vpc.clone(), self.cloud.dns_support(&vpc).await),
                InputRequest::List(scope, list) => {
                    Answer::List(list.clone(), self.cloud.prefix_list(&scope, &list).await)
                }
                InputRequest::RunHistory(mesh) => Answer::RunHistory(mesh.clone(), self.run_history(&mesh).await?),
                InputRequest::Quotas(scope) => Answer::Quotas(scope.clone(), self.cloud.quotas(&scope).await),
            };
            Ok((request, answer))
        };
        let answers: Vec<_> = stream::iter(requests).map(answer).buffer_unordered(CONCURRENCY).try_collect().await?;
        let answers = answers.into_iter();
        Ok(answers.filter_map(|(request, answer)| answer.add_to(&mut observed.inputs).then_some(request)).collect())
    }

    async fn run_history(&self, mesh: &MeshName) -> Result<RunHistory, InfraError> {
        let now = self.clock.now();
        Ok(RunHistory { now, runs: self.store.run_history(mesh, now.saturating_sub(contention::WINDOW)).await? })
    }
}

impl Answer {
    /// Adds the answer to the inputs. Returns whether the read failed with a transient error.
    fn add_to(self, inputs: &mut PlannerInputs) -> bool {
        let mut is_transient = false;
        match self {
            Self::Dns(vpc, read) => drop(inputs.dns.insert(vpc, to_input(read, &mut is_transient))),
            Self::List(list, read) => drop(inputs.prefix_lists.insert(list, to_input(read, &mut is_transient))),
            Self::RunHistory(mesh, past) => drop(inputs.run_histories.insert(mesh, past)),
            Self::Quotas(scope, read) => drop(inputs.quotas.insert(scope, to_input(read, &mut is_transient))),
        }
        is_transient
    }
}

/// Converts a read into an input of a plan. Logs an error, and sets `is_transient` if it is transient.
fn to_input<T>(read: Result<T, CloudError>, is_transient: &mut bool) -> Result<T, String> {
    read.map_err(|error| {
        tracing::warn!(error = chain(&error), "input of the plan not read");
        *is_transient |= error.kind.is_transient();
        chain(&error)
    })
}
