//! Starts a program, and finds out why one did not start: the operating system's "no such file"
//! may mean the program, its interpreter or its directory.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;
use tokio::process::Command;

use crate::group::Group;
use crate::pipes::Pipes;
use crate::{NotStarted, Program};

/// Where programs are looked for by a program, if we were told nothing ourselves.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Starts it. Blocks for as long as opening its file does.
pub(crate) fn start(program: &Program) -> Result<(Group, Pipes), NotStarted> {
    let mut command = Command::new(program.path());
    command
        .args(&program.arguments)
        .env_clear()
        .env("PATH", DEFAULT_PATH)
        .envs(Program::inherited())
        .envs(program.environment.iter().map(|(name, value)| (name, value)))
        .stdin(if program.stdin.is_empty() { Stdio::null() } else { Stdio::piped() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    if let Some(directory) = &program.directory {
        command.current_dir(directory);
    }
    let child = command.spawn().map_err(|error| why(program, &error))?;
    let mut group = Group::new(child).map_err(|error| system(&error))?;
    let pipes = Pipes::new(group.child(), program.stdin.clone(), program.capture);
    Ok((group, pipes))
}

fn system(error: &io::Error) -> NotStarted {
    NotStarted::System { reason: error.to_string() }
}

/// What an error of starting means, by looking at what it may have come from.
fn why(program: &Program, error: &io::Error) -> NotStarted {
    if let Some((path, reason)) = unusable_directory(program) {
        return NotStarted::Directory { path: path.to_owned(), reason };
    }
    let path = program.path();
    let found = std::fs::metadata(path);
    let but = |what: &str| NotStarted::System { reason: format!("{error} ({what})") };
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOENT | Errno::NOTDIR) if found.is_err() => NotStarted::NotFound,
        Some(Errno::NOENT | Errno::NOTDIR) => match interpreter(path) {
            Some(interpreter) => NotStarted::NoInterpreter { interpreter },
            None => but("the file is there, but not the loader that it was linked for"),
        },
        Some(Errno::ACCESS) => match (found, interpreter(path)) {
            (Ok(found), _) if !found.is_file() => NotStarted::NoFile,
            (Ok(found), Some(interpreter)) if found.permissions().mode() & 0o111 != 0 => {
                but(&format!("its interpreter {interpreter:?} may not be executable"))
            }
            _ => NotStarted::NotExecutable,
        },
        Some(Errno::NOEXEC) => NotStarted::UnknownFormat,
        _ => system(error),
    }
}

/// The working directory that was asked for, if it cannot be entered, and why not.
fn unusable_directory(program: &Program) -> Option<(&Path, String)> {
    let path = program.directory.as_deref()?;
    let found = std::fs::metadata(path).and_then(|found| {
        if !found.is_dir() {
            return Err(Errno::NOTDIR.into());
        }
        Ok(accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS)?)
    });
    found.err().map(|error| (path, error.to_string()))
}

/// What the first line of a script asks for.
fn interpreter(path: &Path) -> Option<String> {
    // The kernel looks at no more than 256 bytes (execve(2)).
    let mut begin = Vec::new();
    File::open(path).ok()?.take(256).read_to_end(&mut begin).ok()?;
    let line = begin.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    // A carriage return at its end is a usual reason: it must be seen.
    let line = String::from_utf8_lossy(line);
    line.trim_matches([' ', '\t']).split([' ', '\t']).next().map(str::to_owned)
}
