//! Watches which servers accept the application's writes, and for how long two did at once.
//!
//! Every server is asked every 20 ms over a connection of the application's account.

use std::time::{Duration, Instant};

use primacy_types::Address;
use primacy_wire::{ConnectOptions, Session};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::writer::Target;

/// How often each server is asked.
const EVERY: Duration = Duration::from_millis(20);
/// Limit of one question.
const LIMIT: Duration = Duration::from_millis(300);

/// From the first to the last moment of a row of answers "not read-only".
pub(crate) type Span = (Instant, Instant);

/// Watching, until it is asked what it saw.
pub(crate) struct WritableWatch {
    stop: CancellationToken,
    tasks: JoinSet<Vec<Span>>,
}

impl WritableWatch {
    /// Starts to watch.
    pub(crate) fn start(target: &Target) -> Self {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for server in target.servers.clone() {
            tasks.spawn(watch(target.clone(), server, stop.clone()));
        }
        Self { stop, tasks }
    }

    /// How long more than one server was writable.
    pub(crate) async fn finish(mut self) -> Duration {
        self.stop.cancel();
        let mut all = Vec::new();
        while let Some(spans) = self.tasks.join_next().await {
            all.push(spans.unwrap_or_default());
        }
        overlap(&all)
    }
}

async fn watch(target: Target, server: Address, stop: CancellationToken) -> Vec<Span> {
    spans(target.options(&server, LIMIT), EVERY, stop).await
}

/// The times in which a server said that it takes writes.
pub(crate) async fn spans(
    login: ConnectOptions,
    every: Duration,
    stop: CancellationToken,
) -> Vec<Span> {
    let login = ConnectOptions { connect_timeout: LIMIT, ..login };
    let mut spans: Vec<Span> = Vec::new();
    let mut session = None;
    let mut open = false;
    let mut tick = tokio::time::interval(every);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !stop.is_cancelled() {
        tick.tick().await;
        let asked = Instant::now();
        let writable = ask(&login, &mut session).await;
        let now = Instant::now();
        match spans.last_mut() {
            Some(span) if writable && open => span.1 = now,
            _ if writable => spans.push((asked, now)),
            _ => {}
        }
        open = writable;
    }
    spans
}

/// Whether the server says that it takes writes; one that does not answer takes none.
async fn ask(login: &ConnectOptions, session: &mut Option<Session>) -> bool {
    if session.as_ref().is_none_or(Session::is_broken) {
        *session = Session::connect(login).await.ok();
    }
    let Some(open) = session.as_mut() else { return false };
    match open.query("SELECT @@global.read_only", LIMIT).await {
        Ok(rows) => {
            rows.first().and_then(|row| row.at(0)).is_some_and(|v| matches!(v, "0" | "OFF"))
        }
        Err(_) => {
            *session = None;
            false
        }
    }
}

/// How long spans of at least two servers overlap.
pub(crate) fn overlap(servers: &[Vec<Span>]) -> Duration {
    let mut edges: Vec<(Instant, i32)> = Vec::new();
    for (from, to) in servers.iter().flatten() {
        edges.extend([(*from, 1), (*to, -1)]);
    }
    edges.sort();
    let (mut total, mut count, mut last) = (Duration::ZERO, 0, None);
    for (at, change) in edges {
        if let (Some(last), 2..) = (last, count) {
            total += at.duration_since(last);
        }
        count += change;
        last = Some(at);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_time_with_two_counts() {
        let from = Instant::now();
        let span = |a, b| (from + Duration::from_millis(a), from + Duration::from_millis(b));
        let servers = [vec![span(0, 100), span(300, 400)], vec![span(90, 320)], vec![]];
        assert_eq!(overlap(&servers).as_millis(), 30);
        assert_eq!(overlap(&[vec![span(0, 10)], vec![span(10, 20)]]).as_millis(), 0);
    }
}
