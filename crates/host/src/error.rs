//! What can go wrong on a host, in sentences for the one who is paged.

use std::path::PathBuf;
use std::time::Duration;

use primacy_agent_api::AgentError;
use primacy_types::{Address, Millis};

use crate::SshFailure;

/// Why something on a server's host was not done or not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The server's name has no address.
    #[error(
        "{server}: its host name could not be resolved ({source}), so it is not known whether it \
         runs on this machine; mend the name service, or configure the IP address"
    )]
    Resolve {
        /// The server.
        server: Address,
        /// What the resolver said.
        source: std::io::Error,
    },
    /// Something took longer than its limit.
    #[error("{server}: {what} did not end within {}; nothing is concluded from it", Millis::from(*limit))]
    TimedOut {
        /// The server.
        server: Address,
        /// What was tried.
        what: String,
        /// How long.
        limit: Duration,
    },
    /// The port is held by something that is no database server.
    #[error(
        "{server}: its port on this machine is held by process {pid} ({program}), which is no \
         MySQL or MariaDB server; it is left alone. If a proxy or tunnel listens there, configure \
         the server's own address"
    )]
    NotADatabase {
        /// The server.
        server: Address,
        /// Who holds the port.
        pid: u32,
        /// Its program name.
        program: String,
    },
    /// A process holds what the server holds, but something else contradicts.
    #[error(
        "{server}: process {pid} on this machine seems to be it, but {difference}; it is left \
         alone. Look whether the address leads through a tunnel or proxy to another host"
    )]
    NotTheServer {
        /// The server.
        server: Address,
        /// The process.
        pid: u32,
        /// What does not fit.
        difference: String,
    },
    /// It runs, and its process is in a namespace that we do not see.
    #[error(
        "{server}: it runs ({what}), but its process is in another process namespace and is not seen \
         from here, so it can be neither watched nor killed. Let the agent's container share the \
         process namespace of the server's (Kubernetes: shareProcessNamespace: true)"
    )]
    Unseen {
        /// The server.
        server: Address,
        /// By what it is known to run.
        what: String,
    },
    /// More than one process fits, and nothing tells them apart.
    #[error(
        "{server}: processes {} all fit, and it cannot be told which one is the server; run \
         Primacy as the server's own user or with CAP_SYS_PTRACE, so that it may look at their \
         sockets and directories", pids.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
    )]
    Ambiguous {
        /// The server.
        server: Address,
        /// The processes.
        pids: Vec<u32>,
    },
    /// We may not look at, or not signal, the process.
    #[error(
        "{server}: Primacy may not {what} process {pid} of another user ({source}); the server was \
         not fenced by this. Run Primacy as the server's own user, or give its service \
         CAP_KILL, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"
    )]
    NotPermitted {
        /// The server.
        server: Address,
        /// The process.
        pid: u32,
        /// What was tried.
        what: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// SIGKILL was sent and the process is still there.
    #[error(
        "{server}: process {pid} was sent SIGKILL and is still there after {} ({state}); it counts \
         as alive: no other server may become writable on its account. A process in disk sleep \
         ends when its disk answers; one in a frozen control group when that is thawed",
        Millis::from(*limit)
    )]
    StillAlive {
        /// The server.
        server: Address,
        /// The process.
        pid: u32,
        /// How long was waited.
        limit: Duration,
        /// What the operating system says of it.
        state: String,
    },
    /// The unit that was masked could not be unmasked.
    #[error(
        "{server}: its systemd unit {unit} could not be unmasked ({reason}), so it will not start; \
         run: systemctl unmask --runtime {unit}"
    )]
    StillMasked {
        /// The server.
        server: Address,
        /// The unit.
        unit: String,
        /// What systemctl said.
        reason: String,
    },
    /// It was fenced, and stays down.
    #[error(
        "{server}: it is kept down by {by} and was not started; let it be started again first \
         (the fence is released when its operation is over)"
    )]
    KeptDown {
        /// The server.
        server: Address,
        /// Who keeps it down.
        by: String,
    },
    /// Nothing is known that starts it.
    #[error(
        "{server}: nothing is known that starts it: no systemd unit was seen to, and no program is \
         configured; write start = [\"/usr/sbin/mariadbd\", \"--defaults-file=...\"] for it in the \
         agent's file ([[agent.server]]), or in the manager's where there is no agent"
    )]
    NothingStarts {
        /// The server.
        server: Address,
    },
    /// What should start it failed.
    #[error("{server}: it was not started by {what}: {reason}")]
    NotStarted {
        /// The server.
        server: Address,
        /// What was tried.
        what: String,
        /// What was answered.
        reason: String,
    },
    /// It was asked to shut down and has not.
    #[error(
        "{server}: process {pid} was asked to shut down and still runs after {} ({state}); it was not \
         killed. Large buffers take long to write: wait, and try again", Millis::from(*limit)
    )]
    StillRuns {
        /// The server.
        server: Address,
        /// The process.
        pid: u32,
        /// How long was waited.
        limit: Duration,
        /// What the operating system says of it.
        state: String,
    },
    /// A file or directory could not be read.
    #[error("{server}: {} could not be read: {source}", path.display())]
    File {
        /// The server.
        server: Address,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The operating system refused something that should always work.
    #[error("{server}: this machine's {what} failed: {source}")]
    System {
        /// The server.
        server: Address,
        /// What was tried.
        what: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A copy made no progress for too long.
    #[error(
        "{server}: {} gave nothing for {} after {copied} bytes; what was copied is right, and the \
         copy can go on from there", path.display(), Millis::from(*limit)
    )]
    Stalled {
        /// The server.
        server: Address,
        /// The file.
        path: PathBuf,
        /// So much was copied before.
        copied: u64,
        /// How long was waited.
        limit: Duration,
    },
    /// What was read could not be written here.
    #[error("{server}: the copy of {} could not be written after {copied} bytes: {source}", path.display())]
    Copy {
        /// The server.
        server: Address,
        /// The file that was copied.
        path: PathBuf,
        /// So much was copied before.
        copied: u64,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The host was not reached over ssh.
    #[error(
        "{server}: `{target}`: {} (ssh said: {said}); {}", failure.seen(), failure.remedy()
    )]
    Ssh {
        /// The server.
        server: Address,
        /// What was called, as one would write it by hand.
        target: String,
        /// What it means.
        failure: SshFailure,
        /// What ssh said, shortened.
        said: String,
    },
    /// The login works, but runs no commands.
    #[error(
        "{server}: `{target}`: the login works, but does not run what it is told (it said: {said}); \
         give the user a login shell such as /bin/sh, and no forced command"
    )]
    SshNoShell {
        /// The server.
        server: Address,
        /// What was called.
        target: String,
        /// What came instead of an answer, shortened.
        said: String,
    },
    /// The ssh program itself could not be run.
    #[error("{server}: `{target}` could not be run here: {source}; install it, or set ssh_command")]
    SshProgram {
        /// The server.
        server: Address,
        /// What was called.
        target: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The server's name cannot be given to ssh.
    #[error(
        "{server}: this is no host name that can safely be given to ssh; configure the server by \
         its plain name or IP address"
    )]
    NoSshTarget {
        /// The server.
        server: Address,
    },
    /// It cannot be told what the server's process does.
    #[error("{server}: its process cannot be seen over ssh: {reason}")]
    ProcessUnseen {
        /// The server.
        server: Address,
        /// Why.
        reason: String,
    },
    /// The login may not do it.
    #[error("{server}: it may not be killed over ssh, so it was not fenced by this: {reason}")]
    SshNotPermitted {
        /// The server.
        server: Address,
        /// What is not permitted, and what mends it.
        reason: String,
    },
    /// The login may not shut it down.
    #[error("{server}: it was not shut down over ssh: {reason}")]
    SshNotStopped {
        /// The server.
        server: Address,
        /// What is not permitted, and what mends it.
        reason: String,
    },
    /// The agent did not do it, or was not reached.
    #[error("{server}: {source}")]
    Agent {
        /// The server.
        server: Address,
        /// Why.
        source: Box<AgentError>,
    },
}

impl HostError {
    /// Trying again may help: it says nothing of the server's files, only that the host was not
    /// reached or did not answer in time.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::TimedOut { .. }
            | Self::Stalled { .. }
            | Self::StillRuns { .. }
            | Self::Resolve { .. } => true,
            Self::Ssh { failure, .. } => failure.is_passing(),
            Self::Agent { source, .. } => source.is_passing(),
            Self::File { source, .. } => source.kind() == std::io::ErrorKind::Interrupted,
            _ => false,
        }
    }
}
