//! Which process is the server: a wrong answer here would kill somebody else's database, so a
//! process has to hold what only the server can hold.
//!
//! A process is taken if its program is a database server and
//! - it listens on the server's port and one of its addresses, which must be an address of that
//!   process' own network namespace (loopback addresses count in ours only), and works in the
//!   data directory where that is known; or
//! - it works in the data directory, listens nowhere (a server that starts or shuts down), and no
//!   other process fits.

use std::io;
use std::net::IpAddr;
use std::path::Path;

use super::proc::{self, DirectoryId};
use super::process::Process;
use crate::{HostError, ServerIdentity};

/// A server with its name resolved, and what was learned from its process.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) server: ServerIdentity,
    pub(crate) addresses: Vec<IpAddr>,
    /// The directory that the process worked in when it was found.
    pub(crate) directory: Option<DirectoryId>,
}

/// A process that is the server.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) process: Process,
    /// `false` if we may not look at its sockets and directory: good enough to watch, not to kill.
    pub(crate) verified: bool,
    pub(crate) directory: Option<DirectoryId>,
}

/// How well a process fits.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fit {
    /// It holds the port.
    Port { verified: bool },
    /// It holds only the data directory.
    Directory,
    /// It holds the port, but something else contradicts.
    Contradicted(String),
    /// It is something else.
    Stranger,
}

/// How a process stands to the server's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    /// It listens there; `seen` if its own descriptors show it, else it is inferred from the
    /// socket's owner.
    Held { seen: bool },
    /// It listens on other ports only.
    Another,
    /// It listens nowhere: it starts, or it shuts down.
    Silent,
    /// None of the server's addresses leads to it.
    Unreachable,
}

/// Files of a data directory that a running server keeps locked: InnoDB's first, Aria's second.
const LOCKED_FILES: &[&str] = &["ibdata1", "aria_log_control"];

/// Pause before it is looked again whether a port is held by a process that is not seen.
const UNSEEN_AGAIN: std::time::Duration = std::time::Duration::from_millis(20);

impl Wanted {
    /// The server's process, if it runs on this machine.
    pub(crate) fn find(&self) -> Result<Option<Found>, HostError> {
        if let Some(pid) = self.pid_in_file()
            && let Some((found, Fit::Port { .. })) = self.look_at(pid)
        {
            return Ok(Some(found));
        }
        let pids = proc::pids().map_err(|source| self.system("process list (/proc)", source))?;
        let (mut sure, mut unsure, mut starting, mut contradicted) =
            (Vec::new(), Vec::new(), Vec::new(), None);
        for (found, fit) in pids.iter().filter_map(|pid| self.look_at(*pid)) {
            match fit {
                Fit::Port { verified: true } => sure.push(found),
                Fit::Port { verified: false } => unsure.push(found),
                Fit::Directory => starting.push(found),
                Fit::Contradicted(difference) => {
                    contradicted = Some((found.process.pid(), difference));
                }
                Fit::Stranger => {}
            }
        }
        for mut fitting in [sure, unsure, starting] {
            match fitting.len() {
                0 => {}
                1 => return Ok(fitting.pop()),
                _ => {
                    let pids = fitting.iter().map(|found| found.process.pid()).collect();
                    return Err(HostError::Ambiguous { server: self.address(), pids });
                }
            }
        }
        if let Some((pid, difference)) = contradicted {
            return Err(HostError::NotTheServer { server: self.address(), pid, difference });
        }
        let none = self.refuse_other_program(&pids)?;
        match self.unseen() {
            Some(what) => Err(HostError::Unseen { server: self.address(), what }),
            None => Ok(none),
        }
    }

    /// Whether a process is a server on the directory (or, where that is not known, the port)
    /// that is kept down. Its network does not matter: data that is fenced stays down.
    pub(crate) fn is_same_server(&self, pid: u32) -> bool {
        if self.directory.is_some() || self.server.data_dir.is_some() {
            return self.holds_directory(pid) == Some(true);
        }
        matches!(self.fit(pid), Fit::Port { verified: true })
    }

