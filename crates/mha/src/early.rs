//! Signals that come while a command only looks, checks and asks. Nothing has been done yet, so it ends
//! at once, with MHA's code; what it has of locks ends with its connections. A question waits for a
//! person in a way that nothing else interrupts, so the end is that of the process.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

/// What a command that is refused ends with.
const REFUSED: i32 = 1;

/// Ends the process at a signal until it is dropped.
#[derive(Debug)]
pub(crate) struct Early {
    waits: JoinHandle<()>,
}

impl Early {
    /// From now on; `last` is done before the end and is given the signal's name.
    ///
    /// # Errors
    /// If signals cannot be waited for.
    pub(crate) fn new(last: impl FnOnce(&'static str) + Send + 'static) -> io::Result<Self> {
        let mut signals = Signals::listen()?;
        let waits = tokio::spawn(async move {
            last(signals.next().await);
            // The thread that waits for a person cannot be woken.
            std::process::exit(REFUSED);
        });
        Ok(Self { waits })
    }
}

impl Drop for Early {
    fn drop(&mut self) {
        self.waits.abort();
    }
}

/// The signals that end a command.
pub(crate) struct Signals {
    all: Vec<(&'static str, Signal)>,
}

impl Signals {
    /// Begins to listen: from now on they do not end the process by themselves.
    ///
    /// # Errors
    /// If the operating system refuses that.
    pub(crate) fn listen() -> io::Result<Self> {
        let kinds = [
            ("SIGINT", SignalKind::interrupt()),
            ("SIGHUP", SignalKind::hangup()),
            ("SIGQUIT", SignalKind::quit()),
            ("SIGTERM", SignalKind::terminate()),
        ];
        let all = kinds.into_iter().map(|(name, kind)| Ok((name, signal(kind)?)));
        Ok(Self { all: all.collect::<io::Result<_>>()? })
    }

    /// The name of the next one.
    pub(crate) async fn next(&mut self) -> &'static str {
        let each = self.all.iter_mut().map(|(name, signal)| {
            Box::pin(async move {
                signal.recv().await;
                *name
            })
        });
        futures_util::future::select_all(each).await.0
    }
}
