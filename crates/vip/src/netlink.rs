//! The kernel's addresses: listed, added, removed, over a netlink socket of its own each time.
//!
//! Nothing here is asynchronous: the kernel answers within the call that asks, and an address must
//! go also where a runtime is frozen. What can take long is the kernel's lock on its network
//! configuration, and that within `send`, where no timeout of a socket reaches; so whoever may not
//! wait calls this in a thread (see `limit.rs`).

mod message;

use std::cell::Cell;
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::io::{Errno, Result};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::net::{recv, send, socket_with};

use message::{ACK, CREATE, DELETE_ADDRESS, DUMP, EXCLUSIVE, GET_ADDRESS, NEW_ADDRESS, Reply};
pub(crate) use message::{Change, Record};

/// The kernel fills no more than 32 KiB at once.
const BUFFER: usize = 64 << 10;
/// So often a list is asked for again that changed while it was written.
const TRIES: u32 = 20;
/// An answer is there when `send` returns; this only ends what can never happen.
const PATIENCE: Duration = Duration::from_secs(5);

/// A netlink socket.
#[derive(Debug)]
pub(crate) struct Netlink {
    socket: OwnedFd,
    sequence: Cell<u32>,
}

impl Netlink {
    pub(crate) fn open() -> Result<Self> {
        let socket =
            socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
        Ok(Self { socket, sequence: Cell::new(0) })
    }

    /// Every address of this host.
    pub(crate) fn addresses(&self) -> Result<Vec<Record>> {
        let mut outcome = Err(Errno::INTR);
        for _ in 0..TRIES {
            outcome = self.dump();
            if !matches!(outcome, Err(Errno::INTR)) {
                break;
            }
        }
        outcome
    }

    fn dump(&self) -> Result<Vec<Record>> {
        let sequence = self.send(GET_ADDRESS, DUMP, &message::everything())?;
        let mut records = Vec::new();
        let mut torn = false;
        loop {
            for reply in self.receive(sequence)? {
                match reply {
                    Reply::Address { record, consistent } => {
                        records.extend(record);
                        torn |= !consistent;
                    }
                    // What was read is not what was there at any one moment.
                    Reply::Done { consistent } if torn || !consistent => return Err(Errno::INTR),
                    Reply::Done { .. } => return Ok(records),
                    Reply::Outcome(outcome) => outcome?,
                }
            }
        }
    }

    /// Adds an address; `EXIST` if it is there with the same prefix.
    pub(crate) fn add(&self, change: &Change) -> Result<()> {
        self.ask(NEW_ADDRESS, ACK | CREATE | EXCLUSIVE, &change.encode())
    }

    /// Removes an address; `ADDRNOTAVAIL` if it is not there.
    pub(crate) fn remove(&self, record: &Record) -> Result<()> {
        self.ask(DELETE_ADDRESS, ACK, &record.removal().encode())
    }

    fn ask(&self, kind: u16, flags: u16, body: &[u8]) -> Result<()> {
        let sequence = self.send(kind, flags, body)?;
        loop {
            for reply in self.receive(sequence)? {
                if let Reply::Outcome(outcome) = reply {
                    return outcome;
                }
            }
        }
    }

    fn send(&self, kind: u16, flags: u16, body: &[u8]) -> Result<u32> {
        let sequence = self.sequence.get().wrapping_add(1);
        self.sequence.set(sequence);
        send(&self.socket, &message::request(kind, flags, sequence, body), SendFlags::empty())?;
        Ok(sequence)
    }

    fn receive(&self, sequence: u32) -> Result<Vec<Reply>> {
        let mut buffer = vec![0; BUFFER];
        let read = loop {
            match recv(&self.socket, &mut buffer[..], RecvFlags::empty()) {
                Err(Errno::INTR) => {}
                other => break other?.0,
            }
        };
        buffer.truncate(read);
        Ok(message::replies(&buffer, sequence))
    }
}
