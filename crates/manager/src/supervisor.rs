//! The loop of one cluster: look, diagnose, decide, act; one operation at a time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use primacy_exec::{
    Control, OperationError, REJOIN, Report, Request, StepError, resume, return_address, start,
};
use primacy_plan::{Decision, Diagnosis, FailoverRequest, decide, descends_from, diagnose};
use primacy_store::{Level, OperationRecord};
use primacy_types::{Address, ClusterSnapshot, GtidMode};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::chores::Chores;
use crate::cluster::{adopt, follow};
use crate::hosts;
use crate::rebuild::Rebuilds;
use crate::repairs::{RejoinWish, Repairs, end_unfinished, refresh_absent};
use crate::setup::Watched;

/// How often the rules that depend on time alone are looked at while all is well.
const CALM: Duration = Duration::from_millis(250);

/// The same while something is wrong.
const TENSE: Duration = Duration::from_millis(25);

/// Pause before something that was refused or failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// A manager that was just started waits no longer than this for hosts that have not answered yet.
const HOSTS: Duration = Duration::from_secs(10);

/// Pause before a hook that refused a failover, or a script that failed, is called again: each time
/// is an operation of its own in the history.
const ASK_HOOKS_AGAIN: Duration = Duration::from_secs(30);

/// How long the replicas of a dead primary may take to say what they hold, before it is planned
/// with what they said last.
const FRESH: Duration = Duration::from_millis(300);

/// How often it is looked whether an operation was left half done.
const UNFINISHED: Duration = Duration::from_secs(5);

/// An order of a person, and where its outcome goes.
pub(crate) enum Order {
    /// An operation.
    Operate {
        /// Which.
        request: Request,
        /// What came of it.
        done: oneshot::Sender<Result<Report, OperationError>>,
    },
    /// A server that is to be a replica again.
    Rejoin(RejoinWish),
}

/// The way to a running supervisor.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) orders: mpsc::Sender<Order>,
    pub(crate) amendments: watch::Sender<Option<FailoverRequest>>,
    /// What is done beside its operations, one at a time.
    pub(crate) chores: Chores,
    /// What is under way, as a sentence; empty if nothing is.
    busy: Arc<Mutex<Option<&'static str>>>,
}

impl Handle {
    /// The kind of the operation that is under way.
    pub(crate) fn busy(&self) -> Option<&'static str> {
        *self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Supervises one cluster.
pub(crate) struct Supervisor {
    watched: Arc<Watched>,
    brake: Arc<Semaphore>,
    stop: CancellationToken,
    orders: mpsc::Receiver<Order>,
    handle: Handle,
    /// What was last said, so that it is not said every time.
    said: Option<String>,
    /// Nothing is begun by itself before this.
    not_before: Option<Instant>,
    /// How long after its start it waits for the first answers of hosts before a failover.
    hosts_until: Instant,
    /// Operations that were left half done are looked for from this moment on.
    look_for_unfinished_at: Instant,
    /// An operation that came to nothing may have taken the applications' address from the primary;
    /// it is given back from this moment on.
    return_address_at: Option<Instant>,
    repairs: Repairs,
    /// A failover was done that leaves the rest to a person: nothing more is done by itself.
    rests: bool,
}

impl Supervisor {
    /// Starts the loop; it ends when `stop` is cancelled and no operation is under way.
    pub(crate) fn start(
        watched: Arc<Watched>,
        brake: Arc<Semaphore>,
        rebuilds: Arc<Rebuilds>,
        stop: CancellationToken,
    ) -> (Handle, JoinHandle<()>) {
        let (orders, inbox) = mpsc::channel(8);
        let handle = Handle {
            orders,
            amendments: watch::Sender::new(None),
            chores: Chores::default(),
            busy: Arc::default(),
        };
        let supervisor = Self {
            repairs: Repairs::new(Arc::clone(&watched), rebuilds, handle.clone()),
            watched,
            brake,
            stop,
            orders: inbox,
            handle: handle.clone(),
            said: None,
            not_before: None,
            hosts_until: Instant::now() + HOSTS,
            look_for_unfinished_at: Instant::now(),
            return_address_at: Some(Instant::now()),
            rests: false,
        };
        (handle, tokio::spawn(supervisor.run()))
    }

