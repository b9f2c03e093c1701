//! `apply_diff_relay_logs`

use std::path::{Path, PathBuf};

use primacy_mha_node::apply::{self, Apply, apply};
use primacy_mha_node::relay_diff::{self, Found, RelayDiff};
use primacy_mha_node::ship::{Destination, ship, words};
use primacy_mha_node::{NodeError, Say, relay_log_of};
use primacy_types::BinlogPosition;

use super::login::{self, Names};
use super::{DONE, Stop, needed, offset, outcome, port, wait};
use crate::command::Streams;
use crate::given::Given;

/// The server refused what was applied.
pub(super) const NOT_APPLIED: u8 = 22;

const NAMES: Names = Names {
    user: "slave_user",
    password: "slave_pass",
    hosts: &["slave_ip", "slave_host"],
    port: "slave_port",
    socket: None,
};

pub(crate) fn run(given: &Given, streams: &mut Streams<'_>) -> u8 {
    outcome(given, streams, |say| match needed(given, "command")? {
        "test" => test(given, say),
        "find" => find(given, say),
        "generate" => generate(given, say).map(|_| DONE),
        "generate_and_send" => {
            let to = destination(given)?;
            if let Some(file) = generate(given, say)? {
                wait(ship(&file, &to))?;
                say(&format!("{} is on {} .. ok.", file.display(), to.host));
            }
            Ok(DONE)
        }
        "apply" => apply_files(given, say),
        other => Err(Stop::Usage(format!(
            "--command is test, find, generate, generate_and_send or apply, not {other:?}"
        ))),
    })
}

fn newest(given: &Given) -> Result<PathBuf, Stop> {
    let text = |name| given.text(name).filter(|text| !text.is_empty());
    let folder = text("relay_dir").or(text("datadir")).map(Path::new);
    if let Some(info) = text("relay_log_info") {
        return Ok(relay_log_of(Path::new(info), folder)?);
    }
    match (text("relay_dir"), text("current_relay_log")) {
        (Some(folder), Some(log)) => Ok(Path::new(folder).join(log)),
        _ => Err(Stop::Usage(
            "--relay_log_info, or --relay_dir and --current_relay_log, have to be given".to_owned(),
        )),
    }
}

fn wanted(given: &Given) -> Result<RelayDiff, Stop> {
    let place = |file, at| -> Result<BinlogPosition, Stop> {
        Ok(BinlogPosition::new(needed(given, file)?, offset(given, at)?))
    };
    Ok(RelayDiff {
        newest: newest(given)?,
        target: place("target_mlf", "target_rmlp")?,
        latest: place("latest_mlf", "latest_rmlp")?,
    })
}

fn destination(given: &Given) -> Result<Destination, Stop> {
    Ok(Destination {
        user: needed(given, "scp_user")?.to_owned(),
        host: needed(given, "scp_host")?.to_owned(),
        port: port(given, "scp_port")?,
        options: words(given.text("ssh_options").unwrap_or_default())?,
    })
}

fn test(given: &Given, say: Say<'_>) -> Result<u8, Stop> {
    let newest = newest(given)?;
    relay_diff::test(&newest)?;
    say(&format!("  Relay logs can be read up to {} .. ok.", newest.display()));
    let login = login::of(given, &NAMES)?;
    wait(apply::test(&login))?;
    say(&format!("  {} can be logged in to, and events can be applied .. ok.", login.address));
    Ok(DONE)
}

fn find(given: &Given, say: Say<'_>) -> Result<u8, Stop> {
    match relay_diff::find(&wanted(given)?)? {
        Found::Nothing => say("the other replica has everything"),
        Found::At { relay_log, offset } => {
            say(&format!("the difference begins at {}:{offset}", relay_log.display()));
        }
    }
    Ok(DONE)
}

/// The file, if there is a difference.
fn generate(given: &Given, say: Say<'_>) -> Result<Option<PathBuf>, Stop> {
    let wanted = wanted(given)?;
    let output = match given.text("diff_file_readtolatest").filter(|file| !file.is_empty()) {
        Some(file) => PathBuf::from(file),
        None => {
            let name = format!(
                "relay_from_read_to_latest_{}_{}_{}.binlog",
                given.text("slave_host").unwrap_or_default(),
                given.text("slave_port").unwrap_or_default(),
                needed(given, "timestamp")?
            );
            Path::new(given.text("workdir").unwrap_or("/var/tmp")).join(name)
        }
    };
    match relay_diff::generate(&wanted, &output, say)? {
        None => {
            say("the other replica has everything; no file was written");
            Ok(None)
        }
        Some((events, bytes)) => {
            say(&format!("{events} events were written to {} ({bytes} bytes)", output.display()));
            Ok(Some(output))
        }
    }
}

fn apply_files(given: &Given, say: Say<'_>) -> Result<u8, Stop> {
    let files = needed(given, "apply_files")?;
    let wanted = Apply {
        files: files.split(',').filter(|file| !file.is_empty()).map(PathBuf::from).collect(),
        login: login::of(given, &NAMES)?,
        log: !given.is_on("disable_log_bin"),
    };
    if given.is_on("no_apply") {
        apply::check(&wanted)?;
        say("the files can be read and applied; nothing was applied");
        return Ok(DONE);
    }
    let applied = match wait(apply(&wanted, say)) {
        Err(Stop::Node(error @ NodeError::Applying { .. })) => {
            keep(given, &wanted, &error, say);
            return Err(error.into());
        }
        other => other?,
    };
    say(&format!("{} events were applied .. ok.", applied.events));
    if applied.rolled_back {
        say("the last transaction is not whole in these files and was rolled back");
    }
    Ok(DONE)
}

/// What the server said, in the file that MHA's people look for.
fn keep(given: &Given, wanted: &Apply, error: &NodeError, say: Say<'_>) {
    let address = &wanted.login.address;
    let name = format!(
        "relay_log_apply_for_{}_{}_{}_err.log",
        given.text("slave_host").unwrap_or_default(),
        address.port(),
        given.text("timestamp").unwrap_or("now")
    );
    let path = Path::new(given.text("workdir").unwrap_or("/var/tmp")).join(name);
    if let Err(failed) = std::fs::write(&path, format!("{error}\n")) {
        say(&format!("{} could not be written: {failed}", path.display()));
    }
}
