//! `agent`: the guard, and under it the worker.

use primacy_agent::{AgentOptions, ServedOptions, StartProgram, WorkerProgram, guard, work};
use primacy_config::{AgentConfig, AgentServer};
use primacy_wire::ConnectOptions;

use crate::args::{AgentArgs, Global};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::session::config_file;
use crate::signals::Interrupt;

/// How long the agent waits for its own server to let it in.
const CONNECT: std::time::Duration = std::time::Duration::from_secs(2);

/// Runs until it is asked to end.
pub(super) async fn run(global: &Global, args: &AgentArgs) -> Outcome {
    let options = options(global)?;
    if args.worker {
        let mut interrupt = Interrupt::watch()?;
        let ready = || {
            let states = [sd_notify::NotifyState::Ready, sd_notify::NotifyState::Status("serving")];
            if let Err(error) = sd_notify::notify(&states) {
                tracing::debug!(%error, "systemd was not told");
            }
        };
        Box::pin(work(options, true, ready, interrupt.next()))
            .await
            .map_err(|error| Failure::new(Exit::Refused, error))?;
        return Ok(Exit::Done);
    }
    let program = std::env::current_exe()
        .map_err(|e| Failure::new(Exit::Refused, format!("this program is not found: {e}")))?;
    let arguments = std::env::args_os().skip(1).chain(["--worker".into()]).collect();
    let code = guard(WorkerProgram { program, arguments, lease: options.lease })
        .await
        .map_err(|error| Failure::new(Exit::Refused, error))?;
    match code {
        0 => Ok(Exit::Done),
        _ => Err(Failure::new(Exit::Refused, "the agent's worker ended; its log lines say why")),
    }
}

/// What the configuration says, passwords read.
fn options(global: &Global) -> Result<AgentOptions, Failure> {
    let file = config_file(global);
    let config = primacy_manager::load_config(&file)?;
    let Some(agent) = &config.agent else {
        let text = format!("{} has no section [agent]", file.display());
        return Err(Failure::usage(text));
    };
    let password = primacy_manager::secret(&agent.account)?;
    let servers = agent.servers.iter().map(|server| ServedOptions {
        server: server.address.clone(),
        login: ConnectOptions {
            address: server.connect.clone().unwrap_or_else(|| server.address.clone()),
            user: agent.account.user.clone(),
            password: password.clone(),
            tls: primacy_manager::tls_mode(&agent.tls),
            connect_timeout: CONNECT,
            database: None,
            program: "primacy agent".to_owned(),
            unix_socket: server.socket.clone(),
        },
        start: start_program(agent, server),
    });
    Ok(AgentOptions {
        listen: agent.listen.clone(),
        certificates: paths(agent),
        state_dir: agent.state_dir.clone(),
        servers: servers.collect(),
        lease: agent.lease,
        health: agent.health.clone(),
    })
}

/// The program that starts a server, its output in the state folder.
fn start_program(agent: &AgentConfig, server: &AgentServer) -> Option<StartProgram> {
    if server.start.is_empty() {
        return None;
    }
    let name = format!("start-{}-{}.log", server.address.host(), server.address.port());
    let output = Some(agent.state_dir.join(name));
    Some(StartProgram { words: server.start.clone(), output })
}

fn paths(agent: &AgentConfig) -> primacy_certs::Paths {
    primacy_certs::Paths {
        certificate: agent.certificates.certificate.clone(),
        key: agent.certificates.key.clone(),
        authority: agent.certificates.authority.clone(),
    }
}
