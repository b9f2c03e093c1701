//! The far end of a fence: a shell that keeps the server down for as long as our session with it
//! lasts. A session that is lost is made again until the guard is told to end.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use primacy_types::Address;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::call::Call;
use super::client::Client;
use crate::{HostError, RestartsPrevented};

/// Pause before a session that was lost is made again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a new session may take to stand.
const STAND: Duration = Duration::from_secs(15);
/// How long the far side may take to end: it also sees a mask to its end.
const END: Duration = Duration::from_secs(5);
/// It says something every second or two; one that is silent for so long is lost.
const SILENCE: Duration = Duration::from_secs(30);
/// No line is longer.
const LONGEST_LINE: usize = 64 * 1024;

/// Keeps a server down for as long as it lives.
#[derive(Debug)]
pub(super) struct Guard {
    /// Dropping it ends the guard.
    hold: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// What a guard is to run, and for whom.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) client: Arc<Client>,
    pub(super) server: Address,
    pub(super) first: OsString,
    /// The same, after the session was lost.
    pub(super) again: OsString,
    /// How long the first session may take to stand.
    pub(super) deadline: Instant,
    pub(super) limit: Duration,
    pub(super) prevented: RestartsPrevented,
    /// The process was not known: the first that is killed is no restart.
    pub(super) searches: bool,
}

/// What the far side says.
#[derive(Debug)]
pub(super) enum Heard {
    /// New processes are killed from now on.
    Up,
    /// A process that was looked for was found, and killed.
    Killed(u32),
    /// The process is gone.
    Gone,
    /// What it does instead of ending.
    State(String),
    /// It may not be killed.
    Refused(String),
    /// It is not known whether it is gone.
    Unsure(String),
    /// The unit was masked, or not.
    Masked(Result<(), String>),
    /// It runs in a container of this name.
    Container(String),
    /// The session failed.
    Failed(HostError),
}

/// Why a session ended.
enum End {
    Released,
    /// The far side ended by itself, and said why.
    Said,
    Lost(Option<HostError>),
}

impl Guard {
    /// Raises it; what it says comes over the channel.
    pub(super) fn raise(order: Order) -> (Self, mpsc::UnboundedReceiver<Heard>) {
        let (hold, released) = oneshot::channel();
        let (tell, heard) = mpsc::unbounded_channel();
        let keeper = Keeper { order, tell, was_up: false, spared: None };
        (Self { hold, task: tokio::spawn(keeper.keep(released)) }, heard)
    }

    /// Ends it; when this returns it kills nothing any more, unless its host is not reached.
    pub(super) async fn stop(self) {
        drop(self.hold);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the guard of a server that was kept down had failed");
        }
    }
}

struct Keeper {
    order: Order,
    tell: mpsc::UnboundedSender<Heard>,
    was_up: bool,
    /// The last process that may not be killed, to complain once.
    spared: Option<String>,
}

impl Keeper {
    async fn keep(mut self, mut released: oneshot::Receiver<()>) {
        let (mut remote, mut deadline) = (self.order.first.clone(), self.order.deadline);
        loop {
            let lost = match self.session(&remote, deadline, &mut released).await {
                End::Released | End::Said => return,
                End::Lost(lost) => lost,
            };
            let reason = lost.as_ref().map_or_else(|| "it was cut".to_owned(), ToString::to_string);
            let was_up = self.was_up;
            self.say(Heard::Failed(lost.unwrap_or_else(|| self.cut())));
            if !was_up {
                return;
            }
            tracing::warn!(server = %self.order.server, reason,
                "the session that keeps the server down was lost; it is made again");
            tokio::select! {
                _ = &mut released => return,
                () = sleep(AGAIN) => {}
            }
            remote = self.order.again.clone();
            deadline = Instant::now() + STAND;
        }
    }