    async fn run(mut self) {
        let before = "the manager was ended meanwhile; it is tried again";
        end_unfinished(&self.watched.cluster, REJOIN, before).await;
        crate::restarts::finish_interrupted(&self.watched, self.handle.clone());
        let mut changes = self.watched.observatory.changes();
        let mut tick = CALM;
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                order = self.orders.recv() => match order {
                    Some(order) => self.obey(order).await,
                    None => break,
                },
                _ = changes.changed() => {}
                () = tokio::time::sleep(tick) => {}
            }
            changes.mark_unchanged();
            tick = if self.turn().await { CALM } else { TENSE };
        }
        self.repairs.end().await;
    }

    /// One turn; true if all is well.
    async fn turn(&mut self) -> bool {
        if self.rests {
            return true;
        }
        if self.look_for_unfinished_at <= Instant::now() {
            if let Some(record) = self.unfinished().await {
                self.watched.observatory.set_quiet(false);
                self.go_on_with(record).await;
                return false;
            }
            self.look_for_unfinished_at = Instant::now() + UNFINISHED;
            self.watched.observatory.set_quiet(true);
        }
        let snapshot = self.watched.cluster.eyes.remembered();
        match adopt(&self.watched.cluster, &self.watched.observatory, &snapshot).await {
            Ok(true) => return true,
            Ok(false) => {}
            Err(error) => self.say(Level::Alarm, error.to_string()),
        }
        let diagnosis = diagnose(&snapshot);
        if let Some(moved) = moved_by_a_person(&snapshot, &diagnosis) {
            let (cluster, seen) = (&self.watched.cluster, &self.watched.observatory);
            if let Err(error) = follow(cluster, seen, &snapshot, &moved).await {
                self.say(Level::Alarm, error.to_string());
            }
            return true;
        }
        let waiting = self.not_before.is_some_and(|at| at > Instant::now());
        match decide(&snapshot, &diagnosis) {
            Decision::Nothing { why, alarm } => {
                let serving = diagnosis.is_serving();
                if alarm || !serving || self.said.is_some() {
                    let level = if alarm { Level::Warning } else { Level::Info };
                    self.say(level, why);
                }
                if serving {
                    self.return_address(&snapshot).await;
                    self.repairs.look(&snapshot);
                }
                serving
            }
            _ if waiting => false,
            // Until then it is not known whose files can be read and who can be fenced.
            Decision::FailOver
                if self.hosts_until > Instant::now() && hosts::are_asked(&snapshot) =>
            {
                let text = "a failover waits for the first answers of the hosts".to_owned();
                self.say(Level::Info, text);
                false
            }
            Decision::FailOver if hosts::agent_looks(&snapshot) => false,
            Decision::FailOver => {
                self.say(Level::Alarm, diagnosis.sentence());
                // What the replicas hold was seen at another moment than what the primary had
                // written: only fresh looks can be compared.
                let snapshot = self.watched.cluster.eyes.look(FRESH).await;
                if decide(&snapshot, &diagnose(&snapshot)) == Decision::FailOver {
                    self.fail_over(&snapshot).await;
                }
                false
            }
            Decision::Reopen { primary } => {
                self.say(Level::Warning, diagnosis.sentence());
                let snapshot = self.watched.cluster.eyes.look(FRESH).await;
                let again = decide(&snapshot, &diagnose(&snapshot));
                let all_tried =
                    snapshot.servers.values().all(|s| s.contact != primacy_types::Contact::Untried);
                if all_tried && again == (Decision::Reopen { primary: primary.clone() }) {
                    self.act(&snapshot, Request::Reopen(primary), None).await;
                }
                false
            }
            Decision::CloseIntruders { servers } => {
                for server in servers {
                    self.close_intruder(&server).await;
                }
                false
            }
        }
    }

    /// Says something once, until something else is to be said.
    fn say(&mut self, level: Level, text: String) {
        // Numbers change from turn to turn; they alone are nothing new.
        let gist: String = text.chars().filter(|c| !c.is_ascii_digit()).collect();
        if self.said.as_ref() != Some(&gist) {
            self.watched.cluster.chronicle.tell(&self.watched.cluster.name, None, level, text);
            self.said = Some(gist);
        }
    }

    async fn unfinished(&self) -> Option<OperationRecord> {
        let (store, name) = (self.watched.cluster.store.clone(), self.watched.cluster.name.clone());
        tokio::task::spawn_blocking(move || store.unfinished(&name)).await.ok()?.ok()?
    }

    /// Goes on with what a restart (or a failure past the point of no return) left half done.
    async fn go_on_with(&mut self, record: OperationRecord) {
        if self.not_before.is_some_and(|at| at > Instant::now()) {
            return;
        }
        if let Err(error) = self.watched.cluster.lock.permits() {
            self.say(Level::Alarm, format!("an operation is half done and waits: {error}"));
            return;
        }
        // What is on record may be older than what the servers are now.
        let limit = self.watched.cluster.policy.timing.statement_limit.as_duration();
        let _ = self.watched.cluster.eyes.look(limit).await;
        self.set_busy(Some("resumed operation"));
        let amendments = self.handle.amendments.subscribe();
        let cluster = Arc::clone(&self.watched.cluster);
        let result = Box::pin(resume(&cluster, &record, amendments.into())).await;
        self.set_busy(None);
        if let Err(error) = &result {
            self.say(Level::Alarm, error.to_string());
        }
        self.after(result.as_ref().map(|r| r.kind.word()), true).await;
    }

    async fn fail_over(&mut self, snapshot: &ClusterSnapshot) {
        let Ok(permit) = Arc::clone(&self.brake).try_acquire_owned() else {
            self.say(
                Level::Alarm,
                "the brake holds: as many clusters as max_failovers_at_once allows are failing \
                 over already"
                    .to_owned(),
            );
            self.not_before = Some(Instant::now() + AGAIN);
            return;
        };
        let watched = Arc::clone(&self.watched);
        let _admitted = match &watched.admission {
            Some(admission) => match admission.may_fail_over(&live_replicas(snapshot)).await {
                Ok(kept) => Some(kept),
                Err(why) => {
                    self.say(Level::Alarm, format!("the failover is not begun: {why}"));
                    self.not_before = Some(Instant::now() + AGAIN);
                    return;
                }
            },
            None => None,
        };
        let request = Request::Failover(FailoverRequest::default());
        self.act(snapshot, request, Some(Box::new(permit))).await;
    }

    async fn act(
        &mut self,
        snapshot: &ClusterSnapshot,
        request: Request,
        permit: Option<Box<dyn Send + Sync>>,
    ) {
        let result = self.operate(snapshot, request, permit).await;
        self.after(result.as_ref().map(|r| r.kind.word()), true).await;
        let by_program = match &result {
            Err(OperationError::RefusedByHook(_)) => true,
            Err(OperationError::BackedOut { error } | OperationError::HalfWay { error, .. }) => {
                matches!(**error, StepError::Script { .. })
            }
            _ => false,
        };
        if by_program {
            self.not_before = Some(Instant::now() + ASK_HOOKS_AGAIN);
        }
        if let Err(error) = result {
            self.say(Level::Alarm, error.to_string());
        }
    }

    async fn obey(&mut self, order: Order) {
        let limit = self.watched.cluster.policy.timing.statement_limit.as_duration();
        let snapshot = self.watched.cluster.eyes.look(limit).await;
        match order {
            Order::Operate { request, done } => {
                let result = self.operate(&snapshot, request, None).await;
                self.after(result.as_ref().map(|r| r.kind.word()), false).await;
                let _ = done.send(result);
            }
            Order::Rejoin(wish) => self.repairs.obey(wish, snapshot).await,
        }
    }

    async fn operate(
        &mut self,
        snapshot: &ClusterSnapshot,
        request: Request,
        permit: Option<Box<dyn Send + Sync>>,
    ) -> Result<Report, OperationError> {
        self.repairs.end().await;
        self.set_busy(Some(request.kind().word()));
        let amendments = self.handle.amendments.subscribe();
        let cluster = Arc::clone(&self.watched.cluster);
        let control = Control { amendments, permit };
        let result = Box::pin(start(&cluster, snapshot, request, control)).await;
        self.set_busy(None);
        result
    }

    /// Takes over what the operation has put on record.
    async fn after<E>(&mut self, result: Result<&'static str, &E>, automatic: bool) {
        let limit = self.watched.cluster.policy.timing.statement_limit.as_duration();
        let _ = self.watched.cluster.eyes.look(limit).await;
        refresh_absent(&self.watched).await;
        self.look_for_unfinished_at = Instant::now();
        if result.is_err() {
            self.not_before = Some(Instant::now() + AGAIN);
            self.return_address_at = Some(Instant::now());
            return;
        }
        self.rests |=
            result.ok() == Some("failover") && self.watched.cluster.policy.leaves.anything();
        self.said = Some(String::new());
        if automatic && result.ok() == Some("failover") {
            let cluster = &self.watched.cluster;
            let (store, name, at) =
                (cluster.store.clone(), cluster.name.clone(), cluster.clock.wall());
            let _ =
                tokio::task::spawn_blocking(move || store.set_last_failover(&name, Some(at), at))
                    .await;
            let now = cluster.clock.now();
            self.watched.observatory.set_record(|record| record.last_failover = Some(now));
        }
    }

    /// Gives the applications' address back to a primary that serves after all.
    async fn return_address(&mut self, snapshot: &ClusterSnapshot) {
        let cluster = &self.watched.cluster;
        let due = self.return_address_at.is_some_and(|at| at <= Instant::now());
        if !due || snapshot.paused || cluster.lock.permits().is_err() {
            return;
        }
        self.return_address_at = None;
        match return_address(cluster, snapshot).await {
            Ok(None) => {}
            Ok(Some(done)) => {
                cluster.chronicle.tell(&cluster.name, None, Level::Notice, done);
            }
            Err(error) => {
                let text = format!("the applications' address was not given back: {error}");
                cluster.chronicle.tell(&cluster.name, None, Level::Alarm, text);
                self.return_address_at = Some(Instant::now() + ASK_HOOKS_AGAIN);
            }
        }
    }

    fn set_busy(&self, with: Option<&'static str>) {
        if with.is_some() {
            self.watched.observatory.set_quiet(false);
        }
        *self.handle.busy.lock().unwrap_or_else(PoisonError::into_inner) = with;
    }

    /// A server that accepts writes and is not the primary on record is closed on sight.
    async fn close_intruder(&mut self, server: &Address) {
        let cluster = &self.watched.cluster;
        if let Err(error) = cluster.lock.permits() {
            self.say(
                Level::Alarm,
                format!("{server} accepts writes and is not the primary, but {error}"),
            );
            return;
        }
        let closed = primacy_exec::close(cluster, server).await;
        match closed {
            Ok(()) => {
                let text =
                    format!("{server} accepted writes and is not the primary: it is read-only now");
                cluster.chronicle.tell(&cluster.name, None, Level::Alarm, text);
                self.said = Some(String::new());
            }
            Err(error) => {
                self.say(
                    Level::Alarm,
                    format!("{server} accepts writes and is not the primary: {error}"),
                );
                self.not_before = Some(Instant::now() + AGAIN);
            }
        }
        let limit = self.watched.cluster.policy.timing.statement_limit.as_duration();
        let _ = self.watched.cluster.eyes.look(limit).await;
    }
}

