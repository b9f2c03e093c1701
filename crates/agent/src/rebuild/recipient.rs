//! Making new data beside the old.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use primacy_agent_api::{
    AgentClient, BackupOrder, BuildOrder, DataSource, Fault, FaultKind, JobPhase, JobState,
};
use primacy_failpoint as failpoint;
use primacy_plan::lease::Hold;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use super::job::Job;
use super::layout::Layout;
use super::load::load;
use super::private::Recipe;
use super::tools::{self, LastWords};
use super::transfer::Transfer;
use super::{Rebuilds, blocking};
use crate::clock;
use crate::served::Served;

/// How long unpacking may take to end after the last byte: what is left is in memory.
const UNPACK: Duration = Duration::from_secs(120);
/// What has to be free beyond what is expected, in hundredths: the donor goes on writing meanwhile.
const ROOM: u64 = 110;

impl Rebuilds {
    /// Begins a job.
    pub(super) async fn build(
        &self,
        served: &Arc<Served>,
        order: BuildOrder,
    ) -> Result<JobState, Fault> {
        may_be_rebuilt(served)?;
        let former = served.state().former.clone();
        let data_dir = former.as_ref().and_then(|former| former.data_dir.clone());
        let (Some(former), Some(data_dir)) = (former, data_dir) else {
            let text = format!(
                "{} was never seen to answer on this host, so its data directory is not known; start \
                 it once",
                served.server
            );
            return Err(Fault::new(FaultKind::Server, text));
        };
        if let Some(outside) = former.outside.first() {
            let text = format!(
                "{}: {outside} is outside of its data directory; a server that is spread over \
                 several directories is not rebuilt: put everything below {} first",
                served.server,
                data_dir.display()
            );
            return Err(Fault::new(FaultKind::Other, text));
        }
        if let Some(job) = self.job(&served.server) {
            if job.id == order.id {
                return Ok(job.state());
            }
            if !job.state().phase.is_settled() {
                let text = format!("{}: rebuild {} is under way", served.server, job.id);
                return Err(Fault::new(FaultKind::Other, text));
            }
            job.discard().await?;
        }
        let at = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let bases = [former.binlog_base.clone(), former.relay_log_base.clone()]
            .map(|base| base.unwrap_or_default().to_string_lossy().into_owned());
        let recipe = match &order.source {
            DataSource::Dump { .. } => Some(Recipe::of(served).await?),
            DataSource::Backup { .. } | DataSource::Clone => None,
        };
        let (id, from) = (order.id.to_string(), order.source.clone());
        let (bytes, of_clone) = (order.bytes, order.source == DataSource::Clone);
        let server = served.server.clone();
        let layout = blocking(move || {
            let layout = Layout::of(&server, &data_dir, [&bases[0], &bases[1]], &id, &at)?;
            let (free, needed) = (layout.free()?, bytes / 100 * ROOM);
            if free < needed {
                return Err(std::io::Error::other(format!(
                    "{server}: about {} MB are needed beside {}, and {} MB are free; make room, or \
                     remove what an earlier rebuild kept ({}.before-rebuild-*)",
                    needed >> 20,
                    layout.data_dir.display(),
                    free >> 20,
                    layout.data_dir.display(),
                )));
            }
            if of_clone && layout.inside {
                return Err(std::io::Error::other(format!(
                    "{server}: {} is a mount point, or its parent is not writable for the agent, and \
                     a server does not clone into its own data directory; make datadir a directory \
                     below the mount point",
                    layout.data_dir.display(),
                )));
            }
            Ok(layout)
        })
        .await?;
        // On record before there is anything: whoever finds it after a crash removes it.
        let job = Job::begin(self, Arc::clone(served), order.id, layout)?;
        self.set_job(Arc::clone(&job));
        failpoint::hit("before", "build-make");
        let layout = job.layout.clone();
        if let Err(fault) = blocking(move || layout.make(!of_clone)).await {
            job.fail(fault.text.clone()).await;
            return Err(fault);
        }
        failpoint::hit("after", "build-make");
        if let DataSource::Backup { donor, agent, ticket }
        | DataSource::Dump { donor, agent, ticket } = from
        {
            let client = AgentClient::new(agent, self.credentials());
            let request = BackupOrder { server: donor, ticket };
            let stall = order.stall.as_duration();
            let work = Arc::clone(&job);
            job.run(async move {
                match recipe {
                    Some(recipe) => load(&work, &client, &request, stall, &recipe).await?,
                    None => {
                        receive(&work, &client, &request, stall).await?;
                        work.enter(JobPhase::Preparing)?;
                        prepare(&work, &work.layout.fresh).await?;
                    }
                }
                work.complete().await
            });
        }
        Ok(job.state())
    }
}

