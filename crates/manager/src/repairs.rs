//! What is mended beside the loop while the cluster serves: replicas that follow a former primary,
//! and servers that are back. One at a time, and given up at once when an operation begins.

mod patience;
mod stray;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use primacy_api::{RebuildAnswer, RebuildOrder};
use primacy_exec::{
    Asked, Cluster, Judged, REJOIN, Rejoined, StepError, absences, finish_relearning, judge,
    rejoin, repoint_stray, start_restarted,
};
use primacy_plan::{is_fed_by, managed_source};
use primacy_store::Level;
use primacy_types::{
    Absence, AbsenceState, Address, ClusterSnapshot, OnErrant, Rejoin, ServerFacts,
};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::patience::Memory;
use self::stray::stray;
use crate::rebuild::Rebuilds;
use crate::setup::Watched;
use crate::supervisor::Handle;

/// How often it is looked for something to mend.
const LOOK: Duration = Duration::from_secs(3);

/// A server that a person wants back.
pub(crate) struct RejoinWish {
    pub(crate) server: Address,
    /// Instead of what the configuration says.
    pub(crate) on_errant: Option<OnErrant>,
    pub(crate) done: oneshot::Sender<Result<Rejoined, StepError>>,
}

/// What is mended beside the loop.
pub(crate) struct Repairs {
    watched: Arc<Watched>,
    rebuilds: Arc<Rebuilds>,
    handle: Handle,
    next: Instant,
    task: Option<JoinHandle<()>>,
    memory: Arc<Mutex<Memory>>,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
enum Repair {
    /// It is still kept down: whoever fenced it could not reach its agent when it let it go.
    KeptDown(Address),
    /// It follows a former primary.
    Stray(Address),
    /// It was restarted, and its threads were not.
    Restarted(Address),
    /// It is back.
    Returned(Address),
    /// It gets back what it wrote itself.
    Relearning(Address, AbsenceState),
    /// It is in its place again, however it came there.
    Home(Address),
}

impl Repair {
    /// Whose.
    const fn server(&self) -> &Address {
        match self {
            Self::KeptDown(server)
            | Self::Stray(server)
            | Self::Restarted(server)
            | Self::Returned(server)
            | Self::Relearning(server, _)
            | Self::Home(server) => server,
        }
    }
}

impl Repairs {
    pub(crate) fn new(watched: Arc<Watched>, rebuilds: Arc<Rebuilds>, handle: Handle) -> Self {
        Self { watched, rebuilds, handle, next: Instant::now(), task: None, memory: Arc::default() }
    }

    /// Looks for something to mend, and begins it.
    pub(crate) fn look(&mut self, snapshot: &ClusterSnapshot) {
        memory(&self.memory).note_who_runs(snapshot, Instant::now());
        let idle = self.task.as_ref().is_none_or(JoinHandle::is_finished);
        if snapshot.paused || !idle || self.next > Instant::now() {
            return;
        }
        self.next = Instant::now() + LOOK;
        if self.watched.cluster.lock.permits().is_err() {
            return;
        }
        let Some(primary) = snapshot.primary.clone() else { return };
        let down = self.watched.leases.iter().flat_map(|leases| leases.kept_down());
        let down: Vec<_> = down.collect();
        let rebuilt = self.watched.observatory.record().rebuilt;
        // Data that is being replaced is brought home by that; one that is kept down is let go all the same.
        let due = |server: &Address| {
            let memory = memory(&self.memory);
            (!rebuilt.contains(server) || down.contains(server))
                && memory.is_due(server, &primary, Instant::now())
        };
        let restarted = |server: &Address, facts: &ServerFacts| {
            memory(&self.memory).was_restarted(server, facts.uptime_seconds, Instant::now())
        };
        let Some(repair) = next(snapshot, &primary, &down, due, restarted) else { return };
        if rebuilt.contains(repair.server()) && !matches!(repair, Repair::KeptDown(_)) {
            return;
        }
        let work = Work {
            watched: Arc::clone(&self.watched),
            rebuilds: Arc::clone(&self.rebuilds),
            handle: self.handle.clone(),
            snapshot: snapshot.clone(),
            primary,
            memory: Arc::clone(&self.memory),
        };
        self.task = Some(tokio::spawn(async move { Box::pin(work.mend(repair)).await }));
    }

