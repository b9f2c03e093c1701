//! What the far side says of the server's process, from its pid file and `/proc`.
//!
//! That it is gone is said only of a process that was seen to run, and only if the system itself
//! says so (`kill -0`: no such process) or shows another process under its pid. Everything that
//! cannot be looked at leaves the question open.

use std::ffi::{OsStr, OsString};
use std::time::{Duration, Instant};

use primacy_types::ProcessState;

use super::{SshHost, files, quote};
use crate::{HostError, binlog_head};

/// Programs that are database servers.
const SERVERS: &[&str] = &["mysqld", "mariadbd", "mysqld-debug"];

/// One fact a line. `$1` is the pid file, `$2` the data directory, `$3` the pid that was seen
/// before. `kill -0` is asked besides `/proc`, for others' processes may be hidden there.
///
/// With `able` as `$4` also what may be done; sudo is then asked if that is not enough and `$5`
/// says so, `unit` in any case.
const LOOK: &str = "LC_ALL=C; export LC_ALL; ok=; \
    echo \"host $(uname -n)\"; p=; [ -r \"$1\" ] && read -r p <\"$1\"; \
    case \"$p\" in *[!0-9]*) p=;; esac; echo \"file $p\"; \
    d=$(cd -P -- \"$2\" 2>/dev/null && pwd -P); \
    if [ \"$4\" = able ]; then u=$(id -u); echo \"user $u $(id -un)\"; fi; \
    for q in $p $3; do echo \"pid $q\"; o=; \
        if e=$(kill -0 \"$q\" 2>&1); then echo alive; echo may; o=1; else \
            case \"$e\" in *permitted*) echo alive;; *\"o such process\"*) echo gone;; esac; fi; \
        [ -r \"/proc/$q/stat\" ] && read -r s <\"/proc/$q/stat\" && echo \"stat $s\"; \
        w=$(cd -P \"/proc/$q/cwd\" 2>/dev/null && pwd -P); \
        if [ -n \"$w\" ] && [ -n \"$d\" ]; then if [ \"$w\" = \"$d\" ]; \
            then echo inside; ok=$ok$o; else echo elsewhere; fi; fi; \
        [ \"$4\" = able ] && i=$(stat -L -c \"%d:%i:%w\" \"/proc/$q/cwd\" 2>/dev/null) && \
            echo \"directory $i\"; \
        tr \"\\000\" \"\\012\" <\"/proc/$q/cmdline\" 2>/dev/null | \
            while read -r a; do echo \"word ${a##*/}\"; done; \
    done; \
    if [ \"$4\" = able ] && [ \"$u\" != 0 ] && [ -n \"$5\" ]; then \
        if [ -z \"$ok\" ] || [ \"$5\" = unit ]; then \
            if sudo -n true >/dev/null 2>&1; then echo \"sudo yes\"; else echo \"sudo no\"; fi; \
        fi; fi; exit 0";

/// How long a yes and a no of sudo count: each attempt stands in somebody's log, and refused ones
/// are often mailed.
const SUDO_YES: Duration = Duration::from_secs(600);
const SUDO_NO: Duration = Duration::from_secs(6 * 3600);

/// A process by its pid and start time (clock ticks since boot).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) pid: u32,
    pub(super) started: Option<u64>,
}

/// What was learned of one pid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) pid: u32,
    alive: bool,
    gone: bool,
    state: Option<char>,
    started: Option<u64>,
    server: bool,
    /// It works in another directory than the server's.
    elsewhere: bool,
    /// It is seen to work in the data directory.
    pub(super) inside: bool,
    /// This login may signal it.
    pub(super) may_kill: bool,
    /// What its directory is recognised by.
    directory: Option<String>,
}

impl Word {
    pub(super) fn seen(&self) -> Seen {
        Seen { pid: self.pid, started: self.started }
    }

    /// It exists and is no corpse that only waits for its parent.
    fn runs(&self) -> bool {
        self.alive && !matches!(self.state, Some('Z' | 'X'))
    }

    pub(super) fn process(&self) -> ProcessState {
        match self.state {
            Some('T' | 't') => ProcessState::Frozen { pid: self.pid },
            _ => ProcessState::Running { pid: self.pid },
        }
    }

    /// Whether the process that was seen before under this pid has ended.
    fn has_ended(&self, before: Seen) -> bool {
        let corpse = matches!(self.state, Some('Z' | 'X'));
        let another = before.started.zip(self.started).is_some_and(|(a, b)| a != b);
        self.gone || corpse || another
    }
}

/// Everything that one look gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) host: String,
    file: Option<u32>,
    words: Vec<Word>,
    /// Who logs in.
    pub(super) user: String,
    uid: Option<u32>,
    /// `sudo -n` works.
    pub(super) sudo: bool,
    /// It was tried.
    asked_sudo: bool,
}

