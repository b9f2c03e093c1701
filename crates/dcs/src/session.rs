//! One server's part of the lock: a session that holds the named lock and shows who holds it.

use std::time::Duration;

use primacy_wire::{ConnectOptions, Session, WireError, quote};

use crate::{Holder, ServerLock};

/// How long one sleep of the holding session lasts. Short, so that tools that end long-running
/// statements leave it alone, and because a server notices only at its end that a killed manager
/// is gone: until then a restarted manager finds the lock taken.
const SLEEP_SECONDS: u32 = 2;

/// How much longer than its sleep the session may take to answer.
const SLACK: Duration = Duration::from_secs(10);

/// When a lock that was lost is asked for again; then at twice that, up to the usual pause.
const SOON: Duration = Duration::from_millis(20);

/// `ER_NOT_SUPPORTED_YET`: what a binlog server of ours answers to `GET_LOCK`.
const GRANTS_NONE: u16 = 1235;

/// When such a server is asked again.
const LATER: Duration = Duration::from_secs(60);

/// Name of the lock of a cluster. MySQL 5.7 and later allow 64 characters and compare without
/// regard to case.
pub(crate) fn lock_name(cluster: &str) -> String {
    let short: String = cluster.chars().take(48).collect();
    format!("primacy.{short}")
}

/// Keeps the lock on one server.
pub(crate) struct Keeper {
    pub(crate) lock: String,
    pub(crate) cluster: String,
    pub(crate) holder: Holder,
    pub(crate) options: ConnectOptions,
    pub(crate) retry: Duration,
}

impl Keeper {
    /// Takes the lock, keeps it, takes it again when it was lost; for ever.
    pub(crate) async fn run(self, report: impl Fn(ServerLock)) {
        let mut pause = self.retry;
        loop {
            let mut held = false;
            let lost = self.hold(&report, &mut held).await;
            if let Err(error) = &lost {
                let refused = matches!(error, WireError::Refused { .. });
                report(ServerLock::Unreachable { why: error.to_string(), refused });
            }
            // A server that is restarted is back at once.
            pause = if held { SOON } else { (pause * 2).min(self.retry) };
            tokio::time::sleep(pause).await;
        }
    }

    /// Returns when somebody else has the lock, or when the session was lost; `held` tells whether
    /// it ever had it.
    async fn hold(&self, report: &impl Fn(ServerLock), held: &mut bool) -> Result<(), WireError> {
        let limit = self.options.connect_timeout;
        let mut session = Session::connect(&self.options).await?;
        let name = quote(&self.lock);
        // A mark in the text for whoever reads the process list; see `holder_text`.
        let asking = format!("SELECT GET_LOCK({name}, 0) AS got, CONNECTION_ID() AS me");
        let rows = match session.query(&asking, limit).await {
            // A binlog server grants no locks to anybody, and is as good as not there.
            Err(error) if error.code() == Some(GRANTS_NONE) => {
                report(ServerLock::Unreachable { why: error.to_string(), refused: true });
                session.close().await;
                tokio::time::sleep(LATER).await;
                return Ok(());
            }
            answer => answer?,
        };
        if rows.first().and_then(|r| r.get("got")) != Some("1") {
            report(ServerLock::HeldByOther { who: self.other(&mut session).await? });
            session.close().await;
            return Ok(());
        }
        let connection = session.connection_id();
        report(ServerLock::Held { connection });
        *held = true;
        let nap = format!(
            "SELECT SLEEP({SLEEP_SECONDS}), IS_USED_LOCK({name}) = CONNECTION_ID() AS mine {}",
            self.holder_text()
        );
        let limit = Duration::from_secs(SLEEP_SECONDS.into()) + SLACK;
        loop {
            let rows = session.query(&nap, limit).await?;
            if rows.first().and_then(|r| r.get("mine")) != Some("1") {
                // Somebody released it under us (RELEASE_ALL_LOCKS cannot, KILL can).
                return Ok(());
            }
        }
    }

    fn holder_text(&self) -> String {
        // Nothing of it may end the comment.
        let clean = |text: String| text.replace(['*', '/', '\\', '\'', '"'], "_");
        format!(
            "/* primacy manager {} keeps cluster {} */",
            clean(self.holder.to_string()),
            self.cluster
        )
    }

    /// Who holds the lock, as far as the process list tells.
    async fn other(&self, session: &mut Session) -> Result<String, WireError> {
        let limit = self.options.connect_timeout;
        let used = format!("SELECT IS_USED_LOCK({}) AS id", quote(&self.lock));
        let rows = session.query(&used, limit).await?;
        let Some(id) = rows.first().and_then(|r| r.get("id")).map(str::to_owned) else {
            return Ok("it was just released".to_owned());
        };
        let list = session.query("SHOW FULL PROCESSLIST", limit).await?;
        let mine = list.iter().find(|row| row.get("Id") == Some(&id));
        let Some(row) = mine else { return Ok(format!("connection {id}")) };
        let text = row.get("Info").unwrap_or_default();
        let from = row.get("Host").unwrap_or("an unknown host");
        let said =
            text.split_once("/* primacy manager ").and_then(|(_, t)| t.split_once(" keeps "));
        Ok(match said {
            Some((who, _)) => format!("{who}, connected from {from}"),
            None => format!("connection {id} of {} from {from}", row.get("User").unwrap_or("?")),
        })
    }
}
