//! `cargo xtask bench binlog-server`: a primary that writes as fast as it can, alone, with a replica
//! that only receives, and with the binlog server; whether these keep up, and what it costs the
//! primary when it waits for their acknowledgement.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use primacy_sandbox::{AccountRole, Installation, Sandbox};
use primacy_types::{Address, BinlogPosition};
use primacy_wire::{ConnectOptions, Session};

use super::machine;
use super::sandbox::{self, root};
use crate::interrupt::Interrupt;
use crate::{install, project, report, say};

/// The servers that are measured unless others are named.
const SERVERS: [&str; 2] = ["mariadb-10.11", "mysql-9.7"];
const LIMIT: Duration = Duration::from_secs(120);
/// Bytes of one row; each transaction has one.
const ROW: usize = 1000;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this server; may be repeated.
    #[arg(long, value_delimiter = ',')]
    server: Vec<String>,
    /// How long each case is written.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Connections that write at the same time.
    #[arg(long, default_value_t = 4)]
    writers: usize,
    /// Do not write docs/bench/binlog-server.md.
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let servers = install::servers(&args.server, &SERVERS)?;
    let primacy = project::primacy(None)?;
    tokio::runtime::Runtime::new()?.block_on(bench(args, &servers, &primacy))
}

async fn bench(args: &Args, servers: &[Installation], primacy: &Path) -> anyhow::Result<ExitCode> {
    let load = machine::load();
    let interrupt = Interrupt::listen()?;
    let mut table = String::from(
        "| server | who receives | transactions/s | MB/s of binary log | of alone | behind at the end |\n\
         |---|---|--:|--:|--:|--:|\n",
    );
    for server in servers {
        let rows = interrupt.unless(cases(args, server, primacy)).await?;
        let alone = rows.first().context("the first case is the primary alone")?.1.rate;
        for (what, took) in rows {
            let (rate, megabytes, share) = (took.rate, took.megabytes, took.rate / alone * 100.0);
            let behind =
                took.behind.map_or_else(|| "-".to_owned(), |b| format!("{:.2} s", b.as_secs_f64()));
            let line = format!(
                "| {} | {what} | {rate:.0} | {megabytes:.1} | {share:.0} % | {behind} |\n",
                server.version
            );
            report(line.trim());
            table.push_str(&line);
        }
    }
    say(&table);
    if !args.dry_run {
        project::write_page("docs/bench/binlog-server.md", &page(&table, args, &load))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn page(table: &str, args: &Args, load: &str) -> String {
    let (seconds, writers) = (args.seconds, args.writers);
    format!(
        "# Does the binlog server keep up?\n\n\
         Measured by `cargo xtask bench binlog-server` on {}, on one machine: {}; load average at \
         the beginning {load}.\n\n\
         {writers} connections on the primary insert one row of {ROW} bytes a transaction for \
         {seconds} s, as fast as they can (`sync_binlog = 0`, `innodb_flush_log_at_trx_commit = 0`, \
         so that the disk does not hold the primary up). *replica* is a real one of the same version \
         whose applier is stopped: it only receives. The binlog server forces every batch to disk \
         before it acknowledges (`--sync always`); the replica's relay log is the server's default \
         (`sync_relay_log = 10000`). All share the machine's processors and disk. *Behind at the \
         end* is the time from the last commit until the receiver has all of it.\n\n{table}",
        project::today(),
        machine::facts(),
    )
}

#[derive(Clone, Copy)]
struct Took {
    rate: f64,
    megabytes: f64,
    behind: Option<Duration>,
}

/// Who receives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Nobody,
    Replica,
    Keeper,
}

async fn cases(
    args: &Args,
    server: &Installation,
    primacy: &Path,
) -> anyhow::Result<Vec<(&'static str, Took)>> {
    let mut rows = Vec::new();
    for semi_sync in [false, true] {
        let mut options = sandbox::options(server)?;
        options.replicas = 1;
        options.semi_sync = semi_sync;
        options.extra_config =
            vec!["sync_binlog = 0".into(), "innodb_flush_log_at_trx_commit = 0".into()];
        let sandbox = Sandbox::up(options).await?;
        let here: &[(&str, Who)] = match semi_sync {
            false => &[
                ("nobody", Who::Nobody),
                ("replica", Who::Replica),
                ("binlog server", Who::Keeper),
            ],
            true => {
                &[("replica, semi-sync", Who::Replica), ("binlog server, semi-sync", Who::Keeper)]
            }
        };
        let mut measured = Ok(());
        for (what, who) in here {
            match case(args, &sandbox, primacy, *who, semi_sync).await {
                Ok(took) => rows.push((*what, took)),
                Err(error) => {
                    measured = Err(error);
                    break;
                }
            }
        }
        sandbox.down().await?;
        measured?;
    }
    Ok(rows)
}

async fn case(
    args: &Args,
    sandbox: &Sandbox,
    primacy: &Path,
    who: Who,
    semi_sync: bool,
) -> anyhow::Result<Took> {
    let mariadb = sandbox.info().version.is_mariadb();
    let word = if mariadb { "SLAVE" } else { "REPLICA" };
    let mut replica = Session::connect(&root(sandbox, "s2")?).await?;
    replica.execute(&format!("STOP {word}"), LIMIT).await?;
    let keeper = match who {
        Who::Keeper => Some(Keeper::start(sandbox, primacy).await?),
        Who::Replica => {
            replica.execute(&format!("START {word} IO_THREAD"), LIMIT).await?;
            None
        }
        Who::Nobody => None,
    };
    let mut primary = Session::connect(&root(sandbox, "s1")?).await?;
    for sql in [
        "CREATE DATABASE IF NOT EXISTS bench",
        "CREATE TABLE IF NOT EXISTS bench.w (id BIGINT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(1000)) \
         ENGINE=InnoDB",
    ] {
        primary.execute(sql, LIMIT).await?;
    }
    if semi_sync {
        one_acknowledges(&mut primary).await?;
    }
    let login = match &keeper {
        Some(keeper) => keeper.login(sandbox)?,
        None => root(sandbox, "s2")?,
    };
    let mut receiver = Session::connect(&login).await?;
    if who != Who::Nobody {
        catches_up(&mut primary, &mut receiver, mariadb).await?;
    }
    let before = logged(&mut primary).await?;
    let (count, took) = write(sandbox, args).await?;
    let ended = Instant::now();
    let bytes = logged(&mut primary).await?.saturating_sub(before);
    let behind = match who {
        Who::Nobody => None,
        _ => {
            catches_up(&mut primary, &mut receiver, mariadb).await?;
            Some(ended.elapsed())
        }
    };
    Ok(Took {
        rate: count as f64 / took.as_secs_f64(),
        megabytes: bytes as f64 / 1e6 / took.as_secs_f64(),
        behind,
    })
}

/// Bytes of all binary logs.
async fn logged(primary: &mut Session) -> anyhow::Result<u64> {
    let rows = primary.query("SHOW BINARY LOGS", LIMIT).await?;
    Ok(rows.iter().filter_map(|row| row.at(1)?.parse::<u64>().ok()).sum())
}

async fn one_acknowledges(primary: &mut Session) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let rows = primary.query("SHOW STATUS LIKE 'Rpl_semi_sync%clients'", LIMIT).await?;
        if rows.first().and_then(|row| row.at(1)) == Some("1") {
            return Ok(());
        }
        if began.elapsed() > LIMIT {
            bail!("exactly one receiver should acknowledge");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until the receiver has everything that the primary has written.
async fn catches_up(
    primary: &mut Session,
    receiver: &mut Session,
    mariadb: bool,
) -> anyhow::Result<()> {
    let place = |file: Option<&str>, offset: Option<&str>| {
        Some(BinlogPosition::new(file?, offset?.parse().ok()?))
    };
    let (words, status) = match mariadb {
        true => ("SHOW ALL SLAVES STATUS", "SHOW MASTER STATUS"),
        false => ("SHOW REPLICA STATUS", "SHOW BINARY LOG STATUS"),
    };
    let rows = primary.query(status, LIMIT).await?;
    let end = rows.first().and_then(|row| place(row.at(0), row.at(1)));
    let end = end.context("the primary writes no binary log")?;
    let began = Instant::now();
    loop {
        let rows = receiver.query(words, LIMIT).await?;
        let (file, offset) = match mariadb {
            true => ("Master_Log_File", "Read_Master_Log_Pos"),
            false => ("Source_Log_File", "Read_Source_Log_Pos"),
        };
        let has = rows.first().and_then(|row| place(row.get(file), row.get(offset)));
        if has.is_some_and(|has| has >= end) {
            return Ok(());
        }
        if began.elapsed() > LIMIT {
            bail!("it does not catch up with {end}");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// All connections write until the time is over; how many transactions that made.
async fn write(sandbox: &Sandbox, args: &Args) -> anyhow::Result<(u64, Duration)> {
    let insert = format!("INSERT INTO bench.w (v) VALUES ('{}')", "x".repeat(ROW));
    let time = Duration::from_secs(args.seconds);
    let mut writers = tokio::task::JoinSet::new();
    let began = Instant::now();
    for _ in 0..args.writers {
        let (mut session, insert) =
            (Session::connect(&root(sandbox, "s1")?).await?, insert.clone());
        writers.spawn(async move {
            let mut count = 0;
            while began.elapsed() < time {
                session.execute(&insert, LIMIT).await?;
                count += 1;
            }
            anyhow::Ok(count)
        });
    }
    let mut count = 0;
    while let Some(wrote) = writers.join_next().await {
        count += wrote??;
    }
    Ok((count, began.elapsed()))
}

/// The binlog server's process; it ends with this.
struct Keeper {
    child: Child,
    address: Address,
}

impl Keeper {
    async fn start(sandbox: &Sandbox, primacy: &Path) -> anyhow::Result<Self> {
        let free = TcpListener::bind("127.0.0.1:0")?;
        let address = Address::new("127.0.0.1", free.local_addr()?.port());
        drop(free);
        let info = sandbox.info();
        let entry = format!(
            "\n[[cluster.{}.server]]\naddress = \"{address}\"\nhost_access = \"none\"\n",
            info.name
        );
        OpenOptions::new().append(true).open(&info.config)?.write_all(entry.as_bytes())?;
        let log = File::create(info.dir.join("binlog-server.log"))?;
        let child = Command::new(primacy)
            .args(["binlog", "serve", "--listen", &address.to_string(), "--config"])
            .arg(&info.config)
            .arg("--dir")
            .arg(info.dir.join("kept"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let keeper = Self { child, address };
        let began = Instant::now();
        while Session::connect(&keeper.login(sandbox)?).await.is_err() {
            if began.elapsed() > LIMIT {
                bail!("the binlog server does not answer");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(keeper)
    }

    fn login(&self, sandbox: &Sandbox) -> anyhow::Result<ConnectOptions> {
        let account = sandbox.info().account(AccountRole::Manager)?;
        Ok(ConnectOptions {
            address: self.address.clone(),
            user: account.user.clone(),
            password: account.password.clone().into(),
            unix_socket: None,
            ..root(sandbox, "s1")?
        })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
