//! Looks at one server for as long as the observatory lives: a warm connection, a look every
//! `ping_interval`, each with a deadline of its own, and more often while something is wrong. A
//! connection that ends is looked into at once: the kernel of a living host tells the end of a process.

use std::sync::{Arc, Weak};
use std::time::Duration;

use primacy_exec::Eyes;
use primacy_plan::replicates_by_place;
use primacy_probe::{Depth, classify, observe};
use primacy_types::{Address, ContactFailure, PingType, ServerFacts};
use primacy_wire::{ConnectOptions, Session, WireError};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::observatory::{LookRequest, Observatory};

/// How often parts are looked at that hardly ever change.
const COMPLETE: Duration = Duration::from_secs(10);

/// Pause between two attempts while the server refuses or was just lost.
const HURRY: Duration = Duration::from_millis(50);

/// How long attempts are made in a hurry before the ordinary pace returns.
const HURRY_FOR: Duration = Duration::from_secs(5);

/// A look takes at least so long before it counts as unanswered, however short the interval.
const SHORTEST_LIMIT: Duration = Duration::from_millis(500);

/// The task of one server.
pub(crate) struct ProbeTask {
    server: Address,
    options: ConnectOptions,
    observatory: Weak<Observatory>,
    inbox: mpsc::UnboundedReceiver<LookRequest>,
    session: Option<Session>,
    facts: Option<ServerFacts>,
    complete_at: Option<Instant>,
    failing_since: Option<Instant>,
    /// When the connection last ended between two looks.
    disturbed_at: Option<Instant>,
    /// What was kept for the next run, without what moves all the time.
    kept: Option<ServerFacts>,
}

/// What a restarted manager needs to know of a server that is dead by then. Where it stands in its
/// logs is kept with it, and as old as the last change of anything else.
fn essence(facts: &ServerFacts) -> ServerFacts {
    let mut essence = facts.clone();
    essence.executed = facts.executed.nothing();
    essence.logged = facts.executed.nothing();
    essence.purged = None;
    essence.binlog = None;
    essence.replicas.clear();
    essence.uptime_seconds = 0;
    essence.connections = 0;
    essence.semi_sync.unacknowledged = 0;
    for channel in &mut essence.channels {
        channel.received = None;
        (channel.read, channel.applied) = (None, None);
        (channel.receiver_error, channel.applier_error) = (None, None);
        (channel.lag_seconds, channel.heartbeats) = (None, None);
        channel.relay_log_space = 0;
        channel.applier_idle = false;
    }
    essence
}

/// Waits for the end of the connection, if there is one.
async fn disturbed(session: &mut Option<Session>) {
    match session {
        Some(session) => session.disturbed().await,
        None => std::future::pending().await,
    }
}

impl ProbeTask {
    pub(crate) fn new(
        server: Address,
        options: ConnectOptions,
        observatory: Weak<Observatory>,
        inbox: mpsc::UnboundedReceiver<LookRequest>,
    ) -> Self {
        Self {
            server,
            options,
            observatory,
            inbox,
            session: None,
            facts: None,
            complete_at: None,
            failing_since: None,
            disturbed_at: None,
            kept: None,
        }
    }

    pub(crate) async fn run(mut self) {
        let mut waiting: Vec<LookRequest> = Vec::new();
        loop {
            let Some(observatory) = self.observatory.upgrade() else { return };
            let interval = observatory.policy().timing.ping_interval.as_duration();
            let failure = self.look(&observatory, interval.max(SHORTEST_LIMIT)).await;
            drop(observatory);
            for done in waiting.drain(..) {
                let _ = done.send(());
            }
            let pause = self.pause(failure.as_ref(), interval);
            let wake = tokio::time::sleep(pause);
            tokio::pin!(wake);
            // A server (or a balancer before it) that ends every connection is not looked at faster for that.
            let calm = self.disturbed_at.is_none_or(|at| at.elapsed() >= interval);
            tokio::select! {
                () = &mut wake => {}
                () = disturbed(&mut self.session), if calm => self.disturbed_at = Some(Instant::now()),
                request = self.inbox.recv() => match request {
                    Some(request) => waiting.push(request),
                    None => return,
                },
            }
            // Whoever asked while the last look was under way gets this next one.
            while let Ok(request) = self.inbox.try_recv() {
                waiting.push(request);
            }
        }
    }

    /// How long to wait before the next look.
    fn pause(&mut self, failure: Option<&ContactFailure>, interval: Duration) -> Duration {
        let Some(failure) = failure else {
            self.failing_since = None;
            return interval;
        };
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        let at_once = matches!(failure, ContactFailure::Reset | ContactFailure::ShuttingDown);
        let quick = at_once || *failure == ContactFailure::Refused;
        if quick && since.elapsed() < HURRY_FOR {
            if at_once { Duration::from_millis(1) } else { HURRY.min(interval) }
        } else if *failure == ContactFailure::Silent {
            // The look itself took its whole limit.
            Duration::from_millis(1)
        } else {
            interval
        }
    }

    async fn look(
        &mut self,
        observatory: &Arc<Observatory>,
        limit: Duration,
    ) -> Option<ContactFailure> {
        let asked = observatory.now();
        let complete = self.complete_at.is_none_or(|at| at.elapsed() >= COMPLETE);
        let depth = match complete {
            true => Depth::Full,
            false if replicates_by_place(&observatory.remembered()) => Depth::Place,
            false => Depth::Quick,
        };
        let new = observatory.policy().ping_type == PingType::Connect;
        match self.ask(depth, limit, new).await {
            Ok((facts, gaps)) => {
                if complete {
                    self.complete_at = Some(Instant::now());
                    observatory.set_gaps(&self.server, gaps);
                    let essence = essence(&facts);
                    if self.kept.as_ref() != Some(&essence) {
                        observatory.keep_facts(&self.server, &facts);
                        self.kept = Some(essence);
                    }
                }
                self.facts = Some(facts.clone());
                let channel = observatory.policy().channel.clone();
                let now = observatory.now();
                observatory.learn_names(&facts).await;
                observatory.update(&self.server, |m| m.answered(facts, &channel, asked, now));
                None
            }
            Err(error) => {
                self.session = None;
                self.complete_at = None;
                let failure = classify(&error);
                let first = self.failing_since.is_none();
                if first {
                    tracing::debug!(server = %self.server, %error, "a look failed");
                }
                observatory.update(&self.server, |m| m.failed(failure.clone(), asked));
                if first {
                    // What the others see decides what this means.
                    observatory.nudge_others(&self.server);
                }
                Some(failure)
            }
        }
    }

    async fn ask(
        &mut self,
        depth: Depth,
        limit: Duration,
        new: bool,
    ) -> Result<(ServerFacts, Vec<primacy_probe::Gap>), WireError> {
        let deadline = Instant::now() + limit;
        if new && let Some(session) = self.session.take() {
            session.close().await;
        }
        if self.session.as_ref().is_none_or(Session::is_broken) {
            let mut options = self.options.clone();
            options.connect_timeout = options.connect_timeout.min(limit);
            self.session = Some(Session::connect(&options).await?);
        }
        let left =
            deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(50));
        let Some(session) = self.session.as_mut() else {
            return Err(WireError::Broken { address: self.server.clone() });
        };
        let seen = observe(session, depth, self.facts.as_ref(), left).await?;
        Ok((seen.facts, seen.gaps))
    }
}
