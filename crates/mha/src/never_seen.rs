//! A primary that is dead and was never seen alive. Where its binary logs are only the configuration says
//! (`master_binlog_dir`), as with MHA; what else has to be known of it its replicas say.

use std::path::PathBuf;

use primacy_manager::Standalone;
use primacy_plan::managed_source;
use primacy_types::{Address, BinlogPosition, ClusterSnapshot, SemiSyncStatus, ServerFacts};

use crate::application::Application;
use crate::log::Log;

/// Puts on record what can be said of it, so that the engine finds its files. Nothing is done where it has
/// said so itself, in this run or in one before.
pub(crate) async fn introduce(
    app: &Application,
    engine: &Standalone,
    seen: &ClusterSnapshot,
    master: &Address,
    log: &Log,
) {
    let known = seen.server(master).is_some_and(|server| server.facts.is_some());
    let Some((facts, file)) = concluded(seen, master).filter(|_| !known) else { return };
    let Some(folder) = folder_of(app, master, &file).await else {
        log.warning(format!(
            "{} was never seen alive, and {file} is in none of the folders of master_binlog_dir, or its \
             host is not reached: what nobody received is not rescued",
            app.shown(master)
        ));
        return;
    };
    let base = folder.join(file.rsplit_once('.').map_or(&*file, |(base, _)| base));
    log.info(format!(
        "{} was never seen alive; its binary logs are {}.*, as master_binlog_dir says.",
        app.shown(master),
        base.display()
    ));
    let pid_file = app.block(master).and_then(|block| block.filled("master_pid_file"));
    let facts = ServerFacts {
        binlog_base: base.display().to_string(),
        pid_file: pid_file.unwrap_or_default(),
        ..facts
    };
    if let Err(error) = engine.introduce(&app.cluster, master, &facts).await {
        log.warning(format!("that could not be put on record: {error}"));
    }
}

/// The folder in which its host has this binary log.
async fn folder_of(app: &Application, master: &Address, file: &str) -> Option<PathBuf> {
    let folders = app.block(master)?.text("master_binlog_dir")?;
    for folder in folders.split(',').map(str::trim).filter(|folder| !folder.is_empty()) {
        let folder = PathBuf::from(folder);
        if app.has_file(master, &folder.join(file)).await {
            return Some(folder);
        }
    }
    None
}

/// What its replicas let conclude of it, and the newest of its binary logs that one of them knows. What it
/// has executed is taken to be what they hold: so nobody is blamed for having what it was not seen to have.
fn concluded(seen: &ClusterSnapshot, master: &Address) -> Option<(ServerFacts, String)> {
    let name = &seen.policy.channel;
    let of = |(server, facts): (&Address, &ServerFacts)| {
        let reads = managed_source(seen, server).as_ref() == Some(master);
        let channel = facts.channel(name).filter(|_| reads)?;
        let read: BinlogPosition = channel.read.clone()?;
        Some((read, facts.clone(), channel.clone()))
    };
    let mut replicas: Vec<_> = seen.all_live().filter_map(of).collect();
    replicas.sort_by(|a, b| a.0.cmp(&b.0));
    let held = replicas.iter().map(|(_, facts, _)| facts.holds(name));
    let held = held.reduce(|all, more| all.union(&more))?;
    let (read, replica, channel) = replicas.pop()?;
    let file = read.file.clone();
    let facts = ServerFacts {
        server_id: channel.source_server_id,
        server_uuid: channel.source_uuid,
        read_only: false,
        super_read_only: replica.super_read_only.map(|_| false),
        log_bin: true,
        purged: replica.purged.as_ref().map(|_| held.nothing()),
        logged: held.clone(),
        executed: held,
        binlog: Some(read),
        closed_binlogs: Vec::new(),
        channels: Vec::new(),
        replicas: Vec::new(),
        semi_sync: SemiSyncStatus::default(),
        uptime_seconds: 0,
        connections: 0,
        host_name: String::new(),
        data_dir: String::new(),
        relay_log_base: String::new(),
        epoch: None,
        ..replica
    };
    Some((facts, file))
}

#[cfg(test)]
mod tests {
    use primacy_plan::testing::{addr, cluster};

    use super::*;

    #[test]
    fn what_is_concluded_is_what_the_replica_says_that_has_read_furthest() {
        let world = cluster(["a", "b", "c"]).by_place().primary_killed();
        let mut world = world.read("b", 700, 700).read("c", 900, 900);
        world.server("a").facts = None;
        world.channel("c").source_server_id = 7;
        let (facts, file) = concluded(&world.snapshot, &addr("a")).unwrap();
        let read = world.channel("c").read.clone().unwrap();
        assert_eq!((facts.server_id, facts.binlog, file), (7, Some(read.clone()), read.file));
        assert!(facts.channels.is_empty() && facts.data_dir.is_empty());
        assert!(concluded(&world.snapshot, &addr("b")).is_none(), "nobody reads from it");
    }
}
