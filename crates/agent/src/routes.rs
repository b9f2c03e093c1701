//! The requests.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};
use primacy_agent_api::{
    AbilitySaid, CHECKSUM, Capabilities, ExtendOrder, Fault, FaultKind, FileEntry, FileOrder,
    GrantOrder, LARGEST_PIECE, LeaseState, ListOrder, OfServer, Opened, Probe, Probed, RangeOrder,
    ServedServer, Standing, StandingOrder, WatchOrder, Watched, WhoAmI, paths,
};
use primacy_certs::{Peer, Role};
use primacy_host::{Ability, HostAccess as _};
use primacy_plan::lease::{LeaseRefusal, Vote};
use primacy_types::{Address, Millis, ProcessState};

use crate::fence::{fence, release};
use crate::served::{RECORD, Served, fault};
use crate::{Agent, addresses, clock, observer, rebuild};

/// No request is larger.
const LARGEST_REQUEST: usize = 256 << 10;

/// No request may ask for more time.
const LONGEST: Duration = Duration::from_secs(60);

type Shared = Arc<Agent>;
pub(crate) type Answer<T> = Result<Json<T>, Refused>;

/// A refusal as an HTTP answer.
pub(crate) struct Refused(Fault);

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match self.0.kind {
            FaultKind::BadRequest => StatusCode::BAD_REQUEST,
            FaultKind::Forbidden | FaultKind::NotALog => StatusCode::FORBIDDEN,
            FaultKind::UnknownServer | FaultKind::NoFile => StatusCode::NOT_FOUND,
            FaultKind::Lease => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(self.0)).into_response()
    }
}

/// Everything that may be asked, by whoever holds this certificate.
pub(crate) fn router(agent: Shared, peer: Peer) -> Router {
    let for_managers = Router::new()
        .route(paths::WHO, post(who))
        .route(paths::CAPABILITY, post(capability))
        .route(paths::PROCESS, post(process))
        .route(paths::WATCH, post(watch))
        .route(paths::FENCE, post(fence))
        .route(paths::RELEASE, post(release))
        .route(paths::START, post(start))
        .route(paths::STOP, post(stop))
        .route(paths::FILES, post(files))
        .route(paths::LENGTH, post(length))
        .route(paths::RANGE, post(range))
        .route(paths::STANDING, post(standing))
        .route(paths::GRANT, post(grant))
        .route(paths::OPEN, post(open))
        .route(paths::PROBE, post(probe))
        .route(paths::OFFER, post(rebuild::offer))
        .route(paths::COPY_TOOLS, post(rebuild::copy_tools))
        .route(paths::BUILD, post(rebuild::build))
        .route(paths::JOB, post(rebuild::act))
        .route(paths::JOB_STATE, post(rebuild::state));
    // An agent may ask one thing of another, and show it the ticket of a manager; with a stolen
    // certificate of an agent nothing else can be done on another host.
    let allowed = match peer.role {
        Role::Manager => for_managers,
        Role::Agent => Router::new(),
    };
    allowed
        .route(paths::EXTEND, post(extend))
        .route(paths::BACKUP, post(rebuild::backup))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(LARGEST_REQUEST))
        .layer(Extension(Arc::new(peer)))
        .with_state(agent)
}

async fn unknown(Extension(peer): Extension<Arc<Peer>>) -> Refused {
    let text = match peer.role {
        Role::Manager => "no such request".to_owned(),
        Role::Agent => format!("{} is an agent and may not ask this", peer.name),
    };
    Refused(Fault::new(FaultKind::Forbidden, text))
}

pub(crate) fn limit(asked: Millis) -> Duration {
    asked.as_duration().min(LONGEST)
}

pub(crate) fn served<'a>(agent: &'a Agent, server: &Address) -> Result<&'a Arc<Served>, Fault> {
    agent.servers.get(server).ok_or_else(|| {
        let text = format!("{server} is not looked after by this agent ({})", agent.name());
        Fault::new(FaultKind::UnknownServer, text)
    })
}

