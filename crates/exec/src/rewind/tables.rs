//! Whether the server's tables are those that the events speak of, and would change by nothing
//! else than the events.

use primacy_binlog::undo::{Undo, UndoneTable};
use primacy_wire::{Row, Rows, quote};

use super::columns::{Defined, fits};
use super::{RewindError, Work};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// What is in the way.
    pub(super) reasons: Vec<String>,
    /// Tables without a primary key.
    pub(super) without_key: Vec<String>,
}

/// Looks at each table.
pub(super) async fn look(work: &mut Work<'_>, undo: &Undo) -> Result<Tables, RewindError> {
    let mut found = Tables::default();
    for table in &undo.tables {
        look_at(work, table, &mut found).await?;
    }
    Ok(found)
}

async fn look_at(
    work: &mut Work<'_>,
    table: &UndoneTable,
    found: &mut Tables,
) -> Result<(), RewindError> {
    let name = format!("{}.{}", table.database, table.table);
    let doing = "reading the definitions of tables";
    let here = format!(
        "table_schema = {} AND table_name = {}",
        quote(&table.database),
        quote(&table.table)
    );
    let sql = format!(
        "SELECT table_schema AS s, table_name AS t, table_type AS kind, engine AS engine \
         FROM information_schema.tables WHERE {here}"
    );
    let rows = work.query(doing, &sql).await?;
    // Names may be compared without regard to case there.
    let Some(row) = rows.iter().find(|row| is_it(row, table)) else {
        found.reasons.push(format!("there is no table {name}"));
        return Ok(());
    };
    let text = |column| row.get(column).unwrap_or_default();
    if text("kind") != "BASE TABLE" {
        found.reasons.push(format!("{name} is no plain table ({})", text("kind").to_lowercase()));
    }
    if !text("engine").eq_ignore_ascii_case("InnoDB") {
        let engine = text("engine");
        found.reasons.push(format!("{name} is in {engine}: only InnoDB can roll back"));
    }
    let sql = format!(
        "SELECT table_schema AS s, table_name AS t, column_name AS name, data_type AS data_type, \
         column_type AS column_type, character_octet_length AS octets, \
         numeric_precision AS num, numeric_scale AS scale, datetime_precision AS fraction \
         FROM information_schema.columns WHERE {here} ORDER BY ordinal_position"
    );
    let columns = work.query(doing, &sql).await?;
    compare(&name, table, &columns, &mut found.reasons);
    let sql = format!(
        "SELECT table_schema AS s, table_name AS t FROM information_schema.table_constraints \
         WHERE {here} AND constraint_type = 'PRIMARY KEY'"
    );
    let keys = work.query(doing, &sql).await?;
    if !keys.iter().any(|row| is_it(row, table)) {
        found.without_key.push(name.clone());
    }
    let sql = format!(
        "SELECT unique_constraint_schema AS s, referenced_table_name AS t, \
         constraint_schema AS child_schema, table_name AS child, constraint_name AS name, \
         delete_rule AS on_delete, update_rule AS on_update \
         FROM information_schema.referential_constraints \
         WHERE unique_constraint_schema = {} AND referenced_table_name = {}",
        quote(&table.database),
        quote(&table.table)
    );
    for row in work.query(doing, &sql).await?.iter().filter(|row| is_it(row, table)) {
        found.reasons.extend(cascade(&name, table, row));
    }
    Ok(())
}

fn is_it(row: &Row, table: &UndoneTable) -> bool {
    row.get("s") == Some(&*table.database) && row.get("t") == Some(&*table.table)
}

fn compare(name: &str, table: &UndoneTable, rows: &Rows, reasons: &mut Vec<String>) {
    let there: Vec<&Row> = rows.iter().filter(|row| is_it(row, table)).collect();
    if there.len() != table.columns.len() {
        reasons.push(format!(
            "{name} has {} columns, and had {} when it was changed",
            there.len(),
            table.columns.len()
        ));
        return;
    }
    for (row, column) in there.into_iter().zip(&table.columns) {
        let text = |column| row.get(column).unwrap_or_default().to_owned();
        let number = |column| row.get(column).and_then(|text| text.parse().ok());
        let defined = Defined {
            data_type: text("data_type").to_ascii_lowercase(),
            column_type: text("column_type"),
            octets: number("octets"),
            precision: number("num"),
            scale: number("scale"),
            fraction: number("fraction"),
        };
        if !fits(*column, &defined) {
            reasons.push(format!(
                "{name}.{} is {} now, and was another type when it was changed (number {}, \
                 metadata {:#06x})",
                text("name"),
                defined.column_type,
                column.kind,
                column.metadata
            ));
        }
    }
}

/// A change of the table that may have reached the rows of a child, of which the log says nothing.
fn cascade(name: &str, table: &UndoneTable, row: &Row) -> Option<String> {
    let text = |column| row.get(column).unwrap_or_default();
    let reaches = |rule: &str| !matches!(rule, "RESTRICT" | "NO ACTION" | "");
    let on_delete = table.deleted > 0 && reaches(text("on_delete"));
    let on_update = table.updated > 0 && reaches(text("on_update"));
    let (what, rule) = match (on_delete, on_update) {
        (true, _) => ("deleted", format!("ON DELETE {}", text("on_delete"))),
        (_, true) => ("changed", format!("ON UPDATE {}", text("on_update"))),
        _ => return None,
    };
    Some(format!(
        "rows of {name} were {what}, and the foreign key {} of {}.{} may have changed others with \
         them ({rule}): the binary log does not show those",
        text("name"),
        text("child_schema"),
        text("child")
    ))
}
