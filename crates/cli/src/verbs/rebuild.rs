//! `rebuild`: shows the plan, asks, begins, and follows it.

use std::time::{Duration, Instant};

use primacy_api::{CancelRebuild, RebuildAnswer, RebuildOrder, RebuildPhase, RebuildView, Service};
use primacy_store::Outcome;

use super::with_session;
use crate::args::{Global, Rebuild};
use crate::confirm::confirm;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome as Ended};
use crate::printer::Printer;
use crate::render::rebuild as text;
use crate::session::{Asked, load};
use crate::signals::Interrupt;

/// How often it is asked how far it is.
const EVERY: Duration = Duration::from_millis(500);
/// How often that is said while nothing but the numbers change.
const SAY: Duration = Duration::from_secs(5);

pub(super) async fn run(global: &Global, printer: &mut Printer, args: &Rebuild) -> Ended {
    let cluster = cluster_of(global, args)?;
    let asked = if args.dry_run { Asked::Anyone } else { Asked::Manager };
    with_session(global, printer, Some(&cluster), asked, async |session, printer| {
        let service = session.service();
        if args.cancel {
            let order = CancelRebuild { server: args.server.clone() };
            let view = service.cancel_rebuild(&cluster, order).await?;
            return show(printer, &view);
        }
        let order = RebuildOrder {
            server: args.server.clone(),
            from: args.from.clone(),
            dry_run: args.dry_run,
            rate: args.limit_rate,
            max_lag: Some(args.max_lag),
            remove_old: args.remove_old,
            method: args.method.into(),
        };
        if args.dry_run {
            let answer = service.rebuild(&cluster, order).await?;
            match &answer {
                _ if printer.wants_json() => printer.json(&answer)?,
                RebuildAnswer::Plan { plan, .. } => {
                    printer.data(&text::plan(plan))?;
                    printer.hint("this is a dry run: nothing was touched");
                }
                RebuildAnswer::Begun { .. } => {}
            }
            return Ok(Exit::Done);
        }
        if !args.yes {
            if !printer.is_interactive() {
                return Err(Failure::usage(
                    "a rebuild replaces a server's data, and nobody can be asked",
                )
                .hint("add --yes if that is what you want"));
            }
            let dry = RebuildOrder { dry_run: true, ..order.clone() };
            if let RebuildAnswer::Plan { plan, .. } = service.rebuild(&cluster, dry).await? {
                printer.note(text::plan(&plan).trim_end());
            }
            confirm(printer, &format!("Rebuild {}?", args.server))?;
        }
        let operation = match service.rebuild(&cluster, order).await? {
            RebuildAnswer::Begun { operation, plan } => {
                printer.note(&format!(
                    "{} is rebuilt from {} ({})",
                    plan.request.server,
                    plan.donor,
                    plan.method.word()
                ));
                operation
            }
            RebuildAnswer::Plan { .. } => return Ok(Exit::Done),
        };
        if args.background {
            printer.hint(&format!("how far it is: primacy history {operation}"));
            return Ok(Exit::Done);
        }
        follow(service, printer, &cluster, &operation).await
    })
    .await
}

/// The cluster that is named, or the only one with this server.
fn cluster_of(global: &Global, args: &Rebuild) -> Result<String, Failure> {
    let config = load(global)?;
    if let Some(name) = &args.cluster {
        return Ok(name.clone());
    }
    let with = config.clusters.values().filter(|c| c.servers.contains(&args.server));
    let names: Vec<String> = with.map(|c| c.name.to_string()).collect();
    match names.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Failure::usage(format!("no cluster of the configuration has {}", args.server))
            .hint("primacy list servers names them; write the address as the configuration does")),
        several => Err(Failure::usage(format!(
            "{} is in several clusters: {}",
            args.server,
            several.join(", ")
        ))
        .hint("name one with --cluster")),
    }
}

/// Says how far it is until it is over. Ctrl-C ends the saying only.
pub(super) async fn follow(
    service: &dyn Service,
    printer: &mut Printer,
    cluster: &str,
    operation: &str,
) -> Ended {
    let mut interrupt = Interrupt::watch()?;
    let mut said: Option<(RebuildPhase, bool, Instant)> = None;
    loop {
        let views = service.rebuilds(cluster).await?;
        let Some(view) = views.into_iter().find(|view| view.operation == operation) else {
            let text = "the manager does not know this rebuild any more";
            return Err(Failure::new(Exit::Refused, text)
                .hint(format!("what became of it: primacy history {operation}")));
        };
        if view.outcome.is_some() {
            return show(printer, &view);
        }
        let now = Instant::now();
        let news = said.is_none_or(|(phase, paused, at)| {
            (phase, paused) != (view.phase, view.paused) || now.duration_since(at) >= SAY
        });
        if news {
            printer.note(&text::progress(&view));
            said = Some((view.phase, view.paused, now));
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = interrupt.next() => {
                let text = "no longer waiting; the manager goes on with it";
                return Err(Failure::new(Exit::Refused, text).hint(format!(
                    "how far it is: primacy history {operation}; to end it: primacy rebuild {} --cancel",
                    view.server
                )));
            }
        }
    }
}

fn show(printer: &mut Printer, view: &RebuildView) -> Ended {
    let sentence = view.sentence.clone().unwrap_or_default();
    if printer.wants_json() {
        printer.json(view)?;
    } else if view.outcome == Some(Outcome::Done) {
        printer.data(&sentence)?;
    }
    let exit = match view.outcome {
        Some(Outcome::Done) => {
            printer.hint(&format!("every step and its time: primacy history {}", view.operation));
            return Ok(Exit::Done);
        }
        Some(Outcome::BackedOut) => Exit::PutBack,
        _ => Exit::Refused,
    };
    Err(Failure::new(exit, sentence).hint(format!("see: primacy history {}", view.operation)))
}
