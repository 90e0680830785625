//! TOML text to located nodes.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::Diagnostic;
use super::node::{Entry, Node, Value};
use restage_core::span::Location;

/// Reads a file. `None`: it is not TOML, and `report` says why; `report` also gets values that no
/// parameter can have.
pub(crate) fn parse(text: &str, report: &mut Vec<Diagnostic>) -> Option<Node> {
    let mut reader = Reader {
        text,
        report,
        lines: text.match_indices('\n').map(|(at, _)| at).collect(),
    };
    match DeTable::parse(text) {
        Ok(table) => {
            let at = reader.place(&table.span());
            Some(reader.table(table.get_ref(), at))
        }
        Err(error) => {
            let at = reader.place(&error.span().unwrap_or(0..0));
            let message = format!("this is not TOML: {}", error.message());
            reader
                .report
                .push(Diagnostic::new(at, message, "stops making sense here"));
            None
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    report: &'a mut Vec<Diagnostic>,
    /// Where lines end.
    lines: Vec<usize>,
}

impl Reader<'_> {
    fn place(&self, span: &std::ops::Range<usize>) -> Location {
        let start = self
            .text
            .floor_char_boundary(span.start.min(self.text.len()));
        let end = self
            .text
            .floor_char_boundary(span.end.clamp(start, self.text.len()));
        Location {
            file: 0,
            offset: start,
            len: end - start,
            line: 1 + self.lines.partition_point(|at| *at < start),
        }
    }

    fn table(&mut self, table: &DeTable<'_>, at: Location) -> Node {
        let entries = table.iter().map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_location: self.place(&key.span()),
            value: self.value(value),
        });
        let mut entries: Vec<Entry> = entries.collect();
        // The table sorts by key; people wrote another order.
        entries.sort_by_key(|entry| entry.key_location);
        Node::new(Value::Map(entries), at)
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>) -> Node {
        let at = self.place(&value.span());
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Boolean(value) => Value::Bool(*value),
            DeValue::Datetime(time) => Value::Text(time.to_string()),
            DeValue::Integer(number) => {
                let found = i64::from_str_radix(number.as_str(), number.radix());
                match found {
                    Ok(number) => Value::Number(number.into()),
                    Err(_) => self.not_a_number(at, number.as_str(), "does not fit 64 bits"),
                }
            }
            DeValue::Float(number) => {
                let found = number.as_str().parse().ok();
                match found.and_then(serde_json::Number::from_f64) {
                    Some(number) => Value::Number(number),
                    None => self.not_a_number(at, number.as_str(), "is not finite"),
                }
            }
            DeValue::Array(items) => {
                Value::List(items.iter().map(|item| self.value(item)).collect())
            }
            DeValue::Table(table) => return self.table(table, at),
        };
        Node::new(value, at)
    }

    fn not_a_number(&mut self, at: Location, written: &str, why: &str) -> Value {
        let message = format!("the number `{written}` {why}");
        let label = "no parameter can have this value";
        self.report
            .push(Diagnostic::new(at, message, label).hint("write it as text, in quotes"));
        Value::Null
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_their_places_are_those_of_the_file() {
        let text = "a = 1_000\nb.c = 0x1f\n[d]\ne = [1.5, \"x\", true]\nf = 2024-01-02\n";
        let mut report = Vec::new();
        let node = parse(text, &mut report).unwrap();
        assert_eq!(report, []);
        let json = serde_json::json!({
            "a": 1000, "b": {"c": 31}, "d": {"e": [1.5, "x", true], "f": "2024-01-02"}
        });
        assert_eq!(node.to_json(), json);
        let e = node.get("d").and_then(|d| d.entry("e")).unwrap();
        assert_eq!((e.key_location.line, e.value.location.line), (4, 4));
        let at = e.value.location;
        assert_eq!(&text[at.offset..at.end()], "[1.5, \"x\", true]");
    }

    #[test]
    fn what_is_not_toml_or_no_parameter_says_where() {
        for (text, line, message) in [
            ("a = 1\nb = \n", 2, "this is not TOML"),
            ("a = 1\na = 2\n", 2, "this is not TOML"),
            ("a = 1\nb = inf\n", 2, "the number `inf` is not finite"),
            ("b = 9223372036854775808\n", 1, "does not fit 64 bits"),
        ] {
            let mut report = Vec::new();
            parse(text, &mut report);
            let [found] = &report[..] else {
                panic!("{text}: {report:?}");
            };
            assert_eq!(found.location.line, line, "{text}");
            assert!(found.message.contains(message), "{}", found.message);
        }
    }
}
