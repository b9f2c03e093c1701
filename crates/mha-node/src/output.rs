//! A file of events that others apply: one head, then events byte for byte. It gets its name only
//! when it is whole.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use primacy_binlog::EventKind;

use crate::NodeError;

/// The first bytes of a binary log.
const MAGIC: [u8; 4] = [0xfe, b'b', b'i', b'n'];

/// Writes such a file.
pub(crate) struct Output {
    path: PathBuf,
    beside: PathBuf,
    file: Option<BufWriter<File>>,
    head: Vec<u8>,
    /// How many events were written behind the head.
    pub(crate) events: u64,
    /// How many bytes.
    pub(crate) bytes: u64,
}

impl Output {
    /// Begins a file that must not be there.
    pub(crate) fn create(path: &Path) -> Result<Self, NodeError> {
        if path.exists() {
            return Err(NodeError::refused(format!(
                "{} is there already; name another file, or move it away",
                path.display()
            )));
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|e| NodeError::io("make", folder, e))?;
        }
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}.part", std::process::id()));
        let beside = PathBuf::from(beside);
        // Rows of people's tables are in it.
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&beside).map_err(|e| NodeError::io("make", &beside, e))?;
        let file = Some(BufWriter::with_capacity(1 << 18, file));
        Ok(Self { path: path.to_owned(), beside, file, head: Vec::new(), events: 0, bytes: 0 })
    }

    /// The format description that holds for the events that follow. It is written once, and again
    /// only where events look different.
    pub(crate) fn head(&mut self, format: &[u8]) -> Result<(), NodeError> {
        let first = self.head.is_empty();
        if !first && reads_like(&self.head, format) {
            return Ok(());
        }
        if first {
            self.put(&MAGIC)?;
        }
        self.head = format.to_vec();
        self.put(format)
    }

    /// An event.
    pub(crate) fn event(&mut self, event: &[u8]) -> Result<(), NodeError> {
        self.events += 1;
        self.put(event)
    }

    /// Any bytes.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), NodeError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        self.bytes += bytes.len() as u64;
        file.write_all(bytes).map_err(|e| NodeError::io("write", &self.beside, e))
    }

    /// Makes the file durable and gives it its name.
    pub(crate) fn finish(mut self) -> Result<u64, NodeError> {
        let Some(file) = self.file.take() else { return Ok(self.bytes) };
        let wrong = |e| NodeError::io("write", &self.beside, e);
        let file = file.into_inner().map_err(|e| wrong(e.into_error()))?;
        file.sync_all().map_err(wrong)?;
        std::fs::rename(&self.beside, &self.path)
            .map_err(|e| NodeError::io("name", &self.path, e))?;
        Ok(self.bytes)
    }
}

impl Drop for Output {
    /// What is not whole does not stay.
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.beside);
    }
}

/// Whether events behind the one head are read as behind the other: all but the header, the time of
/// creation and the checksum is the same.
fn reads_like(one: &[u8], other: &[u8]) -> bool {
    const VERSION: std::ops::Range<usize> = 19..71;
    const LENGTHS: usize = 75;
    let lengths =
        |bytes: &[u8]| bytes.get(LENGTHS..bytes.len().saturating_sub(4)).map(<[u8]>::to_vec);
    one.get(VERSION) == other.get(VERSION) && lengths(one) == lengths(other)
}

/// Whether an event is about the log itself, and nothing that is applied.
pub(crate) const fn is_about_the_log(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::FORMAT_DESCRIPTION
            | EventKind::ROTATE
            | EventKind::STOP
            | EventKind::PREVIOUS_GTIDS
            | EventKind::GTID_LIST
            | EventKind::BINLOG_CHECKPOINT
            | EventKind::HEARTBEAT
            | EventKind::HEARTBEAT_V2
            | EventKind::START_ENCRYPTION
    )
}
