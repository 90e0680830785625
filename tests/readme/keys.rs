//! Which keys of pipeline.yaml the documents show in a pipeline, by the JSON Schema.

use std::collections::BTreeSet;

use serde_json::Value;

/// A mapping of the schema and one of its keys.
pub(crate) type Key = (String, String);

/// The schema that a reference leads to, with its name.
fn resolved<'a>(root: &'a Value, schema: &'a Value, name: &str) -> (&'a Value, String) {
    match schema["$ref"].as_str() {
        Some(path) => {
            let name = path.rsplit('/').next().expect("a last part");
            (&root["$defs"][name], name.to_owned())
        }
        None => (schema, name.to_owned()),
    }
}

/// Alternatives of a schema, itself among them.
fn alternatives<'a>(root: &'a Value, schema: &'a Value, name: &str) -> Vec<(&'a Value, String)> {
    let (schema, name) = resolved(root, schema, name);
    let mut found = vec![(schema, name.clone())];
    for word in ["anyOf", "oneOf", "allOf"] {
        for other in schema[word].as_array().into_iter().flatten() {
            found.extend(alternatives(root, other, &name));
        }
    }
    found
}

/// All keys of the mappings that have a name, and of the file.
pub(crate) fn of_schema(root: &Value) -> BTreeSet<Key> {
    let definitions = root["$defs"].as_object().expect("definitions");
    let named = definitions
        .iter()
        .map(|(name, schema)| (name.as_str(), schema));
    let mut found = BTreeSet::new();
    for (name, schema) in named.chain([("the file", root)]) {
        for (schema, name) in alternatives(root, schema, name) {
            let keys = schema["properties"].as_object().into_iter().flatten();
            found.extend(keys.map(|(key, _)| (name.clone(), key.clone())));
        }
    }
    found
}

/// The keys that a value has, as the schema names them.
pub(crate) fn used(
    root: &Value,
    schema: &Value,
    name: &str,
    value: &Value,
    found: &mut BTreeSet<Key>,
) {
    for (schema, name) in alternatives(root, schema, name) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    if let Some(inner) = schema["properties"].get(key) {
                        found.insert((name.clone(), key.clone()));
                        used(root, inner, &name, value, found);
                    } else if schema["additionalProperties"].is_object() {
                        used(root, &schema["additionalProperties"], &name, value, found);
                    }
                }
            }
            Value::Array(items) if schema["items"].is_object() => {
                for item in items {
                    used(root, &schema["items"], &name, item, found);
                }
            }
            _ => {}
        }
    }
}
