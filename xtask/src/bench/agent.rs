//! `cargo xtask bench agent`: memory and processor time of agents while their cluster serves writes,
//! and what a rebuild adds to them.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use primacy_api::RebuildOrder;
use primacy_sandbox::Installation;
use primacy_testkit::Writer;

use super::rebuilding::{self, RECIPIENT};
use super::{machine, page, process};
use crate::{project, report, say};

/// The server that is measured unless others are named.
const SERVERS: [&str; 1] = ["mariadb-10.11"];
/// Whose agents are measured, and what each is.
const MEASURED: [(&str, &str); 3] =
    [("s1", "the primary"), ("s2", "a replica, the donor"), (RECIPIENT, "a replica, rebuilt")];
/// Between a healthy cluster and the beginning of the measurement.
const SETTLE: Duration = Duration::from_secs(5);
/// How long is measured unless told.
const SECONDS: u64 = 60;
/// So many MB are copied unless told.
const MEGABYTES: u64 = 512;
/// Longer than a rebuild takes.
const LIMIT: Duration = Duration::from_secs(600);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this server; may be repeated.
    #[arg(long)]
    server: Vec<String>,
    /// How long to measure.
    #[arg(long, default_value_t = SECONDS, value_parser = clap::value_parser!(u64).range(1..=86400))]
    seconds: u64,
    /// So many MB of data for the rebuild.
    #[arg(long, default_value_t = MEGABYTES)]
    megabytes: u64,
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
    let on = async |server: &Installation, program: &str| on(args, server, program).await;
    let table = table(&rebuilding::measure(&args.server, &SERVERS, on)?.rows);
    say(&table);
    if !args.dry_run {
        project::write_page("docs/bench/agent.md", &text(args, &table))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn on(args: &Args, server: &Installation, program: &str) -> anyhow::Result<Vec<Row>> {
    let cluster = rebuilding::builder(server).up().await;
    rebuilding::fill(&cluster, args.megabytes).await?;
    let (agents, manager) = rebuilding::start(program, &cluster).await;
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
    let order = RebuildOrder {
        from: Some(cluster.address("s2")),
        ..RebuildOrder::of(cluster.address(RECIPIENT))
    };
    rebuilding::rebuild(&cluster, &manager, order, LIMIT, |_, _| ()).await?;
    for ((name, _), row) in MEASURED.into_iter().zip(&mut rows) {
        row.peak = process::status(used(name)?.1, "VmHWM")?;
    }
    Ok(rows)
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

fn text(args: &Args, table: &str) -> String {
    let numbers = [("seconds", args.seconds, SECONDS), ("megabytes", args.megabytes, MEGABYTES)];
    let command = page::command("agent", &args.server, &SERVERS, &numbers);
    format!(
        "# What an agent needs\n\n\
         Measured by `{command}` on {} over {} s: {}. Three servers with an agent each, a \
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
