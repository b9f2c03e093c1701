//! Lists of values that become one: `IN (1, 2, 3)`, `VALUES (1, 'a'), (2, 'b')`.

use crate::scan::{Kind, Token};
use crate::word::Kw;

use super::output::{Output, State};

/// Which parentheses are lists of values, and what of them was seen.
#[derive(Default)]
pub(super) struct Lists {
    depth: u32,
    /// Levels of parentheses that are such lists, as bits, the innermost 64.
    folding: u64,
    /// Levels whose last item is a value that was written as `...`.
    folded: u64,
    /// A comma that is written only if something else than a value follows.
    comma: bool,
    /// The last token was IN, or VALUES.
    opens: Option<Kw>,
    rows: Option<Rows>,
}

/// Rows behind VALUES.
struct Rows {
    /// The level of parentheses around them.
    depth: u32,
    /// Whether the row at hand has values only.
    simple: bool,
    /// Whether the row before had.
    was_simple: bool,
    /// Where the output was before the comma in front of the row at hand.
    before: Option<State>,
}

impl Lists {
    fn bit(&self) -> u64 {
        1_u64.checked_shl(self.depth).unwrap_or(0)
    }

    /// Whether values here are part of a list.
    pub(super) fn folds(&self) -> bool {
        self.folding & self.bit() != 0
    }

    /// Whether the comma at hand is kept back.
    pub(super) fn holds_comma(&self) -> bool {
        self.comma
    }

    /// What is written for a value; nothing if it is one more of the same.
    pub(super) fn value(
        &mut self,
        starts_item: bool,
        output: &mut Output<'_>,
    ) -> Option<&'static [u8]> {
        self.opens = None;
        if !self.folds() || !starts_item {
            self.write_comma(output);
            return Some(b"?");
        }
        if std::mem::take(&mut self.comma) {
            if self.folded & self.bit() != 0 {
                return None;
            }
            output.piece(b",", false);
        }
        self.folded |= self.bit();
        Some(b"...")
    }

    fn write_comma(&mut self, output: &mut Output<'_>) {
        if std::mem::take(&mut self.comma) {
            output.piece(b",", false);
        }
    }

    /// Any other token, before it is written.
    pub(super) fn other(&mut self, token: Token, output: &mut Output<'_>) {
        let opens = self.opens.take();
        if token.kind == Kind::Mark(b',') && self.folds() && self.folded & self.bit() != 0 {
            self.comma = true;
            return;
        }
        if !token.is(b')') {
            self.write_comma(output);
        }
        match token.kind {
            Kind::Mark(b'(') => self.open(opens),
            Kind::Mark(b')') => self.close(),
            Kind::Mark(b',') => {
                let depth = self.depth;
                if let Some(rows) = self.rows.as_mut().filter(|rows| rows.depth == depth) {
                    rows.before = Some(output.state());
                }
            }
            _ => {
                self.folded &= !self.bit();
                self.spoil();
                if matches!(token.keyword(), Kw::In | Kw::Values) {
                    self.opens = Some(token.keyword());
                }
                if token.keyword() == Kw::Values {
                    self.rows = Some(Rows {
                        depth: self.depth,
                        simple: false,
                        was_simple: false,
                        before: None,
                    });
                }
            }
        }
    }

    /// The row at hand has something else than values; or the rows are over.
    fn spoil(&mut self) {
        let depth = self.depth;
        if let Some(rows) = &mut self.rows {
            rows.simple = false;
            if depth <= rows.depth {
                self.rows = None;
            }
        }
    }

    fn open(&mut self, opens: Option<Kw>) {
        let depth = self.depth;
        let is_row = self.rows.as_mut().filter(|rows| rows.depth == depth).map(|rows| {
            rows.simple = true;
        });
        if is_row.is_none() {
            self.spoil();
        }
        self.depth += 1;
        let bit = self.bit();
        self.folded &= !bit;
        match is_row.is_some() || opens == Some(Kw::In) {
            true => self.folding |= bit,
            false => self.folding &= !bit,
        }
    }

    fn close(&mut self) {
        self.comma = false;
        self.depth = self.depth.saturating_sub(1);
    }

    /// A row is closed: whether it is left out, and the output put back.
    pub(super) fn row_closed(&mut self, output: &mut Output<'_>) {
        let depth = self.depth;
        let Some(rows) = self.rows.as_mut().filter(|rows| rows.depth == depth) else { return };
        if rows.simple && rows.was_simple {
            if let Some(state) = rows.before {
                output.go_back(state);
            }
        } else {
            rows.was_simple = rows.simple;
        }
    }
}
