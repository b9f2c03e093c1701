//! `cargo xtask bench failover`: how long applications cannot write, and what becomes of rows.
//!
//! Kills and freezes have a fresh cluster each; switchovers follow one another on one cluster.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use primacy_api::{Service, SwitchoverOrder};
use primacy_sandbox::{Installation, UpOptions};
use primacy_types::Address;
use primacy_wire::Session;
use rustix::process::Signal;

use super::table::{Case, Run, markdown};
use super::{machine, sandbox};
use crate::interrupt::{Interrupt, Interrupted};
use crate::stage::{Stage, parallel_appliers, perform};
use crate::writable::WritableWatch;
use crate::writer::{Target, Writers};
use crate::{install, project, report, say};

/// The servers that are measured unless others are named.
const SERVERS: [&str; 2] = ["mariadb-10.11", "mysql-9.7"];
/// Writing before the event, and on the new primary after it.
const BEFORE: Duration = Duration::from_secs(2);
const AFTER: Duration = Duration::from_secs(2);
/// How long an old primary that goes on is tempted with rows.
const TEMPT: Duration = Duration::from_secs(3);
/// How long a failover may take.
const LIMIT: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Kills and switchovers for each server; half as many freezes.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: u16,
    /// Only this server; may be repeated.
    #[arg(long)]
    server: Vec<String>,
    /// Only this case: kill, freeze or switchover; may be repeated.
    #[arg(long, value_enum)]
    case: Vec<Event>,
    /// Do not write docs/bench/failover.md.
    #[arg(long)]
    dry_run: bool,
    /// Measure this program instead of building one.
    #[arg(long, value_name = "FILE")]
    primacy: Option<PathBuf>,
}

/// What happens to the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Event {
    /// SIGKILL.
    Kill,
    /// SIGSTOP; SIGCONT when the new primary takes writes.
    Freeze,
    /// A planned move while both are alive.
    Switchover,
}

impl Event {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill (SIGKILL)",
            Self::Freeze => "freeze (SIGSTOP)",
            Self::Switchover => "switchover",
        }
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let servers = install::servers(&args.server, &SERVERS)?;
    let primacy = project::primacy(args.primacy.as_deref())?;
    tokio::runtime::Runtime::new()?.block_on(bench(args, &servers, &primacy))
}

