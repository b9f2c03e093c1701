//! `cargo xtask bench rescue`: how fast relay logs are read, cut and served, against `mysqlbinlog` on
//! the same file, and what a rescue adds to a failover.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use primacy_api::Service;
use primacy_sandbox::{Installation, Sandbox};
use primacy_wire::Session;

use super::sandbox::{self, root};
use super::{machine, process};
use crate::interrupt::Interrupt;
use crate::stage::{Stage, parallel_appliers, perform};
use crate::{install, project, report, say};

/// `mysqlbinlog` comes with this server.
const PEER: &str = "mysql-9.7";
const LIMIT: Duration = Duration::from_secs(900);
/// Bytes of one row, and rows of one transaction.
const ROW: usize = 400;
const ROWS: usize = 20;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Size of the relay log that is read.
    #[arg(long, default_value_t = 1000)]
    megabytes: u64,
    /// Sizes of what only the dead primary has, in the failovers.
    #[arg(long, value_delimiter = ',', default_values_t = [0, 10, 1000])]
    missing: Vec<u64>,
    /// Do not write docs/bench/rescue.md.
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let server = install::server(Some(PEER))?;
    let primacy = project::primacy(None)?;
    tokio::runtime::Runtime::new()?.block_on(bench(args, &server, &primacy))
}

