//! Folders that are gone when the command is: for what has to be read twice.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::exit::Exit;
use crate::failure::Failure;

/// A folder of our own, removed when dropped.
pub(in crate::verbs) struct Spool {
    folder: PathBuf,
    /// What its files are for the person.
    called: String,
}

impl Spool {
    /// In the folder for temporary files (`TMPDIR`), for nobody else to read.
    pub(in crate::verbs) fn new() -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("primacy-binlog-{}", Uuid::new_v4()));
        DirBuilder::new().mode(0o700).create(&folder).map_err(|e| failed(&folder, &e))?;
        Ok(Self { folder, called: "standard input".to_owned() })
    }

    /// Its files come from elsewhere than standard input.
    pub(in crate::verbs) fn of(mut self, called: impl Into<String>) -> Self {
        self.called = called.into();
        self
    }

    /// A path in it.
    pub(in crate::verbs) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A text in which a file of this folder is called what it was for the person.
    pub(in crate::verbs) fn said(&self, text: &str) -> String {
        let Some(at) = text.find(&*self.folder.to_string_lossy()) else {
            return text.to_owned();
        };
        let rest = text.get(at..).unwrap_or_default();
        let path = rest.split([' ', ';']).next().unwrap_or_default();
        text.replace(path, &self.called)
    }

    /// Writes standard input to a file in it.
    pub(in crate::verbs) fn stdin(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.path(name);
        let copied = File::create_new(&path)
            .and_then(|mut file| io::copy(&mut io::stdin().lock(), &mut file));
        copied.map_err(|e| failed(&path, &e))?;
        Ok(path)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.folder);
    }
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    let message = format!("{} could not be written: {error}", path.display());
    Failure::new(Exit::Refused, message).hint("TMPDIR names another folder for temporary files")
}
