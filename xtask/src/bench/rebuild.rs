//! `cargo xtask bench rebuild`: how long a rebuild of a replica takes while the cluster serves writes,
//! and what it costs them: the latency of commits on the primary before it and while it copies, with
//! a replica as donor and with the primary itself.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::bail;
use primacy_api::{RebuildOrder, RebuildPhase};
use primacy_sandbox::{AccountRole, Installation};
use primacy_testkit::{Cluster, Manager};
use primacy_types::Millis;
use primacy_wire::Session;
use tokio_util::sync::CancellationToken;

use super::rebuilding::{self, Measured, RECIPIENT, STATEMENT};
use super::{machine, page};
use crate::{project, report, say};

/// The servers that are measured unless others are named.
const SERVERS: [&str; 2] = ["mariadb-10.11", "mysql-9.7"];
/// So many MB are copied unless told.
const MEGABYTES: u64 = 2048;
/// How long commits are measured without a rebuild.
const BEFORE: Duration = Duration::from_secs(20);
/// Longer than any of it takes.
const LIMIT: Duration = Duration::from_secs(3600);
/// Between two commits that are measured: the load is light, so that latency is that of a commit.
const PAUSE: Duration = Duration::from_millis(5);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this server; may be repeated.
    #[arg(long)]
    server: Vec<String>,
    /// So many MB of data.
    #[arg(long, default_value_t = MEGABYTES)]
    megabytes: u64,
    /// Do not write docs/bench/rebuild.md.
    #[arg(long)]
    dry_run: bool,
}

/// Commits of one while, in the order of their latency.
#[derive(Default)]
struct Latencies(Vec<Duration>);

impl Latencies {
    fn at(&self, hundredths: usize) -> String {
        let last = self.0.len().saturating_sub(1);
        let at = (self.0.len() * hundredths / 100).min(last);
        self.0.get(at).map_or("-".to_owned(), |one| format!("{:.1}", one.as_secs_f64() * 1000.0))
    }
}

