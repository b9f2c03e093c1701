//! The worker: everything that an agent does.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use primacy_agent_api::Credentials;
use primacy_certs::Role;
use primacy_plan::lease::{Hold, LeaseTimes};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::enforce::{Others, enforce, watch_over};
use crate::guard::GuardLink;
use crate::rebuild::Rebuilds;
use crate::record::RecordFile;
use crate::served::Served;
use crate::{Agent, AgentOptions, AgentStartError, ServedOptions, clock, health, listen};

/// How often it is looked whether the certificates were renewed.
const RENEWED: Duration = Duration::from_secs(10);

/// How long a worker that is asked to end waits for a manager to take its leases back.
const PARTING: Duration = Duration::from_secs(5);

/// Limit of finding a server that was known before the agent was started.
const FIND: Duration = Duration::from_millis(300);

/// Works until `stop` resolves. With `guarded`, standard input is the socket of the guard. `ready`
/// is called when requests are answered.
///
/// # Errors
/// If it cannot start.
pub async fn work(
    options: AgentOptions,
    guarded: bool,
    ready: impl FnOnce(),
    stop: impl Future<Output = ()>,
) -> Result<(), AgentStartError> {
    if options.servers.is_empty() {
        return Err(AgentStartError::NoServers);
    }
    let credentials = Credentials::load(options.certificates.clone(), &Role::ALL)?;
    if credentials.own().role != Role::Agent {
        return Err(AgentStartError::Role { role: credentials.own().role.word() });
    }
    let (guard, kept) = match guarded {
        true => GuardLink::from_stdin().await?,
        false => (GuardLink::none(), Vec::new()),
    };
    let file = RecordFile::open(&options.state_dir)?;
    let known = |one: &ServedOptions| (one.clone(), file.of(&one.server));
    let known: Vec<_> = options.servers.iter().map(known).collect();
    let record = Arc::new(Mutex::new(file));
    let listener =
        TcpListener::bind((options.listen.host(), options.listen.port())).await.map_err(
            |source| AgentStartError::Listen { address: options.listen.to_string(), source },
        )?;
    let health = health::listen(options.health.as_ref()).await?;
    let times = LeaseTimes::new(options.lease);
    let servers = known.into_iter().map(|(one, known)| {
        let lease = kept.iter().find(|(server, _)| *server == one.server);
        let lease = lease.map(|(_, lease)| lease.clone());
        let served = Served::new(&one, times, Arc::clone(&record), known, lease);
        (one.server, Arc::new(served))
    });
    let credentials = Arc::new(credentials);
    let rebuilds = Arc::new(Rebuilds::new(&options.state_dir, Arc::clone(&credentials)));
    let agent = Arc::new(Agent { credentials, servers: servers.collect(), rebuilds });
    let others = Arc::new(Others::new(Arc::clone(&agent.credentials)));
    let mut tasks = JoinSet::new();
    for served in agent.servers.values().cloned() {
        let (looks, watches) = (Arc::clone(&served), Arc::clone(&served));
        tasks.spawn(async move { looks.look_after().await });
        tasks.spawn(async move { watches.watch_exits().await });
        tasks.spawn(crate::addresses::hold(Arc::clone(&served)));
        agent.rebuilds.recover(&served);
        tasks.spawn(crate::readers::hold(Arc::clone(&served)));
        tasks.spawn(enforce(Arc::clone(&served)));
        tasks.spawn(watch_over(served, Arc::clone(&others), guard.clone()));
    }
    tasks.spawn(renew(Arc::clone(&agent.credentials)));
    // A manager may be waiting for the logs of a server that has died: its first question comes at
    // once.
    for served in agent.servers.values() {
        served.find_without_asking(FIND).await;
        served.keep_down().await;
    }
    tasks.spawn(listen::accept(Arc::clone(&agent), listener));
    if let Some(listener) = health {
        tasks.spawn(health::serve(&options, Arc::clone(&agent), listener));
    }
    tracing::info!(listen = %options.listen, servers = agent.servers.len(), "the agent runs");
    ready();
    tokio::select! {
        () = stop => {}
        // None of them ends by itself: one that does has panicked.
        Some(ended) = tasks.join_next() => {
            let source = match ended {
                Ok(()) => std::io::Error::other("a task has ended"),
                Err(error) => std::io::Error::other(error.to_string()),
            };
            return Err(AgentStartError::System { what: "the agent", source });
        }
    }
    part(&agent).await;
    guard.farewell().await;
    Ok(())
}

/// Before the worker ends in order: it tells managers that nothing is guarded from now on, by its
/// answers, and waits until one has heard it. A server whose lease nobody takes back is closed: a
/// manager that comes later would believe that it was.
async fn part(agent: &Agent) {
    for served in agent.servers.values() {
        served.state().parting = true;
    }
    for served in agent.servers.values() {
        crate::readers::give_up_all(served).await;
    }
    let end = tokio::time::Instant::now() + PARTING;
    for served in agent.servers.values() {
        let heard = || {
            let state = served.state();
            state.farewell_heard || state.member.hold(clock::now()) == Hold::Without
        };
        while !heard() && tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if heard() {
            continue;
        }
        tracing::error!(
            server = %served.server,
            "the agent ends, and no manager has taken its lease back: the server is closed, so that \
             no later manager takes it for closed while it is not"
        );
        if let Err(error) = served.sql.close(Duration::from_secs(2)).await {
            tracing::error!(server = %served.server, %error, "it cannot be closed");
        }
    }
}

/// Certificates are renewed by replacing their files.
async fn renew(credentials: Arc<Credentials>) {
    loop {
        tokio::time::sleep(RENEWED).await;
        match credentials.refresh() {
            Ok(true) => tracing::info!("the certificate was renewed"),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "the renewed certificate cannot be used"),
        }
    }
}
