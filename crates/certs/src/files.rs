//! The files: certificates for everybody, keys for their owner alone.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::{Authority, CertError, Issued};

/// The authority's certificate in a folder of certificates.
pub const AUTHORITY_CERTIFICATE: &str = "authority.crt";
/// Its key: it stays on the machine that issues certificates.
pub const AUTHORITY_KEY: &str = "authority.key";

/// Writes a certificate and its key as `NAME.crt` and `NAME.key`; gives their paths.
///
/// # Errors
/// If one of them exists (neither is written then) or cannot be written.
pub fn write_new(
    folder: &Path,
    name: &str,
    issued: &Issued,
) -> Result<(PathBuf, PathBuf), CertError> {
    let file = |source, path: &Path| CertError::File { path: path.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(|e| file(e, folder))?;
    let certificate = folder.join(format!("{name}.crt"));
    let key = folder.join(format!("{name}.key"));
    for path in [&certificate, &key] {
        if path.symlink_metadata().is_ok() {
            return Err(CertError::Exists { path: path.clone() });
        }
    }
    for (path, text, mode) in
        [(&key, issued.key.as_str(), 0o600), (&certificate, issued.certificate.as_str(), 0o644)]
    {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(mode);
        let written = options.open(path).and_then(|mut open| {
            open.write_all(text.as_bytes())?;
            open.sync_all()
        });
        written.map_err(|e| file(e, path))?;
    }
    Ok((certificate, key))
}

/// Reads a file of certificates.
pub(crate) fn read_certificate(path: &Path) -> Result<String, CertError> {
    std::fs::read_to_string(path)
        .map_err(|source| CertError::File { path: path.to_owned(), source })
}

/// Reads a private key; one that everybody may read is refused. The group may (a key of root that
/// a service's group reads).
pub(crate) fn read_key(path: &Path) -> Result<Zeroizing<String>, CertError> {
    let failed = |source| CertError::File { path: path.to_owned(), source };
    let mode = std::fs::metadata(path).map_err(failed)?.mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(CertError::KeyIsOpen { path: path.to_owned(), mode });
    }
    std::fs::read_to_string(path).map(Zeroizing::new).map_err(failed)
}

impl Authority {
    /// Reads the authority of a folder.
    ///
    /// # Errors
    /// If its files cannot be read or are something else.
    pub fn open(folder: &Path) -> Result<Self, CertError> {
        let certificate = read_certificate(&folder.join(AUTHORITY_CERTIFICATE))?;
        let path = folder.join(AUTHORITY_KEY);
        let key = read_key(&path)?;
        Self::from_pem(&certificate, &key)
            .map_err(|error| CertError::Content { path, reason: error.to_string() })
    }
}
