//! `cargo xtask demo`: a failover to look at.
//!
//! Three real servers, a manager, a write load; the primary is killed; what was seen and done is
//! printed with milliseconds, and every acknowledged row is looked for afterwards.

mod story;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use primacy_api::{HistoryDetail, Service};
use primacy_sandbox::{Installation, UpOptions};
use primacy_store::Outcome;
use primacy_types::WallClock;

use crate::install;
use crate::interrupt::Interrupt;
use crate::project::{Profile, build_primacy};
use crate::stage::{Stage, parallel_appliers, perform};
use crate::writer::{Tally, Writers, wall};
use crate::{report, say};

/// How many write at the same time.
const WRITERS: u64 = 4;
/// How long what remains of a failover may take once applications write again.
const END_LIMIT: Duration = Duration::from_secs(10);
/// How long a failover may take before the demo gives up.
const FAILOVER_LIMIT: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which server, such as mysql-9.7 [default: the installed one].
    #[arg(long)]
    server: Option<String>,
    /// Leave the cluster and the manager running, to play with.
    #[arg(long)]
    keep: bool,
    /// How long to write before the kill, and again on the new primary.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Build as for users, which takes some minutes longer the first time. The failover is hardly
    /// faster: its time goes to the servers and the disk.
    #[arg(long)]
    release: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    report("The demo starts three real servers and a manager, writes, and kills the primary.");
    let server = install::server(args.server.as_deref())?;
    let profile = if args.release { Profile::Release } else { Profile::Debug };
    let primacy = build_primacy(profile)?;
    tokio::runtime::Runtime::new()?.block_on(demo(args, &server, &primacy))
}

async fn demo(args: &Args, server: &Installation, primacy: &Path) -> anyhow::Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    let options = options(args, server)?;
    let length = Duration::from_secs(args.seconds);
    report(&format!("Starting three {} servers with semi-sync, and the manager.", server.version));
    let seen = if args.keep {
        let stage = Stage::up(primacy, options, &interrupt).await?;
        match interrupt.unless(show(&stage, length)).await {
            Ok(seen) => {
                tell(&seen);
                playground(&stage, primacy);
                stage.leave();
                return Ok(seen.verdict());
            }
            Err(error) => {
                stage.down().await?;
                return Err(error);
            }
        }
    } else {
        perform(primacy, options, &interrupt, async |stage| show(stage, length).await).await?
    };
    tell(&seen);
    Ok(seen.verdict())
}

fn options(args: &Args, server: &Installation) -> anyhow::Result<UpOptions> {
    let name = if args.keep { "demo".into() } else { format!("demo-{}", std::process::id()) };
    let mut options = UpOptions::named(name)?;
    options.server = Some(server.name.clone());
    options.semi_sync = server.has_semisync;
    options.extra_config = parallel_appliers(server);
    Ok(options)
}

/// What the demo saw.
pub(crate) struct Seen {
    server: String,
    killed: WallClock,
    killed_server: String,
    failover: Option<HistoryDetail>,
    names: Vec<(u32, String)>,
    tally: Tally,
}

impl Seen {
    fn succeeded(&self) -> bool {
        let outcome = self.failover.as_ref().and_then(|detail| detail.operation.outcome);
        outcome == Some(Outcome::Done) && self.tally.missing() == Some(0) && self.tally.late == 0
    }

    fn verdict(&self) -> ExitCode {
        if self.succeeded() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Writes, kills, waits, and counts.
async fn show(stage: &Stage, length: Duration) -> anyhow::Result<Seen> {
    let target = stage.target()?;
    let servers = &stage.sandbox.info().servers;
    let primary = &servers[0];
    report(&format!("{} is the primary; {WRITERS} writers begin.", primary.address));
    let mut writers = Writers::start(&target, WRITERS).await?;
    tokio::time::sleep(length).await;
    report(&format!("Killing {} with SIGKILL.", primary.address));
    let killed = wall();
    stage.sandbox.kill(&primary.name).await?;
    let moved = writers.moved_on(primary.server_id, length, FAILOVER_LIMIT).await;
    if let Err(error) = &moved {
        report(&format!("There was no failover: {error}"));
    }
    let tally = writers.finish(&target).await;
    Ok(Seen {
        server: stage.sandbox.info().version.to_string(),
        killed,
        killed_server: primary.address.to_string(),
        failover: failover(stage).await.context("the history could not be read")?,
        names: servers.iter().map(|s| (s.server_id, s.address.to_string())).collect(),
        tally,
    })
}

/// The failover in the manager's history, when it has ended: the other replica may still be
/// repointed while applications write again.
async fn failover(stage: &Stage) -> anyhow::Result<Option<HistoryDetail>> {
    let deadline = Instant::now() + END_LIMIT;
    loop {
        let history = stage.client.history(Some(stage.cluster()), 20).await?;
        let found = history.iter().find(|record| record.kind == "failover");
        let ended = found.is_some_and(|record| record.finished.is_some());
        if ended || Instant::now() >= deadline {
            let Some(record) = found else { return Ok(None) };
            return Ok(Some(stage.client.operation(record.id.as_str()).await?));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn tell(seen: &Seen) {
    say("");
    story::lines(seen).iter().for_each(|line| say(line));
}

fn playground(stage: &Stage, primacy: &Path) {
    let name = stage.cluster();
    let config = stage.sandbox.info().config.display().to_string();
    let primacy = primacy_word(primacy);
    let manager = stage.manager_pid().map_or_else(|| "PID".into(), |pid| pid.to_string());
    say("");
    say("Everything still runs. To play with it:");
    say(&format!("  export PRIMACY_CONFIG={config}"));
    say(&format!("  {primacy} status --watch"));
    say(&format!(
        "  {primacy} sandbox start {name} s1    # the killed server comes back, read-only"
    ));
    say(&format!("  {primacy} switchover"));
    say(&format!("  {primacy} history"));
    say(&format!("  tail -f {}", stage.log().display()));
    say("To end it:");
    say(&format!("  kill {manager} && {primacy} sandbox down {name}"));
}

/// The program as one would type it in the repository.
fn primacy_word(primacy: &Path) -> String {
    let root = crate::project::root();
    let short: PathBuf = primacy.strip_prefix(root).unwrap_or(primacy).to_owned();
    short.display().to_string()
}
