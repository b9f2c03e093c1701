//! Passwords on the command line, which MHA's commands take, are shown to everybody by `ps`. The
//! process replaces itself by one whose command line has stars in their place, and finds them in
//! memory that only it can read.
//!
//! For the moment between the two they can be seen, as with the servers' own clients.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command as Process;

use rustix::fs::{MemfdFlags, memfd_create};
use zeroize::Zeroizing;

use crate::command::{Command, Kind, Opt};

/// Names the descriptor of the memory.
const VARIABLE: &str = "PRIMACY_MHA_SECRETS";

/// What stands in the place of a secret.
const STARS: &str = "********";

/// The words with their secrets, which the process list does not show any more. If that cannot be
/// done, the command works all the same.
pub(crate) fn hide(command: &'static Command, words: Vec<String>) -> Vec<String> {
    if let Some(words) = std::env::var(VARIABLE).ok().and_then(|descriptor| found(&descriptor)) {
        return words;
    }
    let masked = mask(command, &words);
    if masked != words {
        // It returns only if it failed.
        let _not_hidden = replace(command, &words, &masked);
    }
    words
}

fn replace(command: &Command, words: &[String], masked: &[String]) -> std::io::Result<()> {
    // Open also in the process that takes the place of this one.
    let mut memory = File::from(memfd_create("words", MemfdFlags::empty())?);
    for word in words {
        memory.write_all(word.as_bytes())?;
        memory.write_all(&[0])?;
    }
    // What is not found again would be lost.
    File::options().read(true).write(true).open(format!("/proc/self/fd/{}", memory.as_raw_fd()))?;
    let mut again = Process::new("/proc/self/exe");
    again.arg0(command.name).args(masked).env(VARIABLE, memory.as_raw_fd().to_string());
    Err(again.exec())
}

/// The words as they were. The memory is emptied: programs that are started inherit it.
fn found(descriptor: &str) -> Option<Vec<String>> {
    let descriptor: u32 = descriptor.parse().ok()?;
    let path = format!("/proc/self/fd/{descriptor}");
    // Nothing else is read or emptied, whatever the variable says.
    if !std::fs::read_link(&path).ok()?.to_string_lossy().starts_with("/memfd:words") {
        return None;
    }
    let mut memory = File::options().read(true).write(true).open(path).ok()?;
    let mut text = Zeroizing::new(String::new());
    memory.read_to_string(&mut text).ok()?;
    memory.set_len(0).ok()?;
    let words: Vec<String> = text.split_terminator('\0').map(str::to_owned).collect();
    // Only once: the same variable reaches programs that are started.
    (!words.is_empty()).then_some(words)
}

/// The words with stars for values of secret options.
fn mask(command: &'static Command, words: &[String]) -> Vec<String> {
    let mut masked = Vec::new();
    let mut follows = false;
    let mut ended = false;
    for word in words {
        if std::mem::take(&mut follows) {
            masked.push(STARS.to_owned());
            continue;
        }
        ended |= word == "--";
        let name = word.trim_start_matches(['-', '+']);
        let (name, attached) = match name.split_once('=') {
            Some((name, _)) => (name, true),
            None => (name, false),
        };
        let is_option = !ended && word.starts_with(['-', '+']) && !name.is_empty();
        if !is_option || !may_be_secret(command, name) {
            masked.push(word.clone());
        } else if attached {
            let end = word.find('=').unwrap_or(word.len());
            masked.push(format!("{}={STARS}", &word[..end]));
        } else {
            masked.push(word.clone());
            follows = true;
        }
    }
    masked
}

/// Whether a name, or what it is the beginning of, is of an option that takes a secret.
fn may_be_secret(command: &'static Command, name: &str) -> bool {
    let begins =
        |known: &str| known.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name));
    let is = |option: &&Opt| option.names().any(|known| known.eq_ignore_ascii_case(name));
    match command.all_options().find(is) {
        Some(option) => option.kind == Kind::Secret,
        None => {
            let secret = |option: &Opt| option.kind == Kind::Secret && option.names().any(begins);
            command.all_options().any(secret)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secret_options_become_stars_however_they_are_written() {
        let command = crate::command("purge_relay_logs").unwrap();
        let masked = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            mask(command, &words).join(" ")
        };
        for (line, shown) in [
            ("--password=x", "--password=********"),
            ("--user=a --password x --port=1", "--user=a --password ******** --port=1"),
            ("-pass=a=b", "-pass=********"),
            ("--PASSWORD x", "--PASSWORD ********"),
            ("--port=5 --host=h", "--port=5 --host=h"),
            ("-- --password=x", "-- --password=x"),
        ] {
            assert_eq!(masked(line), shown);
        }
    }
}
