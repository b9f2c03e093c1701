//! What a failed call says about the server: the client's error as the rules see it.

use primacy_types::ContactFailure;
use primacy_wire::WireError;

/// `ER_CONNECTION_KILLED` (MariaDB), `ER_SESSION_WAS_KILLED` (MySQL), and the idle limit: the
/// session ended, the server goes on.
const SESSION_ENDED: &[u16] = &[1927, 3169, 4031];
/// Errors for a missing privilege (`ER_*ACCESS_DENIED*`, `ER_XAER_RMERR` without
/// XA_RECOVER_ADMIN).
const DENIED: &[u16] = &[1044, 1045, 1095, 1142, 1143, 1227, 1370, 1401, 1410];

/// Translates an error of the client.
pub fn classify(error: &WireError) -> ContactFailure {
    match error {
        WireError::Refused { .. } => ContactFailure::Refused,
        WireError::Reset { .. } | WireError::Broken { .. } => ContactFailure::Reset,
        WireError::Timeout { .. } => ContactFailure::Silent,
        WireError::Unreachable { .. } => ContactFailure::Unreachable,
        WireError::Resolve { .. } => ContactFailure::Unresolved,
        WireError::TooManyConnections { .. } => ContactFailure::TooManyConnections,
        WireError::ServerShutdown { code, .. } if SESSION_ENDED.contains(code) => {
            ContactFailure::Reset
        }
        WireError::ServerShutdown { .. } => ContactFailure::ShuttingDown,
        WireError::AccessDenied { message, .. } | WireError::HostBlocked { message, .. } => {
            ContactFailure::AccessDenied(message.clone())
        }
        WireError::Auth { reason, .. } => ContactFailure::AccessDenied(reason.clone()),
        WireError::NoTls { .. } | WireError::OldTls { .. } | WireError::Tls { .. } => {
            ContactFailure::Tls(error.to_string())
        }
        WireError::Server { code, .. } if SESSION_ENDED.contains(code) => ContactFailure::Reset,
        WireError::Server { message, .. } if is_denied(error) => {
            ContactFailure::AccessDenied(message.clone())
        }
        WireError::Server { message, .. } => ContactFailure::Answered(message.clone()),
        _ => ContactFailure::Other(error.to_string()),
    }
}

/// Whether the server refused a statement for want of a privilege.
pub(crate) fn is_denied(error: &WireError) -> bool {
    error.code().is_some_and(|code| DENIED.contains(&code))
}

/// Whether the session can go on after this error.
pub(crate) fn session_survives(error: &WireError) -> bool {
    matches!(error, WireError::Server { .. } | WireError::AccessDenied { .. })
        && !error.code().is_some_and(|code| SESSION_ENDED.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use primacy_types::Address;

    fn server(code: u16) -> WireError {
        let message = "no".to_owned();
        WireError::Server { address: Address::new("a", 1), code, sqlstate: "42000".into(), message }
    }

    #[test]
    fn a_missing_privilege_proves_life() {
        assert!(classify(&server(1227)).proves_life());
    }

    #[test]
    fn a_killed_session_is_not_a_shutdown() {
        let address = Address::new("a", 1);
        let killed = |code| WireError::ServerShutdown {
            address: address.clone(),
            code,
            message: "Connection was killed".into(),
        };
        assert_eq!(classify(&killed(1927)), ContactFailure::Reset);
        assert_eq!(classify(&killed(1053)), ContactFailure::ShuttingDown);
    }
}
