//! `purge-relay-logs`.

use primacy_api::{PurgeOrder, PurgeReport};

use super::with_session;
use crate::args::{Global, PurgeRelayLogs};
use crate::exit::Exit;
use crate::failure::Outcome;
use crate::printer::Printer;
use crate::render::relay_logs;
use crate::session::{Asked, load, the_one};

pub(super) async fn purge(
    global: &Global,
    printer: &mut Printer,
    args: &PurgeRelayLogs,
) -> Outcome {
    let cluster = the_one(&load(global)?, args.cluster.as_deref())?;
    let order = PurgeOrder { servers: args.servers.clone(), dry_run: args.dry_run };
    let report =
        with_session(global, printer, Some(&cluster), Asked::Anyone, async |session, _| {
            Ok(session.service().purge_relay_logs(&cluster, order).await?)
        })
        .await?;
    if printer.wants_json() {
        printer.json(&report)?;
    } else {
        printer.data(&relay_logs::render(&report))?;
        if report.dry_run {
            printer.hint("this is a dry run: nothing was touched");
        }
    }
    Ok(exit(&report, args))
}

/// A server that was named and keeps its relay logs is a no.
fn exit(report: &PurgeReport, args: &PurgeRelayLogs) -> Exit {
    let kept = report.servers.iter().any(|server| !server.purged);
    if kept && !args.servers.is_empty() { Exit::Refused } else { Exit::Done }
}
