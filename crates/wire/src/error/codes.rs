//! What a server's error number means for us, as a table.

/// The kinds of refusal that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The account may not log in.
    AccessDenied,
    /// Connections are used up, for the server or the account.
    TooManyConnections,
    /// This client's host may not connect.
    HostBlocked,
    /// The server is stopping, or someone killed the connection.
    Shutdown,
    /// The server ended this idle connection, and goes on.
    ConnectionEnded,
    /// Everything else.
    Other,
}

use Meaning::{AccessDenied, ConnectionEnded, HostBlocked, Shutdown, TooManyConnections};

/// Error numbers that are not [`Meaning::Other`], with their names in the servers' sources.
pub(crate) const CODES: &[(u16, &str, Meaning)] = &[
    (1040, "ER_CON_COUNT_ERROR", TooManyConnections),
    (1044, "ER_DBACCESS_DENIED_ERROR", AccessDenied),
    (1045, "ER_ACCESS_DENIED_ERROR", AccessDenied),
    (1053, "ER_SERVER_SHUTDOWN", Shutdown),
    (1077, "ER_NORMAL_SHUTDOWN", Shutdown),
    (1079, "ER_SHUTDOWN_COMPLETE", Shutdown),
    (1129, "ER_HOST_IS_BLOCKED", HostBlocked),
    (1130, "ER_HOST_NOT_PRIVILEGED", HostBlocked),
    (1203, "ER_TOO_MANY_USER_CONNECTIONS", TooManyConnections),
    (1226, "ER_USER_LIMIT_REACHED", TooManyConnections),
    (1698, "ER_ACCESS_DENIED_NO_PASSWORD_ERROR", AccessDenied),
    (1820, "ER_MUST_CHANGE_PASSWORD", AccessDenied),
    (1862, "ER_MUST_CHANGE_PASSWORD_LOGIN", AccessDenied),
    (1927, "ER_CONNECTION_KILLED (MariaDB)", Shutdown),
    (3118, "ER_ACCOUNT_HAS_BEEN_LOCKED (MySQL)", AccessDenied),
    (3169, "ER_SESSION_WAS_KILLED (MySQL)", Shutdown),
    (3955, "ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK (MySQL)", AccessDenied),
    (4031, "ER_CLIENT_INTERACTION_TIMEOUT (MySQL)", ConnectionEnded),
    (4150, "ER_USER_IS_BLOCKED (MariaDB)", AccessDenied),
    (4151, "ER_ACCOUNT_HAS_BEEN_LOCKED (MariaDB)", AccessDenied),
];

/// What this error number means. 1317 (`ER_QUERY_INTERRUPTED`) is not a shutdown: `KILL QUERY`
/// and `max_execution_time` use it on a server that goes on.
pub fn meaning(code: u16) -> Meaning {
    CODES.iter().find(|(known, ..)| *known == code).map_or(Meaning::Other, |(.., meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_no_number_twice() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn refusals_are_told_apart() {
        assert_eq!(meaning(1045), AccessDenied);
        assert_eq!(meaning(1040), TooManyConnections);
        assert_eq!(meaning(1129), HostBlocked);
        assert_eq!(meaning(1053), Shutdown);
        assert_eq!(meaning(1317), Meaning::Other);
    }
}
