//! The verbs that change something: `switchover`, `failover`, `pause`, `resume`.

use primacy_api::{
    Answer, ApiError, ErrorKind, FailoverOrder, PauseOrder, Service, SwitchoverOrder,
};

use super::with_session;
use crate::args::{Failover, Global, Pause, Switchover, ToAct};
use crate::confirm::confirm;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::follow::follow;
use crate::printer::Printer;
use crate::render::{answer as answer_text, plan as plan_text, status as status_text};
use crate::session::{Asked, Session, load, the_one};

/// One of the two orders that move the primary's role.
#[derive(Clone)]
enum Order {
    Switchover(SwitchoverOrder),
    Failover(FailoverOrder),
}

impl Order {
    async fn give(&self, service: &dyn Service, cluster: &str) -> Result<Answer, ApiError> {
        match self {
            Self::Switchover(order) => service.switchover(cluster, order.clone()).await,
            Self::Failover(order) => service.failover(cluster, order.clone()).await,
        }
    }

    fn dry(&self) -> Self {
        match self.clone() {
            Self::Switchover(order) => Self::Switchover(SwitchoverOrder { dry_run: true, ..order }),
            Self::Failover(order) => Self::Failover(FailoverOrder { dry_run: true, ..order }),
        }
    }

    fn is_dry(&self) -> bool {
        match self {
            Self::Switchover(order) => order.dry_run,
            Self::Failover(order) => order.dry_run,
        }
    }

    /// It may give up data, or leave two writable servers.
    fn is_destructive(&self) -> bool {
        matches!(self, Self::Failover(order) if order.force || order.accept_loss)
    }

    fn question(&self, cluster: &str) -> String {
        match self {
            Self::Switchover(_) => format!("Switch {cluster} over?"),
            Self::Failover(order) if order.accept_loss => {
                format!("Fail {cluster} over and give up transactions that exist?")
            }
            Self::Failover(order) if order.force => {
                format!(
                    "Fail {cluster} over by force? If the primary lives, two servers accept writes."
                )
            }
            Self::Failover(_) => format!("Fail {cluster} over?"),
        }
    }
}

pub(super) async fn switchover(
    global: &Global,
    printer: &mut Printer,
    args: &Switchover,
) -> Outcome {
    let order = SwitchoverOrder {
        to: args.to.clone(),
        dry_run: args.dry_run,
        ..SwitchoverOrder::default()
    };
    act(global, printer, &args.which, &Order::Switchover(order), args.yes).await
}

pub(super) async fn failover(global: &Global, printer: &mut Printer, args: &Failover) -> Outcome {
    let order = FailoverOrder {
        to: args.to.clone(),
        dry_run: args.dry_run,
        force: args.force,
        accept_loss: args.accept_loss,
    };
    act(global, printer, &args.which, &Order::Failover(order), args.yes).await
}

async fn act(
    global: &Global,
    printer: &mut Printer,
    which: &ToAct,
    order: &Order,
    yes: bool,
) -> Outcome {
    let asks = !yes && !order.is_dry();
    if asks && order.is_destructive() && !printer.is_interactive() {
        return Err(Failure::usage("--force may do harm and nobody can be asked")
            .hint("add --yes if that is what you want"));
    }
    let cluster = the_one(&load(global)?, which.cluster.as_deref())?;
    with_session(global, printer, Some(&cluster), Asked::Anyone, async |session, printer| {
        if order.is_dry() {
            let answer = order.give(session.service(), &cluster).await?;
            return show(printer, &answer);
        }
        if asks && printer.is_interactive() {
            preview(session, printer, order, &cluster).await?;
            confirm(printer, &order.question(&cluster))?;
        }
        let answer =
            follow(session, printer, &cluster, order.give(session.service(), &cluster)).await?;
        show(printer, &answer)
    })
    .await
}

/// Shows what is about to be done. An order that changes a failover under way has no plan.
async fn preview(
    session: &Session,
    printer: &mut Printer,
    order: &Order,
    cluster: &str,
) -> Result<(), Failure> {
    match order.dry().give(session.service(), cluster).await {
        Ok(Answer::Plan { plan }) => {
            let text = plan_text::render(&plan, &printer.look);
            printer.note(text.trim_end());
            Ok(())
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind == ErrorKind::Busy => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn show(printer: &mut Printer, answer: &Answer) -> Outcome {
    if printer.wants_json() {
        printer.json(answer)?;
        return Ok(Exit::Done);
    }
    match answer {
        Answer::Plan { plan } => {
            let text = plan_text::render(plan, &printer.look);
            printer.data(&text)?;
            printer.hint("this is a dry run: nothing was touched");
        }
        Answer::Done { report } => {
            printer.data(&answer_text::report(report))?;
            printer.hint(&format!("every step and its time: primacy history {}", report.operation));
        }
        Answer::Amended { operation } => {
            printer.data(&format!("the failover {operation} goes on with the changed order"))?;
            printer.hint(&format!("see: primacy history {operation}"));
        }
    }
    Ok(Exit::Done)
}

pub(super) async fn pause(global: &Global, printer: &mut Printer, args: &Pause) -> Outcome {
    let cluster = the_one(&load(global)?, args.which.cluster.as_deref())?;
    let order = PauseOrder { reason: args.reason.clone() };
    with_session(global, printer, Some(&cluster), Asked::Manager, async |session, printer| {
        let view = session.service().pause(&cluster, order).await?;
        if printer.wants_json() {
            printer.json(&view)?;
        } else {
            let text = status_text::heading(&view, &printer.look);
            printer.data(&text)?;
        }
        Ok(Exit::Done)
    })
    .await
}

pub(super) async fn resume(global: &Global, printer: &mut Printer, which: &ToAct) -> Outcome {
    let cluster = the_one(&load(global)?, which.cluster.as_deref())?;
    with_session(global, printer, Some(&cluster), Asked::Manager, async |session, printer| {
        let view = session.service().resume(&cluster).await?;
        if printer.wants_json() {
            printer.json(&view)?;
        } else {
            let text = status_text::heading(&view, &printer.look);
            printer.data(&text)?;
        }
        Ok(Exit::Done)
    })
    .await
}
