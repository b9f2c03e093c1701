//! `errant`: who has transactions that no primary gave it, the transactions themselves, and
//! empty ones in their place.

mod export;
mod file;
mod wanted;

use primacy_api::{InjectOrder, Injection};

use super::with_session;
use crate::args::{ErrantVerb, Global, InjectEmpty, ToShow};
use crate::confirm::confirm;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;
use crate::render::{errant, page};
use crate::session::{Asked, load, the_one};

pub(super) async fn run(global: &Global, printer: &mut Printer, verb: &ErrantVerb) -> Outcome {
    match verb {
        ErrantVerb::Show(which) => show(global, printer, which).await,
        ErrantVerb::Export(args) => Box::pin(export::run(global, printer, args)).await,
        ErrantVerb::InjectEmpty(args) => inject_empty(global, printer, args).await,
    }
}

async fn show(global: &Global, printer: &mut Printer, which: &ToShow) -> Outcome {
    let cluster = which.cluster.as_deref();
    let all = with_session(global, printer, cluster, Asked::Anyone, async |session, _| {
        let mut all = Vec::new();
        for name in session.names(cluster) {
            let seen = session.service().explain(&name).await?;
            all.push(errant::found(&seen.snapshot));
        }
        Ok(all)
    })
    .await?;
    match (printer.wants_json(), cluster, all.as_slice()) {
        (true, Some(_), [one]) => printer.json(one)?,
        (true, ..) => printer.json(&all)?,
        (false, ..) => printer.data(&page(all.iter().map(errant::render)))?,
    }
    Ok(Exit::Done)
}

async fn inject_empty(global: &Global, printer: &mut Printer, args: &InjectEmpty) -> Outcome {
    let asks = !args.yes && !args.dry_run;
    if asks && !printer.is_interactive() {
        return Err(Failure::usage("this cannot be taken back, and nobody can be asked")
            .hint("look with --dry-run first, then add --yes"));
    }
    let cluster = the_one(&load(global)?, args.which.cluster.as_deref())?;
    let order = InjectOrder { server: args.server.clone(), dry_run: args.dry_run };
    with_session(global, printer, Some(&cluster), Asked::Anyone, async |session, printer| {
        if asks {
            let dry = InjectOrder { dry_run: true, ..order.clone() };
            let planned = session.service().inject_empty(&cluster, dry).await?;
            if planned.transactions.is_empty() {
                return told(printer, &planned);
            }
            printer.note(errant::summary(&planned).trim_end());
            let question = format!("Commit them on {}? It cannot be taken back.", planned.primary);
            confirm(printer, &question)?;
        }
        let answer = session.service().inject_empty(&cluster, order).await?;
        told(printer, &answer)
    })
    .await
}

fn told(printer: &mut Printer, injection: &Injection) -> Outcome {
    if printer.wants_json() {
        printer.json(injection)?;
        return Ok(Exit::Done);
    }
    if injection.done || injection.transactions.is_empty() {
        printer.data(&errant::summary(injection))?;
    } else {
        printer.data(&errant::statements(injection))?;
        printer.hint("this is a dry run: nothing was touched");
    }
    Ok(Exit::Done)
}