    /// A person wants a server back, now.
    pub(crate) async fn obey(&mut self, wish: RejoinWish, snapshot: ClusterSnapshot) {
        self.end().await;
        let Some(primary) = snapshot.primary.clone() else {
            let _gone = wish.done.send(Err(StepError::Impossible {
                server: wish.server,
                why: "the cluster has no primary that it could follow".to_owned(),
            }));
            return;
        };
        let work = Work {
            watched: Arc::clone(&self.watched),
            rebuilds: Arc::clone(&self.rebuilds),
            handle: self.handle.clone(),
            snapshot,
            primary,
            memory: Arc::clone(&self.memory),
        };
        self.task = Some(tokio::spawn(async move {
            let done =
                Box::pin(work.bring_back(&wish.server, wish.on_errant, Asked::ByPerson)).await;
            work.refresh().await;
            let _gone = wish.done.send(done);
        }));
    }

    /// Gives up what is under way: an operation begins, or the manager ends.
    pub(crate) async fn end(&mut self) {
        let Some(task) = self.task.take() else { return };
        if !task.is_finished() {
            task.abort();
        }
        if task.await.is_err() {
            let cluster = &self.watched.cluster;
            let why = "another operation began meanwhile; it is tried again";
            end_unfinished(cluster, REJOIN, why).await;
        }
    }
}

/// What of this kind was not ended is closed in the history.
pub(crate) async fn end_unfinished(cluster: &Cluster, kind: &'static str, why: &'static str) {
    let (store, name, now) = (cluster.store.clone(), cluster.name.clone(), cluster.clock.wall());
    let ended = tokio::task::spawn_blocking(move || store.end_besides(&name, kind, why, now)).await;
    if let Ok(Err(error)) = ended {
        tracing::warn!(cluster = cluster.name, %error, "what was interrupted was not closed");
    }
}

fn memory(memory: &Mutex<Memory>) -> std::sync::MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A repair under way.
struct Work {
    watched: Arc<Watched>,
    rebuilds: Arc<Rebuilds>,
    handle: Handle,
    snapshot: ClusterSnapshot,
    primary: Address,
    memory: Arc<Mutex<Memory>>,
}

impl Work {
    async fn mend(self, repair: Repair) {
        let cluster = &self.watched.cluster;
        match repair {
            Repair::KeptDown(server) => self.let_go(&server).await,
            Repair::Stray(server) => {
                let done = repoint_stray(cluster, &self.snapshot, &server, &self.primary).await;
                let why = done.as_ref().err().map(ToString::to_string);
                if !memory(&self.memory).is_news(&server, why) {
                    return;
                }
                match done {
                    Ok(_) => self.tell(
                        Level::Notice,
                        format!(
                            "{server} followed no primary any more; it replicates from {} now",
                            self.primary
                        ),
                    ),
                    Err(error) => {
                        self.tell(Level::Warning, format!("{server} was not repointed: {error}"));
                    }
                }
            }
            Repair::Restarted(server) => {
                memory(&self.memory).put_off(&server, &self.primary, Instant::now());
                let done = start_restarted(cluster, &self.snapshot, &server, &self.primary).await;
                let (level, text) = match done {
                    Ok(()) => {
                        let text = "was restarted without replication, which was started again";
                        (Level::Notice, format!("{server} {text}"))
                    }
                    Err(error) => (Level::Warning, error.to_string()),
                };
                self.say_once(&server, level, text);
            }
            Repair::Returned(server) => {
                self.returned(&server).await;
                self.refresh().await;
            }
            Repair::Relearning(server, state) => {
                match finish_relearning(cluster, &server, &state).await {
                    Ok(false) => {}
                    Ok(true) => self.tell(
                        Level::Notice,
                        format!("{server} has what it had lost, and its own server_id again"),
                    ),
                    Err(error) => {
                        memory(&self.memory).put_off(&server, &self.primary, Instant::now());
                        self.say_once(&server, Level::Alarm, error.to_string());
                    }
                }
                self.refresh().await;
            }
            Repair::Home(server) => {
                let (store, name) = (cluster.store.clone(), cluster.name.clone());
                let at = server.clone();
                let _told_next_time =
                    tokio::task::spawn_blocking(move || store.end_absence(&name, &at)).await;
                memory(&self.memory).tries.remove(&server);
                self.refresh().await;
            }
        }
    }

