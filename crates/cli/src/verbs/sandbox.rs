//! `sandbox`: real clusters on this machine.

use std::future::Future;

use primacy_sandbox::{Sandbox, UpOptions};
use serde::Serialize;

use crate::args::{GtidSwitch, OneServer, SandboxVerb, Up};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;
use crate::render::sandbox as text;
use crate::signals::Interrupt;

/// The sandbox that is meant when none is named.
const USUAL: &str = "demo";

pub(super) async fn run(printer: &mut Printer, verb: &SandboxVerb) -> Outcome {
    match verb {
        SandboxVerb::Up(args) => up(printer, args).await,
        SandboxVerb::List => list(printer),
        SandboxVerb::Status(which) => {
            let servers = Sandbox::find(&which.name)?.status().await?;
            show(printer, &servers, &text::status(&servers))
        }
        SandboxVerb::Stop(args) => one(printer, args, "stopped", Sandbox::stop).await,
        SandboxVerb::Start(args) => one(printer, args, "started, read-only", Sandbox::start).await,
        SandboxVerb::Kill(args) => one(printer, args, "killed", Sandbox::kill).await,
        SandboxVerb::Freeze(args) => one(printer, args, "frozen", Sandbox::freeze).await,
        SandboxVerb::Thaw(args) => one(printer, args, "thawed", Sandbox::thaw).await,
        SandboxVerb::Down(which) => {
            Sandbox::find(&which.name)?.down().await?;
            printer.note(&format!("{} is down; nothing is left of it", which.name));
            Ok(Exit::Done)
        }
    }
}

fn options(args: &Up) -> Result<UpOptions, Failure> {
    let name = &args.which.name;
    let mut options = match &args.dir {
        Some(dir) => UpOptions::in_dir(name, dir),
        None => UpOptions::named(name)?,
    };
    options.server.clone_from(&args.server);
    options.replicas = args.replicas;
    options.gtid = args.gtid == GtidSwitch::On;
    options.semi_sync = args.semi_sync;
    options.semi_sync_wait_count = args.semi_sync_wait_count;
    options.base_port = args.base_port;
    options.tls = args.tls;
    Ok(options)
}

async fn up(printer: &mut Printer, args: &Up) -> Outcome {
    let name = args.which.name.clone();
    // One that is there already is refused, and is not ours to take down.
    let is_new = Sandbox::find(&name).is_err();
    let Some(sandbox) = until_interrupted(printer, Sandbox::up(options(args)?)).await? else {
        if is_new && let Ok(rest) = Sandbox::find(&name) {
            rest.down().await?;
        }
        return Err(Failure::new(Exit::PutBack, "interrupted; nothing is left of the sandbox"));
    };
    let info = sandbox.info();
    show(printer, info, &text::made(info))?;
    let config = info.config.display();
    let first = info.servers.first().map_or("s1", |server| server.name.as_str());
    printer.hint(&format!(
        "what to do next\n  primacy manager --config {config}\n  \
         primacy status --config {config}\n  primacy sandbox kill {name} {first}"
    ));
    Ok(Exit::Done)
}

/// Lets a sandbox be made. After Ctrl-C it is let finish, so that nothing of it is still being
/// made while it is removed; a second one cuts it short, and the caller removes what is left.
/// `None`: interrupted.
async fn until_interrupted(
    printer: &mut Printer,
    making: impl Future<Output = primacy_sandbox::Result<Sandbox>>,
) -> Result<Option<Sandbox>, Failure> {
    let mut interrupt = Interrupt::watch()?;
    let mut making = Box::pin(making);
    tokio::select! {
        made = &mut making => return Ok(Some(made?)),
        () = interrupt.next() => printer.note("taking it down again"),
    }
    tokio::select! {
        // What fails removes itself.
        made = &mut making => if let Ok(sandbox) = made {
            sandbox.down().await?;
        },
        () = interrupt.next() => {}
    }
    Ok(None)
}

fn list(printer: &mut Printer) -> Outcome {
    let all = Sandbox::list()?;
    let infos: Vec<_> = all.iter().map(Sandbox::info).collect();
    if infos.is_empty() {
        printer.note("there is no sandbox; make one with: primacy sandbox up");
    }
    show(printer, &infos, &text::list(&infos))
}

/// Does something to one server and says so.
async fn one(
    printer: &mut Printer,
    args: &OneServer,
    done: &str,
    action: impl AsyncFnOnce(&Sandbox, &str) -> primacy_sandbox::Result<()>,
) -> Outcome {
    let name = args.name.as_deref().unwrap_or(USUAL);
    let sandbox = Sandbox::find(name)?;
    action(&sandbox, &args.server).await?;
    let server = sandbox.info().server(&args.server)?;
    printer.note(&format!("{} ({}) of {name} is {done}", server.name, server.address));
    Ok(Exit::Done)
}

fn show(printer: &mut Printer, value: &impl Serialize, text: &str) -> Outcome {
    if printer.wants_json() {
        printer.json(value)?;
    } else {
        printer.data(text)?;
    }
    Ok(Exit::Done)
}
