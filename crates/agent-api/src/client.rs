//! Asks an agent. Connections are kept and used again; each call has a limit, and a connection on
//! which something went wrong is never used again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, Response, StatusCode};
use primacy_types::{Address, Millis};
use rustls_pki_types::ServerName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::connection::{Connection, Unanswered, said};
use crate::messages::{CHECKSUM, LARGEST_PIECE};
use crate::{AgentError, Credentials, Fault, FaultKind, RangeOrder, paths};

/// No answer but a piece of a file may be larger.
const LARGEST_ANSWER: usize = 4 << 20;

/// Limit of making a connection, however long the work may take: a host that is gone answers nothing.
const CONNECT: Duration = Duration::from_secs(1);

/// So many idle connections are kept.
const IDLE: usize = 4;

/// One agent.
#[derive(Debug)]
pub struct AgentClient {
    agent: Address,
    credentials: Arc<Credentials>,
    idle: Mutex<Vec<Connection>>,
}

impl AgentClient {
    /// Nothing is dialled yet.
    pub fn new(agent: Address, credentials: Arc<Credentials>) -> Self {
        Self { agent, credentials, idle: Mutex::default() }
    }

    /// Where it listens.
    pub const fn agent(&self) -> &Address {
        &self.agent
    }

    /// Sends a request and waits for its answer, `limit` in all.
    ///
    /// # Errors
    /// If the agent is not reached, does not answer in time, or refuses.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        request: &impl Serialize,
        limit: Duration,
    ) -> Result<T, AgentError> {
        let (_, body) = self.exchange(path, request, limit, LARGEST_ANSWER).await?;
        serde_json::from_slice(&body).map_err(|error| self.garbled(&error))
    }

    /// A piece of a file, its checksum verified.
    ///
    /// # Errors
    /// As [`ask`](Self::ask); or if the bytes are not those that were read there.
    pub async fn range(&self, order: &RangeOrder, limit: Duration) -> Result<Vec<u8>, AgentError> {
        let (said, body) = self.exchange(paths::RANGE, order, limit, LARGEST_PIECE).await?;
        let found = crc32fast::hash(&body);
        match said {
            Some(said) if said == found && body.len() <= order.len => Ok(body.into()),
            Some(said) => {
                let reason = format!("a piece of a file came damaged ({said:08x}, {found:08x})");
                Err(AgentError::Garbled { agent: self.agent.clone(), reason })
            }
            None => Err(self.garbled(&"a piece of a file came without its checksum")),
        }
    }

    async fn exchange(
        &self,
        path: &str,
        request: &impl Serialize,
        limit: Duration,
        largest: usize,
    ) -> Result<(Option<u32>, Bytes), AgentError> {
        let body = Bytes::from(serde_json::to_vec(request).map_err(|error| self.garbled(&error))?);
        let work = async {
            // One that was idle may have been closed by the other side: that costs one attempt.
            while let Some(connection) = self.take_idle() {
                match self.send(connection, path, body.clone(), largest).await {
                    Err(Sent::Closed(_)) => {}
                    Err(Sent::Failed(error)) => return Err(error),
                    Ok(answer) => return Ok(answer),
                }
            }
            let connection = self.dial().await?;
            self.send(connection, path, body, largest).await.map_err(|error| match error {
                Sent::Closed(reason) => self.cut(&reason),
                Sent::Failed(error) => error,
            })
        };
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            Err(AgentError::Silent { agent: self.agent.clone(), limit: Millis::from(limit) })
        })
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| idle.pop()).find(|connection| !connection.is_closed())
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE && !connection.is_closed() {
            idle.push(connection);
        }
    }

    async fn send(
        &self,
        mut connection: Connection,
        path: &str,
        body: Bytes,
        largest: usize,
    ) -> Result<(Option<u32>, Bytes), Sent> {
        let request = Request::post(path)
            .header("host", "agent")
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(|error| Sent::Failed(self.garbled(&error)))?;
        let response = match connection.request(request).await {
            Ok(response) => response,
            // Another connection may carry it.
            Err(Unanswered { reason, sent: false }) => return Err(Sent::Closed(reason)),
            Err(Unanswered { reason, .. }) => return Err(Sent::Failed(self.cut(&reason))),
        };
        let status = response.status();
        let checksum = checksum(&response);
        let body = Limited::new(response.into_body(), largest)
            .collect()
            .await
            .map_err(|error| Sent::Failed(self.cut(&said(&*error))))?
            .to_bytes();
        // A body that is refused as too large was not read: the agent closes this connection.
        if status != StatusCode::PAYLOAD_TOO_LARGE {
            self.keep(connection);
        }
        if status.is_success() {
            return Ok((checksum, body));
        }
        let fault = serde_json::from_slice(&body).unwrap_or_else(|_| {
            let text: String = String::from_utf8_lossy(&body).chars().take(200).collect();
            Fault::new(FaultKind::Other, format!("{status}: {text}"))
        });
        Err(Sent::Failed(AgentError::Fault { agent: self.agent.clone(), fault }))
    }

    /// A new connection.
    pub(crate) async fn dial(&self) -> Result<Connection, AgentError> {
        let silent =
            || AgentError::Silent { agent: self.agent.clone(), limit: Millis::from(CONNECT) };
        let connection = tokio::time::timeout(CONNECT, self.connect()).await;
        connection.unwrap_or_else(|_| Err(silent()))
    }

    async fn connect(&self) -> Result<Connection, AgentError> {
        let agent = &self.agent;
        let stream = TcpStream::connect((agent.host(), agent.port())).await.map_err(|error| {
            let refused = error.kind() == std::io::ErrorKind::ConnectionRefused;
            AgentError::Unreached { agent: agent.clone(), reason: error.to_string(), refused }
        })?;
        stream.set_nodelay(true).map_err(|error| self.cut(&error.to_string()))?;
        let name = ServerName::try_from(agent.host().to_owned())
            .map_err(|error| AgentError::Tls { agent: agent.clone(), reason: error.to_string() })?;
        let connector = TlsConnector::from(self.credentials.client());
        let stream = connector.connect(name, stream).await.map_err(|error| self.tls(&error))?;
        Connection::over(stream).await.map_err(|error| self.cut(&said(&error)))
    }

    fn tls(&self, error: &std::io::Error) -> AgentError {
        let is_tls =
            error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>);
        if is_tls {
            return AgentError::Tls { agent: self.agent.clone(), reason: error.to_string() };
        }
        self.cut(&error.to_string())
    }

    /// With TLS 1.3 a certificate of ours that is refused is only heard of with the first answer.
    pub(crate) fn cut(&self, reason: &str) -> AgentError {
        let agent = self.agent.clone();
        if reason.contains("received fatal alert") {
            return AgentError::Tls { agent, reason: reason.to_owned() };
        }
        AgentError::Unreached { agent, reason: reason.to_owned(), refused: false }
    }

    fn garbled(&self, reason: &dyn std::fmt::Display) -> AgentError {
        AgentError::Garbled { agent: self.agent.clone(), reason: reason.to_string() }
    }
}

/// Why a request has no answer.
enum Sent {
    /// It was never sent.
    Closed(String),
    /// It may have been.
    Failed(AgentError),
}

fn checksum<B>(response: &Response<B>) -> Option<u32> {
    let text = response.headers().get(CHECKSUM)?.to_str().ok()?;
    u32::from_str_radix(text, 16).ok()
}
