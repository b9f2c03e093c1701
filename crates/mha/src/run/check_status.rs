//! `masterha_check_status`: what a manager does, as one line and an exit code.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::say;
use crate::application::ApplicationError;
use crate::command::Streams;
use crate::given::Given;
use crate::places::{Places, option};
use crate::process;
use crate::status::{
    NOT_RUNNING, PARTIALLY_RUNNING, PING_OK, Said, Status, StatusFile, TIMESTAMP_OLD,
};

/// How entries of daemontools that are managers begin.
const ENTRY: &str = "masterha_";

/// How long ago the last good ping may be if nobody says otherwise.
const PING_LIMIT: Duration = Duration::from_secs(10);

/// What there is, and what is printed of it.
struct Answer {
    code: u8,
    text: String,
}

pub(crate) fn run(given: &Given, streams: &mut Streams<'_>) -> u8 {
    let limit = given.number("ping_limit").and_then(|n| u64::try_from(n).ok());
    let limit = limit.map_or(PING_LIMIT, Duration::from_secs);
    if given.is_on("all") {
        return all(given, limit, streams);
    }
    answer(Places::find(given), limit, streams)
}

/// Every entry of daemontools; 1 if one of them is not well.
fn all(given: &Given, limit: Duration, streams: &mut Streams<'_>) -> u8 {
    let folder = Path::new(option(given, "basedir").unwrap_or("/service"));
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            say(streams.err, &format!("{} cannot be read: {error}", folder.display()));
            return 1;
        }
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut apps: Vec<String> =
        names.filter_map(|name| name.strip_prefix(ENTRY).map(str::to_owned)).collect();
    apps.sort();
    let mut well = true;
    for app in apps {
        let places = Places::of_app(&app, given).map(|places| {
            let log = option(given, "baselog");
            let log = log.map(|base| PathBuf::from(base).join(format!("{ENTRY}{app}")));
            Places { log: log.or(places.log), ..places }
        });
        well &= answer(places, limit, streams) == 0;
    }
    u8::from(!well)
}

fn answer(
    places: Result<Places, ApplicationError>,
    limit: Duration,
    streams: &mut Streams<'_>,
) -> u8 {
    let said = places.map_err(|error| error.to_string()).and_then(|places| {
        let file = StatusFile::new(&places.workdir, &places.app);
        let said = file.read().map_err(|error| error.to_string())?;
        Ok(status(&places, said, limit))
    });
    match said {
        Ok(Answer { code, text }) => {
            let _unheard = streams.out.write_all(text.as_bytes());
            code
        }
        Err(error) => {
            say(streams.err, &error);
            1
        }
    }
}

fn status(places: &Places, said: Option<Said>, limit: Duration) -> Answer {
    let app = &places.app;
    let stopped = || Answer {
        code: NOT_RUNNING.code,
        text: format!("{app} is stopped({}).\n", shown(NOT_RUNNING)),
    };
    let Some(said) = said else { return stopped() };
    if !process::lives(said.pid) {
        if !process::group_lives(said.pid) {
            return stopped();
        }
        let state = shown(PARTIALLY_RUNNING);
        let text = format!(
            "{app} main process is not running, but what it started is({state}). Check ps output \
             for details, and end it.\n"
        );
        return Answer { code: PARTIALLY_RUNNING.code, text };
    }
    if said.status == PING_OK && said.age > limit {
        let (state, pid, master) = (shown(TIMESTAMP_OLD), said.pid, &said.master);
        let text = format!(
            "{app} (pid:{pid}) has not been updated for {} seconds({state}).\n{app} is running \
             since before, master:{master}\n",
            said.age.as_secs()
        );
        return Answer { code: TIMESTAMP_OLD.code, text };
    }
    Answer { code: said.status.code, text: line(places, &said) }
}

/// What is printed for the status of a manager that lives.
fn line(places: &Places, said: &Said) -> String {
    let Places { app, log, .. } = places;
    let Said { pid, master, status, .. } = said;
    let state = shown(*status);
    let hint = match log {
        Some(log) => format!("Check {} for details.\n", log.display()),
        None => String::new(),
    };
    match status.code {
        0 => format!("{app} (pid:{pid}) is running({state}), master:{master}\n"),
        10 => format!("{app} is in its initialization phase({state}). Try again later.\n"),
        20 | 21 => format!("{app} master maybe down({state}). master:{master}\n{hint}"),
        // As with MHA without a line break.
        30 => format!("{app} is waiting to monitor again({state})."),
        31 => format!("{app} has servers that are not correctly configured({state}).\n{hint}"),
        50 => format!("{app} master is down and failover is running({state}). master:{master}\n"),
        51 => format!(
            "{app} master is down and failover was not successful({state}). master:{master}\n"
        ),
        _ => format!("{app} (pid:{pid}) says {state}.\n"),
    }
}

fn shown(status: Status) -> String {
    format!("{}:{}", status.code, status.token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::STATUSES;

    fn said_of(code: u8, log: Option<&str>) -> String {
        let status = *STATUSES.iter().find(|status| status.code == code).unwrap();
        let workdir = PathBuf::from("/w");
        let places = Places { app: "app1".to_owned(), workdir, log: log.map(PathBuf::from) };
        let age = Duration::ZERO;
        let pid = i32::try_from(std::process::id()).unwrap();
        let said = Said { pid, status, master: "db1".to_owned(), age };
        let answer = super::status(&places, Some(said), Duration::from_secs(10));
        assert_eq!(answer.code, code);
        answer.text.replace(&pid.to_string(), "7")
    }

    #[test]
    fn each_status_has_its_line() {
        let lines = [
            (0, "app1 (pid:7) is running(0:PING_OK), master:db1\n"),
            (
                10,
                "app1 is in its initialization phase(10:INITIALIZING_MONITOR). Try again later.\n",
            ),
            (20, "app1 master maybe down(20:PING_FAILING). master:db1\n"),
            (21, "app1 master maybe down(21:PING_FAILED). master:db1\n"),
            (30, "app1 is waiting to monitor again(30:RETRYING_MONITOR)."),
            (31, "app1 has servers that are not correctly configured(31:CONFIG_ERROR).\n"),
            (50, "app1 master is down and failover is running(50:FAILOVER_RUNNING). master:db1\n"),
            (
                51,
                "app1 master is down and failover was not successful(51:FAILOVER_ERROR). master:db1\n",
            ),
        ];
        for (code, line) in lines {
            assert_eq!(said_of(code, None), line);
        }
        let text = said_of(20, Some("/l"));
        assert!(text.ends_with("master:db1\nCheck /l for details.\n"), "{text}");
    }

    #[test]
    fn a_good_status_that_was_not_touched_is_old() {
        let places = Places { app: "app1".to_owned(), workdir: PathBuf::from("/w"), log: None };
        let pid = i32::try_from(std::process::id()).unwrap();
        let age = Duration::from_secs(11);
        let said = Said { pid, status: PING_OK, master: "db1".to_owned(), age };
        let answer = super::status(&places, Some(said.clone()), Duration::from_secs(10));
        assert_eq!(answer.code, 32);
        let mut lines = answer.text.lines();
        let first = lines.next().unwrap();
        assert!(first.contains("11 seconds(32:TIMESTAMP_OLD)"), "{first}");
        assert!(lines.next().unwrap().ends_with("master:db1"));
        let answer = super::status(&places, Some(said), Duration::from_secs(11));
        assert_eq!(answer.code, 0);
    }
}
