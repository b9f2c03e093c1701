//! A receiver of webhooks: an HTTP server, with or without TLS, that answers as it was told to and
//! hands over what it was sent.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::TokioIo;
use primacy_hooks::{Authorities, Backoff, Webhook, WebhookOptions};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::tls::Identity;

/// How a request is answered.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// With a status, a header and a body.
    Says(u16, (&'static str, &'static str), &'static str),
    /// With a status and a very long body.
    Chatters(u16),
    /// Not at all; the connection stays open.
    Hangs,
    /// By closing the connection.
    Closes,
}

/// A plain status.
pub(crate) fn status(code: u16) -> Reply {
    Reply::Says(code, ("x-none", ""), "")
}

/// What was sent.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The reason in the document.
    pub(crate) fn reason(&self) -> String {
        let document: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        document["reason"].as_str().unwrap().to_owned()
    }
}

/// The server. Dropping it ends it.
pub(crate) struct Receiver {
    pub(crate) port: u16,
    seen: mpsc::UnboundedReceiver<Seen>,
    /// Where a file with its certificate is, if it speaks TLS.
    ca_file: Option<PathBuf>,
    _directory: TempDir,
    _tasks: JoinSet<()>,
}

impl Receiver {
    /// One with TLS and a certificate for `localhost`. After the last reply, everything is
    /// answered by 200.
    pub(crate) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::with(Some(Identity::of("localhost")), replies).await
    }

    /// One with this certificate, or without TLS.
    pub(crate) async fn with(
        identity: Option<Identity>,
        replies: impl IntoIterator<Item = Reply>,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let directory = TempDir::new().unwrap();
        let ca_file = identity.as_ref().map(|identity| {
            let path = directory.path().join("ca.pem");
            std::fs::write(&path, &identity.pem).unwrap();
            path
        });
        let (sender, seen) = mpsc::unbounded_channel();
        let replies = Arc::new(Mutex::new(replies.into_iter().collect::<VecDeque<_>>()));
        let acceptor = identity.map(|identity| identity.acceptor);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, sender, replies) =
                    (acceptor.clone(), sender.clone(), Arc::clone(&replies));
                connections.spawn(async move {
                    match secured(acceptor, stream).await {
                        Some(stream) => serve(stream, sender, replies).await,
                        None => drop(sender),
                    }
                });
            }
        });
        Self { port, seen, ca_file, _directory: directory, _tasks: tasks }
    }

    /// Options for a webhook that trusts it and comes back soon.
    pub(crate) fn options(&self) -> WebhookOptions {
        let scheme = if self.ca_file.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://localhost:{}/hooks/T0KEN-T0KEN?a=b", self.port);
        let soon = Duration::from_millis(1);
        WebhookOptions {
            authorities: self.ca_file.clone().map_or(Authorities::System, Authorities::File),
            backoff: Backoff { first: soon, longest: soon },
            ..WebhookOptions::new("pager", &url).unwrap()
        }
    }

    /// A webhook with these options.
    pub(crate) async fn webhook(&self) -> Webhook {
        Webhook::new(self.options()).await.unwrap()
    }

    /// The next request, whenever it comes.
    pub(crate) async fn next(&mut self) -> Seen {
        self.seen.recv().await.unwrap()
    }

    /// Whether nothing came beyond what was taken.
    pub(crate) fn saw_no_more(&mut self) -> bool {
        self.seen.try_recv().is_err()
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn secured(
    acceptor: Option<TlsAcceptor>,
    stream: tokio::net::TcpStream,
) -> Option<Box<dyn Stream>> {
    match acceptor {
        Some(acceptor) => Some(Box::new(acceptor.accept(stream).await.ok()?)),
        None => Some(Box::new(stream)),
    }
}

async fn serve(
    stream: Box<dyn Stream>,
    sender: mpsc::UnboundedSender<Seen>,
    replies: Arc<Mutex<VecDeque<Reply>>>,
) {
    let service = service_fn(|request: Request<Incoming>| {
        let (sender, replies) = (sender.clone(), Arc::clone(&replies));
        async move {
            let reply = replies.lock().unwrap().pop_front().unwrap_or(status(200));
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let target = head.uri.to_string();
            let seen = Seen { method: head.method, target, headers: head.headers, body };
            let _ = sender.send(seen);
            let answer = |code, (name, value), body| {
                let body = Full::new(Bytes::from(body));
                Response::builder().status(code).header(name, value).body(body).unwrap()
            };
            match reply {
                Reply::Says(code, header, body) => Ok(answer(code, header, body.to_owned())),
                Reply::Chatters(code) => {
                    Ok(answer(code, ("x-none", ""), "chatter ".repeat(1 << 20)))
                }
                Reply::Hangs => {
                    std::future::pending::<Result<_, Infallible>>().await.map_err(|_| "never")
                }
                Reply::Closes => Err("closed"),
            }
        }
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
