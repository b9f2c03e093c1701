//! Which files may be read over the wire: binary logs, relay logs and their indexes, and nothing
//! else that lies in a data directory.

use std::path::{Path, PathBuf};

use primacy_agent_api::{Fault, FaultKind};

/// Where a server's logs are: directories, and the beginnings of the names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Logs {
    bases: Vec<PathBuf>,
    data_dir: Option<PathBuf>,
}

impl Logs {
    /// `@@log_bin_basename`, `@@relay_log_basename` (both absolute), `@@datadir`.
    pub(crate) fn new(data_dir: &str, bases: [&str; 2]) -> Self {
        let data_dir = (!data_dir.is_empty()).then(|| PathBuf::from(data_dir));
        let bases = bases
            .into_iter()
            .filter(|base| !base.is_empty())
            .map(|base| data_dir.as_deref().unwrap_or(Path::new("/")).join(base))
            .collect();
        Self { bases, data_dir }
    }

    fn absolute(&self, path: &Path) -> Option<PathBuf> {
        let plain = path.components().all(|part| {
            matches!(
                part,
                std::path::Component::Normal(_)
                    | std::path::Component::RootDir
                    | std::path::Component::CurDir
            )
        });
        if !plain {
            return None;
        }
        match &self.data_dir {
            Some(data_dir) => Some(data_dir.join(path)),
            None => path.is_absolute().then(|| path.to_owned()),
        }
    }

    /// Whether a file is one of the logs. MariaDB puts the channel's name into relay logs
    /// (`relay-bin-name.000001`), so the base is only the beginning of the name.
    pub(crate) fn allow_file(&self, path: &Path) -> Result<(), Fault> {
        let allowed = self.absolute(path).is_some_and(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            self.bases.iter().any(|base| {
                let begin = base.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                let rest = name.strip_prefix(begin).filter(|_| !begin.is_empty());
                path.parent() == base.parent() && rest.is_some_and(is_log_ending)
            })
        });
        if allowed { Ok(()) } else { Err(refused(path)) }
    }

    /// Whether a directory is one that holds logs.
    pub(crate) fn allow_dir(&self, dir: &Path) -> Result<(), Fault> {
        let allowed = self.absolute(dir).is_some_and(|dir| {
            let tidy = |path: &Path| path.components().collect::<PathBuf>();
            self.bases.iter().any(|base| base.parent().map(tidy) == Some(tidy(&dir)))
                || self.data_dir.as_deref().map(tidy) == Some(tidy(&dir))
        });
        if allowed { Ok(()) } else { Err(refused(dir)) }
    }

    /// Whether a name in such a directory is shown.
    pub(crate) fn shows(&self, name: &str) -> bool {
        self.bases.iter().any(|base| {
            let begin = base.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            !begin.is_empty() && name.strip_prefix(begin).is_some_and(is_log_ending)
        })
    }
}

/// `.000001`, `.index`, `-channel.000001`, `-channel.index`.
pub(crate) fn is_log_ending(rest: &str) -> bool {
    let Some((channel, ending)) = rest.rsplit_once('.') else { return false };
    let number = ending.len() >= 6 && ending.bytes().all(|b| b.is_ascii_digit());
    (number || ending == "index") && (channel.is_empty() || channel.starts_with('-'))
}

fn refused(path: &Path) -> Fault {
    Fault::new(
        FaultKind::NotALog,
        format!("{} is none of the server's binary or relay logs", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_may_be_read_and_nothing_else() {
        let logs = Logs::new("/data/", ["/logs/mysql-bin", "relay"]);
        for good in [
            "/logs/mysql-bin.000001",
            "/logs/mysql-bin.1000000",
            "/logs/mysql-bin.index",
            "relay.000002",
            "/data/relay-ch1.000002",
            "relay-ch1.index",
        ] {
            assert!(logs.allow_file(Path::new(good)).is_ok(), "{good}");
        }
        for bad in [
            "/etc/shadow",
            "/logs/../etc/shadow.000001",
            "/logs/mysql-bin",
            "/logs/mysql-bin.pem",
            "/logs/other.000001",
            "/data/mysql-bin.000001",
            "ibdata1",
            "mysql/user.MYD",
            "relay.000002/x",
            "",
            "/",
        ] {
            assert!(logs.allow_file(Path::new(bad)).is_err(), "{bad}");
        }
        assert!(logs.allow_dir(Path::new("/logs")).is_ok());
        assert!(logs.allow_dir(Path::new("/data/")).is_ok());
        assert!(logs.allow_dir(Path::new("/etc")).is_err());
        assert!(logs.allow_dir(Path::new("/data/mysql")).is_err());
        assert!(!logs.shows("ibdata1") && logs.shows("mysql-bin.000003"));
        assert!(Logs::default().allow_file(Path::new("/x.000001")).is_err());
    }
}
