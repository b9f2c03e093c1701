//! Built-in functions, by what calling one means for where a statement may run.
//!
//! A function that is in no row here is a stored or loadable one as far as is known, and may do
//! anything. The rows are checked against real servers: each name must be known to the servers that
//! its row says, so that no stored function can be called by it.

use super::{LEFT_IN_9_6, NEVER, NO_SPACE};

/// What calling a built-in function means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Function {
    /// No built-in function of that name.
    None,
    /// Its value depends on its arguments, the session's settings and the tables only.
    Pure,
    /// Its value depends on the moment.
    Clock,
    /// Its value is another one each time.
    Random,
    /// Another value each time, unique.
    Unique,
    /// It waits.
    Sleeps,
    /// Its value depends on the server or the connection.
    Local,
    /// The value that an earlier insert made, or setting it.
    InsertId,
    /// How many rows the statement before changed.
    RowCount,
    /// How many rows the `SELECT` before found.
    FoundRows,
    /// It takes a named lock, which belongs to the connection.
    TakesLock,
    /// It gives up named locks or asks for their holder.
    OfLocks,
    /// It moves a sequence or reads what this connection got from one.
    Sequence,
}

/// Functions with the same meaning and history.
pub(crate) struct Group {
    pub(crate) names: &'static str,
    pub(crate) function: Function,
    /// The first version of MySQL that has it: 506 stands for all, 800 for 8.0.
    pub(crate) mysql: u16,
    /// The first version of MariaDB that has it: 1005 stands for all.
    pub(crate) mariadb: u16,
    pub(crate) flags: u8,
}

const fn group(names: &'static str, function: Function, mysql: u16, mariadb: u16) -> Group {
    Group { names, function, mysql, mariadb, flags: 0 }
}

/// Those that are stored functions when a space stands before the parenthesis.
const fn tight(names: &'static str, function: Function) -> Group {
    Group { names, function, mysql: 506, mariadb: 1005, flags: NO_SPACE }
}

use Function::{
    Clock, FoundRows, InsertId, Local, OfLocks, Pure, Random, RowCount, Sequence, Sleeps,
    TakesLock, Unique,
};

