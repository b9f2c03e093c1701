//! MySQL's clone plugin: the recipient's server fetches the donor's data into a directory beside its
//! own. The donor goes on serving.

use std::path::PathBuf;
use std::time::Duration;

use primacy_store::Store;
use primacy_types::{Address, Millis};
use primacy_wire::{Session, TlsMode, WireError, quote};
use secrecy::ExposeSecret as _;
use tokio::time::Instant;

use crate::Cluster;
use crate::error::StepError;
use crate::journal::blocking;

/// How often progress is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// A clone may take as long as it gets on; its limit is that of no progress.
const WHOLE: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long a clone may take to end after it was told to.
const ENDED: Duration = Duration::from_secs(30);
const MIB: u64 = 1 << 20;

/// What is wanted.
#[derive(Clone, Debug)]
pub struct CloneOrder {
    /// Who fetches.
    pub recipient: Address,
    /// Who gives.
    pub donor: Address,
    /// Into which directory of the recipient's host; its server makes it.
    pub directory: PathBuf,
    /// No more bytes a second than this.
    pub rate: Option<u64>,
    /// It is given up after so long without progress.
    pub stall: Millis,
}

/// Bytes in the tables of a server: about what a clone will copy.
///
/// # Errors
/// What the server answered.
pub async fn bytes_of(cluster: &Cluster, server: &Address) -> Result<u64, StepError> {
    const SIZE: &str = "SELECT CAST(SUM(FILE_SIZE) AS UNSIGNED) FROM \
        information_schema.INNODB_TABLESPACES";
    let limit = cluster.policy.timing.statement_limit.as_duration();
    let at = || StepError::at(server, "looking how much data it has");
    let mut link = cluster.links.to(server, limit).await.map_err(at())?;
    let rows = link.query(SIZE, limit).await.map_err(at())?;
    Ok(rows.first().and_then(|row| row.at(0)?.parse().ok()).unwrap_or_default())
}

/// Clones. `progress` is told the bytes so far and how many there will be.
///
/// # Errors
/// What the servers answered, with what helps. Dropped half way, it ends the statement on the server
/// as soon as that notices.
pub async fn clone_into(
    cluster: &Cluster,
    order: &CloneOrder,
    mut progress: impl FnMut(u64, u64),
) -> Result<(), StepError> {
    let (recipient, donor) = (&order.recipient, &order.donor);
    has_plugin(cluster, donor).await?;
    has_plugin(cluster, recipient).await?;
    let limit = cluster.policy.timing.statement_limit.as_duration();
    let at = |doing| StepError::at(recipient, doing);
    let options = cluster.links.options(donor);
    let mut link = cluster.links.to(recipient, limit).await.map_err(at("preparing a clone"))?;
    let valid = quote(&donor.to_string());
    let bandwidth = order.rate.map_or(0, |rate| rate.div_ceil(MIB).max(1));
    // Bandwidth is limited for each of its threads.
    let threads = if bandwidth > 0 { 1 } else { 4 };
    for statement in [
        format!("SET GLOBAL clone_valid_donor_list = {valid}"),
        format!("SET GLOBAL clone_max_data_bandwidth = {bandwidth}"),
        format!("SET GLOBAL clone_max_network_bandwidth = {bandwidth}"),
        "SET GLOBAL clone_autotune_concurrency = OFF".to_owned(),
        format!("SET GLOBAL clone_max_concurrency = {threads}"),
    ] {
        link.execute(&statement, limit).await.map_err(at("preparing a clone"))?;
    }
    drop(link);
    end_clone(cluster, recipient).await?;
    let directory = order.directory.to_string_lossy();
    let ssl = if options.tls == TlsMode::Off { "" } else { " REQUIRE SSL" };
    // The server hides the password wherever it shows the statement.
    let sql = secrecy::SecretString::from(format!(
        "CLONE INSTANCE FROM {}@{}:{} IDENTIFIED BY {} DATA DIRECTORY = {}{ssl}",
        quote(&options.user),
        quote(donor.host()),
        donor.port(),
        quote(options.password.expose_secret()),
        quote(&directory),
    ));
    let doing = "cloning";
    let mut session =
        Session::connect(&cluster.links.options(recipient)).await.map_err(at(doing))?;
    let ending = Ending { cluster, server: recipient, session: Some(session.connection_id()) };
    let mut cloning = std::pin::pin!(session.execute(sql.expose_secret(), WHOLE));
    let (mut last, mut since) = ((0, String::new()), Instant::now());
    loop {
        tokio::select! {
            done = &mut cloning => {
                ending.over();
                return done.map(drop).map_err(|error| explained(recipient, error));
            }
            () = tokio::time::sleep(LOOK) => {}
        }
        if let Ok((bytes, total, stage)) = look(cluster, recipient, limit).await {
            progress(bytes, total);
            if last != (bytes, stage.clone()) {
                last = (bytes, stage);
                since = Instant::now();
            }
        }
        if since.elapsed() >= order.stall.as_duration() {
            ending.end().await;
            let what = format!("the clone from {donor} makes no progress ({})", last.1);
            return Err(StepError::Stalled { server: recipient.clone(), what, limit: order.stall });
        }
    }
}

