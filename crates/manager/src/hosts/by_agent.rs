//! Looks at a host through its agent: whether the server's process runs, whether it can be killed,
//! whether its files can be read.

use std::sync::{Arc, Weak};
use std::time::Duration;

use primacy_agent_api::AgentClient;
use primacy_exec::{Eyes, Hosts};
use primacy_host::{AgentHost, HostAccess};
use primacy_types::{Address, FenceRung, FileAccess, ProcessState};

use super::{CLOSE_LOOK, SEARCH, file_access};
use crate::observatory::Observatory;

/// Limit of one question.
const LIMIT: Duration = Duration::from_secs(1);

/// Watches for as long as the observatory lives.
pub(super) async fn watch(
    server: Address,
    client: Arc<AgentClient>,
    observatory: Weak<Observatory>,
    hosts: Arc<Hosts>,
) {
    let host = Arc::new(AgentHost::new(server.clone(), client));
    hosts.set(server.clone(), Arc::clone(&host) as _);
    let mut said = None;
    let mut exited = host.exited();
    loop {
        let looked = look(&host).await;
        let Some(seen) = observatory.upgrade() else { return };
        let answers = seen.remembered().live(&server).is_some();
        let news = match looked {
            Ok((process, fences, files)) => {
                seen.set_process(&server, Some(process));
                seen.set_fences(&server, fences);
                seen.set_files(&server, Some(files));
                None
            }
            Err(reason) => {
                // What was seen over a connection that is gone says nothing of now.
                seen.set_process(&server, None);
                seen.set_fences(&server, Vec::new());
                Some(reason)
            }
        };
        if news != said {
            match &news {
                Some(reason) => tracing::warn!(%server, reason, "its agent"),
                None => tracing::info!(%server, agent = %host.server(), "its agent answers"),
            }
            said = news;
        }
        let wait = if answers && said.is_none() { SEARCH } else { CLOSE_LOOK };
        drop(seen);
        tokio::select! {
            state = &mut exited => {
                exited = host.exited();
                let Some(seen) = observatory.upgrade() else { return };
                tracing::info!(%server, ?state, "its process has ended");
                seen.set_process(&server, Some(state));
                // Its own connection is looked at first, as for a process of this machine.
                seen.nudge_all();
            }
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn look(host: &AgentHost) -> Result<(ProcessState, Vec<FenceRung>, FileAccess), String> {
    let said = |error: primacy_host::HostError| error.to_string();
    let process = host.process(LIMIT).await.map_err(said)?;
    let able = host.capability(LIMIT).await.map_err(said)?;
    // What could be killed while it ran can be kept down now that it is gone.
    let gone = matches!(process, ProcessState::Exited { .. });
    let fences = if able.kill.is_yes() || gone { vec![FenceRung::Agent] } else { Vec::new() };
    Ok((process, fences, file_access(able.read_files)))
}
