//! Places where a test can stop the process: `PRIMACY_FAILPOINT=before:open-writes` makes it end
//! itself with SIGKILL there, as a crash would. Only in builds with debug assertions; a release
//! build has no such places.

#[cfg(debug_assertions)]
pub(crate) fn hit(place: &str, step: &str) {
    let Ok(wanted) = std::env::var("PRIMACY_FAILPOINT") else { return };
    if wanted == format!("{place}:{step}") {
        tracing::error!("failpoint {wanted}: the process ends itself");
        let me = rustix::process::getpid();
        let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
    }
}

#[cfg(not(debug_assertions))]
pub(crate) fn hit(_place: &str, _step: &str) {}
