//! `cargo xtask bench mha`: what applications see of a failover by `masterha_manager`, Primacy's and
//! MHA's own, in turns, with the same configuration, servers, ssh servers and client.
//!
//! Hosts are network namespaces with an sshd each; the managers run on a fourth. Every run has a
//! fresh cluster.

mod site;
mod table;

use std::fmt::Write as _;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures_util::FutureExt as _;
use primacy_sandbox::Installation;
use primacy_testkit::{Net, Writer, cluster};

use self::site::{Running, Site};
use self::table::{Case, Run, markdown};
use super::{machine, page};
use crate::interrupt::{Interrupt, Interrupted};
use crate::stage::parallel_appliers;
use crate::{install, project, report, say};

/// What is measured unless servers are named, and whether replicas follow by GTID. MHA has a way of
/// its own for each; the last is a server whose words it does not know.
const SERVERS: [(&str, bool); 3] =
    [("mysql-5.6", true), ("mariadb-10.11", false), ("mysql-9.7", true)];
/// Runs of each manager for each case unless told.
const RUNS: u16 = 3;
/// What a manager has watched for at least before the writer begins: one that was started a moment
/// ago is not what runs for months.
const WARM: Duration = Duration::from_secs(5);
/// Writing before the primary dies, and after the manager has ended.
const BEFORE: Duration = Duration::from_secs(2);
const AFTER: Duration = Duration::from_secs(1);
/// MHA's own pace. Kills are spread over it, because MHA looks on a fixed grid.
const PING: Duration = Duration::from_secs(3);
/// How long a manager may take to watch, and to end after the kill.
const WATCHES: Duration = Duration::from_secs(60);
const ENDS: Duration = Duration::from_secs(180);
/// How often a manager is looked at.
const EVERY: Duration = Duration::from_millis(5);
/// The managers' host.
const MANAGER: usize = 3;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Runs of each manager for each case.
    #[arg(long, default_value_t = RUNS, value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: u16,
    /// Only this server; may be repeated.
    #[arg(long, value_parser = SERVERS.map(|(name, _)| name))]
    server: Vec<String>,
    /// Only this case; may be repeated.
    #[arg(long, value_enum)]
    case: Vec<Event>,
    /// Do not write docs/bench/mha.md.
    #[arg(long)]
    dry_run: bool,
    /// Measure this program instead of building one.
    #[arg(long, value_name = "FILE")]
    primacy: Option<PathBuf>,
}

/// What happens to the primary, and how often managers are told to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Event {
    /// SIGKILL, with the defaults of both.
    Kill,
    /// SIGKILL, with `ping_interval=1`.
    KillPing1,
    /// SIGSTOP, with the defaults of both; SIGCONT when the manager has ended.
    Freeze,
}

impl Event {
    const ALL: [Self; 3] = [Self::Kill, Self::KillPing1, Self::Freeze];

    fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill, defaults",
            Self::KillPing1 => "kill, `ping_interval=1`",
            Self::Freeze => "freeze, defaults",
        }
    }

    /// A line of the configuration.
    fn line(self) -> &'static str {
        match self {
            Self::KillPing1 => "ping_interval=1\n",
            Self::Kill | Self::Freeze => "",
        }
    }
}

/// Who fails over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Mha,
    Primacy,
}

impl Who {
    const ALL: [Self; 2] = [Self::Mha, Self::Primacy];

    fn name(self) -> &'static str {
        match self {
            Self::Mha => "MHA",
            Self::Primacy => "Primacy",
        }
    }
}

/// A manager did not come to watch.
#[derive(Debug, thiserror::Error)]
#[error("it does not watch this server: {0}")]
struct DoesNotWatch(String);

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let named = |name: &str| args.server.is_empty() || args.server.iter().any(|n| n == name);
    let mut servers = Vec::new();
    for (name, gtid) in SERVERS.into_iter().filter(|(name, _)| named(name)) {
        servers.push((install::server(Some(name))?, gtid));
    }
    install::mha()?;
    let primacy = project::primacy(args.primacy.as_deref())?;
    tokio::runtime::Runtime::new()?.block_on(bench(args, &servers, &primacy))
}

