//! The commands of a client as a table: what each is called, what its answer looks like, and
//! whether a relay lets it pass.
//!
//! Sources: "Command Phase" in MySQL's source documentation (5.6 to 9.7), "Text Protocol" and "Binary
//! Protocol (Prepared Statements)" in MariaDB's manual (10.5 to 11.8).

use primacy_protocol::packet::{ErrPacket, Malformed, Reader};

/// What a server answers to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nothing at all.
    Nothing,
    /// One packet: OK, EOF or an error.
    Status,
    /// One packet of text, or an error.
    Text,
    /// Any number of results: OK packets, result sets, requests for a file.
    Results(Cursor),
    /// The head of a prepared statement, and the definitions of its parameters and columns.
    Prepared,
    /// Definitions of columns up to an end.
    Columns,
    /// Rows without a head, up to an end.
    Rows,
    /// An exchange of authentication packets, up to OK or an error.
    Login,
}

/// Whether the execution of a prepared statement asked for a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// No: rows follow the columns.
    None,
    /// Yes: if the server opened one, its answer ends after the columns.
    Wanted,
}

/// Why a relay does not let a command pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Of the server's own threads, or gone: servers answer 1047 as well.
    Unknown,
    /// The answer has no end, and one server's log is not another's.
    Replication,
}

