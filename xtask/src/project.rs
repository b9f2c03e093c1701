//! This repository: where it is, and how its programs are built.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::report;

/// How a program is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quick to build.
    Debug,
    /// As users get it.
    Release,
}

/// The repository's first folder.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// The cargo that runs us, as a person would call it. `cargo run` tells its program which package it
/// is; build scripts that depend on these variables (ring's does) would run again because of them,
/// and everything that stands on such a crate would be built a second time.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Whether this is a run of CI, which passes over nothing.
pub(crate) fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// Whether `cargo NAME` is installed.
pub(crate) fn has_cargo_command(name: &str) -> bool {
    let mut command = cargo();
    command.args([name, "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The target folder, as cargo says.
pub(crate) fn target_dir() -> anyhow::Result<PathBuf> {
    #[derive(serde::Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let mut command = cargo();
    command.args(["metadata", "--format-version=1", "--no-deps", "--offline"]);
    #[expect(clippy::disallowed_methods, reason = "cargo metadata reads files and ends")]
    let output = command.output().context("cargo metadata was not started")?;
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    Ok(metadata.target_directory)
}

/// This program, or else `primacy` built as users get it.
pub(crate) fn primacy(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    given.map_or_else(|| build_primacy(Profile::Release), |program| Ok(program.to_owned()))
}

/// Builds `primacy` and returns where the program is. Cargo's progress goes to the terminal.
pub(crate) fn build_primacy(profile: Profile) -> anyhow::Result<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
        target: Option<Target>,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    let mut command = cargo();
    command.args(["build", "--package", "primacy", "--message-format=json-render-diagnostics"]);
    if profile == Profile::Release {
        command.arg("--release");
    }
    let begin = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn().context("cargo was not started")?;
    let messages = child.stdout.take().context("cargo has no output")?;
    let mut program = None;
    for line in BufReader::new(messages).lines() {
        if let Ok(Message { executable: Some(path), target: Some(target) }) =
            serde_json::from_str(&line?)
            && target.name == "primacy"
        {
            program = Some(path);
        }
    }
    if !child.wait()?.success() {
        bail!("primacy does not compile");
    }
    let word = if profile == Profile::Release { "release" } else { "debug" };
    report(&format!("primacy ({word}) built in {:.0} s", begin.elapsed().as_secs_f32()));
    program.context("cargo did not say where it put primacy")
}

/// Writes a page of the documentation.
pub(crate) fn write_page(path: &str, text: &str) -> anyhow::Result<()> {
    let path = root().join(path);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&path, text).with_context(|| format!("{} was not written", path.display()))
}

/// Today, in UTC.
pub(crate) fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}
