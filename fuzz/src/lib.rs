//! What strangers' bytes reach, one function a target: each takes any bytes, gives them to
//! Primacy's parsers and checks what those promise beyond not to panic. The programs in
//! `targets/` only call [`run`].
//!
//! Not here: how the targets are built and run, and for how long (`cargo xtask fuzz`).

#![forbid(unsafe_code)]

mod agent;
mod archive;
mod binlog;
mod client;
mod client_side;
mod cut;
mod gtid;
mod health;
mod index;
mod input;
mod login;
mod memory;
mod mha;
mod payload;
mod relay;
mod request;
mod server_side;
mod sql;
mod undo;
mod wire;

/// A target: what is done with the bytes.
type Target = fn(&[u8]);

/// The targets by name.
const TARGETS: [(&str, Target); 18] = [
    ("binlog_reader", binlog::target),
    ("binlog_relay", relay::target),
    ("binlog_cut", cut::target),
    ("binlog_archive", archive::target),
    ("binlog_index", index::target),
    ("binlog_undo", undo::target),
    ("transaction_payload", payload::target),
    ("wire_frame", wire::target),
    ("wire_client", client::target),
    ("wire_login", login::target),
    ("relay_client", client_side::target),
    ("relay_server", server_side::target),
    ("replication_request", request::target),
    ("gtid_text", gtid::target),
    ("agent_request", agent::target),
    ("health_question", health::target),
    ("mha_config", mha::target),
    ("sql", sql::target),
];

/// Runs a target once, within the memory that its input entitles it to.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, target) = target.expect("a target of this name");
    memory::limited(bytes.len(), || target(bytes));
}
