//! What takes a server away for a moment, or changes how it keeps its logs, beside a cluster's
//! operations: restarts, purges, and the swap of a rebuild. One at a time in a cluster, so that each
//! sees what the one before has left; and in tasks of the cluster's own, so that a command that goes
//! away leaves nothing half done.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use primacy_api::{ApiError, ErrorKind};
use tokio::sync::{OwnedMutexGuard, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The chores of a cluster.
#[derive(Clone, Default)]
pub(crate) struct Chores {
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Whose turn it is.
    holder: Arc<Mutex<Option<String>>>,
    tasks: Arc<Mutex<JoinSet<()>>>,
    stopping: CancellationToken,
}

/// The right to do a chore, until it is dropped.
pub(crate) struct Turn {
    holder: Arc<Mutex<Option<String>>>,
    _held: OwnedMutexGuard<()>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        *locked(&self.holder) = None;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn stopping() -> ApiError {
    ApiError::new(ErrorKind::Internal, "the manager is stopping, or its configuration changed")
}

impl Chores {
    /// Waits for the turn, no longer than `limit`; then an error says what is under way.
    pub(crate) async fn take(&self, what: String, limit: Duration) -> Result<Turn, String> {
        let turn = tokio::time::timeout(limit, Arc::clone(&self.turn).lock_owned()).await;
        let Ok(held) = turn else {
            let holder = locked(&self.holder).clone();
            let holder = holder.unwrap_or_else(|| "something else".to_owned());
            return Err(format!("{holder} is under way"));
        };
        *locked(&self.holder) = Some(what);
        Ok(Turn { holder: Arc::clone(&self.holder), _held: held })
    }

    /// Runs work to its end, also if whoever waits for it here goes away.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        turn: Turn,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, ApiError> {
        let (done, outcome) = oneshot::channel();
        {
            let mut tasks = locked(&self.tasks);
            if self.stopping.is_cancelled() {
                return Err(stopping());
            }
            while tasks.try_join_next().is_some() {}
            tasks.spawn(async move {
                let result = work.await;
                drop(turn);
                // Nobody may be waiting any more.
                let _gone = done.send(result);
            });
        }
        outcome.await.map_err(|_| stopping())
    }

    /// No chore is begun any more.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// The cluster is watched no more: what is under way may end within the limit. True if it did.
    pub(crate) async fn end(&self, limit: Duration) -> bool {
        let mut tasks = {
            let mut tasks = locked(&self.tasks);
            self.stopping.cancel();
            std::mem::take(&mut *tasks)
        };
        let all = async { while tasks.join_next().await.is_some() {} };
        let ended = tokio::time::timeout(limit, all).await.is_ok();
        tasks.shutdown().await;
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Notify;

    const SOON: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn what_is_under_way_goes_on_when_the_one_who_asked_goes_away() {
        let chores = Chores::default();
        let (begun, go, ended) =
            (Arc::<Notify>::default(), Arc::<Notify>::default(), Arc::<Notify>::default());
        let work = {
            let (begun, go, ended) = (Arc::clone(&begun), Arc::clone(&go), Arc::clone(&ended));
            async move {
                begun.notify_one();
                go.notified().await;
                ended.notify_one();
            }
        };
        let turn = chores.take("restart of db2".to_owned(), SOON).await.unwrap();
        let asked = {
            let chores = chores.clone();
            tokio::spawn(async move { chores.run(turn, work).await })
        };
        begun.notified().await;
        asked.abort();
        assert!(asked.await.is_err());
        let why = chores.take("another".to_owned(), Duration::ZERO).await.err().unwrap();
        assert_eq!(why, "restart of db2 is under way");
        go.notify_one();
        ended.notified().await;
        assert!(chores.take("another".to_owned(), SOON).await.is_ok());
    }

    #[tokio::test]
    async fn at_the_end_what_is_under_way_is_waited_for_and_nothing_new_begins() {
        let chores = Chores::default();
        let go = Arc::<Notify>::default();
        let turn = chores.take("purge".to_owned(), SOON).await.unwrap();
        let asked = {
            let (chores, go) = (chores.clone(), Arc::clone(&go));
            tokio::spawn(async move { chores.run(turn, async move { go.notified().await }).await })
        };
        tokio::task::yield_now().await;
        go.notify_one();
        assert!(asked.await.unwrap().is_ok());
        assert!(chores.end(SOON).await);
        let turn = chores.take("purge".to_owned(), SOON).await.unwrap();
        assert!(chores.run(turn, async {}).await.is_err());
    }
}