/// Ends a clone of ours that still runs on a server: whoever began it is gone, and the server does not
/// notice by itself. Returns when none runs.
///
/// # Errors
/// What the server answered; or if somebody else's clone runs there, or ours does not end.
pub async fn end_clone(cluster: &Cluster, server: &Address) -> Result<(), StepError> {
    const RUNNING: &str =
        "SELECT PID, DESTINATION FROM performance_schema.clone_status WHERE STATE = 'In Progress'";
    let limit = cluster.policy.timing.statement_limit.as_duration();
    let at = || StepError::at(server, "looking for a clone that runs there");
    let end = Instant::now() + ENDED;
    loop {
        let mut link = cluster.links.to(server, limit).await.map_err(at())?;
        let rows = link.query(RUNNING, limit).await.map_err(at())?;
        let Some(row) = rows.first() else { return Ok(()) };
        let (session, into) = (row.at(0).and_then(|id| id.parse().ok()), row.at(1));
        let into = into.unwrap_or_default().to_owned();
        if !is_ours(cluster, &into).await {
            let why =
                format!("it is cloning into {into} already, not by us; wait until that is over");
            return Err(StepError::impossible(server, why));
        }
        if Instant::now() >= end {
            let why = format!("an earlier clone into {into} does not end");
            return Err(StepError::impossible(server, why));
        }
        if let Some(session) = session {
            let statement = link.dialect().kill(session);
            // It may have ended meanwhile.
            if let Err(error) = link.execute(&statement, limit).await {
                tracing::debug!(%server, %error, "a clone was not ended");
            }
        }
        drop(link);
        tokio::time::sleep(LOOK).await;
    }
}

/// The operation in whose directory a clone writes, if the directory has the name that an agent gives.
fn operation_of(into: &str) -> Option<&str> {
    let (folder, last) = into.trim_end_matches('/').rsplit_once('/')?;
    let (_, id) = folder.rsplit('/').next()?.rsplit_once(".rebuild-")?;
    (last == "data" && !id.is_empty()).then_some(id)
}

/// Whether a rebuild of this cluster that is on record makes a clone write there.
async fn is_ours(cluster: &Cluster, into: &str) -> bool {
    let Some(id) = operation_of(into).map(str::to_owned) else { return false };
    let (store, name) = (cluster.store.clone(), cluster.name.clone());
    let known = blocking(move || Ok(is_on_record(&store, &name, &id))).await;
    known.unwrap_or(false)
}

fn is_on_record(store: &Store, cluster: &str, id: &str) -> bool {
    // Histories are found by the beginning of an id too.
    store.operation(id).is_ok_and(|record| record.id.as_str() == id && record.cluster == cluster)
}

/// Ends the statement on the server if it is dropped before that is over.
struct Ending<'c> {
    cluster: &'c Cluster,
    server: &'c Address,
    session: Option<u64>,
}

impl Ending<'_> {
    fn over(mut self) {
        self.session = None;
    }

    async fn end(mut self) {
        if let Some(session) = self.session.take() {
            kill(self.cluster.links.clone(), self.server.clone(), session).await;
        }
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            let (links, server) = (self.cluster.links.clone(), self.server.clone());
            tokio::spawn(kill(links, server, session));
        }
    }
}

async fn kill(links: std::sync::Arc<crate::Links>, server: Address, session: u64) {
    const LIMIT: Duration = Duration::from_secs(5);
    let Ok(mut link) = links.to(&server, LIMIT).await else { return };
    let statement = link.dialect().kill(session);
    if let Err(error) = link.execute(&statement, LIMIT).await {
        tracing::debug!(%server, %error, "a clone was not ended");
    }
}

