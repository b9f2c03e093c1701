//! Puts the parts together: state, store, follower, face.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use primacy_replication::{Source as Listening, SourceOptions};
use primacy_types::{Address, ServerVersion};
use primacy_wire::TlsMode;
use primacy_wire::server::ServerTls;
use tokio::sync::watch;
use tokio::time::sleep;
use uuid::Uuid;

use crate::channel::{Channel, Source, Wanted};
use crate::discover;
use crate::error::ServeError;
use crate::face::{Face, MAX_CONNECTIONS};
use crate::feed::StoreFeed;
use crate::follow::{self, Follower};
use crate::options::ServeOptions;
use crate::retention;
use crate::state::{self, STATE, State, Told, Upstream};
use crate::store::Store;

/// Between looks for a primary at the first start.
const REST: Duration = Duration::from_millis(500);
/// How long it is waited for what the source is, before that is said in the log once more.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a login, and taking what is sent, may take.
const LOGIN_LIMIT: Duration = Duration::from_secs(10);
const SEND_LIMIT: Duration = Duration::from_secs(60);

/// Runs a binlog server until `stop` is ready; `ready` is called when it listens.
///
/// # Errors
/// If its files cannot be used, or the address is taken.
pub async fn serve(
    options: ServeOptions,
    ready: impl FnOnce(),
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let root = options.dir.join(&options.cluster);
    let store = Store::open(&root, options.sync)?;
    let path = root.join(STATE);
    let state = state::read::<State>(&path)?.unwrap_or_else(|| State {
        server_id: options.server_id.unwrap_or_else(|| rand::random_range(1 << 31..u32::MAX)),
        server_uuid: Uuid::new_v4(),
        upstream: None,
        channel: None,
        semi_sync: true,
    });
    let state = State { server_id: options.server_id.unwrap_or(state.server_id), ..state };
    state::write(&path, &state)?;
    let options = Arc::new(options);
    let running = Running::start(Arc::clone(&options), Arc::clone(&store), state, path);
    tokio::pin!(stop);
    let listening = tokio::select! {
        listening = running.listen() => listening?,
        () = &mut stop => return Ok(()),
    };
    tracing::info!(
        listen = %listening.address(), folder = %store.root().display(),
        server_id = running.state.server_id, "the binlog server runs"
    );
    ready();
    stop.await;
    tracing::info!("stopping");
    // What is being written is finished first: nothing of it need be received twice.
    running.channel.change(|wanted| wanted.receiver = false).await;
    listening.stop().await;
    Ok(())
}

/// The tasks of a binlog server.
struct Running {
    options: Arc<ServeOptions>,
    store: Arc<Store>,
    state: State,
    channel: Channel,
    upstream: watch::Sender<Option<Upstream>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

impl Running {
    fn start(options: Arc<ServeOptions>, store: Arc<Store>, state: State, path: PathBuf) -> Self {
        let source = state.channel.as_ref().map(source_of);
        let following = source.is_some();
        let channel = Channel::new(Wanted {
            source,
            receiver: following,
            applier: true,
            semi_sync: state.semi_sync,
            generation: 1,
        });
        let (upstream, _) = watch::channel(state.upstream.clone());
        let follower = Follower {
            options: Arc::clone(&options),
            store: Arc::clone(&store),
            channel: channel.clone(),
            upstream: upstream.clone(),
            server_id: state.server_id,
            uuid: state.server_uuid,
        };
        let mut tasks = vec![
            tokio::spawn(follower.run()),
            tokio::spawn(retention::run(Arc::clone(&store), Arc::clone(&options))),
            tokio::spawn(remember(
                path,
                state.clone(),
                channel.clone(),
                upstream.subscribe(),
                Arc::clone(&store),
            )),
        ];
        if !following {
            tasks.push(tokio::spawn(first_start(Arc::clone(&options), channel.clone())));
        }
        Self { options, store, state, channel, upstream, tasks }
    }

