//! Tables: with borders for `list`, without for everything else.

use comfy_table::{ContentLineStyle, LineStyle, Table, TableStyle};

use crate::look::{Charset, Look};

const UNICODE: TableStyle = TableStyle::new()
    .top_border(LineStyle::new('┌', '─', '┬', '┐'))
    .header_lines(ContentLineStyle::new('│', '│', '│'))
    .header_separator(LineStyle::new('├', '─', '┼', '┤'))
    .content_lines(ContentLineStyle::new('│', '│', '│'))
    .bottom_border(LineStyle::new('└', '─', '┴', '┘'));

const ASCII: TableStyle = TableStyle::new()
    .top_border(LineStyle::new('+', '-', '+', '+'))
    .header_lines(ContentLineStyle::new('|', '|', '|'))
    .header_separator(LineStyle::new('+', '-', '+', '+'))
    .content_lines(ContentLineStyle::new('|', '|', '|'))
    .bottom_border(LineStyle::new('+', '-', '+', '+'));

/// With borders.
pub(crate) fn bordered<const N: usize>(
    look: &Look,
    header: [&str; N],
    rows: Vec<[String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(match look.charset {
        Charset::Unicode => UNICODE,
        Charset::Ascii => ASCII,
    });
    table.set_header(header).add_rows(rows);
    format!("{}\n", table.trim_fmt())
}

/// Without borders, each line after two blanks.
pub(crate) fn plain<const N: usize>(header: [&str; N], rows: Vec<[String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(header).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| format!("  {}\n", line.trim_end())).collect()
}
