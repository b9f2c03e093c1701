//! What each byte can begin: one look-up per token.

/// What a byte begins.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Begins {
    /// White space as the servers' character tables have it, below 128.
    Space,
    /// A word: letters, `_`.
    Word,
    /// `$`: part of a word, but at its beginning MySQL 9 reads a dollar-quoted string.
    Dollar,
    /// A number, or a word that begins with a digit.
    Digit,
    /// A string.
    Quote,
    /// A string, or an identifier with `ANSI_QUOTES`.
    DoubleQuote,
    /// A quoted identifier.
    Backtick,
    /// A variable.
    At,
    /// A comment or a division.
    Slash,
    /// A comment or a minus.
    Minus,
    /// A comment.
    Hash,
    /// The end of an executable comment, or a star.
    Star,
    /// A point, or a number.
    Point,
    /// `:=`, or a colon.
    Colon,
    /// The end of a statement.
    Semicolon,
    /// A placeholder.
    Question,
    /// Anything else of one byte that the grammar knows.
    Mark,
    /// 128 and above.
    High,
    /// Nothing that a statement has outside of quotes.
    Odd,
}

const fn begins(byte: u8) -> Begins {
    match byte {
        b'\t'..=b'\r' | b' ' => Begins::Space,
        b'a'..=b'z' | b'A'..=b'Z' | b'_' => Begins::Word,
        b'$' => Begins::Dollar,
        b'0'..=b'9' => Begins::Digit,
        b'\'' => Begins::Quote,
        b'"' => Begins::DoubleQuote,
        b'`' => Begins::Backtick,
        b'@' => Begins::At,
        b'/' => Begins::Slash,
        b'-' => Begins::Minus,
        b'#' => Begins::Hash,
        b'*' => Begins::Star,
        b'.' => Begins::Point,
        b':' => Begins::Colon,
        b';' => Begins::Semicolon,
        b'?' => Begins::Question,
        b'!' | b'%' | b'&' | b'(' | b')' | b'+' | b',' | b'<' | b'=' | b'>' | b'^' | b'{'
        | b'|' | b'}' | b'~' => Begins::Mark,
        128..=255 => Begins::High,
        _ => Begins::Odd,
    }
}

pub(super) static BEGINS: [Begins; 256] = {
    let mut table = [Begins::Odd; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = begins(byte as u8);
        byte += 1;
    }
    table
};

/// Whether the byte continues a word. Bytes of 128 and above do; the scanner looks at these again.
pub(super) static IN_WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(
            begins(byte as u8),
            Begins::Word | Begins::Dollar | Begins::Digit | Begins::High
        );
        byte += 1;
    }
    table
};