    async fn session(
        &mut self,
        remote: &OsString,
        deadline: Instant,
        released: &mut oneshot::Receiver<()>,
    ) -> End {
        let client = Arc::clone(&self.order.client);
        let begun = tokio::select! {
            _ = &mut *released => return End::Released,
            begun = client.hold(remote, deadline) => begun,
        };
        let mut call = match begun {
            Ok(Some(call)) => call,
            Ok(None) => return End::Lost(Some(self.too_late())),
            Err(error) => return End::Lost(Some(error)),
        };
        let over = call.over.clone();
        let (mut text, mut said) = (Vec::new(), false);
        loop {
            let silence = if self.was_up { Instant::now() + SILENCE } else { deadline };
            let read = tokio::select! {
                _ = &mut *released => {
                    finish(call).await;
                    return End::Released;
                }
                read = timeout_at(silence, call.read(&mut text)) => read,
            };
            match read {
                Ok(Ok(1..)) if text.len() < LONGEST_LINE => {}
                Ok(Ok(0)) => break,
                Err(_) => {
                    client.suspect(over.as_ref());
                    return End::Lost(Some(self.too_late()));
                }
                _ => return End::Lost(None),
            }
            while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = text.drain(..=end).collect();
                said |= self.hear(String::from_utf8_lossy(&line).trim_end());
            }
        }
        let status = match timeout(END, call.ended()).await {
            Ok(Ok(ended)) => client.status(&ended),
            _ => Ok(0),
        };
        match status {
            _ if said => End::Said,
            Ok(_) => End::Lost(None),
            Err(error) => End::Lost(Some(error)),
        }
    }

    /// One line of the far side; whether it ended because of what it says.
    fn hear(&mut self, line: &str) -> bool {
        let server = &self.order.server;
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "up" => {
                self.was_up = true;
                self.say(Heard::Up);
            }
            "gone" => {
                self.order.searches = false;
                self.say(Heard::Gone);
            }
            "killed" if self.order.searches => {
                self.order.searches = false;
                self.say(Heard::Killed(rest.parse().unwrap_or_default()));
            }
            "killed" => {
                self.order.prevented.add_one();
                tracing::warn!(%server, pid = rest, "killed a restart of the server that is kept down");
            }
            "wrapper" => tracing::info!(%server, wrapper = rest, "killed what would restart it"),
            "spared" if self.spared.as_deref() != Some(rest) => {
                tracing::error!(%server, rest, "what starts the server again may not be killed");
                self.spared = Some(rest.to_owned());
            }
            "state" => self.say(Heard::State(rest.to_owned())),
            "masked" => self.say(Heard::Masked(Ok(()))),
            "unmasked" => {
                tracing::warn!(%server, reason = rest, "its unit is not masked; the guard holds");
                self.say(Heard::Masked(Err(rest.to_owned())));
            }
            "container" => self.say(Heard::Container(rest.to_owned())),
            "refused" => self.say(Heard::Refused(rest.to_owned())),
            "uncertain" => self.say(Heard::Unsure(format!(
                "this login cannot see in which directories the servers there work (processes\
                 {}{rest})",
                if rest.is_empty() { "" } else { " " }
            ))),
            "nowhere" => self.say(Heard::Unsure(
                "this login cannot look into the server's data directory".to_owned(),
            )),
            _ => {}
        }
        matches!(word, "refused" | "uncertain" | "nowhere") && !(self.was_up && word == "nowhere")
    }

    fn say(&self, heard: Heard) {
        // Whoever asked may not be waiting any more.
        drop(self.tell.send(heard));
    }

    fn too_late(&self) -> HostError {
        HostError::TimedOut {
            server: self.order.server.clone(),
            what: "raising a guard over ssh".to_owned(),
            limit: self.order.limit,
        }
    }

    fn cut(&self) -> HostError {
        let reason = "the session that was to kill it was cut; what it did is not known".to_owned();
        HostError::ProcessUnseen { server: self.order.server.clone(), reason }
    }
}

/// Lets the far side end: it has when its output has.
async fn finish(mut call: Call) {
    call.let_go();
    let rest = async {
        let mut text = Vec::new();
        while matches!(call.read(&mut text).await, Ok(1..)) {
            text.clear();
        }
        call.ended().await
    };
    if timeout(END, rest).await.is_err() {
        tracing::warn!("the guard on the far side was not seen to end");
    }
}
