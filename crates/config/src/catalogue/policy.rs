//! The keys of a cluster's policy.

use primacy_types::{
    BrokenReplicas, Millis, OnErrant, PingType, RefuseOrProceed, Rejoin, WithoutAcker,
};

use super::{DAY, HOUR, duration, key};
use crate::schema::Preset::Is;
use crate::schema::{Key, Kind};
use crate::words::words_of;

pub(super) const POLICY: &[Key] = &[
    key(
        "automatic_failover",
        Kind::Bool,
        Is("true"),
        "Replace a dead primary without being asked. `false`: only say so.",
    ),
    key(
        "unfenced",
        Kind::Word(words_of::<RefuseOrProceed>),
        Is("refuse"),
        "May a primary be replaced that cannot be fenced, so that it may still accept writes? \
         `proceed` risks two writable servers; the plan says so.",
    ),
    key(
        "on_clean_shutdown",
        Kind::CleanShutdown,
        Is("wait 30s"),
        "What follows a clean shutdown of the primary: `wait 30s` (or another time) fails over if \
         it is not back by then, `failover` does so at once, `ignore` leaves it to people.",
    ),
    key(
        "write_probe",
        Kind::OffOrDuration { min: Millis::from_secs(2), max: HOUR },
        Is("off"),
        "Every second the primary must commit a small row (in the table `primacy.probe`); one that \
         has not committed anything for so long, because its disk is full or hangs, is replaced. \
         Take a time that no commit of yours needs. Waits for locks, backups or semi-sync \
         acknowledgements never count. `off` writes nothing.",
    ),
    key(
        "ping_type",
        Kind::Word(words_of::<PingType>),
        Is("select"),
        "How a server is probed. `select`: by questions on a connection that stays open; `connect`: \
         on a new connection each time, which finds a server that accepts no new ones; `insert`: as \
         `select`, and the primary must commit a small row as with `write_probe`, whose limit is \
         then `ping_interval` times `ping_failures` (at least 2 s) unless it is written.",
    ),
    key(
        "on_possible_loss",
        Kind::Word(words_of::<Option<RefuseOrProceed>>),
        Is("auto"),
        "When it cannot be proved that the replicas hold every acknowledged row. `auto` refuses \
         if semi-sync was in force and proceeds, loudly, if the cluster is asynchronous; both wait \
         while the primary's host does not answer and may still give what nobody received. With \
         `proceed` a host that does not answer is not waited for.",
    ),
    key(
        "allow_errant",
        Kind::Bool,
        Is("false"),
        "Replicas with errant transactions (their own, that no other server has) may be promoted.",
    ),
    key(
        "prefer_latest",
        Kind::Bool,
        Is("true"),
        "Among equally wanted candidates the one that has received most is promoted. `false`: the \
         first one in the order of the file, which gets from the others what it lacks.",
    ),
    key(
        "check_lag",
        Kind::Bool,
        Is("true"),
        "A replica that is far behind in applying (100 MB of the primary's binary log, or a whole \
         file of it) is promoted at a failover only if no other can serve. `false`: that does not \
         count against it, and the failover waits until it has applied everything.",
    ),
    key(
        "check_filters",
        Kind::Bool,
        Is("true"),
        "A replica that filters replication is not promoted, unless all replicas (two or more) \
         filter alike, and `primacy check` names those that differ. `false`: filters stand against \
         nobody.",
    ),
    key(
        "broken_replicas",
        Kind::Word(words_of::<BrokenReplicas>),
        Is("go-on"),
        "When at a failover a replica is dead, or its applier has stopped with an error. `go-on`: \
         the others take part, and this one is left as it is. `refuse`: nothing is promoted, unless \
         that replica has `ignore_failure`.",
    ),
    key(
        "multi_tier",
        Kind::Bool,
        Is("false"),
        "Replicas of replicas are left alone: they are never promoted, they are not pointed \
         elsewhere when their source is lost, and what is wrong with them stops nothing. `false`: \
         they take part like the others.",
    ),
    key(
        "keep_replication_settings",
        Kind::Bool,
        Is("false"),
        "A new primary keeps the settings with which it was a replica, with its threads stopped, \
         so that it can be made one again by hand. A server starts what it kept when it is restarted, \
         unless `skip_replica_start` (`skip_slave_start`) is in its option file. `false`: they are \
         removed.",
    ),
    key(
        "rejoin",
        Kind::Word(words_of::<Rejoin>),
        Is("auto"),
        "When a former primary is back: `auto` makes it a replica, `ask` says so and waits for \
         `primacy rejoin`, `never` leaves it to people. It is read-only in every case.",
    ),
    key(
        "on_errant",
        Kind::Word(words_of::<OnErrant>),
        Is("quarantine"),
        "When a server that is back has transactions which the primary has not. They are saved to \
         a file first; then `quarantine` leaves it as it is, `rewind` undoes them where that is \
         proved to be right, `rebuild` replaces its data by a copy of a replica's.",
    ),
    key(
        "stay_in_site",
        Kind::Bool,
        Is("false"),
        "No server outside the primary's site is promoted.",
    ),
    key(
        "epoch_table",
        Kind::Bool,
        Is("true"),
        "A new primary records its epoch in the table `primacy.epoch`, so that a lost history \
         cannot turn it back.",
    ),
    key(
        "heartbeat_period",
        duration(Millis(100), HOUR),
        Is("1s"),
        "Replication heartbeat that repointed replicas ask of their source. Short ones let \
         silence be noticed early.",
    ),
    key(
        "connect_retry",
        Kind::Duration { min: Millis(1000), max: DAY, whole_seconds: true },
        Is("1s"),
        "Pause between two connection attempts of a repointed replica, in whole seconds.",
    ),
    key(
        "channel",
        Kind::Text { min: 0, max: 64 },
        Is(""),
        "The replication channel (MariaDB: connection name) that Primacy manages; others are left \
         alone. Empty is the default channel.",
    ),
    key(
        "semi_sync_wait_count",
        Kind::Integer { min: 0, max: 65_535 },
        Is("0"),
        "How many replicas must acknowledge a commit before the client hears of it; `0` means \
         asynchronous. MariaDB always waits for one.",
    ),
    key(
        "semi_sync_without_acker",
        Kind::Word(words_of::<WithoutAcker>),
        Is("block"),
        "At a failover that leaves fewer acknowledging replicas than that: `block` promotes and \
         commits wait, `degrade` promotes without semi-sync until they return, `refuse` does not \
         promote.",
    ),
    key(
        "reader_vip_on_primary",
        Kind::Bool,
        Is("true"),
        "While no replica is healthy enough the addresses of `reader_vip` go to the primary's host. \
         `false`: nobody has them then.",
    ),
    key(
        "reader_vip_max_lag",
        duration(Millis(1000), DAY),
        Is("30s"),
        "A replica that is further behind than this gets no address of `reader_vip`.",
    ),
    key(
        "reader_vip_lease",
        duration(Millis(5000), HOUR),
        Is("10s"),
        "A host that hears from no manager gives its addresses of `reader_vip` up after 60 % of \
         this; those of a host that is lost go to another one after 105 % of it. It should be \
         longer than a restart of the manager takes.",
    ),
];
