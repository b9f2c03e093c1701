//! A request whose answer is a long stream.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use primacy_types::Millis;
use serde::Serialize;

use crate::connection::{Connection, said};
use crate::pieces::{Decoder, Piece};
use crate::{AgentClient, AgentError, Fault, FaultKind};

/// A stream that comes in. Dropping it ends the connection, and what is sent with it.
#[derive(Debug)]
pub struct PieceStream {
    agent: primacy_types::Address,
    body: Incoming,
    decoder: Decoder,
    /// Keeps the connection.
    _connection: Connection,
}

impl AgentClient {
    /// Asks for a stream, on a connection of its own. `limit` counts until it begins.
    ///
    /// # Errors
    /// If the agent is not reached, does not begin in time, or refuses.
    pub async fn stream(
        &self,
        path: &str,
        request: &impl Serialize,
        limit: Duration,
    ) -> Result<PieceStream, AgentError> {
        let silent =
            || AgentError::Silent { agent: self.agent().clone(), limit: Millis::from(limit) };
        let begin = self.begin_stream(path, request);
        tokio::time::timeout(limit, begin).await.unwrap_or_else(|_| Err(silent()))
    }

    async fn begin_stream(
        &self,
        path: &str,
        request: &impl Serialize,
    ) -> Result<PieceStream, AgentError> {
        let agent = self.agent().clone();
        let garbled = |reason: String| AgentError::Garbled { agent: agent.clone(), reason };
        let body = serde_json::to_vec(request).map_err(|error| garbled(error.to_string()))?;
        let request = Request::post(path)
            .header("host", "agent")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| garbled(error.to_string()))?;
        let mut connection = self.dial().await?;
        let response = connection.request(request).await;
        let response = response.map_err(|unanswered| self.cut(&unanswered.reason))?;
        let status = response.status();
        let body = response.into_body();
        if !status.is_success() {
            let text = http_body_util::Limited::new(body, 64 << 10).collect().await;
            let text = text.map(|text| text.to_bytes()).unwrap_or_default();
            let fault = serde_json::from_slice(&text)
                .unwrap_or_else(|_| Fault::new(FaultKind::Other, status.to_string()));
            return Err(AgentError::Fault { agent, fault });
        }
        Ok(PieceStream { agent, body, decoder: Decoder::default(), _connection: connection })
    }
}

impl PieceStream {
    /// The next piece, waited for no longer than `stall`.
    ///
    /// # Errors
    /// If nothing comes for so long, the connection ends before the stream does, or what comes is
    /// damaged.
    pub async fn next(&mut self, stall: Duration) -> Result<Piece, AgentError> {
        loop {
            let agent = || self.agent.clone();
            match self.decoder.take() {
                Ok(Some(piece)) => return Ok(piece),
                Ok(None) => {}
                Err(damaged) => {
                    return Err(AgentError::Garbled {
                        agent: agent(),
                        reason: damaged.to_string(),
                    });
                }
            }
            let cut =
                |reason: String| AgentError::Unreached { agent: agent(), reason, refused: false };
            let silent = AgentError::Silent { agent: agent(), limit: Millis::from(stall) };
            let Ok(frame) = tokio::time::timeout(stall, self.body.frame()).await else {
                return Err(silent);
            };
            match frame {
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.decoder.push(bytes);
                    }
                }
                Some(Err(error)) => {
                    return Err(cut(format!("the stream was cut: {}", said(&error))));
                }
                None => return Err(cut("the stream ended before it was complete".to_owned())),
            }
        }
    }
}
