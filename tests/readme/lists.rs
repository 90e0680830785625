//! What lists what: links, tables of contents, decisions, crates, keys.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::keys;
use crate::pieces::{Kind, all_pieces, documents};
use crate::{RESTAGE, isolated, root};

#[test]
fn every_link_between_documents_leads_somewhere() {
    let mut checked = 0;
    for file in documents() {
        let text = fs::read_to_string(root().join(&file)).expect("a document");
        let targets = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = match path {
                "" => root().join(&file),
                _ => root().join(&file).parent().expect("a folder").join(path),
            };
            assert!(path.exists(), "{file}: `{target}` does not exist");
            if !heading.is_empty() {
                let text = fs::read_to_string(&path).expect("a document");
                let known = text
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .any(|line| slug(line) == heading);
                assert!(known, "{file}: `{target}` has no such heading");
            }
            checked += 1;
        }
    }
    assert!(checked >= 30, "only {checked} links: the reader is broken");
}

#[test]
fn every_key_of_a_pipeline_is_shown_in_a_document_that_somebody_wrote() {
    let output = isolated(RESTAGE, &root()).arg("schema").output();
    let schema = output.expect("restage starts").stdout;
    let schema: Value = serde_json::from_slice(&schema).expect("JSON");
    let mut shown = BTreeSet::new();
    for piece in all_pieces() {
        let written = !piece.file.starts_with("docs/reference/");
        if written
            && piece.kind == Kind::Block("yaml".to_owned())
            && let Ok(value) = serde_saphyr::from_str::<Value>(&piece.text)
        {
            keys::used(&schema, &schema, "the file", &value, &mut shown);
        }
    }
    let all = keys::of_schema(&schema);
    assert!(
        all.len() > 90,
        "only {} keys: the reader is broken",
        all.len()
    );
    let missing: Vec<_> = all.difference(&shown).collect();
    assert!(missing.is_empty(), "no document shows {missing:#?}");
}

/// With `UPDATE`, adds the lines that are missing, with the date of the first commit or of today.
#[test]
fn the_list_of_decisions_has_each_of_them_by_its_title() {
    let folder = root().join("docs/adr");
    let list = fs::read_to_string(folder.join("README.md")).expect("a document");
    let said: Vec<&str> = list
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains("]("))
        .collect();
    let mut lines = Vec::new();
    for entry in fs::read_dir(&folder).expect("a folder") {
        let name = entry
            .expect("an entry")
            .file_name()
            .into_string()
            .expect("a name");
        if name == "README.md" {
            continue;
        }
        let text = fs::read_to_string(folder.join(&name)).expect("a document");
        let title = text
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches(['#', ' ']);
        let (number, title) = title.split_once([':', '.']).expect("`# 1. Title`");
        let number: u32 = number.parse().expect("a number");
        let start = format!("| {number} | [{}]({name}) | ", title.trim());
        let known = said.iter().find(|line| line.starts_with(&start));
        let line = known.map_or_else(
            || format!("{start}{} |", first_commit(&name)),
            |line| (*line).to_owned(),
        );
        lines.push((number, line));
    }
    lines.sort();
    let lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
    if std::env::var_os("UPDATE").is_some() {
        let first = list.find(said[0]).expect("a line");
        let last = said[said.len() - 1];
        let end = list.find(last).expect("a line") + last.len();
        let new = format!("{}{}{}", &list[..first], lines.join("\n"), &list[end..]);
        fs::write(folder.join("README.md"), new).expect("a file to write");
        return;
    }
    assert_eq!(
        said, lines,
        "renew it: UPDATE=1 cargo test --test readme decisions"
    );
}

/// The day of a decision's first commit, or today.
fn first_commit(name: &str) -> String {
    let git = [
        "log",
        "--format=%as",
        "--reverse",
        "--",
        &format!("docs/adr/{name}"),
    ]
    .map(str::to_owned);
    let days = isolated("git", &root()).args(git).output();
    let days = days.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let today = || {
        isolated("date", &root())
            .arg("+%F")
            .output()
            .expect("date starts")
            .stdout
    };
    match days.unwrap_or_default().lines().next() {
        Some(day) => day.to_owned(),
        None => String::from_utf8_lossy(&today()).trim().to_owned(),
    }
}

#[test]
fn every_page_of_the_guide_is_in_its_table_of_contents() {
    let contents = fs::read_to_string(root().join("docs/SUMMARY.md")).expect("a document");
    for file in documents() {
        let page = file.strip_prefix("docs/").unwrap_or_default();
        if page.starts_with("guide/") || page.starts_with("reference/") {
            let link = format!("]({page})");
            assert!(contents.contains(&link), "docs/SUMMARY.md lacks {page}");
        }
    }
}

#[test]
fn the_architecture_page_shows_the_edges_that_cargo_has() {
    let page = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).expect("a document");
    let rows = page.lines().filter(|line| line.starts_with("| `restage-"));
    let shown: BTreeMap<&str, BTreeSet<&str>> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split(" | ").collect();
            let crate_name = cells[0].trim_start_matches("| ").trim_matches('`');
            let uses = cells[1].split('`').skip(1).step_by(2);
            (crate_name, uses.collect())
        })
        .collect();
    let mut manifests = Vec::new();
    for entry in fs::read_dir(root().join("crates")).expect("the crates") {
        let folder = entry.expect("an entry").path();
        let name = folder
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest");
        manifests.push((name, text));
    }
    let real: BTreeMap<&str, BTreeSet<&str>> = manifests
        .iter()
        .map(|(name, text)| {
            let normal = text
                .split("[dev-dependencies]")
                .next()
                .expect("a first part");
            let lines = normal
                .lines()
                .filter_map(|line| line.strip_prefix("restage-"));
            let uses = lines.filter_map(|line| line.split(['.', ' ']).next());
            (name.as_str(), uses.collect())
        })
        .collect();
    assert!(
        real.values().any(|uses| uses.len() > 3),
        "the reader of manifests is broken"
    );
    assert_eq!(shown, real);
}

/// A heading's name in links, as GitHub makes it.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter))
        .map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}
