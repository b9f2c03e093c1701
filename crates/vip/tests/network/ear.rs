//! What a host hears on its wire, and what it reaches.

use std::io::Read;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::num::NonZeroU32;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, Protocol, RecvFlags, SocketFlags, SocketType, recv, socket_with};

use crate::net::{Host, LONG};

const PORT: u16 = 3306;

/// Hears every frame of a host from when it was made.
pub(crate) struct Ear(OwnedFd);

impl Ear {
    pub(crate) fn new(host: &Host) -> Self {
        const EVERYTHING: u16 = 3;
        host.inside(|| {
            let protocol = NonZeroU32::new(EVERYTHING.to_be().into()).map(Protocol::from_raw);
            let (family, flags) = (AddressFamily::PACKET, SocketFlags::CLOEXEC);
            let socket = socket_with(family, SocketType::RAW, flags, protocol).expect("permitted");
            let beat = Some(Duration::from_millis(100));
            set_socket_timeout(&socket, Timeout::Recv, beat).expect("a socket has timeouts");
            Self(socket)
        })
    }

    /// Waits for so many frames that are wanted; gives them with the time they came at.
    pub(crate) fn wait<T>(
        &self,
        count: usize,
        mut wanted: impl FnMut(&[u8]) -> Option<T>,
    ) -> Vec<(T, Instant)> {
        let (begun, mut heard) = (Instant::now(), Vec::new());
        while heard.len() < count {
            assert!(begun.elapsed() < LONG, "only {} of {count} were heard", heard.len());
            let mut frame = [0; 2048];
            if let Ok((read, _)) = recv(&self.0, &mut frame[..], RecvFlags::empty()) {
                heard.extend(wanted(&frame[..read]).map(|found| (found, Instant::now())));
            }
        }
        heard
    }
}

/// Answers every connection with a name, as long as the test runs.
pub(crate) fn serve(host: &Host, name: &'static str) {
    let listener = host.inside(|| TcpListener::bind(("::", PORT)).expect("the port is free"));
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _gone = std::io::Write::write_all(&mut stream, name.as_bytes());
        }
    });
}

/// Who answers a host at this address.
pub(crate) fn who_answers(host: &Host, ip: IpAddr) -> Option<String> {
    host.inside(|| {
        let to = SocketAddr::new(ip, PORT);
        let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(2)).ok()?;
        let mut name = String::new();
        stream.read_to_string(&mut name).ok()?;
        Some(name)
    })
}

/// From which address a host would speak to another.
pub(crate) fn source_towards(host: &Host, ip: IpAddr) -> IpAddr {
    host.inside(|| {
        let any = if ip.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).expect("a socket");
        socket.connect((ip, PORT)).expect("a route");
        socket.local_addr().expect("it has one").ip()
    })
}
