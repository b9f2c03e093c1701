//! What OpenSSH's client says while it opens a connection from the far side (`-W`, `-vv`).
//!
//! Its exit status is 255 whatever failed, and it ends only when the connection does: what happened
//! is in its words alone. They are those of OpenSSH 7 to 10; what is not known is taken for nothing.

/// What a line of standard error tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// The login on the host succeeded; from here on it is about the primary.
    LoggedIn,
    /// The host is connected to the primary.
    Opened,
    /// The host tried, and was not connected.
    Failed(String),
    /// The host did not try.
    NotTried(String),
    /// Something else for people.
    Said(String),
    /// Nothing of interest.
    Nothing,
}

/// What a host says if it cannot tell where the primary is. Nothing was tried then.
const UNRESOLVED: [&str; 5] = [
    "name or service not known",
    "temporary failure in name resolution",
    "no address associated",
    "nodename nor servname",
    "name does not resolve",
];

pub(super) fn word(line: &str) -> Word {
    let line = line.trim();
    if let Some(detail) = line.strip_prefix("debug") {
        let opened = detail.contains(": channel 0: open confirm");
        return if opened { Word::Opened } else { Word::Nothing };
    }
    if line.starts_with("Authenticated to ") {
        return Word::LoggedIn;
    }
    let failure = line.strip_prefix("channel ").and_then(|rest| rest.split_once("open failed: "));
    if let Some((_, why)) = failure {
        return match why.strip_prefix("connect failed: ") {
            Some(why) if is_unresolved(why) => {
                Word::NotTried(format!("it does not find the primary's name ({why}): --master_ip"))
            }
            Some(why) => Word::Failed(why.to_owned()),
            None => Word::NotTried(format!(
                "its sshd opens no connections ({why}): AllowTcpForwarding, PermitOpen"
            )),
        };
    }
    match line {
        "" | "stdio forwarding failed" => Word::Nothing,
        // The connection was there and has ended.
        line if line.starts_with("Transferred: ") || line.starts_with("Bytes per second: ") => {
            Word::Nothing
        }
        line => Word::Said(line.to_owned()),
    }
}

fn is_unresolved(why: &str) -> bool {
    let why = why.to_ascii_lowercase();
    UNRESOLVED.iter().any(|known| why.contains(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_what_it_is() {
        for (line, is) in [
            ("Authenticated to db8 ([10.0.0.8]:22) using \"publickey\".", Word::LoggedIn),
            ("debug2: channel 0: open confirm rwindow 2097152 rmax 32768\r", Word::Opened),
            ("debug2: channel_input_open_confirmation: channel 0: callback done", Word::Nothing),
            (
                "channel 0: open failed: connect failed: Connection refused",
                Word::Failed("Connection refused".into()),
            ),
            ("stdio forwarding failed", Word::Nothing),
            (
                "root@db8: Permission denied (publickey).",
                Word::Said("root@db8: Permission denied (publickey).".into()),
            ),
        ] {
            assert_eq!(word(line), is, "{line}");
        }
    }

    #[test]
    fn a_host_that_did_not_try_is_no_witness() {
        for line in [
            "channel 0: open failed: administratively prohibited: open failed",
            "channel 0: open failed: connect failed: Name or service not known",
            "channel 0: open failed: connect failed: Temporary failure in name resolution",
        ] {
            assert!(matches!(word(line), Word::NotTried(_)), "{line}");
        }
    }
}
