//! `masterha_secondary_check`: do other hosts reach the primary?
//!
//! Each host is logged in to with the system's `ssh`, which opens a TCP connection to the primary
//! from there (`ssh -W`): nothing has to be installed on that host. All are asked at once, each
//! within a limit. Nothing is sent to the primary, and its password is not used.

mod ask;
mod words;

use std::time::Duration;

use primacy_mha_config::shell_words;

use crate::command::Streams;
use crate::given::Given;
use ask::{Heard, ask};

/// The primary is reached from none of the hosts.
const UNREACHED: u8 = 0;
/// What was asked for cannot be done.
const ERROR: u8 = 1;
/// A host could not be asked.
const NOT_ASKED: u8 = 2;
/// The primary is reached from one of the hosts.
const REACHED: u8 = 3;

/// Longer is of no use to anybody who waits for a failover; in seconds.
const LONGEST: i64 = 600;

/// How ssh is called, for all hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Way {
    user: String,
    port: u16,
    /// What the caller wants ssh to be told.
    options: Vec<String>,
    /// For the connection to the host, for the login there, and for the one to the primary.
    limit: Duration,
    /// The primary, as ssh takes it: `host:port`, `[address]:port`.
    primary: String,
}

/// Runs the command.
pub(crate) fn run(given: &Given, streams: &mut Streams<'_>) -> u8 {
    let way = match way(given) {
        Ok(way) => way,
        Err(mistake) => {
            let _unheard = writeln!(streams.err, "masterha_secondary_check: {mistake}");
            return ERROR;
        }
    };
    let hosts = given.texts("secondary_host");
    if hosts.is_empty() {
        let _unheard = writeln!(
            streams.err,
            "masterha_secondary_check: notice: no host to ask was named (-s), so nobody objects"
        );
    }
    let heard = ask_all(&way, &hosts);
    for (host, heard) in &heard {
        let _unheard = writeln!(streams.out, "{}", sentence(&way, host, heard));
    }
    let heard: Vec<_> = heard.into_iter().map(|(_, heard)| heard).collect();
    verdict(&heard)
}

fn way(given: &Given) -> Result<Way, String> {
    let host = given.text("master_host").filter(|host| !host.is_empty());
    let host = host.ok_or("--master_host has to be given: the primary to connect to")?;
    // The name need not mean the same over there, or anything.
    let address = given.text("master_ip").filter(|ip| !ip.is_empty()).unwrap_or(host);
    let seconds = given.number("timeout").filter(|seconds| (1..=LONGEST).contains(seconds));
    let seconds = seconds
        .and_then(|seconds| u64::try_from(seconds).ok())
        .ok_or_else(|| format!("--timeout has to be a number of seconds from 1 to {LONGEST}"))?;
    Ok(Way {
        user: given.text("user").unwrap_or("root").to_owned(),
        port: port(given, "port")?,
        options: shell_words(given.text("options").unwrap_or_default()),
        limit: Duration::from_secs(seconds),
        primary: target(address, port(given, "master_port")?),
    })
}

fn port(given: &Given, name: &str) -> Result<u16, String> {
    let number = given.number(name).and_then(|number| u16::try_from(number).ok());
    number.filter(|port| *port > 0).ok_or_else(|| format!("--{name} has to be from 1 to 65535"))
}

fn target(address: &str, port: u16) -> String {
    let plain = address.trim_start_matches('[').trim_end_matches(']');
    match plain.contains(':') {
        true => format!("[{plain}]:{port}"),
        false => format!("{plain}:{port}"),
    }
}

/// All hosts at the same time, in the order in which they are named.
fn ask_all(way: &Way, hosts: &[&str]) -> Vec<(String, Heard)> {
    std::thread::scope(|scope| {
        let asked: Vec<_> =
            hosts.iter().map(|host| (host, scope.spawn(move || ask(way, host)))).collect();
        let answers = asked.into_iter().map(|(host, answer)| {
            let lost = |_| Heard::NotAsked("the question was not brought to an end".to_owned());
            ((*host).to_owned(), answer.join().unwrap_or_else(lost))
        });
        answers.collect()
    })
}

/// A primary that one host reaches lives, whatever became of the others.
fn verdict(heard: &[Heard]) -> u8 {
    let any = |is: fn(&Heard) -> bool| heard.iter().any(is);
    match () {
        () if any(|heard| matches!(heard, Heard::Reached)) => REACHED,
        () if any(|heard| matches!(heard, Heard::NotAsked(_))) => NOT_ASKED,
        () => UNREACHED,
    }
}

fn sentence(way: &Way, host: &str, heard: &Heard) -> String {
    let primary = &way.primary;
    match heard {
        Heard::Reached => format!("{host}: the primary {primary} is reached from there"),
        Heard::Unreached(why) => {
            format!("{host}: the primary {primary} is not reached from there: {why}")
        }
        Heard::NotAsked(why) => {
            format!("{host}: could not be asked (ssh {}@{host}): {why}", way.user)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(line: &str) -> Given {
        let command = crate::command("masterha_secondary_check").unwrap();
        let words = line.split(' ').map(str::to_owned);
        crate::parse(command, words).unwrap().given
    }

    #[test]
    fn the_address_counts_where_it_is_given() {
        for (line, primary) in [
            ("--master_host=db1", "db1:3306"),
            ("--master_host=db1 --master_ip=10.0.0.1 --master_port=3307", "10.0.0.1:3307"),
            ("--master_host=db1 --master_ip=", "db1:3306"),
            ("--master_host=::1", "[::1]:3306"),
            ("--master_host=[fe80::1]", "[fe80::1]:3306"),
        ] {
            assert_eq!(way(&given(line)).unwrap().primary, primary, "{line}");
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        for line in [
            "--user=mha",
            "--master_host=",
            "--master_host=a --timeout=0",
            "--master_host=a --timeout=601",
            "--master_host=a --port=0",
            "--master_host=a --master_port=65536",
            "--master_host=a --master_port=-1",
        ] {
            assert!(way(&given(line)).is_err(), "{line}");
        }
    }

    #[test]
    fn one_host_that_reaches_it_outweighs_all_others() {
        let unreached = || Heard::Unreached("refused".to_owned());
        let not_asked = || Heard::NotAsked("no route".to_owned());
        for (heard, code) in [
            (vec![], UNREACHED),
            (vec![unreached(), unreached()], UNREACHED),
            (vec![unreached(), not_asked()], NOT_ASKED),
            (vec![not_asked(), Heard::Reached], REACHED),
            (vec![Heard::Reached, unreached()], REACHED),
        ] {
            assert_eq!(verdict(&heard), code, "{heard:?}");
        }
    }
}
