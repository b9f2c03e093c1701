//! Opens the byte stream to a server: resolves its name, tries its addresses, sets the socket up.
//!
//! TLS comes later, after the server's greeting.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use primacy_types::Address;
use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::{Instant, timeout};

use crate::error::Fault;

/// Any byte stream that a session can run over: TCP, a unix socket, TLS.
pub(crate) trait Pipe: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Pipe for T {}

/// An idle connection is probed after this time, so that a vanished host is noticed between calls.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
/// Time between probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// Unanswered probes after which the connection is dead.
const KEEPALIVE_PROBES: u32 = 3;

/// Connects to a socket file.
pub(crate) async fn open_unix(path: &Path) -> Result<Box<dyn Pipe>, Fault> {
    Ok(Box::new(UnixStream::connect(path).await?))
}

/// Connects to the first address of the server that answers. Each gets an equal share of what is
/// left until `deadline`, so that a silent one does not hide the next.
pub(crate) async fn open_tcp(address: &Address, deadline: Instant) -> Result<Box<dyn Pipe>, Fault> {
    let targets: Vec<SocketAddr> =
        lookup_host((address.host(), address.port())).await.map_err(Fault::Resolve)?.collect();
    let mut failure: Option<Fault> = None;
    for (tried, target) in targets.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(targets.len() - tried).unwrap_or(1);
        let fault = match timeout(share, TcpStream::connect(target)).await {
            Ok(Ok(socket)) => {
                set_up(&socket)?;
                return Ok(Box::new(socket));
            }
            Ok(Err(error)) => Fault::Io(error),
            Err(_) => Fault::Silent,
        };
        let more_telling = match &failure {
            Some(known) => doubt(&fault) > doubt(known),
            None => true,
        };
        if more_telling {
            failure = Some(fault);
        }
    }
    Err(failure.unwrap_or_else(|| {
        Fault::Resolve(io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
    }))
}

/// Of several addresses' failures the one is told that leaves most doubt whether the server is
/// down: a silent address outweighs a refusal, a refusal outweighs "no route" (the host has IPv6
/// and we have not).
fn doubt(fault: &Fault) -> u8 {
    match fault {
        Fault::Silent => 3,
        Fault::Io(error) if error.kind() == io::ErrorKind::TimedOut => 3,
        Fault::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => 1,
        Fault::Io(error) => match error.kind() {
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::AddrNotAvailable => 0,
            _ => 2,
        },
        _ => 2,
    }
}

/// Sends small packets at once, and notices a vanished peer.
pub(crate) fn set_up(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(socket, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(socket, KEEPALIVE_PROBES)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_address_outweighs_a_refusal_and_that_a_missing_route() {
        let refused = Fault::Io(io::ErrorKind::ConnectionRefused.into());
        let unreachable = Fault::Io(io::ErrorKind::NetworkUnreachable.into());
        assert!(doubt(&Fault::Silent) > doubt(&refused));
        assert!(doubt(&refused) > doubt(&unreachable));
    }
}