async fn bench(
    args: &Args,
    servers: &[(Installation, bool)],
    primacy: &Path,
) -> anyhow::Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    let (load, begin) = (machine::load(), Instant::now());
    let net = Net::new(4).context("network namespaces cannot be made here (root is needed)")?;
    let site = Site::new(primacy, &net)?;
    let mut cases = Vec::new();
    for (server, gtid) in servers {
        for event in Event::ALL {
            if args.case.is_empty() || args.case.contains(&event) {
                let bench = Bench { net: &net, site: &site, server, gtid: *gtid, event };
                cases.extend(bench.case(args.runs, &interrupt).await?);
            }
        }
    }
    let text = markdown(&cases);
    say(&text);
    if !args.dry_run {
        let versions = site.versions()?;
        let load = format!("{load}, at the end {}", machine::load());
        let page = page_of(args, &text, &versions, &load, begin.elapsed());
        project::write_page("docs/bench/mha.md", &page)?;
    }
    let ours = cases.iter().filter(|case| case.who == Who::Primacy);
    Ok(if ours.clone().all(Case::is_clean) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One case: a server, and what happens to it.
struct Bench<'a> {
    net: &'a Net,
    site: &'a Site,
    server: &'a Installation,
    gtid: bool,
    event: Event,
}

impl Bench<'_> {
    /// The runs of both managers, in turns.
    async fn case(&self, runs: u16, interrupt: &Interrupt) -> anyhow::Result<[Case; 2]> {
        let follows = if self.gtid { "GTID" } else { "positions" };
        let mut cases = Who::ALL.map(|who| Case {
            server: format!("{}, {follows}", self.server.version),
            what: self.event.name(),
            who,
            runs: Vec::new(),
            failed: Vec::new(),
            does_not_watch: None,
        });
        for i in 0..runs {
            for case in cases.iter_mut().filter(|case| case.does_not_watch.is_none()) {
                let later = PING * u32::from(i) / u32::from(runs);
                let done = interrupt.unless(self.started(case.who, later));
                let heading =
                    format!("{}, {}, {} {}", case.server, case.what, case.who.name(), i + 1);
                match done.await {
                    Ok(run) => {
                        report(&format!("{heading}: {run}"));
                        case.runs.push(run);
                    }
                    Err(error) if error.is::<Interrupted>() => return Err(error),
                    Err(error) => {
                        report(&format!("{heading}: FAILED: {error:#}"));
                        match error.downcast::<DoesNotWatch>() {
                            Ok(why) if case.runs.is_empty() => case.does_not_watch = Some(why.0),
                            Ok(why) => case.failed.push(why.to_string()),
                            Err(error) => case.failed.push(first_line(&error)),
                        }
                    }
                }
            }
        }
        Ok(cases)
    }

    /// One failover, and a second attempt if the servers did not start: the harness ends what it
    /// cannot do by a panic.
    async fn started(&self, who: Who, later: Duration) -> anyhow::Result<Run> {
        match AssertUnwindSafe(self.run(who, later)).catch_unwind().await {
            Ok(done) => done,
            Err(_) => {
                report("once more: the harness gave up");
                self.run(who, later).await
            }
        }
    }

    /// One failover. `later`: how much later in the managers' rhythm the primary dies.
    async fn run(&self, who: Who, later: Duration) -> anyhow::Result<Run> {
        let mut builder = cluster(&self.server.name).on(self.net);
        if !self.gtid {
            builder = builder.without_gtid();
        }
        for line in parallel_appliers(self.server) {
            builder = builder.option(&line);
        }
        let cluster = builder.up().await;
        let mut manager = self.site.start(who, &cluster, self.event.line(), self.net).await?;
        manager.watches().await?;
        tokio::time::sleep(WARM).await;
        let writer = Writer::start(&cluster).await;
        tokio::time::sleep(BEFORE + later).await;
        let began = Instant::now();
        match self.event {
            Event::Kill | Event::KillPing1 => cluster.kill("s1").await,
            Event::Freeze => cluster.freeze("s1").await,
        }
        let ended = manager.ends().await;
        let total = began.elapsed();
        if self.event == Event::Freeze {
            // Gone if the fence killed it, which is what it is for.
            cluster.thaw_if_alive("s1").await;
        }
        tokio::time::sleep(AFTER).await;
        let writable = cluster.writable().await.len();
        let outcome = writer.finish(&cluster).await;
        ended?;
        let new = outcome.servers.iter().find(|server| *server != "s1");
        let first = new.and_then(|server| outcome.first_rows.get(server));
        let first =
            first.with_context(|| format!("no new primary took a row\n{}", manager.log()))?;
        Ok(Run {
            outage: first.saturating_duration_since(began),
            total,
            acknowledged: outcome.acked,
            missing: outcome.missing_acked,
            late: outcome.late_rows,
            writable,
        })
    }
}