impl Refusal {
    /// What the client is told.
    pub fn answer(self) -> ErrPacket {
        match self {
            Self::Unknown => ErrPacket::new(1047, "08S01", "Unknown command"),
            Self::Replication => ErrPacket::new(
                1235,
                "42000",
                "Replication through the proxy is not supported: connect the replica to its \
                 source itself",
            ),
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandKind {
    /// First byte of the packet.
    pub code: u8,
    /// Name in the servers' sources.
    pub name: &'static str,
    /// What the server answers, or why it is never asked.
    pub answer: Result<Expected, Refusal>,
    /// Whether the four bytes after the code are the number of a prepared statement.
    pub names_statement: bool,
}

const fn row(code: u8, name: &'static str, answer: Expected) -> CommandKind {
    CommandKind { code, name, answer: Ok(answer), names_statement: false }
}

const fn statement(code: u8, name: &'static str, answer: Expected) -> CommandKind {
    CommandKind { code, name, answer: Ok(answer), names_statement: true }
}

const fn refused(code: u8, name: &'static str, refusal: Refusal) -> CommandKind {
    CommandKind { code, name, answer: Err(refusal), names_statement: false }
}

use Expected::{Columns, Login, Nothing, Results, Rows, Status, Text};

/// Every command of MySQL 5.6 to 9.7 and of MariaDB 10.5 to 11.8, by number.
pub const COMMANDS: [CommandKind; 37] = [
    refused(0x00, "COM_SLEEP", Refusal::Unknown),
    row(0x01, "COM_QUIT", Nothing),
    row(0x02, "COM_INIT_DB", Status),
    row(0x03, "COM_QUERY", Results(Cursor::None)),
    row(0x04, "COM_FIELD_LIST", Columns),
    row(0x05, "COM_CREATE_DB", Status),
    row(0x06, "COM_DROP_DB", Status),
    row(0x07, "COM_REFRESH", Status),
    row(0x08, "COM_SHUTDOWN", Status),
    row(0x09, "COM_STATISTICS", Text),
    row(0x0A, "COM_PROCESS_INFO", Results(Cursor::None)),
    refused(0x0B, "COM_CONNECT", Refusal::Unknown),
    row(0x0C, "COM_PROCESS_KILL", Status),
    row(0x0D, "COM_DEBUG", Status),
    row(0x0E, "COM_PING", Status),
    refused(0x0F, "COM_TIME", Refusal::Unknown),
    refused(0x10, "COM_DELAYED_INSERT", Refusal::Unknown),
    row(0x11, "COM_CHANGE_USER", Login),
    refused(0x12, "COM_BINLOG_DUMP", Refusal::Replication),
    refused(0x13, "COM_TABLE_DUMP", Refusal::Replication),
    refused(0x14, "COM_CONNECT_OUT", Refusal::Replication),
    refused(0x15, "COM_REGISTER_SLAVE", Refusal::Replication),
    row(0x16, "COM_STMT_PREPARE", Expected::Prepared),
    statement(0x17, "COM_STMT_EXECUTE", Results(Cursor::None)),
    statement(0x18, "COM_STMT_SEND_LONG_DATA", Nothing),
    statement(0x19, "COM_STMT_CLOSE", Nothing),
    statement(0x1A, "COM_STMT_RESET", Status),
    row(0x1B, "COM_SET_OPTION", Status),
    statement(0x1C, "COM_STMT_FETCH", Rows),
    refused(0x1D, "COM_DAEMON", Refusal::Unknown),
    refused(0x1E, "COM_BINLOG_DUMP_GTID", Refusal::Replication),
    row(0x1F, "COM_RESET_CONNECTION", Status),
    refused(0x20, "COM_CLONE", Refusal::Replication),
    refused(0x21, "COM_SUBSCRIBE_GROUP_REPLICATION_STREAM", Refusal::Replication),
    statement(0xFA, "COM_STMT_BULK_EXECUTE", Results(Cursor::None)),
    refused(0xFD, "COM_SLAVE_WORKER", Refusal::Unknown),
    refused(0xFE, "COM_MULTI", Refusal::Unknown),
];

/// The command of this number; servers answer [`Refusal::Unknown`] to all others.
pub fn command(code: u8) -> Option<&'static CommandKind> {
    // The numbers up to 0x21 are the places in the table.
    COMMANDS
        .get(usize::from(code))
        .filter(|kind| kind.code == code)
        .or_else(|| COMMANDS.iter().find(|kind| kind.code == code))
}

impl CommandKind {
    /// What is answered to this command with this argument (what follows the code).
    ///
    /// # Errors
    /// The command is one that a relay refuses.
    pub fn expected(&self, argument: &[u8]) -> Result<Expected, Refusal> {
        // COM_STMT_EXECUTE: after the statement's number a byte of flags, of which the low three
        // ask for a cursor (`enum_cursor_type`).
        let wants_cursor =
            self.code == 0x17 && argument.get(4).is_some_and(|flags| flags & 0x07 != 0);
        match self.answer {
            Ok(Results(_)) if wants_cursor => Ok(Results(Cursor::Wanted)),
            answer => answer,
        }
    }

    /// The prepared statement that the command names. MariaDB's clients may say `u32::MAX` for the
    /// one that was prepared last, which may not have been answered yet.
    ///
    /// # Errors
    /// The command is too short.
    pub fn statement_id(&self, argument: &[u8]) -> Result<Option<u32>, Malformed> {
        if !self.names_statement {
            return Ok(None);
        }
        Reader::new(argument).u32().map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_number_finds_its_row() {
        assert!(COMMANDS.windows(2).all(|pair| pair[0].code < pair[1].code));
        for kind in &COMMANDS {
            assert_eq!(command(kind.code), Some(kind));
        }
        assert_eq!(command(0x22), None);
        assert_eq!(command(0xFF), None);
    }

    #[test]
    fn an_execution_tells_whether_it_wants_a_cursor() {
        let execute = command(0x17).unwrap();
        let plain = execute.expected(&[1, 0, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(plain, Ok(Expected::Results(Cursor::None)));
        // 8 is PARAMETER_COUNT_AVAILABLE, which has nothing to do with cursors.
        let attributes = execute.expected(&[1, 0, 0, 0, 8, 1, 0, 0, 0]);
        assert_eq!(attributes, Ok(Expected::Results(Cursor::None)));
        let cursor = execute.expected(&[1, 0, 0, 0, 9, 1, 0, 0, 0]);
        assert_eq!(cursor, Ok(Expected::Results(Cursor::Wanted)));
        assert_eq!(execute.statement_id(&[7, 1, 0, 0, 0]), Ok(Some(263)));
        assert!(execute.statement_id(&[7, 1]).is_err());
    }

    #[test]
    fn replication_is_refused_with_what_to_do() {
        let refusal = command(0x12).unwrap().expected(&[]).unwrap_err();
        assert!(refusal.answer().message.contains("connect the replica"));
    }
}
