//! Giving a server's data: only for the ticket of a manager, to the agent that it names, once.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use primacy_agent_api::pieces::Piece;
use primacy_agent_api::{
    BackupOrder, Fault, FaultKind, JobId, OfferOrder, Offered, Ticket, Transfer,
};
use primacy_certs::Peer;
use primacy_types::{Address, Millis};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::flow::{Flow, Limits};
use super::tools::{self, LastWords, LoginFile};
use super::{Rebuilds, blocking, dump};
use crate::served::Served;

/// No ticket is good for longer.
const LONGEST_VALID: Duration = Duration::from_secs(600);
/// Whoever receives is told for so long why there is no more.
const FAREWELL: Duration = Duration::from_secs(10);
/// So many pieces wait for the network at the most.
const QUEUE: usize = 8;

/// A ticket that waits to be shown.
#[derive(Debug)]
pub(super) struct Offer {
    server: Address,
    id: JobId,
    ticket: Ticket,
    recipient: String,
    until: Instant,
    rate: Option<u64>,
    max_lag: Option<Millis>,
    transfer: Transfer,
}

impl Rebuilds {
    /// Takes a manager's word that an agent may have the data.
    pub(super) async fn offer(&self, served: &Served, order: OfferOrder) -> Result<Offered, Fault> {
        let facts = {
            let state = served.state();
            if let Some(silent) = &state.silent {
                let text = format!("{} does not answer: {silent}", served.server);
                return Err(Fault::new(FaultKind::Server, text));
            }
            state.facts.clone()
        };
        let Some(facts) = facts else {
            return Err(Fault::new(FaultKind::Server, format!("{} was not seen", served.server)));
        };
        let tool = match order.transfer {
            Transfer::Dump => dump::is_possible(served, facts.version).await?.word(),
            Transfer::Backup if facts.version.is_mariadb() => {
                tools::version_for(&tools::backup()?, facts.version, tools::TOOL).await?
            }
            Transfer::Backup => {
                let text =
                    "physical backups are made of MariaDB servers; a MySQL server clones itself";
                return Err(Fault::new(FaultKind::BadRequest, text));
            }
        };
        let data_dir = PathBuf::from(&facts.data_dir);
        let logs = served.logs();
        let bytes = blocking(move || size_of(&data_dir, &|name| logs.shows(name))).await?;
        let until = Instant::now() + order.valid.as_duration().min(LONGEST_VALID);
        let mut offers = self.offers();
        offers.retain(|offer| offer.until > Instant::now() && offer.id != order.id);
        offers.push(Offer {
            server: order.server,
            id: order.id,
            ticket: order.ticket,
            recipient: order.recipient,
            until,
            rate: order.rate.filter(|rate| *rate > 0),
            max_lag: order.max_lag,
            transfer: order.transfer,
        });
        Ok(Offered { bytes, tool })
    }

    /// The offer that a ticket is good for; it is good for nothing afterwards.
    fn redeem(&self, peer: &Peer, order: &BackupOrder) -> Result<Offer, Fault> {
        let refused = |why: &str| {
            tracing::warn!(server = %order.server, peer = peer.name, why, "its data was asked for and not given");
            Err(Fault::new(
                FaultKind::Forbidden,
                format!(
                    "{}: its data is given for the ticket of a manager only: {why}",
                    order.server
                ),
            ))
        };
        let mut offers = self.offers();
        offers.retain(|offer| offer.until > Instant::now());
        let shown = |offer: &Offer| offer.server == order.server && offer.ticket.is(&order.ticket);
        let Some(at) = offers.iter().position(shown) else {
            return refused("this one is not known, was used, or is too old");
        };
        // A ticket in wrong hands is worth nothing to anybody.
        let offer = offers.remove(at);
        if offer.recipient != peer.name {
            return refused("it was made out to another agent");
        }
        Ok(offer)
    }

