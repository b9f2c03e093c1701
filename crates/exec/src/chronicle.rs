//! The record of what was seen and done: to the log, to the history on disk, and to whoever
//! watches. Writing never delays an operation: one task writes in order.

use std::time::Duration;

use primacy_store::{Level, NewEvent, OperationId, Store};
use primacy_types::WallClock;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::Clock;

/// One line of the timeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Cluster.
    pub cluster: String,
    /// The operation that it belongs to.
    pub operation: Option<OperationId>,
    /// When.
    pub at: WallClock,
    /// How urgent.
    pub level: Level,
    /// What happened, as a sentence.
    pub text: String,
}

enum Message {
    Write(Box<NewEvent>),
    Flush(oneshot::Sender<()>),
}

/// How long events are gathered before they are written together: each write waits for the disk,
/// and the journal of a running operation must not wait behind them.
const GATHER: Duration = Duration::from_millis(100);

/// Where events are told. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Chronicle {
    clock: Clock,
    queue: mpsc::UnboundedSender<Message>,
    watchers: broadcast::Sender<Entry>,
}

async fn write(store: &Store, inbox: &mut mpsc::UnboundedReceiver<Message>) -> bool {
    let Some(first) = inbox.recv().await else { return false };
    let mut events = Vec::new();
    let mut flushed = None;
    let gathered = tokio::time::Instant::now() + GATHER;
    let mut next = Some(first);
    while let Some(message) = next {
        match message {
            Message::Write(event) => events.push(*event),
            // Who waits for the disk waits for no more than what stands before.
            Message::Flush(done) => {
                flushed = Some(done);
                break;
            }
        }
        next = tokio::time::timeout_at(gathered, inbox.recv()).await.ok().flatten();
    }
    if !events.is_empty() {
        let store = store.clone();
        let written = tokio::task::spawn_blocking(move || store.events_all(&events));
        if let Ok(Err(error)) = written.await {
            tracing::error!(%error, "events could not be written to the history");
        }
    }
    if let Some(done) = flushed {
        let _ = done.send(());
    }
    true
}

impl Chronicle {
    /// Starts the writing task; it ends when the last clone is dropped and all is written.
    pub fn start(store: Store, clock: Clock) -> Self {
        let (queue, mut inbox) = mpsc::unbounded_channel::<Message>();
        tokio::spawn(async move { while write(&store, &mut inbox).await {} });
        Self { clock, queue, watchers: broadcast::Sender::new(1024) }
    }

    /// Tells an event.
    pub fn tell(
        &self,
        cluster: &str,
        operation: Option<&OperationId>,
        level: Level,
        text: impl Into<String>,
    ) {
        let text = text.into();
        let id = operation.map(OperationId::as_str);
        match level {
            Level::Info | Level::Notice => tracing::info!(cluster, operation = id, "{text}"),
            Level::Warning => tracing::warn!(cluster, operation = id, "{text}"),
            Level::Alarm => tracing::error!(cluster, operation = id, alarm = true, "{text}"),
        }
        let entry = Entry {
            cluster: cluster.to_owned(),
            operation: operation.cloned(),
            at: self.clock.wall(),
            level,
            text,
        };
        let event = NewEvent {
            cluster: entry.cluster.clone(),
            operation: entry.operation.clone(),
            at: entry.at,
            level,
            text: entry.text.clone(),
            data: Value::Null,
        };
        let _ = self.watchers.send(entry);
        let _ = self.queue.send(Message::Write(Box::new(event)));
    }

    /// Follows events from now on.
    pub fn watch(&self) -> broadcast::Receiver<Entry> {
        self.watchers.subscribe()
    }

    /// Returns when everything told so far is on disk.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.queue.send(Message::Flush(done)).is_ok() {
            let _ = written.await;
        }
    }
}
