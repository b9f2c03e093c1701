//! From the tables of a file to a [`Config`], and what must hold between keys: servers listed
//! once, accounts complete, a policy that the number of servers can keep.

use std::collections::BTreeMap;
use std::ops::Range;

use primacy_types::{Address, HostAccessKind, Policy, Promotion, ServerPolicy};

use crate::error::Problems;
use crate::fields::{
    Lookup, read_binlog_copies, read_manager, read_policy, read_scripts, read_server,
    read_shutdown_script, read_ssh, read_timing,
};
use crate::model::{Accounts, ClusterConfig, ClusterKind, ClusterName, Config};
use crate::schema::Section;
use crate::security::{Owner, read_account, read_tls};
use crate::tree::{Table, Tree};
use crate::value::Value;

/// A server and where it is listed.
struct Listed {
    address: Address,
    policy: ServerPolicy,
    span: Range<usize>,
}

/// Gives a configuration unless something is missing; wrong combinations are only noted.
pub(crate) fn assemble(tree: &Tree, problems: &mut Problems<'_>) -> Option<Config> {
    let manager = read_manager(&Lookup {
        section: Section::named("manager"),
        own: tree.tables.get("manager"),
        defaults: None,
    });
    let mut manager = manager;
    manager.certificates = crate::agent::certificates_of_the_manager(tree, problems);
    let mut clusters = Vec::new();
    let mut everywhere = Vec::new();
    for (name, span) in &tree.clusters {
        let reader = ClusterReader { tree, name, span };
        let servers = reader.servers(problems);
        everywhere.extend(servers.iter().map(|s| (s.span.clone(), s.address.clone(), name)));
        clusters.push(reader.cluster(servers, problems));
    }
    servers_of_two_clusters(everywhere, problems);
    let clusters = clusters.into_iter().map(|c| c.map(|c| (c.name.clone(), c)));
    let agent = match tree.tables.contains_key("agent") {
        true => Some(crate::agent::read(tree, problems)?),
        false => None,
    };
    Some(Config { manager, clusters: clusters.collect::<Option<_>>()?, agent, notices: Vec::new() })
}

fn servers_of_two_clusters(
    mut everywhere: Vec<(Range<usize>, Address, &ClusterName)>,
    problems: &mut Problems<'_>,
) {
    everywhere.sort_by_key(|(span, ..)| span.start);
    let mut seen: BTreeMap<Address, (usize, &ClusterName)> = BTreeMap::new();
    for (span, address, cluster) in everywhere {
        match seen.get(&address) {
            Some((at, other)) if *other != cluster => {
                let reason = format!(
                    "server {address} already belongs to the cluster `{other}` ({})",
                    problems.source.place(*at)
                );
                problems.add(&span, reason, "a server belongs to one cluster: remove it from one");
            }
            Some(_) => {}
            None => {
                seen.insert(address, (span.start, cluster));
            }
        }
    }
}

/// One cluster while it is read.
struct ClusterReader<'t> {
    tree: &'t Tree,
    name: &'t ClusterName,
    span: &'t Range<usize>,
}

