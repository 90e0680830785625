//! The reference page of `pipeline.yaml`, from the tables of fields.

use super::fields::{Field, Key, Kind, Need, Shape};
use super::load::FILE;

/// `docs/reference/pipeline.md`. A test fails when the file is not this.
pub fn reference() -> String {
    let mut maps: Vec<&dyn Shape> = Vec::new();
    collect(&FILE, &mut maps);
    let contents = maps.iter().map(|shape| {
        let link = link(*shape);
        let names: Vec<String> = shape
            .fields()
            .iter()
            .map(|field| code(field.name))
            .collect();
        format!("- {link}: {}\n", names.join(", "))
    });
    let sections = maps.iter().map(|shape| section(*shape));
    let contents: String = contents.collect();
    let sections: String = sections.collect();
    format!("{INTRODUCTION}{contents}{sections}")
}

const INTRODUCTION: &str = "\
<!-- Generated from the tables of fields. To renew it: UPDATE=1 cargo test --test specs reference -->
# pipeline.yaml

A pipeline is one YAML file: parameters, profiles that change them, stages, and what becomes of
their results. `restage init` writes a small one that works; `restage schema` prints this page as a
JSON Schema, for editors. Every mistake in the file is reported at once, with its place.

```yaml
schema: 1
name: my-experiment
params: {epochs: 30, models: {small: {depth: 3}, large: {depth: 9}}}
profiles: {quick: {epochs: 2}, paper: }
default_profile: quick
stages:
  prepare: {cmd: python3 prepare.py, deps: [prepare.py], outs: [data.csv]}
  train:
    foreach: ${models}
    cmd: python3 train.py --depth ${item.depth} --epochs ${epochs} --out ${key}.csv
    deps: [train.py, data.csv]
    params: [epochs]
    outs: [\"${key}.csv\"]
```

## Values

- **Templates.** Text can refer to values: `${profile}` is the profile's name, `${a.b}` the
  parameter `b` of `a`. A stage with `foreach` or `matrix` also has `${key}` and `${item}`, one with
  `seeds` has `${seed}`. A template alone, as in `foreach: ${models}`, is the value itself, of any
  kind; within other text it must be a scalar. `$${` stands for `${`. In `[..]` and `{..}` a
  template must be quoted, since YAML has its own meaning for `{`.
- **Scalars** are text, numbers, `true` and `false`, as in YAML 1.2: `yes` and `on` are text.
- **Paths** are relative to the pipeline's folder and do not leave it.
- **Names** of stages, claims and profiles are made of letters, digits, `_`, `.` and `-`, and begin with neither `.` nor `-`.

*Part of the key* means that a stage runs again when this changes. What is *not part of the key* can
be changed freely; a value that a template puts into a field counts as part of that field.

## Contents

";

/// The map and all below it, each once, in the order in which they are met.
fn collect<'a>(shape: &'a dyn Shape, maps: &mut Vec<&'a dyn Shape>) {
    let name = shape.about().name;
    if maps.iter().any(|known| known.about().name == name) {
        return;
    }
    maps.push(shape);
    for field in shape.fields() {
        below(&field.kind, maps);
    }
}

fn below<'a>(kind: &'a Kind, maps: &mut Vec<&'a dyn Shape>) {
    match kind {
        Kind::Map(shape) => collect(*shape, maps),
        Kind::OneOf(kinds) => kinds.iter().for_each(|kind| below(kind, maps)),
        Kind::List(kind)
        | Kind::Some(kind)
        | Kind::ByName(kind)
        | Kind::OrNull(kind)
        | Kind::Named(_, kind) => below(kind, maps),
        _ => {}
    }
}

fn section(shape: &dyn Shape) -> String {
    let about = shape.about();
    let fields: String = shape.fields().into_iter().map(entry).collect();
    format!("\n## {}\n\n{}\n{fields}", about.title, about.doc)
}

