//! What the options of `masterha_manager` ask for, and what they mean to the engine.

use std::time::Duration;

use primacy_types::{Address, Leaves, Millis, Promotion, ServerPolicy};

use crate::application::Application;
use crate::given::Given;
use crate::places::option;

/// Options that MHA has and that mean nothing here, and why.
const WITHOUT_EFFECT: [(&str, &str); 4] = [
    ("skip_save_master_binlog", "what can be had from the dead master's disk is always rescued"),
    ("wait_until_gtid_in_sync", "replicas catch up by themselves, and nobody waits for it"),
    ("ignore_binlog_server_error", "binlog servers are no condition of a failover"),
    ("ssh_reachable", "whether ssh works is found out"),
];

/// What a manager is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    /// Servers with `ignore_fail` may be dead at the start.
    pub(crate) ignore_fail: bool,
    /// Hosts are not tried over ssh at the start.
    pub(crate) skip_ssh: bool,
    /// Replication has to be healthy at the start, and the lag in seconds that is not.
    pub(crate) health: Option<u64>,
    /// How long it waits before it ends because it cannot watch.
    pub(crate) wait_on_monitor_error: Duration,
    /// How long it waits before it ends because a failover was refused or failed.
    pub(crate) wait_on_failover_error: Duration,
    /// For so long a failover locks out the next one.
    pub(crate) window: Duration,
    /// What became of the last failover does not matter.
    pub(crate) ignore_last: bool,
    /// The dead primary's block is removed when all went well.
    pub(crate) remove_conf: bool,
    /// It goes on after a failover.
    pub(crate) keep_running: bool,
    /// Nobody else may become the primary.
    pub(crate) new_master: Option<Address>,
    /// What the failover leaves for a person to do.
    pub(crate) leaves: Leaves,
    /// What has to be said of options.
    pub(crate) notices: Vec<String>,
}

impl Orders {
    pub(crate) fn of(given: &Given, application: &Application) -> Self {
        let number = |name: &str| given.number(name).and_then(|n| u64::try_from(n).ok());
        let seconds = |name: &str| Duration::from_secs(number(name).unwrap_or(0));
        let minutes = number("last_failover_minute").unwrap_or(480);
        let mut notices = Vec::new();
        for (name, why) in WITHOUT_EFFECT {
            if given.has(name) {
                notices.push(format!("--{name} has no effect: {why}"));
            }
        }
        let port = number("new_master_port").and_then(|port| u16::try_from(port).ok());
        let new_master = option(given, "new_master_host").map(|host| {
            let port = port.unwrap_or(3306);
            // It may be named as the file does, while the engine knows it by its address.
            let named = |server: &Address| application.host(server) == host;
            let known = application.servers();
            let known = known.into_iter().find(|server| server.port() == port && named(server));
            known.unwrap_or_else(|| Address::new(host, port))
        });
        Self {
            ignore_fail: given.is_on("ignore_fail_on_start"),
            skip_ssh: given.is_on("skip_check_ssh"),
            health: given
                .is_on("check_repl_health")
                .then(|| number("seconds_behind_master").unwrap_or(30)),
            wait_on_monitor_error: seconds("wait_on_monitor_error"),
            wait_on_failover_error: seconds("wait_on_failover_error"),
            window: Duration::from_secs(minutes.saturating_mul(60)),
            ignore_last: given.is_on("ignore_last_failover"),
            remove_conf: given.is_on("remove_dead_master_conf"),
            keep_running: given.is_on("keep_running"),
            new_master,
            leaves: leaves(given),
            notices,
        }
    }

    /// Makes a policy of them.
    pub(crate) fn apply(&self, application: &mut Application) {
        // The flag files decide; only a manager that goes on after a failover has to know itself.
        let block = match self.keep_running && !self.ignore_last {
            true => u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX),
            false => 0,
        };
        let servers = application.servers();
        application.leave(self.leaves);
        for cluster in application.config.clusters.values_mut() {
            cluster.policy.timing.failover_block = Millis(block);
            let Some(new_master) = &self.new_master else { continue };
            for server in servers.iter().filter(|server| *server != new_master) {
                let known = cluster.policy.server(server);
                let never = ServerPolicy { promotion: Promotion::Never, ..known };
                cluster.policy.servers.insert(server.clone(), never);
            }
        }
    }
}

/// What a failover is to leave for a person to do: `--skip_change_master`, `--skip_disable_read_only`.
pub(crate) fn leaves(given: &Given) -> Leaves {
    Leaves {
        replicas: given.is_on("skip_change_master"),
        closed: given.is_on("skip_disable_read_only"),
    }
}
