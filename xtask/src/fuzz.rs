//! `cargo xtask fuzz`: gives the parsers bytes that nobody would send, for a time, and says what
//! was found. The targets are in `fuzz/`, which only this task builds.
//!
//! libFuzzer, coverage-guided, with the stable compiler: the compiler's own pass counts what was
//! reached, and libFuzzer comes as the source of a crate. What needs a nightly, the sanitizers,
//! would watch over unsafe code, of which we have none here; memory is watched by an allocator
//! with a limit (`fuzz/src/memory.rs`).

mod build;
mod target;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::interrupt::Interrupt;
use crate::{install, project, report, say};
use target::{Outcome, Target};

/// Where the inputs are that are kept in the repository, by target.
const STORED: &str = "fuzz/corpus";

/// How much of them there may be.
const STORED_LIMIT: u64 = 1 << 20;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long each target runs.
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// Only this target; may be repeated.
    #[arg(long, value_name = "NAME")]
    target: Vec<String>,
    /// How many targets run at a time.
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: usize,
    /// Where the random numbers begin: with the same one, the same stored inputs lead to the same
    /// others in the same order, as far as the time allows.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    numbers: Option<u32>,
    /// Keep the inputs that reach something new in fuzz/corpus, as few and short as do.
    #[arg(long)]
    store: bool,
    /// Begin anew with inputs made from the tests' files and packets, as for a new target.
    #[arg(long)]
    seed: bool,
    /// Run one target once on each of these inputs, such as one that crashed.
    #[arg(value_name = "FILE", conflicts_with_all = ["store", "seed"])]
    inputs: Vec<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new().context("no runtime")?;
    runtime.block_on(async {
        let interrupt = Interrupt::listen()?;
        interrupt.unless(fuzz(args)).await
    })
}

async fn fuzz(args: &Args) -> anyhow::Result<ExitCode> {
    let known = build::targets()?;
    if let Some(unknown) = args.target.iter().find(|name| !known.contains(name)) {
        bail!("there is no target {unknown}; there are {}", known.join(", "));
    }
    let names = if args.target.is_empty() { known } else { args.target.clone() };
    install::cpp_compiler()?;
    let folder = project::target_dir()?.join("fuzz");
    let programs = build::programs(&folder, &names).await?;
    // In memory, where there is such a folder: some targets write files at every turn.
    let memory = std::path::Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let temporary = tempfile::Builder::new().prefix("primacy-fuzz.").tempdir_in(parent)?;
    let targets = names.into_iter().map(|name| Target {
        program: programs.join(&name),
        stored: project::root().join(STORED).join(&name),
        folder: folder.clone(),
        temporary: temporary.path().to_owned(),
        name,
    });
    let targets: Vec<Target> = targets.collect();
    if !args.inputs.is_empty() {
        let [target] = &targets[..] else { bail!("say whose inputs these are: --target NAME") };
        return target.once(&args.inputs).await;
    }
    if args.seed {
        build::seed(&folder).await?;
    }
    let outcomes = run_all(&targets, args).await?;
    if args.store {
        let budget = STORED_LIMIT / build::targets()?.len().max(1) as u64;
        for target in &targets {
            target.store(budget).await?;
        }
        check_size()?;
    }
    let failed = outcomes.iter().filter(|outcome| outcome.failed).count();
    let runs: u64 = outcomes.iter().map(|outcome| outcome.runs).sum();
    let word = if failed == 0 { "nothing was found" } else { "FAILED" };
    say(&format!("{} targets, {runs} runs, {failed} failed: {word}.", outcomes.len()));
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run_all(targets: &[Target], args: &Args) -> anyhow::Result<Vec<Outcome>> {
    let (count, time, numbers) = (targets.len(), Duration::from_secs(args.seconds), args.numbers);
    report(&format!("Running {count} targets for {} s each:", args.seconds));
    let free = Arc::new(Semaphore::new(args.jobs.max(1)));
    let mut running = JoinSet::new();
    for target in targets {
        let (target, free) = (target.clone(), Arc::clone(&free));
        running.spawn(async move {
            let _turn = free.acquire().await?;
            target.run(time, numbers).await
        });
    }
    let mut outcomes = Vec::new();
    while let Some(outcome) = running.join_next().await {
        let outcome = outcome??;
        say(&outcome.line);
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// The repository is cloned more often than it is fuzzed.
fn check_size() -> anyhow::Result<()> {
    let mut bytes = 0;
    for folder in std::fs::read_dir(project::root().join(STORED))? {
        let folder = folder?.path();
        if folder.is_dir() {
            for file in std::fs::read_dir(&folder)? {
                bytes += file?.metadata()?.len();
            }
        }
    }
    say(&format!("{STORED} has {} KiB", bytes >> 10));
    if bytes > STORED_LIMIT {
        bail!("{STORED} may have {} KiB at most: remove the longest inputs", STORED_LIMIT >> 10);
    }
    Ok(())
}
