//! Beginning an operation, going on with one that a restart interrupted, and bringing a stray
//! replica home.

use std::collections::BTreeSet;
use std::time::Duration;

use primacy_plan::{
    OperationKind, Plan, Refusal, Stage, Step, diagnose, plan_failover, plan_reopen,
    plan_switchover,
};
use primacy_store::{Level, OperationRecord, StoreError};
use primacy_types::{Address, ChannelStatus, ClusterSnapshot};

use crate::error::{OperationError, StepError};
use crate::hindrances::look_for_hindrances;
use crate::journal::{Begun, Journal};
use crate::measure::Rounds;
use crate::operation::{Control, Operation, check, records};
use crate::request::{Report, Request};
use crate::shared::{Pair, Shared, channel_before_a_rescue, of_earlier, predecessor};
use crate::steps::{self, Course, point};
use crate::{Cluster, LastSeen};

/// Plans what was asked for, on this snapshot; nothing is touched.
///
/// # Errors
/// The refusal with all its reasons, or the defect if the plan would break a promise.
pub async fn plan(
    cluster: &Cluster,
    snapshot: &ClusterSnapshot,
    request: &Request,
) -> Result<Plan, OperationError> {
    let diagnosis = diagnose(snapshot);
    let plan = match request {
        Request::Failover(wish) => plan_failover(snapshot, &diagnosis, wish, Stage::BeforeFence)?,
        Request::Switchover(wish) => {
            let mut plan = plan_switchover(snapshot, &diagnosis, wish)?;
            let found = look_for_hindrances(cluster, &plan.old).await.map_err(|error| {
                let reason = primacy_plan::Reason::new(error.to_string(), "try again");
                refused(OperationKind::Switchover, vec![reason])
            })?;
            if !found.reasons.is_empty() {
                return Err(refused(OperationKind::Switchover, found.reasons).into());
            }
            plan.notes.extend(found.notes);
            plan
        }
        Request::Reopen(primary) => plan_reopen(snapshot, primary),
    };
    check(snapshot, &plan, request)?;
    Ok(plan)
}

fn refused(kind: OperationKind, reasons: Vec<primacy_plan::Reason>) -> Refusal {
    Refusal { kind, reasons, held: false, judged: Vec::new() }
}

/// How long something that a person asked for waits for a lock that was lost just before, with the
/// servers that were restarted.
pub(crate) const REGAIN: Duration = Duration::from_secs(5);

/// Plans and runs an operation to its end.
///
/// `control` lets a person change a failover that is held, and carries the brake.
///
/// # Errors
/// Why it was not begun, or what became of it.
pub async fn start(
    cluster: &Cluster,
    snapshot: &ClusterSnapshot,
    request: Request,
    control: Control,
) -> Result<Report, OperationError> {
    match request {
        // Whoever watches asks again.
        Request::Failover(_) | Request::Reopen(_) => cluster.lock.permits()?,
        Request::Switchover(_) => cluster.lock.regain(REGAIN).await?,
    }
    let started = cluster.clock.now();
    let plan = plan(cluster, snapshot, &request).await?;
    let old = LastSeen::of(snapshot, &plan.old, cluster.clock);
    let journal = Journal::begin(&cluster.store, cluster.clock, &request, &plan, old).await?;
    let shared = Shared::new(&cluster.store, journal.id.clone(), &plan);
    let mut operation = Operation {
        cluster,
        shared,
        on_disk: None,
        fenced: false,
        disk_read: None,
        read_ahead: None,
        fence_failed: false,
        recorded: false,
        rounds: Rounds::default(),
        journal,
        request,
        plan,
        generation: 1,
        past_no_return: false,
        begun: Vec::new(),
        left: Vec::new(),
        started,
        opened: None,
        last_seen: None,
        control,
    };
    let plan = &operation.plan;
    let what = format!("{} of {} to {} begins", plan.kind, plan.old, plan.winner);
    operation.tell(Level::Notice, what);
    for evidence in diagnose(snapshot).evidence() {
        operation.tell(Level::Info, evidence.to_string());
    }
    for note in &plan.notes {
        operation.tell(Level::Notice, note.clone());
    }
    let reason = match plan.kind {
        OperationKind::Failover => diagnose(snapshot).sentence(),
        _ => format!("a switchover of {} to {} was asked for", plan.old, plan.winner),
    };
    operation.before_the_first_step(reason).await?;
    Box::pin(operation.drive(0)).await
}

