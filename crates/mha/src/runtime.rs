//! The threads that a command runs on which talks to servers.

use std::future::Future;

/// So many at least, however few processors there are: one that waits for a slow disk must not hold
/// up what others are in time for.
const THREADS: usize = 4;

/// Runs a future to its end. What still waits for a server that does not answer is not waited for.
///
/// # Errors
/// If no threads can be started.
pub fn block_on<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(processors.max(THREADS))
        .enable_all()
        .build()?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(done)
}
