//! Accepting connections: TLS first, with a limit on how long it may take and how many there are.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use primacy_certs::Peer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::{Agent, routes};

/// So many connections may be open at once.
const CONNECTIONS: usize = 256;

/// Limit of a TLS handshake, and of the head of a request.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Accepts until the task is dropped.
pub(crate) async fn accept(agent: Arc<Agent>, listener: TcpListener) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or a connection that was gone before it was accepted.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            tracing::warn!(%from, "refused: {CONNECTIONS} connections are open");
            continue;
        };
        let agent = Arc::clone(&agent);
        tokio::spawn(async move {
            match greet(&agent, stream).await {
                Ok((stream, peer)) => serve(agent, stream, peer).await,
                Err(reason) => tracing::warn!(%from, reason, "a connection was refused"),
            }
            drop(permit);
        });
    }
}

/// Only who holds a certificate that is believed comes further than this.
async fn greet(agent: &Agent, stream: TcpStream) -> Result<(TlsStream<TcpStream>, Peer), String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    stream.set_nodelay(true).map_err(|error| said(&error))?;
    let acceptor = TlsAcceptor::from(agent.credentials.server());
    let stream = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream))
        .await
        .map_err(|_| "no TLS handshake in time".to_owned())?
        .map_err(|error| said(&error))?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    match certificate.map(Peer::of) {
        Some(Ok(peer)) => Ok((stream, peer)),
        _ => Err("no certificate".to_owned()),
    }
}

async fn serve(agent: Arc<Agent>, stream: TlsStream<TcpStream>, peer: Peer) {
    let service = TowerToHyperService::new(routes::router(agent, peer));
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(75))
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended");
    }
}
