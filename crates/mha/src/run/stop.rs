//! `masterha_stop`: ends a manager.

use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::say;
use crate::command::Streams;
use crate::given::Given;
use crate::places::Places;
use crate::process;
use crate::status::{FAILOVER_RUNNING, NOT_RUNNING, Said, StatusFile};

/// How long a manager may take to end if nobody says otherwise.
const LIMIT: Duration = Duration::from_secs(5);

/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(100);

/// How long a process that is killed may take to be gone.
const KILLED: Duration = Duration::from_secs(2);

pub(crate) fn run(given: &Given, streams: &mut Streams<'_>) -> u8 {
    let limit = given.number("abort_timeout").and_then(|n| u64::try_from(n).ok());
    let limit = limit.map_or(LIMIT, Duration::from_secs);
    let found = Places::find(given).map_err(|error| error.to_string()).and_then(|places| {
        let file = StatusFile::new(&places.workdir, &places.app);
        Ok((places.app, file.read().map_err(|error| error.to_string())?))
    });
    let (app, said) = match found {
        Ok(found) => found,
        Err(error) => {
            say(streams.err, &error);
            return 1;
        }
    };
    let running = said
        .filter(|said| process::lives(said.pid) && !process::is_younger_than(said.pid, said.age));
    let Some(said) = running else {
        let (code, token) = (NOT_RUNNING.code, NOT_RUNNING.token);
        say(streams.out, &format!("MHA Manager is not running on {app}({code}:{token})."));
        return 0;
    };
    if said.status == FAILOVER_RUNNING && !given.is_on("abort") {
        say(
            streams.err,
            &format!(
                "{app} (pid:{}) does a failover now and was not stopped: wait until it has ended, \
                 or use --abort",
                said.pid
            ),
        );
        return 1;
    }
    match end(&said, limit, given.is_on("abort")) {
        Ok(true) => {
            say(streams.out, &format!("Stopped {app} successfully."));
            0
        }
        Ok(false) => {
            let (pid, seconds) = (said.pid, limit.as_secs());
            say(
                streams.err,
                &format!("{app} (pid:{pid}) was told to end and did not within {seconds} seconds"),
            );
            1
        }
        Err(error) => {
            say(streams.err, &format!("{app} (pid:{}) cannot be told to end: {error}", said.pid));
            1
        }
    }
}

/// Whether it has ended.
fn end(said: &Said, limit: Duration, kill: bool) -> std::io::Result<bool> {
    process::signal(said.pid, Signal::TERM)?;
    if has_ended(said.pid, limit) {
        return Ok(true);
    }
    if !kill {
        return Ok(false);
    }
    process::signal(said.pid, Signal::KILL)?;
    Ok(has_ended(said.pid, KILLED))
}

fn has_ended(pid: i32, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while process::lives(pid) {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(LOOK);
    }
    true
}
