//! The journal of one operation: what is about to be done is on disk before it is done.

use primacy_plan::{Plan, PlannedStep};
use primacy_store::{JournalEntry, OperationId, Outcome, StepState, Store, StoreError};
use primacy_types::{Address, Epoch, WallClock};
use serde_json::Value;

use crate::request::{Page, Request};
use crate::{Clock, Cluster, LastSeen};

/// How far apart the step numbers of two generations of a plan are.
const GENERATION: u32 = 1000;

/// Writes one operation's journal.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    store: Store,
    clock: Clock,
    pub(crate) id: OperationId,
    /// Notes of what is done, to be written together with the next thing that is begun: a note
    /// that a crash loses makes a restarted manager do an idempotent step again, no more.
    later: Vec<JournalEntry>,
}

/// A step that the journal says was begun, with what was noted before it ran.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    pub(crate) generation: u32,
    pub(crate) index: usize,
    /// It was begun, not only looked at.
    pub(crate) started: bool,
    pub(crate) done: bool,
    pub(crate) undone: bool,
    pub(crate) detail: Value,
}

/// Runs a blocking call to the store outside the reactor.
pub(crate) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

fn page(request: &Request, plan: &Plan, old: Option<LastSeen>) -> Value {
    let page = Page { request: request.clone(), plan: plan.clone(), old };
    serde_json::to_value(page).unwrap_or_default()
}

impl Journal {
    pub(crate) async fn begin(
        store: &Store,
        clock: Clock,
        request: &Request,
        plan: &Plan,
        old: Option<LastSeen>,
    ) -> Result<Self, StoreError> {
        let (to, cluster, kind) = (store.clone(), plan.cluster.clone(), plan.kind);
        let (first, now) = (page(request, plan, old), clock.wall());
        let id = blocking(move || to.begin(&cluster, kind.word(), &first, now)).await?;
        Ok(Self { store: store.clone(), clock, id, later: Vec::new() })
    }

    pub(crate) fn reopen(store: &Store, clock: Clock, id: OperationId) -> Self {
        Self { store: store.clone(), clock, id, later: Vec::new() }
    }

    pub(crate) async fn set_plan(
        &self,
        generation: u32,
        request: &Request,
        plan: &Plan,
    ) -> Result<(), StoreError> {
        let (store, id, page) = (self.store.clone(), self.id.clone(), page(request, plan, None));
        blocking(move || store.set_plan(&id, generation, &page)).await
    }

    /// Notes that these steps are about to begin. All of it, and what was noted before, is on
    /// disk when this returns; with a step that cannot be taken back, the mark of no return too.
    pub(crate) async fn begin_steps(
        &mut self,
        steps: &[(u32, usize, &PlannedStep, Value)],
    ) -> Result<(), StoreError> {
        let now = self.clock.wall();
        let mut entries = std::mem::take(&mut self.later);
        let no_return = steps.iter().any(|(_, _, planned, _)| planned.no_return).then_some(now);
        entries.extend(steps.iter().map(|(generation, index, planned, detail)| {
            self.entry(*generation, *index, planned, StepState::Started, detail.clone())
        }));
        self.write(entries, no_return).await
    }

    /// Notes a state of a step that may be lost in a crash; it is written with the next step.
    pub(crate) fn note(
        &mut self,
        generation: u32,
        index: usize,
        planned: &PlannedStep,
        state: StepState,
        detail: Value,
    ) {
        let entry = self.entry(generation, index, planned, state, detail);
        self.later.push(entry);
    }

    fn entry(
        &self,
        generation: u32,
        index: usize,
        planned: &PlannedStep,
        state: StepState,
        detail: Value,
    ) -> JournalEntry {
        JournalEntry {
            step: generation * GENERATION + u32::try_from(index).unwrap_or(GENERATION - 1),
            name: planned.step.name().to_owned(),
            state,
            at: self.clock.wall(),
            detail,
        }
    }

    async fn write(
        &self,
        entries: Vec<JournalEntry>,
        no_return: Option<WallClock>,
    ) -> Result<(), StoreError> {
        let (store, id) = (self.store.clone(), self.id.clone());
        blocking(move || store.journal_all(&id, &entries, no_return)).await
    }

    /// Ends the operation; what was noted before is written first.
    pub(crate) async fn finish(
        &mut self,
        outcome: Outcome,
        sentence: String,
    ) -> Result<(), StoreError> {
        let entries = std::mem::take(&mut self.later);
        self.write(entries, None).await?;
        let (store, id, now) = (self.store.clone(), self.id.clone(), self.clock.wall());
        blocking(move || store.finish(&id, outcome, &sentence, now)).await
    }

    /// The plan's latest generation, and every step that was begun, in the order of its beginning.
    pub(crate) async fn read(&self) -> Result<(u32, Option<Page>, Vec<Begun>), StoreError> {
        let (store, id) = (self.store.clone(), self.id.clone());
        blocking(move || {
            let latest = store.plans(&id)?.into_iter().max_by_key(|p| p.generation);
            let generation = latest.as_ref().map_or(1, |p| p.generation);
            let page = latest.and_then(|p| serde_json::from_value(p.plan).ok());
            let mut begun: Vec<Begun> = Vec::new();
            for entry in store.entries(&id)? {
                let (generation, index) =
                    (entry.step / GENERATION, (entry.step % GENERATION) as usize);
                let known =
                    begun.iter_mut().find(|b| b.generation == generation && b.index == index);
                match (entry.state, known) {
                    (StepState::Started, None) => begun.push(Begun {
                        generation,
                        index,
                        started: true,
                        done: false,
                        undone: false,
                        detail: entry.detail,
                    }),
                    (StepState::Done | StepState::Skipped, Some(known)) => known.done = true,
                    (StepState::Undone, Some(known)) => known.undone = true,
                    _ => {}
                }
            }
            Ok((generation, page, begun))
        })
        .await
    }

    /// The plan of one generation.
    pub(crate) async fn plan(&self, generation: u32) -> Result<Option<Page>, StoreError> {
        let (store, id) = (self.store.clone(), self.id.clone());
        blocking(move || {
            let plans = store.plans(&id)?;
            let plan = plans.into_iter().find(|p| p.generation == generation);
            Ok(plan.and_then(|p| serde_json::from_value(p.plan).ok()))
        })
        .await
    }
}

/// Records the primary of a new epoch in the store.
pub(crate) async fn record_primary(
    cluster: &Cluster,
    primary: &Address,
    epoch: Epoch,
) -> Result<(), StoreError> {
    let (store, name, primary) = (cluster.store.clone(), cluster.name.clone(), primary.clone());
    let now = cluster.clock.wall();
    blocking(move || store.set_primary(&name, &primary, epoch, now)).await
}
