//! One connection to one server. Every call has a limit; a call that does not finish, because its
//! time was up or because its future was dropped, leaves a session that refuses all later calls:
//! a half-read answer must never be taken for the answer to the next question.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use primacy_types::{Address, ServerVersion};
use tokio::time::{Instant, timeout, timeout_at};

use crate::capability::STATUS_NO_BACKSLASH_ESCAPES;
use crate::command::{Answer, Link};
use crate::error::{Fault, WireError};
use crate::login::{Welcome, login};
use crate::options::ConnectOptions;
use crate::packet::COM_QUIT;
use crate::raw::RawPackets;
use crate::rows::{Done, Rows};
use crate::socket;

/// How long saying goodbye may take.
const GOODBYE_LIMIT: Duration = Duration::from_millis(500);

/// A logged-in connection. After login nothing is sent but what is asked for.
pub struct Session {
    /// Taken out while a call runs, and put back when its answer was read to the end.
    link: Option<Box<Link>>,
    address: Address,
    version: ServerVersion,
    version_text: String,
    connection_id: u64,
    tls: Option<String>,
    no_backslash_escapes: bool,
}

impl Session {
    /// Connects and logs in, all within the options' `connect_timeout`.
    pub async fn connect(options: &ConnectOptions) -> Result<Self, WireError> {
        let address = &options.address;
        let limit = options.connect_timeout;
        let deadline = Instant::now() + limit;
        let open = async {
            match &options.unix_socket {
                Some(path) => socket::open_unix(path).await,
                None => socket::open_tcp(address, deadline).await,
            }
        };
        let what = "connecting";
        let pipe = timeout_at(deadline, open)
            .await
            .unwrap_or(Err(Fault::Silent))
            .map_err(|fault| fault.at(address, what, limit))?;
        let what = "logging in (the connection itself was accepted)";
        let welcome = timeout_at(deadline, login(pipe, options))
            .await
            .unwrap_or(Err(Fault::Silent))
            .map_err(|fault| fault.at(address, what, limit))?;
        let Welcome { link, greeting, tls } = welcome;
        let version = greeting.version.parse().map_err(|error| WireError::Protocol {
            address: address.clone(),
            reason: format!("{error}"),
        })?;
        tracing::debug!(server = %address, %version, tls = tls.as_deref(), "connected");
        Ok(Self {
            no_backslash_escapes: link.status & STATUS_NO_BACKSLASH_ESCAPES != 0,
            link: Some(Box::new(link)),
            address: address.clone(),
            version,
            version_text: greeting.version,
            connection_id: u64::from(greeting.connection_id),
            tls,
        })
    }

    /// Runs a statement and returns its first result set; a statement that gives none returns no
    /// rows and no columns.
    pub async fn query(&mut self, sql: &str, limit: Duration) -> Result<Rows, WireError> {
        Ok(match self.run(sql, limit).await? {
            Answer::Rows(rows) => rows,
            Answer::Ok(ok) => Rows::without_columns(ok.affected_rows),
        })
    }

    /// Runs a statement for its effect; rows that it gives are dropped.
    pub async fn execute(&mut self, sql: &str, limit: Duration) -> Result<Done, WireError> {
        Ok(match self.run(sql, limit).await? {
            Answer::Rows(_) => Done::default(),
            Answer::Ok(ok) => ok.into(),
        })
    }

    /// Asks whether the server answers.
    pub async fn ping(&mut self, limit: Duration) -> Result<(), WireError> {
        self.call("waiting for the answer to a ping", limit, async |link| link.ping().await).await
    }

    /// Flavour and version, from the greeting.
    pub fn version(&self) -> ServerVersion {
        self.version
    }

    /// The version as the server writes it.
    pub fn version_text(&self) -> &str {
        &self.version_text
    }

    /// Number of this connection, for `KILL`. The greeting carries only its low 32 bits.
    pub fn connection_id(&self) -> u64 {
        self.connection_id
    }

    /// The server.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// TLS version, such as `TLSv1.3`; `None` without TLS.
    pub fn tls(&self) -> Option<String> {
        self.tls.clone()
    }

    /// Whether `NO_BACKSLASH_ESCAPES` is in force, as the server's latest answer told; for
    /// [`quote_plain`](crate::quote_plain).
    pub fn no_backslash_escapes(&self) -> bool {
        self.no_backslash_escapes
    }

    /// Whether the session can be used no more.
    pub fn is_broken(&self) -> bool {
        self.link.is_none()
    }

    /// Waits until the server ends the connection or says something of its own, which is its last word;
    /// of a session that is broken, it waits no longer. What it was is the outcome of the next call. When
    /// the future is dropped nothing is lost.
    pub async fn disturbed(&mut self) {
        if let Some(link) = self.link.as_mut() {
            let _next_call_meets_it = link.stream.fill().await;
        }
    }