async fn who(State(agent): State<Shared>) -> Answer<WhoAmI> {
    let own = agent.credentials.own();
    let servers = agent.servers.values().map(|served| {
        let state = served.state();
        let (login, guarded) = (state.silent.clone(), Some(state.guarded));
        ServedServer { server: served.server.clone(), login, guarded }
    });
    Ok(Json(WhoAmI {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        name: own.name,
        boot_id: clock::boot_id(),
        certificate_expires_at: own.expires_at,
        servers: servers.collect(),
        lease: agent.servers.values().next().map(|served| served.times.ttl),
        wall_clock: Some(clock::wall()),
    }))
}

fn said(ability: Ability) -> AbilitySaid {
    match ability {
        Ability::Yes => AbilitySaid::Yes,
        Ability::No(reason) => AbilitySaid::No(reason),
    }
}

async fn capability(
    State(agent): State<Shared>,
    Json(order): Json<OfServer>,
) -> Answer<Capabilities> {
    let host = served(&agent, &order.server)?.host()?;
    let able = host.capability(limit(order.limit)).await.map_err(|error| fault(&error))?;
    Ok(Json(Capabilities {
        watch: said(able.watch),
        kill: said(able.kill),
        read_files: said(able.read_files),
        unit: able.unit,
        mask_unit: able.mask_unit.map(said),
        addresses: Some(said(addresses::able())),
    }))
}

async fn process(State(agent): State<Shared>, Json(order): Json<OfServer>) -> Answer<ProcessState> {
    let host = served(&agent, &order.server)?.host()?;
    Ok(Json(host.process(limit(order.limit)).await.map_err(|error| fault(&error))?))
}

async fn watch(State(agent): State<Shared>, Json(order): Json<WatchOrder>) -> Answer<Watched> {
    let served = served(&agent, &order.server)?;
    Ok(Json(served.watched(order.after, limit(order.wait)).await))
}

async fn start(State(agent): State<Shared>, Json(order): Json<OfServer>) -> Answer<ProcessState> {
    let served = served(&agent, &order.server)?;
    served.may_start()?;
    let limit = limit(order.limit);
    let host = served.host_or_former(limit).await?;
    tracing::info!(server = %served.server, "started by a manager");
    Ok(Json(host.start(limit).await.map_err(|error| fault(&error))?))
}

async fn stop(State(agent): State<Shared>, Json(order): Json<OfServer>) -> Answer<ProcessState> {
    let served = served(&agent, &order.server)?;
    served.may_stop()?;
    let limit = limit(order.limit);
    let host = served.host_or_former(limit).await?;
    tracing::warn!(server = %served.server, "shut down by a manager");
    Ok(Json(host.stop(limit).await.map_err(|error| fault(&error))?))
}

async fn files(
    State(agent): State<Shared>,
    Json(order): Json<ListOrder>,
) -> Answer<Vec<FileEntry>> {
    let served = served(&agent, &order.server)?;
    let logs = served.logs();
    logs.allow_dir(&order.dir)?;
    let host = served.host()?;
    let all = host.list(&order.dir, limit(order.limit)).await.map_err(|error| fault(&error))?;
    let shown = all.into_iter().filter(|file| logs.shows(&file.name));
    Ok(Json(shown.map(|file| FileEntry { name: file.name, len: file.len }).collect()))
}

async fn length(State(agent): State<Shared>, Json(order): Json<FileOrder>) -> Answer<u64> {
    let served = served(&agent, &order.server)?;
    served.logs().allow_file(&order.path)?;
    let host = served.host()?;
    let length = host.file_len(&order.path, limit(order.limit)).await;
    Ok(Json(length.map_err(|error| fault(&error))?))
}

async fn range(
    State(agent): State<Shared>,
    Json(order): Json<RangeOrder>,
) -> Result<Response, Refused> {
    let served = served(&agent, &order.server)?;
    served.logs().allow_file(&order.path)?;
    let host = served.host()?;
    let len = order.len.min(LARGEST_PIECE);
    let piece = host
        .read_range(&order.path, order.offset, len, limit(order.limit))
        .await
        .map_err(|error| fault(&error))?;
    let checksum = format!("{:08x}", crc32fast::hash(&piece));
    let headers =
        [(header::CONTENT_TYPE.as_str(), "application/octet-stream"), (CHECKSUM, &checksum)];
    Ok((headers, piece).into_response())
}