    /// Streams the data to whoever shows a ticket.
    pub(super) fn give(
        &self,
        served: Arc<Served>,
        peer: &Peer,
        order: &BackupOrder,
    ) -> Result<Body, Fault> {
        let offer = self.redeem(peer, order)?;
        let folder = fresh_folder(self.folder(), &offer).map_err(|error| {
            let text = format!("reading {} could not begin: {error}", served.server);
            Fault::new(FaultKind::Other, text)
        })?;
        tracing::info!(server = %served.server, to = peer.name, "its data is being sent");
        let (send, receive) = mpsc::channel::<Vec<u8>>(QUEUE);
        tokio::spawn(async move {
            let done = async {
                let source = match offer.transfer {
                    Transfer::Backup => Source::backup(&folder, &served),
                    Transfer::Dump => {
                        // Whoever receives may give up while the server's locks are waited for.
                        tokio::select! {
                            source = Box::pin(dump::start(&folder, &served)) => source,
                            () = send.closed() => Err("whoever receives it has ended".to_owned()),
                        }
                    }
                };
                match source {
                    Ok(source) => source.send(&served, &offer, &send).await,
                    Err(text) => {
                        drop(std::fs::remove_dir_all(&folder));
                        Err(text)
                    }
                }
            };
            if let Err(text) = Box::pin(done).await {
                tracing::warn!(server = %served.server, text, "its data was not sent completely");
                // Whoever receives may be gone already.
                drop(timeout(FAREWELL, send.send(Piece::Failed(text).encode())).await);
            }
        });
        let stream = futures_util::stream::unfold(receive, async |mut receive| {
            let piece = receive.recv().await?;
            Some((Ok::<_, Infallible>(Bytes::from(piece)), receive))
        });
        Ok(Body::from_stream(stream))
    }
}

/// How the folders of transfers begin.
const FOLDER: &str = "backup-";

/// What an earlier run of the agent left, which may hold an account's password: no transfer outlives the
/// agent.
pub(super) fn remove_left_over(state: &Path) {
    let Ok(entries) = std::fs::read_dir(state) else { return };
    let is_ours =
        |name: &str| name.strip_prefix(FOLDER).is_some_and(|id| id.parse::<JobId>().is_ok());
    for entry in entries.flatten().filter(|entry| is_ours(&entry.file_name().to_string_lossy())) {
        if let Err(error) = std::fs::remove_dir_all(entry.path()) {
            tracing::warn!(path = %entry.path().display(), %error, "it could not be removed");
        }
    }
}

/// For the account, and what the program itself keeps meanwhile.
fn fresh_folder(state: &Path, offer: &Offer) -> std::io::Result<PathBuf> {
    let folder = state.join(format!("{FOLDER}{}", offer.id));
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::create_dir(&folder)?;
    Ok(folder)
}

/// The program that reads the data. It ends with this.
pub(super) struct Source {
    pub(super) child: Child,
    pub(super) words: LastWords,
    _login: LoginFile,
    folder: PathBuf,
    /// Goes before what the program says.
    head: Vec<u8>,
    /// Its last words, if it has such.
    complete: Option<&'static str>,
}

impl Source {
    /// A program that was started; the folder and the account in it go with it.
    pub(super) fn of(mut child: Child, login: LoginFile, folder: &Path) -> Self {
        let words = LastWords::of(&mut child);
        let folder = folder.to_owned();
        Self { child, words, _login: login, folder, head: Vec::new(), complete: None }
    }

    /// Something goes before what the program says, and the program's last line is known.
    pub(super) fn between(mut self, head: Vec<u8>, complete: &'static str) -> Self {
        self.head = head;
        self.complete = Some(complete);
        self
    }

