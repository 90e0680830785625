//! Loads the documents' YAML through the binary: whole pipelines, and fields of one.

use std::fmt::Write as _;
use std::fs;

use tempfile::TempDir;

use crate::pieces::Piece;
use crate::{RESTAGE, isolated, succeeds};

/// Where a section of docs/reference puts its examples: what comes above them, how far they are
/// indented, and fields that they need beside them.
const SECTIONS: [(&str, &str, &str, &[&str]); 16] = [
    ("The file", "", "", &[]),
    ("Data", "data:\n  d:\n", "    ", &["path: /data/d"]),
    ("A stage", "stages:\n  s:\n", "    ", &STAGE),
    ("A table of instances", "stages:\n  s:\n", "    ", &STAGE),
    ("What a stage requires", "stages:\n  s:\n", "    ", &STAGE),
    ("A matrix", "stages:\n  s:\n", "    ", &STAGE),
    ("An input", "stages:\n  s:\n", "    ", &STAGE),
    ("An output", "stages:\n  s:\n", "    ", &STAGE),
    (
        "An item of `tables`",
        "tables:\n  -\n",
        "    ",
        &["files: '*.csv'"],
    ),
    (
        "A rule of `compare`",
        "compare:\n  -\n",
        "    ",
        &["files: '*.csv'"],
    ),
    ("A claim", "claims:\n  c:\n", "    ", &CLAIM),
    ("Programs", "", "", &[]),
    ("An environment", "", "", &[]),
    ("About the RO-Crate", "export:\n  ro_crate:\n", "    ", &[]),
    ("The report", "report:\n", "  ", &REPORT),
    ("An item of `show`", SHOW, "          ", &["table: t.csv"]),
];
const STAGE: [&str; 2] = ["cmd: 'true'", "outs: ['${key}.${seed}']"];
const CLAIM: [&str; 4] = [
    "says: more",
    "paper: 1",
    "ours: '1.0'",
    "tolerance: {rel: 1}",
];
const REPORT: [&str; 3] = [
    "path: report.html",
    "title: Results",
    "sections: [{title: T, show: [{table: t.csv}]}]",
];
const SHOW: &str = "report:\n  path: r.html\n  title: Results\n  sections:\n    - title: T\n      show:\n        -\n";

/// Makes an example of docs/reference a pipeline's fields.
fn example_of_reference(piece: &Piece, text: &str) -> String {
    let section = piece.section.as_str();
    let known = SECTIONS.iter().find(|(name, ..)| *name == section);
    let (_, above, indent, needed) =
        known.unwrap_or_else(|| panic!("{}: no rule for this section's examples", piece.place()));
    let mut fields = format!("{}\n", text.trim_end());
    let has = |fields: &str, name: &str| fields.lines().any(|line| line.starts_with(name));
    if needed == &STAGE {
        let repeats = has(text, "foreach:") || has(text, "matrix:");
        if text.contains("${item") || (text.contains("${key") && !repeats) {
            fields.push_str("foreach: ${models}\n");
        }
        if has(text, "args:") {
            fields.push_str("program: s\n");
        }
    }
    for line in *needed {
        let (name, _) = line.split_once(':').expect("a field");
        let other = (name == "cmd" && (has(&fields, "program:") || has(&fields, "notebook:")))
            || (name == "path" && has(&fields, "url:"));
        if !other && !has(&fields, &format!("{name}:")) {
            let mut line = (*line).to_owned();
            for (template, field) in [
                ("${key}", ["foreach:", "matrix:"]),
                ("${seed}", ["seeds:"; 2]),
            ] {
                if !field.iter().any(|field| has(&fields, field)) {
                    line = line.replace(template, "x");
                }
            }
            fields.push_str(&line);
            fields.push('\n');
        }
    }
    let fields: Vec<String> = fields
        .lines()
        .map(|line| format!("{indent}{line}"))
        .collect();
    let mut text = format!("{above}{}\n", fields.join("\n"));
    if text.contains("temporary: true") {
        // It must be read.
        text.push_str("  reader: {cmd: 'true', deps: [aligned.bam], outs: [read]}\n");
    }
    text
}

/// Files that the documents' pipelines name.
const NAMED: [(&str, &str); 3] = [
    ("params.yaml", "seed: 1\n"),
    ("samples.csv", "sample,condition\ns1,treated\n"),
    (
        "prep/pipeline.yaml",
        "schema: 1\nname: prep\nparams: {size: 1}\nstages: {clean: {cmd: make, outs: [clean.csv]}}\n",
    ),
];

/// A whole pipeline, or fields of one to which the rest is added, through the binary.
pub(crate) fn loads(piece: &Piece) {
    let place = piece.place();
    let whole = piece.text.starts_with("schema: 1\nname:");
    for text in piece.text.split("\n# or\n") {
        let mut pipeline = text.to_owned();
        if piece.file.starts_with("docs/reference/") && !whole {
            pipeline = example_of_reference(piece, text);
        }
        for (field, value) in [
            ("schema:", "1"),
            ("name:", "fragment"),
            ("stages:", "{s: {cmd: 'mkdir results', outs: [results]}}"),
            (
                "params:",
                "{seed: 1, name: x, train: {epochs: 1}, models: {small: {depth: 1}}}",
            ),
        ] {
            if !pipeline.lines().any(|line| line.starts_with(field)) {
                writeln!(pipeline, "{field} {value}").expect("a string takes all");
            }
        }
        let dir = TempDir::new().expect("a temporary folder");
        fs::create_dir(dir.path().join("prep")).expect("a folder");
        for (name, text) in NAMED {
            fs::write(dir.path().join(name), text).expect("a file to write");
        }
        fs::write(dir.path().join("pipeline.yaml"), &pipeline).expect("a file to write");
        let call = |args: &[&str]| {
            let output = isolated(RESTAGE, dir.path()).args(args).output();
            let what = format!("{}\n{pipeline}", args.join(" "));
            succeeds(&place, &what, &output.expect("restage starts"));
        };
        call(&["dag", "--no-status"]);
        if text.starts_with("claims:") {
            call(&["claims"]);
        }
    }
}
