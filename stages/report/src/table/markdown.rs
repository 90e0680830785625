//! Table I as Markdown.
//! It must not know where the numbers come from.

use super::{MEASURES, Table1};

impl Table1 {
    /// A caption, a pipe table and, where it applies, a caveat.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("**Table I.** {}.\n\n| Model |", escape(&self.caption()));
        for measure in MEASURES {
            text.push_str(&format!(" {measure} | paper |"));
        }
        text.push_str(" Difference (points) |\n|:---|");
        text.push_str(&"---:|".repeat(2 * MEASURES.len() + 1));
        text.push('\n');
        for row in &self.rows {
            text.push_str(&format!("| {} |", escape(&row.label)));
            for cell in row.cells() {
                let cell = if cell.is_empty() { "–" } else { &cell };
                text.push_str(&format!(" {cell} |"));
            }
            text.push('\n');
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
