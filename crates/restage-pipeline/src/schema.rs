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
    if !field.filled && !matches!(field.need, Need::Required(_)) {
        schema = or_null(schema);
    }
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
        Kind::OrNull(item) => return or_null(value(item, definitions)),
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

fn or_null(schema: Map<String, Value>) -> Map<String, Value> {
    Map::from_iter([("anyOf".to_owned(), json!([schema, {"type": "null"}]))])
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
            json!([{"required": ["program"]}, {"required": ["cmd"]}])
        );
        let place = &schema["$defs"]["FullOut"]["properties"]["place"];
        assert_eq!(place["anyOf"][0], json!({"enum": ["copy", "link"]}));
    }
}
