//! Scripts of other languages: what they name in a few well-known calls.

/// How a script is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Python,
    /// Jupyter's.
    Notebook,
    Shell,
    /// Files are the arguments of these functions.
    Calls(&'static [&'static str]),
}

pub(crate) fn language(path: &str) -> Option<Language> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let (_, ending) = name.rsplit_once('.')?;
    Some(match ending {
        "py" | "pyw" => Language::Python,
        "ipynb" => Language::Notebook,
        "sh" | "bash" | "zsh" | "slurm" | "sbatch" => Language::Shell,
        "R" | "r" | "Rmd" | "qmd" => Language::Calls(&["source", "sys.source"]),
        "jl" => Language::Calls(&["include"]),
        _ => return None,
    })
}

/// The code of a notebook, if it is one.
pub(crate) fn cells(text: &str) -> Option<String> {
    let notebook: serde_json::Value = serde_json::from_str(text).ok()?;
    let cells = notebook.get("cells")?.as_array()?.iter();
    let code = cells.filter(|cell| cell.get("cell_type").is_some_and(|kind| kind == "code"));
    let mut all = String::new();
    for source in code.filter_map(|cell| cell.get("source")) {
        let lines = match source {
            serde_json::Value::Array(lines) => lines.iter().filter_map(|l| l.as_str()).collect(),
            source => source.as_str().unwrap_or_default().to_owned(),
        };
        // Magics are no Python.
        for line in lines.lines().filter(|line| !line.starts_with(['%', '!'])) {
            all += line;
            all.push('\n');
        }
    }
    Some(all)
}

/// The literal first arguments of calls of these functions.
pub(crate) fn arguments(text: &str, functions: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for function in functions {
        for (at, _) in text.match_indices(function) {
            let before = text[..at].chars().next_back();
            let rest = text[at + function.len()..].trim_start();
            let whole_word = before.is_none_or(|c| !(c.is_alphanumeric() || "_.".contains(c)));
            let Some(rest) = rest.strip_prefix('(').filter(|_| whole_word) else {
                continue;
            };
            let rest = rest.trim_start().trim_start_matches("file").trim_start();
            let rest = rest.trim_start_matches('=').trim_start();
            let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
            let argument = quote.and_then(|quote| rest[1..].split_once(quote));
            found.extend(argument.map(|(argument, _)| argument.to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_arguments_of_calls_are_found() {
        let text =
            "source(\"R/a.R\")\nresource('no.R'); source( file = 'b.R', local = TRUE)\nsource(x)";
        assert_eq!(arguments(text, &["source"]), ["R/a.R", "b.R"]);
    }

    #[test]
    fn cells_of_code_are_joined_without_magics() {
        let text = r#"{"cells": [{"cell_type": "code", "source": ["%pip x\n", "import a\n", "b"]},
            {"cell_type": "markdown", "source": "import c"}, {"cell_type": "code", "source": "import d"}]}"#;
        assert_eq!(cells(text).as_deref(), Some("import a\nb\nimport d\n"));
        assert_eq!(cells("[]"), None);
    }
}
