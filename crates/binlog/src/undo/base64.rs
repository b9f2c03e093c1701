//! `BINLOG '...'`: events in base64, as servers read them in a statement.

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What stands around the events.
const FRAME: usize = "BINLOG ''".len();

/// The statement with these events.
pub(super) fn statement(events: &[u8]) -> String {
    let mut sql = String::with_capacity(length(events.len()));
    sql.push_str("BINLOG '");
    for three in events.chunks(3) {
        let byte = |at| three.get(at).copied().map_or(0, u32::from);
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for nth in 0..4 {
            if nth > three.len() {
                sql.push('=');
            } else {
                let letter = LETTERS[(bits >> (18 - 6 * nth) & 63) as usize];
                sql.push(char::from(letter));
            }
        }
    }
    sql.push('\'');
    sql
}

/// How long the statement with so many bytes of events is.
pub(super) const fn length(events: usize) -> usize {
    events.div_ceil(3).saturating_mul(4).saturating_add(FRAME)
}

/// How many bytes of events a statement of so many bytes can hold. The server counts the byte of
/// the command too, and some leave room for a header.
pub(super) const fn room(statement: usize) -> usize {
    statement.saturating_sub(FRAME + 64) / 4 * 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(statement(bytes.as_bytes()), format!("BINLOG '{text}'"));
        }
    }

    #[test]
    fn what_has_room_fits() {
        for limit in [100, 1000, 1001, 1002, 1003] {
            assert!(statement(&vec![7; room(limit)]).len() <= limit);
        }
        assert_eq!(room(10), 0);
    }
}
