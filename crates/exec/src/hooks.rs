//! The person's own programs and webhooks of one cluster, as operations call them.
//!
//! Programs at `before_` moments are waited for, each within its own limit; everything else runs
//! beside: what comes after an operation in a lane of its own, so that it comes in order, and alarms
//! in another, so that one that hangs does not hold up what moves an address. What programs did is
//! told in the operation's timeline.

mod alarms;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use primacy_hooks::{Called, Hook, HookEvent, HookFailure, Notice, Notifier, NotifierHandle};
use primacy_hooks::{Subscription, Verdict};
use primacy_store::{Level, OperationId};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::hooks::alarms::Alarms;
use crate::scripts::{Scripts, Told as Report};
use crate::{Chronicle, Clock, Entry};

/// So many events wait for a webhook that is down before newer ones are dropped.
const QUEUE: usize = 100;

/// So many alarms wait for a program that is slow before newer ones are dropped.
const ALARMS: usize = 16;

/// Webhooks have at least so long at the end to take what they have not taken.
const ONCE_MORE: Duration = Duration::from_secs(2);

/// The hooks and webhooks of one cluster.
pub struct Hooks {
    caller: Caller,
    clock: Clock,
    webhooks: Option<NotifierHandle>,
    beside: mpsc::UnboundedSender<Beside>,
    running: Mutex<Option<Running>>,
}

/// What has to be ended.
struct Running {
    notifier: Notifier,
    lanes: JoinSet<()>,
    stop: watch::Sender<bool>,
}

/// What is done beside operations, in order.
enum Beside {
    /// Programs are told of a moment.
    Moment(Told),
    /// The report script is told of a failover.
    Report(Report, OperationId),
}

/// What is to be told to programs.
struct Told {
    notice: Notice,
    operation: Option<OperationId>,
}

/// Calls programs, and says what became of it.
#[derive(Clone)]
struct Caller {
    cluster: String,
    hooks: Arc<[Hook]>,
    /// Among them the one that is told of failovers; `None` if nobody is to be called.
    scripts: Option<Scripts>,
    chronicle: Chronicle,
}

impl Hooks {
    /// The hooks in the order in which they are called. Must be called inside a tokio runtime;
    /// [`stop`](Self::stop) ends well what is begun here.
    pub fn start(
        cluster: &str,
        hooks: Vec<Hook>,
        webhooks: Vec<Subscription>,
        scripts: Option<Scripts>,
        chronicle: Chronicle,
        clock: Clock,
    ) -> Self {
        let scripts = scripts.filter(Scripts::reports);
        let told_of_nothing = hooks.is_empty() && webhooks.is_empty() && scripts.is_none();
        let cluster_name = cluster.to_owned();
        let caller = Caller { cluster: cluster_name, hooks: hooks.into(), scripts, chronicle };
        let (beside, inbox) = mpsc::unbounded_channel();
        let mut this = Self { caller, clock, webhooks: None, beside, running: Mutex::new(None) };
        if told_of_nothing {
            return this;
        }
        let notifier = Notifier::start(webhooks, QUEUE);
        let (stop, stopped) = watch::channel(false);
        let mut lanes = JoinSet::new();
        lanes.spawn(this.caller.clone().call_beside(inbox, stopped.clone()));
        let (alarms, inbox) = mpsc::channel(ALARMS);
        lanes.spawn(this.caller.clone().call_for_alarms(inbox));
        lanes.spawn(follow_alarms(
            cluster.to_owned(),
            this.caller.chronicle.watch(),
            Alarms::new(notifier.handle(), alarms),
            stopped,
        ));
        this.webhooks = Some(notifier.handle());
        this.running = Mutex::new(Some(Running { notifier, lanes, stop }));
        this
    }

    /// A notice of this cluster, now.
    pub(crate) fn notice(&self, event: HookEvent, reason: impl Into<String>) -> Notice {
        Notice::new(event, &self.caller.cluster, moment(self.clock.wall()), reason)
    }

    /// Calls the programs of a moment that an operation waits for; true if any was called. Webhooks
    /// are told beside.
    ///
    /// # Errors
    /// If a program refuses what is about to begin; those after it are not called.
    pub(crate) async fn before(
        &self,
        operation: &OperationId,
        notice: Notice,
    ) -> Result<bool, HookFailure> {
        self.tell_webhooks(&notice);
        self.caller.call_all(&Told { notice, operation: Some(operation.clone()) }).await
    }

    /// Tells of a moment that nothing waits for.
    pub(crate) fn tell(&self, operation: &OperationId, notice: Notice) {
        self.tell_webhooks(&notice);
        // Without anybody to be told there is no lane.
        let told = Told { notice, operation: Some(operation.clone()) };
        let _ = self.beside.send(Beside::Moment(told));
    }

