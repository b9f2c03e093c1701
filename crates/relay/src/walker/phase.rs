//! Where in an answer one stands, and which packets are read there.

use primacy_protocol::capability::DEPRECATE_EOF;
use primacy_protocol::frame::MAX_FRAME;
use primacy_protocol::packet::{EOF, ERR, Malformed};

use super::Agreed;
use crate::command::Expected;

/// What is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The beginning of a result.
    Results,
    /// So many definitions of columns.
    Columns { left: usize },
    /// The EOF packet after them, where it was not deprecated.
    ColumnsEnd,
    /// Rows; `alone` without a result set around them: nothing follows their end.
    Rows { alone: bool },
    /// One packet that says OK.
    Status,
    /// One packet of text.
    Text,
    /// The head of a prepared statement.
    Prepared,
    /// So many definitions of its parameters.
    Parameters { left: u16, columns: u16 },
    /// The EOF packet after them.
    ParametersEnd { columns: u16, defined: bool },
    /// So many definitions of its columns.
    StatementColumns { left: u16 },
    /// The EOF packet after them.
    StatementEnd,
    /// An authentication.
    Login,
    /// Nothing.
    Done,
}

impl Phase {
    pub(super) fn first(expected: Expected) -> Self {
        match expected {
            Expected::Nothing => Self::Done,
            Expected::Status => Self::Status,
            Expected::Text => Self::Text,
            Expected::Results(_) => Self::Results,
            Expected::Prepared => Self::Prepared,
            // Definitions of columns end as rows do.
            Expected::Columns | Expected::Rows => Self::Rows { alone: true },
            Expected::Login => Self::Login,
        }
    }

    /// After the head of a result set.
    pub(super) fn columns(count: usize, no_eof: bool) -> Self {
        match (count, no_eof) {
            (0, true) => Self::Rows { alone: false },
            (0, false) => Self::ColumnsEnd,
            (left, _) => Self::Columns { left },
        }
    }

    /// After the head of a prepared statement.
    pub(super) fn parameters_of_statement(parameters: u16, columns: u16) -> Self {
        match parameters {
            0 => Self::columns_of_statement(columns),
            left => Self::Parameters { left, columns },
        }
    }

    /// After the head of a prepared statement whose definitions are left out: MySQL 9.7 sends the
    /// EOF packets behind them all the same.
    pub(super) fn ends_of_statement(parameters: u16, columns: u16, no_eof: bool) -> Self {
        match (parameters, columns) {
            _ if no_eof => Self::Done,
            (0, 0) => Self::Done,
            (0, _) => Self::StatementEnd,
            (_, columns) => Self::ParametersEnd { columns, defined: false },
        }
    }

    /// After the parameters of a prepared statement.
    pub(super) fn columns_of_statement(columns: u16) -> Self {
        match columns {
            0 => Self::Done,
            left => Self::StatementColumns { left },
        }
    }

    /// Whether a packet that begins so is read here, or passed by.
    pub(super) fn reads(self, first: Option<u8>, length: usize, agreed: Agreed) -> bool {
        // No row, no definition and no text begins so.
        if first == Some(ERR) {
            return true;
        }
        match self {
            // A row may begin with 0xFE too: its first field has a length of eight bytes, and so
            // the packet is longer than any EOF, and than any OK in one frame.
            Self::Rows { .. } => {
                let longest = if agreed.has(DEPRECATE_EOF) { MAX_FRAME } else { 9 };
                first == Some(EOF) && length < longest
            }
            Self::Columns { .. }
            | Self::Parameters { .. }
            | Self::StatementColumns { .. }
            | Self::Text
            | Self::Done => false,
            Self::Results
            | Self::ColumnsEnd
            | Self::ParametersEnd { .. }
            | Self::StatementEnd
            | Self::Status
            | Self::Prepared
            | Self::Login => true,
        }
    }

    /// After a packet that was passed by.
    pub(super) fn passed(self, agreed: Agreed) -> Result<Self, Malformed> {
        let no_eof = agreed.has(DEPRECATE_EOF);
        Ok(match self {
            Self::Columns { left: 1 } if no_eof => Self::Rows { alone: false },
            Self::Columns { left: 1 } => Self::ColumnsEnd,
            Self::Columns { left } => Self::Columns { left: left.saturating_sub(1) },
            Self::Parameters { left: 1, columns } if no_eof => Self::columns_of_statement(columns),
            Self::Parameters { left: 1, columns } => Self::ParametersEnd { columns, defined: true },
            Self::Parameters { left, columns } => {
                Self::Parameters { left: left.saturating_sub(1), columns }
            }
            Self::StatementColumns { left: 1 } if no_eof => Self::Done,
            Self::StatementColumns { left: 1 } => Self::StatementEnd,
            Self::StatementColumns { left } => {
                Self::StatementColumns { left: left.saturating_sub(1) }
            }
            Self::Rows { alone } => Self::Rows { alone },
            Self::Text => Self::Done,
            other => return Err(Malformed(format!("a packet was passed by in {other:?}"))),
        })
    }
}
