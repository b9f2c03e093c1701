//! Asks an agent. Connections are kept and used again; each call has a limit, and a connection on
//! which something went wrong is never used again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use primacy_types::{Address, Millis};
use rustls_pki_types::ServerName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;

use crate::messages::{CHECKSUM, LARGEST_PIECE};
use crate::{AgentError, Credentials, Fault, FaultKind, RangeOrder, paths};

/// No answer but a piece of a file may be larger.
const LARGEST_ANSWER: usize = 4 << 20;

/// Limit of making a connection, however long the work may take: a host that is gone answers nothing.
const CONNECT: Duration = Duration::from_secs(1);

/// So many idle connections are kept.
const IDLE: usize = 4;

/// How long the end of a connection is waited for, to hear why it ended.
const WHY: Duration = Duration::from_millis(200);

/// A connection, and why it ended.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) send: SendRequest<Full<Bytes>>,
    ended: oneshot::Receiver<String>,
}

impl Sender {
    fn is_closed(&self) -> bool {
        self.send.is_closed()
    }

    /// What the connection itself said, which is more than that it is closed: with TLS 1.3 the alert
    /// to a certificate that is refused comes only now.
    pub(crate) async fn why(self, otherwise: &hyper::Error) -> String {
        match tokio::time::timeout(WHY, self.ended).await {
            Ok(Ok(reason)) => reason,
            _ => said(otherwise),
        }
    }
}

/// One agent.
#[derive(Debug)]
pub struct AgentClient {
    agent: Address,
    credentials: Arc<Credentials>,
    idle: Mutex<Vec<Sender>>,
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
            while let Some(sender) = self.take_idle() {
                match self.send(sender, path, body.clone(), largest).await {
                    Err(Sent::Closed(_)) => {}
                    Err(Sent::Failed(error)) => return Err(error),
                    Ok(answer) => return Ok(answer),
                }
            }
            let silent =
                || AgentError::Silent { agent: self.agent.clone(), limit: Millis::from(CONNECT) };
            let sender = tokio::time::timeout(CONNECT, self.connect());
            let sender = sender.await.unwrap_or_else(|_| Err(silent()))?;
            self.send(sender, path, body, largest).await.map_err(|error| match error {
                Sent::Closed(reason) => self.cut(&reason),
                Sent::Failed(error) => error,
            })
        };
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            Err(AgentError::Silent { agent: self.agent.clone(), limit: Millis::from(limit) })
        })
    }

    fn take_idle(&self) -> Option<Sender> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| idle.pop()).find(|sender| !sender.is_closed())
    }

    fn keep(&self, sender: Sender) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE && !sender.is_closed() {
            idle.push(sender);
        }
    }

    async fn send(
        &self,
        mut sender: Sender,
        path: &str,
        body: Bytes,
        largest: usize,
    ) -> Result<(Option<u32>, Bytes), Sent> {
        let request = Request::post(path)
            .header("host", "agent")
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(|error| Sent::Failed(self.garbled(&error)))?;
        if let Err(error) = sender.send.ready().await {
            return Err(Sent::Closed(sender.why(&error).await));
        }
        let response = match sender.send.try_send_request(request).await {
            Ok(response) => response,
            Err(mut failed) => {
                // It was not sent: another connection may carry it.
                let unsent = failed.take_message().is_some();
                let reason = sender.why(failed.error()).await;
                return Err(if unsent {
                    Sent::Closed(reason)
                } else {
                    Sent::Failed(self.cut(&reason))
                });
            }
        };
        let status = response.status();
        let checksum = checksum(&response);
        let body = Limited::new(response.into_body(), largest)
            .collect()
            .await
            .map_err(|error| Sent::Failed(self.cut(&said(&*error))))?
            .to_bytes();
        self.keep(sender);
        if status.is_success() {
            return Ok((checksum, body));
        }
        let fault = serde_json::from_slice(&body).unwrap_or_else(|_| {
            let text: String = String::from_utf8_lossy(&body).chars().take(200).collect();
            Fault::new(FaultKind::Other, format!("{status}: {text}"))
        });
        Err(Sent::Failed(AgentError::Fault { agent: self.agent.clone(), fault }))
    }

    /// A connection for one request whose answer is long.
    pub(crate) async fn dial(&self) -> Result<Sender, AgentError> {
        let silent =
            || AgentError::Silent { agent: self.agent.clone(), limit: Millis::from(CONNECT) };
        let sender = tokio::time::timeout(CONNECT, self.connect()).await;
        sender.unwrap_or_else(|_| Err(silent()))
    }

    async fn connect(&self) -> Result<Sender, AgentError> {
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
        let (send, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.cut(&said(&error)))?;
        let (tell, ended) = oneshot::channel();
        // It ends when the sender is dropped or the other side closes.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                // Nobody may be waiting for it.
                drop(tell.send(said(&error)));
            }
        });
        Ok(Sender { send, ended })
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

/// An error with all that is behind it: hyper's own says little, and the alert that ended a connection
/// stands two below it where the request was still queued.
pub(crate) fn said(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn checksum<B>(response: &Response<B>) -> Option<u32> {
    let text = response.headers().get(CHECKSUM)?.to_str().ok()?;
    u32::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::said;

    #[derive(Debug, thiserror::Error)]
    #[error("{words}")]
    struct Link {
        words: &'static str,
        source: Option<Box<Self>>,
    }

    fn chain(words: &[&'static str]) -> Link {
        let (first, rest) = words.split_first().expect("a chain has a beginning");
        let source = (!rest.is_empty()).then(|| Box::new(chain(rest)));
        Link { words: first, source }
    }

    #[test]
    fn an_error_is_said_with_all_that_is_behind_it() {
        for words in [
            &["connection closed"][..],
            &["connection error", "received fatal alert: CertificateExpired"],
            &["operation was canceled", "connection error", "received fatal alert: UnknownCA"],
        ] {
            assert_eq!(said(&chain(words)), words.join(": "));
        }
    }
}
