//! What `RESTAGE_PARAMS` and the file that `RESTAGE_PARAMS_FILE` names hold: a stage's declared
//! parameters as one JSON text.
//!
//! JSON is YAML, and many scripts read it as such. Readers of YAML 1.1 (PyYAML) take `1e-7` for text,
//! because its floats need a point and a sign in the exponent: ours have both.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use serde_json::{Map, Value};

/// The text.
pub fn text(params: &BTreeMap<String, Value>) -> String {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, Floats);
    nested(params)
        .serialize(&mut serializer)
        .expect("a vector takes every byte");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

/// Longer, with its name and a NUL, and Linux starts no process with the variable.
const LONGEST_VARIABLE: usize = 128 << 10;

/// Whether a text can be the value of `RESTAGE_PARAMS`.
pub fn fits_variable(text: &str) -> bool {
    "RESTAGE_PARAMS=".len() + text.len() < LONGEST_VARIABLE
}

struct Floats;

impl Formatter for Floats {
    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        let shortest = Value::from(value).to_string();
        let Some((mantissa, exponent)) = shortest.split_once('e') else {
            return writer.write_all(shortest.as_bytes());
        };
        let point = if mantissa.contains('.') { "" } else { ".0" };
        let sign = if exponent.starts_with(['-', '+']) {
            ""
        } else {
            "+"
        };
        write!(writer, "{mantissa}{point}e{sign}{exponent}")
    }
}

/// `{"train.epochs": 3}` as `{"train": {"epochs": 3}}`.
fn nested(params: &BTreeMap<String, Value>) -> Value {
    let mut root = Map::new();
    for (path, value) in params {
        let mut map = &mut root;
        let (folders, leaf) = match path.rsplit_once('.') {
            Some((folders, leaf)) => (Some(folders), leaf),
            None => (None, path.as_str()),
        };
        for name in folders.into_iter().flat_map(|f| f.split('.')) {
            let inner = map.entry(name).or_insert_with(|| Value::Object(Map::new()));
            // A declared parent already contains its child: `train` and `train.epochs`.
            let Value::Object(inner) = inner else {
                return Value::Object(root);
            };
            map = inner;
        }
        map.insert(leaf.to_owned(), value.clone());
    }
    Value::Object(root)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn declared_parameters_arrive_as_one_tree() {
        let params = BTreeMap::from([
            ("seed".to_owned(), json!(42)),
            ("train".to_owned(), json!({"epochs": 3, "batch": 64})),
            ("train.epochs".to_owned(), json!(3)),
            ("models.a.dropout".to_owned(), json!(0.5)),
        ]);
        assert_eq!(
            nested(&params),
            json!({
                "seed": 42,
                "train": {"epochs": 3, "batch": 64},
                "models": {"a": {"dropout": 0.5}},
            })
        );
    }

    #[test]
    fn readers_of_yaml_1_1_see_floats_in_floats() {
        let params = BTreeMap::from([
            ("a".to_owned(), json!(1e-7)),
            ("b".to_owned(), json!(2.5e300)),
            ("c".to_owned(), json!(0.5)),
            ("d".to_owned(), json!(3)),
        ]);
        let text = text(&params);
        assert_eq!(text, r#"{"a":1.0e-7,"b":2.5e+300,"c":0.5,"d":3}"#);
    }

    proptest! {
        #[test]
        fn every_float_arrives_as_it_is(x in any::<f64>().prop_filter("JSON", |x| x.is_finite())) {
            let text = text(&BTreeMap::from([("x".to_owned(), json!(x))]));
            let read: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(read["x"].as_f64(), Some(x));
        }
    }
}
