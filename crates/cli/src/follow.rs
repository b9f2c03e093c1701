//! Shows an operation's timeline while it runs, and what Ctrl-C means meanwhile.

use std::future::Future;
use std::time::Duration;

use primacy_api::{Answer, ApiError, Service};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::render::history::event_line;
use crate::session::Session;
use crate::signals::Interrupt;

/// How often news are asked for.
const EVERY: Duration = Duration::from_millis(250);

/// Waits for an order's answer; its timeline is written to standard error as it happens.
///
/// An order is not taken back by Ctrl-C: what has begun is finished or put back. The second one
/// ends the waiting.
pub(crate) async fn follow(
    session: &Session,
    printer: &mut Printer,
    cluster: &str,
    order: impl Future<Output = Result<Answer, ApiError>>,
) -> Result<Answer, Failure> {
    let mut interrupt = Interrupt::watch()?;
    let mut told = Told::default();
    let mut interrupted = false;
    let mut order = std::pin::pin!(order);
    let answer = loop {
        tokio::select! {
            answer = &mut order => break answer,
            () = tokio::time::sleep(EVERY) => told.news(session.service(), printer, cluster).await,
            () = interrupt.next() => {
                if interrupted {
                    return Err(left_alone(session, &told));
                }
                interrupted = true;
                printer.note("it is under way and will be finished or put back; \
                              Ctrl-C once more stops waiting for it");
            }
        }
    };
    if let Ok(Answer::Done { report }) = &answer {
        told.operation = Some(report.operation.clone());
    }
    // Only of an operation that was seen or reported: a refusal has none.
    if told.operation.is_some() {
        told.news(session.service(), printer, cluster).await;
    }
    Ok(answer?)
}

fn left_alone(session: &Session, told: &Told) -> Failure {
    let id = told.operation.as_deref().unwrap_or_default();
    if session.is_alone() {
        let text = "ended in the midst of it; its journal says how far it came";
        Failure::new(Exit::Refused, text)
            .hint("start the manager: it finishes the operation, or puts everything back")
    } else {
        let text = "no longer waiting; the manager goes on with it";
        Failure::new(Exit::Refused, text).hint(format!("see: primacy history {id}"))
    }
}

/// How much of which timeline was written.
#[derive(Default)]
struct Told {
    operation: Option<String>,
    up_to: u64,
}

impl Told {
    /// Writes what is new. That nothing is to be had is no error: the answer will come.
    async fn news(&mut self, service: &dyn Service, printer: &mut Printer, cluster: &str) {
        if self.operation.is_none()
            && let Ok(view) = service.cluster(cluster).await
        {
            self.operation = view.operation.map(|operation| operation.id);
        }
        let Some(id) = &self.operation else { return };
        let Ok(detail) = service.operation(id).await else { return };
        for event in detail.timeline.iter().filter(|event| event.number > self.up_to) {
            printer.note(&event_line(detail.operation.started, event));
        }
        self.up_to = detail.timeline.last().map_or(self.up_to, |event| event.number);
    }
}
