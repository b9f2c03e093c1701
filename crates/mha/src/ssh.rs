//! Logging in to hosts over ssh: from here to each server's, and from there to each other's.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use primacy_types::{Address, SshSettings};
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use crate::application::Application;

/// So many logins at the same time; sshd turns away the eleventh that has not logged in yet
/// (`MaxStartups`).
const TOGETHER: usize = 8;

/// How much of what ssh says is read.
const SAID: u64 = 4096;

/// One login, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// From this server's host; `None`: from here.
    pub from: Option<Address>,
    /// To this server's host.
    pub to: Address,
    /// Why it failed.
    pub failure: Option<String>,
}

/// Why a login failed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Failed {
    /// What ssh, or the operating system, said.
    #[error("{0}")]
    Said(String),
    /// Both of them said nothing.
    #[error("ssh did not end in time, twice")]
    TooLate,
}

/// How a server's host is reached.
struct Way {
    host: String,
    settings: SshSettings,
}

impl Application {
    fn way(&self, server: &Address) -> Option<Way> {
        let cluster = self.native()?;
        let settings = cluster.ssh.of(&cluster.policy.server(server).ssh);
        let host = settings.host.clone().unwrap_or_else(|| server.host().to_owned());
        Some(Way { host, settings })
    }

    /// A server's host as one would name it to ssh: `user@host(address:port)`.
    pub fn ssh_name(&self, server: &Address) -> String {
        let Some(Way { host, settings }) = self.way(server) else { return server.to_string() };
        let user = settings.user.map(|user| format!("{}@", user.as_str())).unwrap_or_default();
        format!("{user}{}({host}:{})", self.host(server), settings.port.unwrap_or(22))
    }

    /// Logs in to each of these servers' hosts, and with `mesh` from each of those to each other one;
    /// all at once, each login within the configured limit. In the order of the servers.
    pub async fn logins(&self, servers: &[Address], mesh: bool) -> Vec<Login> {
        let mut pairs: Vec<(Option<&Address>, &Address)> =
            servers.iter().map(|to| (None, to)).collect();
        if mesh {
            for from in servers {
                pairs.extend(servers.iter().filter(|to| *to != from).map(|to| (Some(from), to)));
            }
        }
        let logins = pairs.into_iter().map(async |(from, to)| {
            let mut tried = self.log_in(from, to).await;
            // ssh gives up sooner by itself: a host that is busy with the other logins is no failure.
            if tried == Err(Failed::TooLate) {
                tried = self.log_in(from, to).await;
            }
            let failure = tried.err().map(|failed| failed.to_string());
            Login { from: from.cloned(), to: to.clone(), failure }
        });
        stream::iter(logins).buffered(TOGETHER).collect().await
    }

    /// Logs in from here to the host of each `[binlogN]`: its block's name, its host as one would name
    /// it to ssh, and why it failed.
    pub async fn binlog_logins(&self) -> Vec<(String, String, Option<String>)> {
        let logins = self.mha.binlogs.iter().map(async |block| {
            let host = block.filled("ssh_host").unwrap_or_else(|| block.host());
            let mut settings = self.native().map(|cluster| cluster.ssh.clone()).unwrap_or_default();
            if let Some(user) = block.filled("ssh_user").and_then(|user| user.parse().ok()) {
                settings.user = Some(user);
            }
            if block.written("ssh_port").is_some() {
                settings.port = block.number("ssh_port").and_then(|port| u16::try_from(port).ok());
            }
            let user = settings.user.as_ref().map(|user| format!("{}@", user.as_str()));
            let port = settings.port.unwrap_or(22);
            let name = format!("{}{}({host}:{port})", user.unwrap_or_default(), block.hostname());
            let seconds = block.number("ssh_connection_timeout").unwrap_or(5).max(1);
            let words = Way { host, settings }.words(seconds, "true");
            let mut tried = run(&words, limit(seconds)).await;
            if tried == Err(Failed::TooLate) {
                tried = run(&words, limit(seconds)).await;
            }
            (block.name.clone(), name, tried.err().map(|failed| failed.to_string()))
        });
        stream::iter(logins).buffered(TOGETHER).collect().await
    }

