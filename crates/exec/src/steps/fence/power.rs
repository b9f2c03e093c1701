//! The last rung: the person's own `shutdown_script`. What it says is not enough: something that
//! still listens at the server's address, or a process that is still seen, makes it a failure.

use std::time::Duration;

use primacy_host::{HostError, Way};
use primacy_types::{Address, ProcessState};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::error::StepError;
use crate::shared::Shared;
use crate::{Cluster, Stopped};

/// A host that was told to power off may take so long until it is off.
const OFF: Duration = Duration::from_secs(10);

/// Limit of one look whether something listens: the kernel of a living host answers at once.
const LISTENS: Duration = Duration::from_secs(1);

/// Limit of asking a host that may be gone: as long as MHA waits for a login. What a script is told
/// decides whether it takes the address from there.
const ASK: Duration = Duration::from_secs(5);

/// Where a living host answers, be it with a refusal: tcpmux, ssh, and one that nobody has.
const PORTS: [u16; 3] = [1, 22, 7];

/// How often it is looked.
const AGAIN: Duration = Duration::from_millis(100);

/// Has the server stopped; gives what is to be told.
pub(super) async fn fence(
    cluster: &Cluster,
    server: &Address,
    shared: &Shared,
) -> Result<String, StepError> {
    let Some(script) = &cluster.shutdown else {
        return Err(StepError::impossible(server, "there is no shutdown_script any more"));
    };
    if shared.is_powered_off(server) && is_gone(cluster, server, LISTENS).await.is_ok() {
        return Ok(format!("its host was powered off; {NOTHING_READ}"));
    }
    let facts = cluster.eyes.remembered().server(server).and_then(|seen| seen.facts.clone());
    let pid_file = facts.map(|facts| facts.pid_file).filter(|path| !path.is_empty());
    let over_ssh = answers_over_ssh(cluster, server).await;
    let stopped = script.stop(server, pid_file.as_deref(), over_ssh).await;
    let (stopped, outcome) = stopped.map_err(|outcome| {
        StepError::impossible(server, format!("shutdown_script has not stopped it: {outcome}"))
    })?;
    if let Err(seen) = is_gone(cluster, server, OFF).await {
        let why = format!("shutdown_script says that it is stopped, and {seen}: {outcome}");
        return Err(StepError::impossible(server, why));
    }
    match stopped {
        Stopped::Process => Ok(format!(
            "its process was stopped (exit code 10) and nothing listens there; its disk can be \
             looked at. {outcome}"
        )),
        Stopped::Host => {
            let kept = shared.set_powered_off(server).await;
            kept.map_err(|error| StepError::Store(Box::new(error)))?;
            Ok(format!("its host was powered off (exit code 0); {NOTHING_READ}. {outcome}"))
        }
    }
}

const NOTHING_READ: &str = "nothing listens there, and nothing is read from its disk";

/// Whether the script may be told that the host answers over ssh. One that knows nothing of the
/// server's process answers too: it may have ended before anybody looked.
pub(in crate::steps) async fn answers_over_ssh(cluster: &Cluster, server: &Address) -> bool {
    match cluster.hosts.of(server) {
        Some(host) if host.way() == Way::Ssh => {
            matches!(host.process(ASK).await, Ok(_) | Err(HostError::ProcessUnseen { .. }))
        }
        _ => false,
    }
}

/// Waits until nothing listens at the server's address and nobody sees its process; an error says
/// what is still there at the limit. A frozen process answers nobody and its kernel still accepts
/// connections: so connections are tried, not logins.
async fn is_gone(cluster: &Cluster, server: &Address, limit: Duration) -> Result<(), String> {
    let end = Instant::now() + limit;
    loop {
        let still = still_there(cluster, server).await;
        let Some(seen) = still else { return Ok(()) };
        if Instant::now() >= end {
            return Err(seen);
        }
        sleep(AGAIN).await;
    }
}

/// What came of trying to connect.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Knock {
    Accepted,
    /// The host lives, and nobody listens there.
    Refused,
    /// Nothing came back, or the network says that there is no such host.
    Silence,
}

async fn knock(server: &Address, port: u16) -> Knock {
    match timeout(LISTENS, TcpStream::connect((server.host(), port))).await {
        Ok(Ok(_)) => Knock::Accepted,
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => Knock::Refused,
        Ok(Err(_)) | Err(_) => Knock::Silence,
    }
}

/// A port at which the server's host says anything.
async fn answering_port(server: &Address) -> Option<u16> {
    let asked = PORTS.map(async |port| (port, knock(server, port).await));
    let answers = futures_util::future::join_all(asked).await;
    answers.into_iter().find(|(_, knock)| *knock != Knock::Silence).map(|(port, _)| port)
}

async fn still_there(cluster: &Cluster, server: &Address) -> Option<String> {
    match knock(server, server.port()).await {
        Knock::Accepted => return Some(format!("connections to {server} are still accepted")),
        Knock::Refused => {}
        // A frozen process whose queue of connections is full looks like a host that is off; but
        // its host still answers at ports where nobody listens.
        Knock::Silence => {
            if let Some(port) = answering_port(server).await {
                return Some(format!(
                    "its host answers (at port {port}) and does not refuse connections to {server}"
                ));
            }
        }
    }
    let host = cluster.hosts.of(server)?;
    match host.process(LISTENS).await {
        Ok(ProcessState::Running { pid }) => Some(format!("its process {pid} still runs")),
        Ok(ProcessState::Frozen { pid }) => Some(format!("its process {pid} is still there")),
        Ok(ProcessState::Exited { .. }) | Err(_) => None,
    }
}
