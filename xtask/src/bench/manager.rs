//! `cargo xtask bench manager`: processor time and memory of one manager of many clusters.
//!
//! The servers are simulated by this process; the manager is the real binary, measured by what the
//! kernel says of its process.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use primacy_api::{Client, ClusterView, Service};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use super::fake_server::{Counters, FakeServer};
use super::{machine, process};
use crate::interrupt::Interrupt;
use crate::{project, report, say};

/// Servers of a cluster.
const SERVERS: usize = 3;
/// How long the manager may take to find all clusters healthy.
const HEALTHY_LIMIT: Duration = Duration::from_secs(60);
/// Between healthy and the beginning of the measurement.
const SETTLE: Duration = Duration::from_secs(5);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many clusters of three servers.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=2000))]
    clusters: u16,
    /// How long to measure.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86400))]
    seconds: u64,
    /// Do not write docs/bench/manager.md.
    #[arg(long)]
    dry_run: bool,
    /// Measure this program instead of building one.
    #[arg(long, value_name = "FILE")]
    primacy: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let primacy = project::primacy(args.primacy.as_deref())?;
    allow_many_files()?;
    tokio::runtime::Runtime::new()?.block_on(bench(args, &primacy))
}

/// A listener and two connections for each server.
fn allow_many_files() -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).context("the limit of open files was not raised")
}

