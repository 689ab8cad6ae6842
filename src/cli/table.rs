//! Columns of text for people; control characters are made visible.

use std::io::Write;

use unicode_width::UnicodeWidthStr;

/// Widest cell; a longer one is cut with a mark, except in the last column.
const CELL_WIDTH_MAX: usize = 60;

/// Rows under a heading.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|h| (*h).to_owned()).collect()] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| crate::diag::harmless(&cell)).collect());
    }

    /// Writes it, columns aligned.
    pub fn write(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let columns = self.rows.first().map_or(0, Vec::len);
        let cut: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().enumerate().map(|(i, c)| if i + 1 < columns { clip(c) } else { c.clone() }).collect())
            .collect();
        let width = |i: usize| cut.iter().filter_map(|row| row.get(i)).map(|c| c.width()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &cut {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.width()) + 2));
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn clip(cell: &str) -> String {
    if cell.width() <= CELL_WIDTH_MAX {
        return cell.to_owned();
    }
    let mut out: String = cell.chars().take(CELL_WIDTH_MAX - 1).collect();
    out.push('…');
    out
}