async fn bench(args: &Args, server: &Installation, primacy: &Path) -> anyhow::Result<ExitCode> {
    let load = machine::load();
    let interrupt = Interrupt::listen()?;
    let files = files(server, args.megabytes).await?;
    say(&files);
    let mut failovers = String::from(
        "| only on the primary | until applications can write | longer than without |\n|--:|--:|--:|\n",
    );
    let mut plain = None;
    for megabytes in &args.missing {
        let mut options = sandbox::options(server)?;
        options.extra_config = parallel_appliers(server);
        let act = async |stage: &Stage| failover(stage, *megabytes).await;
        let took = perform(primacy, options, &interrupt, act).await?;
        let plain = *plain.get_or_insert(took);
        let more = took.saturating_sub(plain).as_secs_f64();
        let line = format!("| {megabytes} MB | {:.2} s | {more:.2} s |\n", took.as_secs_f64());
        report(line.trim());
        failovers.push_str(&line);
    }
    say(&failovers);
    if !args.dry_run {
        let page = page(&files, &failovers, &load);
        project::write_page("docs/bench/rescue.md", &page)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn page(files: &str, failovers: &str, load: &str) -> String {
    format!(
        "# How fast a rescue is\n\n\
         Measured by `cargo xtask bench rescue` on {}, on one machine: {}; load average at the \
         beginning {load}.\n\n\
         ## Reading, cutting, serving\n\n\
         One relay log of MySQL 9.7, written by a real replica: transactions of {ROWS} rows of \
         {ROW} bytes, row format, CRC32. It is in the page cache for everybody. `mysqlbinlog` is \
         that of the same package, writing its text to /dev/null; *hop* reads headers and what \
         says where transactions begin and end, *verify* computes every checksum as well, *cut* \
         writes and syncs an archive, *serve* sends that archive over loopback to a receiver that \
         only counts. CPU is user and system time of the process.\n\n{files}\n\
         ## In a failover\n\n\
         Three MySQL 9.7 servers, GTID, asynchronous; the receivers of both replicas are stopped, \
         so many megabytes are written on the primary alone, and it is killed. The time is from \
         the kill until the new primary accepts writes, and holds what the replica needs to apply \
         it.\n\n{failovers}\n\
         What the seconds of large ones are: the replica applies that many durable transactions, \
         at the speed at which it replicates from any source (`sync_binlog = 1`, \
         `innodb_flush_log_at_trx_commit = 1` on this machine's disk). Reading, cutting and serving \
         are a few seconds of it.\n\n\
         `mysqlbinlog` prints these row events without decoding them; small events cost it more. \
         *hop* passes over large events without reading them; where all are small it reads \
         everything: `cargo run --release -p primacy-binlog --example measure` makes such \
         files. The aim for *hop* is 20 times `mysqlbinlog`; the table tells how near it is.\n",
        project::today(),
        machine::facts(),
    )
}

/// Measures on a relay log of this size.
async fn files(server: &Installation, megabytes: u64) -> anyhow::Result<String> {
    let mut options = sandbox::options(server)?;
    options.replicas = 1;
    options.extra_config =
        vec!["sync_binlog = 0".into(), "innodb_flush_log_at_trx_commit = 0".into()];
    let sandbox = Sandbox::up(options).await?;
    let measured = measure(&sandbox, server, megabytes).await;
    sandbox.down().await?;
    measured
}

async fn measure(
    sandbox: &Sandbox,
    server: &Installation,
    megabytes: u64,
) -> anyhow::Result<String> {
    let (primary, replica) = (&sandbox.info().servers[0], &sandbox.info().servers[1]);
    let mut root = Session::connect(&root(sandbox, &replica.name)?).await?;
    // The applier stands still so that nothing is purged.
    root.execute("STOP REPLICA SQL_THREAD", LIMIT).await?;
    report(&format!("writing a relay log of {megabytes} MB"));
    write(sandbox, &primary.name, megabytes).await?;
    let file = loop {
        let (file, length) = largest(&replica.datadir, "relay.")?;
        if length >= megabytes * 1_000_000 {
            break file;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    sandbox.kill(&primary.name).await?;
    let length = std::fs::metadata(&file)?.len();
    let archive = replica.dir.join("cut");
    let measure = built("primacy-binlog", "measure")?;
    let serve = built("primacy-replication", "serve")?;
    // Everybody finds it in the page cache.
    std::io::copy(&mut std::fs::File::open(&file)?, &mut std::io::sink())?;
    let mut peer = server.launcher.clone();
    peer.push(server.root.join("usr/bin/mysqlbinlog").into());
    let mut mysqlbinlog = Command::new(peer.first().context("no launcher")?);
    mysqlbinlog.args(&peer[1..]).arg("--no-defaults").arg(&file);
    let theirs = timed(&mut mysqlbinlog)?;
    let mut table = String::from(
        "| | wall | CPU | MB/s (wall) | times mysqlbinlog, wall | times mysqlbinlog, CPU |\n\
         |---|--:|--:|--:|--:|--:|\n",
    );
    let mut row = |what: &str, took: Took| {
        table.push_str(&format!(
            "| {what} | {:.2} s | {:.2} s | {:.0} | {:.1} | {:.1} |\n",
            took.wall,
            took.cpu,
            length as f64 / 1e6 / took.wall,
            theirs.wall / took.wall,
            theirs.cpu / took.cpu,
        ));
    };
    row("mysqlbinlog", theirs);
    row("hop", timed(Command::new(&measure).arg("quick").arg(&file))?);
    row("verify", timed(Command::new(&measure).arg("scan").arg(&file))?);
    row("cut", timed(Command::new(&measure).arg("relay").arg(&archive).arg(&file))?);
    row("serve", timed(Command::new(&serve).arg(&archive))?);
    Ok(format!("The file has {length} bytes.\n\n{table}"))
}

/// An example of a crate, built for speed.
fn built(package: &str, example: &str) -> anyhow::Result<PathBuf> {
    let mut cargo = project::cargo();
    cargo.args(["build", "--release", "--quiet", "-p", package, "--example", example]);
    if !cargo.status()?.success() {
        bail!("the example {example} could not be built");
    }
    Ok(project::target_dir()?.join("release/examples").join(example))
}

/// What a process needed, in seconds.
#[derive(Clone, Copy)]
struct Took {
    wall: f64,
    cpu: f64,
}

fn timed(command: &mut Command) -> anyhow::Result<Took> {
    let (before, began) = (process::cpu_seconds_of_children()?, Instant::now());
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if !status.success() {
        bail!("{:?} ended with {status}", command.get_program());
    }
    let wall = began.elapsed().as_secs_f64();
    Ok(Took { wall, cpu: process::cpu_seconds_of_children()? - before })
}

fn largest(folder: &Path, prefix: &str) -> anyhow::Result<(PathBuf, u64)> {
    let mut found = (PathBuf::new(), 0);
    for entry in std::fs::read_dir(folder)?.flatten() {
        let length = entry.metadata()?.len();
        if entry.file_name().to_string_lossy().starts_with(prefix) && length > found.1 {
            found = (entry.path(), length);
        }
    }
    Ok(found)
}

/// Writes so many megabytes of rows.
async fn write(sandbox: &Sandbox, server: &str, megabytes: u64) -> anyhow::Result<()> {
    let mut session = Session::connect(&root(sandbox, server)?).await?;
    for sql in [
        "CREATE DATABASE IF NOT EXISTS bench",
        "CREATE TABLE IF NOT EXISTS bench.t (id BIGINT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(1000)) \
         ENGINE=InnoDB",
    ] {
        session.execute(sql, LIMIT).await?;
    }
    let row = format!("('{}')", "x".repeat(ROW));
    let insert = format!("INSERT INTO bench.t (v) VALUES {}", vec![row; ROWS].join(","));
    let transactions = megabytes * 1_000_000 / (ROW * ROWS) as u64 + 1;
    for _ in 0..transactions {
        session.execute(&insert, LIMIT).await?;
    }
    Ok(())
}

/// From the kill until the new primary accepts writes.
async fn failover(stage: &Stage, megabytes: u64) -> anyhow::Result<Duration> {
    let servers = &stage.sandbox.info().servers;
    for replica in &servers[1..] {
        let mut session = Session::connect(&root(&stage.sandbox, &replica.name)?).await?;
        session.execute("STOP REPLICA IO_THREAD", LIMIT).await?;
    }
    if megabytes > 0 {
        write(&stage.sandbox, &servers[0].name, megabytes).await?;
    }
    let began = Instant::now();
    stage.sandbox.kill(&servers[0].name).await?;
    loop {
        for replica in &servers[1..] {
            if let Ok(mut session) = Session::connect(&root(&stage.sandbox, &replica.name)?).await {
                let rows = session.query("SELECT @@global.read_only", LIMIT).await?;
                if rows.first().and_then(|row| row.at(0)) == Some("0") {
                    return Ok(began.elapsed());
                }
            }
        }
        if began.elapsed() > LIMIT {
            let view = stage.client.cluster(stage.cluster()).await?;
            bail!("no new primary: {}", view.sentence);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