    /// Whether something listens where the server did.
    pub(crate) fn something_listens(&self) -> bool {
        let port = self.server.address.port();
        proc::listeners(None)
            .is_ok_and(|listeners| listeners.iter().any(|it| it.answers(port, &self.addresses)))
    }

    fn look_at(&self, pid: u32) -> Option<(Found, Fit)> {
        if !proc::is_server(pid) {
            return None;
        }
        let process = Process::open(pid).ok()?;
        let fit = match self.fit(pid) {
            Fit::Port { .. } | Fit::Directory if !self.names_agree(pid) => {
                let name = self.server.host_name.as_deref().unwrap_or_default();
                Fit::Contradicted(format!("the server says that it runs on host {name}"))
            }
            fit => fit,
        };
        let directory = proc::directory(pid).ok();
        // All of the above was read of this very process if it is still alive.
        let verified = fit == Fit::Port { verified: true } || fit == Fit::Directory;
        process.is_alive().then_some((Found { process, verified, directory }, fit))
    }

    fn fit(&self, pid: u32) -> Fit {
        let directory = self.holds_directory(pid);
        let contradicted = |difference: &str| Fit::Contradicted(difference.to_owned());
        match (self.holds_port(pid), directory) {
            (Ok(Port::Held { .. }), Some(false)) => {
                contradicted("it works in another directory than the server's data directory")
            }
            (Ok(Port::Held { seen }), directory) => {
                // Without a look at its descriptors, holding the data directory is proof enough.
                let unseen = directory.is_none() && self.server.data_dir.is_some();
                Fit::Port { verified: directory == Some(true) || (seen && !unseen) }
            }
            (Ok(Port::Another), Some(true)) => {
                contradicted("it works in the server's data directory, but listens elsewhere")
            }
            (Ok(Port::Silent), Some(true)) => Fit::Directory,
            _ => Fit::Stranger,
        }
    }

    fn holds_port(&self, pid: u32) -> io::Result<Port> {
        let port = self.server.address.port();
        let mut listeners = proc::listeners(Some(pid))?;
        let inodes: Vec<u64> = listeners.iter().map(|it| it.inode).collect();
        let reachable = self.reachable(pid, &inodes);
        if reachable.is_empty() {
            return Ok(Port::Unreachable);
        }
        let open = proc::sockets(pid);
        listeners.retain(|it| match &open {
            Ok(open) => open.contains(&it.inode),
            // We may not look at its descriptors.
            Err(_) => proc::may_own(pid, it.owner),
        });
        Ok(if listeners.iter().any(|it| it.answers(port, &reachable)) {
            Port::Held { seen: open.is_ok() }
        } else if listeners.is_empty() || open.is_err() {
            Port::Silent
        } else {
            Port::Another
        })
    }

    /// Which of the server's addresses lead to this process' network namespace.
    fn reachable(&self, pid: u32, listening: &[u64]) -> Vec<IpAddr> {
        // Where we may not compare namespaces: a socket inode that our own table shows, too, is
        // in our namespace.
        let ours = proc::in_our_namespace(pid, "net").unwrap_or_else(|_| {
            proc::listeners(None)
                .is_ok_and(|own| own.iter().any(|it| listening.contains(&it.inode)))
        });
        let own = proc::interface_addresses(pid).unwrap_or_default();
        let leads =
            |address: &&IpAddr| if address.is_loopback() { ours } else { own.contains(address) };
        self.addresses.iter().filter(leads).copied().collect()
    }

    /// Whether it works in the data directory; `None` if that is not known or may not be seen.
    fn holds_directory(&self, pid: u32) -> Option<bool> {
        let works_in = proc::directory(pid).ok();
        if let (Some(works_in), Some(known)) = (works_in, self.directory) {
            if works_in == known {
                return Some(true);
            }
            // A new volume may be mounted where the old one was, or a copy moved there. In a
            // container the same path is another server's.
            if !proc::in_our_namespace(pid, "mnt").unwrap_or(false) {
                return Some(false);
            }
        }
        let data_dir = self.server.data_dir.as_deref()?;
        let expected = DirectoryId::of(&proc::seen_by(pid, data_dir)).ok();
        if works_in.is_some() && works_in == expected {
            return Some(true);
        }
        if let Ok(below) = proc::has_open_below(pid, data_dir) {
            return Some(below);
        }
        // A server that root started and that changed its user shows its descriptors to root
        // only; its locks are shown to everybody.
        LOCKED_FILES
            .iter()
            .any(|file| proc::has_locked(pid, &data_dir.join(file)).unwrap_or(false))
            .then_some(true)
    }

