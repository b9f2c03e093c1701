//! One target: its program, its inputs, and what libFuzzer says of a run.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::process::Command;
use tokio::time::timeout;

use crate::report;

/// Resident memory; what Rust code allocates has a limit of its own, see `fuzz/src/memory.rs`.
const MEMORY: &str = "-rss_limit_mb=512";
/// Seconds for one input; most take less than a millisecond.
const ONE_INPUT: &str = "-timeout=10";
/// The longest input.
const LONGEST: &str = "-max_len=16384";
/// How much longer than it should a program may take: to load its inputs, and to end.
const GRACE: Duration = Duration::from_secs(120);

/// A target that was built.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) program: PathBuf,
    /// Its inputs in the repository.
    pub(super) stored: PathBuf,
    /// Where everything else goes: inputs found, crashes, logs.
    pub(super) folder: PathBuf,
    /// For files that the program writes.
    pub(super) temporary: PathBuf,
}

/// What came of a run.
pub(super) struct Outcome {
    pub(super) failed: bool,
    pub(super) runs: u64,
    /// For people.
    pub(super) line: String,
}

impl Target {
    /// Runs for a time, from the stored inputs and those that earlier runs found. With the same
    /// `numbers` it makes the same of the same inputs, as far as the time allows.
    pub(super) async fn run(
        &self,
        time: Duration,
        numbers: Option<u32>,
    ) -> anyhow::Result<Outcome> {
        let (found, log) = (self.found(), self.folder.join("logs").join(&self.name));
        let crashes = self.folder.join("crashes").join(&self.name);
        for folder in [&found, &crashes, &self.folder.join("logs"), &self.stored] {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let output = File::create(&log)?;
        let mut program = self.command();
        program
            .args([&format!("-max_total_time={}", time.as_secs()), "-print_final_stats=1"])
            .arg(format!("-artifact_prefix={}/", crashes.display()))
            .args(numbers.map(|seed| format!("-seed={seed}")))
            .args([&found, &self.stored])
            .stdout(Stdio::null())
            .stderr(output);
        let ended = timeout(time + GRACE, program.status()).await;
        let failed = !matches!(ended, Ok(Ok(status)) if status.success());
        let said = fs::read(&log)?;
        let said = String::from_utf8_lossy(&said);
        let runs = last(&said, "stat::number_of_executed_units:").unwrap_or(0);
        let coverage = last(&said, " cov:").unwrap_or(0);
        let name = &self.name;
        let line = if failed {
            format!("{name}: FAILED after {runs} runs\n{}", self.explain(&said, &log))
        } else {
            format!("{name}: {runs} runs, {coverage} places reached")
        };
        Ok(Outcome { failed, runs, line })
    }

    /// Runs once on each input, and shows everything.
    pub(super) async fn once(&self, inputs: &[PathBuf]) -> anyhow::Result<ExitCode> {
        let mut program = self.command();
        program.args(inputs).env("RUST_BACKTRACE", "1");
        let status = program.status().await.context("the target was not started")?;
        Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Makes the stored inputs some of the fewest that reach what they and those found reach, with
    /// no more than `budget` bytes.
    pub(super) async fn store(&self, budget: u64) -> anyhow::Result<()> {
        let chosen = self.temporary.join("chosen").join(&self.name);
        fs::create_dir_all(&chosen)?;
        fs::create_dir_all(&self.stored)?;
        let mut program = self.command();
        program.arg("-set_cover_merge=1").args([&chosen, &self.stored, &self.found()]);
        program.stdout(Stdio::null()).stderr(Stdio::null());
        if !program.status().await.context("the target was not started")?.success() {
            bail!("{}: its inputs could not be merged", self.name);
        }
        fs::remove_dir_all(&self.stored)?;
        fs::create_dir_all(&self.stored)?;
        let mut inputs = Vec::new();
        for file in fs::read_dir(&chosen)? {
            let file = file?;
            inputs.push((file.metadata()?.len(), file.path()));
        }
        let (all, kept) = (inputs.len(), spread(inputs, budget));
        for (_, path) in &kept {
            fs::copy(path, self.stored.join(path.file_name().context("an input has a name")?))?;
        }
        report(&format!("{}: {} of {all} inputs are stored", self.name, kept.len()));
        Ok(())
    }

    /// Inputs that runs on this machine found.
    fn found(&self) -> PathBuf {
        self.folder.join("corpus").join(&self.name)
    }

    fn command(&self) -> Command {
        let mut program = Command::new(&self.program);
        program.args([MEMORY, ONE_INPUT, LONGEST]).env("TMPDIR", &self.temporary);
        program.stdin(Stdio::null()).kill_on_drop(true);
        program
    }

    /// The message of a failure, and how to see it again.
    fn explain(&self, said: &str, log: &Path) -> String {
        let telling = |line: &&str| {
            ["panicked at", "memory allocation of", "ERROR: libFuzzer"]
                .iter()
                .any(|words| line.contains(words))
        };
        let mut lines: Vec<String> = Vec::new();
        let mut all = said.lines();
        while let Some(line) = all.next() {
            if telling(&line) {
                lines.push(format!("  {line}"));
                if line.contains("panicked at") {
                    lines.extend(all.next().map(|message| format!("  {message}")));
                }
            }
        }
        lines.push(format!("  all of it: {}", log.display()));
        if let Some((_, file)) = said.rsplit_once("Test unit written to ") {
            let file = file.lines().next().unwrap_or_default();
            lines.push(format!("  once more: cargo xtask fuzz --target {} {file}", self.name));
        }
        lines.join("\n")
    }
}

/// As many inputs as fit, of all lengths alike: the short ones alone would reach nothing deep.
fn spread(mut inputs: Vec<(u64, PathBuf)>, budget: u64) -> Vec<(u64, PathBuf)> {
    inputs.retain(|(len, _)| *len <= budget / 8);
    inputs.sort();
    let every = |step: usize| inputs.iter().step_by(step).cloned().collect::<Vec<_>>();
    (1..=inputs.len())
        .map(every)
        .find(|some| some.iter().map(|(len, _)| len).sum::<u64>() <= budget)
        .unwrap_or_default()
}

/// The number that stands last behind these words.
fn last(said: &str, words: &str) -> Option<u64> {
    let (_, after) = said.rsplit_once(words)?;
    after.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_has_inputs_of_all_lengths() {
        let inputs = (1..=100).map(|len| (len, PathBuf::from(len.to_string()))).collect();
        let kept = spread(inputs, 1000);
        assert!(kept.iter().map(|(len, _)| len).sum::<u64>() <= 1000);
        assert!(kept.len() >= 15 && kept.iter().any(|(len, _)| *len > 80), "{kept:?}");
        assert!(spread(Vec::new(), 10).is_empty());
    }

    #[test]
    fn numbers_are_found_in_what_libfuzzer_says() {
        let said = "#2 INITED cov: 5 ft: 6\n#9\tDONE   cov: 3165 ft: 12811 corp: 1147/2501Kb\n\
            stat::number_of_executed_units: 36848\n";
        assert_eq!(last(said, " cov:"), Some(3165));
        assert_eq!(last(said, "stat::number_of_executed_units:"), Some(36_848));
        assert_eq!(last("", " cov:"), None);
    }
}