fn entry(field: &Field) -> String {
    let need = match field.need {
        Need::Required(_) => "Required.".to_owned(),
        Need::Sometimes(when) => format!("Required {when}."),
        Need::Default(default) => format!("Default: {default}."),
    };
    let key = match field.key {
        Key::Unrelated => "",
        Key::Part => " Part of the key.",
        Key::Outside => " Not part of the key.",
    };
    let example = match field.example {
        "" => String::new(),
        example => format!("\n```yaml\n{example}\n```\n"),
    };
    let kind = capitalised(&words(&field.kind));
    let (name, doc) = (field.name, field.doc);
    format!("\n### `{name}`\n\n*{kind}. {need}{key}*\n\n{doc}\n{example}")
}

/// What a value may be: "a list of text".
fn words(kind: &Kind) -> String {
    let coded = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| code(word)).collect();
        words.join(" or ")
    };
    match kind {
        Kind::Constant(number) => format!("the number {number}"),
        Kind::Text | Kind::Filled => "text".to_owned(),
        Kind::Flag => "true or false".to_owned(),
        Kind::Whole => "a whole number".to_owned(),
        Kind::Count(least, most) => format!("a whole number from {least} to {most}"),
        Kind::Scalar => "a scalar".to_owned(),
        Kind::Tree => "any map".to_owned(),
        Kind::Word(words) => coded(words),
        Kind::Bound(words) => {
            let words: Vec<String> = words
                .iter()
                .map(|word| format!("{{{word}: NUMBER}}"))
                .collect();
            coded(&words.iter().map(String::as_str).collect::<Vec<_>>())
        }
        Kind::Bounds(words) => format!("{} or both", self::words(&Kind::Bound(words))),
        Kind::List(item) => list(item),
        Kind::Some(item) => format!("{}, at least one", list(item)),
        Kind::ByName(item) => format!("a map from name to {}", words(item)),
        Kind::OrNull(item) => format!("{} or nothing", words(item)),
        Kind::OneOf(kinds) => {
            let kinds: Vec<String> = kinds.iter().map(words).collect();
            kinds.join(", or ")
        }
        Kind::Map(shape) => link(*shape),
        Kind::Named(name, _) => (*name).to_owned(),
    }
}

fn list(item: &Kind) -> String {
    match item {
        Kind::Text => "a list of text".to_owned(),
        Kind::Scalar => "a list of scalars".to_owned(),
        other => format!("a list, each item {}", words(other)),
    }
}

/// To a map's section, by the anchor that GitHub makes of its heading.
fn link(shape: &dyn Shape) -> String {
    let title = shape.about().title;
    let anchor: String = title
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect();
    let mut chars = title.chars();
    let first = chars.next().map(|c| c.to_lowercase().to_string());
    let text = first.unwrap_or_default() + chars.as_str();
    format!("[{text}](#{anchor})")
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

/// With a capital first letter, also within a link.
fn capitalised(text: &str) -> String {
    let (start, rest) = text.split_at(usize::from(text.starts_with('[')));
    let mut chars = rest.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string());
    format!("{start}{}{}", first.unwrap_or_default(), chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;
    use crate::{LoadOptions, load};

    #[test]
    fn the_first_example_is_a_pipeline() {
        let mut blocks = INTRODUCTION.split("```");
        let text = blocks.nth(1).unwrap().trim_start_matches("yaml\n");
        let pipeline = load("pipeline.yaml", text, &LoadOptions::default()).unwrap();
        assert_eq!(pipeline.stages.len(), 3);
    }

    #[test]
    fn every_example_shows_its_field() {
        let mut maps: Vec<&dyn Shape> = Vec::new();
        collect(&FILE, &mut maps);
        for field in maps.iter().flat_map(|shape| shape.fields()) {
            let mut report = Vec::new();
            for part in field
                .example
                .split("# or\n")
                .filter(|part| !part.is_empty())
            {
                let node = yaml::parse(part, &mut report).unwrap();
                let shown = node.get(field.name).is_some() || part.contains(field.name);
                assert!(shown, "{part}");
            }
            assert_eq!(report, [], "{}", field.name);
        }
    }
}
