//! From the program that reads the data to whoever receives it: how fast, and for how long it may be
//! kept waiting.
//!
//! A program that nobody reads from stands still, and whatever it has locked stays locked. So every
//! wait has a limit, and from the moment at which it takes the server's backup lock (statements that
//! change tables wait from then on, and at the end commits) nothing slows it down but the network.

use std::time::Duration;

use primacy_agent_api::pieces::{LARGEST, Piece};
use primacy_types::Millis;
use tokio::io::AsyncReadExt as _;
use tokio::process::Child;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::donor::Tail;
use super::tools::LastWords;

/// How long it may wait for whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How often the server is looked at.
    pub(super) look: Duration,
    /// All pauses for the server's replication together.
    pub(super) pauses: Duration,
    /// Whoever receives takes nothing.
    pub(super) send: Duration,
    /// The same while the server's backup lock is held.
    pub(super) send_locked: Duration,
}

impl Limits {
    /// It takes the server's backup lock at its end.
    pub(super) const fn of_a_backup() -> Self {
        Self {
            look: Duration::from_secs(1),
            pauses: Duration::from_secs(600),
            send: Duration::from_secs(60),
            send_locked: Duration::from_secs(10),
        }
    }

    /// It locks nothing while it is read, and one statement may keep whoever loads it busy for an
    /// hour.
    pub(super) const fn of_a_dump() -> Self {
        let hour = Duration::from_secs(3660);
        Self { look: Duration::from_secs(1), pauses: hour, send: hour, send_locked: hour }
    }
}

/// One transfer.
pub(super) struct Flow<Behind, Ended> {
    pub(super) limits: Limits,
    /// Bytes a second.
    pub(super) rate: Option<u64>,
    /// Goes before what the program writes.
    pub(super) head: Vec<u8>,
    /// How the program's last line begins, if that is known.
    pub(super) complete: Option<&'static str>,
    /// How far replication is behind, if that is too far.
    pub(super) behind: Behind,
    /// What is to be said if the server has ended.
    pub(super) ended: Ended,
}