    /// Whether there is a script that is told of failovers.
    pub(crate) const fn reports(&self) -> bool {
        self.caller.scripts.is_some()
    }

    /// Tells the report script of a failover; nothing waits for it.
    pub(crate) fn report(&self, operation: &OperationId, report: Report) {
        let _ = self.beside.send(Beside::Report(report, operation.clone()));
    }

    fn tell_webhooks(&self, notice: &Notice) {
        if let Some(webhooks) = &self.webhooks {
            webhooks.notify(notice);
        }
    }

    /// Waits, within a limit, until every program was called that is to be called beside, and until
    /// webhooks were told once more of what they had not taken. What is left is ended or dropped.
    /// Afterwards nobody is told of anything.
    pub async fn stop(&self, limit: Duration) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Running { notifier, mut lanes, stop }) = running else { return };
        let end = Instant::now() + limit;
        stop.send_replace(true);
        let ended = async { while lanes.join_next().await.is_some() {} };
        if timeout_at(end, ended).await.is_err() {
            tracing::warn!(
                cluster = self.caller.cluster,
                "hooks did not end in time; they are ended, and what waited for them is dropped"
            );
            lanes.shutdown().await;
        }
        // Programs that hang do not take the webhooks' time.
        notifier.stop(end.saturating_duration_since(Instant::now()).max(ONCE_MORE)).await;
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cluster, hooks) = (&self.caller.cluster, self.caller.hooks.len());
        f.debug_struct("Hooks")
            .field("cluster", cluster)
            .field("hooks", &hooks)
            .field("webhooks", &self.webhooks)
            .finish_non_exhaustive()
    }
}

impl Caller {
    /// Calls the programs of a moment one after another; true if there was any.
    async fn call_all(&self, told: &Told) -> Result<bool, HookFailure> {
        let mut any = false;
        for hook in self.hooks.iter().filter(|hook| hook.is_for(told.notice.event)) {
            any = true;
            let called = hook.call(&told.notice).await;
            self.report(told.operation.as_ref(), &called);
            match called.failure() {
                Some(failure) if called.verdict == Verdict::Refuse => return Err(failure),
                _ => {}
            }
        }
        Ok(any)
    }

    fn report(&self, operation: Option<&OperationId>, called: &Called) {
        let (level, text) = match called.failure() {
            None => (Level::Info, format!("hook {}: {}", called.event, called.outcome)),
            Some(failure) => (Level::Warning, failure.to_string()),
        };
        self.chronicle.tell(&self.cluster, operation, level, text);
    }

    /// One after another, so that `after_fence` comes before `after_failover`.
    async fn call_beside(
        self,
        mut inbox: mpsc::UnboundedReceiver<Beside>,
        mut stopped: watch::Receiver<bool>,
    ) {
        loop {
            let told = tokio::select! {
                told = inbox.recv() => told,
                _ = stopped.wait_for(|stopped| *stopped), if !inbox.is_closed() => {
                    inbox.close();
                    continue;
                }
            };
            match told {
                // At these moments a failure is reported and changes nothing.
                Some(Beside::Moment(told)) => drop(self.call_all(&told).await),
                Some(Beside::Report(report, operation)) => {
                    self.report_failover(&report, &operation).await;
                }
                None => return,
            }
        }
    }

    async fn report_failover(&self, report: &Report, operation: &OperationId) {
        let Some(scripts) = &self.scripts else { return };
        let Some(outcome) = scripts.report(report).await else { return };
        let level = if outcome.is_success() { Level::Info } else { Level::Warning };
        let text = format!("report_script: {outcome}");
        self.chronicle.tell(&self.cluster, Some(operation), level, text);
    }

    async fn call_for_alarms(self, mut inbox: mpsc::Receiver<Told>) {
        while let Some(told) = inbox.recv().await {
            let _reported = self.call_all(&told).await;
        }
    }
}

/// Tells of every alarm of this cluster, whoever raised it.
async fn follow_alarms(
    cluster: String,
    mut entries: broadcast::Receiver<Entry>,
    mut alarms: Alarms,
    mut stopped: watch::Receiver<bool>,
) {
    let mut raise = |entry: Entry| {
        if entry.level == Level::Alarm && entry.cluster == cluster {
            alarms.raise(entry);
        }
    };
    loop {
        let entry = tokio::select! {
            // What was told before the end is not forgotten: the queue is looked at first.
            biased;
            entry = entries.recv() => entry,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        match entry {
            Ok(entry) => raise(entry),
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                tracing::warn!(cluster, missed, "too many events at once: alarms may be missed");
            }
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

fn moment(at: primacy_types::WallClock) -> jiff::Timestamp {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX)
}
