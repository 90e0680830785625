//! The JSON Schema of `pipeline.yaml`, for editors, from the tables of fields.

use serde_json::{Map, Value, json};

use super::fields::{Field, Kind, Need, Shape};
use super::load::FILE;

/// The schema as JSON (draft 2020-12).
pub fn schema() -> Value {
    let mut definitions = Map::new();
    let mut file = mapping(&FILE, &mut definitions);
    file.insert(
        "$schema".to_owned(),
        "https://json-schema.org/draft/2020-12/schema".into(),
    );
    file.insert("title".to_owned(), "restage pipeline".into());
    file.insert("$defs".to_owned(), definitions.into());
    file.into()
}

/// A map's schema; those of the maps in it are added to the definitions.
fn mapping(shape: &dyn Shape, definitions: &mut Map<String, Value>) -> Map<String, Value> {
    let about = shape.about();
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for field in shape.fields() {
        if let Need::Required(_) = field.need {
            required.push(field.name);
        }
        properties.insert(field.name.to_owned(), property(field, definitions));
    }
    let others = about.others.map_or(Value::Bool(false), |others| {
        Value::Object(value(others, definitions))
    });
    let mut schema = Map::from_iter([
        ("type".to_owned(), "object".into()),
        ("description".to_owned(), about.doc.into()),
        ("properties".to_owned(), properties.into()),
        ("additionalProperties".to_owned(), others),
    ]);
    if !required.is_empty() {
        schema.insert("required".to_owned(), required.into());
    }
    if !about.one_of.is_empty() {
        let sets = about.one_of.iter();
        let sets: Vec<Value> = sets.map(|set| json!({ "required": set })).collect();
        schema.insert("oneOf".to_owned(), sets.into());
    }
    schema
}

fn property(field: &Field, definitions: &mut Map<String, Value>) -> Value {
    let mut schema = value(&field.kind, definitions);
    schema.insert("description".to_owned(), field.doc.into());
    schema.into()
}

