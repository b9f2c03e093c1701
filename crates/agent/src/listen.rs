//! Accepting connections: TLS first, with a limit on how long it may take and how many there are.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use primacy_certs::Peer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

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
            if let Err(reason) = serve(agent, stream).await {
                tracing::info!(%from, reason, "a connection was refused or broke");
            }
            drop(permit);
        });
    }
}

async fn serve(agent: Arc<Agent>, stream: TcpStream) -> Result<(), String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    stream.set_nodelay(true).map_err(|error| said(&error))?;
    let acceptor = TlsAcceptor::from(agent.credentials.server());
    let stream = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream))
        .await
        .map_err(|_| "no TLS handshake in time".to_owned())?
        .map_err(|error| said(&error))?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let peer = match certificate.map(Peer::of) {
        Some(Ok(peer)) => peer,
        _ => return Err("no certificate".to_owned()),
    };
    let service = TowerToHyperService::new(routes::router(agent, peer));
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(75))
        .serve_connection(TokioIo::new(stream), service)
        .await
        .map_err(|error| said(&error))
}
