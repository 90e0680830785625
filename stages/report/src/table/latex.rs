//! Table I as LaTeX, with booktabs.
//! It must not know where the numbers come from.

use super::{MEASURES, Table1};

impl Table1 {
    /// A `table` environment; the document needs `\usepackage{booktabs}` and nothing else.
    pub(crate) fn latex(&self) -> String {
        let mut text = String::from(
            "% Needs \\usepackage{booktabs} in the preamble.\n\
             \\begin{table}[t]\n  \\centering\n",
        );
        let caption = match self.caveat() {
            Some(caveat) => format!("{}. {caveat}", self.caption()),
            None => format!("{}.", self.caption()),
        };
        text.push_str(&format!(
            "  \\caption{{{}}}\n  \\label{{tab:model-comparison}}\n  \\small\n  \\setlength{{\\tabcolsep}}{{4pt}}\n",
            escape(&caption)
        ));
        text.push_str("  \\begin{tabular}{@{}lrrrrrrr@{}}\n    \\toprule\n   ");
        for measure in MEASURES {
            text.push_str(&format!(" & \\multicolumn{{2}}{{c}}{{{measure}}}"));
        }
        text.push_str(" & Diff. \\\\\n    \\cmidrule(lr){2-3} \\cmidrule(lr){4-5} \\cmidrule(lr){6-7}\n    Model");
        text.push_str(&" & ours & paper".repeat(MEASURES.len()));
        text.push_str(" & (points) \\\\\n    \\midrule\n");
        for row in &self.rows {
            text.push_str(&format!("    {}", escape(&row.legend)));
            for (column, cell) in row.cells().iter().enumerate() {
                let cell = match (cell.as_str(), column) {
                    ("", _) => "--".to_owned(),
                    // A hyphen would be set as one; a minus is needed.
                    (difference, 6) => format!("${difference}$"),
                    (cell, _) => escape(cell),
                };
                text.push_str(&format!(" & {cell}"));
            }
            text.push_str(" \\\\\n");
        }
        text.push_str("    \\bottomrule\n  \\end{tabular}\n\\end{table}\n");
        text
    }
}

/// Text as it stands, whatever signs it holds.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                escaped.push('\\');
                escaped.push(character);
            }
            '\\' => escaped.push_str("\\textbackslash{}"),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            // Outside of math the old font encoding sets other signs for these.
            '<' => escaped.push_str("\\textless{}"),
            '>' => escaped.push_str("\\textgreater{}"),
            '|' => escaped.push_str("\\textbar{}"),
            '±' => escaped.push_str("$\\pm$"),
            // The sign for it needs another encoding; two primes look the same.
            '"' => escaped.push_str("''"),
            control if control.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_deviation_is_set_in_math() {
        assert_eq!(super::escape("84.1 ± 0.3%"), r"84.1 $\pm$ 0.3\%");
    }

    #[test]
    fn no_sign_of_a_label_means_anything_to_latex() {
        assert_eq!(
            super::escape(r"50% of A&B_1 #2 {x} \y $z ~^ <|>"),
            r"50\% of A\&B\_1 \#2 \{x\} \textbackslash{}y \$z \textasciitilde{}\textasciicircum{} \textless{}\textbar{}\textgreater{}"
        );
    }
}
