//! `purge_relay_logs`

use std::path::{Path, PathBuf};

use primacy_mha_node::purge::{Purge, Purged, purge};
use primacy_mha_node::relay_log_of;

use super::login::{self, Names};
use super::{DONE, outcome, wait};
use crate::command::Streams;
use crate::given::Given;

const NAMES: Names = Names {
    user: "user",
    password: "password",
    hosts: &["host"],
    port: "port",
    socket: Some("socket"),
};

pub(crate) fn run(given: &Given, streams: &mut Streams<'_>) -> u8 {
    outcome(given, streams, |say| {
        let relay_log = match given.text("relay_log_info").filter(|file| !file.is_empty()) {
            Some(file) => Some(relay_log_of(Path::new(file), None)?),
            None => None,
        };
        let wanted = Purge {
            login: login::of(given, &NAMES)?,
            disable: given.is_on("disable_relay_log_purge"),
            links: given
                .is_on("use_hardlink")
                .then(|| PathBuf::from(given.text("workdir").unwrap_or("/var/tmp"))),
            relay_log,
        };
        match wait(purge(&wanted, say))? {
            Purged::NotNeeded => say(
                "relay_log_purge is 1: the server removes relay logs itself; nothing was done (with \
                 --disable_relay_log_purge it is set to 0)",
            ),
            Purged::Done(Some(count)) => say(&format!("{count} relay logs were removed .. ok.")),
            Purged::Done(None) => say("applied relay logs were removed .. ok."),
            Purged::Later => say(
                "the applier is busy with what it has received; what it has applied then is removed \
                 next time",
            ),
        }
        Ok(DONE)
    })
}
