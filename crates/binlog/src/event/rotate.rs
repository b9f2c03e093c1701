//! The file goes on in another.

use super::{FormatDescription, RawEvent, body_of};
use crate::BodyError;

/// Where the first event of a file stands: behind its first four bytes.
const FILE_START: u64 = 4;

/// The next file's name, and where to read on in it.
///
/// At the end of a file it is real. A source also makes one up to tell its replica which file
/// the following events are from ([`Rotate::artificial`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotate<'a> {
    /// Where the next event stands in it.
    pub position: u64,
    /// Base name of the file, as it was written.
    pub file: &'a [u8],
    /// Whether it stands in no file: the source made it up for its replica.
    pub artificial: bool,
}

impl<'a> Rotate<'a> {
    /// Reads the event.
    pub fn decode(event: &RawEvent<'a>, format: &FormatDescription) -> Result<Self, BodyError> {
        let mut body = body_of(event, format);
        let position = body.u64("the position in the next file")?;
        let file = body.take_rest();
        if file.is_empty() || file.len() > 512 || file.contains(&0) {
            return Err(body.wrong("a file name", format!("{} bytes", file.len())));
        }
        // Two kinds come without the flag into a relay log, to say where at the source it goes
        // on: MySQL 8.0 to 9.7 write one from server 0 and without position when the source
        // passed over events; MariaDB writes one with a position of the relay log when its
        // receiver goes on in the middle of a transaction. A real one leads to a file's start.
        let header = event.header();
        let artificial =
            header.is_artificial() || header.end_position == 0 || position != FILE_START;
        Ok(Self { position, file, artificial })
    }

    /// The name as text.
    pub fn file_name(&self) -> String {
        String::from_utf8_lossy(self.file).into_owned()
    }
}