    /// Listens as soon as it is known what to present.
    async fn listen(&self) -> Result<Listening, ServeError> {
        let mut upstream = self.upstream.subscribe();
        while !follow::is_known(&mut upstream, PATIENCE).await {
            tracing::warn!("waiting for a primary: until one is found there is nothing to serve");
        }
        // Always: replicas of a MySQL source encrypt wherever they can, and their settings say so.
        let names = [self.options.own_address().host().to_owned()];
        let tls = ServerTls::self_signed(&names)
            .map_err(|error| ServeError::Certificate(error.to_string()))?;
        let report = Arc::new(OnceLock::new());
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let face = Face {
            options: Arc::clone(&self.options),
            store: Arc::clone(&self.store),
            channel: self.channel.clone(),
            upstream: self.upstream.subscribe(),
            server_id: self.state.server_id,
            server_uuid: self.state.server_uuid,
            host,
            started: Instant::now(),
            report: Arc::clone(&report),
        };
        let replication = &self.options.replication;
        let options = SourceOptions {
            bind: self.options.listen,
            user: replication.user.clone(),
            password: replication.password.clone(),
            server_id: self.state.server_id,
            server_uuid: self.state.server_uuid,
            // The desk presents it.
            version: ServerVersion::mysql(5, 7, 0),
            version_text: String::new(),
            gtid_mode: false,
            tls: Some(tls),
            require_tls: false,
            max_connections: MAX_CONNECTIONS,
            login_limit: LOGIN_LIMIT,
            send_limit: SEND_LIMIT,
        };
        let feed = StoreFeed(Arc::clone(&self.store));
        let listening = Listening::start_with_desk(options, feed, Some(Arc::new(face))).await?;
        let _only_here = report.set(listening.report());
        Ok(listening)
    }
}

fn source_of(told: &Told) -> Source {
    Source {
        address: Address::new(told.host.clone(), told.port),
        user: told.user.clone(),
        password: None,
        positioning: told.positioning,
        at: told.at.clone(),
        heartbeat: Duration::from_millis(told.heartbeat_millis),
        connect_retry: told.connect_retry,
        tls: told.tls,
    }
}

fn told(source: &Source) -> Told {
    Told {
        host: source.address.host().to_owned(),
        port: source.address.port(),
        user: source.user.clone(),
        positioning: source.positioning,
        at: source.at.clone(),
        heartbeat_millis: u64::try_from(source.heartbeat.as_millis()).unwrap_or(u64::MAX),
        connect_retry: source.connect_retry,
        tls: source.tls,
    }
}

/// Looks for the primary until somebody has said whom to follow.
async fn first_start(options: Arc<ServeOptions>, channel: Channel) {
    let mut last = String::new();
    while channel.wanted().source.is_none() {
        match discover::find_primary(&options).await {
            Ok(found) => {
                tracing::info!(primary = %found.primary, "found whom to follow");
                let source = Source {
                    address: found.primary,
                    user: options.replication.user.clone(),
                    password: None,
                    positioning: found.positioning,
                    at: None,
                    heartbeat: options.heartbeat,
                    connect_retry: 1,
                    tls: options.tls != TlsMode::Off,
                };
                let begin = |wanted: &mut Wanted| {
                    if wanted.source.is_none() {
                        (wanted.source, wanted.receiver) = (Some(source), true);
                        wanted.generation += 1;
                    }
                };
                channel.change(begin).await;
            }
            Err(why) => {
                if why != last {
                    tracing::warn!(why, "it is not known whom to follow");
                    last = why;
                }
                sleep(REST).await;
            }
        }
    }
}

/// Writes down what was told and seen whenever it changes.
async fn remember(
    path: PathBuf,
    mut state: State,
    channel: Channel,
    mut upstream: watch::Receiver<Option<Upstream>>,
    store: Arc<Store>,
) {
    let mut wanted = channel.wanted.subscribe();
    let mut changes = store.changes();
    loop {
        let now = wanted.borrow_and_update().clone();
        let new = State {
            upstream: upstream.borrow_and_update().clone(),
            channel: now.source.as_ref().map(told),
            semi_sync: now.semi_sync,
            ..state.clone()
        };
        // A place that was told is struck off when something after it is in the store.
        let told_at = now.source.as_ref().is_some_and(|source| source.at.is_some());
        if new != state {
            match state::write(&path, &new) {
                Ok(()) => state = new,
                Err(error) => tracing::warn!(%error, "what was told could not be written down"),
            }
        }
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return },
            changed = upstream.changed() => if changed.is_err() { return },
            _ = changes.changed(), if told_at => {}
        }
    }
}
