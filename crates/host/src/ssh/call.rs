//! One run of the `ssh` program: its output as it comes, its words, and how it ended.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BufMut;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::master::Connection;
use super::quote::MARK;

/// So much is read at once.
const PIECE: usize = 256 * 1024;
/// So much of standard error is kept; the rest is read and forgotten.
const KEPT: usize = 16 * 1024;
/// A program that ssh left behind (a proxy command) may hold standard error open.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// So much that is no answer of ours is let pass before it.
const NOISE: usize = 256 * 1024;

/// A running ssh. Dropping it kills the program (SIGKILL).
#[derive(Debug)]
pub(crate) struct Call {
    child: Child,
    output: ChildStdout,
    /// Its standard input while it is held open.
    lifeline: Option<ChildStdin>,
    /// What came before the mark; `None` when the mark was found.
    noise: Option<Vec<u8>>,
    words: Words,
    /// What it runs over lives at least as long.
    pub(crate) over: Option<Arc<Connection>>,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// Standard error.
    pub(crate) said: Vec<u8>,
    /// What ran over there was ours.
    pub(crate) answered: bool,
    /// It used a shared connection.
    pub(crate) shared: bool,
}

impl Call {
    pub(crate) fn start(command: &mut Command, over: Option<Arc<Connection>>) -> io::Result<Self> {
        command.stdin(Stdio::null());
        Self::begin(command, over)
    }

    /// One whose standard input ends with [`Call::let_go`], or with this.
    pub(crate) fn hold(command: &mut Command, over: Option<Arc<Connection>>) -> io::Result<Self> {
        command.stdin(Stdio::piped());
        Self::begin(command, over)
    }

    fn begin(command: &mut Command, over: Option<Arc<Connection>>) -> io::Result<Self> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let lifeline = child.stdin.take();
        let output = child.stdout.take().ok_or_else(|| io::Error::other("no standard output"))?;
        let words = Words::of(&mut child);
        Ok(Self { child, output, lifeline, noise: Some(Vec::new()), words, over })
    }

    /// Ends its standard input.
    pub(crate) fn let_go(&mut self) {
        self.lifeline = None;
    }

    /// The next bytes of its output, added to `into`; how many, and none at its end.
    ///
    /// What stands before our mark is left out: start-up files of login shells often print
    /// something, and would spoil the first bytes of a file.
    pub(crate) async fn read(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        let before = into.len();
        into.reserve(PIECE);
        while self.output.read_buf(&mut (&mut *into).limit(PIECE)).await? > 0 {
            let Some(noise) = &mut self.noise else { break };
            noise.extend(into.drain(before..));
            let mark = noise.windows(MARK.len()).position(|bytes| bytes == MARK.as_bytes());
            if let Some(at) = mark {
                into.extend_from_slice(noise.get(at + MARK.len()..).unwrap_or_default());
                self.noise = None;
            } else if noise.len() > NOISE {
                return Err(io::Error::other("its login shell prints no end of other things"));
            }
            if into.len() > before {
                break;
            }
        }
        Ok(into.len() - before)
    }

    /// Waits for it to end. What it still writes to its output is lost.
    pub(crate) async fn ended(mut self) -> io::Result<Ended> {
        let status = self.child.wait().await?;
        let answered = self.noise.is_none();
        let shared = self.over.is_some();
        Ok(Ended { status, said: self.words.last().await, answered, shared })
    }
}

/// Collects standard error while the program runs.
#[derive(Debug)]
pub(crate) struct Words {
    kept: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Words {
    pub(crate) fn of(child: &mut Child) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&kept);
        let reader = child.stderr.take().map(|pipe| tokio::spawn(collect(pipe, into)));
        Self { kept, reader }
    }

    /// Whether everything was read.
    pub(crate) fn complete(&self) -> bool {
        self.reader.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// What was said so far.
    pub(crate) fn so_far(&self) -> Vec<u8> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was said, after the program has ended.
    async fn last(&mut self) -> Vec<u8> {
        if let Some(reader) = self.reader.as_mut()
            && timeout(LAST_WORDS, reader).await.is_err()
        {
            tracing::debug!("something still holds the standard error of an ssh that has ended");
        }
        self.so_far()
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        if let Some(reader) = &self.reader {
            reader.abort();
        }
    }
}

async fn collect(mut pipe: impl AsyncRead + Unpin, into: Arc<Mutex<Vec<u8>>>) {
    let mut piece = [0; 1024];
    while let Ok(read @ 1..) = pipe.read(&mut piece).await {
        let mut kept = into.lock().unwrap_or_else(PoisonError::into_inner);
        let room = KEPT.saturating_sub(kept.len()).min(read);
        kept.extend_from_slice(piece.get(..room).unwrap_or_default());
    }
}
