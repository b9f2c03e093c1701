//! Builds what a cluster needs from its configuration.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use primacy_agent_api::{AgentClient, Credentials, DEFAULT_PORT};
use primacy_config::{ClusterConfig, TlsConfig};
use primacy_dcs::{ClusterLock, Holder, LeaseGranter, LocalLeases};
use primacy_exec::{
    Chronicle, Clock, Cluster, Hosts, Links, LocalRouter, ReplicationAccount, ScriptContext,
    ScriptLines, Scripts, ShutdownScript,
};
use primacy_store::Store;
use primacy_types::{Address, Epoch, HostAccessKind, Millis, Moment};
use primacy_wire::{ConnectOptions, TlsMode};
use secrecy::{ExposeSecret, SecretString};

use crate::hooks;
use crate::leases::AgentLeases;
use crate::load::secret;
use crate::observatory::{Observatory, Record};
use crate::rebuild::unjoined;
use crate::{Admission, ManagerError};

/// Whether the cluster's lock is wanted: a command that only looks does not take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Locking {
    Take,
    /// Not wanted; what is needed to know that a primary is dead is done all the same.
    Watch,
    Leave,
}

/// A cluster that is watched and can be acted on.
pub(crate) struct Watched {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) observatory: Arc<Observatory>,
    /// The leases that its agents hold, if they are in force.
    pub(crate) leases: Option<Arc<AgentLeases>>,
    /// The programs that hooks need.
    pub(crate) hook_programs: Vec<hooks::Needed>,
    /// The agents of the servers that have one, and what is shown to them.
    pub(crate) agents: BTreeMap<Address, Arc<AgentClient>>,
    pub(crate) credentials: Option<Arc<Credentials>>,
    /// Who is asked before a failover, if somebody is.
    pub(crate) admission: Option<Arc<dyn Admission>>,
    /// Virtual addresses follow the primary.
    pub(crate) wants_addresses: bool,
    host_tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.host_tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// What all clusters of a process share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) chronicle: Chronicle,
    pub(crate) holder: Holder,
    /// The file of the configuration.
    pub(crate) config_file: Arc<Path>,
    /// What agents are shown; `None` if none are asked.
    pub(crate) credentials: Option<Arc<Credentials>>,
    /// Who is asked before a failover, if somebody is.
    pub(crate) admission: Option<Arc<dyn Admission>>,
}

/// The passwords of a cluster's accounts, and its webhooks with the secrets that they sign with:
/// everything that is read from elsewhere, before anything is changed.
#[derive(Clone)]
pub(crate) struct Secrets {
    manager: SecretString,
    replication: SecretString,
    webhooks: Vec<hooks::Told>,
}

impl Secrets {
    /// Reads them where the configuration says. Who only looks tells no webhook.
    pub(crate) async fn read(
        config: &ClusterConfig,
        locking: Locking,
    ) -> Result<Self, ManagerError> {
        let webhooks = match locking {
            Locking::Take => hooks::webhooks(config).await?,
            Locking::Watch | Locking::Leave => Vec::new(),
        };
        let manager = secret(&config.accounts.manager)?;
        Ok(Self { manager, replication: secret(&config.accounts.replication)?, webhooks })
    }
}

impl PartialEq for Secrets {
    fn eq(&self, other: &Self) -> bool {
        self.manager.expose_secret() == other.manager.expose_secret()
            && self.replication.expose_secret() == other.replication.expose_secret()
            && self.webhooks == other.webhooks
    }
}

