//! The manager's health address: what is known of each cluster's servers, from what is seen anyway.
//! No question that is asked here reaches a server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use primacy_health::{
    Answer, BadQuestion, LeaseSeen, Limits, Part, Question, Replication, Respond, Seen, Subject,
    judge,
};
use primacy_plan::lease::Hold;
use primacy_types::{Address, ClusterSnapshot, Contact, Epoch, Millis, ReceiverState, ServerFacts};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::ManagerError;
use crate::service::Clusters;
use crate::setup::Watched;

/// A server that has not answered for two looks and this long is not counted on.
const GRACE: Millis = Millis(500);

/// The running health address.
pub(crate) struct HealthAddress {
    loaded: Arc<AtomicBool>,
    task: Option<JoinHandle<()>>,
}

impl HealthAddress {
    /// Listens, if that is wanted: from the first moment on, so that `/live` is answered while the
    /// clusters are still being loaded.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub(crate) async fn start(
        address: Option<&Address>,
        clusters: &Arc<Clusters>,
    ) -> Result<Self, ManagerError> {
        let loaded = Arc::new(AtomicBool::new(false));
        let Some(address) = address else { return Ok(Self { loaded, task: None }) };
        let listener = TcpListener::bind((address.host(), address.port()))
            .await
            .map_err(|source| ManagerError::Health { address: address.to_string(), source })?;
        tracing::info!(%address, "health is answered there");
        let health = Health { clusters: Arc::clone(clusters), loaded: Arc::clone(&loaded) };
        let serving = primacy_health::serve(listener, Arc::new(health), Limits::default());
        Ok(Self { loaded, task: Some(tokio::spawn(serving)) })
    }

    /// All clusters are loaded.
    pub(crate) fn set_loaded(&self) {
        self.loaded.store(true, Ordering::Relaxed);
    }
}

impl Drop for HealthAddress {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

struct Health {
    clusters: Arc<Clusters>,
    loaded: Arc<AtomicBool>,
}

#[async_trait]
impl Respond for Health {
    async fn answer(&self, question: &Question) -> Result<Answer, BadQuestion> {
        match question.subject {
            Subject::Live => return Ok(Answer::yes("the manager lives")),
            _ if !self.loaded.load(Ordering::Relaxed) => {
                return Ok(Answer::no("the manager is still loading its clusters"));
            }
            Subject::Ready => return self.is_ready(question),
            _ => {}
        }
        let watched = self.meant(question)?;
        if let Err(error) = watched.cluster.lock.permits() {
            tracing::debug!(%error, "asked for health without the lock");
            let name = &watched.cluster.name;
            return Ok(Answer::no(format!("this manager does not hold the lock of {name}")));
        }
        let snapshot = watched.cluster.eyes.remembered();
        if let Some(server) = &question.server {
            if !snapshot.servers.contains_key(server) {
                let known: Vec<_> = snapshot.servers.keys().map(ToString::to_string).collect();
                let text =
                    format!("{server} is not in this cluster; there is {}", known.join(", "));
                return Err(BadQuestion::Query(text));
            }
            return Ok(judge(&question.subject, &seen(&watched, &snapshot, server)));
        }
        Ok(of_any(&question.subject, &watched, &snapshot))
    }
}

impl Health {
    /// The cluster that is meant.
    fn meant(&self, question: &Question) -> Result<Arc<Watched>, BadQuestion> {
        let all = self.clusters.every();
        let named = |name: &String| {
            self.clusters
                .find(name)
                .map(|found| found.watched)
                .ok_or_else(|| BadQuestion::Query(format!("there is no cluster {name:?} here")))
        };
        match (&question.cluster, all.as_slice()) {
            (Some(name), _) => named(name),
            (None, [only]) => Ok(Arc::clone(&only.watched)),
            (None, _) => {
                let text = "there is not exactly one cluster here: say which, as in ?cluster=NAME";
                Err(BadQuestion::Query(text.to_owned()))
            }
        }
    }

