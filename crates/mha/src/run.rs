//! What MHA's commands of the manager's host do.

pub(crate) mod check_repl;
pub(crate) mod check_ssh;
pub(crate) mod check_status;
pub(crate) mod conf_host;
pub(crate) mod manager;
pub(crate) mod stop;

use std::io::Write;

/// Nothing can be done about an output that is closed.
fn say(to: &mut dyn Write, text: &str) {
    let _unheard = writeln!(to, "{text}");
}