fn value(kind: &Kind, definitions: &mut Map<String, Value>) -> Map<String, Value> {
    let schema = match kind {
        Kind::Constant(number) => json!({"const": number}),
        Kind::Text => json!({"type": "string"}),
        Kind::Filled => json!({"type": "string", "minLength": 1}),
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Whole => json!({"type": "integer"}),
        Kind::Count(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Kind::Scalar => json!({"type": ["string", "number", "boolean"]}),
        Kind::Tree => json!({"type": "object"}),
        Kind::Word(words) => json!({ "enum": words }),
        Kind::Bound(words) => {
            let bounds = words.iter().map(|word| {
                json!({
                    "type": "object",
                    "properties": {*word: {"type": "number"}},
                    "required": [word],
                    "additionalProperties": false,
                })
            });
            json!({"anyOf": bounds.collect::<Vec<_>>()})
        }
        Kind::Bounds(words) => {
            let bounds = words.iter();
            let bounds = bounds.map(|word| ((*word).to_owned(), json!({"type": "number"})));
            json!({
                "type": "object",
                "properties": bounds.collect::<serde_json::Map<_, _>>(),
                "minProperties": 1,
                "additionalProperties": false,
            })
        }
        Kind::List(item) => json!({"type": "array", "items": value(item, definitions)}),
        Kind::Some(item) => {
            json!({"type": "array", "items": value(item, definitions), "minItems": 1})
        }
        Kind::ByName(item) => {
            json!({"type": "object", "additionalProperties": value(item, definitions)})
        }
        Kind::OrNull(item) => json!({"anyOf": [value(item, definitions), {"type": "null"}]}),
        Kind::OneOf(kinds) => {
            let kinds = kinds.iter().map(|kind| value(kind, definitions));
            json!({"anyOf": kinds.collect::<Vec<_>>()})
        }
        Kind::Map(shape) => {
            let name = shape.about().name;
            if !definitions.contains_key(name) {
                let schema = mapping(*shape, definitions);
                definitions.insert(name.to_owned(), schema.into());
            }
            json!({"$ref": format!("#/$defs/{name}")})
        }
        Kind::Named(_, kind) => return value(kind, definitions),
    };
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_described() {
        fn descriptions(node: &Value) {
            for (name, property) in node["properties"].as_object().unwrap() {
                let text = property["description"].as_str().unwrap_or_default();
                assert!(text.ends_with('.') && text.len() > 5, "{name}: {text}");
            }
        }
        let schema = schema();
        descriptions(&schema);
        schema["$defs"]
            .as_object()
            .unwrap()
            .values()
            .for_each(descriptions);
    }

    #[test]
    fn every_reference_has_its_definition() {
        let schema = schema();
        let text = schema.to_string();
        let names = text.split("#/$defs/").skip(1);
        let names: Vec<&str> = names.filter_map(|rest| rest.split('"').next()).collect();
        assert!(names.contains(&"Stage"), "{names:?}");
        for name in names {
            assert!(schema["$defs"].get(name).is_some(), "{name}");
        }
    }

    #[test]
    fn maps_take_their_fields_and_no_others() {
        let schema = schema();
        for (name, map) in schema["$defs"].as_object().unwrap() {
            assert_eq!(
                map["additionalProperties"] == false,
                name != "Matrix",
                "{name}"
            );
        }
        assert_eq!(schema["required"], json!(["schema", "name", "stages"]));
        let stage = &schema["$defs"]["Stage"];
        assert_eq!(stage["required"], json!(["outs"]));
        assert_eq!(
            stage["oneOf"],
            json!([
                {"required": ["program"]},
                {"required": ["cmd"]},
                {"required": ["notebook"]},
            ])
        );
        let place = &schema["$defs"]["FullOut"]["properties"]["place"];
        assert_eq!(place["enum"], json!(["copy", "link"]));
    }

    /// Has each kind of map that a file can have.
    const EVERY_MAP: &str = r#"
schema: 1
name: t
params: {seed: 1}
copied_params: {params.yaml: "1"}
profiles: {p: {seed: 2}}
default_profile: p
programs: {workspace: stages}
data: {d: {path: /d, place: d}}
pass_env: [A]
shell: [sh, -c]
stages:
  one:
    cmd: [x]
    params: [seed]
    deps: [{path: "d/*", optional: true}, e]
    outs: [{path: "one/${seed}", volatile: true}]
    env: {B: c}
    secret: [C]
    tools: [x]
    resources: {cpu: 1}
    seeds: [1, 2]
  many: {matrix: {a: [1, 2], exclude: [{a: 2}]}, program: p, args: [x], outs: ["many/${key}"]}
tables: [{files: "*.csv", delimiter: ";", decimal: ","}]
compare: [{files: "*.csv", key: [k], columns: {a: exact, b: {abs: 1}}}]
environments: {e: {uv: pyproject.toml, groups: [g], extras: [x], python: "3.11"}, t: {tools: [x]}}
claims: {c: {says: x, paper: 1, ours: "1", tolerance: {abs: 1}}}
export:
  tensorboard: [{tables: a.csv, step: e}]
  ro_crate: {agent: {name: A}, also: [x]}
report:
  title: t
  facts: {F: {table: a.csv, row: 1, column: c}}
  sections: [{title: t, show: [{table: a.csv, columns: {a: A}, best: {a: max}}]}]
"#;

    /// A place in a document, and whether the schema lets nothing be written there.
    type Place = (Vec<String>, bool);

    /// Each place that the schema knows below `at`, also where nothing is written so far.
    fn places(kind: &Kind, at: &Value, path: &[String], met: &mut Vec<Place>) {
        let mut visit = |name: &str, kind: &Kind, schema: Value, inner: &Value| {
            let path = [path, &[name.to_owned()]].concat();
            met.push((path.clone(), admits_nothing(&schema)));
            places(kind, inner, &path, met);
        };
        let schema = |kind| Value::from(value(kind, &mut Map::new()));
        match (kind, at) {
            (Kind::Named(_, kind) | Kind::OrNull(kind), _) => places(kind, at, path, met),
            (Kind::OneOf(kinds), _) => kinds.iter().for_each(|kind| places(kind, at, path, met)),
            (Kind::List(item) | Kind::Some(item), Value::Array(items)) => {
                for (i, inner) in items.iter().enumerate() {
                    visit(&i.to_string(), item, schema(item), inner);
                }
            }
            (Kind::ByName(kind), Value::Object(map)) => {
                for (name, inner) in map {
                    visit(name, kind, schema(kind), inner);
                }
            }
            (Kind::Map(shape), Value::Object(map)) => {
                let fields = shape.fields();
                for field in &fields {
                    let inner = map.get(field.name).unwrap_or(&Value::Null);
                    visit(
                        field.name,
                        &field.kind,
                        property(field, &mut Map::new()),
                        inner,
                    );
                }
                let other = |name: &str| fields.iter().all(|field| field.name != name);
                for (name, inner) in map.iter().filter(|(name, _)| other(name)) {
                    let kind = shape.about().others.unwrap();
                    visit(name, kind, schema(kind), inner);
                }
            }
            _ => {}
        }
    }

    fn admits_nothing(schema: &Value) -> bool {
        let any = schema["anyOf"].as_array();
        schema["type"] == "null" || any.is_some_and(|any| any.iter().any(admits_nothing))
    }

    #[test]
    fn nothing_after_a_name_is_a_mistake_to_the_schema_where_it_is_one_to_the_reader() {
        let document = crate::yaml::parse(EVERY_MAP, &mut Vec::new())
            .unwrap()
            .to_json();
        let load = |document: &Value| {
            crate::load(
                "pipeline.yaml",
                &document.to_string(),
                &crate::LoadOptions::default(),
            )
        };
        load(&document).unwrap();
        let mut met = Vec::new();
        places(&Kind::Map(&FILE), &document, &[], &mut met);
        let mut differ = Vec::new();
        for (path, may_be_empty) in &met {
            let mut changed = document.clone();
            let place = path.iter().fold(&mut changed, |at, name| match at {
                Value::Array(items) => &mut items[name.parse::<usize>().unwrap()],
                map => &mut map[name],
            });
            *place = Value::Null;
            if load(&changed).is_ok() != *may_be_empty {
                differ.push(format!("{} {may_be_empty}", path.join(".")));
            }
        }
        assert_eq!(differ, [""; 0]);
        let named = |name: &str| met.iter().any(|(path, _)| path.last().unwrap() == name);
        for (shape, map) in schema()["$defs"].as_object().unwrap() {
            for field in map["properties"].as_object().unwrap().keys() {
                assert!(named(field), "`{field}` of {shape} was not tried");
            }
        }
    }
}
