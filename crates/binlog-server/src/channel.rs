//! The replication channel as the manager sees and commands it: what is wanted, and what is.

use std::time::Duration;

use primacy_types::{Address, BinlogPosition, Positioning, ReceiverState};
use secrecy::SecretString;
use tokio::sync::watch;
use tokio::time::timeout;

/// How long a STOP may wait for the group of events that is being written.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// What is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Whom to follow; `None` before the first start has found it, and after RESET.
    pub(crate) source: Option<Source>,
    /// Whether to receive.
    pub(crate) receiver: bool,
    /// Whether to "apply": there is nothing to do, but it is asked for.
    pub(crate) applier: bool,
    /// Whether to acknowledge.
    pub(crate) semi_sync: bool,
    /// Counts changes of the source.
    pub(crate) generation: u64,
}

/// A source, and how it is read.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) address: Address,
    pub(crate) user: String,
    /// `None`: that of the configuration.
    pub(crate) password: Option<SecretString>,
    pub(crate) positioning: Positioning,
    /// From where, if that was said and not begun yet.
    pub(crate) at: Option<BinlogPosition>,
    pub(crate) heartbeat: Duration,
    pub(crate) connect_retry: u32,
    pub(crate) tls: bool,
}

/// What is.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    pub(crate) receiver: ReceiverState,
    /// Number and text of the last error, until it is over.
    pub(crate) error: Option<(u32, String)>,
    pub(crate) heartbeats: u64,
    pub(crate) source_server_id: u32,
    pub(crate) source_uuid: Option<String>,
    /// The source takes our acknowledgements.
    pub(crate) acknowledges: bool,
    /// What is said here belongs to this generation of what was wanted.
    pub(crate) generation: u64,
}

/// Both, for whoever commands, follows, or tells.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    pub(crate) wanted: watch::Sender<Wanted>,
    pub(crate) status: watch::Sender<Status>,
}

impl Channel {
    pub(crate) fn new(wanted: Wanted) -> Self {
        let status = Status {
            receiver: ReceiverState::Stopped,
            error: None,
            heartbeats: 0,
            source_server_id: 0,
            source_uuid: None,
            acknowledges: false,
            generation: wanted.generation,
        };
        Self { wanted: watch::channel(wanted).0, status: watch::channel(status).0 }
    }

    pub(crate) fn wanted(&self) -> Wanted {
        self.wanted.borrow().clone()
    }

    pub(crate) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Changes what is wanted. Where nothing shall be received any more it returns when nothing
    /// is: what is held then is final.
    pub(crate) async fn change(&self, change: impl FnOnce(&mut Wanted)) {
        let mut status = self.status.subscribe();
        self.wanted.send_modify(change);
        if !self.wanted.borrow().receiver {
            let stopped = status.wait_for(|status| status.receiver == ReceiverState::Stopped);
            let _else_it_is_seen_as_running = timeout(STOP_LIMIT, stopped).await;
        }
    }
}
