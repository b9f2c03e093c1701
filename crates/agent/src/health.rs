//! The health address: what load balancers and keepalived are told of this host's servers.
//!
//! A connection of its own to each server, so that a server that hangs keeps nobody waiting who
//! enforces a lease; and one look is shared by all who ask within a tenth of a second.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use primacy_health::{
    Answer, BadQuestion, LeaseSeen, Limits, Part, Question, Replication, Respond, Seen, Subject,
    judge,
};
use primacy_plan::lease::Hold;
use primacy_probe::classify;
use primacy_types::{Address, ContactFailure, Epoch, ProcessState, ReceiverState, ServerFacts};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::served::Served;
use crate::sql::Sql;
use crate::{Agent, AgentOptions, AgentStartError, clock};

/// Whoever asks within this time after a look is told of the same look.
const SHARED: Duration = Duration::from_millis(100);

/// Limit of one look. Whoever waits for one that was under way already waits no longer than that.
const LOOK: Duration = Duration::from_millis(600);

/// Listens, if that is wanted.
pub(crate) async fn listen(
    address: Option<&Address>,
) -> Result<Option<TcpListener>, AgentStartError> {
    let Some(address) = address else { return Ok(None) };
    let bound = TcpListener::bind((address.host(), address.port())).await;
    bound
        .map(Some)
        .map_err(|source| AgentStartError::Listen { address: address.to_string(), source })
}

/// Answers for as long as the task lives.
pub(crate) fn serve(
    options: &AgentOptions,
    agent: Arc<Agent>,
    listener: TcpListener,
) -> impl Future<Output = ()> + use<> {
    let looks = options.servers.iter().map(|one| {
        let look = Look { sql: Sql::new(one.login.clone()), last: Mutex::const_new(None) };
        (one.server.clone(), Arc::new(look))
    });
    let health = Health { looks: looks.collect(), agent };
    primacy_health::serve(listener, Arc::new(health), Limits::default())
}

struct Health {
    agent: Arc<Agent>,
    looks: BTreeMap<Address, Arc<Look>>,
}

type Looked = Result<ServerFacts, String>;

/// The last look at a server, and the connection for the next one.
struct Look {
    sql: Sql,
    last: Mutex<Option<(Instant, Arc<Looked>)>>,
}

impl Look {
    /// What the server says, no older than a shared look.
    async fn take(self: Arc<Self>) -> Arc<Looked> {
        // In a task of its own: a client that goes away must not break off the look, and with it the
        // connection, on which others wait.
        let look = tokio::spawn(async move {
            let mut last = self.last.lock().await;
            if let Some((at, looked)) = last.as_ref()
                && at.elapsed() < SHARED
            {
                return Arc::clone(looked);
            }
            let looked = self.sql.facts(LOOK).await.map_err(|error| {
                tracing::debug!(%error, "asked for its health, and it does not answer");
                short(&classify(&error)).to_owned()
            });
            let looked = Arc::new(looked);
            *last = Some((Instant::now(), Arc::clone(&looked)));
            looked
        });
        look.await.unwrap_or_else(|error| Arc::new(Err(error.to_string())))
    }
}

/// Strangers read this: nothing of accounts, nothing that a server says in its own words.
const fn short(failure: &ContactFailure) -> &'static str {
    match failure {
        ContactFailure::Refused => "connection refused",
        ContactFailure::Reset => "connection reset",
        ContactFailure::Silent => "no answer in time",
        ContactFailure::Unreachable => "no route to host",
        ContactFailure::Unresolved => "host name not resolved",
        ContactFailure::AccessDenied(_) => "it refuses the agent's login",
        ContactFailure::TooManyConnections => "too many connections",
        ContactFailure::ShuttingDown => "it is shutting down",
        ContactFailure::Tls(_) => "TLS failed",
        ContactFailure::Answered(_) | ContactFailure::Other(_) => "it answers with an error",
    }
}

impl Health {
    /// The server that is meant.
    fn meant(&self, question: &Question) -> Result<&Arc<Served>, BadQuestion> {
        let servers = &self.agent.servers;
        let known = || servers.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let mut all = servers.values();
        match (&question.server, all.next(), all.next()) {
            (Some(server), ..) => servers.get(server).ok_or_else(|| {
                let text = format!("{server} is not looked after here; there is {}", known());
                BadQuestion::Query(text)
            }),
            (None, Some(only), None) => Ok(only),
            (None, ..) => Err(BadQuestion::Query(format!(
                "there are several servers here: say which, as in ?server={}",
                known()
            ))),
        }
    }