/// Starts to watch a cluster.
pub(crate) fn watch(
    config: &ClusterConfig,
    secrets: &Secrets,
    shared: &Shared,
    locking: Locking,
) -> Result<Watched, ManagerError> {
    let name = config.name.to_string();
    let policy = Arc::new(config.policy.clone());
    let template = ConnectOptions {
        address: Address::new("", 0),
        user: config.accounts.manager.user.clone(),
        password: secrets.manager.clone(),
        tls: tls_mode(&config.tls),
        connect_timeout: policy.timing.connect_timeout.as_duration(),
        database: None,
        program: "primacy".to_owned(),
        unix_socket: None,
    };
    let replication = ReplicationAccount {
        user: config.accounts.replication.user.clone(),
        password: secrets.replication.clone(),
        tls: config.tls != TlsConfig::Off,
    };
    let links = Arc::new(Links::new(template));
    let scripts = scripts(config, secrets, shared);
    let hooks = match locking {
        Locking::Take => hooks::start(config, &secrets.webhooks, scripts.clone(), shared)?,
        Locking::Watch | Locking::Leave => hooks::none(config, shared),
    };
    let observatory = Observatory::start(
        &name,
        &config.servers,
        Arc::clone(&policy),
        &links,
        shared.clock,
        shared.store.clone(),
    );
    let shutdown = shutdown_script(config)?;
    if shutdown.is_some() {
        observatory.set_scripted();
    }
    let record = record(&name, shared)?;
    observatory.set_record(|r| *r = record);
    let locked = match locking {
        Locking::Take => config.servers.iter().map(|s| links.options(s)).collect(),
        Locking::Watch | Locking::Leave => Vec::new(),
    };
    let lock = ClusterLock::start(&name, &shared.holder, locked, Duration::from_secs(1));
    let copies = crate::hosts::copies(&config.binlog_copies, &config.ssh);
    let hosts = Arc::new(Hosts::with_copies(copies));
    let lock = Arc::new(lock);
    let agents = agents(config, shared);
    let mut host_tasks =
        crate::hosts::start(&config.servers, &config.ssh, &agents, &observatory, &hosts);
    let by_agents = AgentLeases::new(
        &name,
        &policy,
        &agents,
        (&config.servers, &config.vips, &config.reader_vips),
        shared.store.clone(),
        shared.clock,
    )?;
    let leases: Arc<dyn LeaseGranter> = match &by_agents {
        Some(leases) => {
            if locking == Locking::Take {
                host_tasks.push(leases.start(&observatory, &lock));
            }
            Arc::clone(leases) as _
        }
        None => Arc::new(LocalLeases::new(policy.timing.lease)),
    };
    let cluster = Cluster {
        name,
        policy,
        links,
        manager_user: config.accounts.manager.user.clone(),
        replication,
        hosts,
        router: Arc::new(LocalRouter::default()),
        leases,
        lock,
        store: shared.store.clone(),
        chronicle: shared.chronicle.clone(),
        hooks: Arc::new(hooks),
        eyes: Arc::clone(&observatory) as _,
        clock: shared.clock,
        shutdown,
        scripts,
    };
    let cluster = Arc::new(cluster);
    if locking == Locking::Take && cluster.policy.write_limit().is_some() {
        host_tasks.push(crate::write_probe::start(&cluster, &observatory));
    }
    if locking == Locking::Take && cluster.policy.scripts.failover {
        host_tasks.push(crate::address_script::start(&cluster, &observatory));
    }
    if locking == Locking::Watch {
        // No operation is ever under way here.
        observatory.set_quiet(true);
    }
    if locking != Locking::Leave && cluster.policy.scripts.secondary_check {
        host_tasks.push(crate::secondary::start(&cluster, &observatory));
    }
    let hook_programs = hooks::programs(config);
    Ok(Watched {
        cluster,
        observatory,
        leases: by_agents,
        hook_programs,
        credentials: shared.credentials.clone().filter(|_| !agents.is_empty()),
        agents,
        admission: shared.admission.clone(),
        wants_addresses: !config.vips.is_empty(),
        host_tasks,
    })
}

/// The last rung of the fencing ladder.
fn shutdown_script(config: &ClusterConfig) -> Result<Option<ShutdownScript>, ManagerError> {
    let Some(program) = &config.shutdown_script else { return Ok(None) };
    let limit = config.shutdown_timeout.as_duration();
    let script = ShutdownScript::new(&program.path, &program.arguments, limit, config.ssh.clone())?;
    Ok(Some(script))
}

/// Scripts that are called as MHA calls them.
fn scripts(config: &ClusterConfig, secrets: &Secrets, shared: &Shared) -> Scripts {
    let lines = &config.scripts;
    let lines = ScriptLines {
        failover: lines.failover.clone(),
        switchover: lines.switchover.clone(),
        report: lines.report.clone(),
        secondary_check: lines.secondary_check.clone(),
        limit: lines.timeout,
    };
    let context = ScriptContext {
        ssh: config.ssh.clone(),
        user: config.accounts.manager.user.clone(),
        password: secrets.manager.clone(),
        config: shared.config_file.to_path_buf(),
    };
    Scripts::new(lines, context)
}

/// The agents of the servers that have one.
fn agents(config: &ClusterConfig, shared: &Shared) -> BTreeMap<Address, Arc<AgentClient>> {
    let Some(credentials) = &shared.credentials else { return BTreeMap::new() };
    let asked = config.servers.iter().filter_map(|server| {
        let policy = config.policy.server(server);
        if policy.host_access != HostAccessKind::Agent {
            return None;
        }
        let agent = policy.agent.unwrap_or_else(|| Address::new(server.host(), DEFAULT_PORT));
        Some((server.clone(), Arc::new(AgentClient::new(agent, Arc::clone(credentials)))))
    });
    asked.collect()
}

/// What the store has of the cluster.
fn record(name: &str, shared: &Shared) -> Result<Record, ManagerError> {
    let rebuilt = unjoined(&shared.store, name)?;
    let Some(stored) = shared.store.cluster(name)? else {
        return Ok(Record { epoch: Epoch(0), rebuilt, ..Record::default() });
    };
    let ago = |at: primacy_types::WallClock| Millis(shared.clock.wall().0.saturating_sub(at.0));
    let block = Millis::from_secs(24 * 3600);
    Ok(Record {
        primary: stored.primary,
        epoch: stored.epoch,
        paused: stored.paused,
        paused_reason: stored.paused_reason,
        absent: primacy_exec::absences(&shared.store, name)?,
        last_failover: stored
            .last_failover
            .map(ago)
            .filter(|ago| *ago < block)
            .map(|ago| Moment(shared.clock.now().0.saturating_sub(ago.0))),
        rebuilt,
    })
}

/// How connections are protected, in the words of those who connect.
pub fn tls_mode(tls: &TlsConfig) -> TlsMode {
    match tls {
        TlsConfig::Off => TlsMode::Off,
        TlsConfig::Required => TlsMode::Required,
        TlsConfig::VerifyCa { ca_file } => TlsMode::VerifyCa { ca_file: ca_file.clone() },
        TlsConfig::Full { ca_file } => TlsMode::Full { ca_file: Some(ca_file.clone()) },
        TlsConfig::Pinned { fingerprint } => TlsMode::Pinned { sha256: fingerprint.0 },
    }
}