/// Never a server that accepts writes, or that may be about to.
pub(super) fn may_be_rebuilt(served: &Served) -> Result<(), Fault> {
    served.may_start()?;
    let state = served.state();
    let writable = state.silent.is_none()
        && state.facts.as_ref().is_some_and(primacy_types::ServerFacts::writable);
    let lease = state.member.hold(clock::now()) != Hold::Without;
    if writable || lease {
        let what = if lease { "holds the primary's lease" } else { "accepts writes" };
        let text = format!("{} {what}: the data of a primary is never replaced", served.server);
        return Err(Fault::new(FaultKind::Lease, text));
    }
    Ok(())
}

async fn receive(
    job: &Job,
    donor: &AgentClient,
    request: &BackupOrder,
    stall: Duration,
) -> Result<(), String> {
    let mut transfer = Transfer::begin(job, donor, request, stall).await?;
    let mut child = Command::new(tools::unpack().map_err(|fault| fault.text)?)
        .args(["-x", "-C"])
        .arg(&job.layout.fresh)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("unpacking could not be started: {error}"))?;
    let words = LastWords::of(&mut child);
    let mut input = child.stdin.take().ok_or("unpacking has no input")?;
    while let Some(bytes) = transfer.next().await? {
        match timeout(stall, input.write_all(&bytes)).await {
            Ok(Ok(())) => job.came(bytes.len() as u64),
            // It ended by itself, and has said why.
            Ok(Err(_)) => {
                return Err(format!("what came could not be unpacked: {}", words.why().await));
            }
            Err(_) => {
                return Err(format!("the disk here took nothing for {} s", stall.as_secs()));
            }
        }
    }
    drop(input);
    let status = timeout(UNPACK, child.wait())
        .await
        .map_err(|_| "unpacking did not end".to_owned())?
        .map_err(|error| error.to_string())?;
    if !status.success() {
        return Err(format!("what came could not be unpacked ({status}): {}", words.why().await));
    }
    Ok(())
}

/// Makes the backup consistent. How long that takes is a matter of how much was written meanwhile:
/// it has no limit of its own but the person's patience, and says that it goes on by its phase.
async fn prepare(job: &Job, fresh: &Path) -> Result<(), String> {
    let mut child = Command::new(tools::backup().map_err(|fault| fault.text)?)
        .arg("--no-defaults")
        .arg("--prepare")
        .arg(format!("--target-dir={}", fresh.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("preparing the data could not be started: {error}"))?;
    let words = LastWords::of(&mut child);
    let status = child.wait().await.map_err(|error| error.to_string())?;
    if !status.success() {
        return Err(format!("preparing the data ended with {status}: {}", words.why().await));
    }
    job.found(gtid_of(fresh)?);
    Ok(())
}

/// What the donor had applied, from the notes that the backup brought. On a donor that does not
/// log what it replicates only the place of its replication says it.
fn gtid_of(fresh: &Path) -> Result<String, String> {
    let text = |name: &str| std::fs::read_to_string(fresh.join(name)).ok();
    let binlog = text("mariadb_backup_binlog_info").or_else(|| text("xtrabackup_binlog_info"));
    let slave = text("mariadb_backup_slave_info").or_else(|| text("xtrabackup_slave_info"));
    // FILE <tab> POSITION <tab> GTIDS
    let logged = binlog.as_deref().and_then(|text| text.trim_end().split('\t').nth(2));
    let logged = logged.map(str::trim).filter(|gtid| !gtid.is_empty());
    let applied = slave.as_deref().and_then(|text| {
        let rest = text.split_once("gtid_slave_pos")?.1.split_once('\'')?.1;
        rest.split_once('\'').map(|(gtid, _)| gtid.trim()).filter(|gtid| !gtid.is_empty())
    });
    match (logged, applied) {
        (Some(one), Some(other)) => further(one, other),
        (Some(one), None) | (None, Some(one)) => Ok(one.to_owned()),
        // Nothing was ever written there.
        (None, None) if binlog.is_some() => Ok(String::new()),
        (None, None) => Err("the backup does not say which GTIDs it holds".to_owned()),
    }
}

/// The further of two positions in each domain.
fn further(one: &str, other: &str) -> Result<String, String> {
    let read = |text: &str| {
        text.parse::<primacy_types::MariaDbGtidPos>()
            .map_err(|error| format!("the backup's GTIDs {text:?}: {error}"))
    };
    Ok(read(one)?.union(&read(other)?).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_the_further_of_what_was_logged_and_what_was_applied() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        assert!(gtid_of(folder.path()).is_err());
        write("xtrabackup_binlog_info", "bin.000002\t1234\t0-1-70,1-2-3\n");
        assert_eq!(gtid_of(folder.path()).unwrap(), "0-1-70,1-2-3");
        write(
            "xtrabackup_slave_info",
            "SET GLOBAL gtid_slave_pos = '0-1-80';\nCHANGE MASTER TO master_use_gtid = slave_pos;\n",
        );
        assert_eq!(gtid_of(folder.path()).unwrap(), "0-1-80,1-2-3");
        write("xtrabackup_binlog_info", "bin.000002\t1234\t\n");
        assert_eq!(gtid_of(folder.path()).unwrap(), "0-1-80");
    }
}
