//! `cargo xtask bench`: measurements, each with a page in docs/bench.

mod agent;
mod binlog_server;
mod failover;
mod fake_server;
mod faults;
mod machine;
mod manager;
mod mha;
mod page;
mod process;
mod rebuild;
mod rebuilding;
mod rescue;
mod sandbox;
mod sql;
mod table;

use std::process::ExitCode;

use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum Bench {
    /// What agents need, and what a rebuild adds to it.
    Agent(agent::Args),
    /// Whether the binlog server keeps up with a primary that writes as fast as it can.
    BinlogServer(binlog_server::Args),
    /// How long applications cannot write: primaries killed and frozen, and switchovers.
    Failover(failover::Args),
    /// What each fault of hosts, agents and cables costs: outage, rows, two writable servers.
    Faults(faults::Args),
    /// The client of `faults` that knows nothing but the virtual address.
    #[command(hide = true)]
    VipClient(faults::VipClient),
    /// What a manager of many clusters needs, with simulated servers.
    Manager(manager::Args),
    /// Outage and total time of a failover by `masterha_manager`: Primacy's, and MHA's own.
    Mha(mha::Args),
    /// How long a rebuild of 2 GB takes while the cluster serves writes, and what it costs them.
    Rebuild(rebuild::Args),
    /// How fast missing events are read, cut and served, and what that adds to a failover.
    Rescue(rescue::Args),
    /// How long the proxy takes to read a statement, with sqlparser beside.
    Sql(sql::Args),
}

pub(crate) fn run(what: &Bench) -> anyhow::Result<ExitCode> {
    match what {
        Bench::Agent(args) => agent::run(args),
        Bench::BinlogServer(args) => binlog_server::run(args),
        Bench::Failover(args) => failover::run(args),
        Bench::Faults(args) => faults::run(args),
        Bench::VipClient(args) => faults::client(args),
        Bench::Manager(args) => manager::run(args),
        Bench::Mha(args) => mha::run(args),
        Bench::Rebuild(args) => rebuild::run(args),
        Bench::Rescue(args) => rescue::run(args),
        Bench::Sql(args) => sql::run(args),
    }
}
