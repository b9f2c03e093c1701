//! What an OK packet says of the session's state, read in place.
//!
//! Sources: "Session State Information" in MySQL's source documentation (`enum_session_state_type`),
//! "OK_Packet" in MariaDB's manual; both number the kinds alike.

use primacy_protocol::packet::{Malformed, Reader};

/// One change of a session's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// A system variable has this value now.
    Variable {
        /// Its name.
        name: &'a [u8],
        /// Its value as text.
        value: &'a [u8],
    },
    /// The default schema is this one now.
    Schema(&'a [u8]),
    /// Whether something of the session's state changed (`session_track_state_change`).
    State(bool),
    /// GTIDs (MySQL, `session_track_gtids`), as text.
    Gtids(&'a [u8]),
    /// Statements that would begin the transaction again, such as `START TRANSACTION READ ONLY;`.
    Characteristics(&'a [u8]),
    /// Eight letters or underscores (`session_track_transaction_info`).
    Transaction(&'a [u8]),
    /// A kind that is not known here.
    Other(u8),
}

/// The changes, one after another. What is malformed is an error, after which none follows.
#[derive(Clone, Debug)]
pub struct Changes<'a> {
    rest: Reader<'a>,
    /// More variables of the block that was read last.
    variables: Reader<'a>,
}

impl<'a> Changes<'a> {
    pub(crate) fn new(state: &'a [u8]) -> Self {
        Self { rest: Reader::new(state), variables: Reader::new(&[]) }
    }

    fn read(&mut self) -> Result<Change<'a>, Malformed> {
        if !self.variables.is_empty() {
            return variable(&mut self.variables);
        }
        let kind = self.rest.u8()?;
        let mut data = Reader::new(self.rest.lenenc_bytes()?);
        Ok(match kind {
            0 => {
                let first = variable(&mut data)?;
                self.variables = data;
                first
            }
            1 => Change::Schema(data.lenenc_bytes()?),
            // MariaDB 10.11 and MySQL 9.7 leave out the length that their manuals name.
            2 => Change::State(data.rest().last() == Some(&b'1')),
            3 => {
                // How they are written: 0, as text, is the only way that there is.
                data.u8()?;
                Change::Gtids(data.lenenc_bytes()?)
            }
            4 => Change::Characteristics(data.lenenc_bytes()?),
            5 => Change::Transaction(data.lenenc_bytes()?),
            other => Change::Other(other),
        })
    }
}

fn variable<'a>(data: &mut Reader<'a>) -> Result<Change<'a>, Malformed> {
    Ok(Change::Variable { name: data.lenenc_bytes()?, value: data.lenenc_bytes()? })
}

impl<'a> Iterator for Changes<'a> {
    type Item = Result<Change<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() && self.variables.is_empty() {
            return None;
        }
        let change = self.read();
        if change.is_err() {
            *self = Self::new(&[]);
        }
        Some(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(state: &[u8]) -> Vec<Result<Change<'_>, Malformed>> {
        Changes::new(state).collect()
    }

    #[test]
    fn every_kind_is_read() {
        let state = b"\x00\x0f\x0aautocommit\x03OFF\x01\x05\x04test\x02\x011\
            \x03\x06\x00\x04u:12\x04\x07\x06START;\x05\x09\x08T_______\x09\x01x";
        let found: Vec<_> = changes(state).into_iter().map(Result::unwrap).collect();
        assert_eq!(
            found,
            [
                Change::Variable { name: b"autocommit", value: b"OFF" },
                Change::Schema(b"test"),
                Change::State(true),
                Change::Gtids(b"u:12"),
                Change::Characteristics(b"START;"),
                Change::Transaction(b"T_______"),
                Change::Other(9),
            ]
        );
    }

    #[test]
    fn several_variables_of_one_block_are_all_told() {
        let found = changes(b"\x00\x08\x01a\x011\x01b\x012");
        assert_eq!(found.len(), 2);
        assert_eq!(found[1], Ok(Change::Variable { name: b"b", value: b"2" }));
    }

    #[test]
    fn what_is_malformed_ends_with_an_error() {
        let found = changes(b"\x01\x05\x09test\x01\x05\x04test");
        assert_eq!(found.len(), 1);
        assert!(found[0].is_err());
        assert!(changes(b"\x01\xff")[0].is_err());
    }
}
