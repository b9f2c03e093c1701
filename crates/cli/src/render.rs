//! From the manager's answers to text for people. Pure: no clock, no terminal, no network.

pub(crate) mod answer;
pub(crate) mod binlog;
pub(crate) mod check;
pub(crate) mod errant;
pub(crate) mod explain;
pub(crate) mod failure;
pub(crate) mod grants;
pub(crate) mod history;
pub(crate) mod list;
pub(crate) mod plan;
pub(crate) mod rebuild;
pub(crate) mod relay_logs;
pub(crate) mod sandbox;
pub(crate) mod seen;
pub(crate) mod status;
mod table;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod topology;

/// Joins the parts of a page with an empty line between them.
pub(crate) fn page(parts: impl IntoIterator<Item = String>) -> String {
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}
