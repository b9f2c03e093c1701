//! Processes that a status file names: whether they live, and how they are ended.

use std::fs::File;
use std::io::{self, Read};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, getpgid, kill_process, kill_process_group, test_kill_process,
    test_kill_process_group,
};

/// How much a clock may be wrong that a process' beginning is measured with.
const DOUBT: Duration = Duration::from_secs(5);

/// Whether there is such a process, whoever's it is. One that has ended and whose parent has not
/// asked for its exit code yet is none.
pub(crate) fn lives(pid: i32) -> bool {
    let answer = Pid::from_raw(pid).map(test_kill_process);
    matches!(answer, Some(Ok(()) | Err(Errno::PERM))) && !has_ended(pid)
}

/// proc(5), field 3 of its `stat`.
fn has_ended(pid: i32) -> bool {
    let stat = read(&format!("/proc/{pid}/stat"));
    let state = stat.as_deref().and_then(|stat| Some(stat.rsplit_once(')')?.1.trim_start()));
    state.is_some_and(|state| state.starts_with(['Z', 'X']))
}

/// Whether there is a process left of the group that it led.
pub(crate) fn group_lives(pid: i32) -> bool {
    let answer = Pid::from_raw(pid).map(test_kill_process_group);
    if !matches!(answer, Some(Ok(()) | Err(Errno::PERM))) {
        return false;
    }
    let Ok(all) = std::fs::read_dir("/proc") else { return true };
    let names = all.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut pids = names.filter_map(|name| name.parse::<i32>().ok());
    pids.any(|member| group_of(member) == Some(pid) && !has_ended(member))
}

/// proc(5), field 5 of its `stat`.
fn group_of(pid: i32) -> Option<i32> {
    let stat = read(&format!("/proc/{pid}/stat"))?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(2)?.parse().ok()
}

/// Sends a signal to the group that it leads; to itself alone if it leads none.
///
/// # Errors
/// What the operating system says.
pub(crate) fn signal(pid: i32, signal: Signal) -> io::Result<()> {
    let Some(pid) = Pid::from_raw(pid) else { return Ok(()) };
    match getpgid(Some(pid)) {
        Ok(group) if group == pid => Ok(kill_process_group(pid, signal)?),
        Ok(_) => Ok(kill_process(pid, signal)?),
        Err(error) => Err(error.into()),
    }
}

/// Whether it began after something that was last written so long ago: then it is another process
/// that got the same number. If it cannot be told, it is not.
pub(crate) fn is_younger_than(pid: i32, age: Duration) -> bool {
    running_for(pid).is_some_and(|running| running + DOUBT < age)
}

/// How long it has been running: proc(5), field 22 of its `stat`.
fn running_for(pid: i32) -> Option<Duration> {
    let stat = read(&format!("/proc/{pid}/stat"))?;
    // Its name is in brackets and may hold anything.
    let behind = stat.rsplit_once(')')?.1;
    let begun: u64 = behind.split_whitespace().nth(19)?.parse().ok()?;
    let ticks = rustix::param::clock_ticks_per_second();
    let up: f64 = read("/proc/uptime")?.split_whitespace().next()?.parse().ok()?;
    let begun = Duration::from_millis(begun.checked_mul(1000)?.checked_div(ticks)?);
    Duration::try_from_secs_f64(up).ok()?.checked_sub(begun)
}

fn read(path: &str) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(4096).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_began_lately() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(lives(own));
        assert!(is_younger_than(own, Duration::from_secs(3600 * 24 * 30)));
        assert!(!is_younger_than(own, Duration::ZERO));
        assert!(!lives(i32::MAX));
        assert!(!group_lives(i32::MAX));
    }

    #[test]
    fn a_process_that_has_ended_lives_no_more_before_its_parent_asks() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        while lives(pid) {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(test_kill_process(Pid::from_raw(pid).unwrap()).is_ok());
        assert!(!group_lives(pid));
        child.wait().unwrap();
    }
}
