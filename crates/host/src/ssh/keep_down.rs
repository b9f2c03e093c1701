//! Killing the server over ssh, keeping it down, and letting it start again.
//!
//! One script on the far side does everything, so that nothing on the way there stands between the
//! guard and the signal: the guard is up before the first one, and ends with our session.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Duration;

use primacy_types::ProcessState;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, timeout_at};

use super::guard::{Guard, Heard, Order};
use super::process::{Looked, Report, Seen, Word};
use super::{SshHost, quote, scripts};
use crate::{Ability, HostError, Killed, RestartsPrevented, UnitMask};

/// How long the report waits for the unit to be masked, which goes on beside the failover.
const MASK_PATIENCE: Duration = Duration::from_millis(200);
/// How long the search for the unit may take.
const UNIT_LIMIT: Duration = Duration::from_secs(1);
/// How long an unmasking may take.
const RELEASE_LIMIT: Duration = Duration::from_secs(10);
/// The same where it is not known that anything was masked.
const RELEASE_IN_CASE: Duration = Duration::from_secs(3);

/// What holds a server down.
#[derive(Debug, Default)]
pub(super) struct KeepDown {
    /// Usually one; two while a newer one is raised.
    guards: Vec<Guard>,
    prevented: RestartsPrevented,
    /// A unit that is masked, or may be.
    masked: Option<String>,
    /// By whose rights it was done.
    by: Option<By>,
}

impl KeepDown {
    pub(super) fn holds(&self) -> bool {
        !self.guards.is_empty()
    }
}

/// By whose rights something is done on the far side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// Those of the login.
    Login,
    /// `sudo -n`.
    Sudo,
}

impl By {
    pub(super) fn word(self) -> &'static OsStr {
        OsStr::new(match self {
            Self::Login => "login",
            Self::Sudo => "sudo",
        })
    }
}

/// What was heard of a kill until its end.
#[derive(Debug, Default)]
struct Course {
    up: bool,
    pid: Option<u32>,
    gone: bool,
    state: Option<String>,
    masked: Option<Result<(), String>>,
    container: Option<String>,
}

impl SshHost {
    /// By whose rights the process can be killed. It has to be seen in the data directory: a
    /// recycled pid in a stale file must not cost another server.
    pub(super) fn rights(&self, report: &Report, word: Option<&Word>) -> Result<By, String> {
        let user = &report.user;
        let mend = || {
            format!(
                "log in as the server's own user or as root (ssh_user), or let {user} use sudo \
                 without a password"
            )
        };
        match word {
            _ if report.is_root() => Ok(By::Login),
            // Masking a unit needs more than the right to kill.
            Some(word) if word.may_kill && word.inside => {
                let all = report.sudo && self.known().unit_name().is_some();
                Ok(if all { By::Sudo } else { By::Login })
            }
            _ if report.sudo => Ok(By::Sudo),
            Some(word) if word.may_kill => Err(format!(
                "user {user} may not see in which directory process {} works, so it is not certain \
                 enough to be killed: {}",
                word.pid,
                mend()
            )),
            Some(word) => {
                Err(format!("user {user} may not signal process {}: {}", word.pid, mend()))
            }
            None => Err(format!(
                "its process is not seen to run, and user {user} does not see those of others: {}",
                mend()
            )),
        }
    }

    /// Whether it could be killed now.
    pub(super) async fn may_kill(
        &self,
        report: &Report,
        looked: &Result<Looked, HostError>,
        limit: Duration,
    ) -> Ability {
        if self.server.data_dir.is_none() {
            return Ability::No("the server's data directory is not known".to_owned());
        }
        let word = match looked {
            Ok(Looked::Runs(word)) if word.seen().started.is_none() => {
                return Ability::No(format!("/proc there does not show process {}", word.pid));
            }
            Ok(Looked::Runs(word)) => word,
            Ok(Looked::Ended) => return Ability::No("its process does not run now".to_owned()),
            Err(HostError::ProcessUnseen { reason, .. }) => return Ability::No(reason.clone()),
            Err(error) => return Ability::No(error.to_string()),
        };
        self.find_unit(word, limit.min(UNIT_LIMIT)).await;
        match self.rights(report, Some(word)) {
            Ok(by) => {
                self.known().rights = Some(by);
                Ability::Yes
            }
            Err(reason) => Ability::No(reason),
        }
    }

    /// Looks for the unit that starts this process, once.
    async fn find_unit(&self, word: &Word, limit: Duration) {
        if self.server.unit.is_some() || self.known().unit_of == Some(word.seen()) {
            return;
        }
        let pid = OsString::from(word.pid.to_string());
        let remote = quote::command(scripts::UNIT, &[&pid, OsStr::new("/proc")]);
        let Ok(answer) = self.client.run("looking for its unit", &remote, limit).await else {
            return;
        };
        let text = String::from_utf8_lossy(&answer.output);
        let unit = text.lines().find_map(|line| line.strip_prefix("unit "));
        let mut known = self.known();
        known.unit_of = Some(word.seen());
        known.unit = unit.map(str::to_owned);
    }

