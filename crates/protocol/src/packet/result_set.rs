//! Result sets of the text protocol: how an answer begins, column definitions, rows.

use super::request::put_lenenc_bytes;
use super::{ERR, LOCAL_INFILE, Malformed, OK, Reader};

/// The most columns that a result can have (MySQL's and MariaDB's `MAX_FIELDS`).
pub const MAX_COLUMNS: usize = 4096;

/// The kinds of packet that an answer to a statement may begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultHead {
    /// An OK packet: no rows.
    Ok,
    /// An error packet.
    Err,
    /// The server wants to read a file of ours.
    LocalInfile,
    /// A result set of so many columns.
    Columns(usize),
}

/// One field of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// SQL NULL.
    Null,
    /// Text in UTF-8.
    Text(String),
    /// Other bytes, and the text that can be made of them.
    Binary {
        /// What was sent.
        bytes: Vec<u8>,
        /// The same with replacement characters.
        text: String,
    },
}

/// Tells what kind of answer begins with this packet.
pub fn parse_head(packet: &[u8]) -> Result<ResultHead, Malformed> {
    match packet.first() {
        None => Err(Malformed::new("the answer to a statement is an empty packet")),
        Some(&OK) => Ok(ResultHead::Ok),
        Some(&ERR) => Ok(ResultHead::Err),
        Some(&LOCAL_INFILE) => Ok(ResultHead::LocalInfile),
        Some(_) => {
            let count = Reader::new(packet).lenenc_int()?;
            match usize::try_from(count) {
                Ok(columns) if columns <= MAX_COLUMNS => Ok(ResultHead::Columns(columns)),
                _ => Err(Malformed::new(format!("a result set of {count} columns was announced"))),
            }
        }
    }
}

/// The name (alias) of a column, from its definition in protocol 4.1.
pub fn parse_column_name(packet: &[u8]) -> Result<String, Malformed> {
    let mut reader = Reader::new(packet);
    // Catalog, schema, table, original table.
    for _ in 0..4 {
        reader.lenenc_bytes()?;
    }
    Ok(String::from_utf8_lossy(reader.lenenc_bytes()?).into_owned())
}

/// The definition of a column of text that has no table, in protocol 4.1.
pub fn column_packet(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for part in ["def", "", "", "", name, ""] {
        put_lenenc_bytes(&mut out, part.as_bytes());
    }
    // Length of what follows, character set, length, VAR_STRING, flags, decimals, filler.
    out.extend_from_slice(&[0x0C, 45, 0, 0, 4, 0, 0, 0xFD, 0, 0, 31, 0, 0]);
    out
}

/// A row of the text protocol.
pub fn row_packet(cells: &[Option<&[u8]>]) -> Vec<u8> {
    let mut out = Vec::new();
    for cell in cells {
        match cell {
            Some(bytes) => put_lenenc_bytes(&mut out, bytes),
            None => out.push(0xFB),
        }
    }
    out
}

/// A row of the text protocol with this many columns.
pub fn parse_row(packet: &[u8], columns: usize) -> Result<Vec<Cell>, Malformed> {
    let mut reader = Reader::new(packet);
    // Each field takes at least a byte of the packet.
    let mut cells = Vec::with_capacity(columns.min(packet.len()));
    for _ in 0..columns {
        if reader.peek() == Some(0xFB) {
            reader.u8()?;
            cells.push(Cell::Null);
            continue;
        }
        let bytes = reader.lenenc_bytes()?;
        cells.push(match std::str::from_utf8(bytes) {
            Ok(text) => Cell::Text(text.to_owned()),
            Err(_) => {
                let text = String::from_utf8_lossy(bytes).into_owned();
                Cell::Binary { bytes: bytes.to_vec(), text }
            }
        });
    }
    if !reader.is_empty() {
        return Err(Malformed::new(format!("a row has {} bytes too many", reader.len())));
    }
    Ok(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_with_null_text_and_bytes() {
        let cells = parse_row(b"\xfb\x02on\x02\xff\x00\x00", 4).unwrap();
        assert_eq!(cells[0], Cell::Null);
        assert_eq!(cells[1], Cell::Text("on".to_owned()));
        let expected = Cell::Binary { bytes: vec![0xFF, 0], text: "\u{FFFD}\0".to_owned() };
        assert_eq!(cells[2], expected);
        assert_eq!(cells[3], Cell::Text(String::new()));
        assert!(parse_row(b"\x02on\x01", 1).is_err());
        assert!(parse_row(b"\x05on", 1).is_err());
        assert!(parse_row(b"", 1).is_err());
    }

    #[test]
    fn written_columns_and_rows_are_read_as_they_were() {
        assert_eq!(parse_column_name(&column_packet("@@version")).unwrap(), "@@version");
        let cells = parse_row(&row_packet(&[None, Some(b"on"), Some(b"")]), 3).unwrap();
        assert_eq!(cells, [Cell::Null, Cell::Text("on".to_owned()), Cell::Text(String::new())]);
    }

    #[test]
    fn heads_of_answers() {
        assert_eq!(parse_head(b"\x03"), Ok(ResultHead::Columns(3)));
        assert_eq!(parse_head(b"\xfbfile"), Ok(ResultHead::LocalInfile));
        assert!(parse_head(b"\xfd\xff\xff\xff").is_err());
        assert!(parse_head(b"").is_err());
    }
}
