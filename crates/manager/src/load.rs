//! Reading the configuration file and the secrets that it names.

pub(crate) mod mha;

use std::io;
use std::path::{Path, PathBuf};

use primacy_config::{Account, Config, SecretSource};
use primacy_mha_config::is_mha;
use secrecy::SecretString;

use crate::ManagerError;

/// Reads, parses and resolves a configuration file; relative paths are taken from its folder. A file
/// of MHA is read as it is, with the global file in its usual place.
///
/// # Errors
/// If it cannot be read, or is wrong in any place.
pub fn load_config(path: &Path) -> Result<Config, ManagerError> {
    let unreadable = |source| ManagerError::Unreadable { path: path.to_owned(), source };
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let name = path.display().to_string();
    let config = if is_mha(&name, &String::from_utf8_lossy(&bytes)) {
        let mha = mha::load_mha(path, None)?;
        primacy_mha_config::to_native(&mha)?.config
    } else {
        let strange = |error| unreadable(io::Error::new(io::ErrorKind::InvalidData, error));
        let text = String::from_utf8(bytes).map_err(strange)?;
        primacy_config::parse(&text, &name)?
    };
    let absolute = std::path::absolute(path).map_err(unreadable)?;
    let folder = absolute.parent().map_or_else(|| PathBuf::from("/"), Path::to_path_buf);
    Ok(config.resolved(&folder))
}

/// Reads an account's password. The last line break of a file is not part of it.
///
/// # Errors
/// If it is not where the configuration says; the error never shows what was read.
pub fn secret(account: &Account) -> Result<SecretString, ManagerError> {
    read_secret(&format!("password of {}", account.user), &account.password)
}

/// Reads a secret where the configuration says.
pub(crate) fn read_secret(what: &str, from: &SecretSource) -> Result<SecretString, ManagerError> {
    let failed =
        |why: String| ManagerError::Secret { what: what.to_owned(), from: from.to_string(), why };
    let from_file = |path: &Path| {
        let text = std::fs::read_to_string(path).map_err(|e| failed(e.to_string()))?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        Ok(SecretString::from(text.strip_suffix('\r').unwrap_or(text).to_owned()))
    };
    match from {
        SecretSource::File(path) => from_file(path),
        SecretSource::Env(name) => std::env::var(name)
            .map(SecretString::from)
            .map_err(|_| failed("the variable is not set".to_owned())),
        SecretSource::Credential(name) => {
            let folder = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
                failed(
                    "CREDENTIALS_DIRECTORY is not set: start Primacy from a systemd unit with \
                     LoadCredential="
                        .to_owned(),
                )
            })?;
            from_file(&PathBuf::from(folder).join(name))
        }
        SecretSource::Given(given) => Ok(given.secret().clone()),
    }
}
