//! What ssh says when it does not get through, and what mends it.

/// Why a host was not reached over ssh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SshFailure {
    /// Its host key differs from the known one.
    HostKeyChanged,
    /// Its host key is not known.
    HostKeyUnknown,
    /// The login was refused.
    LoginRefused,
    /// A configuration or key file of ours cannot be used.
    Configuration,
    /// The name has no address.
    Unresolved,
    /// No sshd listens there.
    Refused,
    /// No answer.
    Silent,
    /// The connection was cut.
    Cut,
    /// Something else.
    Other,
}

/// Words of OpenSSH's client (readconf.c, sshconnect.c, packet.c, mux.c; they have been the same
/// from 6.6 to 10) and what they mean; the first that fits counts.
const WORDS: &[(&str, SshFailure)] = &[
    ("IDENTIFICATION HAS CHANGED", SshFailure::HostKeyChanged),
    ("Host key verification failed", SshFailure::HostKeyUnknown),
    ("Permission denied (", SshFailure::LoginRefused),
    ("Too many authentication failures", SshFailure::LoginRefused),
    ("Bad configuration option", SshFailure::Configuration),
    ("Bad owner or permissions", SshFailure::Configuration),
    ("terminating, ", SshFailure::Configuration),
    ("Can't open user config file", SshFailure::Configuration),
    ("Could not resolve hostname", SshFailure::Unresolved),
    ("Connection refused", SshFailure::Refused),
    ("timed out", SshFailure::Silent),
    ("not responding", SshFailure::Silent),
    ("No route to host", SshFailure::Silent),
    ("Network is unreachable", SshFailure::Silent),
    ("Connection closed", SshFailure::Cut),
    ("Connection reset", SshFailure::Cut),
    ("closed by remote host", SshFailure::Cut),
    ("kex_exchange_identification", SshFailure::Cut),
    ("Broken pipe", SshFailure::Cut),
    ("Shared connection", SshFailure::Cut),
    ("mux_client", SshFailure::Cut),
];

impl SshFailure {
    /// What ssh's words mean.
    pub(crate) fn of(said: &str) -> Self {
        WORDS.iter().find(|(words, _)| said.contains(words)).map_or(Self::Other, |(_, what)| *what)
    }

    /// Trying again may help without anybody's doing.
    pub const fn is_passing(self) -> bool {
        matches!(self, Self::Unresolved | Self::Refused | Self::Silent | Self::Cut | Self::Other)
    }

    /// What was seen, as the end of a sentence.
    pub const fn seen(self) -> &'static str {
        match self {
            Self::HostKeyChanged => "its host key is not the one that is known",
            Self::HostKeyUnknown => "its host key is not known here",
            Self::LoginRefused => "the login was refused",
            Self::Configuration => "the configuration of ssh cannot be used",
            Self::Unresolved => "the host name could not be resolved",
            Self::Refused => "nothing listens on its ssh port",
            Self::Silent => "it does not answer",
            Self::Cut => "the connection was cut",
            Self::Other => "ssh failed",
        }
    }

    /// What mends it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::HostKeyChanged => {
                "find out why (a new installation, or somebody in between), then replace the key \
                 with ssh-keygen -R and log in once by hand"
            }
            Self::HostKeyUnknown => {
                "log in once by hand as the user that Primacy runs as and compare the key, or put \
                 it into /etc/ssh/ssh_known_hosts"
            }
            Self::LoginRefused => {
                "put the public key of the user that Primacy runs as into authorized_keys there, \
                 or set ssh_user or ssh_options; a key with a passphrase needs an agent, for \
                 Primacy never asks"
            }
            Self::Configuration => "mend what ssh names, or set ssh_options",
            Self::Unresolved => "mend the name service or ~/.ssh/config",
            Self::Refused => "start sshd there, or set ssh_port",
            Self::Silent => "see whether the host and the way to it are up",
            Self::Cut => "it is tried again",
            Self::Other => "try the same by hand as the user that Primacy runs as",
        }
    }
}

/// Standard error as it fits into a sentence: the last lines that say something, on one line.
pub(crate) fn shortened(said: &[u8]) -> String {
    const LONGEST: usize = 300;
    let text = String::from_utf8_lossy(said);
    let tells = |line: &&str| !line.is_empty() && !line.starts_with("@@@") && !is_statistics(line);
    let mut lines: Vec<&str> = text.lines().map(str::trim).filter(tells).collect();
    lines.dedup();
    let mut kept = String::new();
    for line in lines.iter().rev() {
        if !kept.is_empty() && kept.chars().count() + line.chars().count() > LONGEST {
            break;
        }
        kept = if kept.is_empty() { (*line).to_owned() } else { format!("{line} / {kept}") };
    }
    let clean = kept.chars().map(|c| if c.is_control() { ' ' } else { c });
    let clean: String = clean.take(LONGEST).collect();
    if clean.is_empty() { "nothing".to_owned() } else { clean }
}

/// What `dd` says of every copy.
fn is_statistics(line: &str) -> bool {
    let tail = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == '+');
    tail.len() < line.len()
        && ([" records in", " records out"].contains(&tail) || tail.starts_with(" bytes "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_key_is_told_from_an_unknown_one() {
        let changed = "@@@@@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\n\
                       Host key verification failed.";
        assert_eq!(SshFailure::of(changed), SshFailure::HostKeyChanged);
        assert_eq!(SshFailure::of("Host key verification failed."), SshFailure::HostKeyUnknown);
        assert_eq!(
            SshFailure::of("ops@db1: Permission denied (publickey)."),
            SshFailure::LoginRefused
        );
        // A file that may not be read is no refused login.
        assert_eq!(SshFailure::of("ls: /x: Permission denied"), SshFailure::Other);
    }

    #[test]
    fn statistics_and_control_characters_are_left_out_and_the_end_is_kept() {
        let said = b"12+0 records in\n12+0 records out\n6144 bytes (6.1 kB) copied\n\
                     dd: /x: Permission\x1b denied\n";
        assert_eq!(shortened(said), "dd: /x: Permission  denied");
        let long = format!("{}\nthe reason", "a banner ".repeat(80));
        assert_eq!(shortened(long.as_bytes()), "the reason");
        assert_eq!(shortened(b"\n"), "nothing");
    }
}
