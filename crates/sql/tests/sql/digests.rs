//! What digests look like.

use primacy_sql::{Context, digest};
use primacy_types::ServerVersion;

fn written(text: &str) -> String {
    let mut buffer = [0; 1024];
    let context = Context::new(ServerVersion::mysql(9, 7, 4));
    let digest = digest(text.as_bytes(), &context, &mut buffer);
    String::from_utf8_lossy(&buffer[..digest.length]).into_owned()
}

#[test]
fn statements_are_written_without_their_values() {
    let cases = [
        ("select c from sbtest1 where id=5042", "SELECT c FROM sbtest1 WHERE id = ?"),
        (
            "SELECT  c /* x */ FROM `sbtest1` -- y\n WHERE id = 'a';",
            "SELECT c FROM sbtest1 WHERE id = ?",
        ),
        ("SELECT `select`, `a b` FROM `T`.`x`", "SELECT `select`, `a b` FROM T.x"),
        ("select count(*), max(a.b) from t", "SELECT COUNT(*), MAX(a.b) FROM t"),
        ("SELECT * FROM t WHERE a IN (1,2,3)", "SELECT * FROM t WHERE a IN (...)"),
        ("SELECT * FROM t WHERE a IN ('x')", "SELECT * FROM t WHERE a IN (...)"),
        ("SELECT * FROM t WHERE a IN (?, ?, NULL, -1)", "SELECT * FROM t WHERE a IN (...)"),
        ("SELECT * FROM t WHERE a IN (SELECT 1)", "SELECT * FROM t WHERE a IN (SELECT ?)"),
        ("SELECT * FROM t WHERE a IN (1, b, 2, 3)", "SELECT * FROM t WHERE a IN (..., b, ...)"),
        ("SELECT f(1, 2), g(1)", "SELECT f(?, ?), g(?)"),
        ("INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, NULL)", "INSERT INTO t VALUES (...)"),
        ("INSERT INTO t (a, b) VALUES (1, NOW())", "INSERT INTO t(a, b) VALUES (..., NOW())"),
        (
            "INSERT INTO t VALUES (1, NOW()), (2, NOW())",
            "INSERT INTO t VALUES (..., NOW()), (..., NOW())",
        ),
        (
            "INSERT INTO t (a) VALUES (1), (2) ON DUPLICATE KEY UPDATE a = VALUES(a), b = 3",
            "INSERT INTO t(a) VALUES (...) ON DUPLICATE KEY UPDATE a = VALUES (a), b = ?",
        ),
        ("SELECT a-1, a - -1, -1, -a, +1 FROM t", "SELECT a - ?, a - ?, ?, - a, ? FROM t"),
        (
            "SELECT a FROM t WHERE b>=1 AND c<>2 AND NOT d",
            "SELECT a FROM t WHERE b >= ? AND c <> ? AND NOT d",
        ),
        ("SELECT 'a' 'b' \"c\", x'41', 0x41, 1.5e3", "SELECT ?, ?, ?, ?"),
        ("SET @a = 1, @@session.b = 'x'", "SET @a = ?, @@session.b = ?"),
        ("SELECT 1; SELECT 2;", "SELECT ?; SELECT ?"),
        ("SELECT /*!50000 a */ FROM t /*!99999 b */", "SELECT a FROM t"),
        ("commit", "COMMIT"),
        ("", ""),
        (";", ""),
    ];
    for (text, wanted) in cases {
        assert_eq!(written(text), wanted, "{text}");
    }
}

#[test]
fn a_digest_that_does_not_fit_is_cut_and_keeps_its_hash() {
    let context = Context::new(ServerVersion::mysql(9, 7, 4));
    let mut buffer = [0; 8];
    let text = b"SELECT a FROM t";
    let cut = digest(text, &context, &mut buffer);
    assert!(cut.truncated && &buffer == b"SELECT a");
    assert_eq!(cut.hash, digest(text, &context, &mut [0; 100]).hash);
    assert_eq!(cut.hash, digest(text, &context, &mut []).hash);
    assert_ne!(cut.hash, digest(b"SELECT b FROM t", &context, &mut buffer).hash);
}

/// Digests are kept in files and compared between processes.
#[test]
fn hashes_stay_as_they_are() {
    let context = Context::new(ServerVersion::mysql(9, 7, 4));
    let hash = |text: &str| digest(text.as_bytes(), &context, &mut []).hash;
    assert_eq!(format!("{:016x}", hash("SELECT c FROM sbtest1 WHERE id = 1")), "527d107407f25026");
}
