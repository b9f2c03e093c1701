//! The keys of the file as data, each with its type, default and documentation.
//!
//! To add a key: add its line here, then read and write it in `fields`; a test walks this table
//! and fails until that is done.

mod hooks;
mod hosts;
mod policy;
mod scripts;
mod security;

use primacy_types::{HostAccessKind, Millis, Promotion};

use crate::model::ClusterKind;
use crate::schema::Preset::{Is, Required, Unset};
use crate::schema::{Key, Kind, Preset, Reserved, Section};
use crate::words::words_of;

/// Every section, in the order in which it is documented and shown.
pub(crate) const SECTIONS: &[Section] = &[
    Section { path: "manager", defaults: None, doc: "The manager process itself.", keys: MANAGER },
    Section {
        path: "agent",
        defaults: None,
        doc: "The agent of a database host (`primacy agent`), in the file of that host. The \
              manager's file does not have it.",
        keys: AGENT,
    },
    Section {
        path: "agent.server[]",
        defaults: None,
        doc: "A server that the agent looks after; one agent serves all of its host.",
        keys: AGENT_SERVER,
    },
    Section {
        path: "agent.account",
        defaults: None,
        doc: "The account with which the agent logs in to its servers, and looks at others when a \
              manager asks it to; `primacy grants --purpose agent` prints the privileges that it \
              needs. Exactly one of the `password_` keys must be written.",
        keys: security::ACCOUNT,
    },
    Section {
        path: "agent.tls",
        defaults: None,
        doc: "How the agent's connections to its servers are protected.",
        keys: security::TLS,
    },
    Section {
        path: "cluster.*",
        defaults: None,
        doc: "One cluster. `NAME` is yours to choose from letters, digits, `_` and `-`; it is \
              what commands, logs and history call the cluster.",
        keys: CLUSTER,
    },
    Section {
        path: "cluster.*.server[]",
        defaults: None,
        doc: "The long form of a server, for one that differs from the others. It may be mixed \
              with the short form `servers`, but no server may stand in both.",
        keys: SERVER,
    },
    Section {
        path: "cluster.*.accounts.manager",
        defaults: Some("defaults.accounts.manager"),
        doc: "The account that watches and changes the servers; `primacy grants` prints the \
              privileges that it needs. Exactly one of the `password_` keys must be written.",
        keys: security::ACCOUNT,
    },
    Section {
        path: "cluster.*.accounts.replication",
        defaults: Some("defaults.accounts.replication"),
        doc: "The account with which a repointed replica logs in at its new source. Exactly one \
              of the `password_` keys must be written.",
        keys: security::ACCOUNT,
    },
    Section {
        path: "cluster.*.tls",
        defaults: Some("defaults.tls"),
        doc: "How Primacy's own connections to the servers are protected. What replicas use \
              between each other is not changed by this.",
        keys: security::TLS,
    },
    Section {
        path: "cluster.*.timing",
        defaults: Some("defaults.timing"),
        doc: "Durations and limits. The defaults suit a LAN.",
        keys: TIMING,
    },
    Section {
        path: "cluster.*.policy",
        defaults: Some("defaults.policy"),
        doc: "What people decide beforehand, so that nobody need be asked at night.",
        keys: policy::POLICY,
    },
    Section {
        path: "cluster.*.binlog_copy[]",
        defaults: None,
        doc: "A folder on another host to which the primary's binary logs are copied while it writes \
              them, as `mysqlbinlog --read-from-remote-server --raw --stop-never` does. It is read over \
              ssh in a failover when the dead primary's own disk cannot be, on MySQL with GTID: only \
              there do the names of transactions tell whose they are. Such a copy acknowledges \
              nothing, so that it has everything is never proved; `primacy binlog serve` does better.",
        keys: hosts::BINLOG_COPY,
    },
    Section {
        path: "cluster.*.hook[]",
        defaults: None,
        doc: "A program of your own that is called at some moments of an operation; several are \
              called one after another in the order of the file. Exactly one of `program` and \
              `command` must be written. What it is told and what its failure means stands in \
              [behaviour.md](behaviour.md#hooks).",
        keys: hooks::HOOK,
    },
    Section {
        path: "cluster.*.webhook[]",
        defaults: None,
        doc: "A URL to which the same is told as a signed JSON document, again and again until it \
              is taken. Nothing waits for it. At most one of the `secret_` keys may be written; \
              without one the documents are not signed.",
        keys: hooks::WEBHOOK,
    },
];

