//! `cargo xtask bench rebuild`: how long a rebuild of a replica takes while the cluster serves writes,
//! and what it costs them: the latency of commits on the primary before it and while it copies, with
//! a replica as donor and with the primary itself.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use primacy_api::{RebuildAnswer, RebuildOrder, RebuildPhase, Service};
use primacy_sandbox::{AccountRole, Installation};
use primacy_store::Outcome;
use primacy_testkit::{Agents, Cluster, Manager, cluster};
use primacy_types::Millis;
use primacy_wire::Session;
use tokio_util::sync::CancellationToken;

use super::machine;
use crate::project::{self, Profile, build_primacy};
use crate::{install, report, say};

/// The servers that are measured unless others are named.
const SERVERS: [&str; 2] = ["mariadb-10.11", "mysql-9.7"];
/// One row of the data that is copied.
const ROW: usize = 64 << 10;
/// How long commits are measured without a rebuild.
const BEFORE: Duration = Duration::from_secs(20);
/// Longer than any of it takes.
const LIMIT: Duration = Duration::from_secs(3600);
/// Limit of one statement.
const STATEMENT: Duration = Duration::from_secs(60);
/// Between two commits that are measured: the load is light, so that latency is that of a commit.
const PAUSE: Duration = Duration::from_millis(5);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this server; may be repeated.
    #[arg(long)]
    server: Vec<String>,
    /// So many MB of data.
    #[arg(long, default_value_t = 2048)]
    megabytes: usize,
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
    let servers = install::servers(&args.server, &SERVERS)?;
    install::backup_program()?;
    let primacy = build_primacy(Profile::Release)?;
    tokio::runtime::Runtime::new()?.block_on(bench(args, &servers, &primacy))
}

async fn bench(args: &Args, servers: &[Installation], primacy: &Path) -> anyhow::Result<ExitCode> {
    let load = machine::load();
    let program = primacy.to_str().context("the program's path is no text")?;
    let mut rows = Vec::new();
    for server in servers {
        rows.extend(on(args, server, program).await?);
    }
    let table = table(&rows);
    say(&table);
    if !args.dry_run {
        project::write_page("docs/bench/rebuild.md", &page(args, &table, &load))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn on(args: &Args, server: &Installation, program: &str) -> anyhow::Result<Vec<Row>> {
    let name = &server.name;
    report(&format!("{name}: filling {} MB", args.megabytes));
    let mut builder = cluster(name).with_agents().option("innodb_buffer_pool_size = 512M");
    builder = match name.starts_with("mysql") {
        true => builder
            .option("plugin_load_add = mysql_clone.so")
            .option("innodb_redo_log_capacity = 1G"),
        false => builder.option("innodb_log_file_size = 1G"),
    };
    let cluster = builder.up().await;
    fill(&cluster, args.megabytes).await?;
    let _agents = Agents::start(program, &cluster).await;
    let manager = Manager::start(program, &cluster).await;
    manager.has_looked_again(&cluster.address("s3")).await;
    let mut rows = Vec::new();
    for (donor, from) in [("a replica", "s2"), ("the primary", "s1")] {
        report(&format!("{name}: rebuild from {donor}"));
        let row = rebuild(&cluster, &manager, name, donor, from).await?;
        report(&line(&row));
        rows.push(row);
    }
    Ok(rows)
}

async fn fill(cluster: &Cluster, megabytes: usize) -> anyhow::Result<()> {
    let mut session = cluster.root("s1").await;
    session
        .execute(
            "CREATE TABLE app.big (id INT PRIMARY KEY AUTO_INCREMENT, body LONGBLOB)",
            STATEMENT,
        )
        .await?;
    session
        .execute("CREATE TABLE app.small (id INT PRIMARY KEY AUTO_INCREMENT)", STATEMENT)
        .await?;
    // Random enough that nothing on the way makes it smaller, and made by the server itself.
    let one = format!("REPEAT(UNHEX(SHA2(RAND(), 512)), {})", ROW / 64);
    let batch = vec![format!("({one})"); 16].join(",");
    for _ in 0..(megabytes << 20) / ROW / 16 {
        session.execute(&format!("INSERT INTO app.big (body) VALUES {batch}"), STATEMENT).await?;
    }
    session.close().await;
    for replica in ["s2", "s3"] {
        cluster.catches_up(replica, "s1").await;
    }
    Ok(())
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
    let client = manager.client().await;
    let order = RebuildOrder {
        from: Some(cluster.address(from)),
        max_lag: Some(Millis::from_secs(600)),
        remove_old: true,
        ..RebuildOrder::of(cluster.address("s3"))
    };
    let begun = Instant::now();
    let RebuildAnswer::Begun { operation, .. } = client.rebuild(cluster.name(), order).await?
    else {
        bail!("the rebuild was not begun");
    };
    let (mut during, mut copying) = (Latencies::default(), Duration::ZERO);
    let view = loop {
        let views = client.rebuilds(cluster.name()).await?;
        let view = views.into_iter().find(|view| view.operation == operation);
        let view = view.context("the rebuild is not known any more")?;
        if view.phase <= RebuildPhase::Copying {
            copying = begun.elapsed();
        } else if during.0.is_empty() {
            during = take();
        }
        if view.outcome.is_some() {
            break view;
        }
        if begun.elapsed() > LIMIT {
            bail!("the rebuild took too long: {view:?}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let whole = begun.elapsed();
    stop.cancel();
    commits.await?;
    if view.outcome != Some(Outcome::Done) {
        bail!("the rebuild failed: {}", view.sentence.unwrap_or_default());
    }
    cluster.catches_up("s3", "s1").await;
    for table in ["big", "small"] {
        if checksum(cluster, "s1", table).await? != checksum(cluster, "s3", table).await? {
            bail!("app.{table} differs after the rebuild");
        }
    }
    let server = name.to_owned();
    Ok(Row { server, donor, copied: view.bytes, copying, whole, before, during })
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

fn page(args: &Args, table: &str, load: &str) -> String {
    format!(
        "# Rebuilding a replica\n\n\
         Measured by `cargo xtask bench rebuild` on {}, on one machine: {}; load average at the \
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
