//! Inputs of several parts, and folders for targets that read files.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use primacy_binlog::Reader;
use tempfile::TempDir;

/// First bytes of a binary log.
const MAGIC: &[u8] = b"\xfebin";

/// The most files that an input is split into.
const MAX_FILES: usize = 6;

/// Switches in the first byte of an input, which seeds have, too.
#[derive(Clone, Copy)]
pub(crate) struct Switches(u8);

impl Switches {
    /// The switches and the rest.
    pub(crate) fn split(bytes: &[u8]) -> (Self, &[u8]) {
        bytes.split_first().map_or((Self(0), bytes), |(first, rest)| (Self(*first), rest))
    }

    /// Whether switch number `bit` is on.
    pub(crate) fn has(self, bit: u8) -> bool {
        self.0 >> bit & 1 == 1
    }

    /// The switches from number `bit` on as a number.
    pub(crate) fn from(self, bit: u8) -> usize {
        usize::from(self.0 >> bit)
    }
}

/// Splits where a binary log begins: files one after another are the natural form of several.
pub(crate) fn files(bytes: &[u8]) -> Vec<&[u8]> {
    let starts = bytes.windows(MAGIC.len()).enumerate().filter(|(_, window)| *window == MAGIC);
    let mut starts: Vec<usize> = starts.map(|(at, _)| at).take(MAX_FILES).collect();
    if starts.first() != Some(&0) {
        starts.insert(0, 0);
    }
    let ends = starts.iter().copied().skip(1).chain([bytes.len()]);
    starts.iter().zip(ends).map(|(start, end)| &bytes[*start..end]).collect()
}

/// The file with right checksums: without them no change of a byte gets past the reader, and what
/// is behind it would never be tried.
pub(crate) fn with_checksums(file: &[u8]) -> Vec<u8> {
    let mut fixed = file.to_vec();
    let Ok(reader) = Reader::new(file, "it") else { return fixed };
    let mut reader = reader.without_verification();
    while let Ok(Some((event, format))) = reader.next_in_format() {
        if let Err(mismatch) = event.verify(format)
            && let Ok(end) = usize::try_from(event.end())
            && let Some(stored) = end.checked_sub(4).and_then(|at| fixed.get_mut(at..end))
        {
            stored.copy_from_slice(&mismatch.computed.to_le_bytes());
        }
    }
    fixed
}

/// A folder of this process. `cargo xtask fuzz` points `TMPDIR` at memory and cleans up after
/// crashes.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));
    FOLDER.path()
}

/// Writes files `STEM.000001` and so on; their paths.
pub(crate) fn written(stem: &str, files: &[impl AsRef<[u8]>]) -> Vec<PathBuf> {
    let paths = (1..=files.len()).map(|number| folder().join(format!("{stem}.{number:06}")));
    let paths: Vec<PathBuf> = paths.collect();
    for (path, bytes) in paths.iter().zip(files) {
        std::fs::write(path, bytes).expect("a file is written");
    }
    paths
}