    fn backup(folder: &Path, served: &Served) -> Result<Self, String> {
        let failed = |error: std::io::Error| {
            format!("the backup of {} could not be started: {error}", served.server)
        };
        let login = LoginFile::write(folder.join("login.cnf"), &served.login).map_err(failed)?;
        let child = Command::new(tools::backup().map_err(|fault| fault.text)?)
            // The first argument, or it is not obeyed.
            .arg(login.argument())
            .args(["--backup", "--stream=mbstream", "--slave-info"])
            .arg(format!("--target-dir={}", folder.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        Ok(Self::of(child, login, folder))
    }

    /// Sends all of it; whatever ends it is an error, and in the sentence.
    async fn send(
        mut self,
        served: &Served,
        offer: &Offer,
        to: &mpsc::Sender<Vec<u8>>,
    ) -> Result<(), String> {
        let exits = served.exits();
        let flow = Flow {
            limits: match offer.transfer {
                Transfer::Backup => Limits::of_a_backup(),
                Transfer::Dump => Limits::of_a_dump(),
            },
            rate: offer.rate,
            head: std::mem::take(&mut self.head),
            complete: self.complete,
            behind: || behind(served, offer.max_lag),
            ended: || {
                let ended = served.exits() != exits;
                ended.then(|| format!("the server {} ended in the midst of it", served.server))
            },
        };
        let total = flow.run(&mut self.child, &self.words, to).await?;
        tracing::info!(server = %served.server, total, "its data was sent");
        Ok(())
    }
}

/// The end of a stream.
#[derive(Debug, Default)]
pub(super) struct Tail(Vec<u8>);

impl Tail {
    const KEPT: usize = 256;

    pub(super) fn saw(&mut self, piece: &[u8]) {
        self.0.extend_from_slice(&piece[piece.len().saturating_sub(Self::KEPT)..]);
        let more = self.0.len().saturating_sub(Self::KEPT);
        self.0.drain(..more);
    }

    /// Whether the last line begins with these words.
    pub(super) fn has(&self, words: &str) -> bool {
        let text = String::from_utf8_lossy(&self.0);
        text.trim_end().lines().next_back().is_some_and(|line| line.starts_with(words))
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// How far its replication is behind, if that is further than the transfer may make it.
fn behind(served: &Served, max: Option<Millis>) -> Option<Millis> {
    let max = max?;
    let state = served.state();
    let lags = state.facts.iter().flat_map(|facts| &facts.channels);
    let lags = lags.filter_map(|channel| {
        channel.lag_seconds.map(|lag| lag.saturating_sub(channel.delay_seconds))
    });
    lags.max().map(Millis::from_secs).filter(|lag| *lag > max)
}

/// Bytes below a directory; files that are left out are those at its top with such names.
fn size_of(dir: &Path, left_out: &dyn Fn(&str) -> bool) -> std::io::Result<u64> {
    let mut all = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        // A table may be dropped meanwhile.
        let Ok(about) = entry.metadata() else { continue };
        if about.is_dir() {
            all += size_of(&entry.path(), &|_| false).unwrap_or_default();
        } else if !left_out(&entry.file_name().to_string_lossy()) {
            all += about.len();
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_transfer_left_is_removed_and_nothing_else() {
        let state = tempfile::tempdir().unwrap();
        let left = state.path().join("backup-0199f0a0-7c3e-7b1c-8a3e-0123456789ab");
        let other = state.path().join("backup-of-mine");
        for folder in [&left, &other] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join("login.cnf"), "password").unwrap();
        }
        remove_left_over(state.path());
        assert!(!left.exists() && other.join("login.cnf").exists());
        remove_left_over(&state.path().join("none"));
    }

    #[test]
    fn a_dump_is_complete_if_its_last_line_says_so() {
        let mut tail = Tail::default();
        tail.saw(b"INSERT INTO t VALUES ('-- Dump completed');\n");
        assert!(!tail.has(dump::COMPLETE));
        tail.saw(&[b'x'; 1000]);
        tail.saw(b"\n-- Dump com");
        assert!(!tail.has(dump::COMPLETE));
        tail.saw(b"pleted on 2026-01-01  1:02:03\n");
        assert!(tail.has(dump::COMPLETE));
    }
}
