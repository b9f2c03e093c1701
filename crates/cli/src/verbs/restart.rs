//! `restart` and `rolling-restart`: one server after another, never two, the primary last.

use primacy_api::{Answer, ClusterView, RestartOrder, Restarting, SwitchoverOrder};
use primacy_types::Address;
use serde::Serialize;

use super::with_session;
use crate::args::{Global, RestartArgs, RollingRestart};
use crate::confirm::confirm;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::follow::follow;
use crate::printer::Printer;
use crate::session::{Asked, Session, load, the_one};

/// What a rolling restart did.
#[derive(Default, Serialize)]
struct Rolled {
    /// The servers, in the order in which they were restarted.
    restarted: Vec<Restarting>,
    /// The primary before and after, if the role was moved.
    moved: Option<(Address, Address)>,
}

pub(super) async fn one(global: &Global, printer: &mut Printer, args: &RestartArgs) -> Outcome {
    let config = load(global)?;
    let mut clusters = config.clusters.values();
    let found = clusters.find(|cluster| cluster.servers.contains(&args.server));
    let cluster = found.map(|cluster| cluster.name.to_string()).ok_or_else(|| {
        Failure::usage(format!("no cluster of the configuration has {}", args.server))
            .hint("primacy status names the servers")
    })?;
    let limit = args.how.limit;
    let order = RestartOrder { server: args.server.clone(), limit, dry_run: args.how.dry_run };
    with_session(global, printer, Some(&cluster), Asked::Anyone, async |session, printer| {
        if !args.how.yes && !args.how.dry_run && printer.is_interactive() {
            let dry = RestartOrder { dry_run: true, ..order.clone() };
            session.service().restart(&cluster, dry).await?;
            confirm(printer, &format!("Restart {}?", order.server))?;
        }
        let done = session.service().restart(&cluster, order).await?;
        if printer.wants_json() {
            printer.json(&done)?;
        } else if args.how.dry_run {
            printer.data(&format!("{} can be restarted now", done.server))?;
        } else {
            printer.data(&line(&done))?;
        }
        Ok(Exit::Done)
    })
    .await
}

pub(super) async fn rolling(
    global: &Global,
    printer: &mut Printer,
    args: &RollingRestart,
) -> Outcome {
    let cluster = the_one(&load(global)?, args.which.cluster.as_deref())?;
    if !args.how.yes && !args.how.dry_run && !printer.is_interactive() {
        return Err(Failure::usage("every server is restarted, and nobody can be asked")
            .hint("look with --dry-run first, then add --yes"));
    }
    with_session(global, printer, Some(&cluster), Asked::Anyone, async |session, printer| {
        let view = session.service().cluster(&cluster).await?;
        let (replicas, primary) = order_of(&view)?;
        let names: Vec<_> = replicas.iter().map(ToString::to_string).collect();
        let mut plan = format!("restarts {} one after another", names.join(", "));
        if args.keep_primary {
            plan.push_str(&format!("; {primary} stays as it is"));
        } else {
            plan.push_str(&format!(", moves the role away from {primary}, and restarts that last"));
        }
        if args.how.dry_run {
            printer.data(&plan)?;
            printer.hint("this is a dry run: nothing was touched");
            return Ok(Exit::Done);
        }
        if !args.how.yes {
            printer.note(&plan);
            confirm(printer, &format!("Restart every server of {cluster}?"))?;
        }
        let mut rolled = Rolled::default();
        let done = Box::pin(roll(session, printer, &cluster, args, &mut rolled, replicas, primary));
        let outcome = done.await;
        if printer.wants_json() {
            printer.json(&rolled)?;
        }
        outcome.map(|()| Exit::Done).map_err(|failure| left(failure, &rolled))
    })
    .await
}

/// The replicas in the order in which they are restarted, and the primary.
fn order_of(view: &ClusterView) -> Result<(Vec<Address>, Address), Failure> {
    let refused = |text: String| {
        Failure::new(Exit::Refused, text).hint("primacy status and primacy check say more")
    };
    let Some(primary) = view.primary.clone() else {
        return Err(refused(format!("{} has no primary", view.name)));
    };
    if let Some(down) = view.servers.iter().find(|server| server.failure.is_some()) {
        return Err(refused(format!("{} does not answer", down.address)));
    }
    let replicas: Vec<Address> = view
        .servers
        .iter()
        .filter(|server| server.address != primary)
        .map(|server| server.address.clone())
        .collect();
    Ok((replicas, primary))
}

async fn roll(
    session: &Session,
    printer: &mut Printer,
    cluster: &str,
    args: &RollingRestart,
    rolled: &mut Rolled,
    replicas: Vec<Address>,
    primary: Address,
) -> Result<(), Failure> {
    let limit = args.how.limit;
    for server in replicas {
        step(session, printer, cluster, RestartOrder { server, limit, dry_run: false }, rolled)
            .await?;
    }
    if args.keep_primary {
        return Ok(());
    }
    let service = session.service();
    let order = SwitchoverOrder { to: args.to.clone(), ..SwitchoverOrder::default() };
    let answer = follow(session, printer, cluster, service.switchover(cluster, order)).await?;
    if let Answer::Done { report } = answer {
        rolled.moved = Some((primary.clone(), report.primary));
        if !printer.wants_json() {
            printer.data(&report.sentence)?;
        }
    }
    step(session, printer, cluster, RestartOrder { server: primary, limit, dry_run: false }, rolled)
        .await
}

async fn step(
    session: &Session,
    printer: &mut Printer,
    cluster: &str,
    order: RestartOrder,
    rolled: &mut Rolled,
) -> Result<(), Failure> {
    printer.note(&format!("restarting {}", order.server));
    let done = session.service().restart(cluster, order).await?;
    if !printer.wants_json() {
        printer.data(&line(&done))?;
    }
    rolled.restarted.push(done);
    Ok(())
}

fn line(done: &Restarting) -> String {
    let Restarting { server, away, took, .. } = done;
    format!("{server} was restarted: away for {away}, caught up after {took}")
}

/// What was done before the failure stays done.
fn left(failure: Failure, rolled: &Rolled) -> Failure {
    let done: Vec<_> = rolled.restarted.iter().map(|done| done.server.to_string()).collect();
    let done = if done.is_empty() { "no server".to_owned() } else { done.join(", ") };
    failure.hint(format!("{done} had been restarted; the others were not touched"))
}