/// Names that are refused with an explanation.
pub(crate) const RESERVED: &[Reserved] = &[
    Reserved {
        path: "proxy",
        reason: "the section `proxy` is reserved: this version of Primacy has no proxy yet",
        help: "remove the section",
    },
    Reserved {
        path: "cluster.*.accounts.manager.password",
        reason: PASSWORD_REASON,
        help: PASSWORD_HELP,
    },
    Reserved { path: "agent.account.password", reason: PASSWORD_REASON, help: PASSWORD_HELP },
    Reserved {
        path: "cluster.*.accounts.replication.password",
        reason: PASSWORD_REASON,
        help: PASSWORD_HELP,
    },
    Reserved {
        path: "defaults.accounts.manager.password",
        reason: PASSWORD_REASON,
        help: PASSWORD_HELP,
    },
    Reserved {
        path: "defaults.accounts.replication.password",
        reason: PASSWORD_REASON,
        help: PASSWORD_HELP,
    },
];

const PASSWORD_REASON: &str = "a password must not stand in this file, which people copy, \
                               commit and attach to tickets";
const PASSWORD_HELP: &str = "put it into a file of its own and write password_file = \"that \
                             file\", or use password_env or password_credential";

const fn key(name: &'static str, kind: Kind, preset: Preset, doc: &'static str) -> Key {
    Key { name, kind, preset, doc, since: "0.1" }
}

const fn duration(min: Millis, max: Millis) -> Kind {
    Kind::Duration { min, max, whole_seconds: false }
}

const MINUTE: Millis = Millis::from_secs(60);
const HOUR: Millis = Millis::from_secs(3600);
const DAY: Millis = Millis::from_secs(86_400);

const MANAGER: &[Key] = &[
    key(
        "name",
        Kind::Text { min: 1, max: 64 },
        Unset("the name of the host"),
        "How this manager calls itself in locks and history. Two managers must not share a name.",
    ),
    key(
        "state_dir",
        Kind::Path,
        Is("/var/lib/primacy"),
        "The folder of the manager's history and journal. A relative path is taken from the \
         folder of this file.",
    ),
    key(
        "socket",
        Kind::Path,
        Unset("`primacy.sock` in `state_dir`"),
        "The socket over which commands reach the manager. A relative path is taken from the \
         folder of this file.",
    ),
    key(
        "certificate",
        Kind::Path,
        Unset("no agents are asked"),
        "What the manager shows to agents (PEM, as `primacy certs issue manager` makes it). A \
         relative path is taken from the folder of this file.",
    ),
    key(
        "key",
        Kind::Path,
        Unset("no agents are asked"),
        "The private key of `certificate`. A relative path is taken from the folder of this file.",
    ),
    key(
        "authority",
        Kind::Path,
        Unset("no agents are asked"),
        "PEM file of the authorities whose certificates are believed. A relative path is taken \
         from the folder of this file.",
    ),
    key(
        "health",
        Kind::Address,
        Unset("there is none"),
        "Where `/primary`, `/replica`, `/ready` and the like are answered over plain HTTP, for load \
         balancers and container platforms: see [health.md](health.md). There is no password and \
         no encryption, and little is told. It is read when the manager starts.",
    ),
    key(
        "max_failovers_at_once",
        Kind::Integer { min: 1, max: 1000 },
        Is("1"),
        "The brake: so many clusters may be failing over automatically at the same time. Many \
         primaries that seem to die at once are more often one broken network.",
    ),
];

