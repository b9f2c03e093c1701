//! Runs commands on a host over ssh, each within a limit.

use std::ffi::OsString;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use primacy_types::{Address, SshSettings};
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout_at};

use super::call::{Call, Ended};
use super::failure::{SshFailure, shortened};
use super::master::{Advice, Connection, Master};
use super::target::{Sharing, Target};
use crate::HostError;

/// How often it is looked whether the shared connection stands.
const LOOK: Duration = Duration::from_millis(10);
/// No command but `fetch` gives more than this.
const LONGEST_ANSWER: usize = 64 << 20;
/// ssh(1): the exit status of an error of its own; no script of ours ends with it.
const SSH_FAILED: i32 = 255;

/// The way to one host.
#[derive(Debug)]
pub(crate) struct Client {
    server: Address,
    target: Target,
    master: Master,
}

/// What a command gave.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Its exit status.
    pub(crate) status: i32,
    pub(crate) output: Vec<u8>,
    /// Its standard error, shortened.
    pub(crate) said: String,
}

impl Client {
    pub(crate) fn new(server: &Address, settings: SshSettings) -> Result<Self, HostError> {
        let target = Target::new(server, settings)?;
        Ok(Self { server: server.clone(), master: Master::new(target.clone()), target })
    }

    /// Runs a command to its end. Whatever does not end within the limit is killed.
    pub(crate) async fn run(
        &self,
        what: &str,
        remote: &OsString,
        limit: Duration,
    ) -> Result<Answer, HostError> {
        let deadline = Instant::now() + limit;
        let too_late = || HostError::TimedOut {
            server: self.server.clone(),
            what: format!("{what} over ssh ({})", self.target),
            limit,
        };
        let mut call = self.start(remote, deadline).await?.ok_or_else(too_late)?;
        let over = call.over.clone();
        let work = async {
            let mut output = Vec::new();
            while call.read(&mut output).await? > 0 {
                if output.len() > LONGEST_ANSWER {
                    return Err(io::Error::other("the answer is longer than any answer should be"));
                }
            }
            Ok((output, call.ended().await?))
        };
        let Ok(done) = timeout_at(deadline, work).await else {
            self.suspect(over.as_ref());
            return Err(too_late());
        };
        let (output, ended) = done.map_err(|source| self.system(source))?;
        let status = self.status(&ended)?;
        Ok(Answer { status, output, said: shortened(&ended.said) })
    }

    /// Starts a command; `None` if no connection stood in time.
    pub(crate) async fn start(
        &self,
        remote: &OsString,
        deadline: Instant,
    ) -> Result<Option<Call>, HostError> {
        self.begin(remote, deadline, Call::start).await
    }

    /// The same for one that goes on until its standard input ends.
    pub(crate) async fn hold(
        &self,
        remote: &OsString,
        deadline: Instant,
    ) -> Result<Option<Call>, HostError> {
        self.begin(remote, deadline, Call::hold).await
    }

    async fn begin(
        &self,
        remote: &OsString,
        deadline: Instant,
        run: impl Fn(&mut Command, Option<Arc<Connection>>) -> io::Result<Call>,
    ) -> Result<Option<Call>, HostError> {
        let over = loop {
            match self.master.advice() {
                Advice::Share(connection) => break Some(connection),
                Advice::Alone => break None,
                Advice::Failed(said) => return Err(self.failure(&said, false)),
                Advice::Wait if Instant::now() >= deadline => return Ok(None),
                Advice::Wait => sleep(LOOK).await,
            }
        };
        let sharing = over.as_ref().map_or(Sharing::Alone, |over| Sharing::Use(over.socket()));
        let left = deadline.saturating_duration_since(Instant::now());
        let mut command = self.target.command(sharing, left, remote);
        run(&mut command, over).map(Some).map_err(|source| self.system(source))
    }

    /// The exit status of what ran over there; an error if ssh itself did not do its work.
    pub(crate) fn status(&self, ended: &Ended) -> Result<i32, HostError> {
        match ended.status.code() {
            Some(SSH_FAILED) => Err(self.failure(&ended.said, ended.shared)),
            // A login shell that is none (nologin, a forced command), or one that failed.
            Some(_) if !ended.answered => Err(HostError::SshNoShell {
                server: self.server.clone(),
                target: self.target.to_string(),
                said: shortened(&ended.said),
            }),
            Some(code) => Ok(code),
            None => {
                let source = io::Error::other(format!("it ended with {}", ended.status));
                Err(self.system(source))
            }
        }
    }

    /// A call that ran over this had no answer.
    pub(crate) fn suspect(&self, over: Option<&Arc<Connection>>) {
        if let Some(over) = over {
            self.master.suspect(over);
        }
    }

    pub(crate) const fn server(&self) -> &Address {
        &self.server
    }

    fn failure(&self, said: &[u8], shared: bool) -> HostError {
        let failure = match SshFailure::of(&String::from_utf8_lossy(said)) {
            // A call over a shared connection that is lost ends without a word of its own.
            SshFailure::Other if shared => SshFailure::Cut,
            other => other,
        };
        HostError::Ssh {
            server: self.server.clone(),
            target: self.target.to_string(),
            failure,
            said: shortened(said),
        }
    }

    fn system(&self, source: io::Error) -> HostError {
        HostError::SshProgram {
            server: self.server.clone(),
            target: self.target.to_string(),
            source,
        }
    }
}
