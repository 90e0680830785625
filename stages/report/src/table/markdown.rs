//! Table I as Markdown.
//! It must not know where the numbers come from.

use super::{MEASURES, Table1};

impl Table1 {
    /// A caption, a pipe table and, where it applies, a caveat. Columns are padded, so that it
    /// reads well as it stands.
    pub(crate) fn markdown(&self) -> String {
        let mut head = vec!["Model".to_owned()];
        for measure in MEASURES {
            head.extend([measure.to_owned(), "paper".to_owned()]);
        }
        head.push("Difference (points)".to_owned());
        let mut lines = vec![head];
        for row in &self.rows {
            let cells = row.cells().map(|cell| match cell.as_str() {
                "" => "–".to_owned(),
                _ => cell,
            });
            lines.push([escape(&row.legend)].into_iter().chain(cells).collect());
        }
        let widths: Vec<usize> = (0..lines[0].len())
            .map(|column| {
                let lengths = lines.iter().map(|line| line[column].chars().count());
                lengths.max().unwrap_or(0)
            })
            .collect();
        let mut text = format!("**Table I.** {}.\n\n", escape(&self.caption()));
        for (number, line) in lines.iter().enumerate() {
            for (column, (cell, &width)) in line.iter().zip(&widths).enumerate() {
                text.push_str(&match column {
                    0 => format!("| {cell:<width$} |"),
                    _ => format!(" {cell:>width$} |"),
                });
            }
            text.push('\n');
            if number == 0 {
                text.push_str(&format!("|:{:-<1$}|", "", widths[0] + 1));
                for width in &widths[1..] {
                    text.push_str(&format!("{:-<1$}:|", "", width + 1));
                }
                text.push('\n');
            }
        }
        if let Some(caveat) = self.caveat() {
            text.push_str(&format!("\n{}\n", escape(&caveat)));
        }
        text
    }
}

/// Text as it stands, whatever signs it holds.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '&' | '~' => {
                escaped.push('\\');
                escaped.push(character);
            }
            '\n' | '\r' => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_sign_of_a_label_means_anything_to_markdown() {
        assert_eq!(super::escape("a|b *c*\n<d>"), r"a\|b \*c\* \<d\>");
    }
}