async fn bench(args: &Args, primacy: &Path) -> anyhow::Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    let counters = Arc::new(Counters::default());
    let ports = start_servers(args.clusters, &counters).await?;
    let folder = tempfile::Builder::new().prefix("primacy-bench").tempdir()?;
    let folder = folder.path();
    fs::write(folder.join("password"), "simulated\n")?;
    let config = folder.join("primacy.toml");
    fs::write(&config, config_text(&ports))?;
    let log = fs::File::create(folder.join("manager.log"))?;
    let mut command = Command::new(primacy);
    command.arg("manager").arg("--config").arg(&config);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
    let mut manager = command.spawn().context("the manager was not started")?;
    let measured = interrupt.unless(measure(args, folder, &mut manager, &counters)).await;
    manager.kill().await?;
    let measured = measured.inspect_err(|_| {
        let text = fs::read_to_string(folder.join("manager.log")).unwrap_or_default();
        text.lines().rev().take(10).for_each(report);
    })?;
    let text = measured.markdown();
    say(&text);
    for sql in counters.unknown.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter() {
        report(&format!("the simulated servers had no answer to: {sql}"));
    }
    if !args.dry_run {
        project::write_page("docs/bench/manager.md", &page(args, &text))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn start_servers(clusters: u16, counters: &Arc<Counters>) -> anyhow::Result<Vec<Vec<u16>>> {
    let began = Instant::now();
    let mut all = Vec::new();
    for _ in 0..clusters {
        let mut listeners = Vec::new();
        for _ in 0..SERVERS {
            listeners.push(TcpListener::bind("127.0.0.1:0").await?);
        }
        let ports: Vec<u16> = listeners
            .iter()
            .map(|listener| Ok(listener.local_addr()?.port()))
            .collect::<std::io::Result<_>>()?;
        for ((listener, port), id) in listeners.into_iter().zip(&ports).zip(1..) {
            let is_primary = *port == ports[0];
            let server = FakeServer {
                id,
                port: *port,
                source: ports[0],
                replicas: if is_primary { ports[1..].to_vec() } else { Vec::new() },
                began,
                counters: Arc::clone(counters),
            };
            tokio::spawn(server.serve(listener));
        }
        all.push(ports);
    }
    Ok(all)
}

fn config_text(clusters: &[Vec<u16>]) -> String {
    let mut text = String::from("[manager]\nstate_dir = \"state\"\n");
    for role in ["manager", "replication"] {
        let _ = write!(
            text,
            "\n[defaults.accounts.{role}]\nuser = \"{role}\"\npassword_file = \"password\"\n"
        );
    }
    text.push_str("\n[defaults.policy]\nsemi_sync_wait_count = 1\n");
    for (number, ports) in clusters.iter().enumerate() {
        for port in ports {
            // Not looked for among the processes of this machine: it is another host's, in truth.
            let _ = write!(
                text,
                "\n[[cluster.c{number}.server]]\naddress = \"127.0.0.1:{port}\"\n\
                 host_access = \"none\"\n"
            );
        }
    }
    text
}

/// What was measured.
struct Measured {
    healthy: usize,
    clusters: usize,
    until_healthy: Duration,
    cpu_percent: f64,
    rss_kib: u64,
    peak_kib: u64,
    threads: u64,
    queries_per_second: f64,
}

async fn measure(
    args: &Args,
    folder: &Path,
    manager: &mut Child,
    counters: &Counters,
) -> anyhow::Result<Measured> {
    let pid = manager.id().context("the manager has ended")?;
    let begin = Instant::now();
    let (client, views) = healthy(folder, manager).await?;
    let until_healthy = begin.elapsed();
    report(&format!("{} clusters are healthy; measuring {} s", views.len(), args.seconds));
    tokio::time::sleep(SETTLE).await;
    let (used, queries, from) =
        (process::cpu_seconds(pid)?, counters.queries.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(Duration::from_secs(args.seconds)).await;
    let (used, queries) =
        (process::cpu_seconds(pid)? - used, counters.queries.load(Ordering::Relaxed) - queries);
    let seconds = from.elapsed().as_secs_f64();
    let views = client.clusters().await?;
    Ok(Measured {
        healthy: views.iter().filter(|view| view.health == "healthy").count(),
        clusters: views.len(),
        until_healthy,
        cpu_percent: used / seconds * 100.0,
        rss_kib: process::status(pid, "VmRSS")?,
        peak_kib: process::status(pid, "VmHWM")?,
        threads: process::status(pid, "Threads")?,
        queries_per_second: queries as f64 / seconds,
    })
}

/// Waits until the manager finds every cluster healthy.
async fn healthy(folder: &Path, manager: &mut Child) -> anyhow::Result<(Client, Vec<ClusterView>)> {
    let socket = folder.join("state/primacy.sock");
    let deadline = Instant::now() + HEALTHY_LIMIT;
    loop {
        if let Some(status) = manager.try_wait()? {
            bail!("the manager ended: {status}");
        }
        if let Ok(client) = Client::connect(&socket).await {
            let views = client.clusters().await?;
            let ill = views.iter().find(|view| view.health != "healthy");
            match ill {
                None if !views.is_empty() => return Ok((client, views)),
                Some(view) if Instant::now() >= deadline => {
                    bail!("{} is not healthy: {}", view.name, view.sentence)
                }
                _ => {}
            }
        } else if Instant::now() >= deadline {
            bail!("the manager does not listen");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

impl Measured {
    fn markdown(&self) -> String {
        let rows = [
            ("clusters healthy at the end", format!("{} of {}", self.healthy, self.clusters)),
            ("from its start to all healthy", format!("{:.1} s", self.until_healthy.as_secs_f64())),
            ("processor time", format!("{:.1} % of one core", self.cpu_percent)),
            ("resident memory", process::mib(self.rss_kib)),
            ("resident memory, peak", process::mib(self.peak_kib)),
            ("threads", self.threads.to_string()),
            ("statements to the servers", format!("{:.0} per second", self.queries_per_second)),
        ];
        let mut text = String::from("| one manager | |\n|---|--:|\n");
        for (name, value) in rows {
            let _ = writeln!(text, "| {name} | {value} |");
        }
        text
    }
}

fn page(args: &Args, table: &str) -> String {
    format!(
        "# What a manager of many clusters needs\n\n\
         Measured by `cargo xtask bench manager --clusters {}` on {} over {} s: {}. Each cluster \
         has three servers, which are simulated: they speak the protocol on loopback and answer \
         as healthy MariaDB servers with semi-sync would. Default timing (a look at every server \
         every 500 ms), no TLS.\n\n{table}",
        args.clusters,
        project::today(),
        args.seconds,
        machine::facts(),
    )
}