/// Everybody that answers but the primary.
fn live_replicas(snapshot: &ClusterSnapshot) -> Vec<Address> {
    let live = snapshot.all_live().map(|(server, _)| server);
    live.filter(|server| snapshot.primary.as_ref() != Some(server)).cloned().collect()
}

/// A person moved the role: the primary on record is dead or read-only, and the only server that
/// accepts writes is one that it replicates from, or one that replicates from nobody and has all
/// that any live server has.
fn moved_by_a_person(snapshot: &ClusterSnapshot, diagnosis: &Diagnosis) -> Option<Address> {
    let recorded = snapshot.primary.as_ref()?;
    let mut writable = snapshot.all_live().filter(|(_, f)| f.writable());
    let (one, facts) = writable.next()?;
    if writable.next().is_some() || one == recorded {
        return None;
    }
    if !matches!(diagnosis, Diagnosis::SeveralWritable { .. } | Diagnosis::PrimaryDead { .. }) {
        return None;
    }
    // Without GTID it cannot be told from a primary of long ago that was started first.
    let promoted = facts.gtid_mode == GtidMode::On
        && facts.channel(&snapshot.policy.channel).is_none()
        && snapshot.all_live().all(|(_, other)| facts.executed.covers(&other.executed));
    // Of two that replicate from each other the dead one says nothing of the living one's role.
    let pair = snapshot.live(recorded).is_none() && descends_from(snapshot, one, recorded);
    (promoted || (descends_from(snapshot, recorded, one) && !pair)).then(|| one.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use primacy_plan::testing::{World, addr, cluster, pos};

    fn moved(world: &World) -> Option<Address> {
        moved_by_a_person(&world.snapshot, &diagnose(&world.snapshot))
    }

    /// Somebody promoted b by hand while the primary was dead, and applications write there.
    fn promoted_by_hand() -> World {
        let mut world = cluster(["a", "b", "c"]).primary_killed();
        let b = world.facts("b");
        b.channels.clear();
        b.read_only = false;
        b.executed = pos("0-2-150");
        world
    }

    #[test]
    fn a_server_that_a_person_promoted_is_put_on_record_while_the_old_primary_is_dead() {
        assert_eq!(moved(&promoted_by_hand()), Some(addr("b")));
    }

    #[test]
    fn a_replica_that_was_only_made_writable_is_not_the_new_primary() {
        let mut world = cluster(["a", "b", "c"]).primary_killed();
        world.facts("b").read_only = false;
        assert_eq!(moved(&world), None);
    }

    #[test]
    fn of_two_that_replicate_from_each_other_the_living_one_is_not_promoted_by_the_others_death() {
        let mut world = cluster(["a", "b"]);
        world.facts("b").read_only = false;
        let mut back = world.channel("b").clone();
        back.source = addr("b");
        world.facts("a").channels.push(back);
        world.facts("a").read_only = true;
        assert_eq!(moved(&world), Some(addr("b")), "while both live");
        let world = world.primary_killed();
        assert_eq!(moved(&world), None);
    }

    #[test]
    fn a_writable_server_that_lacks_what_another_has_is_not_the_new_primary() {
        let mut world = promoted_by_hand();
        world.facts("c").executed = pos("0-1-160");
        assert_eq!(moved(&world), None);
    }
}