const CLUSTER: &[Key] = &[
    key(
        "kind",
        Kind::Word(words_of::<ClusterKind>),
        Is("replication"),
        "`replication` is a primary with its replicas. `galera` is recognised and refused for \
         now.",
    ),
    key(
        "servers",
        Kind::Addresses,
        Unset("only the servers of the long form"),
        "The servers, each as `host`, `host:port` or `[ipv6]:port`; the port is 3306 unless \
         written. List all of them: which one is the primary is found out.",
    ),
    key(
        "host_access",
        Kind::Word(words_of::<HostAccessKind>),
        Is("auto"),
        "What holds for servers that do not write `host_access` themselves.",
    ),
    key(
        "vip",
        Kind::VirtualAddresses,
        Unset("none"),
        "Virtual addresses that follow the primary: its agent takes them while it holds the lease, \
         and drops them before the server is closed. Without a prefix it is a host address (/32, \
         /128); without an interface it goes where the host has an address in the same network. \
         Every server that may be promoted needs an agent.",
    ),
    key(
        "reader_vip",
        Kind::VirtualAddresses,
        Unset("none"),
        "Virtual addresses for readers, written as in `vip`: each is held by the host of one healthy \
         replica, spread over them. Every server that may be promoted needs an agent; see \
         [agents.md](agents.md#addresses-for-readers).",
    ),
    hosts::SSH_USER,
    hosts::SSH_PORT,
    hosts::SSH_OPTIONS,
    hosts::SSH_COMMAND,
    hosts::SHUTDOWN_SCRIPT,
    hosts::SHUTDOWN_TIMEOUT,
    scripts::FAILOVER_SCRIPT,
    scripts::SWITCHOVER_SCRIPT,
    scripts::REPORT_SCRIPT,
    scripts::SECONDARY_CHECK_SCRIPT,
    scripts::SCRIPT_TIMEOUT,
    hosts::PURGE_RELAY_LOGS_EVERY,
];

const SERVER: &[Key] = &[
    key(
        "address",
        Kind::Address,
        Required,
        "Where the server listens: `host`, `host:port` or `[ipv6]:port`.",
    ),
    key(
        "promotion",
        Kind::Word(words_of::<Promotion>),
        Is("neutral"),
        "How much the server is wanted as primary. `prefer`: before others; `last`: only if no \
         other can serve; `never`: not even when a person asks without `--force`.",
    ),
    key(
        "ignore_failure",
        Kind::Bool,
        Is("false"),
        "A failover goes on although this replica is dead or broken. It makes a difference with \
         `broken_replicas = \"refuse\"` only.",
    ),
    key(
        "site",
        Kind::Text { min: 1, max: 64 },
        Unset("none"),
        "Where the server stands. Servers at the primary's site are preferred; see also \
         `stay_in_site`.",
    ),
    key(
        "delayed",
        Kind::Bool,
        Is("false"),
        "The replica is kept behind on purpose: its lag raises no alarm, and it is promoted only \
         if nothing else is left.",
    ),
    key(
        "host_access",
        Kind::Word(words_of::<HostAccessKind>),
        Is("auto"),
        "What may be done on the server's host besides SQL. `auto`: local if the server is seen \
         to run on this machine; `local`: it does, and it is an error if its process cannot be \
         found; `agent`: an agent runs there (see `agent`), which fences the server, reads its logs \
         and keeps it to its lease; `ssh`: the host is reached over ssh, so that its binary logs \
         can be read when the server is dead, and it is fenced there if the login may kill it \
         (see `ssh_user`); `none`: SQL only.",
    ),
    key(
        "agent",
        Kind::Address,
        Unset("port 7620 of the server's host"),
        "Where the agent of a server with `host_access = \"agent\"` listens.",
    ),
    key(
        "start",
        Kind::Call,
        Unset("the systemd unit of the server"),
        "What starts the server where no systemd unit does: a program by its absolute path, and its \
         arguments, without a shell. For servers without an agent, whose own file says it.",
    ),
    hosts::SERVER_SSH_HOST,
    hosts::SERVER_SSH_USER,
    hosts::SERVER_SSH_PORT,
];

