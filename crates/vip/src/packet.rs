//! Frames on one interface: sent as they are, and received with nothing in between.

use std::io;
use std::num::NonZeroU32;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::sys::socket::LinkAddr;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::net::{recv, send, socket_with, sockopt};

/// Neighbour messages are far shorter than this; longer frames are not looked at to their end.
const LONGEST: usize = 2048;
/// A busy host must not lose the one answer that counts among what else it receives.
const RECEIVE_BUFFER: usize = 4 << 20;

/// A packet socket on one interface.
#[derive(Debug)]
pub(crate) struct PacketSocket(OwnedFd);

impl PacketSocket {
    /// One that only sends.
    pub(crate) fn sender(link: &LinkAddr) -> io::Result<Self> {
        Self::open(link, None)
    }

    /// One that also receives the frames of one Ethernet type.
    pub(crate) fn listener(link: &LinkAddr, ethertype: u16) -> io::Result<Self> {
        let socket = Self::open(link, NonZeroU32::new(ethertype.to_be().into()))?;
        // The limit for ordinary users is no reason to fail.
        let _smaller = sockopt::set_socket_recv_buffer_size_force(&socket.0, RECEIVE_BUFFER);
        // Until it was bound, the socket received from every interface.
        while socket.receive_now()?.is_some() {}
        Ok(socket)
    }

    fn open(link: &LinkAddr, ethertype: Option<NonZeroU32>) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let protocol = ethertype.map(Protocol::from_raw);
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, protocol)?;
        // The address came from getifaddrs and names no protocol; then the socket keeps its own
        // (packet_do_bind).
        nix::sys::socket::bind(socket.as_raw_fd(), link)?;
        Ok(Self(socket))
    }

    pub(crate) fn send(&self, frame: &[u8]) -> io::Result<()> {
        send(&self.0, frame, SendFlags::empty())?;
        Ok(())
    }

    /// The next frame before that moment; none then.
    pub(crate) fn receive_until(&self, end: Instant) -> io::Result<Option<Vec<u8>>> {
        loop {
            // Looked at first: frames that never cease must not make this last.
            let left = end.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return Ok(None);
            }
            if let Some(frame) = self.receive_now()? {
                return Ok(Some(frame));
            }
            let left = Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
            match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&left)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A frame that is there already.
    pub(crate) fn receive_now(&self) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = vec![0; LONGEST];
        match recv(&self.0, &mut buffer[..], RecvFlags::empty()) {
            Ok((read, _)) => {
                buffer.truncate(read);
                Ok(Some(buffer))
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
