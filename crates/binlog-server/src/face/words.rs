//! Reading the few statements that command a channel: words, literals and `key = value` lists.

use std::collections::BTreeMap;

/// A piece of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Word(String),
    Text(String),
    Sign(char),
}

/// Cuts a statement; `None` if a literal does not end.
fn pieces(statement: &str) -> Option<Vec<Piece>> {
    let mut found = Vec::new();
    let mut letters = statement.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            quote @ ('\'' | '"' | '`') => {
                let mut text = String::new();
                loop {
                    match letters.next()? {
                        '\\' if quote != '`' => text.push(letters.next()?),
                        c if c == quote && letters.peek() == Some(&quote) => {
                            letters.next();
                            text.push(c);
                        }
                        c if c == quote => break,
                        c => text.push(c),
                    }
                }
                found.push(Piece::Text(text));
            }
            c if c.is_whitespace() => {}
            c if c.is_alphanumeric() || matches!(c, '_' | '@' | '.' | '-') => {
                let mut word = c.to_string();
                while let Some(c) = letters
                    .next_if(|c| c.is_alphanumeric() || matches!(c, '_' | '@' | '.' | '-' | '$'))
                {
                    word.push(c);
                }
                found.push(Piece::Word(word));
            }
            c => found.push(Piece::Sign(c)),
        }
    }
    Some(found)
}

/// The `key = value` pairs of a CHANGE, keys in upper case with SOURCE for MASTER; lists in
/// parentheses are left out.
pub(super) fn settings(statement: &str) -> Option<BTreeMap<String, String>> {
    let pieces = pieces(statement)?;
    let to =
        pieces.iter().position(|p| matches!(p, Piece::Word(w) if w.eq_ignore_ascii_case("TO")));
    let mut all = BTreeMap::new();
    for part in pieces.get(to? + 1..)?.windows(3) {
        let [Piece::Word(key), Piece::Sign('='), value] = part else { continue };
        if let Piece::Word(value) | Piece::Text(value) = value {
            let key = key.to_ascii_uppercase().replacen("MASTER", "SOURCE", 1);
            all.insert(key, value.clone());
        }
    }
    Some(all)
}

/// The text literals of a statement, in order.
pub(super) fn texts(statement: &str) -> Vec<String> {
    let pieces = pieces(statement).unwrap_or_default();
    let texts = pieces.into_iter().filter_map(|piece| match piece {
        Piece::Text(text) => Some(text),
        _ => None,
    });
    texts.collect()
}

/// Whether a bare word stands in a statement.
pub(super) fn has_word(statement: &str, wanted: &str) -> bool {
    let pieces = pieces(statement).unwrap_or_default();
    pieces.iter().any(|piece| matches!(piece, Piece::Word(w) if w.eq_ignore_ascii_case(wanted)))
}

/// `SELECT @@global.a AS b, ...`: the names of variables and of columns.
pub(super) fn variables(statement: &str) -> Option<Vec<(String, String)>> {
    let list = statement.get(..7).filter(|head| head.eq_ignore_ascii_case("SELECT "));
    let list = list.and_then(|_| statement.get(7..))?;
    let one = |part: &str| {
        let mut words = part.split_whitespace();
        let name = words.next()?.strip_prefix("@@")?.rsplit('.').next()?.to_ascii_lowercase();
        let alias = words.next().filter(|word| word.eq_ignore_ascii_case("AS"));
        let column = alias.and_then(|_| words.next())?;
        words.next().is_none().then(|| (name, column.to_owned()))
    };
    list.split(',').map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_read_in_both_vocabularies() {
        let old = "CHANGE MASTER '' TO MASTER_HOST = 'a''b', MASTER_PORT = 3306, \
                   MASTER_PASSWORD = 'x\\'y', MASTER_USE_GTID = slave_pos, IGNORE_SERVER_IDS = (1,2)";
        let read = settings(old).unwrap();
        assert_eq!(read["SOURCE_HOST"], "a'b");
        assert_eq!(read["SOURCE_PASSWORD"], "x'y");
        assert_eq!(read["SOURCE_USE_GTID"], "slave_pos");
        let new = "CHANGE REPLICATION SOURCE TO SOURCE_HOST = 'h', SOURCE_LOG_FILE = 'b.000001', \
                   SOURCE_LOG_POS = 4, SOURCE_AUTO_POSITION = 0 FOR CHANNEL ''";
        let read = settings(new).unwrap();
        assert_eq!((&*read["SOURCE_LOG_FILE"], &*read["SOURCE_LOG_POS"]), ("b.000001", "4"));
        assert_eq!(settings("CHANGE MASTER TO MASTER_HOST = 'never ends"), None);
    }

    #[test]
    fn variables_with_their_columns() {
        let read = variables("SELECT @@global.server_id AS a, @@GLOBAL.x AS b").unwrap();
        assert_eq!(read, [("server_id".into(), "a".into()), ("x".into(), "b".into())]);
        assert_eq!(variables("SELECT @@GLOBAL.SERVER_ID"), None);
        assert_eq!(variables("SELECT 1"), None);
    }
}