/// All built-in functions that are known here.
pub(crate) const FUNCTIONS: &[Group] = &[
    // Numbers.
    group(
        "ABS ACOS ASIN ATAN ATAN2 CEIL CEILING CONV COS COT CRC32 DEGREES EXP FLOOR FORMAT HEX LN LOG LOG10 \
         LOG2 MOD OCT PI POW POWER RADIANS ROUND SIGN SIN SQRT TAN TRUNCATE BIT_COUNT GREATEST LEAST INTERVAL",
        Pure,
        506,
        1005,
    ),
    // Text.
    group(
        "ASCII BIN CHAR CHAR_LENGTH CHARACTER_LENGTH CONCAT CONCAT_WS ELT EXPORT_SET FIELD FIND_IN_SET FROM_BASE64 \
         INSERT INSTR LCASE LEFT LENGTH LOCATE LOWER LPAD LTRIM MAKE_SET OCTET_LENGTH BIT_LENGTH ORD QUOTE \
         REPEAT REPLACE REVERSE RIGHT RPAD RTRIM SOUNDEX SPACE STRCMP SUBSTRING_INDEX TO_BASE64 UCASE UNHEX UPPER \
         CHARSET COERCIBILITY COLLATION",
        Pure,
        506,
        1005,
    ),
    group("WEIGHT_STRING", Pure, 506, 1005),
    // Decisions and types.
    group(
        "COALESCE IF IFNULL ISNULL NULLIF CONVERT DEFAULT VALUES ROW NAME_CONST",
        Pure,
        506,
        1005,
    ),
    // Dates that depend on their arguments.
    group(
        "ADDTIME CONVERT_TZ DATE DATE_FORMAT DATEDIFF DAY DAYNAME DAYOFMONTH DAYOFWEEK DAYOFYEAR FROM_DAYS \
         FROM_UNIXTIME GET_FORMAT HOUR LAST_DAY MAKEDATE MAKETIME MICROSECOND MINUTE MONTH MONTHNAME PERIOD_ADD \
         PERIOD_DIFF QUARTER SEC_TO_TIME SECOND STR_TO_DATE SUBTIME TIME TIME_FORMAT TIME_TO_SEC TIMEDIFF \
         TIMESTAMP TIMESTAMPADD TIMESTAMPDIFF TO_DAYS TO_SECONDS WEEK WEEKDAY WEEKOFYEAR YEAR YEARWEEK",
        Pure,
        506,
        1005,
    ),
    // The moment.
    group(
        "CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP LOCALTIME LOCALTIMESTAMP UNIX_TIMESTAMP UTC_DATE UTC_TIME \
         UTC_TIMESTAMP",
        Clock,
        506,
        1005,
    ),
    tight("CURDATE CURTIME NOW SYSDATE", Clock),
    // Chance.
    group("RAND", Random, 506, 1005),
    group("RANDOM_BYTES", Random, 507, 1010),
    group("UUID UUID_SHORT", Unique, 506, 1005),
    group("SYS_GUID", Unique, NEVER, 1006),
    group("UUID_V4 UUID_V7", Unique, NEVER, 1107),
    group("SLEEP BENCHMARK", Sleeps, 506, 1005),
    // Written together with their parenthesis.
    tight(
        "ADDDATE BIT_AND BIT_OR BIT_XOR CAST COUNT DATE_ADD DATE_SUB EXTRACT GROUP_CONCAT MAX MID MIN POSITION STD \
         STDDEV STDDEV_POP STDDEV_SAMP SUBDATE SUBSTR SUBSTRING SUM TRIM VAR_POP VAR_SAMP VARIANCE",
        Pure,
    ),
    group("AVG", Pure, 506, 1005),
    tight("SESSION_USER SYSTEM_USER", Pure),
    group("CURRENT_USER USER DATABASE SCHEMA", Pure, 506, 1005),
    group("CURRENT_ROLE", Pure, 800, 1005),
    group("ROLES_GRAPHML", Pure, 800, NEVER),
    // Windows.
    group(
        "CUME_DIST DENSE_RANK FIRST_VALUE LAG LAST_VALUE LEAD NTH_VALUE NTILE PERCENT_RANK RANK ROW_NUMBER",
        Pure,
        800,
        1005,
    ),
    group("MEDIAN PERCENTILE_CONT PERCENTILE_DISC", Pure, NEVER, 1005),
    // Words of the grammar that newer servers reserve; on older ones a stored function may have the name.
    group("OVER EXCEPT INTERSECT", Pure, 900, 1005),
    group("LATERAL", Pure, 900, NEVER),
    group("ANY SOME", Pure, 506, 1005),
    // `MEMBER OF (...)`
    group("OF", Pure, 800, NEVER),
    // JSON.
    group(
        "JSON_ARRAY JSON_ARRAY_APPEND JSON_ARRAY_INSERT JSON_CONTAINS JSON_CONTAINS_PATH JSON_DEPTH JSON_EXTRACT \
         JSON_INSERT JSON_KEYS JSON_LENGTH JSON_MERGE_PATCH JSON_MERGE_PRESERVE JSON_OBJECT JSON_QUOTE \
         JSON_REMOVE JSON_REPLACE JSON_SEARCH JSON_SET JSON_TYPE JSON_UNQUOTE JSON_VALID",
        Pure,
        800,
        1005,
    ),
    group("JSON_ARRAYAGG JSON_OBJECTAGG", Pure, 800, 1005),
    group("JSON_OVERLAPS", Pure, 800, 1009),
    group("JSON_VALUE", Pure, 801, 1005),
    // On MariaDB it is a stored function outside of FROM.
    group("JSON_TABLE", Pure, 800, NEVER),
    group("JSON_PRETTY", Pure, 800, 1010),
    group("JSON_STORAGE_SIZE JSON_STORAGE_FREE", Pure, 800, NEVER),
    group("JSON_SCHEMA_VALIDATION_REPORT", Pure, 801, NEVER),
    group("JSON_SCHEMA_VALID", Pure, 801, 1101),
    group("JSON_QUERY JSON_EXISTS JSON_COMPACT JSON_DETAILED JSON_LOOSE", Pure, NEVER, 1005),
    group("JSON_EQUALS JSON_NORMALIZE", Pure, NEVER, 1007),
    // Bits and bytes.
    group(
        "AES_DECRYPT AES_ENCRYPT COMPRESS INET_ATON INET_NTOA INET6_ATON INET6_NTOA SHA2 UNCOMPRESS \
         UNCOMPRESSED_LENGTH IS_IPV4 IS_IPV4_COMPAT IS_IPV4_MAPPED IS_IPV6",
        Pure,
        506,
        1005,
    ),
    Group { names: "MD5 SHA SHA1", function: Pure, mysql: 506, mariadb: 1005, flags: LEFT_IN_9_6 },
    group("BIN_TO_UUID IS_UUID UUID_TO_BIN", Pure, 800, NEVER),
    group("CRC32C", Pure, NEVER, 1008),
    group("REGEXP_INSTR REGEXP_REPLACE REGEXP_SUBSTR", Pure, 800, 1005),
    group("REGEXP_LIKE", Pure, 800, NEVER),
    group("ANY_VALUE", Pure, 507, NEVER),
    group("GROUPING", Pure, 800, NEVER),
    group("FORMAT_BYTES FORMAT_PICO_TIME STATEMENT_DIGEST STATEMENT_DIGEST_TEXT", Pure, 801, NEVER),
    group("CHR ADD_MONTHS NVL NVL2 LENGTHB TO_CHAR", Pure, NEVER, 1006),
    group("SFORMAT", Pure, NEVER, 1007),
    group("NATURAL_SORT_KEY", Pure, NEVER, 1007),
    group(
        "COLUMN_ADD COLUMN_CHECK COLUMN_CREATE COLUMN_DELETE COLUMN_EXISTS COLUMN_GET COLUMN_JSON COLUMN_LIST",
        Pure,
        NEVER,
        1005,
    ),
    group("EXTRACTVALUE UPDATEXML", Pure, 506, 1005),
    // Places.
    group(
        "ST_AREA ST_ASBINARY ST_ASTEXT ST_ASWKB ST_ASWKT ST_BUFFER ST_CENTROID ST_CONTAINS ST_CROSSES \
         ST_DIFFERENCE ST_DIMENSION ST_DISJOINT ST_DISTANCE ST_ENDPOINT ST_ENVELOPE ST_EQUALS ST_EXTERIORRING \
         ST_GEOMETRYN ST_GEOMETRYTYPE ST_GEOMFROMTEXT ST_GEOMFROMWKB ST_INTERIORRINGN ST_INTERSECTION \
         ST_INTERSECTS ST_ISCLOSED ST_ISEMPTY ST_ISSIMPLE ST_NUMGEOMETRIES ST_NUMINTERIORRINGS ST_NUMPOINTS \
         ST_OVERLAPS ST_POINTN ST_SRID ST_STARTPOINT ST_SYMDIFFERENCE ST_TOUCHES ST_UNION ST_WITHIN ST_X ST_Y",
        Pure,
        506,
        1005,
    ),
    group("ST_ASGEOJSON ST_CONVEXHULL ST_DISTANCE_SPHERE ST_GEOMFROMGEOJSON", Pure, 800, 1005),
    group(
        "ST_GEOHASH ST_LATFROMGEOHASH ST_LONGFROMGEOHASH ST_ISVALID ST_SIMPLIFY ST_VALIDATE",
        Pure,
        800,
        NEVER,
    ),
    group("ST_LATITUDE ST_LONGITUDE ST_SWAPXY ST_TRANSFORM", Pure, 801, NEVER),
    group(
        "MBRCONTAINS MBRDISJOINT MBRINTERSECTS MBROVERLAPS MBRTOUCHES MBRWITHIN",
        Pure,
        506,
        1005,
    ),
    group("MBREQUALS", Pure, 507, 1005),
    // With another number of arguments MariaDB takes these for stored functions.
    group(
        "POINT LINESTRING POLYGON MULTIPOINT MULTILINESTRING MULTIPOLYGON GEOMETRYCOLLECTION",
        Pure,
        506,
        NEVER,
    ),
    group("GTID_SUBSET GTID_SUBTRACT", Pure, 506, NEVER),
    // What one server or one connection knows.
    group("CONNECTION_ID VERSION LOAD_FILE", Local, 506, 1005),
    group("MASTER_POS_WAIT", Local, 506, 1005),
    group("WAIT_FOR_EXECUTED_GTID_SET", Local, 507, NEVER),
    group("SOURCE_POS_WAIT", Local, 801, NEVER),
    group("MASTER_GTID_WAIT BINLOG_GTID_POS DECODE_HISTOGRAM", Local, NEVER, 1005),
    group("PS_CURRENT_THREAD_ID PS_THREAD_ID ICU_VERSION", Local, 801, NEVER),
    group("LAST_INSERT_ID", InsertId, 506, 1005),
    group("ROW_COUNT", RowCount, 506, 1005),
    group("FOUND_ROWS", FoundRows, 506, 1005),
    group("GET_LOCK", TakesLock, 506, 1005),
    group("IS_FREE_LOCK IS_USED_LOCK RELEASE_LOCK", OfLocks, 506, 1005),
    group("RELEASE_ALL_LOCKS", OfLocks, 507, 1005),
    group("NEXTVAL LASTVAL SETVAL", Sequence, NEVER, 1005),
];