async fn bench(args: &Args, servers: &[Installation], primacy: &Path) -> anyhow::Result<ExitCode> {
    let bench = Bench { primacy: primacy.to_owned(), interrupt: Interrupt::listen()? };
    let load = machine::load();
    let begin = Instant::now();
    let mut cases = Vec::new();
    for server in servers {
        for event in [Event::Kill, Event::Freeze, Event::Switchover] {
            if args.case.is_empty() || args.case.contains(&event) {
                let runs = if event == Event::Freeze { args.runs.div_ceil(2) } else { args.runs };
                cases.push(bench.case(server, event, runs).await?);
            }
        }
    }
    let text = markdown(&cases);
    say(&text);
    if !args.dry_run {
        project::write_page("docs/bench/failover.md", &page(&text, &load, begin.elapsed()))?;
    }
    let clean = cases.iter().all(Case::is_clean);
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn page(table: &str, load: &str, took: Duration) -> String {
    format!(
        "# How long applications cannot write\n\n\
         Measured by `cargo xtask bench failover` on {}, in {} minutes, on one machine: {}; load \
         average at the beginning {load}. Three servers, GTID, semi-sync, durable settings \
         (`sync_binlog = 1`, `innodb_flush_log_at_trx_commit = 1`), replicas that apply in parallel \
         (MariaDB: `slave_parallel_threads = 4`; MySQL does by default), heartbeats of 1 s, default \
         timing of Primacy, which fences by process id.\n\n\
         One writer inserts numbered rows as fast as they are acknowledged, knows all addresses, \
         and looks for the writable server itself (0.3 s for an attempt, 1 s for a write). The \
         outage is the longest time between two acknowledgements. Missing are acknowledged rows \
         that the best server does not have afterwards; late are rows that the old primary took \
         after the new one had taken its first. Whether two servers are writable is asked every \
         20 ms. A frozen primary gets SIGCONT when the new one takes writes, and is offered rows \
         for 3 s.\n\n{table}",
        project::today(),
        took.as_secs().div_ceil(60),
        machine::facts(),
    )
}

struct Bench {
    primacy: PathBuf,
    interrupt: Interrupt,
}

impl Bench {
    /// All runs of one case.
    async fn case(&self, server: &Installation, event: Event, runs: u16) -> anyhow::Result<Case> {
        let mut case = Case {
            server: server.version.to_string(),
            what: event.name(),
            runs: Vec::new(),
            failed: Vec::new(),
        };
        if event == Event::Switchover {
            let act = async |stage: &Stage| {
                for i in 1..=runs {
                    case.add(i, switchover(stage).await)?;
                }
                Ok(())
            };
            perform(&self.primacy, options(server)?, &self.interrupt, act).await?;
        } else {
            for i in 1..=runs {
                let act = async |stage: &Stage| failover(stage, event).await;
                let run = perform(&self.primacy, options(server)?, &self.interrupt, act).await;
                case.add(i, run)?;
            }
        }
        Ok(case)
    }
}

impl Case {
    /// Notes a run. One that fails is part of the result; an interruption ends all.
    fn add(&mut self, number: u16, run: anyhow::Result<Run>) -> anyhow::Result<()> {
        let heading = format!("{}, {} {number}", self.server, self.what);
        match run {
            Ok(run) => {
                let missing = run.missing.map_or_else(|| "?".into(), |n| n.to_string());
                report(&format!(
                    "{heading}: {:.3} s, {} rows, {missing} missing, {} late, two writable {} ms",
                    run.outage.as_secs_f64(),
                    run.acknowledged,
                    run.late,
                    run.two_writable.as_millis()
                ));
                self.runs.push(run);
            }
            Err(error) if error.is::<Interrupted>() => return Err(error),
            Err(error) => {
                report(&format!("{heading}: FAILED: {error:#}"));
                self.failed.push(error.root_cause().to_string());
            }
        }
        Ok(())
    }
}

fn options(server: &Installation) -> anyhow::Result<UpOptions> {
    let mut options = sandbox::options(server)?;
    options.semi_sync = true;
    options.extra_config = parallel_appliers(server);
    Ok(options)
}

/// A killed or frozen primary.
async fn failover(stage: &Stage, event: Event) -> anyhow::Result<Run> {
    let target = stage.target()?;
    let primary = &stage.sandbox.info().servers[0];
    let mut writers = Writers::start(&target, 1).await?;
    let watch = WritableWatch::start(&target);
    tokio::time::sleep(BEFORE).await;
    let process = stage.sandbox.process(&primary.name)?.context("the primary has no process")?;
    if event == Event::Kill {
        stage.sandbox.kill(&primary.name).await?;
    } else {
        stage.sandbox.freeze(&primary.name).await?;
    }
    writers.moved_on(primary.server_id, AFTER, LIMIT).await?;
    let (mut taken, mut went_on) = (0, None);
    if event == Event::Freeze {
        // Gone if the fence killed it, which is what it is for.
        went_on = Some(process.signal(Signal::CONT)?);
        taken = tempt(&target, &primary.address).await;
    }
    let tally = writers.finish(&target).await;
    let mut run = Run::of(&tally, watch.finish().await);
    run.late += taken;
    run.went_on = went_on;
    Ok(run)
}

/// Offers rows to a server that should take none; how many it took.
async fn tempt(target: &Target, server: &Address) -> u64 {
    const LIMIT: Duration = Duration::from_millis(300);
    let (mut taken, mut row) = (0, u64::from(u32::MAX));
    let deadline = Instant::now() + TEMPT;
    while Instant::now() < deadline {
        if let Ok(mut session) = Session::connect(&target.options(server, LIMIT)).await {
            row += 1;
            let sql = format!("INSERT INTO outage.t VALUES ({row}, @@server_id, 0)");
            taken += u64::from(session.execute(&sql, LIMIT).await.is_ok());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    taken
}

/// A planned move to the best candidate.
async fn switchover(stage: &Stage) -> anyhow::Result<Run> {
    let target = stage.target()?;
    let mut writers = Writers::start(&target, 1).await?;
    let watch = WritableWatch::start(&target);
    tokio::time::sleep(BEFORE).await;
    let Some(old) = writers.latest() else {
        bail!("no row was acknowledged before the switchover")
    };
    stage.client.switchover(stage.cluster(), SwitchoverOrder::default()).await?;
    writers.moved_on(old.server, AFTER, LIMIT).await?;
    let tally = writers.finish(&target).await;
    let run = Run::of(&tally, watch.finish().await);
    stage.healthy(LIMIT).await?;
    Ok(run)
}
