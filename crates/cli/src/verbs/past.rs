//! `history`.

use super::with_session;
use crate::args::{Global, HistoryArgs};
use crate::exit::Exit;
use crate::failure::Outcome;
use crate::printer::Printer;
use crate::render::history as text;
use crate::session::Asked;

pub(super) async fn history(global: &Global, printer: &mut Printer, args: &HistoryArgs) -> Outcome {
    let cluster = args.cluster.as_deref();
    with_session(global, printer, cluster, Asked::Anyone, async |session, printer| {
        if let Some(id) = &args.id {
            let detail = session.service().operation(id).await?;
            if printer.wants_json() {
                printer.json(&detail)?;
            } else {
                let text = text::detail(&detail, &printer.look);
                printer.data(&text)?;
            }
            return Ok(Exit::Done);
        }
        let entries = session.service().history(cluster, usize::from(args.limit)).await?;
        if printer.wants_json() {
            printer.json(&entries)?;
        } else {
            let text = text::list(&entries, &printer.look);
            printer.data(&text)?;
            match entries.first() {
                Some(newest) => {
                    printer.hint(&format!("one of them in full: primacy history {}", newest.id));
                }
                None => printer.note("nothing has been done yet"),
            }
        }
        Ok(Exit::Done)
    })
    .await
}
