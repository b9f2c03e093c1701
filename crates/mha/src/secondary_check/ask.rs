//! One host is asked.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Instant;

use super::Way;
use super::words::{Word, word};

/// A line that is longer is none of ssh's.
const LONGEST_LINE: u64 = 4096;

/// What was heard of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It is connected to the primary.
    Reached,
    /// It could not connect to the primary.
    Unreached(String),
    /// It could not be asked.
    NotAsked(String),
}

/// The program, while it runs; it is ended with this.
struct Ssh(Child);

impl Drop for Ssh {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

pub(super) fn ask(way: &Way, host: &str) -> Heard {
    let mut command = Command::new("ssh");
    command.args(arguments(way, host));
    // What it reads is the primary's input: it stays open, and nothing is written to it.
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut ssh = match command.spawn() {
        Ok(child) => Ssh(child),
        Err(error) => return Heard::NotAsked(format!("the program ssh cannot be run: {error}")),
    };
    let (sender, words) = channel();
    if let (Some(out), Some(err)) = (ssh.0.stdout.take(), ssh.0.stderr.take()) {
        let greeted = sender.clone();
        std::thread::spawn(move || first_byte(out, &greeted));
        std::thread::spawn(move || lines(err, &sender));
    }
    listen(way, &words)
}

fn arguments(way: &Way, host: &str) -> Vec<String> {
    let mut arguments = vec!["-oControlPath=none".to_owned()];
    // Of two options the first counts: the caller's own.
    arguments.extend(way.options.iter().cloned());
    let seconds = way.limit.as_secs();
    arguments.extend(
        [
            "-oBatchMode=yes",
            "-oPasswordAuthentication=no",
            "-oStrictHostKeyChecking=accept-new",
            &format!("-oConnectTimeout={seconds}"),
            "-v",
            "-v",
            "-p",
            &way.port.to_string(),
            "-l",
            &way.user,
            "-W",
            &way.primary,
            "--",
            host,
        ]
        .map(str::to_owned),
    );
    arguments
}

fn listen(way: &Way, words: &Receiver<Word>) -> Heard {
    // The connection has its limit in ssh; the login after it has as much again.
    let mut until = Instant::now() + way.limit * 2;
    let mut logged_in = false;
    let mut said = None;
    loop {
        match words.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Word::LoggedIn) => {
                logged_in = true;
                until = Instant::now() + way.limit;
            }
            Ok(Word::Opened) => return Heard::Reached,
            Ok(Word::Failed(why)) => return Heard::Unreached(why),
            Ok(Word::NotTried(why)) => return Heard::NotAsked(why),
            Ok(Word::Said(text)) => said = Some(text),
            Ok(Word::Nothing) => {}
            Err(RecvTimeoutError::Timeout) if logged_in => {
                return Heard::Unreached(format!("no connection within {} s", way.limit.as_secs()));
            }
            Err(RecvTimeoutError::Timeout) => {
                let limit = way.limit.as_secs() * 2;
                return Heard::NotAsked(format!("no login within {limit} s"));
            }
            Err(RecvTimeoutError::Disconnected) => {
                let why = said.unwrap_or_else(|| "ssh ended without a word".to_owned());
                return Heard::NotAsked(why);
            }
        }
    }
}

/// A server speaks first, and only through a connection.
fn first_byte(mut out: impl Read, tell: &Sender<Word>) {
    if let Ok(1..) = out.read(&mut [0]) {
        let _not_heard = tell.send(Word::Opened);
    }
}

fn lines(err: impl Read, tell: &Sender<Word>) {
    let mut err = BufReader::new(err);
    loop {
        let mut line = Vec::new();
        match err.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(1..) if tell.send(word(&String::from_utf8_lossy(&line))).is_ok() => {}
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn way() -> Way {
        Way {
            user: "mha".to_owned(),
            port: 2222,
            options: vec!["-i".to_owned(), "/key".to_owned()],
            limit: Duration::from_secs(5),
            primary: "10.0.0.1:3306".to_owned(),
        }
    }

    #[test]
    fn a_host_is_never_taken_for_an_option() {
        let arguments = arguments(&way(), "-oProxyCommand=evil");
        assert_eq!(arguments[arguments.len() - 2..], ["--", "-oProxyCommand=evil"]);
    }

    #[test]
    fn the_callers_options_come_before_ours() {
        let arguments = arguments(&way(), "db8");
        let at = |wanted: &str| arguments.iter().position(|word| word == wanted);
        assert!(at("/key") < at("-oBatchMode=yes"), "{arguments:?}");
    }

    #[test]
    fn what_is_heard_last_of_a_failed_login_is_told() {
        let (tell, words) = channel();
        tell.send(Word::Said("mha@db8: Permission denied (publickey).".to_owned())).unwrap();
        drop(tell);
        let said = "mha@db8: Permission denied (publickey).".to_owned();
        assert_eq!(listen(&way(), &words), Heard::NotAsked(said));
    }

    #[test]
    fn silence_after_the_login_is_an_unreached_primary_and_before_it_an_unasked_host() {
        let way = Way { limit: Duration::from_millis(5), ..way() };
        let (tell, words) = channel();
        assert!(matches!(listen(&way, &words), Heard::NotAsked(_)));
        tell.send(Word::LoggedIn).unwrap();
        assert!(matches!(listen(&way, &words), Heard::Unreached(_)));
    }
}
