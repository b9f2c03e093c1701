//! Answers to statements: rows as text, as the text protocol sends them.

use std::sync::Arc;

use crate::packet::{Cell, OkPacket};

/// A statement that gave no rows is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Rows changed.
    pub affected_rows: u64,
    /// First generated `AUTO_INCREMENT` value, or 0.
    pub last_insert_id: u64,
    /// How many warnings `SHOW WARNINGS` would list.
    pub warnings: u16,
    /// Text for people, such as `Rows matched: 1  Changed: 0  Warnings: 0`.
    pub info: String,
}

impl From<OkPacket> for Done {
    fn from(ok: OkPacket) -> Self {
        Self {
            affected_rows: ok.affected_rows,
            last_insert_id: ok.last_insert_id,
            warnings: ok.warnings,
            info: ok.info,
        }
    }
}

/// A whole result set.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    columns: Arc<[String]>,
    rows: Vec<Row>,
    affected_rows: u64,
}

/// One row of a result set.
#[derive(Clone, Debug)]
pub struct Row {
    columns: Arc<[String]>,
    cells: Vec<Cell>,
}

impl Rows {
    /// A result set made by hand, for tests of those who read them. Each row is filled with NULL
    /// or cut to the number of columns.
    pub fn new(columns: Vec<String>, rows: Vec<Vec<Option<String>>>) -> Self {
        let width = columns.len();
        let cells = rows.into_iter().map(|row| {
            let mut cells: Vec<Cell> =
                row.into_iter().map(|cell| cell.map_or(Cell::Null, Cell::Text)).collect();
            cells.resize(width, Cell::Null);
            cells
        });
        let mut set = Self::with_columns(columns);
        cells.for_each(|cells| set.push(cells));
        set
    }

    /// An empty result set.
    pub(crate) fn with_columns(columns: Vec<String>) -> Self {
        Self { columns: columns.into(), ..Self::default() }
    }

    /// The answer of a statement that has none.
    pub(crate) fn without_columns(affected_rows: u64) -> Self {
        Self { affected_rows, ..Self::default() }
    }

    /// Appends a row, which has a cell for each column.
    pub(crate) fn push(&mut self, cells: Vec<Cell>) {
        self.rows.push(Row { columns: Arc::clone(&self.columns), cells });
    }

    /// Names of the columns, as the server writes them.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The rows, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Row> {
        self.rows.iter()
    }

    /// The first row.
    pub fn first(&self) -> Option<&Row> {
        self.rows.first()
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Rows changed, where the statement was not one that gives rows.
    pub fn affected_rows(&self) -> u64 {
        self.affected_rows
    }
}

impl<'a> IntoIterator for &'a Rows {
    type Item = &'a Row;
    type IntoIter = std::slice::Iter<'a, Row>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Row {
    /// The text in this column; `None` for NULL, and where there is no such column. Upper and
    /// lower case of the name do not matter. Bytes that are not UTF-8 are replaced.
    pub fn get(&self, column: &str) -> Option<&str> {
        self.at(self.index(column)?)
    }

    /// Whether there is such a column, be it NULL.
    pub fn has(&self, column: &str) -> bool {
        self.index(column).is_some()
    }

    /// The text in the column of this number, from 0.
    pub fn at(&self, index: usize) -> Option<&str> {
        match self.cells.get(index)? {
            Cell::Null => None,
            Cell::Text(text) | Cell::Binary { text, .. } => Some(text),
        }
    }

    /// The bytes in this column, as they were sent.
    pub fn bytes(&self, column: &str) -> Option<&[u8]> {
        match self.cells.get(self.index(column)?)? {
            Cell::Null => None,
            Cell::Text(text) => Some(text.as_bytes()),
            Cell::Binary { bytes, .. } => Some(bytes),
        }
    }

    /// Names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    fn index(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|name| name.eq_ignore_ascii_case(column))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_whatever_their_case() {
        let mut rows = Rows::with_columns(vec!["Slave_IO_Running".into(), "x".into()]);
        rows.push(vec![Cell::Null, Cell::Binary { bytes: vec![0xFF], text: "\u{FFFD}".into() }]);
        let row = rows.first().unwrap();
        assert!(row.has("slave_io_running") && !row.has("y"));
        assert_eq!(row.get("slave_io_running"), None);
        assert_eq!(row.get("X"), Some("\u{FFFD}"));
        assert_eq!(row.bytes("x"), Some(&[0xFF][..]));
        assert_eq!(row.at(2), None);
    }

    #[test]
    fn rows_made_by_hand_have_the_width_of_their_columns() {
        let rows = Rows::new(vec!["a".into(), "b".into()], vec![vec![Some("1".into())]]);
        assert_eq!(rows.first().unwrap().get("a"), Some("1"));
        assert!(rows.first().unwrap().has("b"));
        assert_eq!(rows.len(), 1);
    }
}
