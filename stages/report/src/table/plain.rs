//! Table I as aligned plain text, for a terminal.
//! It must not know where the numbers come from.

use super::{MEASURES, Table1};

impl Table1 {
    /// A caption, aligned columns and, where it applies, a caveat.
    pub(crate) fn plain(&self) -> String {
        let mut lines: Vec<Vec<String>> = vec![vec!["Model".to_owned()]];
        for measure in MEASURES {
            lines[0].extend([measure.to_owned(), "paper".to_owned()]);
        }
        lines[0].push("diff. (points)".to_owned());
        for row in &self.rows {
            let mut line = vec![row.legend.replace(char::is_control, " ")];
            line.extend(row.cells().map(|cell| {
                if cell.is_empty() {
                    "-".to_owned()
                } else {
                    cell
                }
            }));
            lines.push(line);
        }
        let widths: Vec<usize> = (0..lines[0].len())
            .map(|column| {
                let lengths = lines.iter().map(|line| line[column].chars().count());
                lengths.max().unwrap_or(0)
            })
            .collect();
        let rule = "-".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1));
        let mut text = format!("Table I. {}\n{rule}\n", self.caption());
        for (number, line) in lines.iter().enumerate() {
            let cells = line.iter().zip(&widths).enumerate();
            let cells: Vec<String> = cells
                .map(|(column, (cell, width))| match column {
                    0 => format!("{cell:<width$}"),
                    _ => format!("{cell:>width$}"),
                })
                .collect();
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
            if number == 0 || number + 1 == lines.len() {
                text.push_str(&rule);
                text.push('\n');
            }
        }
        if let Some(caveat) = self.caveat() {
            text.push_str(&caveat);
            text.push('\n');
        }
        text
    }
}
