//! Places where a test can stop the process: `PRIMACY_FAILPOINT=before:open-writes` makes it end
//! itself with SIGKILL there, as a crash would; several places are divided by commas. Only in builds
//! with debug assertions; a release build has no such places.

/// A place. Whoever is told to end there does not come back from this.
#[cfg(debug_assertions)]
pub fn hit(place: &str, step: &str) {
    let Ok(wanted) = std::env::var("PRIMACY_FAILPOINT") else { return };
    let here = format!("{place}:{step}");
    if wanted.split(',').any(|one| one == here) {
        tracing::error!("failpoint {here}: the process ends itself");
        let me = rustix::process::getpid();
        let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
    }
}

/// A place, where nothing happens.
#[cfg(not(debug_assertions))]
pub fn hit(_place: &str, _step: &str) {}
