//! Between the keys of a section and the types that they build, both directions side by side.

use std::path::PathBuf;

use primacy_types::{
    Address, HostAccessKind, Millis, OnCleanShutdown, Policy, ReaderPolicy, RefuseOrProceed,
    Scripts, SemiSyncPolicy, ServerPolicy, SshSettings, SshTarget, SshUser, Timing, WithoutAcker,
    check_ssh_host,
};

use crate::error::Problems;
use crate::model::{
    Account, AgentConfig, AgentServer, BinlogCopyConfig, CertificateFiles, ClusterConfig,
    ClusterName, ManagerConfig, ProgramConfig, ScriptsConfig, SecretSource, TlsConfig,
};
use crate::schema::Section;
use crate::tree::{Found, Table, Tree};
use crate::value::Value;
use crate::words::{TlsMode, Words};

/// A section as one cluster sees it: its own table, then the defaults, then the presets.
pub(crate) struct Lookup<'t> {
    pub(crate) section: &'static Section,
    pub(crate) own: Option<&'t Table>,
    pub(crate) defaults: Option<&'t Table>,
}

/// The keys of a section with their values; `None`: not set.
pub(crate) type Fields = Vec<(&'static str, Option<Value>)>;

impl<'t> Lookup<'t> {
    /// Where the key is written, if it is, and whether among the defaults.
    pub(crate) fn found(&self, name: &str) -> Option<(&'t Found, bool)> {
        let own = self.own.and_then(|table| table.values.get(name)).map(|found| (found, false));
        let shared = || self.defaults.and_then(|table| table.values.get(name));
        own.or_else(|| shared().map(|found| (found, true)))
    }

    /// The value that holds; the preset also where a refused one stands.
    pub(crate) fn value(&self, name: &str) -> Option<Value> {
        let written = self.found(name).and_then(|(found, _)| found.value.clone());
        written.or_else(|| self.section.key(name).and_then(Value::preset))
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match self.value(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        match self.value(name) {
            Some(Value::Path(path)) => Some(path),
            _ => None,
        }
    }

    pub(crate) fn word<T: Words>(&self, name: &str) -> Option<T> {
        match self.value(name) {
            Some(Value::Word(word)) => T::from_word(word),
            _ => None,
        }
    }

    pub(crate) fn address(&self, name: &str) -> Option<Address> {
        match self.value(name) {
            Some(Value::Address(address)) => Some(address),
            _ => None,
        }
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.value(name), Some(Value::Bool(true)))
    }

    /// Every number has a preset and a range that fits its type; tests hold the catalogue to it.
    pub(crate) fn number<T: TryFrom<u64> + Default>(&self, name: &str) -> T {
        match self.value(name) {
            Some(Value::Integer(number)) => T::try_from(number).unwrap_or_default(),
            _ => T::default(),
        }
    }

    pub(crate) fn duration(&self, name: &str) -> Millis {
        match self.value(name) {
            Some(Value::Duration(length)) => length,
            _ => Millis::ZERO,
        }
    }
}

pub(crate) fn text(text: &str) -> Option<Value> {
    Some(Value::Text(text.to_owned()))
}

pub(crate) fn word(word: impl Words) -> Option<Value> {
    Some(Value::Word(word.word()))
}

pub(crate) fn read_manager(at: &Lookup<'_>) -> ManagerConfig {
    ManagerConfig {
        name: at.text("name"),
        state_dir: at.path("state_dir").unwrap_or_default(),
        socket: at.path("socket"),
        max_failovers_at_once: at.number("max_failovers_at_once"),
        health: at.address("health"),
        certificates: None,
    }
}

pub(crate) fn manager_fields(manager: &ManagerConfig) -> Fields {
    let shown = |file: fn(&CertificateFiles) -> &PathBuf| {
        manager.certificates.as_ref().map(|files| Value::Path(file(files).clone()))
    };
    vec![
        ("name", manager.name.as_deref().and_then(text)),
        ("state_dir", Some(Value::Path(manager.state_dir.clone()))),
        ("socket", manager.socket.clone().map(Value::Path)),
        ("health", manager.health.clone().map(Value::Address)),
        ("max_failovers_at_once", Some(Value::Integer(manager.max_failovers_at_once.into()))),
        ("certificate", shown(|files| &files.certificate)),
        ("key", shown(|files| &files.key)),
        ("authority", shown(|files| &files.authority)),
    ]
}

pub(crate) fn read_agent(at: &Lookup<'_>) -> (Option<Address>, CertificateFiles, PathBuf, Millis) {
    let listen = match at.value("listen") {
        Some(Value::Address(listen)) => Some(listen),
        _ => None,
    };
    let file = |name| at.path(name).unwrap_or_default();
    let files = CertificateFiles {
        certificate: file("certificate"),
        key: file("key"),
        authority: file("authority"),
    };
    (listen, files, file("state_dir"), at.duration("lease"))
}

pub(crate) fn agent_fields(agent: &AgentConfig) -> Fields {
    let path = |path: &PathBuf| Some(Value::Path(path.clone()));
    vec![
        ("listen", Some(Value::Address(agent.listen.clone()))),
        ("certificate", path(&agent.certificates.certificate)),
        ("key", path(&agent.certificates.key)),
        ("authority", path(&agent.certificates.authority)),
        ("state_dir", path(&agent.state_dir)),
        ("lease", Some(Value::Duration(agent.lease))),
        ("health", agent.health.clone().map(Value::Address)),
    ]
}

pub(crate) fn agent_server_fields(server: &AgentServer) -> Fields {
    vec![
        ("address", Some(Value::Address(server.address.clone()))),
        ("connect", server.connect.clone().map(Value::Address)),
        ("socket", server.socket.clone().map(Value::Path)),
        ("start", call(&server.start)),
    ]
}

/// A program and its arguments; empty if none is written.
pub(crate) fn read_call(at: &Lookup<'_>, name: &str) -> Vec<String> {
    match at.value(name) {
        Some(Value::Call(words)) => words,
        _ => Vec::new(),
    }
}

fn call(words: &[String]) -> Option<Value> {
    (!words.is_empty()).then(|| Value::Call(words.to_vec()))
}

pub(crate) fn read_server(at: &Lookup<'_>, shared: HostAccessKind) -> ServerPolicy {
    let own_access = at.found("host_access").and_then(|_| at.word("host_access"));
    ServerPolicy {
        promotion: at.word("promotion").unwrap_or_default(),
        ignore_failure: at.flag("ignore_failure"),
        site: at.text("site"),
        delayed: at.flag("delayed"),
        host_access: own_access.unwrap_or(shared),
        agent: match at.value("agent") {
            Some(Value::Address(agent)) => Some(agent),
            _ => None,
        },
        start: read_call(at, "start"),
        ssh: SshTarget {
            host: at.text("ssh_host"),
            user: ssh_user(at),
            port: at.value("ssh_port").is_some().then(|| at.number("ssh_port")),
        },
    }
}

/// The copies of binary logs that a cluster has elsewhere, in the order of the file.
pub(crate) fn read_binlog_copies(
    tree: &Tree,
    cluster: &ClusterName,
    problems: &mut Problems<'_>,
) -> Option<Vec<BinlogCopyConfig>> {
    let section = Section::named("cluster.*.binlog_copy[]");
    let copies: Vec<_> = tree
        .list_of(cluster, "binlog_copy")
        .map(|table| {
            let at = Lookup { section, own: Some(table), defaults: None };
            for (name, example) in [("host", "host = \"backup\""), ("folder", "folder = \"/path\"")]
            {
                if at.found(name).is_none() {
                    let reason = format!("this copy of binary logs has no `{name}`");
                    problems.add(&table.span, reason, format!("write {example}"));
                }
            }
            if let (Some((found, _)), Some(host)) = (at.found("host"), at.text("host"))
                && let Err(error) = check_ssh_host(&host)
            {
                let help = "write the host alone; options go into `ssh_options` of the cluster";
                problems.add(&found.value_span, error.to_string(), help);
            }
            let ssh = SshTarget {
                host: Some(at.text("host")?),
                user: ssh_user(&at),
                port: at.value("ssh_port").is_some().then(|| at.number("ssh_port")),
            };
            Some(BinlogCopyConfig { folder: at.path("folder")?, ssh })
        })
        .collect();
    copies.into_iter().collect()
}

pub(crate) fn binlog_copy_fields(copy: &BinlogCopyConfig) -> Fields {
    vec![
        ("host", copy.ssh.host.as_deref().and_then(text)),
        ("folder", Some(Value::Path(copy.folder.clone()))),
        ("ssh_user", copy.ssh.user.clone().map(Value::SshUser)),
        ("ssh_port", copy.ssh.port.map(|port| Value::Integer(port.into()))),
    ]
}

fn ssh_user(at: &Lookup<'_>) -> Option<SshUser> {
    match at.value("ssh_user") {
        Some(Value::SshUser(user)) => Some(user),
        _ => None,
    }
}

pub(crate) fn server_fields(server: &ServerPolicy) -> Fields {
    vec![
        ("promotion", word(server.promotion)),
        ("ignore_failure", Some(Value::Bool(server.ignore_failure))),
        ("site", server.site.as_deref().and_then(text)),
        ("delayed", Some(Value::Bool(server.delayed))),
        ("host_access", word(server.host_access)),
        ("agent", server.agent.clone().map(Value::Address)),
        ("start", call(&server.start)),
        ("ssh_host", server.ssh.host.as_deref().and_then(text)),
        ("ssh_user", server.ssh.user.clone().map(Value::SshUser)),
        ("ssh_port", server.ssh.port.map(|port| Value::Integer(port.into()))),
    ]
}

pub(crate) fn read_ssh(at: &Lookup<'_>) -> SshSettings {
    SshSettings {
        host: None,
        command: at.text("ssh_command").unwrap_or_default(),
        user: ssh_user(at),
        port: at.value("ssh_port").is_some().then(|| at.number("ssh_port")),
        options: match at.value("ssh_options") {
            Some(Value::SshOptions(options)) => options,
            _ => Vec::new(),
        },
    }
}

pub(crate) fn read_shutdown_script(at: &Lookup<'_>) -> Option<ProgramConfig> {
    let Some(Value::Call(texts)) = at.value("shutdown_script") else { return None };
    let (path, arguments) = texts.split_first()?;
    Some(ProgramConfig { path: path.into(), arguments: arguments.to_vec() })
}

pub(crate) fn read_scripts(at: &Lookup<'_>) -> ScriptsConfig {
    ScriptsConfig {
        failover: at.text("failover_script"),
        switchover: at.text("switchover_script"),
        report: at.text("report_script"),
        secondary_check: at.text("secondary_check_script"),
        timeout: at.duration("script_timeout"),
    }
}

fn script_fields(scripts: &ScriptsConfig) -> Fields {
    let line = |line: &Option<String>| line.as_deref().and_then(text);
    vec![
        ("failover_script", line(&scripts.failover)),
        ("switchover_script", line(&scripts.switchover)),
        ("report_script", line(&scripts.report)),
        ("secondary_check_script", line(&scripts.secondary_check)),
        ("script_timeout", Some(Value::Duration(scripts.timeout))),
    ]
}

pub(crate) fn cluster_fields(cluster: &ClusterConfig) -> Fields {
    let ssh = &cluster.ssh;
    let options = Some(ssh.options.clone()).filter(|options| !options.is_empty());
    let vips = Some(cluster.vips.clone()).filter(|vips| !vips.is_empty());
    let shutdown = cluster.shutdown_script.as_ref();
    let readers = Some(cluster.reader_vips.clone()).filter(|vips| !vips.is_empty());
    let mut fields = vec![
        ("kind", word(cluster.kind)),
        ("host_access", word(cluster.host_access)),
        ("vip", vips.map(Value::VirtualAddresses)),
        ("reader_vip", readers.map(Value::VirtualAddresses)),
        ("ssh_user", ssh.user.clone().map(Value::SshUser)),
        ("ssh_port", ssh.port.map(|port| Value::Integer(port.into()))),
        ("ssh_options", options.map(Value::SshOptions)),
        ("ssh_command", text(&ssh.command)),
        ("shutdown_script", shutdown.map(|script| Value::Call(script.command_line()))),
        ("shutdown_timeout", Some(Value::Duration(cluster.shutdown_timeout))),
        ("purge_relay_logs_every", cluster.purge_relay_logs_every.map(Value::Duration)),
    ];
    fields.extend(script_fields(&cluster.scripts));
    fields
}

pub(crate) fn account_fields(account: &Account) -> Fields {
    let (name, source) = match &account.password {
        SecretSource::File(path) => ("password_file", Some(Value::Path(path.clone()))),
        SecretSource::Env(name) => ("password_env", text(name)),
        SecretSource::Credential(name) => ("password_credential", text(name)),
        // It is shown nowhere; a remark says where it stands.
        SecretSource::Given(_) => ("password_file", None),
    };
    vec![("user", text(&account.user)), (name, source)]
}

pub(crate) fn tls_fields(tls: &TlsConfig) -> Fields {
    let (mode, ca_file, fingerprint) = match tls {
        TlsConfig::Off => (TlsMode::Off, None, None),
        TlsConfig::Required => (TlsMode::Required, None, None),
        TlsConfig::VerifyCa { ca_file } => (TlsMode::VerifyCa, Some(ca_file), None),
        TlsConfig::Full { ca_file } => (TlsMode::Full, Some(ca_file), None),
        TlsConfig::Pinned { fingerprint } => (TlsMode::Pinned, None, Some(fingerprint)),
    };
    vec![
        ("mode", word(mode)),
        ("ca_file", ca_file.cloned().map(Value::Path)),
        ("fingerprint", fingerprint.copied().map(Value::Fingerprint)),
    ]
}

pub(crate) fn read_timing(at: &Lookup<'_>) -> Timing {
    Timing {
        ping_interval: at.duration("ping_interval"),
        ping_failures: at.number("ping_failures"),
        connect_timeout: at.duration("connect_timeout"),
        stall_limit: at.duration("stall_limit"),
        grace: at.duration("grace"),
        switchover_limit: at.duration("switchover_limit"),
        statement_limit: at.duration("statement_limit"),
        repoint_limit: at.duration("repoint_limit"),
        failover_block: at.duration("failover_block"),
        lease: at.duration("lease"),
    }
}

pub(crate) fn timing_fields(timing: &Timing) -> Fields {
    vec![
        ("ping_interval", Some(Value::Duration(timing.ping_interval))),
        ("ping_failures", Some(Value::Integer(timing.ping_failures.into()))),
        ("connect_timeout", Some(Value::Duration(timing.connect_timeout))),
        ("stall_limit", Some(Value::Duration(timing.stall_limit))),
        ("grace", Some(Value::Duration(timing.grace))),
        ("switchover_limit", Some(Value::Duration(timing.switchover_limit))),
        ("statement_limit", Some(Value::Duration(timing.statement_limit))),
        ("repoint_limit", Some(Value::Duration(timing.repoint_limit))),
        ("failover_block", Some(Value::Duration(timing.failover_block))),
        ("lease", Some(Value::Duration(timing.lease))),
    ]
}

/// Everything but the servers and which scripts there are, which the caller puts in.
pub(crate) fn read_policy(at: &Lookup<'_>, timing: Timing) -> Policy {
    let wait_count: u16 = at.number("semi_sync_wait_count");
    let semi_sync = (wait_count > 0).then(|| SemiSyncPolicy {
        wait_count,
        without_acker: at.word("semi_sync_without_acker").unwrap_or(WithoutAcker::Block),
    });
    let on_clean_shutdown = match at.value("on_clean_shutdown") {
        Some(Value::CleanShutdown(reaction)) => reaction,
        _ => OnCleanShutdown::Ignore,
    };
    let retry_seconds = at.duration("connect_retry").0 / 1000;
    Policy {
        leaves: primacy_types::Leaves::default(),
        order: Vec::new(),
        servers: std::collections::BTreeMap::new(),
        channel: at.text("channel").unwrap_or_default(),
        automatic_failover: at.flag("automatic_failover"),
        timing,
        semi_sync,
        unfenced: at.word("unfenced").unwrap_or(RefuseOrProceed::Refuse),
        on_clean_shutdown,
        on_possible_loss: at.word("on_possible_loss").unwrap_or_default(),
        allow_errant: at.flag("allow_errant"),
        write_probe: match at.value("write_probe") {
            Some(Value::OffOrDuration(limit)) => limit,
            _ => None,
        },
        ping_type: at.word("ping_type").unwrap_or_default(),
        prefer_latest: at.flag("prefer_latest"),
        check_lag: at.flag("check_lag"),
        check_filters: at.flag("check_filters"),
        broken_replicas: at.word("broken_replicas").unwrap_or_default(),
        multi_tier: at.flag("multi_tier"),
        keep_replication_settings: at.flag("keep_replication_settings"),
        scripts: Scripts::default(),
        rejoin: at.word("rejoin").unwrap_or_default(),
        on_errant: at.word("on_errant").unwrap_or_default(),
        stay_in_site: at.flag("stay_in_site"),
        epoch_table: at.flag("epoch_table"),
        heartbeat_period: at.duration("heartbeat_period"),
        connect_retry_seconds: u32::try_from(retry_seconds).unwrap_or(u32::MAX),
        readers: ReaderPolicy {
            on_primary: at.flag("reader_vip_on_primary"),
            max_lag: at.duration("reader_vip_max_lag"),
            lease: at.duration("reader_vip_lease"),
        },
    }
}

pub(crate) fn policy_fields(policy: &Policy) -> Fields {
    let connect_retry = Millis::from_secs(policy.connect_retry_seconds.into());
    let wait_count = policy.semi_sync.map_or(0, |s| s.wait_count);
    vec![
        ("automatic_failover", Some(Value::Bool(policy.automatic_failover))),
        ("unfenced", word(policy.unfenced)),
        ("on_clean_shutdown", Some(Value::CleanShutdown(policy.on_clean_shutdown))),
        ("write_probe", Some(Value::OffOrDuration(policy.write_probe))),
        ("ping_type", word(policy.ping_type)),
        ("on_possible_loss", word(policy.on_possible_loss)),
        ("allow_errant", Some(Value::Bool(policy.allow_errant))),
        ("prefer_latest", Some(Value::Bool(policy.prefer_latest))),
        ("check_lag", Some(Value::Bool(policy.check_lag))),
        ("check_filters", Some(Value::Bool(policy.check_filters))),
        ("broken_replicas", word(policy.broken_replicas)),
        ("multi_tier", Some(Value::Bool(policy.multi_tier))),
        ("keep_replication_settings", Some(Value::Bool(policy.keep_replication_settings))),
        ("rejoin", word(policy.rejoin)),
        ("on_errant", word(policy.on_errant)),
        ("stay_in_site", Some(Value::Bool(policy.stay_in_site))),
        ("epoch_table", Some(Value::Bool(policy.epoch_table))),
        ("heartbeat_period", Some(Value::Duration(policy.heartbeat_period))),
        ("connect_retry", Some(Value::Duration(connect_retry))),
        ("channel", text(&policy.channel)),
        ("semi_sync_wait_count", Some(Value::Integer(wait_count.into()))),
        ("semi_sync_without_acker", policy.semi_sync.and_then(|s| word(s.without_acker))),
        ("reader_vip_on_primary", Some(Value::Bool(policy.readers.on_primary))),
        ("reader_vip_max_lag", Some(Value::Duration(policy.readers.max_lag))),
        ("reader_vip_lease", Some(Value::Duration(policy.readers.lease))),
    ]
}
