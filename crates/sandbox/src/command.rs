//! Other programs, run with a deadline and an error that names them.
//!
//! Blocking on purpose: provisioning is a sequence of such commands. Async callers wrap it.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// How much of a failed program's output an error repeats.
const QUOTED: usize = 2000;

/// A command line with a deadline and a hint for the one who sees it fail.
pub(crate) struct Run {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
    input: Vec<u8>,
    deadline: Duration,
    way_out: String,
}

impl Run {
    pub(crate) fn new(program: impl AsRef<OsStr>, deadline: Duration) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: vec![("LC_ALL".into(), "C".into())],
            dir: None,
            input: Vec::new(),
            deadline,
            way_out: String::new(),
        }
    }

    /// Words: the first is the program.
    pub(crate) fn words(words: &[OsString], deadline: Duration) -> Self {
        let mut words = words.iter();
        let program = words.next().cloned().unwrap_or_default();
        Self::new(program, deadline).args(words)
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub(crate) fn envs(mut self, vars: &[(OsString, OsString)]) -> Self {
        self.env.extend_from_slice(vars);
        self
    }

    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_owned());
        self
    }

    /// What the program reads on its standard input.
    pub(crate) fn input(mut self, input: Vec<u8>) -> Self {
        self.input = input;
        self
    }

    /// What to do when it fails.
    pub(crate) fn way_out(mut self, text: impl Into<String>) -> Self {
        self.way_out = text.into();
        self
    }

    /// Runs it; the output of a success (standard output and error, mixed by arrival).
    pub(crate) fn run(self) -> Result<String> {
        let fail = |outcome: String| Error::Command {
            command: self.line(),
            outcome,
            way_out: self.way_out.clone(),
        };
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        let mut child = command.spawn().map_err(|error| fail(format!("not started: {error}")))?;
        let (sender, output) = mpsc::channel();
        if let Some(pipe) = child.stdout.take() {
            collect(pipe, sender.clone());
        }
        if let Some(pipe) = child.stderr.take() {
            collect(pipe, sender);
        }
        let stdin = child.stdin.take();
        let input = self.input.clone();
        thread::spawn(move || {
            // A program that does not read to the end says why by its exit code.
            stdin.and_then(|mut pipe| pipe.write_all(&input).ok())
        });
        let status = wait(&mut child, self.deadline).map_err(|e| fail(e.to_string()))?;
        let text = drain(&output);
        match status {
            Some(status) if status.success() => Ok(text),
            Some(status) => Err(fail(format!("{status}\n{}", end_of(&text, QUOTED)))),
            None => Err(fail(format!(
                "not finished after {} s, ended\n{}",
                self.deadline.as_secs(),
                end_of(&text, QUOTED)
            ))),
        }
    }

    fn line(&self) -> String {
        let mut line = self.program.to_string_lossy().into_owned();
        for arg in &self.args {
            let arg = arg.to_string_lossy();
            if arg.contains([' ', '"', '$']) {
                line.push_str(&format!(" '{arg}'"));
            } else {
                line.push_str(&format!(" {arg}"));
            }
        }
        line
    }
}

/// The last `limit` bytes of a text, from the start of a line.
pub(crate) fn end_of(text: &str, limit: usize) -> &str {
    let text = text.trim_end();
    if text.len() <= limit {
        return text;
    }
    let from = (text.len() - limit..text.len()).find(|at| text.is_char_boundary(*at));
    let rest = &text[from.unwrap_or(text.len())..];
    rest.split_once('\n').map_or(rest, |(_, lines)| lines)
}

/// Whether a program of this name is in one of the `PATH` folders.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/libexec"].map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

fn collect(mut pipe: impl Read + Send + 'static, sender: mpsc::Sender<Vec<u8>>) {
    thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(n @ 1..) = pipe.read(&mut buffer) {
            if sender.send(buffer[..n].to_vec()).is_err() {
                break;
            }
        }
    });
}

/// Everything printed; a grandchild that keeps the pipe open is not waited for.
fn drain(output: &mpsc::Receiver<Vec<u8>>) -> String {
    let mut bytes = Vec::new();
    while let Ok(part) = output.recv_timeout(Duration::from_millis(500)) {
        bytes.extend_from_slice(&part);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_hangs_is_ended_and_named() {
        let run = Run::new("sleep", Duration::from_millis(50)).args(["30"]).way_out("wait longer");
        let error = run.run().unwrap_err().to_string();
        assert!(error.starts_with("sleep 30: not finished"), "{error}");
        assert!(error.ends_with("wait longer"), "{error}");
    }

    #[test]
    fn a_command_gets_its_input_and_gives_its_output() {
        let run = Run::new("cat", Duration::from_secs(5)).input(b"abc".to_vec());
        assert_eq!(run.run().unwrap(), "abc");
    }

    #[test]
    fn the_end_of_a_log_starts_at_a_line() {
        assert_eq!(end_of("one\ntwo\nthree\n", 9), "three");
        assert_eq!(end_of("one", 9), "one");
    }
}
