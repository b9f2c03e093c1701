//! Starting and stopping the server over ssh. What is started is the unit that was seen to start
//! it, or the program of the manager's own file.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use primacy_types::ProcessState;
use tokio::time::{Instant, sleep};

use super::keep_down::By;
use super::process::Looked;
use super::{SshHost, quote, scripts};
use crate::HostError;

/// How often the process is looked for.
const LOOK: Duration = Duration::from_millis(300);

/// Starts a server by unit `$2`, or by the program and arguments after it. `$1` is the number of
/// its data directory: a guard that keeps it down carries that.
const START: &str = "LC_ALL=C; export LC_ALL; t=primacy-keeps-\"\"down-$1; u=$2; shift 2; \
    for f in /proc/[0-9]*; do p=${f#/proc/}; [ \"$p\" = \"$$\" ] && continue; \
        c=; { read -r c <\"$f/comm\"; } 2>/dev/null; \
        case \"$c\" in sh|dash|bash|ash|busybox) ;; *) continue;; esac; \
        if tr \"\\000\" \"\\012\" 2>/dev/null <\"$f/cmdline\" | grep -q -F -e \"$t\"; \
            then echo \"down $p\"; exit 0; fi; done; \
    if [ -n \"$u\" ]; then \
        if e=$(systemctl --no-ask-password start --no-block -- \"$u\" 2>&1); \
            then echo started; else echo failed $e; fi; exit 0; fi; \
    [ -x \"$1\" ] || { echo \"failed there is no program $1\"; exit 0; }; cd /; \
    if command -v setsid >/dev/null 2>&1; then setsid \"$@\" </dev/null >/dev/null 2>&1 & \
        else ( trap \"\" HUP; exec \"$@\" ) </dev/null >/dev/null 2>&1 & fi; echo started; exit 0";

/// Asks process `$1` with start time `$2` to shut down, by unit `$3` if there is one.
const STOP: &str = "LC_ALL=C; export LC_ALL; p=$1; s=$2; \
    if [ -n \"$3\" ] && systemctl --no-ask-password stop --no-block -- \"$3\" >/dev/null 2>&1; \
        then echo asked; exit 0; fi; \
    l=; { read -r l <\"/proc/$p/stat\"; } 2>/dev/null; set -- ${l##*\") \"}; \
    [ $# -gt 19 ] || { echo asked; exit 0; }; shift 19; \
    [ \"$1\" = \"$s\" ] || { echo asked; exit 0; }; \
    if e=$(kill -15 \"$p\" 2>&1); then echo asked; else echo refused $e; fi; exit 0";

impl SshHost {
    pub(super) async fn start_server(&self, limit: Duration) -> Result<ProcessState, HostError> {
        let deadline = Instant::now() + limit;
        let _turn = self.turn.lock().await;
        let server = || self.server.address.clone();
        if self.known().keep_down.holds() {
            return Err(HostError::KeptDown { server: server(), by: "this manager".to_owned() });
        }
        let report = self.report(true, true, limit).await?;
        if let Ok(Looked::Runs(word)) = self.judge(&report) {
            return Ok(word.process());
        }
        self.is_the_host(&report.host).map_err(|reason| self.unseen(reason))?;
        let by = self.rights(&report, None).ok().or(self.known().rights).unwrap_or(By::Login);
        let unit = self.known().unit_name();
        let words = self.server.start.as_ref().map(|start| start.words.clone()).unwrap_or_default();
        if unit.is_none() && words.is_empty() {
            return Err(HostError::NothingStarts { server: server() });
        }
        // Another directory may stand under its name now.
        self.known().directory = None;
        let number = OsString::from(self.number());
        let name = OsString::from(unit.clone().unwrap_or_default());
        let words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
        let mut all = vec![by.word(), OsStr::new(START), &number, &name];
        all.extend(words.iter().map(OsString::as_os_str));
        let left = deadline.saturating_duration_since(Instant::now());
        let remote = quote::command(scripts::RUN, &all);
        let answer = self.client.run("starting it", &remote, left).await?;
        let text = String::from_utf8_lossy(&answer.output).into_owned();
        let (word, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let what = match &unit {
            Some(unit) => format!("its unit {unit} over ssh"),
            None => format!("`{}` over ssh", shown(&words)),
        };
        match word {
            "started" => {}
            "down" => {
                let by = format!("another manager (process {rest} there)");
                return Err(HostError::KeptDown { server: server(), by });
            }
            _ => {
                let reason = if rest.is_empty() { answer.said } else { rest.to_owned() };
                return Err(HostError::NotStarted { server: server(), what, reason });
            }
        }
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(LOOK);
            // Until it is there nothing is seen: its pid file is that of the last one.
            if let Ok(state @ (ProcessState::Running { .. } | ProcessState::Frozen { .. })) =
                self.look(left).await
            {
                return Ok(state);
            }
            if Instant::now() >= deadline {
                let what = format!("waiting for the process that was started ({what})");
                return Err(HostError::TimedOut { server: server(), what, limit });
            }
            sleep(LOOK).await;
        }
    }

    pub(super) async fn stop_server(&self, limit: Duration) -> Result<ProcessState, HostError> {
        let deadline = Instant::now() + limit;
        let _turn = self.turn.lock().await;
        let report = self.report(true, true, limit).await?;
        let word = match self.judge(&report)? {
            Looked::Runs(word) => word,
            Looked::Ended => {
                return Ok(ProcessState::Exited { clean: self.was_clean(limit).await });
            }
        };
        let by = self.rights(&report, Some(&word)).map_err(|reason| self.not_stopped(reason))?;
        let Some(started) = word.seen().started else {
            return Err(self.not_stopped(format!("/proc there does not show process {}", word.pid)));
        };
        let pid = OsString::from(word.pid.to_string());
        let started = OsString::from(started.to_string());
        let unit = OsString::from(self.known().unit_name().unwrap_or_default());
        let words = [by.word(), OsStr::new(STOP), &pid, &started, &unit];
        let left = deadline.saturating_duration_since(Instant::now());
        let remote = quote::command(scripts::RUN, &words);
        let answer = self.client.run("shutting it down", &remote, left).await?;
        let text = String::from_utf8_lossy(&answer.output).into_owned();
        if text.trim() != "asked" {
            let reason = format!("it may not be signalled ({} {})", text.trim(), answer.said);
            return Err(self.not_stopped(reason));
        }
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(LOOK);
            match self.look(left).await {
                Ok(exited @ ProcessState::Exited { .. }) => return Ok(exited),
                _ if Instant::now() >= deadline => {
                    return Err(HostError::StillRuns {
                        server: self.server.address.clone(),
                        pid: word.pid,
                        limit,
                        state: "as ssh shows it".to_owned(),
                    });
                }
                _ => sleep(LOOK).await,
            }
        }
    }

    fn not_stopped(&self, reason: String) -> HostError {
        HostError::SshNotStopped { server: self.server.address.clone(), reason }
    }
}

fn shown(words: &[OsString]) -> String {
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}