    async fn log_in(&self, from: Option<&Address>, to: &Address) -> Result<(), Failed> {
        let seconds = self.block(to).and_then(|block| block.number("ssh_connection_timeout"));
        let seconds = seconds.unwrap_or(5).max(1);
        let unknown = || Failed::Said("it is not in the configuration".to_owned());
        let target = self.way(to).ok_or_else(unknown)?;
        let words = match from {
            None => target.words(seconds, "true"),
            Some(from) => {
                let there = target.words(seconds, "true");
                let quoted: Vec<String> = there.iter().map(|word| quoted(word)).collect();
                let way = self.way(from).ok_or_else(unknown)?;
                way.words(seconds, &quoted.join(" "))
            }
        };
        run(&words, limit(seconds)).await
    }

    /// Whether a file is on the host of a server, as far as ssh reaches it.
    pub(crate) async fn has_file(&self, server: &Address, path: &Path) -> bool {
        let seconds = self.block(server).and_then(|block| block.number("ssh_connection_timeout"));
        let seconds = seconds.unwrap_or(5).max(1);
        let Some(way) = self.way(server) else { return false };
        let command = format!("test -f {}", quoted(&path.display().to_string()));
        let words = way.words(seconds, &command);
        let asked = run(&words, limit(seconds)).await;
        match asked {
            Err(Failed::TooLate) => run(&words, limit(seconds)).await.is_ok(),
            asked => asked.is_ok(),
        }
    }
}

/// Of both logins, and a moment for the processes.
fn limit(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds) * 2 + 2)
}

/// Runs an ssh to its end.
async fn run(words: &[String], limit: Duration) -> Result<(), Failed> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(Failed::Said("there is no program to run".to_owned()));
    };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    command.env("LC_ALL", "C").env("SSH_ASKPASS_REQUIRE", "never");
    let mut child =
        command.spawn().map_err(|e| Failed::Said(format!("{program} cannot be started: {e}")))?;
    let mut said = Vec::new();
    let work = async {
        if let Some(stderr) = child.stderr.take() {
            let _shortened = stderr.take(SAID).read_to_end(&mut said).await;
        }
        child.wait().await
    };
    match tokio::time::timeout(limit, work).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => {
            let said = String::from_utf8_lossy(&said);
            Err(Failed::Said(format!("{} ({status})", said.trim())))
        }
        Ok(Err(error)) => Err(Failed::Said(error.to_string())),
        Err(_) => Err(Failed::TooLate),
    }
}

impl Way {
    /// An ssh that asks nobody anything, and runs a command there.
    fn words(&self, seconds: u32, command: &str) -> Vec<String> {
        let mut words = vec![self.settings.command.clone()];
        let plain = ["-T", "-x", "-a", "-oBatchMode=yes", "-oLogLevel=ERROR"];
        words.extend(plain.map(str::to_owned));
        words.push(format!("-oConnectTimeout={seconds}"));
        if let Some(user) = &self.settings.user {
            words.extend(["-l".to_owned(), user.as_str().to_owned()]);
        }
        if let Some(port) = self.settings.port {
            words.extend(["-p".to_owned(), port.to_string()]);
        }
        words.extend(self.settings.options.iter().map(|option| option.as_str().to_owned()));
        words.extend(["--".to_owned(), self.host.clone(), command.to_owned()]);
        words
    }
}

/// A word as a shell takes it for one.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_word_stays_one_for_the_shell_there() {
        assert_eq!(quoted("-oBatchMode=yes"), "-oBatchMode=yes");
        assert_eq!(quoted("a b'c"), "'a b'\\''c'");
        assert_eq!(quoted(""), "''");
    }
}
