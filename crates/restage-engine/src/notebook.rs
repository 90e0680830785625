//! Notebooks: what of one counts, and is given to its stage (docs/adr/0029).
//!
//! Opening and saving a notebook changes outputs, counts and versions in it. None of them says what a run
//! does, so none is in the text that a stage's key has the digest of and that the stage is given.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::facts::{Facts, FactsError};
use super::workspace::Workspace;
use restage_core::digest::{Digest, KeyDep};
use restage_core::fs;
use restage_core::rel_path::RelPath;
use restage_pipeline::Stage;

impl Workspace {
    /// A notebook's cells and kernel as the text of a notebook; `None` where there is no file.
    pub(super) fn notebook_text(&self, path: &RelPath) -> Result<Option<String>, FactsError> {
        let Some(bytes) = fs::read_if_exists(&path.under(&self.root))? else {
            return Ok(None);
        };
        let text = plain(&bytes).map_err(|reason| FactsError::Notebook {
            path: path.to_string(),
            reason,
        })?;
        Ok(Some(text))
    }
}

/// The notebook that a stage runs, as its key has it.
pub(super) fn key_dep(stage: &Stage, facts: &dyn Facts) -> Result<Option<KeyDep>, FactsError> {
    let Some(notebook) = &stage.notebook else {
        return Ok(None);
    };
    let path = notebook.path.to_string();
    match facts.notebook(&notebook.path)? {
        Some(content) => Ok(Some(KeyDep {
            path,
            content: restage_core::digest::DepContent::Bytes(content),
        })),
        None => Err(FactsError::MissingInput {
            stage: stage.name.clone(),
            path,
            location: notebook.location,
        }),
    }
}

/// Writes the notebook of an attempt, if it still is what the key says.
pub(super) fn place(
    ws: &Workspace,
    path: &RelPath,
    content: &Digest,
    dest: &Path,
) -> Result<bool, FactsError> {
    let text = ws.notebook_text(path)?;
    let Some(text) = text.filter(|text| Digest::of(text.as_bytes()) == *content) else {
        return Ok(false);
    };
    if let Some(parent) = dest.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write_all(&mut fs::create_new(dest)?, text.as_bytes(), dest)?;
    Ok(true)
}

/// The notebook without what its runs left in it; `Err` says why it is none.
fn plain(bytes: &[u8]) -> Result<String, String> {
    let whole: Value =
        serde_json::from_slice(bytes).map_err(|error| format!("it is not JSON: {error}"))?;
    if whole["nbformat"].as_u64() != Some(4) {
        return Err("its `nbformat` is not 4".to_owned());
    }
    let cells = whole["cells"].as_array().ok_or("it has no `cells`")?;
    let cells: Result<Vec<Value>, String> = (1..).zip(cells).map(|(n, one)| cell(n, one)).collect();
    let (kernel, language) = (
        &whole["metadata"]["kernelspec"],
        &whole["metadata"]["language_info"],
    );
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let name = text(&kernel["name"]);
    let language = text(&language["name"]).or_else(|| text(&kernel["language"]));
    let mut metadata = Map::new();
    if let Some(name) = name {
        let mut spec = Map::new();
        spec.insert("display_name".to_owned(), json!(name));
        if let Some(language) = &language {
            spec.insert("language".to_owned(), json!(language));
        }
        spec.insert("name".to_owned(), json!(name));
        metadata.insert("kernelspec".to_owned(), Value::Object(spec));
    }
    if let Some(language) = language {
        metadata.insert("language_info".to_owned(), json!({ "name": language }));
    }
    // Cells need no ids up to this minor version.
    let plain = json!({
        "cells": cells?, "metadata": metadata, "nbformat": 4, "nbformat_minor": 4,
    });
    serde_json::to_string_pretty(&plain)
        .map(|text| text + "\n")
        .map_err(|error| error.to_string())
}

