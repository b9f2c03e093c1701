//! A text under classification: the token at hand, the two before, and what is known so far.

use crate::change::{Change, Value};
use crate::class::{Class, Verb};
use crate::context::Context;
use crate::pin::Pin;
use crate::scan::{Kind, Scanner, Token};
use crate::why::Why;
use crate::word::{Kw, Slot};

pub(super) struct Reader<'s, 'c> {
    pub(super) text: &'s [u8],
    pub(super) context: &'c Context<'c>,
    pub(super) scanner: Scanner<'s>,
    /// The token at hand.
    pub(super) token: Token,
    /// The one before.
    pub(super) before: Token,
    /// The one before that.
    pub(super) earlier: Token,
    pub(super) class: Class<'s>,
    /// How many of the class's changes were looked at already.
    pub(super) judged: usize,
    /// Open parentheses.
    pub(super) depth: u32,
    /// Levels of parentheses that have an ORDER BY, as bits.
    pub(super) ordered: u64,
    /// Between `WITH` and the statement that it belongs to.
    pub(super) in_with_list: bool,
    /// A `;` ends nothing: a block of statements.
    pub(super) in_block: bool,
    /// Every user variable named is assigned: LOAD DATA, OUT parameters.
    pub(super) assigns_variables: bool,
    pub(super) has_temporary_tables: bool,
    /// There are temporary tables or views that matter.
    pub(super) watches_names: bool,
}

const NO_TOKEN: Token =
    Token { kind: Kind::End, start: 0, end: 0, spaced: false, slot: &Slot::NONE };

impl<'s, 'c> Reader<'s, 'c> {
    #[inline]
    pub(super) fn new(text: &'s [u8], context: &'c Context<'c>) -> Self {
        let mut scanner = Scanner::new(text, context);
        let token = scanner.next_token();
        Self {
            text,
            context,
            scanner,
            token,
            before: NO_TOKEN,
            earlier: NO_TOKEN,
            class: Class::of(Verb::Empty, Why::OnlyReads),
            judged: 0,
            depth: 0,
            ordered: 0,
            in_with_list: false,
            in_block: false,
            assigns_variables: false,
            has_temporary_tables: context.session.has_temporary_tables(),
            watches_names: context.session.has_temporary_tables()
                || context.session.has_views_that_may_write(),
        }
    }

    /// Goes behind the `;`.
    pub(super) fn next_statement(&mut self) {
        self.advance();
        self.before = NO_TOKEN;
        self.earlier = NO_TOKEN;
        self.depth = 0;
        self.ordered = 0;
        self.in_with_list = false;
        self.assigns_variables = false;
    }

    #[inline]
    pub(super) fn advance(&mut self) {
        self.earlier = self.before;
        self.before = self.token;
        self.token = self.scanner.next_token();
    }

    pub(super) fn at_end(&self) -> bool {
        self.token.kind == Kind::End
    }

    /// Whether the statement ends at the token at hand.
    #[inline]
    pub(super) fn statement_ends(&self) -> bool {
        match self.token.kind {
            Kind::End => true,
            Kind::Semicolon => !self.in_block,
            _ => false,
        }
    }

    /// Steps over everything up to the statement's end.
    pub(super) fn skip(&mut self) {
        while !self.statement_ends() {
            self.advance();
        }
    }

    /// The bytes of the token at hand.
    pub(super) fn word(&self) -> &'s [u8] {
        self.token.text(self.text)
    }

    /// Whether the token at hand is this word, without quotes.
    pub(super) fn is_word(&self, word: &str) -> bool {
        self.token.kind == Kind::Word && self.word().eq_ignore_ascii_case(word.as_bytes())
    }

    /// Steps over this word if it is at hand.
    pub(super) fn takes(&mut self, word: &str) -> bool {
        let is = self.is_word(word);
        if is {
            self.advance();
        }
        is
    }

    /// Steps over this mark if it is at hand.
    pub(super) fn takes_mark(&mut self, mark: u8) -> bool {
        let is = self.token.is(mark);
        if is {
            self.advance();
        }
        is
    }

    /// Steps over a name, also `schema.name`, and returns it.
    pub(super) fn name(&mut self) -> Option<(Option<&'s [u8]>, &'s [u8])> {
        let first = self.single_name()?;
        if !self.takes_mark(b'.') {
            return Some((None, first));
        }
        Some((Some(first), self.single_name()?))
    }

    /// Steps over a name without a schema.
    pub(super) fn single_name(&mut self) -> Option<&'s [u8]> {
        self.token.is_identifier().then(|| {
            let name = self.token.name(self.text);
            self.advance();
            name
        })
    }

    /// A user variable gets a value.
    pub(super) fn assigns(&mut self, name: &'s [u8], value: Value<'s>) {
        self.class.changes.push(Change::UserVariable { name, value });
        if !value.can_be_carried() {
            self.class.because(Why::AssignsVariable, Some(name));
            self.class.pins(Pin::UserVariable);
        }
    }

    /// Whether the token before is this keyword.
    pub(super) fn follows_keyword(&self, keyword: Kw) -> bool {
        self.before.keyword() == keyword
    }
}
