#!/bin/sh
# Makes the binary logs and relay logs of one sandbox into ready fixtures; see README.md.
# usage: make.sh SANDBOX_FOLDER OUTPUT_FOLDER
set -eu
sandbox=$1 out=$2
password=$(cat "$sandbox/passwords/root")
sql() { mariadb --local-infile=1 -uroot -p"$password" -S "$sandbox/$1/mysqld.sock" --binary-mode -N; }
[ -S "$sandbox/s1/mysqld.sock" ] || { echo "no server in $sandbox" >&2; exit 1; }
version=$(echo 'SELECT VERSION()' | sql s1)
case $version in *MariaDB*) family=mariadb ;; *) family=mysql ;; esac
mkdir -p "$out"

# The current binary log of the primary becomes NAME; its successor is begun.
keep() {
    echo 'FLUSH BINARY LOGS' | sql s1
    last=$(sed -n '$p' "$sandbox/s1/data/binlog.index")
    previous=$(sed -n 'x;$p' "$sandbox/s1/data/binlog.index")
    cp "$sandbox/s1/data/$(basename "$previous")" "$out/$1.binlog"
}

printf '1\tone\n2\ttwo\n' > "$out/load.txt"
{
    echo 'SET GLOBAL relay_log_purge=OFF; SET GLOBAL max_relay_log_size=4096;'
    echo 'SET GLOBAL max_binlog_size=1073741824;'
} | sql s2
relay_before=$(sed -n '$p' "$sandbox/s2/data/relay.index")
echo 'SET GLOBAL local_infile=ON; DROP DATABASE IF EXISTS shop; FLUSH BINARY LOGS' | sql s1

# Rows of many types, blobs with line ends and words that must not be believed.
sql s1 <<'SQL'
SET SESSION binlog_format=ROW;
CREATE DATABASE shop;
USE shop;
CREATE TABLE kinds (id INT PRIMARY KEY AUTO_INCREMENT, ti TINYINT, sm SMALLINT, me MEDIUMINT,
  bi BIGINT UNSIGNED, fl FLOAT, db DOUBLE, de DECIMAL(20,5), d DATE, t TIME(3), dt DATETIME(6),
  ts TIMESTAMP NULL DEFAULT NULL, y YEAR, c CHAR(10), cl CHAR(200) CHARACTER SET utf8mb4,
  v VARCHAR(20), vl VARCHAR(500), b BINARY(4), vb VARBINARY(300), tb TINYBLOB, bl BLOB,
  mb MEDIUMBLOB, lt LONGTEXT, e ENUM('a','b'), s SET('x','y','z'), bt BIT(10), g POINT
  ) ENGINE=InnoDB;
INSERT INTO kinds VALUES (1,1,2,3,18446744073709551615,1.5,2.5,-12345.67891,'2024-02-29',
  '12:34:56.789','2024-02-29 12:34:56.123456','2024-02-29 12:34:56',2024,'char','chär','v',
  'vl','bin',0x00FF0D0A,'tiny','line\r\nROLLBACK\r\nCOMMIT;\0\\','medium','long','b','x,z',
  b'1010101010', POINT(1,2));
INSERT INTO kinds (ti) VALUES (2),(3),(NULL);
UPDATE kinds SET v='changed', bl='ROLLBACK' WHERE id<3;
DELETE FROM kinds WHERE id=3;
BEGIN; INSERT INTO kinds (ti) VALUES (9); SAVEPOINT a; INSERT INTO kinds (ti) VALUES (10);
ROLLBACK TO SAVEPOINT a; INSERT INTO kinds (ti) VALUES (11); COMMIT;
CREATE TABLE old (a INT) ENGINE=MyISAM;
INSERT INTO old VALUES (1),(2);
BEGIN; INSERT INTO kinds (ti) VALUES (12); ROLLBACK;
ALTER TABLE old ADD COLUMN b INT;
SQL
if [ "$family" = mariadb ] || [ "${version%%.*}" -ge 8 ]; then
    echo 'SET SESSION binlog_format=ROW; USE shop; CREATE TABLE copied SELECT id, ti FROM kinds;' | sql s1
fi
if [ "$family" = mysql ] && [ "${version%%.*}" -ge 8 ]; then
    sql s1 <<'SQL'
USE shop;
SET SESSION binlog_row_value_options=PARTIAL_JSON, SESSION binlog_rows_query_log_events=ON;
CREATE TABLE js (id INT PRIMARY KEY, a JSON, b JSON);
INSERT INTO js VALUES (1,'{"k":1,"long":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}','[1]'),(2,'{}',NULL);
UPDATE js SET a=JSON_SET(a,'$.k',2);
SQL
fi
keep row

# Statement format: values before statements, LOAD DATA, a rollback that must be written.
sql s1 <<SQL
SET SESSION binlog_format=STATEMENT;
USE shop;
CREATE TABLE st (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(200)) ENGINE=InnoDB;
INSERT INTO st (v) VALUES ('a'),('ROLLBACK\r\n');
INSERT INTO st (v) VALUES (LAST_INSERT_ID()),(RAND());
SET @x='user';
INSERT INTO st (v) VALUES (@x);
LOAD DATA LOCAL INFILE '$out/load.txt' INTO TABLE st (@dummy, v);
CREATE TABLE IF NOT EXISTS my (a INT AUTO_INCREMENT PRIMARY KEY, v TEXT) ENGINE=MyISAM;
INSERT INTO my (v) VALUES (@x);
SQL
if [ "$family" = mariadb ] || [ "${version%%.*}" -lt 8 ]; then
    sql s1 <<'SQL' || true
