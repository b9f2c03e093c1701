//! What MHA checks before it watches, in its order: who is what, whether every replica may take the
//! primary's place and follows it, and what a failover would need on the hosts.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use primacy_api::{CheckReport, Service};
use primacy_manager::Standalone;
use primacy_plan::Severity;
use primacy_types::{
    Address, ChannelStatus, ClusterSnapshot, GtidMode, Promotion, ReceiverState, ServerFacts,
};

use crate::application::Application;
use crate::binlog_filters::differences;
use crate::log::Log;
use crate::never_seen::introduce;
use crate::roles::Roles;

/// What MHA refuses to start with, though a failover can be done without.
const REFUSED: [&str; 2] = ["failover-script-fails", "shutdown-script-fails"];

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Servers with `ignore_fail` may be dead or broken.
    pub ignore_fail: bool,
    /// Whether hosts are reached over ssh.
    pub ssh: bool,
    /// Whether replication is healthy, and the lag in seconds that is not.
    pub health: Option<u64>,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Who is what.
    pub roles: Roles,
    /// The servers as they were seen.
    pub snapshot: ClusterSnapshot,
}

/// Looks at an application and writes what it finds to the log, as MHA's manager does at its start.
/// `None` if something stands against watching it; the log says what.
pub async fn preflight(
    application: &Application,
    engine: &Standalone,
    depth: Depth,
    log: &Log,
) -> Option<Found> {
    for notice in &application.notices {
        log.warning(notice);
    }
    let (snapshot, half_done) = match engine.explain(&application.cluster).await {
        Ok(explanation) => (explanation.snapshot, explanation.operation),
        Err(error) => {
            log.error(error.to_string());
            return None;
        }
    };
    let multi_tier = application.mha.defaults.flag("multi_tier_slave");
    let roles = Roles::of(&snapshot, &application.servers(), multi_tier);
    if let Some(half_done) = half_done {
        let (kind, id) = (half_done.kind, half_done.id);
        log.error(format!("a {kind} ({id}) was left half done: a manager goes on with it"));
        // Whoever only asks has the answer.
        let roles = roles.unwrap_or_default();
        return depth.health.is_none().then_some(Found { roles, snapshot });
    }
    let roles = match roles {
        Ok(roles) => roles,
        Err(why) => {
            log.error(why);
            return None;
        }
    };
    let check = Check { application, snapshot: &snapshot, roles: &roles, log, depth };
    check.lists();
    check.slaves();
    let mut fine = check.filters().await;
    fine &= check.candidates();
    check.account();
    if let Some(master) = roles.master.as_ref().filter(|_| roles.master_is_alive()) {
        if let Err(error) = engine.know_primary(&application.cluster, master).await {
            log.error(error.to_string());
            return None;
        }
        // A manager makes them read-only on sight, and a switch does too.
        let open = check.open_replicas();
        match engine.check_if_closed(&application.cluster, &open).await {
            Ok(report) => fine &= check.engine(&report),
            Err(error) => {
                log.error(error.to_string());
                fine = false;
            }
        }
    }
    if let Some(master) = roles.master.as_ref().filter(|_| !roles.master_is_alive())
        && depth.health.is_none()
    {
        introduce(application, engine, &snapshot, master, log).await;
    }
    if depth.ssh {
        fine &= check.logins().await;
    }
    fine &= check.dead();
    log.info(check.tree());
    if let Some(limit) = depth.health {
        fine &= check.health(limit);
    }
    check.scripts();
    fine.then_some(Found { roles, snapshot })
}

struct Check<'a> {
    application: &'a Application,
    snapshot: &'a ClusterSnapshot,
    roles: &'a Roles,
    log: &'a Log,
    depth: Depth,
}