    /// Whether the server's `@@hostname` is ours, for a process that shares our host name.
    fn names_agree(&self, pid: u32) -> bool {
        let Some(name) = &self.server.host_name else { return true };
        if proc::in_our_namespace(pid, "uts").is_ok_and(|ours| !ours) {
            return true;
        }
        std::fs::read_to_string("/proc/sys/kernel/hostname")
            .map_or(true, |ours| ours.trim().eq_ignore_ascii_case(name))
    }

    fn pid_in_file(&self) -> Option<u32> {
        pid_in(&self.server.path(self.server.pid_file.as_deref()?))
    }

    /// Nobody fits: names the program that sits on the port instead, if one does.
    fn refuse_other_program(&self, pids: &[u32]) -> Result<Option<Found>, HostError> {
        let reachable = self.reachable(std::process::id(), &[]);
        let listeners = proc::listeners(None).unwrap_or_default();
        let port = self.server.address.port();
        let held: Vec<u64> =
            listeners.iter().filter(|it| it.answers(port, &reachable)).map(|it| it.inode).collect();
        if held.is_empty() {
            return Ok(None);
        }
        let holds = |pid: &&u32| {
            proc::sockets(**pid).is_ok_and(|open| open.iter().any(|inode| held.contains(inode)))
        };
        match pids.iter().find(holds) {
            Some(pid) if !proc::is_server(*pid) => Err(HostError::NotADatabase {
                server: self.address(),
                pid: *pid,
                program: proc::program(*pid).unwrap_or_else(|_| "unknown".to_owned()),
            }),
            _ => Ok(None),
        }
    }

    /// By what it is known that the server runs here although no process is it: one in a process
    /// namespace that we do not see (a container beside ours). Not finding it proves nothing then.
    fn unseen(&self) -> Option<String> {
        let reachable = self.reachable(std::process::id(), &[]);
        if reachable.is_empty() {
            return None;
        }
        let files = LOCKED_FILES.iter().filter_map(|file| {
            let path = self.server.data_dir.as_ref()?.join(file);
            let locked = proc::is_locked_by_unseen(&path).ok()?;
            Some((path, locked))
        });
        let mut files = files.peekable();
        // Where these may be read, they tell it for certain, also of a server that only begins.
        if files.peek().is_some() {
            let (path, _) = files.find(|(_, locked)| *locked)?;
            return Some(format!("{} is locked", path.display()));
        }
        // Processes come and go while they are looked at: what is not so again was not so.
        for _ in 0..3 {
            if !self.port_is_held_unseen(&reachable) {
                return None;
            }
            std::thread::sleep(UNSEEN_AGAIN);
        }
        Some(format!("something listens on port {}", self.server.address.port()))
    }

    /// Whether none of the processes that we see holds the port, and all may be looked at.
    fn port_is_held_unseen(&self, reachable: &[IpAddr]) -> bool {
        let port = self.server.address.port();
        let listeners = proc::listeners(None).unwrap_or_default();
        let Some(held) = listeners.iter().find(|it| it.answers(port, reachable)) else {
            return false;
        };
        proc::pids().unwrap_or_default().into_iter().all(|pid| match proc::sockets(pid) {
            Ok(open) => !open.contains(&held.inode),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        })
    }

    pub(crate) fn address(&self) -> primacy_types::Address {
        self.server.address.clone()
    }

    fn system(&self, what: &'static str, source: io::Error) -> HostError {
        HostError::System { server: self.address(), what, source }
    }
}

/// The pid that a pid file holds.
pub(crate) fn pid_in(file: &Path) -> Option<u32> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}
