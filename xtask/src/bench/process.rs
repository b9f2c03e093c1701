//! What the kernel says of a process that is measured.

use std::fs;

use anyhow::Context;

use super::machine;

/// The kernel's unit of processor time in /proc, the same on all of Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time that a process has used in user and kernel mode, in seconds (fields 14 and 15 of
/// its `stat`).
pub(super) fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    ticks(&pid.to_string(), 11)
}

/// Processor time of all our children that have ended (fields 16 and 17 of our own `stat`).
pub(super) fn cpu_seconds_of_children() -> anyhow::Result<f64> {
    ticks("self", 13)
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

/// The time in two fields of a process' `stat`: that after its name's bracket and so many more, and the next.
fn ticks(process: &str, first: usize) -> anyhow::Result<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))
        .with_context(|| format!("process {process} has ended"))?;
    let (_, rest) = text.rsplit_once(") ").context("stat of a process is not understood")?;
    let two = rest.split_whitespace().skip(first).take(2);
    let sum: u64 = two.filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(sum as f64 / TICKS_PER_SECOND)
}
