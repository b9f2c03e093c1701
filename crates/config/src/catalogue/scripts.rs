//! The keys of scripts that are called as MHA calls them.

use primacy_types::Millis;

use super::{MINUTE, duration, key};
use crate::schema::Preset::{Is, Unset};
use crate::schema::{Key, Kind};

/// A line for a shell, to which the arguments of a call are appended.
const LINE: Kind = Kind::Text { min: 1, max: 4096 };

pub(super) const FAILOVER_SCRIPT: Key = key(
    "failover_script",
    LINE,
    Unset("none"),
    "MHA's `master_ip_failover_script`: a line for `/bin/sh -c` that takes the application's way \
     to the primary (a virtual address, a catalogue) from a dead primary and gives it to the new \
     one. It is called with `--command=stopssh` or `--command=stop` before the old primary is \
     stopped, with `--command=start` when the new one has all data and is about to become \
     writable, and by `primacy check` with `--command=status`. Exit code 0: done; 10: go on, with \
     a warning; anything else: the failover does not go on. See \
     [behaviour.md](behaviour.md#scripts).",
);

pub(super) const SWITCHOVER_SCRIPT: Key = key(
    "switchover_script",
    LINE,
    Unset("none"),
    "MHA's `master_ip_online_change_script`: the same for a switchover, called with \
     `--command=stop` before writes are blocked on the old primary, and with `--command=start` \
     when the new one is about to become writable. Exit codes as with `failover_script`; after a \
     failure everything is put back.",
);

pub(super) const REPORT_SCRIPT: Key = key(
    "report_script",
    LINE,
    Unset("none"),
    "MHA's `report_script`: called after a failover, also after one that did not succeed, with \
     `--orig_master_host=`, `--new_master_host=` and `--new_slave_hosts=` if there is a new \
     primary, `--conf=`, `--subject=` and `--body=`. A failure is only reported.",
);

pub(super) const SECONDARY_CHECK_SCRIPT: Key = key(
    "secondary_check_script",
    LINE,
    Unset("none"),
    "MHA's `secondary_check_script`: asks other hosts whether they reach a primary that this \
     manager does not reach. Exit code 0: nobody does, so it counts as dead; anything else (3: \
     somebody does, 2: a host that was to be asked is not reachable): it does not, and the script \
     is asked again. It is not asked where the death is a fact, as when the process was seen to end.",
);

pub(super) const SCRIPT_TIMEOUT: Key = key(
    "script_timeout",
    duration(Millis(100), Millis(10 * MINUTE.0)),
    Is("1m"),
    "How long one call of one of these scripts may take; then it and all that it has started are \
     ended, and it has failed.",
);