impl<'t> ClusterReader<'t> {
    fn own(&self) -> Option<&'t Table> {
        self.tree.tables.get(&format!("cluster.{}", self.name))
    }

    /// A section below the cluster, with its defaults.
    fn section(&self, below: &str) -> Lookup<'t> {
        let section = Section::named(below);
        let rest = below.trim_start_matches("cluster.*.");
        let own = self.tree.tables.get(&format!("cluster.{}.{rest}", self.name));
        let defaults = section.defaults.and_then(|path| self.tree.tables.get(path));
        Lookup { section, own, defaults }
    }

    /// What holds for servers that do not say.
    fn host_access(&self) -> HostAccessKind {
        let section = Section::named("cluster.*");
        Lookup { section, own: self.own(), defaults: None }.word("host_access").unwrap_or_default()
    }

    /// The servers of both forms in the order of the file, each once.
    fn servers(&self, problems: &mut Problems<'_>) -> Vec<Listed> {
        let mut listed = Vec::new();
        let mut complete = true;
        if let Some(short) = self.own().and_then(|t| t.values.get("servers")) {
            match &short.value {
                Some(Value::Addresses(addresses)) => {
                    listed.extend(addresses.iter().map(|(address, span)| Listed {
                        address: address.clone(),
                        policy: ServerPolicy {
                            host_access: self.host_access(),
                            ..ServerPolicy::default()
                        },
                        span: span.clone(),
                    }));
                }
                _ => complete = false,
            }
        }
        let section = Section::named("cluster.*.server[]");
        for table in self.tree.list_of(self.name, "server") {
            let at = Lookup { section, own: Some(table), defaults: None };
            match (at.found("address"), at.value("address")) {
                (Some((found, _)), Some(Value::Address(address))) => {
                    let policy = read_server(&at, self.host_access());
                    let span = found.value_span.clone();
                    listed.push(Listed { address, policy, span });
                }
                (None, _) => {
                    complete = false;
                    problems.add(
                        &table.span,
                        "this server has no `address`",
                        "write address = \"host:3306\"",
                    );
                }
                _ => complete = false,
            }
        }
        listed.sort_by_key(|server| server.span.start);
        let listed = self.each_once(listed, problems);
        if complete {
            self.check_servers(&listed, problems);
        }
        listed
    }

    fn each_once(&self, listed: Vec<Listed>, problems: &mut Problems<'_>) -> Vec<Listed> {
        let mut first: BTreeMap<Address, usize> = BTreeMap::new();
        let mut kept = Vec::new();
        for server in listed {
            if let Some(at) = first.get(&server.address) {
                let place = problems.source.place(*at);
                problems.add(
                    &server.span,
                    format!("server {} is listed twice; first at {place}", server.address),
                    "keep the entry that says more, and remove the other",
                );
            } else {
                first.insert(server.address.clone(), server.span.start);
                kept.push(server);
            }
        }
        kept
    }

    fn check_servers(&self, servers: &[Listed], problems: &mut Problems<'_>) {
        if servers.is_empty() {
            problems.add(
                self.span,
                format!("the cluster `{}` has no servers", self.name),
                "write servers = [\"db1:3306\", \"db2:3306\"]",
            );
            return;
        }
        if servers.iter().all(|s| s.policy.promotion == Promotion::Never) {
            problems.add(
                self.span,
                format!("no server of the cluster `{}` may ever be primary", self.name),
                "give at least two servers another `promotion` than \"never\"",
            );
        }
        let policy = self.section("cluster.*.policy");
        let wanted: usize = policy.number("semi_sync_wait_count");
        let replicas = servers.len() - 1;
        if let Some((found, _)) = policy.found("semi_sync_wait_count").filter(|_| wanted > replicas)
        {
            problems.add(
                &found.value_span,
                format!(
                    "the cluster `{}` has {} and cannot wait for {wanted} acknowledgements",
                    self.name,
                    plural(replicas, "replica")
                ),
                format!("write at most {replicas}, or list more servers"),
            );
        }
        if let Some(found) = policy.own.and_then(|t| t.values.get("semi_sync_without_acker"))
            && wanted == 0
        {
            problems.add(
                &found.key_span,
                "this says what happens without semi-sync replicas, but the cluster is asynchronous",
                "write semi_sync_wait_count = 1 (or more) as well, or remove the key",
            );
        }
    }

    /// Agents believe only a manager that shows a certificate.
    fn check_agents(&self, servers: &[Listed], problems: &mut Problems<'_>) {
        let manager = self.tree.tables.get("manager");
        let written = manager.is_some_and(|table| table.values.contains_key("certificate"));
        let asks = servers.iter().find(|s| s.policy.host_access == HostAccessKind::Agent);
        if let (Some(server), false) = (asks, written) {
            problems.add(
                &server.span,
                format!(
                    "server {} has an agent, but the manager has no certificate to show to it",
                    server.address
                ),
                "write certificate, key and authority in [manager]; `primacy certs` makes them",
            );
        }
    }

    /// An address may only be held under a lease.
    fn check_vips(&self, at: &Lookup<'_>, servers: &[Listed], problems: &mut Problems<'_>) {
        let addresses = |name: &str| match at.value(name) {
            Some(Value::VirtualAddresses(vips)) => vips,
            _ => Vec::new(),
        };
        let (vips, readers) = (addresses("vip"), addresses("reader_vip"));
        if let Some((found, _)) = at.found("reader_vip")
            && let Some(twice) = readers.iter().find(|r| vips.iter().any(|v| v.ip() == r.ip()))
        {
            problems.add(
                &found.value_span,
                format!("{twice} is the primary's address already"),
                "write it in one of `vip` and `reader_vip` only",
            );
        }
        let Some((found, _)) = at.found("vip").or_else(|| at.found("reader_vip")) else { return };
        let bare = servers.iter().find(|s| {
            s.policy.promotion != Promotion::Never && s.policy.host_access != HostAccessKind::Agent
        });
        if let Some(bare) = bare {
            problems.add(
                &found.key_span,
                format!(
                    "{} may be promoted and has no agent that could hold the address",
                    bare.address
                ),
                "write host_access = \"agent\", or promotion = \"never\" for that server",
            );
        }
    }

    fn cluster(&self, servers: Vec<Listed>, problems: &mut Problems<'_>) -> Option<ClusterConfig> {
        let at = Lookup { section: Section::named("cluster.*"), own: self.own(), defaults: None };
        let kind = at.word("kind").unwrap_or(ClusterKind::Replication);
        if let (ClusterKind::Galera, Some((found, _))) = (kind, at.found("kind")) {
            problems.add(
                &found.value_span,
                "this version of Primacy does not manage Galera clusters yet",
                "remove the cluster from this file until a version does",
            );
        }
        let timing = read_timing(&self.section("cluster.*.timing"));
        let mut policy: Policy = read_policy(&self.section("cluster.*.policy"), timing);
        let order: Vec<Address> = servers.iter().map(|s| s.address.clone()).collect();
        self.check_agents(&servers, problems);
        self.check_vips(&at, &servers, problems);
        let scripts = read_scripts(&at);
        policy.scripts = scripts.known();
        policy.order.clone_from(&order);
        policy.servers = servers.into_iter().map(|s| (s.address, s.policy)).collect();
        let mut account = |role: &str| {
            let at = self.section(&format!("cluster.*.accounts.{role}"));
            let name = self.name;
            let owner = Owner {
                called: format!("the cluster `{name}`"),
                account: format!("the account `{role}`"),
                sections: format!(
                    "[cluster.{name}.accounts.{role}], or [defaults.accounts.{role}] for all \
                     clusters,"
                ),
                span: self.span,
            };
            read_account(&at, &owner, problems)
        };
        let (manager, replication) = (account("manager"), account("replication"));
        let owner = Owner {
            called: format!("the cluster `{}`", self.name),
            account: String::new(),
            sections: format!("[cluster.{}.tls] or [defaults.tls]", self.name),
            span: self.span,
        };
        let tls = read_tls(&self.section("cluster.*.tls"), &owner, problems);
        let binlog_copies = read_binlog_copies(self.tree, self.name, problems);
        let hooks = crate::hooks::read_hooks(self.tree, self.name, problems);
        let webhooks = crate::hooks::read_webhooks(self.tree, self.name, problems);
        Some(ClusterConfig {
            name: self.name.clone(),
            kind,
            servers: order,
            policy,
            accounts: Accounts { manager: manager?, replication: replication? },
            tls: tls?,
            ssh: read_ssh(&at),
            host_access: self.host_access(),
            binlog_copies: binlog_copies?,
            hooks: hooks?,
            webhooks: webhooks?,
            shutdown_script: read_shutdown_script(&at),
            scripts,
            shutdown_timeout: at.duration("shutdown_timeout"),
            purge_relay_logs_every: at
                .value("purge_relay_logs_every")
                .is_some()
                .then(|| at.duration("purge_relay_logs_every")),
            vips: match at.value("vip") {
                Some(Value::VirtualAddresses(vips)) => vips,
                _ => Vec::new(),
            },
            reader_vips: match at.value("reader_vip") {
                Some(Value::VirtualAddresses(vips)) => vips,
                _ => Vec::new(),
            },
        })
    }
}

/// `no replicas`, `1 replica`, `2 replicas`.
fn plural(count: usize, noun: &str) -> String {
    match count {
        0 => format!("no {noun}s"),
        1 => format!("1 {noun}"),
        n => format!("{n} {noun}s"),
    }
}
