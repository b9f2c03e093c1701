//! Reading a configuration of MHA: its file, the global one, and what the script prints that it names.

use std::fs;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use primacy_mha_config::{
    GLOBAL_FILE, MhaConfig, Notice, Source, Sources, decoded, init_script, is_mha, parse,
};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::ManagerError;

/// How long `init_conf_load_script` may take. The manager waits for it, also when it reads a changed
/// file again.
const SCRIPT_LIMIT: Duration = Duration::from_secs(10);

/// Longer output is no configuration.
const MOST_OUTPUT: u64 = 1 << 20;

/// Reads an MHA configuration. `global` is the global file; if it is `None`, that is the one in its
/// usual place, which may be missing.
///
/// # Errors
/// If a file cannot be read or is wrong, or the script that it names does not end in time.
pub fn load_mha(path: &Path, global: Option<&Path>) -> Result<MhaConfig, ManagerError> {
    load_within(path, global, SCRIPT_LIMIT)
}

fn load_within(
    path: &Path,
    global: Option<&Path>,
    limit: Duration,
) -> Result<MhaConfig, ManagerError> {
    let unreadable =
        |path: &Path, source| ManagerError::Unreadable { path: path.to_owned(), source };
    let name = path.display().to_string();
    let bytes = fs::read(path).map_err(|source| unreadable(path, source))?;
    let app = Source { file: &name, text: decoded(&name, &bytes)? };
    let usual = Path::new(GLOBAL_FILE);
    let global_path = global.unwrap_or(usual);
    let global_name = global_path.display().to_string();
    let global_bytes = match fs::read(global_path) {
        Ok(bytes) => Some(bytes),
        Err(error) if global.is_none() && error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => return Err(unreadable(global_path, source)),
    };
    let global = match &global_bytes {
        Some(bytes) => Some(Source { file: &global_name, text: decoded(&global_name, bytes)? }),
        None => None,
    };
    let printed = match init_script(app, global)? {
        Some(line) => Some(run(&line, limit)?),
        None => None,
    };
    let script = printed.as_ref().map(|printed| printed.output.as_str());
    let mut mha = parse(&Sources { global, app, script })?;
    let failed = printed.and_then(|printed| printed.failure);
    mha.notices.extend(failed.map(|text| Notice { place: None, text }));
    Ok(mha)
}

/// Where and how much a manager logs that is started with a file of MHA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MhaLog {
    /// `manager_log`; `None`: standard error.
    pub file: Option<PathBuf>,
    /// `log_level`, if it is written: a level as the log's filter has it.
    pub level: Option<&'static str>,
}

/// What an MHA file says of the manager's log; `None` if this is no such file, or is wrong: whoever
/// loads it says what is wrong. The script is not asked.
pub fn mha_log(path: &Path) -> Option<MhaLog> {
    let name = path.display().to_string();
    let bytes = fs::read(path).ok()?;
    let text = decoded(&name, &bytes).ok().filter(|text| is_mha(&name, text))?;
    let global = fs::read_to_string(GLOBAL_FILE).ok();
    let global = global.as_ref().map(|text| Source { file: GLOBAL_FILE, text });
    let app = Source { file: &name, text };
    let defaults = parse(&Sources { global, app, script: None }).ok()?.defaults;
    let level = match defaults.written("log_level").and(defaults.text("log_level")).as_deref() {
        Some("debug") => Some("debug"),
        Some("info") => Some("info"),
        Some("warning") => Some("warn"),
        Some("error") => Some("error"),
        _ => None,
    };
    Some(MhaLog { file: defaults.filled("manager_log").map(PathBuf::from), level })
}

/// What the script printed, and what was wrong with it all the same.
struct Printed {
    output: String,
    failure: Option<String>,
}

/// Runs the line as MHA does: in a shell, without arguments. A failure is remarked upon; what was
/// printed counts, as it does for MHA.
fn run(line: &str, limit: Duration) -> Result<Printed, ManagerError> {
    let failed = |why: String| ManagerError::Script { why };
    let deadline = Instant::now() + limit;
    let mut child = Command::new("/bin/sh")
        .args(["-c", line])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| failed(format!("it cannot be run: {error}")))?;
    let group = Pid::from_child(&child);
    let (sender, receiver) = mpsc::channel();
    if let Some(out) = child.stdout.take() {
        // It ends with the script: whoever holds its output is killed at the deadline.
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let read = out.take(MOST_OUTPUT + 1).read_to_end(&mut bytes);
            drop(sender.send(read.map(|_| bytes)));
        });
    }
    let output = receiver.recv_timeout(limit);
    let status = wait(&mut child, deadline);
    let (Ok(output), Some(status)) = (output, status) else {
        // Also what it left running in the background, which holds its output.
        let _gone_already = kill_process_group(group, Signal::KILL);
        drop(child.wait());
        return Err(failed(format!("it did not end within {} s", limit.as_secs_f32())));
    };
    let output = output.map_err(|error| failed(format!("its output cannot be read: {error}")))?;
    let output =
        String::from_utf8(output).map_err(|_| failed("what it prints is no UTF-8".to_owned()))?;
    Ok(Printed { output, failure: failure(status) })
}

fn failure(status: ExitStatus) -> Option<String> {
    let how = match (status.code(), status.signal()) {
        (Some(0), _) => return None,
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an error".to_owned(),
    };
    Some(format!(
        "`init_conf_load_script` ended with {how}; what it printed counts all the same, as with MHA"
    ))
}

/// Waits for the end of a process that has closed its output, or is about to.
fn wait(child: &mut std::process::Child, deadline: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(2));
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn file(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn with_script(line: &str, limit: Duration) -> Result<MhaConfig, ManagerError> {
        let folder = tempfile::tempdir().unwrap();
        let global = file(folder.path(), "global.cnf", "[server default]\nuser=mha\n");
        let text =
            format!("[server default]\ninit_conf_load_script={line}\n[server1]\nhostname=a\n");
        load_within(&file(folder.path(), "app1.cnf", &text), Some(&global), limit)
    }

    #[test]
    fn the_script_adds_to_the_defaults() {
        let mha = with_script("echo password=a=b", SCRIPT_LIMIT).unwrap();
        assert_eq!(mha.servers[0].secret("password").unwrap().expose_secret(), "a=b");
        assert_eq!(mha.servers[0].text("user").as_deref(), Some("mha"));
    }

    #[test]
    fn a_script_that_fails_is_remarked_upon_and_what_it_printed_counts() {
        let mha = with_script("echo user=x; exit 3", SCRIPT_LIMIT).unwrap();
        assert_eq!(mha.servers[0].text("user").as_deref(), Some("x"));
        let said: Vec<_> = mha.notices.iter().map(ToString::to_string).collect();
        assert!(said.iter().any(|text| text.contains("exit code 3")), "{said:?}");
    }

    #[test]
    fn a_script_that_hangs_is_ended_and_nothing_is_read_without_it() {
        for line in ["sleep 600", "sleep 600 & echo user=x"] {
            let error = with_script(line, Duration::from_millis(200)).unwrap_err();
            assert!(error.to_string().contains("did not end within 0.2 s"), "{error}");
        }
    }

    #[test]
    fn a_global_file_that_is_named_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let app = file(folder.path(), "app1.cnf", "[server1]\nhostname=a\n");
        let error = load_mha(&app, Some(&folder.path().join("none.cnf"))).unwrap_err();
        assert!(matches!(error, ManagerError::Unreadable { .. }), "{error}");
    }
}