SET SESSION binlog_format=STATEMENT;
USE shop;
BEGIN; INSERT INTO st (v) VALUES ('in'); SAVEPOINT s; INSERT INTO my (v) VALUES ('kept');
ROLLBACK TO s; INSERT INTO st (v) VALUES ('after'); COMMIT;
BEGIN; INSERT INTO my (v) VALUES ('kept 2'); INSERT INTO st (v) VALUES ('gone'); ROLLBACK;
SQL
fi
keep statement

sql s1 <<'SQL'
SET SESSION binlog_format=MIXED;
USE shop;
INSERT INTO st (v) VALUES ('safe');
INSERT INTO st (v) VALUES (UUID());
SQL
keep mixed

sql s1 <<'SQL'
SET SESSION binlog_format=ROW;
USE shop;
XA START 'one'; INSERT INTO st (v) VALUES ('xa one'); XA END 'one'; XA PREPARE 'one'; XA COMMIT 'one';
XA START 'two','b',7; INSERT INTO st (v) VALUES ('xa two'); XA END 'two','b',7; XA PREPARE 'two','b',7; XA ROLLBACK 'two','b',7;
XA START 'three'; INSERT INTO st (v) VALUES ('xa three'); XA END 'three'; XA COMMIT 'three' ONE PHASE;
XA START 'four'; INSERT INTO st (v) VALUES ('xa four'); XA END 'four'; XA PREPARE 'four';
SQL
# Another connection commits what this one prepared (5.6 rolls it back when the connection ends).
echo "USE shop; INSERT INTO st (v) VALUES ('between'); XA COMMIT 'four';" | sql s1 || true
keep xa
SQL_COMPRESS_ON= SQL_COMPRESS_OFF=
if [ "$family" = mariadb ]; then
    SQL_COMPRESS_ON='SET GLOBAL log_bin_compress=ON, GLOBAL log_bin_compress_min_len=10;'
    SQL_COMPRESS_OFF='SET GLOBAL log_bin_compress=OFF;'
elif [ "${version%%.*}" -ge 8 ]; then
    SQL_COMPRESS_ON='SET GLOBAL binlog_transaction_compression=ON;'
    SQL_COMPRESS_OFF='SET GLOBAL binlog_transaction_compression=OFF;'
fi
if [ -n "$SQL_COMPRESS_ON" ]; then
    echo "$SQL_COMPRESS_ON" | sql s1
    sql s1 <<'SQL'
SET SESSION binlog_format=ROW;
USE shop;
INSERT INTO st (v) VALUES (REPEAT('ROLLBACK ',20)),(REPEAT('b',150));
UPDATE st SET v=CONCAT(v,'!') WHERE id<3;
BEGIN; DELETE FROM st WHERE id=1; INSERT INTO st (v) VALUES (REPEAT('c',190)); COMMIT;
CREATE TABLE comp (a INT COMMENT 'a long comment that is worth compressing, a long comment that is worth compressing');
SQL
    echo "USE shop; XA START 'c'; INSERT INTO st (v) VALUES (REPEAT('x',150)); XA END 'c'; XA PREPARE 'c'; XA COMMIT 'c';" | sql s1
    keep compressed
    echo "$SQL_COMPRESS_OFF" | sql s1
fi

echo 'SET GLOBAL binlog_checksum=NONE' | sql s1
echo "SET SESSION binlog_format=ROW; USE shop; INSERT INTO st (v) VALUES ('no checksum'); CREATE TABLE nosum (a INT); DROP TABLE nosum;" | sql s1
keep nochecksum
echo 'SET GLOBAL binlog_checksum=CRC32' | sql s1

if [ "$family" = mysql ] && [ "${version%%.*}" -ge 8 ] && [ "$(echo 'SELECT @@gtid_mode' | sql s1)" = ON ]; then
    sql s1 <<'SQL'
USE shop;
SET gtid_next='AUTOMATIC:backup'; INSERT INTO st (v) VALUES ('tagged'); INSERT INTO st (v) VALUES ('tagged 2');
SET gtid_next='AUTOMATIC:other'; CREATE TABLE tagged (a INT);
SET gtid_next='AUTOMATIC'; INSERT INTO st (v) VALUES ('plain');
SQL
    keep tagged
    echo "USE shop; INSERT INTO st (v) VALUES ('after tagged');" | sql s1
    keep tagged-next
fi
# A transaction that is larger than a relay log.
{
    echo 'SET SESSION binlog_format=ROW; USE shop; BEGIN;'
    for n in 1 2 3 4 5 6 7 8 9; do echo "INSERT INTO st (v) VALUES (REPEAT('$n',180)),(REPEAT('$n',190)),(REPEAT('$n',195)),(REPEAT('$n',199));"; done
    echo 'COMMIT;'
    for n in 1 2 3; do echo "INSERT INTO st (v) VALUES ('small $n');"; done
} | sql s1
keep large
sleep 3
mkdir -p "$out/relay"
sed -n "\\|$relay_before|,\$p" "$sandbox/s2/data/relay.index" | while read -r file; do
    cp "$sandbox/s2/data/$(basename "$file")" "$out/relay/"
done
rm "$out/load.txt"
ls -l "$out" "$out/relay"