impl Check<'_> {
    fn facts(&self, server: &Address) -> Option<&ServerFacts> {
        self.snapshot.live(server)
    }

    fn channel(&self, server: &Address) -> Option<&ChannelStatus> {
        self.facts(server)?.channel(&self.snapshot.policy.channel)
    }

    /// May it be dead or broken?
    fn is_ignored(&self, server: &Address) -> bool {
        self.depth.ignore_fail
            && self.application.block(server).is_some_and(|block| block.flag("ignore_fail"))
    }

    fn lists(&self) {
        let roles = self.roles;
        for (title, servers) in [
            ("Dead Servers:", &roles.dead),
            ("Alive Servers:", &roles.alive),
            ("Alive Slaves:", &roles.slaves),
            ("Failed Slaves:", &roles.failed),
            ("Unmanaged Servers:", &roles.unmanaged),
        ] {
            if servers.is_empty() && title != "Dead Servers:" {
                continue;
            }
            self.log.info(title);
            for server in servers {
                let name = self.application.shown(server);
                let more = match (title, self.facts(server)) {
                    ("Alive Slaves:", Some(facts)) => format!("  Version={}", facts.version),
                    _ => String::new(),
                };
                self.log.info(format!("  {name}{more}"));
            }
        }
        if let Some(master) = &roles.master {
            let word = if roles.master_is_alive() { "Alive" } else { "Dead" };
            let name = self.application.shown(master);
            self.log.info(format!("Current {word} Master: {name}"));
        }
    }

    /// How replicas are set.
    fn slaves(&self) {
        self.log.info("Checking slave configurations..");
        for server in &self.roles.slaves {
            let Some(facts) = self.facts(server) else { continue };
            let name = self.application.shown(server);
            if facts.writable() {
                self.log.warning(format!(
                    " read_only=1 is not set on slave {name}: a manager makes it read-only."
                ));
            }
            if !facts.log_bin {
                self.log.warning(format!(
                    " log-bin is not set on slave {name}: it cannot be a master."
                ));
            }
        }
    }

    /// Replicas that accept writes.
    fn open_replicas(&self) -> Vec<Address> {
        let replicas = self.roles.slaves.iter().chain(&self.roles.unmanaged);
        let open = |server: &&Address| self.facts(server).is_some_and(ServerFacts::writable);
        replicas.filter(open).cloned().collect()
    }

    async fn filters(&self) -> bool {
        if !self.snapshot.policy.check_filters {
            return true;
        }
        self.log.info("Checking replication filtering settings..");
        let of = |server| self.channel(server).map(|channel| &channel.filters);
        let all: BTreeSet<_> = self.roles.slaves.iter().filter_map(of).collect();
        if all.len() > 1 {
            self.log.error("Replication filters are not the same on all slaves:");
            for server in &self.roles.slaves {
                let filters: Vec<&str> = of(server).into_iter().flatten().map(|f| &**f).collect();
                let name = self.application.shown(server);
                self.log.error(format!("  {name}: {}", filters.join(", ")));
            }
            return false;
        }
        let roles = self.roles;
        let logging: Vec<Address> = roles
            .master
            .iter()
            .chain(&roles.slaves)
            .filter(|s| roles.alive.contains(s))
            .cloned()
            .collect();
        let differences = differences(self.application, self.snapshot, &logging).await;
        for difference in &differences {
            self.log.error(difference);
        }
        if !differences.is_empty() {
            return false;
        }
        self.log.info(" Replication filtering check ok.");
        true
    }

    fn candidates(&self) -> bool {
        let can = |server: &&Address| {
            self.facts(server).is_some_and(|facts| facts.log_bin)
                && self.snapshot.policy.server(server).promotion != Promotion::Never
        };
        if self.roles.slaves.iter().any(|server| can(&server)) {
            return true;
        }
        self.log.error("None of the slaves can be a master: no_master, or no binary log");
        false
    }

    /// With which account replicas log in, and will.
    fn account(&self) {
        let users: BTreeSet<&str> = self
            .roles
            .slaves
            .iter()
            .filter_map(|server| Some(&*self.channel(server)?.user))
            .collect();
        if let Some(cluster) = self.application.native()
            && !users.is_empty()
            && !users.contains(&*cluster.accounts.replication.user)
        {
            let users: Vec<&str> = users.into_iter().collect();
            self.log.warning(format!(
                "slaves log in as {}; after a failover they will as {}",
                users.join(", "),
                cluster.accounts.replication.user
            ));
        }
    }

    /// What the engine itself has to say: what would make it refuse is one thing, the rest another.
    fn engine(&self, report: &CheckReport) -> bool {
        let mut fine = true;
        for finding in &report.findings {
            let about = finding.server.as_ref();
            let at = about.map(|s| format!("{}: ", self.application.shown(s))).unwrap_or_default();
            let text = format!("{at}{} ({}; {})", finding.sentence, finding.code, finding.mend);
            let stops = finding.severity == Severity::Blocks || REFUSED.contains(&&*finding.code);
            if stops && !about.is_some_and(|server| self.is_ignored(server)) {
                fine = false;
                self.log.error(text);
            } else if finding.severity == Severity::Advice {
                self.log.info(text);
            } else {
                self.log.warning(text);
            }
        }
        for missing in &report.incomplete {
            let name = self.application.shown(&missing.server);
            self.log.warning(format!("{name}: {}", missing.sentence));
        }
        fine
    }

    /// What a failover needs: from here to each host. Without GTIDs there is no other way to level the
    /// replicas of a dead primary.
    async fn logins(&self) -> bool {
        let skipped = |server: &Address| {
            self.application.block(server).is_some_and(|block| block.flag("skip_init_ssh_check"))
        };
        let tested: Vec<Address> =
            self.roles.alive.iter().filter(|server| !skipped(server)).cloned().collect();
        let by_place = tested
            .iter()
            .any(|server| self.facts(server).is_some_and(|facts| facts.gtid_mode == GtidMode::Off));
        self.log.info("Checking SSH connections to the hosts..");
        let mut failed = false;
        for login in self.application.logins(&tested, false).await {
            let Some(why) = login.failure else { continue };
            failed = true;
            let name = self.application.ssh_name(&login.to);
            let text = format!("SSH connection to {name} failed: {why}");
            if by_place { self.log.error(text) } else { self.log.warning(text) }
        }
        match (failed, by_place) {
            (false, _) => self.log.info(" SSH connections ok."),
            (true, false) => self.log.warning(
                "Without ssh nothing can be rescued from the disk of a dead master, and it cannot be \
                 kept down.",
            ),
            (true, true) => self.log.error(
                "Without GTIDs a failover needs ssh to the hosts; --skip_check_ssh leaves this check \
                 out.",
            ),
        }
        !(failed && by_place)
    }

    fn dead(&self) -> bool {
        let mut fine = true;
        let replicas = |server: &&Address| self.roles.master.as_ref() != Some(server);
        for server in self.roles.dead.iter().filter(replicas) {
            let name = self.application.shown(server);
            if self.is_ignored(server) {
                self.log.warning(format!("{name} is dead; ignore_fail is set."));
            } else {
                fine = false;
                self.log.error(format!("Server {name} is dead, but must be alive! Check it."));
            }
        }
        for server in &self.roles.failed {
            let name = self.application.shown(server);
            let error = self.channel(server).and_then(|channel| channel.applier_error.as_ref());
            let error = error.map(|error| error.message.as_str()).unwrap_or_default();
            if self.is_ignored(server) {
                self.log
                    .warning(format!("{name} does not replicate: {error}; ignore_fail is set."));
            } else {
                fine = false;
                self.log.error(format!("Slave {name} does not replicate: {error}"));
            }
        }
        fine
    }

    /// The primary with its replicas below it.
    fn tree(&self) -> String {
        let mut tree = String::from("\n");
        let Some(master) = &self.roles.master else { return tree };
        let state = if self.roles.master_is_alive() { "current master" } else { "dead master" };
        let label = |server: &Address| {
            let block = self.application.block(server);
            let label = block.and_then(|block| block.filled("node_label"));
            label.map(|label| format!(" ({label})")).unwrap_or_default()
        };
        let name = self.application.shown(master);
        let _never = writeln!(tree, "{name} ({state}){}", label(master));
        for server in &self.roles.slaves {
            let name = self.application.shown(server);
            let _never = writeln!(tree, " +--{name}{}", label(server));
            for below in &self.roles.unmanaged {
                let source = primacy_plan::managed_source(self.snapshot, below);
                if source.as_ref() == Some(server) {
                    let name = self.application.shown(below);
                    let _never = writeln!(tree, "     +--{name} (unmanaged){}", label(below));
                }
            }
        }
        tree
    }

    fn health(&self, limit: u64) -> bool {
        let mut fine = true;
        if !self.roles.master_is_alive() {
            fine = false;
            self.log.error("The master is dead.");
        }
        for server in &self.roles.slaves {
            let name = self.application.shown(server);
            self.log.info(format!("Checking replication health on {name}.."));
            let trouble = self.channel(server).and_then(|channel| unhealthy(channel, limit));
            match trouble {
                None => self.log.info(" ok."),
                Some(why) if self.is_ignored(server) => {
                    self.log.warning(format!(" {why}; ignore_fail is set"));
                }
                Some(why) => {
                    fine = false;
                    self.log.error(format!(" {name}: {why}"));
                }
            }
        }
        fine
    }

    fn scripts(&self) {
        for (key, without) in [
            ("master_ip_failover_script", "no address follows the master"),
            ("shutdown_script", "a dead master is not powered off"),
            ("secondary_check_script", "no other host is asked whether it reaches the master"),
        ] {
            if self.application.mha.defaults.filled(key).is_none() {
                self.log.warning(format!("{key} is not defined: {without}."));
            }
        }
    }
}

/// Why a replica is not healthy.
fn unhealthy(channel: &ChannelStatus, limit: u64) -> Option<String> {
    // MHA takes 0 for 1.
    let limit = limit.max(1);
    if channel.receiver != ReceiverState::Running {
        let error = channel.receiver_error.as_ref().map(|e| format!(": {}", e.message));
        return Some(format!("its IO thread is not running{}", error.unwrap_or_default()));
    }
    if !channel.applier_running {
        let error = channel.applier_error.as_ref().map(|e| format!(": {}", e.message));
        return Some(format!("its SQL thread is not running{}", error.unwrap_or_default()));
    }
    match channel.lag_seconds {
        None => Some("its lag is unknown".to_owned()),
        Some(lag) if lag > limit => {
            Some(format!("it is {lag} seconds behind the master, and {limit} are allowed"))
        }
        Some(_) => None,
    }
}
