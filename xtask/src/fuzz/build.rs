//! Builds the targets: everything that they use is compiled so that libFuzzer sees what an input
//! reached.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use tokio::process::Command;

use crate::{project, report};

/// Counts how often each edge is taken, and shows libFuzzer what is compared with what. These are
/// the flags of a release compiler; `-Zsanitizer` would need a nightly.
const FLAGS: [&str; 7] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg",
    "fuzzing",
];

/// All targets, by name.
pub(super) fn targets() -> anyhow::Result<Vec<String>> {
    let folder = project::root().join("fuzz/targets");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("{}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// Builds these targets below `folder`; where the programs are.
pub(super) async fn programs(folder: &Path, names: &[String]) -> anyhow::Result<PathBuf> {
    report("Building the fuzz targets, and libFuzzer from crates.io (two minutes at first) ...");
    let begin = Instant::now();
    let host = host().await?;
    let mut build = cargo("build", folder);
    // With a target triple the flags are not for build scripts and macros, which run here.
    build.args(["--release", "--target", &host]).env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"));
    for name in names {
        build.args(["--bin", name]);
    }
    if !build.status().await.context("cargo was not started")?.success() {
        bail!("the fuzz targets do not compile");
    }
    report(&format!("The targets were built in {:.0} s.", begin.elapsed().as_secs_f32()));
    Ok(folder.join(host).join("release"))
}

/// Makes first inputs for all targets among those that they work with.
pub(super) async fn seed(folder: &Path) -> anyhow::Result<()> {
    report("Making first inputs ...");
    let mut seeds = cargo("run", folder);
    seeds.args(["--example", "seeds", "--"]).arg(folder.join("corpus"));
    if !seeds.status().await.context("cargo was not started")?.success() {
        bail!("the first inputs were not made");
    }
    Ok(())
}

fn cargo(task: &str, folder: &Path) -> Command {
    let mut cargo = Command::from(project::cargo());
    cargo.args([task, "--quiet", "--manifest-path", "fuzz/Cargo.toml"]);
    // Elsewhere a change of a crate's dependencies finds its way into fuzz/Cargo.lock by itself.
    if project::in_ci() {
        cargo.arg("--locked");
    }
    cargo.arg("--target-dir").arg(folder).kill_on_drop(true);
    cargo
}

/// The triple of this machine.
async fn host() -> anyhow::Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut rustc = Command::new(rustc);
    rustc.args(["--print", "host-tuple"]).current_dir(project::root()).kill_on_drop(true);
    let output = rustc.output().await.context("rustc was not started")?;
    let host = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if host.is_empty() {
        bail!("rustc does not say for which machine it compiles");
    }
    Ok(host)
}