/// Goes on with an operation that a restart interrupted: finishes it if it is past the point of
/// no return, puts everything back otherwise.
///
/// # Errors
/// What became of it; [`OperationError::BackedOut`] is the good end of an early interruption.
pub async fn resume(
    cluster: &Cluster,
    record: &OperationRecord,
    control: Control,
) -> Result<Report, OperationError> {
    cluster.lock.permits()?;
    let mut journal = Journal::reopen(&cluster.store, cluster.clock, record.id.clone());
    let (generation, page, begun) = journal.read().await?;
    let Some(page) = page else {
        let why = "its journal cannot be read by this version of Primacy";
        journal.finish(primacy_store::Outcome::Failed, why.to_owned()).await?;
        return Err(OperationError::Unsound(format!("operation {}: {why}", record.id)));
    };
    let now = cluster.clock.now();
    let mut opened = None;
    for begun in begun.iter().filter(|b| b.done && b.generation == generation) {
        let step = page.plan.steps.get(begun.index).map(|s| &s.step);
        if matches!(step, Some(Step::OpenWrites { .. })) {
            opened = Some(now);
        }
    }
    let next = begun
        .iter()
        .filter(|b| b.generation == generation && b.done)
        .map(|b| b.index + 1)
        .max()
        .unwrap_or(0);
    let last_seen = journal.plan(1).await?.and_then(|first| {
        let fence = first.plan.steps.iter().position(|s| matches!(s.step, Step::Fence { .. }));
        let fenced = begun.iter().any(|b| b.done && b.generation == 1 && Some(b.index) == fence);
        first.old.map(|old| old.and_fenced(fenced))
    });
    let shared = Shared::new(&cluster.store, record.id.clone(), &page.plan);
    shared.read_back().await?;
    let recorded = has_recorded(&journal, &begun).await?;
    let mut operation = Operation {
        cluster,
        shared,
        on_disk: None,
        fenced: false,
        disk_read: None,
        read_ahead: None,
        fence_failed: false,
        recorded,
        rounds: Rounds::default(),
        journal,
        request: page.request,
        plan: page.plan,
        generation,
        past_no_return: record.past_no_return.is_some(),
        begun,
        left: Vec::new(),
        started: now,
        opened,
        last_seen,
        control,
    };
    operation.tell(
        Level::Notice,
        format!("the manager was restarted in the middle of this {}; going on", record.kind),
    );
    if !operation.past_no_return {
        let why = StepError::impossible(
            &operation.plan.old,
            "the manager was restarted before the point of no return",
        );
        return Err(operation.back_out(why).await);
    }
    if operation.plan.kind == OperationKind::Failover {
        if !operation.recorded {
            operation.give_up_if_serving().await?;
        }
        if operation.opened.is_none() {
            operation.fence_again().await?;
        }
        // Nothing was promised yet, and while nobody looked the old primary may have been started
        // and have written more: the rest is planned from what is there now.
        if generation > 1 && !operation.recorded {
            let measure = steps::measure(&operation.plan);
            operation.measure(next, &measure).await?;
            return Box::pin(operation.drive(0)).await;
        }
    }
    Box::pin(operation.drive(next)).await
}