    fn is_ready(&self, question: &Question) -> Result<Answer, BadQuestion> {
        let asked = match &question.cluster {
            Some(_) => vec![self.meant(question)?],
            None => self.clusters.every().into_iter().map(|one| one.watched).collect(),
        };
        for watched in asked {
            let name = &watched.cluster.name;
            let snapshot = watched.cluster.eyes.remembered();
            let untried = |contact: &Contact| matches!(contact, Contact::Untried);
            if let Some(server) = snapshot.servers.values().find(|s| untried(&s.contact)) {
                let server = &server.address;
                return Ok(Answer::no(format!("{server} of {name} was not looked at yet")));
            }
            if watched.cluster.lock.permits().is_err() {
                return Ok(Answer::no(format!("this manager does not hold the lock of {name}")));
            }
        }
        Ok(Answer::yes("the manager watches its clusters and holds their locks"))
    }
}

/// Without a server: whether the cluster has one like that.
fn of_any(subject: &Subject, watched: &Watched, snapshot: &ClusterSnapshot) -> Answer {
    let name = &snapshot.cluster;
    if let Subject::Replica { .. } = subject {
        let all = snapshot.servers.keys().filter(|s| snapshot.primary.as_ref() != Some(*s));
        let answers = all.map(|server| judge(subject, &seen(watched, snapshot, server)));
        let mut first_no = None;
        for answer in answers {
            if answer.ok {
                return answer;
            }
            first_no.get_or_insert(answer);
        }
        return first_no.unwrap_or_else(|| Answer::no(format!("{name} has no replica")));
    }
    match &snapshot.primary {
        Some(primary) => judge(subject, &seen(watched, snapshot, primary)),
        None => Answer::no(format!("no primary of {name} is known")),
    }
}

fn seen(watched: &Watched, snapshot: &ClusterSnapshot, server: &Address) -> Seen {
    let observed = snapshot.server(server);
    let facts = observed.and_then(|one| one.facts.as_ref());
    let old = Millis(snapshot.policy.timing.ping_interval.times(2).0 + GRACE.0);
    let silent = match observed.map(|one| &one.contact) {
        Some(Contact::Answering { at }) if snapshot.now.since(*at) > old => {
            Some(format!("it last answered {} ago", snapshot.now.since(*at)))
        }
        Some(Contact::Answering { .. }) if facts.is_some() => None,
        Some(Contact::Failing { .. }) => Some("the manager's looks fail".to_owned()),
        _ => Some("it was not looked at yet".to_owned()),
    };
    let is_primary = snapshot.primary.as_ref() == Some(server);
    let part = if is_primary { Part::Primary } else { Part::Other };
    Seen {
        server: server.clone(),
        cluster: Some(snapshot.cluster.clone()),
        epoch: Some(snapshot.epoch).filter(|epoch| *epoch > Epoch(0)),
        silent,
        kept_down: observed.is_some_and(primacy_types::ServerObservation::is_closed),
        writable: facts.is_some_and(ServerFacts::writable),
        part,
        lease: lease(watched, server, is_primary),
        replication: facts.and_then(|facts| {
            let channel = facts.channel(&snapshot.policy.channel)?;
            Some(Replication {
                receives: channel.receiver == ReceiverState::Running,
                applies: channel.applier_running,
                lag_seconds: channel.lag_seconds,
            })
        }),
    }
}

/// What its agent said of its lease, if leases are in force.
fn lease(watched: &Watched, server: &Address, is_primary: bool) -> LeaseSeen {
    let Some(leases) = &watched.leases else { return LeaseSeen::NotInForce };
    let missing = |reason: &str| LeaseSeen::Missing(reason.to_owned());
    if !is_primary {
        return missing("it holds no lease, as the primary does");
    }
    match leases.said().get(server) {
        None => missing("its agent has not answered yet"),
        Some((ago, _)) if *ago > leases.fresh() => missing("its agent does not answer"),
        Some((_, said)) if said.hold == Hold::Good => LeaseSeen::Good { left: None },
        Some(_) => missing("its lease is not renewed"),
    }
}
