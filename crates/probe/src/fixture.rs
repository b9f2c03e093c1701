//! Captured answers of real servers, in the form that clients print for `\G`.

use primacy_wire::Rows;

/// Reads the captured text. The word `NULL` is NULL; a line without a name continues the value
/// before it.
pub(crate) fn rows(text: &str) -> Rows {
    let mut columns: Vec<String> = Vec::new();
    let mut rows: Vec<Vec<Option<String>>> = Vec::new();
    for line in text.lines() {
        if line.starts_with("***") {
            rows.push(Vec::new());
            continue;
        }
        let row = rows.last_mut().expect("a row starts with stars");
        match line.split_once(": ").or_else(|| Some((line.strip_suffix(':')?, ""))) {
            Some((name, value)) if !name.trim().contains(' ') && !name.trim().is_empty() => {
                if columns.len() == row.len() {
                    columns.push(name.trim().to_owned());
                }
                row.push((value != "NULL").then(|| value.to_owned()));
            }
            _ => {
                let last = row.last_mut().and_then(Option::as_mut).expect("a value to continue");
                last.push('\n');
                last.push_str(line);
            }
        }
    }
    Rows::new(columns, rows)
}
