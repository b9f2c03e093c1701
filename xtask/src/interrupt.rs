//! Ctrl-C and its like, heard from the first moment on, so that whatever was started is ended.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Somebody wants the task to end. Once heard it stays so.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(CancellationToken);

/// The task was ended by Ctrl-C or a signal.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Interrupted;

impl Interrupt {
    /// Listens for SIGINT, SIGTERM and SIGHUP, for as long as the process lives.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let heard = CancellationToken::new();
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
            let mut signals = signal(kind)?;
            let heard = heard.clone();
            tokio::spawn(async move {
                signals.recv().await;
                heard.cancel();
            });
        }
        Ok(Self(heard))
    }

    /// Does something unless interrupted; what it had begun is dropped then.
    pub(crate) async fn unless<T>(
        &self,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        tokio::select! {
            biased;
            () = self.0.cancelled() => Err(Interrupted.into()),
            done = work => done,
        }
    }

    /// Whether it happened.
    pub(crate) fn check(&self) -> Result<(), Interrupted> {
        if self.0.is_cancelled() { Err(Interrupted) } else { Ok(()) }
    }
}
