//! What holds for any text, any damage, any override, any matrix. Single cases are in specs.rs.

use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;
use restage_pipeline::render::render;
use restage_pipeline::{self as spec, LoadOptions, OpenFile};

#[path = "specs/common.rs"]
mod common;

use common::{build, check_places, files, folder, valid};

/// The tests' pipelines, as material to break.
fn any_pipeline() -> impl Strategy<Value = String> {
    let folders = [folder("valid"), folder("invalid")];
    let all: Vec<String> = folders
        .iter()
        .flat_map(|folder| files(folder, "yaml"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    prop::sample::select(all)
}

/// Opens these files.
fn of_files(files: &[(&str, &str)]) -> OpenFile {
    let files = files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()));
    let files: BTreeMap<String, Vec<u8>> = files.collect();
    OpenFile::by(move |path| Ok(files.get(path.as_str()).cloned()))
}

const SEEDS: &str = r#"
schema: 1
name: t
params: {seed: 0, seeds: 1}
stages:
  train:
    foreach: [a, b]
    seeds: ${seeds}
    cmd: train ${key} ${seed}
    params: [seed]
    outs: ["${key}/${seed}"]
  alone: {seeds: "${seeds}", program: alone, params: [seed], outs: ["alone/${seed}"], args: ["--seed=${seed}"]}
