//! `cargo xtask lines`: no tracked Rust file is longer than one reads at a sitting.

use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, bail};

use crate::{project, report, say};

/// The longest that a file may be.
const LIMIT: usize = 600;

pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let root = project::root();
    let mut files: Vec<(usize, String)> = tracked()?
        .into_iter()
        .filter_map(|file| {
            let text = std::fs::read_to_string(root.join(&file)).ok()?;
            Some((text.lines().count(), file))
        })
        .collect();
    files.sort();
    let too_long: Vec<_> = files.iter().filter(|(lines, _)| *lines > LIMIT).collect();
    for (lines, file) in &too_long {
        report(&format!("{file}: {lines} lines, {LIMIT} is the most: split it by ideas"));
    }
    let median = files.get(files.len() / 2).map_or(0, |(lines, _)| *lines);
    let longest = files.last().map_or(String::new(), |(n, file)| format!("{n} ({file})"));
    say(&format!("{} Rust files, median {median} lines, longest {longest}", files.len()));
    Ok(if too_long.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Rust files that git knows, and new ones that it does not ignore.
fn tracked() -> anyhow::Result<Vec<String>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard", "-z", "*.rs"]);
    git.current_dir(project::root()).stdin(Stdio::null()).stderr(Stdio::inherit());
    #[expect(clippy::disallowed_methods, reason = "git ls-files reads one file and ends")]
    let output = git.output().context("git was not started")?;
    if !output.status.success() {
        bail!("git does not list the files of this folder");
    }
    let names = String::from_utf8_lossy(&output.stdout);
    Ok(names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}
