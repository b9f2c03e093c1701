//! `rejoin`: a server that is back becomes a replica again.

use primacy_api::{RejoinOrder, Rejoining};
use primacy_types::OnErrant;

use super::with_session;
use crate::args::{Global, RejoinArgs};
use crate::confirm::confirm;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;
use crate::session::{Asked, load};

pub(super) async fn run(global: &Global, printer: &mut Printer, args: &RejoinArgs) -> Outcome {
    let changes_data = matches!(args.on_errant, Some(OnErrant::Rewind | OnErrant::Rebuild));
    let asks = !args.yes && !args.dry_run;
    if asks && changes_data && !printer.is_interactive() {
        return Err(Failure::usage("this changes the server's data, and nobody can be asked")
            .hint("look with --dry-run first, then add --yes"));
    }
    let config = load(global)?;
    let cluster = config
        .clusters
        .values()
        .find(|cluster| cluster.servers.contains(&args.server))
        .map(|cluster| cluster.name.to_string())
        .ok_or_else(|| {
            Failure::usage(format!("no cluster of the configuration has {}", args.server))
                .hint("primacy status names the servers")
        })?;
    let (server, on_errant) = (args.server.clone(), args.on_errant);
    let order = RejoinOrder { server, on_errant, dry_run: args.dry_run };
    with_session(global, printer, Some(&cluster), Asked::Anyone, async |session, printer| {
        if asks && printer.is_interactive() {
            let dry = RejoinOrder { dry_run: true, ..order.clone() };
            let planned = session.service().rejoin(&cluster, dry).await?;
            if planned.done {
                return told(printer, &planned, args.dry_run);
            }
            printer.note(&planned.sentence);
            confirm(printer, &format!("Bring {} back?", order.server))?;
        }
        let answer = session.service().rejoin(&cluster, order).await?;
        told(printer, &answer, args.dry_run)
    })
    .await
}

fn told(printer: &mut Printer, answer: &Rejoining, dry: bool) -> Outcome {
    if printer.wants_json() {
        printer.json(answer)?;
    } else {
        printer.data(&answer.sentence)?;
        if dry {
            printer.hint("this is a dry run: nothing was touched");
        } else if let Some(id) = &answer.operation {
            printer.hint(&format!("its timeline: primacy history {id}"));
        }
    }
    // Left alone is not what was asked for.
    Ok(if answer.done || dry { Exit::Done } else { Exit::Refused })
}
