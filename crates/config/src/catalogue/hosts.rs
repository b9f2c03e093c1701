//! Keys of a cluster that are about its servers' hosts.

use primacy_types::Millis;

use super::{DAY, MINUTE, duration, key};
use crate::schema::Preset::{Is, Required, Unset};
use crate::schema::{Key, Kind};

pub(super) const SSH_USER: Key = key(
    "ssh_user",
    Kind::SshUser,
    Unset("as ssh's own configuration says"),
    "Who logs in at the hosts of servers with `host_access = \"ssh\"`: a user that may read \
     the data directory. To fence a server it has to be root, the server's own user, or one \
     that may use sudo without a password (`sudo -n`). Logins are by key; Primacy never asks \
     for a password.",
);

pub(super) const SSH_PORT: Key = key(
    "ssh_port",
    Kind::Integer { min: 1, max: 65_535 },
    Unset("as ssh's own configuration says"),
    "Where sshd listens on these hosts.",
);

pub(super) const SSH_OPTIONS: Key = key(
    "ssh_options",
    Kind::SshOptions,
    Unset("none"),
    "Further options of the `ssh` program, each as one text: `\"-oProxyJump=bastion\"`, \
     `\"-i/etc/primacy/id_ed25519\"`, `\"-F/etc/primacy/ssh_config\"`. Host keys are checked as \
     ssh's configuration says: an unknown one is refused, not asked about.",
);

pub(super) const SSH_COMMAND: Key = key(
    "ssh_command",
    Kind::Text { min: 1, max: 4096 },
    Is("ssh"),
    "The `ssh` program: a name that is looked for in `PATH`, or an absolute path.",
);

pub(super) const SHUTDOWN_SCRIPT: Key = key(
    "shutdown_script",
    Kind::Call,
    Unset("no server is powered off"),
    "The last rung of the fencing ladder: a program with its arguments, as MHA has it. It is \
     called with `--command=stopssh --ssh_user=USER` (the host answers over ssh) or \
     `--command=stop`, and `--host=`, `--ip=`, `--port=`, `--pid_file=`. Exit code 10: the \
     server's process was stopped and its host is up; 0: the host is powered off, and nothing is \
     rescued from its disk; anything else: it failed. `primacy check` calls it with \
     `--command=status`. The first text is an absolute path.",
);

pub(super) const SHUTDOWN_TIMEOUT: Key = key(
    "shutdown_timeout",
    duration(Millis(100), Millis(10 * MINUTE.0)),
    Is("1m"),
    "How long one call of `shutdown_script` may take; then it is ended and has failed.",
);

pub(super) const PURGE_RELAY_LOGS_EVERY: Key = key(
    "purge_relay_logs_every",
    duration(Millis(1000), Millis(30 * DAY.0)),
    Unset("they are purged by `primacy purge-relay-logs` only"),
    "How often the manager removes the relay logs that replicas with `relay_log_purge = OFF` have \
     applied and that no sibling may need any more: one replica after another, and only while \
     the cluster is well and nothing is under way.",
);

pub(super) const BINLOG_COPY: &[Key] = &[
    key(
        "host",
        Kind::Text { min: 1, max: 253 },
        Required,
        "The host, as ssh dials it: a name or an address.",
    ),
    key(
        "folder",
        Kind::Folder,
        Required,
        "The folder there, as an absolute path. The files are called like the primary's: \
         `binlog.000042`.",
    ),
    key(
        "ssh_user",
        Kind::SshUser,
        Unset("as the cluster says"),
        "Who logs in there: a user that may read the folder.",
    ),
    key(
        "ssh_port",
        Kind::Integer { min: 1, max: 65_535 },
        Unset("as the cluster says"),
        "Where sshd listens there.",
    ),
];

pub(super) const SERVER_SSH_HOST: Key = key(
    "ssh_host",
    Kind::Text { min: 1, max: 253 },
    Unset("the server's own host"),
    "The host that ssh dials, if the server's own is not the one: a name or an address.",
);

pub(super) const SERVER_SSH_USER: Key = key(
    "ssh_user",
    Kind::SshUser,
    Unset("as the cluster says"),
    "Who logs in at this server's host, if somebody else than at the others.",
);

pub(super) const SERVER_SSH_PORT: Key = key(
    "ssh_port",
    Kind::Integer { min: 1, max: 65_535 },
    Unset("as the cluster says"),
    "Where sshd listens on this server's host, if elsewhere than on the others.",
);
