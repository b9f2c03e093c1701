//! Finding things out about servers: who the primary is at the very first start, and who it is
//! that we follow.

use std::time::Duration;

use primacy_probe::{Depth, Dialect, observe};
use primacy_replication::ReceiveError;
use primacy_types::{Address, Positioning};
use primacy_wire::{ConnectOptions, Session, WireError};
use uuid::Uuid;

use crate::options::ServeOptions;
use crate::state::Upstream;
use crate::store::SourceId;

/// Limit of one question.
const LIMIT: Duration = Duration::from_secs(5);

/// The primary, and how its replicas find their places in its log.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) primary: Address,
    pub(crate) positioning: Positioning,
}

/// The one server that accepts writes and replicates from nobody; else why it is not known.
pub(crate) async fn find_primary(options: &ServeOptions) -> Result<Found, String> {
    let own = options.own_address();
    let mut primaries = Vec::new();
    let mut positioning = None;
    let mut version = None;
    for server in options.servers.iter().filter(|server| **server != own) {
        let seen = async {
            let mut session = Session::connect(&options.as_manager(server)).await?;
            let seen = observe(&mut session, Depth::Quick, None, LIMIT).await;
            session.close().await;
            seen
        };
        let facts = match seen.await {
            Ok(seen) => seen.facts,
            Err(error) => {
                tracing::debug!(%server, %error, "a server of the cluster does not answer");
                continue;
            }
        };
        match facts.channel(&options.channel) {
            Some(channel) => positioning = positioning.or(Some(channel.positioning)),
            None if facts.writable() => {
                let gtid = facts.gtid_mode == primacy_types::GtidMode::On;
                version = Some((facts.version, gtid));
                primaries.push(server.clone());
            }
            None => {}
        }
    }
    match (&primaries[..], version) {
        ([primary], Some((version, gtid))) => {
            let of_its_own = match (version.is_mariadb(), gtid) {
                (true, _) => Positioning::SlavePos,
                (false, true) => Positioning::AutoPosition,
                (false, false) => Positioning::FileAndPosition,
            };
            let positioning = positioning.unwrap_or(of_its_own);
            Ok(Found { primary: primary.clone(), positioning })
        }
        ([], _) => Err("no server accepts writes and replicates from nobody".to_owned()),
        _ => Err(format!("{} servers accept writes", primaries.len())),
    }
}

/// Who a source is.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) id: SourceId,
    pub(crate) upstream: Upstream,
}

/// Asks a source who it is.
pub(crate) async fn ask(options: &ConnectOptions) -> Result<Identity, ReceiveError> {
    let mut session = Session::connect(options).await?;
    let version = session.version();
    let text = session.version_text();
    // MariaDB 10 writes this before its version, for old replicas.
    let text = text.strip_prefix("5.5.5-").unwrap_or(text).to_owned();
    let server_id = cell(&mut session, "SELECT @@GLOBAL.server_id").await?;
    let Some(server_id) = server_id.and_then(|id| id.parse().ok()) else {
        return Err(ReceiveError::Unfit {
            address: options.address.clone(),
            reason: "it does not say its server id".to_owned(),
        });
    };
    let (mut server_uuid, mut gtid_mode) = (None, true);
    if version.is_mysql() {
        let uuid = cell(&mut session, "SELECT @@GLOBAL.server_uuid").await?;
        server_uuid = uuid.and_then(|uuid| uuid.parse::<Uuid>().ok());
        let mode = cell(&mut session, "SELECT @@GLOBAL.gtid_mode").await?;
        gtid_mode = mode.is_some_and(|mode| mode.eq_ignore_ascii_case("on"));
    }
    session.close().await;
    let upstream = Upstream { version, version_text: text, gtid_mode };
    Ok(Identity { id: SourceId { server_id, server_uuid }, upstream })
}

/// The file that a server writes to now.
pub(crate) async fn newest_file(options: &ConnectOptions) -> Result<Option<String>, ReceiveError> {
    let mut session = Session::connect(options).await?;
    let sql = Dialect::of(session.version()).binlog_status();
    let rows = session.query(sql, LIMIT).await?;
    session.close().await;
    Ok(rows.first().and_then(|row| row.get("File")).map(str::to_owned))
}

async fn cell(session: &mut Session, sql: &str) -> Result<Option<String>, WireError> {
    let rows = session.query(sql, LIMIT).await?;
    Ok(rows.first().and_then(|row| row.at(0)).map(str::to_owned))
}