/// What a look says of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Looked {
    Runs(Word),
    Ended,
}

impl Report {
    pub(super) fn is_root(&self) -> bool {
        self.uid == Some(0)
    }

    fn read(text: &str) -> Self {
        let mut report = Self::default();
        for line in text.lines() {
            let (key, rest) = line.split_once(' ').unwrap_or((line, ""));
            let last = report.words.last_mut();
            match (key, last) {
                ("host", None) => report.host = rest.trim().to_owned(),
                ("file", None) => report.file = rest.trim().parse().ok().filter(|pid| *pid > 0),
                ("user", None) => {
                    let (uid, name) = rest.split_once(' ').unwrap_or((rest, "of this login"));
                    (report.uid, report.user) = (uid.parse().ok(), name.to_owned());
                }
                // Nothing that a process is called begins a line by itself.
                ("sudo", _) => {
                    report.asked_sudo = true;
                    report.sudo = rest == "yes";
                }
                ("pid", _) => {
                    let pid = rest.trim().parse().unwrap_or_default();
                    report.words.push(Word { pid, ..Word::default() });
                }
                ("alive", Some(word)) => word.alive = true,
                ("may", Some(word)) => word.may_kill = true,
                ("inside", Some(word)) => word.inside = true,
                ("directory", Some(word)) => word.directory = Some(rest.to_owned()),
                ("gone", Some(word)) => word.gone = true,
                ("elsewhere", Some(word)) => word.elsewhere = true,
                ("word", Some(word)) => word.server |= SERVERS.contains(&rest),
                ("stat", Some(word)) => word.stat(rest),
                _ => {}
            }
        }
        report
    }

    fn of(&self, pid: u32) -> Option<&Word> {
        self.words.iter().find(|word| word.pid == pid)
    }
}

impl Word {
    /// proc(5): the name is in parentheses and may hold anything; the state is field 3, the start
    /// time field 22.
    fn stat(&mut self, text: &str) {
        let (Some(open), Some(close)) = (text.find('('), text.rfind(')')) else { return };
        self.server |= text.get(open + 1..close).is_some_and(|name| SERVERS.contains(&name));
        let mut fields = text.get(close + 1..).unwrap_or_default().split_ascii_whitespace();
        self.state = fields.next().and_then(|state| state.chars().next());
        self.started = fields.nth(22 - 4).and_then(|ticks| ticks.parse().ok());
    }
}

impl SshHost {
    /// The process as it is now; an exit is said of one that was seen before.
    pub(super) async fn look(&self, limit: Duration) -> Result<ProcessState, HostError> {
        let report = self.report(false, false, limit).await?;
        match self.judge(&report)? {
            Looked::Runs(word) => Ok(word.process()),
            Looked::Ended => Ok(ProcessState::Exited { clean: self.was_clean(limit).await }),
        }
    }

    /// What the far side says of the process, and if `able` of what may be done to it; it is
    /// `needed` if it is about to be done.
    pub(super) async fn report(
        &self,
        able: bool,
        needed: bool,
        limit: Duration,
    ) -> Result<Report, HostError> {
        let (before, sudo, unit) = {
            let known = self.known();
            let counts = |yes| match (yes, needed) {
                (true, _) => SUDO_YES,
                (false, false) => SUDO_NO,
                // Now that it matters somebody may have mended it.
                (false, true) => Duration::ZERO,
            };
            let sudo = known.sudo.filter(|(yes, since)| since.elapsed() < counts(*yes));
            (known.current, sudo, known.unit_name().is_some())
        };
        let pid = before.map(|seen| OsString::from(seen.pid.to_string())).unwrap_or_default();
        let pid_file = self.server.pid_file.as_deref().map(|path| self.path(path));
        let data_dir = self.server.data_dir.as_deref().map(|path| self.path(path));
        let ask = match sudo {
            Some(_) => "",
            None if unit => "unit",
            None => "ask",
        };
        let arguments = [
            files::argument(pid_file.as_ref()),
            files::argument(data_dir.as_ref()),
            OsStr::new(&pid),
            OsStr::new(if able { "able" } else { "" }),
            OsStr::new(ask),
        ];
        let remote = quote::command(LOOK, &arguments);
        let answer = self.client.run("looking for its process", &remote, limit).await?;
        let mut report = Report::read(&String::from_utf8_lossy(&answer.output));
        if report.asked_sudo {
            self.known().sudo = Some((report.sudo, Instant::now()));
        } else if let Some((works, _)) = sudo {
            report.sudo = works;
        }
        Ok(report)
    }

