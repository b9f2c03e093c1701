//! One connection to an agent, and why it ended.

use std::pin::pin;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

/// How long the end of a connection is waited for, to hear why it ended; and an answer, when it has.
const WHY: Duration = Duration::from_millis(200);

/// A connection on which requests are sent. It is closed when this is dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    send: SendRequest<Full<Bytes>>,
    /// What it said when it ended with an error. Nobody sends here any more when it has ended.
    ended: watch::Receiver<Option<String>>,
}

/// A request that has no answer.
#[derive(Debug)]
pub(crate) struct Unanswered {
    pub(crate) reason: String,
    /// It may have reached the agent.
    pub(crate) sent: bool,
}

impl Connection {
    /// Speaks HTTP over this stream.
    pub(crate) async fn over<S>(stream: S) -> Result<Self, hyper::Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (send, connection) = handshake(TokioIo::new(stream)).await?;
        let (tell, ended) = watch::channel(None);
        // It ends when the sender is dropped or the other side closes.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tell.send_replace(Some(said(&error)));
            }
        });
        Ok(Self { send, ended })
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.send.is_closed()
    }

    /// Sends a request and waits for the head of its answer, or the end of the connection.
    pub(crate) async fn request(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Unanswered> {
        if let Err(error) = self.send.ready().await {
            return Err(Unanswered { reason: self.why(&error).await, sent: false });
        }
        let mut answer = pin!(self.send.try_send_request(request));
        let answered = tokio::select! {
            biased;
            answered = &mut answer => Some(answered),
            // hyper 1.12 tells nobody of a request that is queued in the instant in which the connection
            // ends: its answer would be waited for until the limit of the whole.
            _ = ended(&mut self.ended) => tokio::time::timeout(WHY, answer).await.ok(),
        };
        match answered {
            Some(Ok(response)) => Ok(response),
            Some(Err(mut failed)) => {
                let sent = failed.take_message().is_none();
                Err(Unanswered { reason: self.why(failed.error()).await, sent })
            }
            None => {
                let reason = ended(&mut self.ended).await;
                let reason = reason.unwrap_or_else(|| "the connection was closed".to_owned());
                Err(Unanswered { reason, sent: true })
            }
        }
    }

    /// What the connection itself said, which is more than that it is closed: with TLS 1.3 the alert
    /// to a certificate that is refused comes only now.
    async fn why(&mut self, otherwise: &hyper::Error) -> String {
        let reason = tokio::time::timeout(WHY, ended(&mut self.ended)).await;
        reason.ok().flatten().unwrap_or_else(|| said(otherwise))
    }
}

/// Waits until a connection has ended; gives its error, if it had one that it told nobody else.
async fn ended(connection: &mut watch::Receiver<Option<String>>) -> Option<String> {
    connection.wait_for(Option::is_some).await.ok()?.clone()
}

/// An error with all that is behind it: hyper's own says little, and the alert that ended a connection
/// stands two below it where the request was still queued.
pub(crate) fn said(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// Often enough that it happens in the instant in which the request is queued.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_connection_that_ends_leaves_no_request_waiting() {
        for _ in 0..20_000 {
            let (ours, theirs) = tokio::io::duplex(1024);
            let mut connection = Connection::over(ours).await.expect("it only begins");
            let closed = tokio::spawn(async move { drop(theirs) });
            let request = Request::post("/").body(Full::default()).expect("a request");
            let answer = tokio::time::timeout(Duration::from_secs(20), connection.request(request));
            let answer = answer.await.expect("its end is an answer");
            assert!(answer.is_err(), "{answer:?}");
            closed.await.expect("it is closed");
        }
    }
}
