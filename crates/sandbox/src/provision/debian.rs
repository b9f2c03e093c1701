//! Packages of another Debian suite, beside the system's own.
//!
//! apt gets a configuration of its own (lists, cache, an empty status file), so it fetches the
//! package with all its libraries down to libc and changes nothing on the system.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::tree;
use crate::apt::{self, Source};
use crate::command::{Run, on_path};
use crate::places::remove;
use crate::{Error, Result, places};

const DEFAULT_KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const UPDATE_LIMIT: Duration = Duration::from_secs(180);
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(600);
const UNPACK_LIMIT: Duration = Duration::from_secs(120);

/// Fetches packages of a suite and unpacks them into the draft folder. Returns what was unpacked,
/// and whether signatures vouch for it.
pub(super) fn fetch(
    suite: &str,
    packages: &[&str],
    elsewhere: &[&str],
    draft: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<(Vec<String>, bool)> {
    for program in ["apt-get", "dpkg-deb"] {
        if on_path(program).is_none() {
            return Err(Error::refused(
                format!("servers of Debian's {suite} need {program}, which is not here"),
                "run this on Debian",
            ));
        }
    }
    let mirror = machine_mirror()?;
    let apt = PrivateApt::new(draft.join(".apt"))?;
    progress(&format!("reading {suite}'s package lists from the machine's mirror"));
    let verified = apt.update_from_somewhere(&mirror, suite, elsewhere, progress)?;
    progress(&format!("downloading {}", packages.join(", ")));
    apt.download(packages)?;
    let archives = apt.archives()?;
    progress(&format!("unpacking {} packages", archives.len()));
    let mut unpacked = Vec::new();
    for archive in &archives {
        Run::new("dpkg-deb", UNPACK_LIMIT)
            .args(["--extract".as_ref(), archive.as_os_str(), draft.as_os_str()])
            .way_out("see whether the disk is full")
            .run()?;
        unpacked.push(archive.file_stem().unwrap_or_default().to_string_lossy().into_owned());
    }
    remove(&apt.dir)?;
    tree::merge_usr(draft)?;
    // Documentation is most of the files and none of the server.
    remove(&draft.join("usr/share/doc"))?;
    remove(&draft.join("usr/share/man"))?;
    Ok((unpacked, verified))
}

/// The mirror that this machine gets its own packages from.
fn machine_mirror() -> Result<Source> {
    let os_release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let codename = apt::debian_codename(&os_release).ok_or_else(|| {
        Error::refused(
            "this machine's /etc/os-release does not name a Debian release",
            "provisioning works on Debian; elsewhere install a server and use that",
        )
    })?;
    let mut sources = read(Path::new("/etc/apt/sources.list"), apt::parse_list);
    let mut parts: Vec<PathBuf> = fs::read_dir("/etc/apt/sources.list.d")
        .map(|dir| dir.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect())
        .unwrap_or_default();
    parts.sort();
    for path in &parts {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("list") => sources.extend(read(path, apt::parse_list)),
            Some("sources") => sources.extend(read(path, apt::parse_deb822)),
            _ => {}
        }
    }
    apt::debian_mirror(&sources, &codename).cloned().ok_or_else(|| {
        Error::refused(
            format!("no source in /etc/apt serves {codename} main"),
            "add the Debian mirror to the machine's package sources",
        )
    })
}

fn read(path: &Path, parse: fn(&str) -> Vec<Source>) -> Vec<Source> {
    fs::read_to_string(path).map(|text| parse(&text)).unwrap_or_default()
}

/// apt with folders of its own.
struct PrivateApt {
    dir: PathBuf,
}

impl PrivateApt {
    fn new(dir: PathBuf) -> Result<Self> {
        for part in ["lists/partial", "cache/archives/partial", "state", "etc"] {
            places::make_dir(&dir.join(part), 0o755)?;
        }
        let status = dir.join("status");
        fs::write(&status, "").map_err(Error::file("write", &status))?;
        Ok(Self { dir })
    }