/// Points a replica that still follows a former primary, or saved events that are served no more, to
/// the current primary. Nothing it received is dropped; a replica with transactions of its own is
/// left alone.
///
/// # Errors
/// Why it stays as it is.
pub async fn repoint_stray(
    cluster: &Cluster,
    snapshot: &ClusterSnapshot,
    server: &Address,
    primary: &Address,
) -> Result<String, StepError> {
    let errant = primacy_plan::errant_of(snapshot, primary, server);
    if !errant.is_empty() {
        return Err(StepError::impossible(
            server,
            format!("it has transactions that the primary lacks: {}", errant.join(", ")),
        ));
    }
    let holds = snapshot.live(server).map(|f| f.holds(&cluster.policy.channel));
    if let (Some(holds), Some(facts)) = (holds, snapshot.live(primary))
        && !facts.executed.covers(&holds)
    {
        return Err(StepError::impossible(
            server,
            format!(
                "it received transactions that the primary lacks: {}",
                holds.beyond(&facts.executed).join(", ")
            ),
        ));
    }
    let limit = cluster.policy.timing.repoint_limit;
    let (before, stands_in) = match is_left_at_a_rescue(snapshot, server) {
        true => before_a_rescue(cluster, snapshot, server, primary).await?,
        false => (None, primacy_plan::managed_source(snapshot, server)),
    };
    let pair = match stands_in {
        Some(source) if replicates_by_place(snapshot, server) => {
            Some(bring_to_the_pair(cluster, server, &source, primary).await?)
        }
        None if replicates_by_place(snapshot, server) => {
            let why = "it is not on record in whose binary log it stands";
            return Err(StepError::impossible(server, why));
        }
        _ => None,
    };
    let (pair, channel) = pair.unzip();
    let course = Course::late(pair, channel.flatten().or(before));
    point(cluster, server, primary, limit, &course).await
}

/// Starts both threads of a replica of the right source that was restarted and stayed as it was
/// (`skip_replica_start`).
///
/// # Errors
/// Why it stays as it is: with GTID, if it received what its source has not, because some servers
/// drop unapplied relay logs when replication is started.
pub async fn start_restarted(
    cluster: &Cluster,
    snapshot: &ClusterSnapshot,
    server: &Address,
    primary: &Address,
) -> Result<(), StepError> {
    let name = &cluster.policy.channel;
    let limit = cluster.policy.timing.statement_limit;
    let at = || StepError::at(server, "starting replication again");
    let by_place = replicates_by_place(snapshot, server);
    if let (false, Some(own), Some(theirs)) =
        (by_place, snapshot.live(server), snapshot.live(primary))
        && !theirs.executed.covers(&own.holds(name))
    {
        let beyond = own.holds(name).beyond(&theirs.executed).join(", ");
        let why = format!("it received transactions that the primary lacks: {beyond}");
        return Err(StepError::impossible(server, why));
    }
    let mut link = cluster.links.to(server, limit.as_duration()).await.map_err(at())?;
    let sql = link.dialect().start(primacy_probe::Threads::Both, name);
    link.execute(&sql, limit.as_duration()).await.map_err(at())?;
    Ok(())
}

/// The channel of a server as it was before it was pointed to saved events, and in whose binary log
/// it stands. What is not on record is taken from its siblings.
async fn before_a_rescue(
    cluster: &Cluster,
    snapshot: &ClusterSnapshot,
    server: &Address,
    primary: &Address,
) -> Result<(Option<ChannelStatus>, Option<Address>), StepError> {
    if let Some(channel) = channel_before_a_rescue(cluster, server).await? {
        let source = primacy_plan::source_of(snapshot, &channel);
        return Ok((Some(channel), source));
    }
    let own = snapshot.live_channel(server);
    let sibling = snapshot
        .all_live()
        .filter(|(other, _)| *other != server && !is_left_at_a_rescue(snapshot, other))
        .find_map(|(_, facts)| facts.channel(&cluster.policy.channel));
    let channel = sibling.zip(own).map(|(sibling, own)| ChannelStatus {
        positioning: own.positioning,
        delay_seconds: own.delay_seconds,
        ..sibling.clone()
    });
    Ok((channel, predecessor(cluster, primary).await?))
}

