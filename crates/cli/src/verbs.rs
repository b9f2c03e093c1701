//! What each verb does.

mod act;
mod add_replica;
mod agent;
mod binlog;
mod binlog_serve;
mod certs;
mod check_vip;
mod config;
mod daemon;
mod errant;
mod grants;
mod import;
pub(crate) mod mha;
mod past;
mod rebuild;
mod rejoin;
mod relay_logs;
mod restart;
mod sandbox;
mod shell;
mod show;

use crate::args::{BinlogVerb, Cli, List, Verb};
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;
use crate::session::{Asked, Session};

/// Does what was asked.
pub(crate) async fn run(cli: &Cli, printer: &mut Printer) -> Outcome {
    let global = &cli.global;
    match &cli.verb {
        Verb::Manager(_) | Verb::Run(_) => Box::pin(daemon::serve(global)).await,
        Verb::Agent(args) => Box::pin(agent::run(global, args)).await,
        Verb::Certs(verb) => certs::run(printer, verb),
        Verb::Status(args) => show::status(global, printer, args).await,
        Verb::List(List::Servers(which)) => show::servers(global, printer, which).await,
        Verb::List(List::Clusters) => show::clusters(global, printer).await,
        Verb::Topology(which) => show::topology(global, printer, which).await,
        Verb::Check(which) => show::check(global, printer, which).await,
        Verb::CheckVip(args) => Box::pin(check_vip::run(global, printer, args)).await,
        Verb::Explain(which) => show::explain(global, printer, which).await,
        Verb::Switchover(args) => act::switchover(global, printer, args).await,
        Verb::Failover(args) => act::failover(global, printer, args).await,
        Verb::Rebuild(args) => Box::pin(rebuild::run(global, printer, args)).await,
        Verb::AddReplica(args) => Box::pin(add_replica::run(global, printer, args)).await,
        Verb::Pause(args) => act::pause(global, printer, args).await,
        Verb::Resume(which) => act::resume(global, printer, which).await,
        Verb::Rejoin(args) => Box::pin(rejoin::run(global, printer, args)).await,
        Verb::Restart(args) => restart::one(global, printer, args).await,
        Verb::RollingRestart(args) => Box::pin(restart::rolling(global, printer, args)).await,
        Verb::Errant(verb) => errant::run(global, printer, verb).await,
        Verb::PurgeRelayLogs(args) => relay_logs::purge(global, printer, args).await,
        Verb::History(args) => past::history(global, printer, args).await,
        Verb::Grants(args) => grants::grants(global, printer, args).await,
        Verb::Binlog(BinlogVerb::Serve(args)) => Box::pin(binlog_serve::run(global, args)).await,
        Verb::Binlog(verb) => Box::pin(binlog::run(global, printer, verb)).await,
        Verb::Mha(args) => mha::list(printer, args),
        Verb::InstallMhaLinks(args) => mha::install(printer, args),
        Verb::Config(verb) => config::run(global, printer, verb),
        Verb::Sandbox(verb) => Box::pin(sandbox::run(printer, verb)).await,
        Verb::Completions(args) => shell::completions(printer, args),
        Verb::Man(args) => shell::man(printer, args),
    }
}

/// Opens a session, does the work, and closes it whatever came of it.
async fn with_session<T>(
    global: &crate::args::Global,
    printer: &mut Printer,
    cluster: Option<&str>,
    asked: Asked,
    work: impl AsyncFnOnce(&Session, &mut Printer) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let session = Box::pin(Session::open(global, printer, cluster, asked)).await?;
    let outcome = work(&session, printer).await;
    session.close().await;
    outcome
}
