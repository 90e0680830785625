//! Cuts the documents into pieces that can be checked.

use std::fs;

use crate::root;
use crate::session::introduced;

/// A piece of a document that can be checked.
pub(crate) struct Piece {
    pub(crate) file: String,
    pub(crate) line: usize,
    /// The section of the document.
    pub(crate) section: String,
    pub(crate) kind: Kind,
    /// The file that the line above says it is.
    pub(crate) names: Option<String>,
    pub(crate) text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A fenced block, with the language behind its fence.
    Block(String),
    /// A command in the first column of a table. It runs like a block.
    Row,
    /// A command between backticks in a sentence: its flags must exist.
    Inline,
}

impl Piece {
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }

    /// The commands of a shell block: lines joined at backslashes, split at `&&`.
    pub(crate) fn commands(&self) -> Vec<Vec<String>> {
        let joined = self.text.replace("\\\n", " ");
        let commands = joined.lines().flat_map(|line| line.split(" && "));
        let words = commands.map(|command| {
            command
                .split_whitespace()
                .map(|word| word.trim_matches(['"', '\'']).to_owned())
                .collect()
        });
        words
            .filter(|words: &Vec<String>| !words.is_empty())
            .collect()
    }
}

/// All Markdown files that are written by hand.
pub(crate) fn documents() -> Vec<String> {
    let mut found = vec![
        "README.md".to_owned(),
        "CONTRIBUTING.md".to_owned(),
        "CHANGELOG.md".to_owned(),
    ];
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a readable folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                let name = path.strip_prefix(root()).expect("below the root");
                found.push(name.display().to_string());
            }
        }
    }
    found.sort();
    found
}

pub(crate) fn pieces(file: &str) -> Vec<Piece> {
    let text = fs::read_to_string(root().join(file)).expect("a document");
    let mut found = Vec::new();
    let mut block: Option<Piece> = None;
    let mut paragraph = String::new();
    let mut section = String::new();
    let mut above = "";
    for (number, line) in text.lines().enumerate() {
        if let Some(heading) = line.strip_prefix("## ") {
            heading.clone_into(&mut section);
        }
        let piece = |kind, text: &str| Piece {
            file: file.to_owned(),
            line: number + 1,
            section: section.clone(),
            kind,
            names: introduced(above).map(str::to_owned),
            text: text.to_owned(),
        };
        if let Some(language) = line.trim_start().strip_prefix("```") {
            match block.take() {
                Some(done) => found.push(done),
                None => block = Some(piece(Kind::Block(language.to_owned()), "")),
            }
        } else if let Some(open) = &mut block {
            open.text.push_str(line);
            open.text.push('\n');
        } else if let Some(row) = line.strip_prefix("| `restage ") {
            let command = row.split('`').next().expect("a first part");
            found.push(piece(Kind::Row, &format!("restage {command}")));
        } else {
            paragraph.push_str(line);
            paragraph.push(' ');
            // A span may go over a line's end; it is whole once backticks are even.
            if paragraph.matches('`').count().is_multiple_of(2) {
                for span in paragraph.split('`').skip(1).step_by(2) {
                    if span.starts_with("restage ") || span.starts_with("make ") {
                        found.push(piece(Kind::Inline, span));
                    }
                }
                paragraph.clear();
            }
        }
        if !line.is_empty() {
            above = line;
        }
    }
    assert!(block.is_none(), "{file}: a code block has no end");
    found
}

pub(crate) fn all_pieces() -> Vec<Piece> {
    documents().iter().flat_map(|file| pieces(file)).collect()
}
