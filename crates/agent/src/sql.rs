//! What an agent says to its server: reading what it is, closing it, opening it.

use std::time::Duration;

use primacy_probe::{Depth, Dialect, observe, precheck};
use primacy_types::ServerFacts;
use primacy_wire::{ConnectOptions, Session, WireError};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The agent's connection to its server; made again when it broke.
#[derive(Debug)]
pub(crate) struct Sql {
    options: ConnectOptions,
    session: Mutex<Option<Session>>,
}

impl Sql {
    pub(crate) fn new(options: ConnectOptions) -> Self {
        Self { options, session: Mutex::const_new(None) }
    }

    /// Runs something with the connection; a connection on which it failed is not used again.
    async fn with<T>(
        &self,
        limit: Duration,
        work: impl AsyncFnOnce(&mut Session, Dialect) -> Result<T, WireError>,
    ) -> Result<T, WireError> {
        let timeout = || WireError::Timeout {
            address: self.options.address.clone(),
            what: "waiting for the agent's connection".into(),
            limit,
        };
        let all = async {
            let mut slot = self.session.lock().await;
            let mut session = match slot.take().filter(|session| !session.is_broken()) {
                Some(session) => session,
                None => {
                    let mut options = self.options.clone();
                    options.connect_timeout = options.connect_timeout.min(limit);
                    Session::connect(&options).await?
                }
            };
            let dialect = Dialect::of(session.version());
            let done = work(&mut session, dialect).await;
            if done.is_ok() {
                *slot = Some(session);
            }
            done
        };
        tokio::time::timeout(limit, all).await.unwrap_or_else(|_| Err(timeout()))
    }

    /// What the server says of itself.
    pub(crate) async fn facts(&self, limit: Duration) -> Result<ServerFacts, WireError> {
        self.with(limit, async |session, _| {
            observe(session, Depth::Quick, None, limit).await.map(|seen| seen.facts)
        })
        .await
    }

    /// Settings that put some of the server's data outside of its data directory.
    pub(crate) async fn outside(
        &self,
        data_dir: &str,
        limit: Duration,
    ) -> Result<Vec<String>, WireError> {
        const PLACES: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN \
            ('innodb_data_home_dir', 'innodb_log_group_home_dir', 'innodb_undo_directory', \
             'aria_log_dir_path')";
        let rows = self.with(limit, async |session, _| session.query(PLACES, limit).await).await?;
        let data_dir = std::path::Path::new(data_dir);
        let outside = rows.iter().filter_map(|row| {
            let (name, place) = (row.at(0)?, row.at(1)?);
            let path = data_dir.join(place);
            let within = path.components().all(|part| part != std::path::Component::ParentDir)
                && path.starts_with(data_dir);
            (!within).then(|| format!("{name} = {place}"))
        });
        Ok(outside.collect())
    }

    /// Makes the server read-only and ends application sessions; dump threads are left alone, so
    /// that replicas go on receiving. `Ok` means that it was seen to be read-only.
    pub(crate) async fn close(&self, limit: Duration) -> Result<usize, WireError> {
        let end = Instant::now() + limit;
        let left = || end.saturating_duration_since(Instant::now());
        let user = self.options.user.clone();
        // A statement that waits for a lock, or a commit for an acknowledgement, keeps read_only
        // waiting: what the sessions of applications can still do is ended either way.
        let first = self
            .with(limit / 2, async |session, dialect| {
                let wait = dialect.lock_wait_timeout(Duration::from_secs(1));
                session.execute(&wait, limit).await?;
                for statement in dialect.close_to_writes() {
                    session.execute(statement, limit).await?;
                }
                Ok(())
            })
            .await;
        let ended = self
            .with(left(), async |session, dialect| {
                let ours = [user.as_str()];
                let all = precheck::application_sessions(session, &ours, limit).await?;
                let mut ended = 0;
                for one in &all {
                    match session.execute(&dialect.kill(one.id), limit).await {
                        Ok(_) => ended += 1,
                        // It has ended meanwhile.
                        Err(error) if error.code() == Some(1094) => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(ended)
            })
            .await?;
        if first.is_err() {
            self.with(left(), async |session, dialect| {
                for statement in dialect.close_to_writes() {
                    session.execute(statement, limit).await?;
                }
                Ok(())
            })
            .await?;
        }
        let facts = self.facts(left()).await?;
        if facts.writable() {
            return Err(WireError::Protocol {
                address: self.options.address.clone(),
                reason: "it stays writable although it was made read-only".to_owned(),
            });
        }
        Ok(ended)
    }

    /// Lets everyone write.
    pub(crate) async fn open(&self, limit: Duration) -> Result<(), WireError> {
        self.with(limit, async |session, dialect| {
            if let Some(first) = dialect.open_to_manager() {
                session.execute(first, limit).await?;
            }
            session.execute(dialect.open_to_all(), limit).await?;
            Ok(())
        })
        .await
    }
}
