//! The connection that many calls share: an `ssh` in master mode that is our own child.
//!
//! What it runs on the far side reads a pipe that we hold. When we end, however abruptly, the pipe
//! ends, and with it the connection: nothing is left behind. Its socket is in a folder that only
//! our user may enter.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::process::{Child, ChildStdin};
use tokio::time::Instant;

use super::call::Words;
use super::failure::SshFailure;
use super::target::{CONNECT_LIMIT, Sharing, Target};

/// Tells the connections of this process apart.
static NUMBER: AtomicU32 = AtomicU32::new(1);

/// unix(7): the path of a socket has at most 108 bytes; ssh adds 17 to it while it makes it.
const LONGEST_FOLDER: usize = 80;
/// A connection that does not stand after so long is given up.
const GIVE_UP: Duration = CONNECT_LIMIT.saturating_add(Duration::from_secs(2));
/// A login that failed is not tried again within this time, whoever asks.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// Where sharing itself does not work, it is tried again after this time.
const AFTER_TROUBLE: Duration = Duration::from_secs(60);
/// How long the last words of an ssh that has ended are waited for.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// The shared connection, if there is one now.
#[derive(Debug)]
pub(crate) struct Master {
    target: Target,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    None,
    Begun(Arc<Connection>),
    /// The host was not reached.
    Failed {
        said: Vec<u8>,
        until: Instant,
    },
    /// The host may be reached, but not by sharing.
    Unusable {
        until: Instant,
    },
}

/// What a caller is to do.
#[derive(Debug)]
pub(crate) enum Advice {
    /// Use this one.
    Share(Arc<Connection>),
    /// Connect alone.
    Alone,
    /// The host is not reached; ssh said this.
    Failed(Vec<u8>),
    /// Ask again in a moment.
    Wait,
}

/// A connection that is being made, stands, or has ended.
#[derive(Debug)]
pub(crate) struct Connection {
    child: Mutex<Child>,
    words: Words,
    begun: Instant,
    /// It has stood.
    stood: AtomicBool,
    socket: PathBuf,
    _lifeline: Option<ChildStdin>,
}

impl Master {
    pub(crate) const fn new(target: Target) -> Self {
        Self { target, state: Mutex::new(State::None) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the connection, and begins one where there is none. Does not wait.
    pub(crate) fn advice(&self) -> Advice {
        let mut state = self.state();
        let now = Instant::now();
        match &*state {
            State::Failed { said, until } if now < *until => {
                return Advice::Failed(said.clone());
            }
            State::Unusable { until } if now < *until => return Advice::Alone,
            State::Begun(connection) => match connection.look(now) {
                Look::Stands => return Advice::Share(Arc::clone(connection)),
                Look::Pending => return Advice::Wait,
                Look::Lost => {}
                Look::Failed(said) if reaches_nothing(&said) => {
                    *state = State::Failed { said: said.clone(), until: now + AFTER_FAILURE };
                    return Advice::Failed(said);
                }
                Look::Failed(said) => {
                    let said = super::failure::shortened(&said);
                    tracing::debug!(host = %self.target, said, "no shared ssh connection");
                    *state = State::Unusable { until: now + AFTER_TROUBLE };
                    return Advice::Alone;
                }
            },
            State::None | State::Failed { .. } | State::Unusable { .. } => {}
        }
        match Connection::begin(&self.target) {
            Ok(connection) => {
                *state = State::Begun(Arc::new(connection));
                Advice::Wait
            }
            Err(error) => {
                tracing::debug!(host = %self.target, %error, "no shared ssh connection");
                *state = State::Unusable { until: now + AFTER_TROUBLE };
                Advice::Alone
            }
        }
    }

    /// A call over this connection had no answer: the next one makes a new connection. Other calls
    /// that still run over the old one keep it until they end.
    pub(crate) fn suspect(&self, connection: &Arc<Connection>) {
        let mut state = self.state();
        if matches!(&*state, State::Begun(current) if Arc::ptr_eq(current, connection)) {
            *state = State::None;
        }
    }
}

/// Whether a call of its own would fail in the same way.
fn reaches_nothing(said: &[u8]) -> bool {
    let what = SshFailure::of(&String::from_utf8_lossy(said));
    !matches!(what, SshFailure::Other | SshFailure::Cut)
}

enum Look {
    Stands,
    Pending,
    /// It stood and has ended.
    Lost,
    /// It never stood.
    Failed(Vec<u8>),
}

impl Connection {
    fn begin(target: &Target) -> io::Result<Self> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let socket = private_folder()?.join(format!("{}-{number}", std::process::id()));
        // A process that had our number before us may have left one.
        drop(fs::remove_file(&socket));
        let hold = OsString::from("exec cat >/dev/null");
        let mut command = target.command(Sharing::Offer(&socket), CONNECT_LIMIT, &hold);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let lifeline = child.stdin.take();
        let words = Words::of(&mut child);
        Ok(Self {
            child: Mutex::new(child),
            words,
            begun: Instant::now(),
            stood: AtomicBool::new(false),
            socket,
            _lifeline: lifeline,
        })
    }

    /// Where it is offered.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    fn look(&self, now: Instant) -> Look {
        let runs = {
            let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
            matches!(child.try_wait(), Ok(None))
        };
        let stood = self.stood.load(Ordering::Relaxed);
        let age = now.saturating_duration_since(self.begun);
        match (runs, stood) {
            (true, true) if self.socket.exists() => Look::Stands,
            (true, true) => Look::Lost,
            // The socket appears when the login has succeeded, complete (mux.c links it there).
            (true, false) if self.socket.exists() => {
                self.stood.store(true, Ordering::Relaxed);
                Look::Stands
            }
            (true, false) if age < GIVE_UP => Look::Pending,
            (true, false) => Look::Failed(b"Connection timed out".to_vec()),
            (false, true) => Look::Lost,
            (false, false) if !self.words.complete() && age < GIVE_UP + LAST_WORDS => Look::Pending,
            (false, false) => Look::Failed(self.words.so_far()),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // ssh removes it when it ends by itself; killed as its handle is dropped, it cannot.
        drop(fs::remove_file(&self.socket));
    }
}

/// The folder of our sockets, one for all processes of a user; others cannot enter it.
fn private_folder() -> io::Result<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let usual = std::env::temp_dir().join(format!("primacy-ssh-{user}"));
    let folder = if usual.as_os_str().as_bytes().len() < LONGEST_FOLDER {
        usual
    } else {
        PathBuf::from(format!("/tmp/primacy-ssh-{user}"))
    };
    match fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    // Somebody else may have made it first: links are not followed here.
    let found = fs::symlink_metadata(&folder)?;
    if found.is_dir() && found.uid() == user && found.mode() & 0o077 == 0 {
        return Ok(folder);
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("{} is not a folder that only we may enter", folder.display()),
    ))
}
