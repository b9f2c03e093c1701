//! Replicas that accept writes. With MHA they may; here nobody becomes the primary beside them, so they
//! are made read-only first, as a manager does on sight, and opened again if nothing came of it.

use std::time::Duration;

use primacy_api::ErrorKind;
use primacy_manager::Standalone;
use primacy_types::{Address, ClusterSnapshot};
use primacy_wire::{Session, WireError};

use super::{SwitchError, Switching};

/// How long a server may take to open.
const LIMIT: Duration = Duration::from_secs(5);

/// What was closed for a switch.
pub(super) struct Closed(Vec<Address>);

/// The servers beside the primary that accept writes.
pub(super) fn open_replicas(seen: &ClusterSnapshot, primary: &Address) -> Vec<Address> {
    let open = seen.all_live().filter(|(server, facts)| *server != primary && facts.writable());
    open.map(|(server, _)| server.clone()).collect()
}

impl Switching<'_, '_> {
    /// Makes them read-only.
    pub(super) async fn close_replicas(
        &self,
        engine: &Standalone,
        seen: &ClusterSnapshot,
        primary: &Address,
    ) -> Result<Closed, SwitchError> {
        let closed = Closed(open_replicas(seen, primary));
        if closed.0.is_empty() {
            return Ok(closed);
        }
        for server in &closed.0 {
            let name = self.app.shown(server);
            self.log
                .warning(format!("{name} accepts writes and is a replica: it is made read-only"));
        }
        let done = engine.close_replicas(&self.app.cluster, &closed.0).await;
        closed.unless_moved(self, done.map_err(SwitchError::from)).await?;
        Ok(closed)
    }
}

impl Closed {
    /// Opens them again if nothing was moved.
    pub(super) async fn unless_moved<T>(
        &self,
        switching: &Switching<'_, '_>,
        done: Result<T, SwitchError>,
    ) -> Result<T, SwitchError> {
        let moved = match &done {
            Ok(_) => true,
            // It may have been begun, and is not put back.
            Err(SwitchError::Engine(error)) => error.kind == ErrorKind::Failed,
            Err(SwitchError::Held(_) | SwitchError::Left(_)) => true,
            Err(_) => false,
        };
        if !moved {
            for server in &self.0 {
                let name = switching.app.shown(server);
                match self.open(switching, server).await {
                    Ok(()) => switching.log.info(format!("{name} accepts writes again, as before")),
                    Err(why) => switching.log.error(format!("{name} stays read-only: {why}")),
                }
            }
        }
        done
    }

    async fn open(&self, switching: &Switching<'_, '_>, server: &Address) -> Result<(), String> {
        let options = switching.app.connect(server).map_err(|error| error.to_string())?;
        let Some(options) = options else { return Ok(()) };
        let said = |error: WireError| error.to_string();
        let mut session = Session::connect(&options).await.map_err(said)?;
        // Where there is super_read_only, this ends it as well.
        session.execute("SET GLOBAL read_only = OFF", LIMIT).await.map_err(said)?;
        session.close().await;
        Ok(())
    }
}
