//! The list of this user's sandboxes, wherever their folders are.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::info::SandboxInfo;
use crate::lock::lock;
use crate::{Error, Result, places};

#[derive(Serialize, Deserialize)]
struct Registered {
    dir: PathBuf,
}

/// The list, locked: no two sandboxes get the same name or ports.
pub(crate) struct Registry {
    dir: PathBuf,
    _lock: File,
}

impl Registry {
    pub(crate) fn open() -> Result<Self> {
        let dir = places::sandboxes_dir()?.join("registry");
        places::make_dir(&dir, 0o755)?;
        let lock = lock(&dir.join(".lock"), &mut |_| ())?;
        Ok(Self { dir, _lock: lock })
    }

    /// The folder of the sandbox of this name, if it is still there.
    pub(crate) fn find(&self, name: &str) -> Option<PathBuf> {
        let text = fs::read_to_string(self.file(name)).ok()?;
        let Registered { dir } = serde_json::from_str(&text).ok()?;
        dir.join(SandboxInfo::FILE).exists().then_some(dir)
    }

    pub(crate) fn add(&self, info: &SandboxInfo) -> Result<()> {
        let text = serde_json::to_string(&Registered { dir: info.dir.clone() });
        places::write_private(&self.file(&info.name), &text.unwrap_or_default())
    }

    pub(crate) fn remove(&self, name: &str, dir: &Path) -> Result<()> {
        let file = self.file(name);
        let same = fs::read_to_string(&file)
            .ok()
            .and_then(|text| serde_json::from_str::<Registered>(&text).ok())
            .is_some_and(|registered| registered.dir == dir);
        if same { fs::remove_file(&file).map_err(Error::file("remove", &file)) } else { Ok(()) }
    }

    /// All sandboxes that are still there, by name.
    pub(crate) fn list(&self) -> Result<Vec<SandboxInfo>> {
        let entries = fs::read_dir(&self.dir).map_err(Error::file("read", &self.dir))?;
        let mut found: Vec<SandboxInfo> = entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let name = path.file_name()?.to_str()?.strip_suffix(".json")?.to_owned();
                SandboxInfo::read(&self.find(&name)?).ok()
            })
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Every port of every sandbox, whether its server runs or not.
    pub(crate) fn ports(&self) -> Result<HashSet<u16>> {
        let all = self.list()?;
        Ok(all.iter().flat_map(|info| info.servers.iter().map(|s| s.address.port())).collect())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.json"))
    }
}
