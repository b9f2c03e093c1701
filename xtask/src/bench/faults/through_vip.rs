//! A client that knows nothing but the virtual address, on a host of its own: which servers take its
//! rows, and how long none does.
//!
//! It is this program again, inside the host's network namespace.

use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use primacy_sandbox::AccountRole;
use primacy_testkit::{Cluster, Net};
use primacy_types::Address;
use primacy_wire::{ConnectOptions, Session, TlsMode};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

use crate::say;

/// Where the password is told.
const PASSWORD: &str = "PRIMACY_BENCH_PASSWORD";
/// Limit of one attempt to connect, and of one row.
const ATTEMPT: Duration = Duration::from_millis(500);
/// Between two attempts that failed.
const PAUSE: Duration = Duration::from_millis(10);

/// `cargo xtask bench vip-client`: not for people.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The virtual address.
    #[arg(long)]
    address: String,
    /// The servers' ports: in a sandbox each has another.
    #[arg(long, value_delimiter = ',')]
    ports: Vec<u16>,
    /// The account.
    #[arg(long)]
    user: String,
    /// How long it goes on at most.
    #[arg(long)]
    seconds: u64,
}

/// Writes rows until the time is over, and says of each when and by which server it was taken.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let password = SecretString::from(std::env::var(PASSWORD).context("no password is given")?);
    tokio::runtime::Runtime::new()?.block_on(write(args, &password));
    Ok(ExitCode::SUCCESS)
}

async fn write(args: &Args, password: &SecretString) {
    let began = Instant::now();
    let mut number = 0_u64;
    while began.elapsed() < Duration::from_secs(args.seconds) {
        for port in &args.ports {
            let Some(mut session) = open(args, *port, password).await else { continue };
            loop {
                number += 1;
                let sql = format!("INSERT INTO app.vip VALUES ({number}, @@server_id)");
                if session.execute(&sql, ATTEMPT).await.is_err() {
                    break;
                }
                let Ok(rows) = session.query("SELECT @@server_id", ATTEMPT).await else { break };
                let server = rows.first().and_then(|row| row.at(0)).unwrap_or_default();
                say(&format!("{} {server}", began.elapsed().as_millis()));
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn open(args: &Args, port: u16, password: &SecretString) -> Option<Session> {
    let options = ConnectOptions {
        address: Address::new(&args.address, port),
        user: args.user.clone(),
        password: password.clone(),
        tls: TlsMode::Off,
        connect_timeout: ATTEMPT,
        database: None,
        program: "primacy-bench".to_owned(),
        unix_socket: None,
    };
    Session::connect(&options).await.ok()
}

/// A running client.
pub(super) struct ThroughVip {
    child: Child,
}

/// What came of its rows.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Rows that were acknowledged.
    pub(super) rows: usize,
    /// The longest time between two of them.
    pub(super) longest_gap: Duration,
    /// Rows that an earlier server took after a later one had taken its first.
    pub(super) late: usize,
}

impl ThroughVip {
    /// Starts on this host.
    pub(super) async fn start(
        net: &Net,
        host: usize,
        cluster: &Cluster,
        address: &str,
        seconds: u64,
    ) -> anyhow::Result<Self> {
        cluster.sql("s1", "CREATE TABLE app.vip (n BIGINT, server INT) ENGINE=InnoDB").await;
        let login = cluster.login("s1", AccountRole::Application);
        let ports: Vec<String> =
            cluster.names().iter().map(|s| cluster.address(s).port().to_string()).collect();
        let child = Command::new("ip")
            .args(["netns", "exec", &net.host(host).namespace])
            .arg(std::env::current_exe()?)
            .args(["bench", "vip-client", "--address", address, "--user", &login.user])
            .args(["--ports", &ports.join(","), "--seconds", &seconds.to_string()])
            .env(PASSWORD, login.password.expose_secret())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self { child })
    }

    /// Ends it.
    pub(super) async fn finish(mut self) -> anyhow::Result<Seen> {
        self.child.start_kill()?;
        let mut text = String::new();
        if let Some(mut out) = self.child.stdout.take() {
            out.read_to_string(&mut text).await?;
        }
        let _ended = self.child.wait().await?;
        Ok(Seen::of(&text))
    }
}

impl Seen {
    fn of(text: &str) -> Self {
        let rows: Vec<(u64, &str)> = text
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter_map(|(at, server)| Some((at.parse().ok()?, server)))
            .collect();
        let mut order: Vec<&str> = Vec::new();
        let mut late = 0;
        for (_, server) in &rows {
            if !order.contains(server) {
                order.push(server);
            }
            late += usize::from(order.last() != Some(server));
        }
        let gaps = rows.windows(2).map(|pair| Duration::from_millis(pair[1].0 - pair[0].0));
        Self { rows: rows.len(), longest_gap: gaps.max().unwrap_or_default(), late }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_an_earlier_server_after_a_later_one_are_late() {
        let seen = Seen::of("1 1\n2 1\n700 2\n701 1\n705 2\n");
        assert_eq!((seen.rows, seen.late), (5, 1));
        assert_eq!(seen.longest_gap, Duration::from_millis(698));
        assert_eq!(Seen::of("").rows, 0);
    }
}