/// Bytes copied, bytes expected, and the stage.
async fn look(
    cluster: &Cluster,
    server: &Address,
    limit: Duration,
) -> Result<(u64, u64, String), WireError> {
    const PROGRESS: &str = "SELECT STAGE, STATE, DATA, ESTIMATE \
        FROM performance_schema.clone_progress ORDER BY BEGIN_TIME";
    let mut link = cluster.links.to(server, limit).await?;
    let rows = link.query(PROGRESS, limit).await?;
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let (mut bytes, mut total, mut stage) = (0, 0, String::new());
    for row in rows.iter() {
        bytes += number(row.at(2));
        total += number(row.at(3));
        if row.at(1) == Some("In Progress") {
            stage = row.at(0).unwrap_or_default().to_owned();
        }
    }
    Ok((bytes, total.max(bytes), stage))
}

fn explained(server: &Address, error: WireError) -> StepError {
    match error.code() {
        // ER_SPECIFIC_ACCESS_DENIED_ERROR, of the recipient or (as the reason of 3862) of the donor.
        Some(1227 | 3862) => StepError::impossible(
            server,
            format!(
                "the clone failed: {error}. The manager's account needs CLONE_ADMIN on the server that \
                 is rebuilt and BACKUP_ADMIN on the donor, and must be let in from that server's host \
                 (primacy grants)"
            ),
        ),
        _ => StepError::at(server, "cloning")(error),
    }
}

/// Sees to it that the plugin is there. Loading it writes to a table of the server's own, which
/// `super_read_only` forbids even so: that is lifted for the moment, `read_only` is not.
async fn has_plugin(cluster: &Cluster, server: &Address) -> Result<(), StepError> {
    const STATUS: &str =
        "SELECT PLUGIN_STATUS FROM information_schema.PLUGINS WHERE PLUGIN_NAME = 'clone'";
    let limit = cluster.policy.timing.statement_limit.as_duration();
    let at = || StepError::at(server, "looking for its clone plugin");
    let mut link = cluster.links.to(server, limit).await.map_err(at())?;
    let rows = link.query(STATUS, limit).await.map_err(at())?;
    if rows.first().and_then(|row| row.at(0)) == Some("ACTIVE") {
        return Ok(());
    }
    let closed = link.query("SELECT @@global.super_read_only", limit).await.map_err(at())?;
    let closed = closed.first().and_then(|row| row.at(0)) == Some("1");
    if closed {
        link.execute("SET GLOBAL super_read_only = OFF", limit).await.map_err(at())?;
    }
    let installed = link.execute("INSTALL PLUGIN clone SONAME 'mysql_clone.so'", limit).await;
    if closed {
        link.execute("SET GLOBAL super_read_only = ON", limit).await.map_err(at())?;
    }
    installed.map(drop).map_err(|error| {
        StepError::impossible(
            server,
            format!(
                "its clone plugin is not loaded, and could not be: {error}. Load it: plugin_load_add = \
                 mysql_clone.so in its option file, or as root SET GLOBAL super_read_only = OFF; INSTALL \
                 PLUGIN clone SONAME 'mysql_clone.so'; SET GLOBAL super_read_only = ON; or take a logical \
                 dump: --method dump"
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use primacy_types::WallClock;

    #[test]
    fn a_clone_is_ours_if_the_directory_is_that_of_a_rebuild_on_record() {
        let store = Store::in_memory().unwrap();
        let plan = serde_json::Value::Null;
        let id = store.begin_beside("shop", "rebuild", &plan, WallClock(1)).unwrap().to_string();
        let ours = |cluster, into: &str| {
            operation_of(into).is_some_and(|id| is_on_record(&store, cluster, id))
        };
        assert!(ours("shop", &format!("/var/lib/mysql.rebuild-{id}/data")));
        assert!(ours("shop", &format!("/var/lib/mysql.rebuild-{id}/data/")));
        assert!(!ours("other", &format!("/var/lib/mysql.rebuild-{id}/data")));
        let begin: String = id.chars().take(12).collect();
        assert!(!ours("shop", &format!("/var/lib/mysql.rebuild-{begin}/data")));
        // People's own.
        for into in ["/x/my.rebuild-2/", "/x/my.rebuild-2/data", "/x/data", "data", ""] {
            assert!(!ours("shop", into), "{into}");
        }
    }
}
