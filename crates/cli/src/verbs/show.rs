//! The verbs that only look: `status`, `list`, `topology`, `check`, `explain`.

use std::time::Duration;

use primacy_api::ClusterView;
use serde::Serialize;

use super::with_session;
use crate::args::{Global, Status, ToShow};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;
use crate::render::{
    check as check_text, explain as explain_text, list, page, status as status_text,
    topology as topology_text,
};
use crate::session::{Asked, Session};
use crate::signals::Interrupt;

/// Pause between two looks of `--watch`.
const EVERY: Duration = Duration::from_secs(1);

/// To the upper left corner, and the screen emptied from there on.
const REDRAW: &str = "\x1b[H\x1b[2J";

pub(super) async fn status(global: &Global, printer: &mut Printer, args: &Status) -> Outcome {
    let cluster = args.which.cluster.as_deref();
    with_session(global, printer, cluster, Asked::Anyone, async |session, printer| {
        if args.watch {
            return watch(session, printer, cluster).await;
        }
        let views = views(session, cluster).await?;
        if printer.wants_json() {
            documents(printer, cluster, &views)?;
        } else {
            let text = statuses(&views, printer);
            printer.data(&text)?;
        }
        Ok(Exit::Done)
    })
    .await
}

fn statuses(views: &[ClusterView], printer: &Printer) -> String {
    page(views.iter().map(|view| status_text::render(view, &printer.look)))
}

/// Shows it again and again. A manager that is gone for a while is waited for.
async fn watch(session: &Session, printer: &mut Printer, cluster: Option<&str>) -> Outcome {
    let mut interrupt = Interrupt::watch()?;
    let mut shown = String::new();
    let redraws = printer.shows_on_terminal() && !printer.wants_json();
    while !printer.reader_is_gone() {
        match views(session, cluster).await {
            Ok(views) if printer.wants_json() => {
                let now = format!("{views:?}");
                if now != shown {
                    match (cluster, views.as_slice()) {
                        (Some(_), [view]) => printer.json_line(view)?,
                        _ => printer.json_line(&views)?,
                    }
                    shown = now;
                }
            }
            Ok(views) => {
                let now = statuses(&views, printer);
                if redraws {
                    printer.data(&format!("{REDRAW}{now}"))?;
                } else if now != shown {
                    printer.data(&format!("{now}\n"))?;
                    shown = now;
                }
            }
            Err(failure) => printer.failure(&failure)?,
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = interrupt.next() => break,
        }
    }
    Ok(Exit::Done)
}

pub(super) async fn servers(global: &Global, printer: &mut Printer, which: &ToShow) -> Outcome {
    show_views(global, printer, which, |views, printer| list::servers(views, &printer.look)).await
}

pub(super) async fn topology(global: &Global, printer: &mut Printer, which: &ToShow) -> Outcome {
    let draw = |views: &[ClusterView], printer: &Printer| {
        page(views.iter().map(|view| topology_text::render(view, &printer.look)))
    };
    show_views(global, printer, which, draw).await
}

pub(super) async fn clusters(global: &Global, printer: &mut Printer) -> Outcome {
    let all = ToShow { cluster: None };
    show_views(global, printer, &all, |views, printer| list::clusters(views, &printer.look)).await
}

async fn show_views(
    global: &Global,
    printer: &mut Printer,
    which: &ToShow,
    draw: impl Fn(&[ClusterView], &Printer) -> String,
) -> Outcome {
    let cluster = which.cluster.as_deref();
    let views = with_session(global, printer, cluster, Asked::Anyone, async |session, _| {
        views(session, cluster).await
    })
    .await?;
    if printer.wants_json() {
        documents(printer, cluster, &views)?;
    } else {
        let text = draw(&views, printer);
        printer.data(&text)?;
    }
    Ok(Exit::Done)
}

pub(super) async fn check(global: &Global, printer: &mut Printer, which: &ToShow) -> Outcome {
    let cluster = which.cluster.as_deref();
    let mut reports = Vec::new();
    let worst = with_session(global, printer, cluster, Asked::Anyone, async |session, printer| {
        let mut worst = Exit::Done;
        for name in session.names(cluster) {
            match session.service().check(&name).await {
                Ok(report) => {
                    worst = worst.max(check_text::exit(&report));
                    reports.push(report);
                }
                Err(error) => worst = worst.max(say(printer, error.into())?),
            }
        }
        Ok(worst)
    })
    .await?;
    if printer.wants_json() {
        documents(printer, cluster, &reports)?;
    } else {
        printer.data(&page(reports.iter().map(check_text::render)))?;
    }
    Ok(worst)
}

pub(super) async fn explain(global: &Global, printer: &mut Printer, which: &ToShow) -> Outcome {
    let cluster = which.cluster.as_deref();
    let mut all = Vec::new();
    let worst = with_session(global, printer, cluster, Asked::Anyone, async |session, printer| {
        let mut worst = Exit::Done;
        for name in session.names(cluster) {
            match session.service().explain(&name).await {
                Ok(explanation) => all.push(explanation),
                Err(error) => worst = worst.max(say(printer, error.into())?),
            }
        }
        Ok(worst)
    })
    .await?;
    if printer.wants_json() {
        documents(printer, cluster, &all)?;
    } else {
        let text = page(all.iter().map(|one| explain_text::render(one, &printer.look)));
        printer.data(&text)?;
    }
    Ok(worst)
}

/// One cluster's error does not keep the others from being shown.
fn say(printer: &mut Printer, mut failure: Failure) -> Outcome {
    // Standard output holds one document.
    failure.answer = None;
    printer.failure(&failure)?;
    Ok(failure.exit)
}

async fn views(session: &Session, cluster: Option<&str>) -> Result<Vec<ClusterView>, Failure> {
    Ok(match cluster {
        Some(name) => vec![session.service().cluster(name).await?],
        None => session.service().clusters().await?,
    })
}

/// A cluster that was named is one document; all clusters are a list.
fn documents<T: Serialize>(
    printer: &mut Printer,
    cluster: Option<&str>,
    all: &[T],
) -> Result<(), Failure> {
    match (cluster, all) {
        (Some(_), [one]) => printer.json(one),
        _ => printer.json(&all),
    }
}