    fn is_ready(&self, question: &Question) -> Result<Answer, BadQuestion> {
        let asked: Vec<_> = match &question.server {
            Some(_) => vec![self.meant(question)?],
            None => self.agent.servers.values().collect(),
        };
        let waiting = asked.into_iter().find(|served| !served.state().looked_at);
        Ok(waiting.map_or_else(
            || Answer::yes("the agent has looked at its servers"),
            |served| Answer::no(format!("{} was not looked at yet", served.server)),
        ))
    }
}

#[async_trait]
impl Respond for Health {
    async fn answer(&self, question: &Question) -> Result<Answer, BadQuestion> {
        match question.subject {
            Subject::Live => return Ok(Answer::yes("the agent lives")),
            Subject::Ready => return self.is_ready(question),
            _ => {}
        }
        let served = self.meant(question)?;
        let Some(look) = self.looks.get(&served.server) else {
            return Ok(Answer::no(format!("{} is not looked at", served.server)));
        };
        let looked = Arc::clone(look).take().await;
        // The lease is looked at last: what it says holds now.
        let mut answer = judge(&question.subject, &seen(served, looked.as_ref().as_ref()));
        if let Some(asked) = &question.cluster
            && answer.cluster.as_ref() != Some(asked)
        {
            answer.ok = false;
            answer.reason = format!("{} is not known to belong to {asked}", served.server);
        }
        Ok(answer)
    }
}

fn seen(served: &Served, looked: Result<&ServerFacts, &String>) -> Seen {
    let now = clock::now();
    let state = served.state();
    let epoch = state.member.record().epoch;
    let told = epoch > Epoch(0);
    let exited = matches!(state.process, Some(ProcessState::Exited { .. }));
    let silent = match looked {
        Err(reason) => Some(reason.clone()),
        // Newer than the look, or its process was not found again yet.
        Ok(_) if exited && state.silent.is_some() => Some("its process has ended".to_owned()),
        Ok(_) => None,
    };
    let (part, lease) = match state.member.hold(now) {
        Hold::Good => {
            let left = state.member.deadlines().map(|(close, _)| close.since(now));
            (Part::Primary, LeaseSeen::Good { left })
        }
        Hold::Close | Hold::Kill => {
            let reason = "its lease was not renewed in time, and it is being closed";
            (Part::Primary, LeaseSeen::Missing(reason.to_owned()))
        }
        Hold::Without if told => {
            (Part::Other, LeaseSeen::Missing("it holds no lease, as the primary does".to_owned()))
        }
        Hold::Without => (Part::Untold, LeaseSeen::NotInForce),
    };
    Seen {
        server: served.server.clone(),
        cluster: state.cluster.clone(),
        epoch: told.then_some(epoch),
        silent,
        kept_down: state.killed || state.fenced,
        writable: looked.is_ok_and(ServerFacts::writable),
        part,
        lease,
        replication: looked.ok().and_then(replication),
    }
}

/// All channels together: which of them is the cluster's, only managers know.
fn replication(facts: &ServerFacts) -> Option<Replication> {
    if facts.channels.is_empty() {
        return None;
    }
    let channels = || facts.channels.iter();
    let lags: Option<Vec<u64>> = channels().map(|channel| channel.lag_seconds).collect();
    Some(Replication {
        receives: channels().all(|channel| channel.receiver == ReceiverState::Running),
        applies: channels().all(|channel| channel.applier_running),
        lag_seconds: lags.and_then(|lags| lags.into_iter().max()),
    })
}

/// So that a change of the limits is seen to fit together.
const _: () = assert!(LOOK.as_millis() + SHARED.as_millis() < 900);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fence::tests::{lease, served};

    #[tokio::test]
    async fn a_fenced_server_is_no_primary_however_long_it_takes_to_die() {
        let folder = tempfile::tempdir().unwrap();
        let served = served(folder.path(), lease());
        let silent = "no answer in time".to_owned();
        assert!(!seen(&served, Err(&silent)).kept_down);
        served.state().fenced = true;
        // It is not dead yet.
        assert!(!served.state().killed);
        let seen = seen(&served, Err(&silent));
        assert!(seen.kept_down);
        let answer = judge(&Subject::Primary, &seen);
        assert!(!answer.ok && answer.reason.contains("fenced"), "{}", answer.reason);
    }
}