/// What went wrong, without the log that follows it.
fn first_line(error: &anyhow::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

impl Running {
    /// Waits until it says that all is well.
    async fn watches(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + WATCHES;
        while Instant::now() < end {
            if self.is_watching() {
                return Ok(());
            }
            if self.ended()?.is_some() {
                return Err(DoesNotWatch(self.first_error()).into());
            }
            tokio::time::sleep(EVERY).await;
        }
        bail!("it does not watch after {} s:\n{}", WATCHES.as_secs(), self.log())
    }

    /// Waits until it has ended after a failover with which all is well.
    async fn ends(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + ENDS;
        while Instant::now() < end {
            match self.ended()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("it ended with {status}:\n{}", self.log()),
                None => tokio::time::sleep(EVERY).await,
            }
        }
        bail!("it has not ended after {} s:\n{}", ENDS.as_secs(), self.log())
    }
}

fn page_of(args: &Args, table: &str, versions: &str, load: &str, took: Duration) -> String {
    let runs = [("runs", u64::from(args.runs), u64::from(RUNS))];
    let mut command = page::command("mha", &args.server, &SERVERS.map(|(name, _)| name), &runs);
    for case in args.case.iter().filter_map(clap::ValueEnum::to_possible_value) {
        let _infallible = write!(command, " --case {}", case.get_name());
    }
    format!(
        "# Beside MHA\n\n\
         Measured by `{command}` on {}, in {} minutes, on one machine: {}; load average \
         at the beginning {load}. {versions}. Both are called as `masterha_manager --conf=app1.cnf`, \
         in turns, run by run, with the same file, on a host of their own; three servers on hosts of \
         their own (network namespaces with a switch between them) with an sshd each, and a fresh \
         cluster for every run. Asynchronous replication, durable settings (`sync_binlog = 1`, \
         `innodb_flush_log_at_trx_commit = 1`), MariaDB with `slave_parallel_threads = 4`. The file \
         names all servers as equals, a `master_ip_failover_script` that does nothing and ends with \
         0, and neither `secondary_check_script` nor `shutdown_script` nor `[binlogN]`. \"Defaults\" \
         are each manager's own where the file says nothing: MHA looks every 3 s, Primacy every \
         0.5 s. With `ping_interval=1` both look every second.\n\n\
         A manager has watched for {} s or more when the writer begins, which inserts numbered rows \
         as fast as they are acknowledged and looks for the writable server itself, over the servers' \
         sockets (0.3 s for an attempt, 1 s for a write). {} s later, and in each run at another \
         moment of MHA's 3 s, the primary gets SIGKILL, or SIGSTOP and SIGCONT when the manager has \
         ended. The outage is the time from there to the first row that a new primary acknowledged; \
         the other time is that until the manager ended, which has to be with 0: the replicas follow. \
         Missing are acknowledged rows that the best server does not have at the end; late are rows \
         that the old primary acknowledged after the new one had acknowledged its first.\n\n\
         {table}\n\
         MHA 0.58 does not run on this Perl as it is, and not on servers without `super_read_only`: \
         a Perl module of the benchmark (`xtask/src/bench/mha/CurrentPerl.pm`), loaded by `PERL5OPT` \
         on all hosts, changes two functions in memory, which saves MHA a connection here and there. \
         MySQL since 8.4 does not know MHA's words; what it says there stands above, and Primacy's \
         numbers stand alone. With GTID, MHA does not read the dead primary's disk unless a `[binlogN]` \
         says so; Primacy does, and its outage contains that.\n\n\
         Not measured: hosts of their own (all share processors, one disk and a network without \
         delay, which makes Perl, ssh and servers wait for each other), MySQL 5.7 and 8.0, \
         semi-synchronous replication, replicas that lag, a host that is lost as a whole, secondary \
         checks, `shutdown_script`, and scripts that move an address.\n",
        project::today(),
        took.as_secs().div_ceil(60),
        machine::facts(),
        WARM.as_secs(),
        BEFORE.as_secs(),
    )
}
