//! What `seeds` turns a stage into, and how values are put into expressions.

use restage_pipeline::render::render;
use restage_pipeline::{self as spec, Action, ClaimRule, LoadOptions, Pipeline, Stage};

fn load() -> Pipeline {
    let text = include_str!("specs/valid/seeds.yaml");
    spec::load("pipeline.yaml", text, &LoadOptions::default())
        .unwrap_or_else(|diagnostics| panic!("{}", render(&diagnostics, false)))
}

fn stage<'a>(pipeline: &'a Pipeline, name: &str) -> &'a Stage {
    let found = pipeline.stages.iter().find(|stage| stage.name == name);
    found.unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn each_variant_has_each_seed_in_order() {
    let pipeline = load();
    let names: Vec<&str> = pipeline
        .stages
        .iter()
        .map(|stage| stage.name.as_str())
        .collect();
    let expected = [
        "train@a+42",
        "train@a+43",
        "train@b+42",
        "train@b+43",
        "grid@1+7",
        "grid@2+7",
        "alone+7",
        "alone+0",
        "gather",
    ];
    assert_eq!(names, expected);
    let second = stage(&pipeline, "train@b+43");
    assert_eq!(second.action, Action::command("train b 43"));
    assert_eq!(second.params["seed"], 43);
    assert_eq!(second.outs[0].path.as_str(), "runs/b/43");
    assert_eq!(second.outs[0].any_seed.as_deref(), Some("runs/b/*"));
    assert_eq!(
        (second.group.as_str(), second.variant()),
        ("train", "train@b")
    );
    let gather = stage(&pipeline, "gather");
    assert_eq!(gather.action, Action::command("gather 42"));
    assert_eq!(
        (gather.variant(), &gather.outs[0].any_seed),
        ("gather", &None)
    );
}

#[test]
fn values_in_expressions_are_quoted() {
    let pipeline = load();
    let quoted = &pipeline.claims[1];
    let ClaimRule::Holds(holds) = &quoted.rule else {
        panic!("{:?}", quoted.rule)
    };
    assert_eq!(
        holds.text,
        r#"cell("a \"b\" \\c.csv", 1, "x") > -2 && "a \"b\" \\c" != "a""#
    );
    let needs = quoted.needs.as_ref().map(|needs| needs.text.as_str());
    assert_eq!(needs, Some(r#"text("t.csv", 1, "x") == "y""#));
}
