//! Webhooks told in the background: a queue and a task for each, so that one that is down holds up
//! neither the others nor whoever has something to tell.
//!
//! For one webhook the order is kept: the next event waits until the one before it was taken or
//! given up. An event is given up when the total limit has passed since it was handed over, so that
//! after a long outage a receiver is not told old news for hours; one attempt each has in any case.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::{Delivery, HookEvent, Notice, Webhook};

/// A webhook, and what it is told of.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// The webhook.
    pub webhook: Webhook,
    /// These events; all, if none is named.
    pub events: Vec<HookEvent>,
}

/// What became of the events for one webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookStatus {
    /// Its name.
    pub webhook: String,
    /// Waiting, with the one that is being told.
    pub waiting: u64,
    /// Taken.
    pub delivered: u64,
    /// Given up after trying.
    pub failed: u64,
    /// Not taken: the queue was full, or the end came first.
    pub dropped: u64,
}

/// Owns the tasks; dropping it ends them at once. [`stop`](Self::stop) ends them well.
#[derive(Debug)]
pub struct Notifier {
    handle: NotifierHandle,
    hurry: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// Hands events over. Clones lead to the same queues.
#[derive(Clone)]
pub struct NotifierHandle {
    lanes: Arc<[Lane]>,
}

/// The way to one webhook.
struct Lane {
    subscription: Subscription,
    queue: mpsc::Sender<Waiting>,
    counts: Arc<Counts>,
}

/// An event that waits to be told.
#[derive(Debug)]
struct Waiting {
    delivery: Delivery,
    since: Instant,
}

#[derive(Debug, Default)]
struct Counts {
    /// Put into the queue.
    taken: AtomicU64,
    delivered: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

impl Counts {
    fn waiting(&self) -> u64 {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        // An event may have been told before it was counted as taken.
        count(&self.taken).saturating_sub(count(&self.delivered) + count(&self.failed))
    }
}

impl Notifier {
    /// Starts a task for each webhook, with a queue for so many events (at least one). Must be
    /// called inside a tokio runtime.
    pub fn start(subscriptions: Vec<Subscription>, queue: usize) -> Self {
        let (hurry, hurried) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let lanes = subscriptions.into_iter().map(|subscription| {
            let (sender, receiver) = mpsc::channel(queue.max(1));
            let counts = Arc::new(Counts::default());
            let webhook = subscription.webhook.clone();
            tasks.spawn(serve(webhook, receiver, Arc::clone(&counts), hurried.clone()));
            Lane { subscription, queue: sender, counts }
        });
        let handle = NotifierHandle { lanes: lanes.collect() };
        Self { handle, hurry, tasks }
    }

    /// What hands events over.
    pub fn handle(&self) -> NotifierHandle {
        self.handle.clone()
    }

    /// Takes no more events, and tries to deliver what waits: once each, without the waits between
    /// attempts. What is left at the limit is dropped. Tells what became of everything.
    pub async fn stop(mut self, limit: Duration) -> Vec<WebhookStatus> {
        self.hurry.send_replace(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(limit, ended).await.is_err() {
            self.tasks.shutdown().await;
        }
        for lane in &*self.handle.lanes {
            let left = lane.counts.waiting();
            if left > 0 {
                lane.counts.taken.fetch_sub(left, Ordering::Relaxed);
                lane.counts.dropped.fetch_add(left, Ordering::Relaxed);
                let webhook = &lane.subscription.webhook;
                tracing::warn!(
                    webhook = webhook.name(), url = %webhook.url(), events = left,
                    "events for a webhook are dropped: not told before the end"
                );
            }
        }
        self.handle.status()
    }
}

impl NotifierHandle {
    /// Hands an event to all webhooks that want it. Never waits: where the queue is full, the event
    /// is dropped for that webhook, counted and logged (the older ones say how it began).
    pub fn notify(&self, notice: &Notice) {
        let wants = |lane: &&Lane| {
            let events = &lane.subscription.events;
            events.is_empty() || events.contains(&notice.event)
        };
        for lane in self.lanes.iter().filter(wants) {
            let delivery = Delivery::of(notice);
            let id = delivery.id();
            let waiting = Waiting { delivery, since: Instant::now() };
            let Err(refused) = lane.queue.try_send(waiting) else {
                lane.counts.taken.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            let dropped = lane.counts.dropped.fetch_add(1, Ordering::Relaxed) + 1;
            let why = match refused {
                mpsc::error::TrySendError::Full(_) => "its queue is full",
                mpsc::error::TrySendError::Closed(_) => "the notifier has ended",
            };
            let webhook = &lane.subscription.webhook;
            tracing::warn!(
                webhook = webhook.name(), url = %webhook.url(), event = %notice.event,
                cluster = notice.cluster, delivery = %id, dropped,
                "an event for a webhook is dropped: {why}"
            );
        }
    }

    /// What became of the events so far, one entry for each webhook in the order they were given.
    pub fn status(&self) -> Vec<WebhookStatus> {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let status = self.lanes.iter().map(|lane| WebhookStatus {
            webhook: lane.subscription.webhook.name().to_owned(),
            waiting: lane.counts.waiting(),
            delivered: count(&lane.counts.delivered),
            failed: count(&lane.counts.failed),
            dropped: count(&lane.counts.dropped),
        });
        status.collect()
    }
}

impl fmt::Debug for NotifierHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.status()).finish()
    }
}

/// Tells one webhook of one event after the other, until the end was asked for and nothing waits.
async fn serve(
    webhook: Webhook,
    mut queue: mpsc::Receiver<Waiting>,
    counts: Arc<Counts>,
    mut hurry: watch::Receiver<bool>,
) {
    loop {
        let next = tokio::select! {
            next = queue.recv() => next,
            _ = hurry.wait_for(|hurry| *hurry), if !queue.is_closed() => {
                queue.close();
                continue;
            }
        };
        let Some(Waiting { delivery, since }) = next else { return };
        match webhook.deliver_in(&delivery, since, hurry.clone()).await {
            Ok(delivered) => {
                counts.delivered.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(
                    webhook = webhook.name(), url = %webhook.url(), delivery = %delivery.id(),
                    status = %delivered.status, attempts = delivered.attempts,
                    "a webhook was told"
                );
            }
            Err(failure) => {
                counts.failed.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%failure, "a webhook was not told");
            }
        }
    }
}
