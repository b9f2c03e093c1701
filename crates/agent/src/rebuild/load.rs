//! Making new data of a logical dump: a private server is started on an empty data directory, and a
//! client that knows no commands of its own (`--binary-mode`) feeds it what comes.

use std::process::Stdio;
use std::time::Duration;

use primacy_agent_api::{AgentClient, BackupOrder, JobPhase};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin};
use tokio::time::timeout;

use super::donor::Tail;
use super::dump;
use super::job::Job;
use super::private::{PrivateServer, Recipe};
use super::tools::LastWords;
use super::transfer::Transfer;

/// How long one piece may take to be loaded: a statement of a megabyte, or an index that is built.
const PIECE: Duration = Duration::from_secs(3600);
/// A first line is no longer than this.
const LONGEST_HEAD: usize = 1 << 20;

/// All of it: afterwards the new data lies there, and nothing runs on it.
pub(super) async fn load(
    job: &Job,
    donor: &AgentClient,
    request: &BackupOrder,
    stall: Duration,
    recipe: &Recipe,
) -> Result<(), String> {
    recipe.initialise(&job.layout).await?;
    let server = PrivateServer::start(recipe, &job.layout).await?;
    let holds = feed(job, donor, request, stall, recipe, &server).await?;
    job.enter(JobPhase::Preparing)?;
    server.end().await?;
    job.found(holds);
    Ok(())
}

/// Loads what comes; gives the GTIDs that it holds.
async fn feed(
    job: &Job,
    donor: &AgentClient,
    request: &BackupOrder,
    stall: Duration,
    recipe: &Recipe,
    server: &PrivateServer,
) -> Result<String, String> {
    let mut transfer = Transfer::begin(job, donor, request, stall).await?;
    let mut client = start(recipe, server)?;
    let words = LastWords::of(&mut client);
    let mut input = client.stdin.take().ok_or("the client has no input")?;
    let (mut head, mut tail) = (Head::default(), Tail::default());
    while let Some(bytes) = transfer.next().await? {
        match write(&mut input, head.saw(&bytes)?).await {
            Ok(()) => {}
            Err(None) => {
                return Err(format!("what came could not be loaded: {}", words.why().await));
            }
            Err(Some(why)) => return Err(why),
        }
        tail.saw(&bytes);
        job.came(bytes.len() as u64);
    }
    if !tail.has(dump::COMPLETE) {
        return Err("the dump ended without its last line".to_owned());
    }
    let holds = head.holds.ok_or("the dump does not say which transactions it holds")?;
    drop(input);
    let status = timeout(PIECE, client.wait())
        .await
        .map_err(|_| "loading does not come to its end".to_owned())?
        .map_err(|error| error.to_string())?;
    if !status.success() {
        let why = words.why().await;
        return Err(format!("what came could not be loaded ({status}): {why}"));
    }
    Ok(holds)
}

/// An error is what was waited for in vain; without text the client has ended, and says why.
async fn write(input: &mut ChildStdin, bytes: &[u8]) -> Result<(), Option<String>> {
    match timeout(PIECE, input.write_all(bytes)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(None),
        Err(_) => Err(Some(format!("nothing was loaded for {} s", PIECE.as_secs()))),
    }
}

fn start(recipe: &Recipe, server: &PrivateServer) -> Result<Child, String> {
    let mut command = recipe.client.program.command();
    command
        .args(["--no-defaults", "--batch", "--binary-mode", "--user=root"])
        .args(["--default-character-set=utf8mb4", "--max-allowed-packet=1G", "--local-infile=0"])
        .arg(format!("--socket={}", server.socket().display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
        .spawn()
        .map_err(|error| format!("{} could not be started: {error}", recipe.client.word()))
}

/// The first line is not the client's but the agent's.
#[derive(Default)]
struct Head {
    begun: Vec<u8>,
    holds: Option<String>,
}

impl Head {
    /// What of this piece is to be loaded.
    fn saw<'b>(&mut self, piece: &'b [u8]) -> Result<&'b [u8], String> {
        if self.holds.is_some() {
            return Ok(piece);
        }
        let (line, rest) = match piece.iter().position(|byte| *byte == b'\n') {
            Some(at) => (&piece[..at], &piece[at + 1..]),
            None if self.begun.len() + piece.len() > LONGEST_HEAD => {
                return Err("what came is no dump of an agent".to_owned());
            }
            None => {
                self.begun.extend_from_slice(piece);
                return Ok(&[]);
            }
        };
        self.begun.extend_from_slice(line);
        let text = String::from_utf8_lossy(&self.begun);
        let holds = text.strip_prefix(dump::HEAD).ok_or("what came is no dump of an agent")?;
        self.holds = Some(holds.to_owned());
        Ok(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_says_what_the_dump_holds_wherever_it_is_cut() {
        let text = format!("{}0-1-5\n-- MariaDB dump\n", dump::HEAD);
        for cut in 0..text.len() {
            let mut head = Head::default();
            let (one, other) = text.as_bytes().split_at(cut);
            let mut loaded = head.saw(one).unwrap().to_vec();
            loaded.extend_from_slice(head.saw(other).unwrap());
            assert_eq!(
                (head.holds.as_deref(), &*loaded),
                (Some("0-1-5"), &b"-- MariaDB dump\n"[..])
            );
        }
        assert!(Head::default().saw(b"DROP TABLE t;\n").is_err());
    }
}
