//! `filter_mysqlbinlog`: takes out of `mysqlbinlog`'s text what it adds for a file's beginning and
//! end: the `ROLLBACK` and the `BINLOG` statement of a format description. Needed by nothing of ours.

use std::io::{self, BufRead, Write};

/// The first letters of a format description in base64: after four bytes of time, kind 15.
const KIND: usize = 15;

/// Copies the text without these statements.
///
/// # Errors
/// What could not be read or written.
pub fn filter(input: &mut dyn BufRead, out: &mut dyn Write) -> io::Result<()> {
    let mut line = Vec::new();
    // A BINLOG statement whose second line is not there yet.
    let mut held: Option<Vec<u8>> = None;
    let mut inside = false;
    while input.read_until(b'\n', &mut line)? > 0 {
        let text = line.trim_ascii_end();
        if inside {
            inside = !ends(text);
        } else if let Some(first) = held.take() {
            inside = is_format(text);
            if inside {
                inside = !ends(text);
            } else {
                out.write_all(&first)?;
                out.write_all(&line)?;
            }
        } else if text == b"BINLOG '" {
            held = Some(line.clone());
        } else if !is_rollback(text) {
            out.write_all(&line)?;
        }
        line.clear();
    }
    if let Some(first) = held {
        out.write_all(&first)?;
    }
    out.flush()
}

/// `'/*!*/;`: the statement's last line.
fn ends(text: &[u8]) -> bool {
    text.starts_with(b"'") || text.ends_with(b"'/*!*/;")
}

/// The lines that mysqlbinlog adds. One that a server logged has its delimiter on the next line.
fn is_rollback(text: &[u8]) -> bool {
    text == b"ROLLBACK/*!*/;" || text.starts_with(b"ROLLBACK /* added by mysqlbinlog */")
}

/// Whether base64 is of a format description: the fifth byte is the kind.
fn is_format(text: &[u8]) -> bool {
    let value = |at: usize| {
        let letter = text.get(at)?;
        let all = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        all.iter().position(|known| known == letter)
    };
    // Bytes 3 to 5 are letters 4 to 7; the second of these is letters 5 and 6.
    let kind = value(5).zip(value(6)).map(|(high, low)| (high & 15) << 4 | low >> 2);
    kind == Some(KIND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_mysqlbinlog_adds_is_taken_out_and_nothing_else() {
        // A format description of MariaDB 10.11 and a table map, shortened.
        let text = "DELIMITER /*!*/;\n# at 4\nROLLBACK/*!*/;\nBINLOG '\n\
                    0HJPZw8BAAAA/AAAAAABAAAAAAQAMTAuMTEu\nAAAAAA==\n'/*!*/;\n# at 256\nBINLOG '\n\
                    0HJPZxMBAAAAKwAAAFMC\n'/*!*/;\nINSERT INTO t VALUES ('ROLLBACK')/*!*/;\nROLLBACK\n/*!*/;\n\
                    ROLLBACK /* added by mysqlbinlog */;\n";
        let mut out = Vec::new();
        filter(&mut text.as_bytes(), &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "DELIMITER /*!*/;\n# at 4\n# at 256\nBINLOG '\n0HJPZxMBAAAAKwAAAFMC\n'/*!*/;\n\
             INSERT INTO t VALUES ('ROLLBACK')/*!*/;\nROLLBACK\n/*!*/;\n"
        );
    }
}
