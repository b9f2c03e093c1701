//! `cargo xtask bench agent`: memory and processor time of agents while their cluster serves writes,
//! and what a rebuild adds to them.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use primacy_api::{RebuildAnswer, RebuildOrder, Service};
use primacy_sandbox::Installation;
use primacy_store::Outcome;
use primacy_testkit::{Agents, Cluster, Manager, Writer, cluster};

use super::{machine, process};
use crate::project::{self, Profile, build_primacy};
use crate::{install, report, say};

/// The server that is measured unless others are named.
const SERVERS: [&str; 1] = ["mariadb-10.11"];
/// Whose agents are measured, and what each is.
const MEASURED: [(&str, &str); 3] =
    [("s1", "the primary"), ("s2", "a replica, the donor"), ("s3", "a replica, rebuilt")];
/// Between a healthy cluster and the beginning of the measurement.
const SETTLE: Duration = Duration::from_secs(5);
/// Longer than a rebuild takes.
const LIMIT: Duration = Duration::from_secs(600);
/// Limit of one statement.
const STATEMENT: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this server; may be repeated.
    #[arg(long)]
    server: Vec<String>,
    /// How long to measure.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86400))]
    seconds: u64,
    /// So many MB of data for the rebuild.
    #[arg(long, default_value_t = 512)]
    megabytes: usize,
    /// Do not write docs/bench/agent.md.
    #[arg(long)]
    dry_run: bool,
}

struct Row {
    server: String,
    agent: &'static str,
    guard: u64,
    worker: u64,
    cpu_percent: f64,
    peak: u64,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let servers = install::servers(&args.server, &SERVERS)?;
    install::backup_program()?;
    let primacy = build_primacy(Profile::Release)?;
    tokio::runtime::Runtime::new()?.block_on(bench(args, &servers, &primacy))
}

async fn bench(args: &Args, servers: &[Installation], primacy: &Path) -> anyhow::Result<ExitCode> {
    let program = primacy.to_str().context("the program's path is no text")?;
    let mut rows = Vec::new();
    for server in servers {
        rows.extend(on(args, server, program).await?);
    }
    let table = table(&rows);
    say(&table);
    if !args.dry_run {
        project::write_page("docs/bench/agent.md", &page(args, &table))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn on(args: &Args, server: &Installation, program: &str) -> anyhow::Result<Vec<Row>> {
    let mut builder = cluster(&server.name).with_agents();
    if server.name.starts_with("mysql") {
        builder = builder.option("plugin_load_add = mysql_clone.so");
    }
    let cluster = builder.up().await;
    fill(&cluster, args.megabytes).await?;
    let agents = Agents::start(program, &cluster).await;
    let manager = Manager::start(program, &cluster).await;
    manager.has_looked_again(&cluster.address("s3")).await;
    let writer = Writer::start(&cluster).await;
    tokio::time::sleep(SETTLE).await;
    report(&format!("{}: measuring {} s", server.name, args.seconds));
    let used = |name: &str| -> anyhow::Result<(u32, u32, f64)> {
        let (guard, worker) = agents.processes(name);
        let worker = worker.with_context(|| format!("the agent of {name} has no worker"))?;
        let seconds = process::cpu_seconds(guard.pid)? + process::cpu_seconds(worker.pid)?;
        Ok((guard.pid, worker.pid, seconds))
    };
    let mut before = Vec::new();
    for (name, _) in MEASURED {
        before.push(used(name)?.2);
    }
    let from = Instant::now();
    tokio::time::sleep(Duration::from_secs(args.seconds)).await;
    let seconds = from.elapsed().as_secs_f64();
    let mut rows = Vec::new();
    for ((name, agent), before) in MEASURED.into_iter().zip(before) {
        let (guard, worker, after) = used(name)?;
        rows.push(Row {
            server: server.name.clone(),
            agent,
            guard: process::status(guard, "VmRSS")?,
            worker: process::status(worker, "VmRSS")?,
            cpu_percent: (after - before) / seconds * 100.0,
            peak: 0,
        });
    }
    writer.finish(&cluster).await.nothing_is_lost();
    report(&format!("{}: rebuilding", server.name));
    rebuild(&cluster, &manager).await?;
    for ((name, _), row) in MEASURED.into_iter().zip(&mut rows) {
        row.peak = process::status(used(name)?.1, "VmHWM")?;
    }
    Ok(rows)
}

async fn fill(cluster: &Cluster, megabytes: usize) -> anyhow::Result<()> {
    let mut session = cluster.root("s1").await;
    let table = "CREATE TABLE app.big (id INT PRIMARY KEY AUTO_INCREMENT, body LONGBLOB)";
    session.execute(table, STATEMENT).await?;
    let one = "(REPEAT(UNHEX(SHA2(RAND(), 512)), 1024))";
    let batch = [one; 16].join(",");
    for _ in 0..megabytes {
        session.execute(&format!("INSERT INTO app.big (body) VALUES {batch}"), STATEMENT).await?;
    }
    session.close().await;
    for replica in ["s2", "s3"] {
        cluster.catches_up(replica, "s1").await;
    }
    Ok(())
}

async fn rebuild(cluster: &Cluster, manager: &Manager) -> anyhow::Result<()> {
    let client = manager.client().await;
    let order = RebuildOrder {
        from: Some(cluster.address("s2")),
        ..RebuildOrder::of(cluster.address("s3"))
    };
    let answer = client.rebuild(cluster.name(), order).await?;
    let RebuildAnswer::Begun { operation, .. } = answer else {
        bail!("the rebuild was not begun");
    };
    let begun = Instant::now();
    while begun.elapsed() < LIMIT {
        let views = client.rebuilds(cluster.name()).await?;
        let view = views.into_iter().find(|view| view.operation == operation);
        match view.as_ref().and_then(|view| view.outcome) {
            Some(Outcome::Done) => return Ok(()),
            Some(_) => bail!("the rebuild failed: {view:?}"),
            None => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
    bail!("the rebuild took too long")
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| server | agent of | guard, resident | worker, resident | processor time | worker, peak \
         after the rebuild |\n|---|---|--:|--:|--:|--:|\n",
    );
    for row in rows {
        let _infallible = writeln!(
            text,
            "| {} | {} | {} | {} | {:.1} % of one core | {} |",
            row.server,
            row.agent,
            process::mib(row.guard),
            process::mib(row.worker),
            row.cpu_percent,
            process::mib(row.peak),
        );
    }
    text
}

fn page(args: &Args, table: &str) -> String {
    format!(
        "# What an agent needs\n\n\
         Measured by `cargo xtask bench agent` on {} over {} s: {}. Three servers with an agent each, a \
         manager, and a client that writes as fast as it is acknowledged; leases of 3 s. An agent is two \
         processes: the worker, and the guard that watches it; both run the same program, whose pages \
         they share. Then a replica is rebuilt ({} MB of data) from another one, through \
         their agents.\n\n{table}",
        project::today(),
        args.seconds,
        machine::facts(),
        args.megabytes,
    )
}
