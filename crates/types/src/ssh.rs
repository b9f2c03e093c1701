//! How hosts are reached over ssh: what people set, already known to be harmless as arguments of
//! the `ssh` program.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The `ssh` program and what it is told beside the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshSettings {
    /// The host, if it is not the server's own.
    pub host: Option<String>,
    /// The program: a name that is looked for in `PATH`, or a path.
    pub command: String,
    /// Who logs in; `None` leaves it to ssh's own configuration.
    pub user: Option<SshUser>,
    /// Where sshd listens; `None` leaves it to ssh's own configuration.
    pub port: Option<u16>,
    /// Further options.
    pub options: Vec<SshOption>,
}

impl Default for SshSettings {
    fn default() -> Self {
        let command = "ssh".to_owned();
        Self { host: None, command, user: None, port: None, options: Vec::new() }
    }
}

/// What is different for the host of one server; what is `None` holds as for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SshTarget {
    /// The host that is dialled instead of the server's own.
    pub host: Option<String>,
    /// Who logs in there.
    pub user: Option<SshUser>,
    /// Where sshd listens there.
    pub port: Option<u16>,
}

impl SshSettings {
    /// The same for one host.
    #[must_use]
    pub fn of(&self, target: &SshTarget) -> Self {
        let mut settings = self.clone();
        settings.host = target.host.clone().or(settings.host);
        settings.user = target.user.clone().or(settings.user);
        settings.port = target.port.or(settings.port);
        settings
    }
}

/// A user name that is no option and holds nothing that a shell could act on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SshUser(String);

/// One option of the `ssh` program as one argument: `-oProxyJump=bastion`, `-i/etc/primacy/key`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SshOption(String);

/// Why a text is not what is told to ssh.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SshSettingError {
    /// Not a user name.
    #[error(
        "{0:?} is not the name of a login: it is made of letters, digits, `.`, `_` and `-`, and \
         does not begin with `-`"
    )]
    User(String),
    /// Not a host.
    #[error(
        "{0:?} is no host for ssh: a name or an address is made of letters, digits, `.`, `-`, `_`, `:` and \
         `%`, and does not begin with `-`"
    )]
    Host(String),
    /// Not an option that is allowed.
    #[error(
        "{0:?} is not an option that may be given to ssh here; these may: -oName=value, -iFILE, \
         -FFILE, -JHOST, -bADDRESS, -BINTERFACE, -cCIPHERS, -mMACS, -4, -6, -C"
    )]
    Option(String),
}

/// Options that take a value. Left out on purpose are those that would change what our calls
/// mean: no command, another standard input, a terminal, forwardings, a control socket.
const WITH_VALUE: &[char] = &['o', 'i', 'F', 'J', 'b', 'B', 'c', 'm'];
const FLAGS: &[&str] = &["-4", "-6", "-C"];

/// Whether ssh and a shell can take this for nothing but a host: a name or an address.
///
/// # Errors
/// If they could: [`SshSettingError::Host`].
pub fn check_ssh_host(text: &str) -> Result<(), SshSettingError> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    match !text.is_empty() && !text.starts_with('-') && text.chars().all(allowed) {
        true => Ok(()),
        false => Err(SshSettingError::Host(text.to_owned())),
    }
}

impl SshUser {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SshOption {
    /// The argument.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SshUser {
    type Err = SshSettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let fits =
            (1..=64).contains(&text.len()) && text.chars().all(allowed) && !text.starts_with('-');
        if fits { Ok(Self(text.to_owned())) } else { Err(SshSettingError::User(text.to_owned())) }
    }
}

impl FromStr for SshOption {
    type Err = SshSettingError;

    /// A blank between the letter and its value is allowed and left out.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || SshSettingError::Option(text.to_owned());
        if FLAGS.contains(&text) {
            return Ok(Self(text.to_owned()));
        }
        let mut rest = text.strip_prefix('-').ok_or_else(refused)?.chars();
        let letter = rest.next().filter(|c| WITH_VALUE.contains(c)).ok_or_else(refused)?;
        let value = rest.as_str().trim_start();
        let complete = !value.is_empty()
            && !value.starts_with('-')
            && !value.chars().any(char::is_control)
            && (letter != 'o' || value.contains(['=', ' ']));
        if complete { Ok(Self(format!("-{letter}{value}"))) } else { Err(refused()) }
    }
}

impl TryFrom<String> for SshUser {
    type Error = SshSettingError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl TryFrom<String> for SshOption {
    type Error = SshSettingError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SshUser> for String {
    fn from(user: SshUser) -> Self {
        user.0
    }
}

impl From<SshOption> for String {
    fn from(option: SshOption) -> Self {
        option.0
    }
}

impl fmt::Display for SshUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for SshOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_that_could_be_an_option_is_refused() {
        for good in ["root", "svc-primacy", "a.b_c"] {
            assert!(good.parse::<SshUser>().is_ok(), "{good}");
        }
        for bad in ["", "-oProxyCommand=x", "a b", "a@b", "a;b", "a\nb", "$(id)"] {
            assert!(bad.parse::<SshUser>().is_err(), "{bad}");
        }
    }

    #[test]
    fn options_that_change_what_a_call_means_are_refused() {
        let said = |text: &str| text.parse::<SshOption>().map(|option| option.to_string());
        assert_eq!(said("-oProxyJump=bastion").unwrap(), "-oProxyJump=bastion");
        assert_eq!(said("-i /etc/primacy/key").unwrap(), "-i/etc/primacy/key");
        assert_eq!(said("-C").unwrap(), "-C");
        for bad in ["", "-", "--", "-N", "-f", "-t", "-L1:h:2", "-S/x", "-o", "-oName", "-i", "x"] {
            assert!(said(bad).is_err(), "{bad}");
        }
    }
}