    /// No operation is under way, and another server is the primary.
    async fn let_go(&self, server: &Address) {
        let cluster = &self.watched.cluster;
        let Some(host) = cluster.hosts.of(server) else { return };
        match host.release().await {
            Ok(()) => {
                let mut memory = memory(&self.memory);
                memory.tries.remove(server);
                memory.said.remove(server);
                let text = format!("{server} was still kept down, and may be started again");
                self.tell(Level::Notice, text);
            }
            Err(error) => {
                memory(&self.memory).put_off(server, &self.primary, Instant::now());
                let text = format!("{server} is kept down, and was not let go: {error}");
                self.say_once(server, Level::Warning, text);
            }
        }
    }

    /// A server that is back, as policy wants it.
    async fn returned(&self, server: &Address) {
        let cluster = &self.watched.cluster;
        let done = match cluster.policy.rejoin {
            Rejoin::Never => return,
            Rejoin::Ask => {
                match judge(cluster, &self.snapshot, server, &self.primary).await {
                    Ok(Judged::Able { .. }) => {
                        let text = format!(
                            "{server} is back and could replicate from {}: `primacy rejoin {server}`",
                            self.primary
                        );
                        self.say_once(server, Level::Warning, text);
                        self.wait_for_a_person(server).await;
                    }
                    Ok(Judged::Errant(which)) => self.say_once(
                        server,
                        Level::Alarm,
                        format!(
                            "{server} is back with {which}, which the primary has not: `primacy \
                             rejoin {server}` saves them"
                        ),
                    ),
                    Ok(Judged::Unable(why)) => {
                        self.say_once(server, Level::Alarm, format!("{server}: {why}"));
                    }
                    Err(error) => self.say_once(server, Level::Warning, error.to_string()),
                }
                memory(&self.memory).put_off(server, &self.primary, Instant::now());
                return;
            }
            Rejoin::Auto => self.bring_back(server, None, Asked::ByPolicy).await,
        };
        match done {
            Ok(rejoined) if rejoined.absence.as_ref().is_none_or(|a| !a.needs_a_person()) => {
                let mut memory = memory(&self.memory);
                memory.tries.remove(server);
                memory.said.remove(server);
            }
            Ok(_) => memory(&self.memory).put_off(server, &self.primary, Instant::now()),
            Err(error) => {
                memory(&self.memory).put_off(server, &self.primary, Instant::now());
                let text = format!("{server} is back and does not replicate yet: {error}");
                self.say_once(server, Level::Warning, text);
            }
        }
    }

    async fn bring_back(
        &self,
        server: &Address,
        on_errant: Option<OnErrant>,
        asked: Asked,
    ) -> Result<Rejoined, StepError> {
        let cluster = &self.watched.cluster;
        let on_errant = on_errant.unwrap_or(cluster.policy.on_errant);
        let done = self.rejoin(server, on_errant, asked).await?;
        let left = done.absence.as_ref().is_some_and(Absence::needs_a_person);
        if on_errant == OnErrant::Rebuild && left {
            return Ok(self.rebuild(server, done).await);
        }
        Ok(done)
    }

    async fn rejoin(
        &self,
        server: &Address,
        on_errant: OnErrant,
        asked: Asked,
    ) -> Result<Rejoined, StepError> {
        let cluster = &self.watched.cluster;
        rejoin(cluster, &self.snapshot, server, &self.primary, on_errant, asked).await
    }

    /// Begins to replace the data of a server that cannot follow with it; what only it had is saved.
    async fn rebuild(&self, server: &Address, mut left: Rejoined) -> Rejoined {
        let order = RebuildOrder::of(server.clone());
        match self.rebuilds.begin(&self.watched, &self.handle, &order).await {
            Ok(RebuildAnswer::Begun { operation, .. }) => {
                left.sentence = format!(
                    "{}; its data is being replaced (primacy history {operation})",
                    left.sentence
                );
            }
            Ok(RebuildAnswer::Plan { .. }) => {}
            Err(error) => {
                let reasons = error.reasons.iter().map(|r| format!(": {} ({})", r.why, r.remedy));
                let why: String = reasons.collect();
                let text = format!("{server} is not rebuilt: {}{why}", error.message);
                self.say_once(server, Level::Alarm, text.clone());
                left.sentence = format!("{}; {text}", left.sentence);
            }
        }
        left
    }