/// Whether a server still points to saved events that are served no more: it could not be reached
/// when the operation that gave them ended.
pub fn is_left_at_a_rescue(snapshot: &ClusterSnapshot, server: &Address) -> bool {
    snapshot.live_channel(server).is_some_and(|channel| {
        // MariaDB still says the number of the source before: only the address tells.
        primacy_rescue::is_account(&channel.user) && !snapshot.servers.contains_key(&channel.source)
    })
}

/// Where a replica by file and position goes on at the primary: only the operation that made it
/// primary knows. What the replica lacks up to there it gets from what that operation saved.
async fn bring_to_the_pair(
    cluster: &Cluster,
    server: &Address,
    source: &Address,
    primary: &Address,
) -> Result<(Pair, Option<ChannelStatus>), StepError> {
    let shared = of_earlier(cluster, source, primary).await?;
    let pair = shared.as_ref().and_then(|shared| Some((shared, shared.pair()?)));
    let Some((shared, pair)) = pair else {
        let why = format!(
            "it stands in the binary log of {source}, and it is not on record which place of \
             {primary} continues that"
        );
        return Err(StepError::impossible(server, why));
    };
    steps::rescue_late(cluster, shared, server, &pair).await?;
    Ok((pair, shared.noted_channel(server)))
}

fn replicates_by_place(snapshot: &ClusterSnapshot, server: &Address) -> bool {
    snapshot
        .live_channel(server)
        .is_some_and(|c| c.positioning == primacy_types::Positioning::FileAndPosition)
}

/// Closes a server that accepts writes although it is not the primary.
///
/// # Errors
/// If it does not answer, or stays writable.
pub async fn close(cluster: &Cluster, server: &Address) -> Result<(), StepError> {
    steps::close_by_sql(cluster, server).await
}

/// Whether any step that was begun, in whichever of the plans, may have recorded the new epoch.
async fn has_recorded(journal: &Journal, begun: &[Begun]) -> Result<bool, StoreError> {
    let generations: BTreeSet<u32> = begun.iter().map(|b| b.generation).collect();
    for generation in generations {
        let Some(page) = journal.plan(generation).await? else { continue };
        let of = begun.iter().filter(|b| b.generation == generation && b.started);
        let mut steps = of.filter_map(|b| page.plan.steps.get(b.index));
        if steps.any(|planned| records(&planned.step)) {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Operation<'_> {
    async fn give_up_if_serving(&mut self) -> Result<(), OperationError> {
        let limit = self.cluster.policy.timing.statement_limit.as_duration();
        let snapshot = self.cluster.eyes.look(limit).await;
        if snapshot.live(&self.plan.old).is_some_and(|f| f.writable()) {
            let why = StepError::impossible(&self.plan.old, "it accepts writes again");
            return Err(self.back_out(why).await);
        }
        Ok(())
    }

    /// The guard that kept the old primary down ended with the manager: it is fenced again before
    /// anything else is done.
    pub(crate) async fn fence_again(&mut self) -> Result<(), OperationError> {
        let Some(first) = self.journal.plan(1).await? else { return Ok(()) };
        let Some((index, planned)) =
            first.plan.steps.iter().enumerate().find(|(_, s)| matches!(s.step, Step::Fence { .. }))
        else {
            return Ok(());
        };
        let noted = self.begun.iter().find(|b| b.generation == 1 && b.index == index);
        let noted = noted.map(|b| b.detail.clone()).unwrap_or_default();
        match steps::perform(self.cluster, &first.plan, planned, &noted, &self.shared).await {
            Ok(said) => {
                self.fenced = matches!(planned.step, Step::Fence { rung: Some(_), .. });
                self.tell(Level::Info, said);
                Ok(())
            }
            Err(error) => {
                self.tell(Level::Alarm, error.to_string());
                Err(OperationError::Unfinished { error: Box::new(error) })
            }
        }
    }

    /// Lets the fenced server be started again: it comes back read-only or is set so on sight.
    pub(crate) async fn release_fence(&mut self) {
        self.fenced = false;
        if self.plan.kind == OperationKind::Failover
            && let Err(error) = steps::release(self.cluster, &self.plan.old).await
        {
            self.tell(Level::Warning, error.to_string());
        }
    }
}