/// The `n`th cell: its kind, its source, and its tags, by which papermill finds the parameters.
fn cell(n: usize, cell: &Value) -> Result<Value, String> {
    let kind = cell["cell_type"].as_str().unwrap_or_default();
    if !["code", "markdown", "raw"].contains(&kind) {
        return Err(format!("its cell {n} is of no kind that there is"));
    }
    let source = match &cell["source"] {
        Value::String(text) => text.clone(),
        Value::Array(lines) => {
            let lines = lines.iter().map(Value::as_str);
            lines
                .collect::<Option<String>>()
                .ok_or_else(|| format!("its cell {n} has no text"))?
        }
        _ => return Err(format!("its cell {n} has no `source`")),
    };
    let mut metadata = Map::new();
    if let Some(tags) = cell["metadata"]["tags"]
        .as_array()
        .filter(|tags| !tags.is_empty())
    {
        metadata.insert("tags".to_owned(), json!(tags));
    }
    let mut found = json!({ "cell_type": kind, "metadata": metadata, "source": source });
    if kind == "code" {
        found["execution_count"] = Value::Null;
        found["outputs"] = json!([]);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notebook(change: impl Fn(&mut Value)) -> Result<String, String> {
        let mut whole = json!({
            "nbformat": 4, "nbformat_minor": 5,
            "metadata": {
                "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
                "language_info": {"name": "python", "version": "3.12.1"},
            },
            "cells": [
                {"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["# T\n", "text"]},
                {"cell_type": "code", "id": "b", "metadata": {"tags": ["parameters"]}, "source": "x = 1",
                 "execution_count": 3, "outputs": [{"output_type": "stream", "text": "1"}]},
            ],
        });
        change(&mut whole);
        plain(whole.to_string().as_bytes())
    }

    #[test]
    fn what_running_and_saving_leave_does_not_count() {
        let before = notebook(|_| ()).expect("a notebook");
        type Change = fn(&mut Value);
        let same: [Change; 7] = [
            |all| all["cells"][1]["outputs"] = json!([]),
            |all| all["cells"][1]["execution_count"] = json!(9),
            |all| all["cells"][1]["id"] = json!("c"),
            |all| all["cells"][1]["metadata"]["collapsed"] = json!(true),
            |all| all["cells"][0]["source"] = json!("# T\ntext"),
            |all| all["metadata"]["language_info"]["version"] = json!("3.13.0"),
            |all| all["metadata"]["kernelspec"]["display_name"] = json!("Mine"),
        ];
        for (n, change) in same.into_iter().enumerate() {
            assert_eq!(notebook(change).as_ref(), Ok(&before), "{n}");
        }
        let other: [Change; 5] = [
            |all| all["cells"][1]["source"] = json!("x = 2"),
            |all| all["cells"][1]["metadata"]["tags"] = json!([]),
            |all| all["cells"][0]["cell_type"] = json!("raw"),
            |all| all["metadata"]["kernelspec"]["name"] = json!("ir"),
            |all| all["cells"].as_array_mut().expect("a list").reverse(),
        ];
        for (n, change) in other.into_iter().enumerate() {
            assert_ne!(notebook(change).as_ref(), Ok(&before), "{n}");
        }
        assert_eq!(
            plain(before.as_bytes()).as_ref(),
            Ok(&before),
            "once is enough"
        );
    }

    #[test]
    fn what_is_no_notebook_says_why() {
        assert!(plain(b"{").is_err_and(|why| why.starts_with("it is not JSON")));
        assert!(plain(b"[1]").is_err_and(|why| why.contains("nbformat")));
        assert!(notebook(|all| all["nbformat"] = json!(3)).is_err());
        assert!(notebook(|all| all["cells"] = json!(3)).is_err());
        assert!(notebook(|all| all["cells"][0]["source"] = json!([1])).is_err());
        assert!(notebook(|all| all["cells"][0]["cell_type"] = json!("heading")).is_err());
    }
}