impl<Behind, Ended> Flow<Behind, Ended>
where
    Behind: Fn() -> Option<Millis>,
    Ended: Fn() -> Option<String>,
{
    /// Sends all that the program writes, and how much it was; the program is killed if that fails.
    pub(super) async fn run(
        &self,
        child: &mut Child,
        words: &LastWords,
        to: &mpsc::Sender<Vec<u8>>,
    ) -> Result<u64, String> {
        let sent = self.send_all(child, words, to).await;
        if sent.is_err() {
            // At once: it may hold the server's backup lock.
            drop(child.start_kill());
        }
        sent
    }

    async fn send_all(
        &self,
        child: &mut Child,
        words: &LastWords,
        to: &mpsc::Sender<Vec<u8>>,
    ) -> Result<u64, String> {
        let mut output = child.stdout.take().ok_or("the backup has no output")?;
        let begun = Instant::now();
        let mut waited = Duration::ZERO;
        let mut total: u64 = 0;
        let mut next_look = begun;
        let mut tail = Tail::default();
        if !self.head.is_empty() {
            total += self.head.len() as u64;
            self.send(Piece::Bytes(self.head.clone()), words, to).await?;
        }
        loop {
            if Instant::now() >= next_look {
                next_look = Instant::now() + self.limits.look;
                self.wait_for_replication(words, to, &mut waited).await?;
            }
            self.goes_on()?;
            let mut piece = vec![0; LARGEST];
            let mut filled = 0;
            while filled < piece.len() {
                // A program that waits for a lock says nothing: that is told on.
                let read = timeout(self.limits.look, output.read(&mut piece[filled..])).await;
                match read {
                    Ok(Ok(0)) => break,
                    Ok(Ok(read)) => filled += read,
                    Ok(Err(error)) => return Err(format!("reading the backup: {error}")),
                    Err(_) => {
                        self.goes_on()?;
                        self.send(Piece::Paused, words, to).await?;
                    }
                }
            }
            if filled == 0 {
                break;
            }
            piece.truncate(filled);
            total += filled as u64;
            tail.saw(&piece);
            self.send(Piece::Bytes(piece), words, to).await?;
            if let Some(rate) = self.rate {
                let due = Duration::from_secs_f64(total as f64 / rate as f64);
                let spent = begun.elapsed().saturating_sub(waited);
                self.throttle(due.saturating_sub(spent), words).await?;
            }
        }
        let status = child.wait().await.map_err(|error| error.to_string())?;
        if !status.success() {
            return Err(format!("reading its data ended with {status}: {}", words.why().await));
        }
        if self.complete.is_some_and(|complete| !tail.has(complete)) {
            return Err("reading its data ended without its last line".to_owned());
        }
        self.send(Piece::End(total), words, to).await?;
        Ok(total)
    }

    fn goes_on(&self) -> Result<(), String> {
        (self.ended)().map_or(Ok(()), Err)
    }

    /// Waits while the server is too far behind. Not while its backup lock is held: that may be what
    /// its replication waits for.
    async fn wait_for_replication(
        &self,
        words: &LastWords,
        to: &mpsc::Sender<Vec<u8>>,
        waited: &mut Duration,
    ) -> Result<(), String> {
        while let Some(lag) = (self.behind)() {
            if words.lock_is_held() {
                return Ok(());
            }
            if *waited >= self.limits.pauses {
                return Err(format!(
                    "it was paused for {} s in all because the donor's replication was too far \
                     behind ({} s now); choose another donor (--from) or a quieter time, or allow \
                     more (--max-lag)",
                    waited.as_secs(),
                    lag.0 / 1000
                ));
            }
            self.send(Piece::Paused, words, to).await?;
            tokio::time::sleep(self.limits.look).await;
            *waited += self.limits.look;
            self.goes_on()?;
        }
        Ok(())
    }

    /// Waits for the rate, until the backup lock is taken.
    async fn throttle(&self, pause: Duration, words: &LastWords) -> Result<(), String> {
        let end = Instant::now() + pause;
        while Instant::now() < end && !words.lock_is_held() {
            let left = end.saturating_duration_since(Instant::now());
            tokio::time::sleep(left.min(self.limits.look)).await;
            self.goes_on()?;
        }
        Ok(())
    }

    async fn send(
        &self,
        piece: Piece,
        words: &LastWords,
        to: &mpsc::Sender<Vec<u8>>,
    ) -> Result<(), String> {
        let mut stalled = Duration::ZERO;
        let piece = piece.encode();
        loop {
            let step = self.limits.look.min(self.limits.send_locked);
            match timeout(step, to.reserve()).await {
                Ok(Ok(place)) => {
                    place.send(piece);
                    return Ok(());
                }
                Ok(Err(_)) => return Err("whoever receives it has ended".to_owned()),
                Err(_) => stalled += step,
            }
            self.goes_on()?;
            let locked = words.lock_is_held();
            let limit = if locked { self.limits.send_locked } else { self.limits.send };
            if stalled >= limit {
                let held = match locked {
                    true => ", and the donor's backup lock is not held for longer",
                    false => "",
                };
                return Err(format!(
                    "whoever receives it, or the network, took nothing for {} s{held}",
                    stalled.as_secs()
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use tokio::process::Command;
    use tokio::sync::mpsc;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);
    const LOCKS: &str = "echo '[00] Starting BACKUP STAGE FLUSH' >&2; ";

    fn program(script: &str) -> (Child, LastWords) {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let words = LastWords::of(&mut child);
        (child, words)
    }

    fn limits() -> Limits {
        let (short, long) = (Duration::from_millis(20), Duration::from_secs(600));
        Limits { look: short, pauses: long, send: long, send_locked: long }
    }

    fn always_behind() -> Option<Millis> {
        Some(Millis::from_secs(61))
    }

    fn lives() -> Option<String> {
        None
    }

    type Asked = Flow<fn() -> Option<Millis>, fn() -> Option<String>>;

    fn that_is_behind(rate: Option<u64>) -> Asked {
        let (head, complete) = (Vec::new(), None);
        Flow { limits: limits(), head, complete, rate, behind: always_behind, ended: lives }
    }

    /// Runs it while everything that comes is taken.
    async fn taken(
        flow: Flow<impl Fn() -> Option<Millis>, impl Fn() -> Option<String>>,
        script: &str,
    ) -> (Result<u64, String>, Child) {
        let (mut child, words) = program(script);
        let (to, mut from) = mpsc::channel(8);
        tokio::spawn(async move { while from.recv().await.is_some() {} });
        let done = tokio::time::timeout(LIMIT, flow.run(&mut child, &words, &to)).await;
        (done.expect("it waits for ever"), child)
    }

    async fn is_killed(child: &mut Child) {
        let status = tokio::time::timeout(LIMIT, child.wait()).await.unwrap().unwrap();
        assert!(!status.success(), "{status}");
    }

    #[tokio::test]
    async fn a_donor_that_stays_behind_ends_it_and_the_reason_is_named() {
        let limits = Limits { pauses: Duration::from_millis(100), ..limits() };
        let flow = Flow {
            limits,
            head: Vec::new(),
            complete: None,
            rate: None,
            behind: always_behind,
            ended: lives,
        };
        let (done, mut child) = taken(flow, "echo data; exec sleep 600").await;
        let error = done.unwrap_err();
        assert!(
            error.contains("too far behind (61 s now)") && error.contains("--max-lag"),
            "{error}"
        );
        is_killed(&mut child).await;
    }

    #[tokio::test]
    async fn while_the_backup_lock_is_held_it_neither_pauses_nor_throttles() {
        let flow = that_is_behind(Some(1));
        let script = format!("{LOCKS}head -c 3000000 /dev/zero");
        let (done, _) = taken(flow, &script).await;
        assert_eq!(done, Ok(3_000_000));
    }

    #[tokio::test]
    async fn a_pause_ends_when_the_backup_lock_is_taken() {
        let flow = that_is_behind(None);
        let script = format!("echo begun; sleep 0.3; {LOCKS}echo done");
        let (done, _) = taken(flow, &script).await;
        assert_eq!(done, Ok(11));
    }

    #[tokio::test]
    async fn a_receiver_that_takes_nothing_ends_it() {
        let short = Duration::from_millis(100);
        for (script, limits, lock) in [
            ("", Limits { send: short, ..limits() }, false),
            (LOCKS, Limits { send_locked: short, ..limits() }, true),
        ] {
            let (mut child, words) = program(&format!("{script}exec cat /dev/zero"));
            // Nobody takes anything out.
            let (to, _from) = mpsc::channel(1);
            let flow = Flow {
                limits,
                head: Vec::new(),
                complete: None,
                rate: None,
                behind: || None,
                ended: lives,
            };
            let done = tokio::time::timeout(LIMIT, flow.run(&mut child, &words, &to)).await;
            let error = done.expect("it waits for ever").unwrap_err();
            assert!(error.contains("took nothing for"), "{error}");
            assert_eq!(error.contains("backup lock"), lock, "{error}");
            is_killed(&mut child).await;
        }
    }
}