    /// Gives the connection away for packets of other kinds than statements and their answers.
    pub fn into_packets(mut self) -> Result<RawPackets, WireError> {
        match self.link.take() {
            Some(link) => Ok(RawPackets::new(link, self.address)),
            None => Err(WireError::Broken { address: self.address }),
        }
    }

    /// Says goodbye and closes. Dropping a session closes without a word.
    pub async fn close(mut self) {
        if let Some(mut link) = self.link.take() {
            // Whether the server heard it does not matter: the socket is closed next.
            let _ = timeout(GOODBYE_LIMIT, link.stream.command(COM_QUIT, &[])).await;
        }
    }

    /// Runs a statement that need not be UTF-8: one out of a binary log, in the character set that
    /// its session had.
    ///
    /// # Errors
    /// As [`Session::execute`].
    pub async fn execute_bytes(&mut self, sql: &[u8], limit: Duration) -> Result<Done, WireError> {
        let head = String::from_utf8_lossy(sql.get(..64).unwrap_or(sql)).into_owned();
        let what = format!("waiting for the answer to {}", kind_of(&head));
        Ok(match self.call(&what, limit, async |link| link.run(sql).await).await? {
            Answer::Rows(_) => Done::default(),
            Answer::Ok(ok) => ok.into(),
        })
    }

    async fn run(&mut self, sql: &str, limit: Duration) -> Result<Answer, WireError> {
        let what = format!("waiting for the answer to {}", kind_of(sql));
        let mut answer = self.call(&what, limit, async |link| link.run(sql.as_bytes()).await).await;
        if let Err(WireError::Server { message, .. }) = &mut answer {
            withhold_password(sql, message);
        }
        answer
    }

    /// Makes one call: the link is out of the session while the call runs, and comes back only
    /// when the answer was read to its end.
    async fn call<T>(
        &mut self,
        what: &str,
        limit: Duration,
        call: impl AsyncFnOnce(&mut Link) -> Result<T, Fault>,
    ) -> Result<T, WireError> {
        let Some(mut link) = self.link.take() else {
            return Err(WireError::Broken { address: self.address.clone() });
        };
        let outcome = timeout(limit, call(&mut link)).await.unwrap_or(Err(Fault::Silent));
        if outcome.as_ref().err().is_none_or(Fault::leaves_connection_usable) {
            self.no_backslash_escapes = link.status & STATUS_NO_BACKSLASH_ESCAPES != 0;
            self.link = Some(link);
        }
        outcome.map_err(|fault| after_login(fault.at(&self.address, what, limit)))
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("address", &self.address)
            .field("version", &self.version)
            .field("connection_id", &self.connection_id)
            .field("tls", &self.tls)
            .field("broken", &self.is_broken())
            .finish_non_exhaustive()
    }
}

/// Once logged in, TLS has proved itself: its errors are then the ways in which a connection ends.
/// A MariaDB 10.11 that shuts down, for one, sends the alert `decode_error`.
pub(crate) fn after_login(error: WireError) -> WireError {
    match error {
        WireError::Tls { address, reason } => {
            let what = format!("using the connection (TLS said: {reason})");
            WireError::Reset { address, what }
        }
        error => error,
    }
}

/// Names a statement by its first word, which cannot be a secret.
fn kind_of(sql: &str) -> String {
    let word: String = sql.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    match word.len() {
        1..=16 => format!("a {} statement", word.to_ascii_uppercase()),
        _ => "a statement".to_owned(),
    }
}

/// A syntax error quotes the statement from where it went wrong. Where the statement sets a
/// password, that part is left out.
fn withhold_password(sql: &str, message: &mut String) {
    let sql = sql.to_ascii_uppercase();
    if !sql.contains("PASSWORD") && !sql.contains("IDENTIFIED") {
        return;
    }
    if let Some(quoted) = message.find(" near '") {
        message.truncate(quoted);
        message.push_str(" (the place is left out: the statement has a password)");
    }
}

/// Sessions move between tasks.
const _: () = {
    const fn sendable<T: Send + Sync>() {}
    sendable::<Session>();
    fn _futures(session: &mut Session, options: &ConnectOptions) {
        fn sendable(_: impl Future + Send) {}
        sendable(Session::connect(options));
        sendable(session.query("", Duration::ZERO));
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_named_without_their_contents() {
        assert_eq!(kind_of("  change master to x"), "a CHANGE statement");
        assert_eq!(kind_of("/* x */ select 1"), "a statement");
        let mut message = "You have an error; check near 'BY 'geheim'' at line 1".to_owned();
        withhold_password("create user x identified BY 'geheim'", &mut message);
        assert!(!message.contains("geheim"), "{message}");
    }
}