    pub(super) fn judge(&self, report: &Report) -> Result<Looked, HostError> {
        self.is_the_host(&report.host).map_err(|reason| self.unseen(reason))?;
        if let Some(word) = report.file.and_then(|pid| report.of(pid))
            && word.runs()
            && word.server
            && !word.elsewhere
        {
            let mut known = self.known();
            known.adopt(word.seen());
            if word.directory.is_some() {
                known.directory.clone_from(&word.directory);
            }
            return Ok(Looked::Runs(word.clone()));
        }
        let before = self.known().current;
        let Some(before) = before else { return Err(self.unseen(self.why_none(report))) };
        match report.of(before.pid) {
            Some(word) if word.has_ended(before) => Ok(Looked::Ended),
            Some(word) if word.runs() => Ok(Looked::Runs(word.clone())),
            _ => Err(self.unseen(format!("nothing is said of process {}", before.pid))),
        }
    }

    /// Whether this is the machine that the server says it runs on.
    pub(super) fn is_the_host(&self, name: &str) -> Result<(), String> {
        match &self.server.host_name {
            Some(wanted) if !wanted.eq_ignore_ascii_case(name) => Err(format!(
                "the server says that it runs on host {wanted}, and ssh leads to {name} (a \
                 container, or another machine behind the same address)"
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn unseen(&self, reason: String) -> HostError {
        HostError::ProcessUnseen { server: self.server.address.clone(), reason }
    }

    fn why_none(&self, report: &Report) -> String {
        let file = match &self.server.pid_file {
            Some(file) => self.path(file).display().to_string(),
            None => return "the server's pid file is not known".to_owned(),
        };
        let Some(pid) = report.file else {
            return format!("its pid file {file} is not there, or this user may not read it");
        };
        match report.of(pid) {
            Some(word) if word.elsewhere => {
                format!("process {pid} of {file} works in another data directory")
            }
            Some(word) if word.runs() && word.state.is_some() => {
                format!("process {pid} of {file} is no database server")
            }
            Some(word) if word.runs() => format!("/proc does not show process {pid} of {file}"),
            _ => format!("process {pid} of {file} does not run"),
        }
    }

    /// Whether the server closed its last binary log; `None` if that cannot be read.
    pub(super) async fn was_clean(&self, limit: Duration) -> Option<bool> {
        const TAIL: u64 = 8192;
        let mut index = self.server.path(self.server.binlog_base.as_deref()?).into_os_string();
        index.push(".index");
        let index = std::path::PathBuf::from(index);
        let len = self.len(&index, limit).await.ok()?;
        let from = len.saturating_sub(TAIL);
        let tail = self.read(&index, from, usize::try_from(TAIL).ok()?, limit).await.ok()?;
        let tail = String::from_utf8_lossy(&tail).into_owned();
        let last = self.server.path(std::path::Path::new(binlog_head::last_of(&tail)?));
        let head = self.read(&last, 0, binlog_head::LENGTH, limit).await.ok()?;
        binlog_head::was_closed(head.as_slice().try_into().ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "S 1 812 812 0 -1 4194560 1 0 0 0 1 1 0 0 20 0 30 0 4711 1 1 18446744";

    fn report(lines: &str) -> Report {
        Report::read(&format!("host db1\nfile 812\npid 812\n{lines}\n"))
    }

    fn word(lines: &str) -> Word {
        report(lines).of(812).unwrap().clone()
    }

    #[test]
    fn a_server_is_known_by_its_name_or_behind_a_loader_by_a_word() {
        let named = word(&format!("alive\nstat 812 (mysqld) {STAT}"));
        assert!(named.server && named.runs());
        assert_eq!((named.state, named.started), (Some('S'), Some(4711)));
        let loader = word(&format!("alive\nstat 812 (ld-linux-x86-64) {STAT}\nword mariadbd"));
        assert!(loader.server);
        assert!(!word(&format!("alive\nstat 812 (a) mysqld (x) {STAT}")).server);
    }

    #[test]
    fn only_the_systems_own_word_makes_a_process_gone() {
        let before = Seen { pid: 812, started: Some(4711) };
        assert!(word("gone").has_ended(before));
        assert!(word(&format!("alive\nstat 812 (mysqld) Z{}", &STAT[1..])).has_ended(before));
        assert!(
            word("alive\nstat 812 (x) S 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 5 1").has_ended(before)
        );
        assert!(!word(&format!("alive\nstat 812 (mysqld) {STAT}")).has_ended(before));
        assert!(!word("alive").has_ended(before));
        assert!(!word("").has_ended(before));
    }

    #[test]
    fn a_line_of_the_command_cannot_pass_for_a_fact() {
        let odd = word("alive\nword host elsewhere\nword gone\nword pid 1");
        assert!(!odd.elsewhere && !odd.gone);
    }
}
