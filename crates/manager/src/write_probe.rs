//! The write probe: a task that has the primary commit a small row every second, and says what the
//! server says while it does not. What that means is decided in `primacy_plan`.
//!
//! It writes only where the record and the server agree that it is the primary, never while an
//! operation is under way or the cluster is paused, and on a session of its own with the manager's
//! account, which operations leave alone. A write that hangs is not killed, because ending a commit
//! that waits for an acknowledgement may let others through without one: it is only looked at, and
//! no other is begun before it has ended.

use std::sync::Arc;
use std::time::Duration;

use primacy_exec::{Cluster, Eyes};
use primacy_plan::{Diagnosis, diagnose};
use primacy_probe::{Dialect, precheck};
use primacy_types::{Address, Moment, WriteWord};
use primacy_wire::{Done, Session, WireError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::memory::Memory;
use crate::observatory::Observatory;

/// Pause between two writes.
const EVERY: Duration = Duration::from_secs(1);

/// How often the process list is read while a write goes on.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Limit of anything but the write itself.
const LIMIT: Duration = Duration::from_secs(1);

/// A write that goes on for so long is left to itself, and another one begun.
const LEFT_ALONE: Duration = Duration::from_secs(600);

/// An idle session is used so often, so that the server does not close it.
const KEEP_WARM: Duration = Duration::from_secs(30);

/// So many states of other sessions are told at most.
const MOST_STATES: usize = 16;

/// `ER_NO_SUCH_TABLE`, `ER_BAD_DB_ERROR`.
const NO_TABLE: &[u16] = &[1146, 1049];

/// `ER_QUERY_INTERRUPTED`, `ER_CONNECTION_KILLED` (MariaDB), `ER_SESSION_WAS_KILLED` (MySQL), and
/// the idle limit: somebody ended us, which says nothing about writes.
const ENDED: &[u16] = &[1317, 1927, 3169, 4031];

/// `ER_UNKNOWN_SYSTEM_VARIABLE`: a server that logs rows and nothing else.
const UNKNOWN_VARIABLE: u16 = 1193;

/// Starts the task; it ends when it is aborted.
pub(crate) fn start(cluster: &Arc<Cluster>, observatory: &Arc<Observatory>) -> JoinHandle<()> {
    let quiet = observatory.quiet();
    let (cluster, observatory) = (Arc::clone(cluster), Arc::clone(observatory));
    tokio::spawn(WriteProbe { cluster, observatory, quiet, sessions: None }.run())
}

/// The sessions on the primary, made before they are needed: one whose storage hangs soon has no
/// connection left.
struct Sessions {
    primary: Address,
    writer: Session,
    watcher: Session,
    watched_at: Instant,
}

struct WriteProbe {
    cluster: Arc<Cluster>,
    observatory: Arc<Observatory>,
    /// Nothing is under way on the cluster.
    quiet: watch::Receiver<bool>,
    sessions: Option<Sessions>,
}

impl WriteProbe {
    async fn run(mut self) {
        loop {
            tokio::time::sleep(EVERY).await;
            let Some(primary) = self.primary() else {
                self.sessions = None;
                continue;
            };
            let sessions = match self.sessions.take().filter(|s| s.primary == primary) {
                Some(sessions) if !sessions.writer.is_broken() && !sessions.watcher.is_broken() => {
                    Ok(sessions)
                }
                _ => self.connect(&primary).await,
            };
            match sessions {
                Ok(sessions) => self.sessions = self.write(sessions).await,
                // Whether it can be reached is the business of others.
                Err(error) => tracing::debug!(server = %primary, %error, "no write was tried"),
            }
        }
    }

    /// The server that may be written to now.
    fn primary(&self) -> Option<Address> {
        let snapshot = self.observatory.remembered();
        if !*self.quiet.borrow() || snapshot.paused || self.cluster.lock.permits().is_err() {
            return None;
        }
        let primary = snapshot.primary.clone()?;
        let open = snapshot.server(&primary)?.facts.as_ref()?.writable();
        // Looks at a server that cannot write its log may hang before the first write does.
        let may_serve = matches!(
            diagnose(&snapshot),
            Diagnosis::Healthy { .. }
                | Diagnosis::Degraded { .. }
                | Diagnosis::PrimaryCannotWrite { .. }
                | Diagnosis::PrimarySuspected { .. }
                | Diagnosis::PrimaryCutOffFromHere { .. }
                | Diagnosis::PrimaryRefusesUs { .. }
        );
        (open && may_serve).then_some(primary)
    }

    /// Whether a write that goes on is looked at still. An operation that it has caused goes on for
    /// as long as it does.
    fn is_of_interest(&self, primary: &Address) -> bool {
        self.observatory.remembered().primary.as_ref() == Some(primary)
    }

    async fn connect(&self, primary: &Address) -> Result<Sessions, WireError> {
        let options = self.cluster.links.options(primary);
        let mut writer = Session::connect(&options).await?;
        let dialect = Dialect::of(writer.version());
        for statement in dialect.prepare_write_probe() {
            match writer.execute(statement, LIMIT).await {
                Err(error) if error.code() == Some(UNKNOWN_VARIABLE) => {}
                other => drop(other?),
            }
        }
        let watcher = Session::connect(&options).await?;
        Ok(Sessions { primary: primary.clone(), writer, watcher, watched_at: Instant::now() })
    }

    /// One write and what came of it; the sessions, if they can be used again.
    async fn write(&self, mut sessions: Sessions) -> Option<Sessions> {
        if sessions.watched_at.elapsed() >= KEEP_WARM {
            sessions.watcher.ping(LIMIT).await.ok()?;
            sessions.watched_at = Instant::now();
        }
        let began = self.observatory.now();
        let dialect = Dialect::of(sessions.writer.version());
        match self.one_write(&mut sessions, dialect, began).await? {
            // None where the server is read-only, which is seen without this.
            Ok(_) => self.observatory.update(&sessions.primary, Memory::wrote),
            Err(error) if error.code().is_some_and(|code| NO_TABLE.contains(&code)) => {
                if let Err(error) = self.create(&mut sessions, dialect).await {
                    self.failed(&sessions.primary, &error, began);
                }
            }
            Err(error) => self.failed(&sessions.primary, &error, began),
        }
        (!sessions.writer.is_broken()).then_some(sessions)
    }

    /// The server's answer, which is waited for until somebody else is the primary (`None`).
    async fn one_write(
        &self,
        sessions: &mut Sessions,
        dialect: Dialect,
        began: Moment,
    ) -> Option<Result<Done, WireError>> {
        let Sessions { primary, writer, watcher, .. } = sessions;
        let id = writer.connection_id();
        let mut done = std::pin::pin!(writer.execute(dialect.write_probe(), LEFT_ALONE));
        loop {
            tokio::select! {
                biased;
                done = &mut done => return Some(done),
                () = tokio::time::sleep(LOOK_AGAIN) => {
                    if !self.is_of_interest(primary) {
                        self.observatory.update(primary, Memory::wrote);
                        return None;
                    }
                    self.look(watcher, primary, id, began).await;
                }
            }
        }
    }

    /// Makes the table. It is made once in the life of a cluster, so the moment between the look
    /// and the statement is let pass.
    async fn create(&self, sessions: &mut Sessions, dialect: Dialect) -> Result<(), WireError> {
        let closed = sessions.writer.query("SELECT @@GLOBAL.read_only", LIMIT).await?;
        let open = closed.first().and_then(|row| row.at(0)) == Some("0");
        if !open || self.primary().as_ref() != Some(&sessions.primary) {
            return Ok(());
        }
        for create in dialect.create_probe_table() {
            sessions.writer.execute(create, self.statement_limit()).await?;
        }
        Ok(())
    }

    fn statement_limit(&self) -> Duration {
        self.cluster.policy.timing.statement_limit.as_duration()
    }

    /// What the server said instead of committing.
    fn failed(&self, primary: &Address, error: &WireError, began: Moment) {
        let (WireError::Server { code, message, .. }
        | WireError::AccessDenied { code, message, .. }) = error
        else {
            tracing::debug!(server = %primary, %error, "the write's connection was lost");
            return;
        };
        if ENDED.contains(code) {
            return;
        }
        let word = WriteWord::Refused { code: *code, message: message.clone() };
        self.tell(primary, word, began);
    }

    /// What the process list says of a write that goes on.
    async fn look(&self, watcher: &mut Session, primary: &Address, id: u64, began: Moment) {
        let ours = [self.cluster.manager_user.as_str()];
        let all = match precheck::sessions(watcher, &ours, LIMIT).await {
            Ok(all) => all,
            Err(error) => {
                tracing::debug!(server = %primary, %error, "the process list was not read");
                // A session that broke is made again, if there is a connection left.
                if watcher.is_broken()
                    && let Ok(again) = Session::connect(&self.cluster.links.options(primary)).await
                {
                    *watcher = again;
                }
                return;
            }
        };
        let low = |id: u64| id & u64::from(u32::MAX);
        let is_ours = |one: &precheck::ServerSession| low(one.id) == low(id);
        // One that sleeps has committed, and its answer is on its way.
        let own = all.iter().find(|one| is_ours(one) && one.command != "Sleep");
        let Some(own) = own else { return };
        let works = |one: &&precheck::ServerSession| {
            matches!(one.kind, precheck::SessionKind::Application | precheck::SessionKind::Ours)
                && !is_ours(one)
                && low(one.id) != low(watcher.connection_id())
                && one.command != "Sleep"
                && !one.state.is_empty()
        };
        let others = all.iter().filter(works).map(|one| one.state.clone());
        let others: std::collections::BTreeSet<String> = others.collect();
        let word = WriteWord::Waits {
            state: own.state.clone(),
            others: others.into_iter().take(MOST_STATES).collect(),
        };
        self.tell(primary, word, began);
    }

    fn tell(&self, primary: &Address, word: WriteWord, began: Moment) {
        tracing::debug!(server = %primary, ?word, "a write is not committed");
        let now = self.observatory.now();
        self.observatory.update(primary, |memory| memory.did_not_write(word, began, now));
    }
}
