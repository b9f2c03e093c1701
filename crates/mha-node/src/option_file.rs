//! The servers' option files, as far as a login needs them: `[client]` of a `my.cnf`.

use std::path::Path;

use secrecy::SecretString;

use crate::NodeError;

/// What a file says of a login.
#[derive(Debug, Default)]
pub struct OptionFile {
    /// The account.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<SecretString>,
    /// The server.
    pub host: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// Its socket.
    pub socket: Option<String>,
}

/// Reads a file; sections other than `[client]` and `[mysql]` are passed over.
///
/// # Errors
/// If it cannot be read.
pub fn read(path: &Path) -> Result<OptionFile, NodeError> {
    let text = std::fs::read(path).map_err(|e| NodeError::io("read", path, e))?;
    Ok(parse(&String::from_utf8_lossy(&text)))
}

fn parse(text: &str) -> OptionFile {
    let mut found = OptionFile::default();
    let mut counts = false;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            counts = matches!(section.trim(), "client" | "mysql" | "client-mariadb");
            continue;
        }
        if !counts || line.starts_with(['#', ';', '!']) {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else { continue };
        let value = unquoted(value.trim());
        match name.trim().replace('_', "-").as_str() {
            "user" => found.user = Some(value),
            "password" => found.password = Some(value.into()),
            "host" => found.host = Some(value),
            "port" => found.port = value.parse().ok(),
            "socket" => found.socket = Some(value),
            _ => {}
        }
    }
    found
}

/// A value in quotes is what is between them; one without ends before ` #`.
fn unquoted(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote)
            && let Some(end) = rest.rfind(quote)
        {
            return rest.get(..end).unwrap_or_default().to_owned();
        }
    }
    value.split(" #").next().unwrap_or_default().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_login_is_read_from_the_sections_of_clients() {
        let text = "[mysqld]\nuser=mysql\nport=1\n[client]\n# x\nuser = mha\npassword=\"se#c ret\"\n\
                    port = 3307 # here\nsocket=/run/s\n[mysql]\nhost=db1\n";
        let found = parse(text);
        assert_eq!(found.user.as_deref(), Some("mha"));
        assert_eq!(found.password.unwrap().expose_secret(), "se#c ret");
        assert_eq!((found.port, found.host.as_deref()), (Some(3307), Some("db1")));
        assert_eq!(found.socket.as_deref(), Some("/run/s"));
    }
}
