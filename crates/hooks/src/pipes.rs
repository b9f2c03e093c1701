//! A program's three pipes. Everything here may be dropped at any await and taken up again.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::time::{Instant, timeout};

use crate::Captured;
use crate::capture::Ends;

/// So much is read at once.
const PIECE: usize = 16 << 10;

/// Standard input, output and error of a program.
#[derive(Debug)]
pub(crate) struct Pipes {
    stdin: Feed,
    stdout: Drain<ChildStdout>,
    stderr: Drain<ChildStderr>,
}

/// What the program is still to read.
#[derive(Debug)]
struct Feed {
    pipe: Option<ChildStdin>,
    bytes: Vec<u8>,
    done: usize,
}

/// One of its outputs.
#[derive(Debug)]
struct Drain<R> {
    pipe: Option<R>,
    piece: Vec<u8>,
    ends: Ends,
}

impl Pipes {
    /// Takes the pipes of a child.
    pub(crate) fn new(child: &mut Child, stdin: Vec<u8>, capture: usize) -> Self {
        Self {
            stdin: Feed { pipe: child.stdin.take(), bytes: stdin, done: 0 },
            stdout: Drain::new(child.stdout.take(), capture),
            stderr: Drain::new(child.stderr.take(), capture),
        }
    }

    /// Moves bytes until nothing more can come: everybody who could write has closed or ended.
    pub(crate) async fn flow(&mut self) {
        tokio::join!(self.stdin.pour(), self.stdout.read(), self.stderr.read());
    }

    /// Moves what still comes, until nothing has come for `quiet`, and not longer than `most`.
    pub(crate) async fn rest(&mut self, quiet: Duration, most: Duration) {
        // What it has not read it will not read any more.
        self.stdin.pipe = None;
        let begun = Instant::now();
        loop {
            let before = self.seen();
            let closed = timeout(quiet, self.flow()).await.is_ok();
            if closed || self.seen() == before || begun.elapsed() >= most {
                return;
            }
        }
    }

    fn seen(&self) -> u64 {
        self.stdout.ends.seen() + self.stderr.ends.seen()
    }

    /// What came, from standard output and standard error.
    pub(crate) fn finish(self) -> (Captured, Captured) {
        (self.stdout.ends.finish(), self.stderr.ends.finish())
    }
}

impl Feed {
    async fn pour(&mut self) {
        while let Some(pipe) = &mut self.pipe {
            let rest = &self.bytes[self.done..];
            if rest.is_empty() {
                self.pipe = None;
                return;
            }
            match pipe.write(rest).await {
                Ok(written @ 1..) => self.done += written,
                // Nobody reads it: that is the program's right.
                Ok(0) | Err(_) => self.pipe = None,
            }
        }
    }
}

impl<R: AsyncRead + Unpin> Drain<R> {
    fn new(pipe: Option<R>, capture: usize) -> Self {
        Self { pipe, piece: vec![0; PIECE], ends: Ends::new(capture) }
    }

    async fn read(&mut self) {
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut self.piece).await {
                Ok(read @ 1..) => self.ends.push(&self.piece[..read]),
                Ok(0) | Err(_) => self.pipe = None,
            }
        }
    }
}