    async fn wait_for_a_person(&self, server: &Address) {
        let Some(absence) = self.snapshot.absent.get(server) else { return };
        if absence.state != AbsenceState::Replaced {
            return;
        }
        let waiting = Absence { state: AbsenceState::Waiting, ..absence.clone() };
        let cluster = &self.watched.cluster;
        let (store, name, server) = (cluster.store.clone(), cluster.name.clone(), server.clone());
        let record = serde_json::to_value(waiting).unwrap_or_default();
        let _seen_again =
            tokio::task::spawn_blocking(move || store.set_absence(&name, &server, &record)).await;
    }

    /// Takes over what was put on record.
    async fn refresh(&self) {
        refresh_absent(&self.watched).await;
    }

    fn say_once(&self, server: &Address, level: Level, text: String) {
        if memory(&self.memory).is_news(server, Some(text.clone())) {
            self.tell(level, text);
        }
    }

    fn tell(&self, level: Level, text: String) {
        let cluster = &self.watched.cluster;
        cluster.chronicle.tell(&cluster.name, None, level, text);
    }
}

/// Takes over which servers are not in their places, as it is on record.
pub(crate) async fn refresh_absent(watched: &Watched) {
    let (store, name) = (watched.cluster.store.clone(), watched.cluster.name.clone());
    if let Ok(Ok(absent)) = tokio::task::spawn_blocking(move || absences(&store, &name)).await {
        watched.observatory.set_record(|record| record.absent = absent);
    }
}

/// What is to be mended next; servers that are `down` and back come before strays, which are served
/// meanwhile.
fn next(
    snapshot: &ClusterSnapshot,
    primary: &Address,
    down: &[Address],
    is_due: impl Fn(&Address) -> bool,
    was_restarted: impl Fn(&Address, &ServerFacts) -> bool,
) -> Option<Repair> {
    if let Some(server) = down.iter().find(|server| *server != primary && is_due(server)) {
        return Some(Repair::KeptDown(server.clone()));
    }
    for (server, absence) in &snapshot.absent {
        let Some(facts) = snapshot.live(server) else { continue };
        if server == primary {
            return Some(Repair::Home(server.clone()));
        }
        if !is_due(server) || facts.writable() {
            continue;
        }
        let follows = is_fed_by(snapshot, server, primary);
        match &absence.state {
            state @ AbsenceState::Relearning { .. } if follows => {
                return Some(Repair::Relearning(server.clone(), state.clone()));
            }
            _ if follows && runs(snapshot, facts) => return Some(Repair::Home(server.clone())),
            _ if snapshot.policy.rejoin == Rejoin::Never => {}
            _ => return Some(Repair::Returned(server.clone())),
        }
    }
    let still = snapshot.all_live().find(|(server, facts)| {
        snapshot.policy.rejoin == Rejoin::Auto
            && *server != primary
            && !facts.writable()
            && !snapshot.absent.contains_key(*server)
            && is_stopped(snapshot, facts)
            && managed_source(snapshot, server).as_ref() == Some(primary)
            && is_due(server)
            && was_restarted(server, facts)
    });
    match still {
        Some((server, _)) => Some(Repair::Restarted(server.clone())),
        None => stray(snapshot, primary).map(Repair::Stray),
    }
}

/// Neither thread runs, and neither says that anything went wrong.
fn is_stopped(snapshot: &ClusterSnapshot, facts: &ServerFacts) -> bool {
    facts.channel(&snapshot.policy.channel).is_some_and(|channel| {
        channel.receiver == primacy_types::ReceiverState::Stopped
            && !channel.applier_running
            && channel.receiver_error.is_none()
            && channel.applier_error.is_none()
    })
}

fn runs(snapshot: &ClusterSnapshot, facts: &ServerFacts) -> bool {
    facts.channel(&snapshot.policy.channel).is_some_and(|channel| {
        channel.receiver == primacy_types::ReceiverState::Running && channel.applier_running
    })
}

#[cfg(test)]
mod tests {
    use primacy_plan::testing::{World, addr, cluster};
    use primacy_types::WallClock;

    use super::*;

    #[test]
    fn the_same_reason_is_not_told_every_time() {
        let mut memory = Memory::default();
        let why = |text: &str| Some(text.to_owned());
        assert!(memory.is_news(&addr("b"), why("gone")));
        assert!(!memory.is_news(&addr("b"), why("gone")));
        assert!(memory.is_news(&addr("c"), why("gone")) && memory.is_news(&addr("b"), why("new")));
        assert!(memory.is_news(&addr("b"), None) && memory.is_news(&addr("b"), why("new")));
    }

