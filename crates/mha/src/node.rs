//! The node commands: their options as what `primacy-mha-node` is asked for, and what came of it as
//! lines and exit codes.

mod apply_diff_relay_logs;
mod login;
mod purge_relay_logs;
mod save_binary_logs;

use primacy_mha_node::{NodeError, filter};

pub(crate) use apply_diff_relay_logs::run as apply_diff_relay_logs;
pub(crate) use purge_relay_logs::run as purge_relay_logs;
pub(crate) use save_binary_logs::run as save_binary_logs;

use crate::command::Streams;
use crate::given::Given;

/// Done.
const DONE: u8 = 0;
/// Failed, or asked in the wrong way.
const FAILED: u8 = 1;

/// `filter_mysqlbinlog`
pub(crate) fn filter_mysqlbinlog(_given: &Given, streams: &mut Streams<'_>) -> u8 {
    match filter::filter(streams.input, streams.out) {
        Ok(()) => DONE,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => DONE,
        Err(error) => {
            complain(streams, "filter_mysqlbinlog", &format!("not all was copied: {error}"));
            FAILED
        }
    }
}

/// Why a command is not done.
enum Stop {
    /// The command line.
    Usage(String),
    /// The work.
    Node(NodeError),
}

impl From<NodeError> for Stop {
    fn from(error: NodeError) -> Self {
        Self::Node(error)
    }
}

/// Runs the work of a command; its code, or that of its error.
fn outcome(
    given: &Given,
    streams: &mut Streams<'_>,
    work: impl FnOnce(&mut dyn FnMut(&str)) -> Result<u8, Stop>,
) -> u8 {
    let name = given.command().name;
    let done = work(&mut |line: &str| {
        let _unheard = writeln!(streams.out, "{line}").and_then(|()| streams.out.flush());
    });
    match done {
        Ok(code) => code,
        Err(Stop::Usage(why)) => {
            complain(streams, name, &format!("{why}; see {name} --help"));
            FAILED
        }
        Err(Stop::Node(error)) => {
            complain(streams, name, &error.to_string());
            match error {
                NodeError::Applying { .. } => apply_diff_relay_logs::NOT_APPLIED,
                _ => FAILED,
            }
        }
    }
}

/// Nothing can be done about a standard error that is closed.
fn complain(streams: &mut Streams<'_>, name: &str, text: &str) {
    let _unheard = writeln!(streams.err, "{name}: {text}");
}

/// The value of an option that has to be there.
fn needed<'g>(given: &'g Given, name: &str) -> Result<&'g str, Stop> {
    let value = given.text(name).filter(|value| !value.is_empty());
    value.ok_or_else(|| Stop::Usage(format!("--{name} has to be given")))
}

/// A number that is none below zero, and that has to be there.
fn offset(given: &Given, name: &str) -> Result<u64, Stop> {
    needed(given, name)?
        .parse()
        .map_err(|_| Stop::Usage(format!("--{name} is a place in a file, so not below 0")))
}

/// A port.
fn port(given: &Given, name: &str) -> Result<u16, Stop> {
    let number = given.number(name).and_then(|number| u16::try_from(number).ok());
    number.filter(|port| *port > 0).ok_or_else(|| Stop::Usage(format!("--{name} is no port")))
}

/// Runs what waits for servers or other hosts.
fn wait<T>(work: impl Future<Output = Result<T, NodeError>>) -> Result<T, Stop> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime
        .map_err(|e| Stop::Node(NodeError::Refused(format!("no network can be used: {e}"))))?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(done?)
}
