//! Projects in the shapes that public `dvc.yaml` have: each is imported, runs, and reruns what an edit asks
//! for. `scripts/dvc-table` compares the same with DVC.

use std::process::Command;

use crate::space::Space;

const SHAPES: &str = include_str!("dvc_shapes.txt");

#[derive(Debug, Default)]
struct Shape<'a> {
    name: &'a str,
    from: &'a str,
    exit: i32,
    fails: Option<&'a str>,
    needs: Option<&'a str>,
    again: Vec<&'a str>,
    edits: Vec<Edit<'a>>,
    files: Vec<(&'a str, String)>,
}

#[derive(Debug)]
struct Edit<'a> {
    file: &'a str,
    from: &'a str,
    to: &'a str,
    runs: Vec<&'a str>,
}

fn shapes() -> Vec<Shape<'static>> {
    let mut found: Vec<Shape<'_>> = Vec::new();
    for line in SHAPES.lines() {
        if let Some(title) = line.strip_prefix("=== ") {
            found.push(Shape {
                name: title.split(':').next().unwrap(),
                from: "dvc.yaml",
                ..Shape::default()
            });
            continue;
        }
        let Some(shape) = found.last_mut() else {
            continue;
        };
        if let Some(name) = line.strip_prefix("--- ") {
            shape.files.push((name, String::new()));
        } else if let Some((_, text)) = shape.files.last_mut() {
            *text += line;
            text.push('\n');
        } else if let Some(edit) = line.strip_prefix("> ") {
            shape.edits.push(edit_of(edit));
        } else if let Some((field, value)) = line.split_once(": ") {
            match field {
                "from" => shape.from = value,
                "exit" => shape.exit = value.parse().unwrap(),
                "fails" => shape.fails = Some(value),
                "needs" => shape.needs = Some(value),
                "again" => shape.again = value.split(", ").collect(),
                "dvc" => {}
                _ => panic!("{}: {field}", shape.name),
            }
        }
    }
    // An empty line ends a shape.
    for (_, text) in found.iter_mut().filter_map(|shape| shape.files.last_mut()) {
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    found
}

/// `FILE: OLD => NEW | stages`
fn edit_of(line: &str) -> Edit<'_> {
    let (file, rest) = line.split_once(": ").unwrap();
    let (from, rest) = rest.split_once(" => ").unwrap();
    let (to, runs) = rest.rsplit_once(" | ").unwrap();
    let runs = runs.split(", ").filter(|name| *name != "-").collect();
    Edit {
        file,
        from,
        to,
        runs,
    }
}

/// What differs from what is expected of a shape.
fn tried(shape: &Shape<'_>) -> Result<(), String> {
    let space = Space::empty();
    space.write(".dvc/config", "");
    for (name, text) in &shape.files {
        space.write(name, text);
    }
    let said = space.restage(&["init", "--from", shape.from]);
    if said.code != Some(shape.exit) {
        return Err(format!("init: {:?}\n{}{}", said.code, said.out, said.err));
    }
    let run = || {
        let said = space.reproduce(&[]);
        match shape.fails {
            None if said.code != Some(0) => Err(format!("{}{}", said.out, said.err)),
            Some(text) if said.code == Some(0) || !said.err.contains(text) => Err(format!(
                "it should fail by {text}:\n{}{}",
                said.out, said.err
            )),
            _ => {
                let mut ran = said.with_outcome("ran");
                ran.sort();
                Ok(ran)
            }
        }
    };
    let first = run()?;
    if shape.fails.is_none() && first.is_empty() {
        return Err("nothing ran".to_owned());
    }
    let again = run()?;
    if again != shape.again {
        return Err(format!("without an edit {again:?} ran again"));
    }
    for edit in &shape.edits {
        let text = space.read(edit.file);
        if !text.contains(edit.from) {
            return Err(format!("`{}` has no `{}`", edit.file, edit.from));
        }
        space.write(edit.file, &text.replacen(edit.from, edit.to, 1));
        let ran = run()?;
        if ran != edit.runs {
            let pipeline = space.read("pipeline.yaml");
            return Err(format!("{edit:?}, but {ran:?} ran:\n{pipeline}"));
        }
    }
    Ok(())
}

fn all_of(which: impl Fn(usize) -> bool) {
    let mut wrong = Vec::new();
    for (n, shape) in shapes().iter().enumerate().filter(|(n, _)| which(*n)) {
        let missing = shape.needs.filter(|program| {
            let found = Command::new(program).arg("--version").output();
            !found.is_ok_and(|output| output.status.success())
        });
        if let Some(program) = missing {
            println!("skipped {}: no {program}", shape.name);
            continue;
        }
        if let Err(reason) = tried(shape) {
            wrong.push(format!("{n} {}: {reason}", shape.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn there_are_as_many_shapes_as_were_seen() {
    assert!(shapes().len() >= 55, "only {}", shapes().len());
}

#[test]
fn every_shape_is_imported_runs_and_reruns_what_an_edit_asks_for() {
    all_of(|n| n % 2 == 0);
}

#[test]
fn every_other_shape_is_imported_runs_and_reruns_what_an_edit_asks_for() {
    all_of(|n| n % 2 == 1);
}
