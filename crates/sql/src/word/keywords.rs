//! Keywords: those that decide what a statement is, and those that only give it its shape.

use super::{BEFORE_PARENTHESIS, RESERVED, TAKES_HINTS};

/// A keyword, as far as reading a statement depends on which one it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kw {
    /// No keyword, or none that matters.
    None,
    /// Any other word of the grammar.
    Clause,
    Select,
    With,
    Values,
    Table,
    Insert,
    Update,
    Delete,
    Replace,
    Into,
    For,
    Share,
    Lock,
    In,
    Procedure,
    Next,
    Previous,
    Value,
    Limit,
    Order,
    As,
    CalcFoundRows,
    SystemSchema,
    /// A function without parentheses that gives the present moment.
    Clock,
}

/// Keywords of one kind.
pub(crate) struct Group {
    pub(crate) names: &'static str,
    pub(crate) keyword: Kw,
    pub(crate) flags: u8,
}

const fn group(names: &'static str, keyword: Kw, flags: u8) -> Group {
    Group { names, keyword, flags }
}

const PLAIN: u8 = RESERVED;
const OPENS: u8 = RESERVED | BEFORE_PARENTHESIS;

/// All keywords that are known here. "Opens" are those that are reserved on all servers, MySQL 5.6 to
/// 9.7 and MariaDB 10.5 to 11.8, and may stand before a parenthesis: no stored function is called by
/// such a word.
pub(crate) const KEYWORDS: &[Group] = &[
    group("SELECT", Kw::Select, OPENS | TAKES_HINTS),
    group("INSERT", Kw::Insert, PLAIN | TAKES_HINTS),
    group("REPLACE", Kw::Replace, PLAIN | TAKES_HINTS),
    group("UPDATE", Kw::Update, PLAIN | TAKES_HINTS),
    group("DELETE", Kw::Delete, PLAIN | TAKES_HINTS),
    group("WITH", Kw::With, PLAIN),
    group("VALUES", Kw::Values, OPENS),
    group("TABLE", Kw::Table, PLAIN),
    group("INTO", Kw::Into, PLAIN),
    group("FOR", Kw::For, PLAIN),
    group("SHARE", Kw::Share, 0),
    group("LOCK", Kw::Lock, PLAIN),
    group("IN", Kw::In, OPENS),
    group("PROCEDURE", Kw::Procedure, PLAIN),
    group("NEXT", Kw::Next, 0),
    group("PREVIOUS", Kw::Previous, 0),
    group("VALUE", Kw::Value, 0),
    group("LIMIT", Kw::Limit, PLAIN),
    group("ORDER", Kw::Order, PLAIN),
    group("AS", Kw::As, OPENS),
    group("SQL_CALC_FOUND_ROWS", Kw::CalcFoundRows, PLAIN),
    group("INFORMATION_SCHEMA PERFORMANCE_SCHEMA MYSQL SYS NDBINFO", Kw::SystemSchema, 0),
    group(
        "CURRENT_TIMESTAMP CURRENT_TIME CURRENT_DATE LOCALTIME LOCALTIMESTAMP UTC_TIMESTAMP UTC_TIME UTC_DATE",
        Kw::Clock,
        PLAIN,
    ),
    group(
        "ALL AND BETWEEN BINARY BY CASE CROSS DISTINCT DISTINCTROW DIV ELSE EXISTS FROM HAVING INDEX INNER \
         JOIN KEY LIKE MATCH NOT ON OR OUTER PARTITION REGEXP RLIKE STRAIGHT_JOIN THEN UNION USING WHEN \
         WHERE XOR",
        Kw::Clause,
        OPENS,
    ),
    group("CHAR VARCHAR VARBINARY DECIMAL NUMERIC FLOAT DOUBLE REAL", Kw::Clause, OPENS),
    group(
        "IF LEFT RIGHT REPEAT CONVERT DEFAULT INTERVAL MOD CURRENT_USER DATABASE SCHEMA",
        Kw::Clause,
        PLAIN,
    ),
    group(
        "ADD ALTER ANALYZE ASC CALL CHANGE CHARACTER CHECK COLLATE COLUMN CONDITION CONSTRAINT CONTINUE CREATE \
         CURSOR DATABASES DECLARE DELAYED DESC DESCRIBE DROP DUAL EACH END ESCAPE EXIT EXPLAIN FALSE FETCH FORCE \
         FOREIGN FULLTEXT GRANT GROUP HIGH_PRIORITY IGNORE IS KEYS KILL LEADING LINES LOAD LONG LOW_PRIORITY \
         NATURAL NULL OPTIMIZE OPTION OPTIONALLY OUTFILE PRIMARY PURGE RANGE READ REFERENCES RELEASE RENAME \
         REQUIRE RESTRICT RETURN REVOKE ROWS SCHEMAS SEPARATOR SET SHOW SIGNAL SQL SQL_BIG_RESULT \
         SQL_SMALL_RESULT STARTING TERMINATED TO TRAILING TRIGGER TRUE UNDO UNIQUE UNLOCK UNSIGNED USAGE USE \
         WHILE WRITE ZEROFILL",
        Kw::Clause,
        PLAIN,
    ),
    group(
        "BEGIN COMMIT ROLLBACK START TRANSACTION SAVEPOINT ANY SOME OFFSET DO OF SYSTEM_TIME AGAINST",
        Kw::Clause,
        PLAIN,
    ),
];
