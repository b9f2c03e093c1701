//! What the kernel says of a process that is measured.

use std::fs;

use anyhow::Context;

use super::machine;

/// The kernel's unit of processor time in /proc, the same on all of Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time that a process has used in user and kernel mode, in seconds (fields 14 and 15 of
/// its `stat`).
pub(super) fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("process {pid} has ended"))?;
    let (_, rest) = text.rsplit_once(") ").context("stat of a process is not understood")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let number = |i: usize| fields.get(i).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Ok((number(11) + number(12)) as f64 / TICKS_PER_SECOND)
}

/// A number of its `status`: `VmRSS` and `VmHWM` in KiB, `Threads`.
pub(super) fn status(pid: u32, name: &str) -> anyhow::Result<u64> {
    let text = machine::field(&format!("/proc/{pid}/status"), name);
    let number = text.as_deref().and_then(|text| text.split_whitespace().next()?.parse().ok());
    number.with_context(|| format!("the kernel does not tell {name} of process {pid}"))
}

/// KiB for people.
pub(super) fn mib(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}