    #[test]
    fn a_server_that_is_left_alone_is_looked_at_ever_more_seldom() {
        let mut memory = Memory::default();
        let mut now = Instant::now();
        assert!(memory.is_due(&addr("b"), &addr("a"), now));
        for pause in [10, 20, 40] {
            memory.put_off(&addr("b"), &addr("a"), now);
            now += Duration::from_secs(pause - 1);
            assert!(!memory.is_due(&addr("b"), &addr("a"), now), "{pause}");
            // Another primary may have what this one has not.
            assert!(memory.is_due(&addr("b"), &addr("c"), now));
            now += Duration::from_secs(2);
            assert!(memory.is_due(&addr("b"), &addr("a"), now), "{pause}");
        }
    }

    /// b is primary in the place of a, which is back.
    fn replaced(state: AbsenceState) -> World {
        let mut world = cluster(["b", "a", "c"]);
        let a = world.facts("a");
        a.channels.clear();
        world.snapshot.absent.insert(addr("a"), Absence { since: WallClock(1), state });
        world
    }

    fn due(world: &World) -> Option<Repair> {
        next(&world.snapshot, &addr("b"), &[], |_| true, |_, _| true)
    }

    #[test]
    fn one_that_cannot_be_let_go_keeps_no_other_from_coming_back() {
        let world = replaced(AbsenceState::Replaced);
        let down = [addr("b"), addr("c")];
        let next = |due: &dyn Fn(&Address) -> bool| {
            next(&world.snapshot, &addr("b"), &down, due, |_, _| true)
        };
        assert_eq!(next(&|_| true), Some(Repair::KeptDown(addr("c"))), "not the primary");
        assert_eq!(next(&|server| *server != addr("c")), Some(Repair::Returned(addr("a"))));
    }

    #[test]
    fn a_replaced_server_that_is_back_is_brought_home_unless_policy_says_never() {
        let mut world = replaced(AbsenceState::Replaced);
        assert_eq!(due(&world), Some(Repair::Returned(addr("a"))));
        world.facts("a").read_only = false;
        assert_eq!(due(&world), None, "it is closed first");
        world.facts("a").read_only = true;
        world.snapshot.policy.rejoin = Rejoin::Never;
        assert_eq!(due(&world), None);
    }

    #[test]
    fn a_server_that_a_person_has_taken_out_is_not_brought_back() {
        let mut world = replaced(AbsenceState::Replaced);
        world.snapshot.absent.clear();
        assert_eq!(due(&world), None);
    }

    #[test]
    fn one_that_follows_again_is_home() {
        let mut world = cluster(["b", "a", "c"]);
        let absence = Absence { since: WallClock(1), state: AbsenceState::Replaced };
        world.snapshot.absent.insert(addr("a"), absence);
        assert_eq!(due(&world), Some(Repair::Home(addr("a"))));
    }

    #[test]
    fn threads_that_a_person_stopped_are_left_alone_and_those_of_a_restarted_server_are_not() {
        let mut world = cluster(["b", "a", "c"]);
        let now = Instant::now();
        let mut memory = Memory::default();
        memory.note_who_runs(&world.snapshot, now);
        world.channel("a").receiver = primacy_types::ReceiverState::Stopped;
        world.channel("a").applier_running = false;
        let later = now + Duration::from_secs(60);
        let restarted = |up| memory.was_restarted(&addr("a"), up, later);
        assert!(restarted(10) && !restarted(60) && !restarted(3600));
        assert!(!memory.was_restarted(&addr("z"), 1, later), "it was never seen to run");
        assert_eq!(due(&world), Some(Repair::Restarted(addr("a"))));
        world.channel("a").applier_error =
            Some(primacy_types::ReplicationError { code: 1062, message: String::new() });
        assert_eq!(due(&world), None);
    }

    #[test]
    fn one_under_another_number_is_asked_whether_it_has_everything() {
        let mut world = cluster(["b", "a", "c"]);
        let state = AbsenceState::Relearning {
            server_id: 1,
            temporary: 2,
            until: primacy_plan::testing::pos("0-1-100"),
        };
        let absence = Absence { since: WallClock(1), state: state.clone() };
        world.snapshot.absent.insert(addr("a"), absence);
        assert_eq!(due(&world), Some(Repair::Relearning(addr("a"), state)));
    }
}