"#;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_text_gives_a_pipeline_or_places_in_it(text in "\\PC*|(?s).{0,80}|[-a-z:{}\\[\\]$&*!|>'\"\n\t #%@,?0-9é]{0,120}") {
        if let Err(diagnostics) = build(&text, &LoadOptions::default()) {
            check_places(&diagnostics);
        }
    }

    #[test]
    fn any_table_of_instances_gives_instances_or_places_in_it(
        table in "\\PC*|(?s).{0,80}|id,x\n[-a-z,;\"'\r\n\t #0-9é\u{feff}]{0,120}",
    ) {
        let text = "schema: 1\nname: t\nstages:\n  s: {foreach: {table: t.csv, key: id}, cmd: 'echo ${key}', \
                    outs: ['${key}']}\n";
        let options = LoadOptions { open: of_files(&[("t.csv", &table)]), ..LoadOptions::default() };
        match build(text, &options) {
            Ok(graph) => prop_assert!(!graph.stages().is_empty()),
            Err(diagnostics) => check_places(&diagnostics),
        }
    }

    #[test]
    fn any_included_text_gives_a_pipeline_or_places_in_it(text in any_pipeline(), cut in any::<prop::sample::Index>()) {
        let cut = text.floor_char_boundary(cut.index(text.len() + 1));
        let whole = "schema: 1\nname: t\ninclude: {a: x/p.yaml}\nstages: {s: {cmd: x, outs: [s]}}\n";
        for text in [&text[..cut], &text] {
            let options = LoadOptions { open: of_files(&[("x/p.yaml", text)]), ..LoadOptions::default() };
            if let Err(diagnostics) = build(whole, &options) {
                check_places(&diagnostics);
            }
        }
    }

    #[test]
    fn a_damaged_pipeline_gives_a_pipeline_or_places_in_it(
        text in any_pipeline(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..12, "[-:{}\\[\\]$&*!|>'\"\n\t #a0é]{0,3}"), 1..4),
    ) {
        let mut text: Vec<char> = text.chars().collect();
        for (at, removed, added) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + removed).min(text.len());
            text.splice(at..end, added.chars());
        }
        let text: String = text.into_iter().collect();
        if let Err(diagnostics) = build(&text, &LoadOptions::default()) {
            check_places(&diagnostics);
        }
    }

    #[test]
    fn any_override_is_applied_or_refused_with_a_place(text in "(train|seed|models.small)?[.=]?\\PC{0,20}") {
        let options = LoadOptions { overrides: vec![text], ..LoadOptions::default() };
        if let Err(diagnostics) = build(&valid("every_field.yaml"), &options) {
            check_places(&diagnostics);
        }
    }

    /// A stage's key is made from its fields here and its inputs.
    #[test]
    fn an_instance_does_not_know_how_many_seeds_there_are(few in 1u64..30, more in 0u64..30, first in 0u64..100) {
        let of = |options: &[(&str, u64)]| {
            let overrides = options.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let options = LoadOptions { overrides, ..LoadOptions::default() };
            spec::load("pipeline.yaml", SEEDS, &options).unwrap().stages
        };
        let small = of(&[("seed", first), ("seeds", few)]);
        let large = of(&[("seed", first), ("seeds", few + more)]);
        prop_assert_eq!(small.len() as u64, 3 * few);
        prop_assert_eq!(large.len() as u64, 3 * (few + more));
        for stage in &small {
            prop_assert!(large.contains(stage), "{}", stage.name);
        }
        // Which seed comes first doesn't matter either.
        let shifted = of(&[("seed", first + 1), ("seeds", few)]);
        let shared = small.iter().filter(|stage| shifted.contains(stage)).count() as u64;
        prop_assert_eq!(shared, 3 * (few - 1));
        // Each has its own seed and its own outs.
        let outs: std::collections::BTreeSet<String> = large.iter().map(|stage| stage.outs[0].path.to_string()).collect();
        prop_assert_eq!(outs.len(), large.len());
        for stage in &large {
            let seed = stage.params["seed"].to_string();
            prop_assert_eq!(stage.name.rsplit('+').next(), Some(seed.as_str()));
        }
    }

    #[test]
    fn a_matrix_has_the_product_of_its_axes_minus_what_is_excluded_in_order(
        sizes in prop::collection::vec(1usize..4, 1..4),
        excludes in prop::collection::btree_set(prop::collection::vec(0usize..3, 3), 0..4),
    ) {
        let axis = |n: usize| format!("axis{n}");
        let mut text = "schema: 1\nname: t\nstages:\n  s:\n    cmd: s\n    outs: [\"o/${key}\"]\n    matrix:\n".to_owned();
        for (n, size) in sizes.iter().enumerate() {
            let values: Vec<String> = (0..*size).map(|value| value.to_string()).collect();
            text += &format!("      {}: [{}]\n", axis(n), values.join(", "));
        }
        let excludes: Vec<Vec<usize>> = excludes.into_iter()
            .map(|exclude| exclude.into_iter().take(sizes.len()).collect::<Vec<usize>>())
            .filter(|exclude| exclude.iter().zip(&sizes).all(|(value, size)| value < size))
            .collect();
        let excluded: Vec<String> = excludes.iter().map(|exclude| {
            let pairs: Vec<String> = exclude.iter().enumerate()
                .map(|(n, value)| format!("{}: {value}", axis(n))).collect();
            format!("{{{}}}", pairs.join(", "))
        }).collect();
        text += &format!("      exclude: [{}]\n", excluded.join(", "));

        let mut expected: Vec<Vec<usize>> = vec![Vec::new()];
        for size in &sizes {
            expected = expected.iter().flat_map(|start| {
                (0..*size).map(move |value| [start.as_slice(), &[value]].concat())
            }).collect();
        }
        expected.retain(|pick| !excludes.contains(pick));
        match spec::load("pipeline.yaml", &text, &LoadOptions::default()) {
            Ok(pipeline) => {
                let names: Vec<String> = pipeline.stages.into_iter().map(|stage| stage.name).collect();
                let expected: Vec<String> = expected.iter().map(|pick| {
                    let parts: Vec<String> = pick.iter().map(ToString::to_string).collect();
                    format!("s@{}", parts.join("-"))
                }).collect();
                prop_assert_eq!(names, expected);
            }
            Err(diagnostics) => {
                prop_assert!(expected.is_empty(), "{}", render(&diagnostics, false));
            }
        }
    }
}