struct Row {
    server: String,
    donor: &'static str,
    copied: u64,
    copying: Duration,
    whole: Duration,
    before: Latencies,
    during: Latencies,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let on = async |server: &Installation, program: &str| on(args, server, program).await;
    let Measured { rows, load } = rebuilding::measure(&args.server, &SERVERS, on)?;
    let table = table(&rows);
    say(&table);
    if !args.dry_run {
        project::write_page("docs/bench/rebuild.md", &text(args, &table, &load))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn on(args: &Args, server: &Installation, program: &str) -> anyhow::Result<Vec<Row>> {
    let name = &server.name;
    report(&format!("{name}: filling {} MB", args.megabytes));
    let builder = rebuilding::builder(server).option("innodb_buffer_pool_size = 512M");
    let builder = match name.starts_with("mysql") {
        true => builder.option("innodb_redo_log_capacity = 1G"),
        false => builder.option("innodb_log_file_size = 1G"),
    };
    let cluster = builder.up().await;
    cluster.sql("s1", "CREATE TABLE app.small (id INT PRIMARY KEY AUTO_INCREMENT)").await;
    rebuilding::fill(&cluster, args.megabytes).await?;
    let (_agents, manager) = rebuilding::start(program, &cluster).await;
    let mut rows = Vec::new();
    for (donor, from) in [("a replica", "s2"), ("the primary", "s1")] {
        report(&format!("{name}: rebuild from {donor}"));
        let row = rebuild(&cluster, &manager, name, donor, from).await?;
        report(&line(&row));
        rows.push(row);
    }
    Ok(rows)
}

/// Commits small rows until it is cancelled, and notes how long each took.
async fn commit(mut session: Session, into: Arc<Mutex<Latencies>>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let begun = Instant::now();
        let done = session.execute("INSERT INTO app.small VALUES ()", STATEMENT).await;
        if done.is_ok() {
            into.lock().unwrap_or_else(PoisonError::into_inner).0.push(begun.elapsed());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn rebuild(
    cluster: &Cluster,
    manager: &Manager,
    name: &str,
    donor: &'static str,
    from: &str,
) -> anyhow::Result<Row> {
    let noted = Arc::new(Mutex::new(Latencies::default()));
    let take = || {
        let mut all = std::mem::take(&mut *noted.lock().unwrap_or_else(PoisonError::into_inner));
        all.0.sort_unstable();
        all
    };
    let stop = CancellationToken::new();
    let session = Session::connect(&cluster.login("s1", AccountRole::Root)).await?;
    let commits = tokio::spawn(commit(session, Arc::clone(&noted), stop.clone()));
    tokio::time::sleep(BEFORE).await;
    let before = take();
    let order = RebuildOrder {
        from: Some(cluster.address(from)),
        max_lag: Some(Millis::from_secs(600)),
        remove_old: true,
        ..RebuildOrder::of(cluster.address(RECIPIENT))
    };
    let (mut copied, mut copying, mut whole) = (0, Duration::ZERO, Duration::ZERO);
    let mut during = Latencies::default();
    let rebuilt = rebuilding::rebuild(cluster, manager, order, LIMIT, |view, since| {
        (copied, whole) = (view.bytes, since);
        if view.phase <= RebuildPhase::Copying {
            copying = since;
        } else if during.0.is_empty() {
            during = take();
        }
    });
    let rebuilt = rebuilt.await;
    stop.cancel();
    commits.await?;
    rebuilt?;
    cluster.catches_up(RECIPIENT, "s1").await;
    for table in ["big", "small"] {
        if checksum(cluster, "s1", table).await? != checksum(cluster, RECIPIENT, table).await? {
            bail!("app.{table} differs after the rebuild");
        }
    }
    let server = name.to_owned();
    Ok(Row { server, donor, copied, copying, whole, before, during })
}

/// Reads the whole table.
async fn checksum(cluster: &Cluster, server: &str, table: &str) -> anyhow::Result<Option<String>> {
    let mut session = cluster.root(server).await;
    let rows = session.query(&format!("CHECKSUM TABLE app.{table}"), LIMIT).await?;
    session.close().await;
    Ok(rows.first().and_then(|row| row.at(1)).map(str::to_owned))
}

fn line(row: &Row) -> String {
    let rate = (row.copied >> 20) as f64 / row.copying.as_secs_f64().max(0.1);
    format!(
        "| {} | {} | {} MB | {:.1} s | {rate:.0} MB/s | {:.1} s | {} / {} / {} | {} / {} / {} |",
        row.server,
        row.donor,
        row.copied >> 20,
        row.copying.as_secs_f64(),
        row.whole.as_secs_f64(),
        row.before.at(50),
        row.before.at(99),
        row.before.at(100),
        row.during.at(50),
        row.during.at(99),
        row.during.at(100),
    )
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| server | donor | copied | copying | rate | until it had caught up | commits before, ms \
         | commits while copying, ms |\n|---|---|--:|--:|--:|--:|--:|--:|\n",
    );
    for row in rows {
        let _infallible = writeln!(text, "{}", line(row));
    }
    text
}

fn text(args: &Args, table: &str, load: &str) -> String {
    let numbers = [("megabytes", args.megabytes, MEGABYTES)];
    let command = page::command("rebuild", &args.server, &SERVERS, &numbers);
    format!(
        "# Rebuilding a replica\n\n\
         Measured by `{command}` on {}, on one machine: {}; load average at the \
         beginning {load}. Three servers with an agent each share its disk and processors, which makes \
         a rebuild cost more than on hosts of their own. {} MB of data, no limit of the rate.\n\n\
         A client commits a small row on the primary every few milliseconds. Its latencies (median / \
         99 % / maximum) are those of {} s before the rebuild, and of the time in which data was \
         copied. Afterwards the tables of the rebuilt server have the primary's checksums.\n\n{table}",
        project::today(),
        machine::facts(),
        args.megabytes,
        BEFORE.as_secs(),
    )
}
