//! What is said of statements: tables of cases, laws that hold for any bytes, and an independent
//! parser as a witness. That servers agree is tested in `crates/primacy/tests/sql.rs`.

mod cases;
mod changes;
mod digests;
mod hints;
mod oracle;
mod properties;
mod session;
mod table;