const TIMING: &[Key] = &[
    key(
        "ping_interval",
        duration(Millis(50), MINUTE),
        Is("500ms"),
        "Pause between two probes of a server.",
    ),
    key(
        "ping_failures",
        Kind::Integer { min: 1, max: 100 },
        Is("4"),
        "So many unanswered probes in a row make silence a suspicion.",
    ),
    key(
        "connect_timeout",
        duration(Millis(50), MINUTE),
        Is("1s"),
        "Limit of one connection attempt.",
    ),
    key(
        "stall_limit",
        duration(Millis(1000), DAY),
        Is("30s"),
        "A drain, levelling or catch-up goes on while it makes progress; without progress for so \
         long it is given up.",
    ),
    key(
        "grace",
        duration(Millis::ZERO, HOUR),
        Is("2s"),
        "A switchover waits so long for running transactions, and refuses if one is older.",
    ),
    key(
        "switchover_limit",
        duration(Millis(1000), HOUR),
        Is("10s"),
        "How long a switchover may keep writes blocked while the winner catches up; then it puts \
         everything back.",
    ),
    key(
        "statement_limit",
        duration(Millis(100), HOUR),
        Is("5s"),
        "Limit of a single statement that changes a server.",
    ),
    key(
        "repoint_limit",
        duration(Millis(1000), DAY),
        Is("30s"),
        "How long the repointing of the other replicas is retried before the failover is \
         reported complete.",
    ),
    key(
        "lease",
        duration(Millis(1000), MINUTE),
        Is("3s"),
        "How long a primary may accept writes without hearing from a manager, where all servers \
         that may be promoted have agents; the agents' `lease` must be the same. A lost host is \
         replaced when its lease has run out.",
    ),
    key(
        "failover_block",
        duration(Millis::ZERO, Millis::from_secs(7 * 86_400)),
        Is("10m"),
        "A second automatic failover of the same cluster within this time is refused; `0s` \
         refuses none.",
    ),
];

const AGENT: &[Key] = &[
    key("listen", Kind::Address, Is("0.0.0.0:7620"), "Where managers and other agents reach it."),
    key(
        "certificate",
        Kind::Path,
        Is("/etc/primacy/agent.crt"),
        "What the agent shows (PEM, as `primacy certs issue agent` makes it): it must name the \
         host as managers dial it. A renewed one is taken up without a restart.",
    ),
    key("key", Kind::Path, Is("/etc/primacy/agent.key"), "The private key of `certificate`."),
    key(
        "authority",
        Kind::Path,
        Is("/etc/primacy/authority.crt"),
        "PEM file of the authorities whose certificates are believed.",
    ),
    key(
        "state_dir",
        Kind::Path,
        Is("/var/lib/primacy/agent"),
        "Where the agent keeps the highest epoch that it has seen.",
    ),
    key(
        "lease",
        duration(Millis(1000), MINUTE),
        Is("3s"),
        "Length of a lease: without renewal a primary is made read-only after 60 % of it and \
         killed after 85 %. It must be the same as the managers' `timing.lease`.",
    ),
    key(
        "health",
        Kind::Address,
        Unset("there is none"),
        "Where `/primary`, `/replica`, `/writable` and the like are answered over plain HTTP, for \
         load balancers, keepalived (`primacy check-vip`) and container platforms: see \
         [health.md](health.md). There is no password and no encryption, and little is told.",
    ),
];

const AGENT_SERVER: &[Key] = &[
    key(
        "address",
        Kind::Address,
        Required,
        "The server, written exactly as in the manager's file.",
    ),
    key(
        "connect",
        Kind::Address,
        Unset("the same as `address`"),
        "Where the agent itself reaches the server.",
    ),
    key(
        "socket",
        Kind::Path,
        Unset("the agent connects over TCP"),
        "The server's unix socket, if the agent shall use it.",
    ),
    key(
        "start",
        Kind::Call,
        Unset("the systemd unit of the server"),
        "What starts the server where no systemd unit does: a program by its absolute path, and its \
         arguments, without a shell. It must become the server's user itself (`--user=mysql`).",
    ),
];