    /// The number of its data directory: the same for every manager.
    pub(super) fn number(&self) -> String {
        let path = self.server.data_dir.as_deref().map(|path| self.path(path)).unwrap_or_default();
        // FNV-1a.
        let hash = path.as_os_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3_u64)
        });
        format!("{hash:016x}")
    }

    pub(super) async fn kill(&self, limit: Duration) -> Result<Killed, HostError> {
        let deadline = Instant::now() + limit;
        let Ok(_turn) = timeout_at(deadline, self.turn.lock()).await else {
            return Err(self.too_late("waiting for an earlier kill", limit));
        };
        let report = self.report(true, true, limit).await?;
        let looked = self.judge(&report);
        let word = match &looked {
            Ok(Looked::Runs(word)) => Some(word),
            Ok(Looked::Ended) | Err(HostError::ProcessUnseen { .. }) => None,
            Err(_) => return Err(looked.err().unwrap_or_else(|| self.too_late("looking", limit))),
        };
        // A machine that is not the server's own is none to search.
        self.is_the_host(&report.host).map_err(|reason| self.unseen(reason))?;
        if self.server.data_dir.is_none() {
            return Err(self.unseen("the server's data directory is not known".to_owned()));
        }
        let by = match (self.rights(&report, word), self.known().rights) {
            (Ok(by), _) => by,
            // What was allowed to kill it while it ran may keep it down now that it is gone.
            (Err(_), Some(by)) if matches!(looked, Ok(Looked::Ended)) => by,
            (Err(reason), _) => return Err(self.not_permitted(reason)),
        };
        let seen = match &looked {
            Ok(Looked::Runs(word)) => Some(word.seen()),
            Ok(Looked::Ended) => self.known().current,
            Err(_) => None,
        };
        if let Some(word) = word.filter(|word| word.seen().started.is_none()) {
            let reason = format!("/proc there does not show process {}", word.pid);
            return Err(self.not_permitted(reason));
        }
        self.known().rights = Some(by);
        let unit = self.known().unit_name();
        let heard = self.raise(seen, by, unit.clone(), deadline, limit);
        let course = self.follow(heard, word, unit.is_some(), deadline, limit).await?;
        let was = match word {
            Some(word) => word.process(),
            None => {
                let left = deadline.saturating_duration_since(Instant::now());
                ProcessState::Exited { clean: self.was_clean(left).await }
            }
        };
        let container = course.container.map(|unit| UnitMask {
            unit,
            failure: Some(
                "it is a container, whose restart policy is left as it is; the guard kills what \
                 it starts"
                    .to_owned(),
            ),
        });
        let unit = unit.map(|unit| UnitMask {
            unit,
            failure: course.masked.map_or_else(
                || Some("systemctl mask --runtime had not ended yet; it goes on".to_owned()),
                Result::err,
            ),
        });
        let restarts_prevented = self.known().keep_down.prevented.clone();
        let pid = word.map(|word| word.pid).or(course.pid);
        let was = match (word, course.pid) {
            (None, Some(pid)) => ProcessState::Running { pid },
            _ => was,
        };
        Ok(Killed { pid, was, restarts_prevented, unit: unit.or(container) })
    }

    /// Begins to keep it down; a guard that holds already goes on until this one is up.
    fn raise(
        &self,
        seen: Option<Seen>,
        by: By,
        unit: Option<String>,
        deadline: Instant,
        limit: Duration,
    ) -> UnboundedReceiver<Heard> {
        let data_dir = self.server.data_dir.as_deref().map(|path| self.path(path));
        let data_dir = data_dir.unwrap_or_default();
        let pid = seen.map(|seen| seen.pid.to_string()).unwrap_or_default();
        let started = seen.and_then(|seen| seen.started).map(|t| t.to_string()).unwrap_or_default();
        let tag = format!("{}{}", scripts::GUARD_TAG, self.number());
        let mut known = self.known();
        let directory = known.directory.clone().unwrap_or_default();
        let unit = unit.unwrap_or_default();
        let remote = |mode: &str| {
            quote::command(
                scripts::RUN,
                &[
                    by.word(),
                    OsStr::new(scripts::GUARD),
                    data_dir.as_os_str(),
                    OsStr::new(&pid),
                    OsStr::new(&started),
                    OsStr::new(&directory),
                    OsStr::new(&unit),
                    OsStr::new(&tag),
                    OsStr::new(mode),
                ],
            )
        };
        let (guard, heard) = Guard::raise(Order {
            client: Arc::clone(&self.client),
            server: self.server.address.clone(),
            first: remote("first"),
            again: remote("again"),
            deadline,
            limit,
            prevented: known.keep_down.prevented.clone(),
            searches: seen.is_none() && known.keep_down.guards.is_empty(),
        });
        known.keep_down.guards.push(guard);
        known.keep_down.by = Some(by);
        known.keep_down.masked = Some(unit).filter(|unit| !unit.is_empty());
        heard
    }

    /// Listens until the process is gone, and for a moment longer whether its unit is masked.
    async fn follow(
        &self,
        mut heard: UnboundedReceiver<Heard>,
        word: Option<&Word>,
        has_unit: bool,
        deadline: Instant,
        limit: Duration,
    ) -> Result<Course, HostError> {
        let mut course = Course::default();
        let mut until = deadline;
        while !course.gone || (has_unit && course.masked.is_none()) {
            let Ok(next) = timeout_at(until, heard.recv()).await else {
                if course.gone {
                    break;
                }
                return Err(self.still_alive(word, &course, limit));
            };
            match next {
                Some(Heard::Up) => {
                    course.up = true;
                    self.newest_guard_alone();
                }
                Some(Heard::Killed(pid)) => course.pid = Some(pid),
                Some(Heard::State(state)) => course.state = Some(state),
                Some(Heard::Masked(done)) => course.masked = Some(done),
                Some(Heard::Container(name)) => course.container = Some(name),
                Some(Heard::Gone) => {
                    course.gone = true;
                    until = deadline.min(Instant::now() + MASK_PATIENCE);
                }
                Some(Heard::Refused(said)) => {
                    self.end_newest_guard(course.up);
                    return Err(self.not_permitted(format!("it may not be killed ({said})")));
                }
                Some(Heard::Unsure(reason)) => {
                    self.end_newest_guard(course.up);
                    return Err(self.unseen(format!("it is not certain that it is gone: {reason}")));
                }
                Some(Heard::Failed(_)) | None if course.gone => break,
                Some(Heard::Failed(error)) => {
                    // It says that it is up before it does anything.
                    if !course.up {
                        self.end_newest_guard(false);
                    }
                    return Err(error);
                }
                None => return Err(self.unseen("its guard ended without a word".to_owned())),
            }
        }
        Ok(course)
    }

    fn newest_guard_alone(&self) {
        let guards = &mut self.known().keep_down.guards;
        let older = guards.len().saturating_sub(1);
        guards.drain(..older);
    }

    /// It kills nothing, and may have masked the unit only if it was `up`.
    fn end_newest_guard(&self, up: bool) {
        let held = &mut self.known().keep_down;
        held.guards.pop();
        if held.guards.is_empty() && !up {
            (held.masked, held.by) = (None, None);
        }
    }

    fn still_alive(&self, word: Option<&Word>, course: &Course, limit: Duration) -> HostError {
        match word.map(|word| word.pid).or(course.pid) {
            Some(pid) => HostError::StillAlive {
                server: self.server.address.clone(),
                pid,
                limit,
                state: format!("state {}", course.state.as_deref().unwrap_or("not known")),
            },
            None => self.too_late("killing it", limit),
        }
    }

    fn too_late(&self, what: &str, limit: Duration) -> HostError {
        let what = format!("{what} over ssh");
        HostError::TimedOut { server: self.server.address.clone(), what, limit }
    }

    fn not_permitted(&self, reason: String) -> HostError {
        HostError::SshNotPermitted { server: self.server.address.clone(), reason }
    }

    pub(super) async fn let_start(&self) -> Result<(), HostError> {
        let _turn = self.turn.lock().await;
        let (guards, unit, by) = {
            let held = &mut self.known().keep_down;
            held.prevented = RestartsPrevented::default();
            (std::mem::take(&mut held.guards), held.masked.clone(), held.by)
        };
        let held = by.is_some();
        for guard in guards {
            guard.stop().await;
        }
        if self.server.data_dir.is_none() {
            return Ok(());
        }
        let limit = if held { RELEASE_LIMIT } else { RELEASE_IN_CASE };
        let done = self.unmask(by, unit.or_else(|| self.server.unit.clone()), limit).await;
        match done {
            Ok(()) => {
                let mut known = self.known();
                known.keep_down.masked = None;
                known.keep_down.by = None;
                Ok(())
            }
            // Only an earlier manager may have been at a host that is not reached now: its guards
            // end by themselves, and what is masked is so until the next boot at most.
            Err(error) if !held && !matches!(error, HostError::StillMasked { .. }) => {
                tracing::debug!(%error, "nothing was released");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn unmask(
        &self,
        by: Option<By>,
        unit: Option<String>,
        limit: Duration,
    ) -> Result<(), HostError> {
        let by = match by {
            Some(by) => by,
            // Whoever masked it may have used sudo.
            None => {
                let report = self.report(true, false, limit).await?;
                self.rights(&report, None).unwrap_or(By::Login)
            }
        };
        let number = OsString::from(self.number());
        let name = OsString::from(unit.clone().unwrap_or_default());
        let words = [by.word(), OsStr::new(scripts::RELEASE), &number, &name];
        let remote = quote::command(scripts::RUN, &words);
        let answer = self.client.run("releasing it", &remote, limit).await?;
        let text = String::from_utf8_lossy(&answer.output).into_owned();
        let Some(reason) = text.lines().find_map(|line| line.strip_prefix("still ")) else {
            return Ok(());
        };
        let named = text.lines().find_map(|line| line.strip_prefix("unit ")).unwrap_or("of its");
        Err(HostError::StillMasked {
            server: self.server.address.clone(),
            unit: named.to_owned(),
            reason: reason.to_owned(),
        })
    }
}