async fn standing(
    State(agent): State<Shared>,
    Json(order): Json<StandingOrder>,
) -> Answer<LeaseState> {
    let served = served(&agent, &order.server)?;
    let said = served.stands(&order);
    let obeyed = said.is_ok();
    if let Some(grant) = order.readers.as_ref().filter(|_| obeyed) {
        let readers = &mut served.state().readers;
        readers.holder.ordered(grant, clock::now());
        readers.take_over.clone_from(&grant.take_over);
    }
    served.keep(RECORD).await?;
    let mut answer = served.lease_state(said);
    if order.readers.is_some() && obeyed {
        answer.readers = Some(served.state().readers.answer(clock::now()));
    }
    Ok(Json(answer))
}

async fn grant(State(agent): State<Shared>, Json(order): Json<GrantOrder>) -> Answer<LeaseState> {
    let served = served(&agent, &order.server)?;
    let granted = served.state().member.granted(&order.grant, clock::now());
    served.keep(RECORD).await?;
    Ok(Json(served.lease_state(granted.map(|()| 0))))
}

async fn extend(State(agent): State<Shared>, Json(order): Json<ExtendOrder>) -> Answer<Vote> {
    let served = served(&agent, &order.server)?;
    let vote = {
        let mut state = served.state();
        if state.cluster.as_ref().is_some_and(|cluster| *cluster != order.cluster) {
            let text = format!("{} belongs to another cluster", order.server);
            return Err(Fault::new(FaultKind::Forbidden, text).into());
        }
        state.member.vote(&order.extension, clock::now())
    };
    if vote == Vote::Yes {
        served.keep(RECORD).await?;
    }
    Ok(Json(vote))
}

async fn open(State(agent): State<Shared>, Json(order): Json<Opened>) -> Answer<()> {
    let served = served(&agent, &order.server)?;
    served.may_open(order.epoch)?;
    let server = |error: primacy_wire::WireError| Fault::new(FaultKind::Server, error.to_string());
    served.sql.open(limit(order.limit)).await.map_err(server)?;
    if let Some(facts) = served.state().facts.as_mut() {
        facts.read_only = false;
        facts.super_read_only = facts.super_read_only.map(|_| false);
    }
    tracing::info!(server = %served.server, epoch = %order.epoch, "it accepts writes");
    Ok(Json(()))
}

async fn probe(State(agent): State<Shared>, Json(order): Json<Probe>) -> Answer<Vec<Probed>> {
    let Some(any) = agent.servers.values().next() else { return Ok(Json(Vec::new())) };
    Ok(Json(observer::probe(order.targets, &any.login, limit(order.limit)).await))
}

impl Served {
    /// A manager has said what the server is; gives what a grant must show, 0 if none is wanted.
    pub(crate) fn stands(&self, order: &StandingOrder) -> Result<u64, LeaseRefusal> {
        let now = clock::now();
        let mut state = self.state();
        state.farewell_heard |= state.farewell_told;
        if state.cluster.as_ref().is_some_and(|cluster| *cluster != order.cluster) {
            tracing::warn!(server = %self.server, cluster = order.cluster, "it belongs to another cluster now");
        }
        state.cluster = Some(order.cluster.clone());
        state.agents.clone_from(&order.agents);
        state.take_over = order.take_over;
        // What is held of those that are not wanted any more is given up by whoever holds it.
        state.vips.clone_from(&order.vips);
        match order.standing {
            // It is kept down: a lease would let it start before a manager lets it go.
            Standing::Primary if state.fenced => state.member.hear(order.ask, now).map(|()| 0),
            Standing::Primary => state.member.asked(order.ask, now),
            Standing::Other => {
                state.member.hear(order.ask, now)?;
                if state.member.lease().is_none_or(|lease| lease.epoch < order.epoch) {
                    state.member.give_back(order.epoch);
                }
                Ok(0)
            }
            Standing::Unmanaged => {
                state.member.hear(order.ask, now)?;
                state.member.forget();
                Ok(0)
            }
        }
    }
}
