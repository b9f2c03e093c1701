//! Removing old files: by age and by size; never the newest, never one that a reader is in or has
//! still to come to.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::options::ServeOptions;
use crate::store::Store;

/// How often it is looked.
const PERIOD: Duration = Duration::from_secs(10);

/// Until the process ends.
pub(crate) async fn run(store: Arc<Store>, options: Arc<ServeOptions>) {
    if options.keep_for.is_none() && options.keep_bytes.is_none() {
        return;
    }
    loop {
        sleep(PERIOD).await;
        let (store, options) = (Arc::clone(&store), Arc::clone(&options));
        let _panicked = spawn_blocking(move || sweep(&store, &options)).await;
    }
}

/// Removes what is no longer kept.
fn sweep(store: &Arc<Store>, options: &ServeOptions) {
    while is_due(store, options) {
        let name = store.catalogue().files.first().map(|file| file.name.clone());
        match store.remove_oldest() {
            Ok(()) => tracing::info!(file = name, "removed: it need not be kept any longer"),
            Err(error) => {
                tracing::warn!(%error, "an old file could not be removed");
                return;
            }
        }
    }
}

/// Whether the oldest file is to be removed, and may be.
fn is_due(store: &Arc<Store>, options: &ServeOptions) -> bool {
    let (oldest, bytes) = {
        let catalogue = store.catalogue();
        let Some(oldest) = catalogue.files.first().filter(|_| catalogue.files.len() > 1) else {
            return false;
        };
        (oldest.clone(), catalogue.bytes())
    };
    if !oldest.closed || oldest.readers > 0 {
        return false;
    }
    let too_much = options.keep_bytes.is_some_and(|keep| bytes > keep);
    let too_old = options.keep_for.is_some_and(|keep| {
        let written = std::fs::metadata(store.path(&oldest)).and_then(|meta| meta.modified());
        let age = written.ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        age.is_some_and(|age| age > keep)
    });
    too_much || too_old
}
