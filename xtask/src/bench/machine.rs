//! Facts about the machine that a measurement was made on, without its name.

use std::fs;

/// Cores, processor and kernel in one line.
pub(super) fn facts() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let memory = field("/proc/meminfo", "MemTotal").and_then(|text| {
        let kib: u64 = text.split_whitespace().next()?.parse().ok()?;
        Some(format!(", {} GiB of memory", (kib + (1 << 19)) >> 20))
    });
    format!(
        "{cores} cores ({}){}, Linux {}",
        field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".into()),
        memory.unwrap_or_default(),
        kernel.trim().split('-').next().unwrap_or_default()
    )
}

/// What else the machine does: the load average of the last minute.
pub(super) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}

/// The first `NAME: value` of a file in `/proc`.
pub(super) fn field(file: &str, name: &str) -> Option<String> {
    fs::read_to_string(file).ok()?.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}