    fn run(&self, limit: Duration) -> Run {
        let at = |key: &str, part: &str| format!("Dir::{key}={}", self.dir.join(part).display());
        let options = [
            at("State", "state"),
            at("State::Lists", "lists"),
            at("State::Status", "status"),
            at("Cache", "cache"),
            at("Etc::SourceList", "etc/suite.sources"),
            "Dir::Etc::SourceParts=/dev/null".into(),
            "Dir::Etc::Preferences=/dev/null".into(),
            "Dir::Etc::PreferencesParts=/dev/null".into(),
            "Acquire::Languages=none".into(),
            "Acquire::Retries=2".into(),
            "Acquire::http::Timeout=30".into(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".into(),
            // The folders are ours, not those of apt's own user.
            "APT::Sandbox::User=".into(),
        ];
        Run::new("apt-get", limit).args(options.iter().flat_map(|option| ["-o", option]))
    }

    /// Reads the suite's lists from the first place that has them. True if signatures were
    /// verified.
    fn update_from_somewhere(
        &self,
        mirror: &Source,
        suite: &str,
        elsewhere: &[&str],
        progress: &mut dyn FnMut(&str),
    ) -> Result<bool> {
        let base = mirror.uri.trim_end_matches('/');
        let parent = base.rsplit_once('/').map_or(base, |(parent, _)| parent);
        let mut places = vec![base.to_owned()];
        places.extend(elsewhere.iter().map(|path| format!("{parent}/{path}")));
        let mut failures = Vec::new();
        for uri in &places {
            match self.update(uri, mirror, suite, uri != base, progress) {
                Ok(verified) => return Ok(verified),
                Err(Error::Command { outcome, .. }) => {
                    failures.push(format!("{uri} {suite}: {}", complaint(&outcome)));
                }
                Err(other) => return Err(other),
            }
        }
        Err(Error::refused(
            format!("no place served the suite {suite}:\n  {}", failures.join("\n  ")),
            "see whether the machine's mirror carries that suite",
        ))
    }

    fn update(
        &self,
        uri: &str,
        mirror: &Source,
        suite: &str,
        archived: bool,
        progress: &mut dyn FnMut(&str),
    ) -> Result<bool> {
        let keyring = mirror.signed_by.as_deref().unwrap_or(DEFAULT_KEYRING);
        let keyring = Path::new(keyring).exists().then(|| format!("Signed-By: {keyring}\n"));
        self.write_source(uri, suite, &keyring.unwrap_or_default())?;
        // An archived suite's lists are never signed anew, so their date of expiry has passed.
        let expired: &[&str] =
            if archived { &["-o", "Acquire::Check-Valid-Until=false"] } else { &[] };
        let update = || {
            self.run(UPDATE_LIMIT)
                .args(expired)
                .args(["-o", "APT::Update::Error-Mode=any", "update"])
                .way_out("see whether apt-get update works for the system itself")
                .run()
        };
        match update() {
            Ok(_) => Ok(true),
            Err(Error::Command { outcome, .. }) if key_is_missing(&outcome) => {
                progress(&format!(
                    "the machine's keyring does not cover {suite}: its packages are NOT verified"
                ));
                self.write_source(uri, suite, "Trusted: yes\n")?;
                update().map(|_| false)
            }
            Err(error) => Err(error),
        }
    }

    fn write_source(&self, uri: &str, suite: &str, trust: &str) -> Result<()> {
        let path = self.dir.join("etc/suite.sources");
        let text = format!("Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: main\n{trust}");
        fs::write(&path, text).map_err(Error::file("write", &path))
    }

    fn download(&self, packages: &[&str]) -> Result<()> {
        self.run(DOWNLOAD_LIMIT)
            .args(["--yes", "--no-install-recommends", "--download-only", "install"])
            .args(packages)
            .way_out("see whether the disk is full and the mirror answers, and try again")
            .run()
            .map(drop)
    }

    fn archives(&self) -> Result<Vec<PathBuf>> {
        let dir = self.dir.join("cache/archives");
        let mut found: Vec<PathBuf> = fs::read_dir(&dir)
            .map_err(Error::file("read", &dir))?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .collect();
        found.sort();
        Ok(found)
    }
}

/// Only an unknown key is excused: a signature that is there and wrong never is.
fn key_is_missing(output: &str) -> bool {
    let missing = output.contains("NO_PUBKEY") || output.contains("Missing key");
    missing && !output.contains("BADSIG")
}

/// The lines in which apt says what went wrong.
fn complaint(output: &str) -> String {
    let lines: Vec<_> =
        output.lines().filter(|line| line.starts_with("E:") || line.starts_with("Err:")).collect();
    if lines.is_empty() { output.trim().to_owned() } else { lines.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unknown_key_is_excused() {
        assert!(key_is_missing("W: GPG error: x InRelease: ... NO_PUBKEY 0E98404D386FA1D9"));
        assert!(!key_is_missing("E: BADSIG 0E98404D386FA1D9 NO_PUBKEY 11"));
        assert!(!key_is_missing("E: Failed to fetch x 404 Not Found"));
    }

    #[test]
    fn apt_names_what_failed() {
        assert_eq!(complaint("Hit:1\nE: no Release file\nW: x"), "E: no Release file");
    }
}
