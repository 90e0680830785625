//! Values as YAML that a person likes to read: plain where that is safe, short lists in brackets.

use restage_pipeline::node::{Entry, Node, Value};
use restage_pipeline::scalar::{needs_escape, written as scalar};

/// A list or map in brackets is at most this wide, with everything before it.
const WIDTH: usize = 92;

/// `key: value` at an indentation, with its line breaks.
pub(super) fn entry(key: &str, value: &Node, indent: usize) -> String {
    let start = format!("{:indent$}{}:", "", scalar(key, true));
    let short = inline(value);
    let short_enough = is_flat(value) && start.len() + 1 + short.chars().count() <= WIDTH;
    match &value.value {
        Value::Text(text) => format!("{start} {}\n", block_text(text, indent + 2)),
        Value::Map(entries) if !entries.is_empty() && !short_enough => {
            let below: String = entries
                .iter()
                .map(|Entry { key, value, .. }| entry(key, value, indent + 2))
                .collect();
            format!("{start}\n{below}")
        }
        Value::List(items) if !items.is_empty() && !short_enough => {
            let below: String = items
                .iter()
                .map(|item| format!("{:indent$}  - {}\n", "", inline(item)))
                .collect();
            format!("{start}\n{below}")
        }
        _ => format!("{start} {short}\n"),
    }
}

/// Nothing but scalars inside.
fn is_flat(node: &Node) -> bool {
    node.measure().1 <= 2
}

/// A value on one line.
pub(super) fn inline(node: &Node) -> String {
    match &node.value {
        Value::Text(text) => scalar(text, true),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(entries) if entries.is_empty() => "{}".to_owned(),
        Value::Map(entries) => {
            let pairs: Vec<String> = entries
                .iter()
                .map(|entry| format!("{}: {}", scalar(&entry.key, true), inline(&entry.value)))
                .collect();
            format!("{{{}}}", pairs.join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => node.scalar_text().unwrap_or_default(),
    }
}

/// Text as the value of a key; its other lines are indented by `indent`.
pub(super) fn block_text(text: &str, indent: usize) -> String {
    let plain = scalar(text, false);
    if !plain.starts_with('"') {
        return plain;
    }
    // A literal block shows text as it is; it cannot hold everything.
    let last = text.trim_end_matches('\n');
    let literal = !last.is_empty()
        && text.len() - last.len() <= 1
        && !last.starts_with([' ', '\n', '\t'])
        && !text.chars().any(|c| needs_escape(c) && c != '\n');
    if !literal || (!text.contains('\n') && text.len() < 40) {
        return plain;
    }
    let mark = if text.ends_with('\n') { "|" } else { "|-" };
    let mut shown = mark.to_owned();
    for line in last.split('\n') {
        shown.push('\n');
        if !line.is_empty() {
            shown += &" ".repeat(indent);
            shown += line;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use restage_core::span::Location;
    use restage_pipeline::yaml;

    pub(crate) fn tree() -> impl Strategy<Value = Node> {
        let at = Location::default();
        let text = "\\PC{0,6}|[-a-z0-9 :#'\"\\\\{}\\[\\],&*!|>%@`?~\n\t$.=<é]{0,12}|yes|null|1e5|0x1f|1_0|~|\u{85}|\u{2028}x|\u{feff}";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(|n| Value::Number(n.into())),
            any::<f64>()
                .prop_map(|x| serde_json::Number::from_f64(x).map_or(Value::Null, Value::Number)),
            text.prop_map(Value::Text),
        ]
        .prop_map(move |value| Node::new(value, at));
        leaf.prop_recursive(4, 40, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5)
                    .prop_map(move |items| Node::new(Value::List(items), at)),
                prop::collection::btree_map("[a-z]{1,3}|[ -~]{1,4}|é.", inner, 0..5).prop_map(
                    move |map| {
                        let entry = |(key, value)| Entry {
                            key,
                            key_location: at,
                            value,
                        };
                        let entries = map.into_iter().filter(|(key, _)| key != "<<");
                        Node::new(Value::Map(entries.map(entry).collect()), at)
                    }
                ),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_back(node in tree(), indent in 0usize..3) {
            let text = format!("top:\n  a: 1\n{}", entry("b", &node, 2));
            let text = if indent == 0 { entry("b", &node, 0) } else { text };
            let mut report = Vec::new();
            let read = yaml::parse(&text, &mut report);
            prop_assert!(report.is_empty(), "{report:?}\n{text}");
            let read = read.unwrap();
            let read = read.get("top").unwrap_or(&read).get("b").unwrap().to_json();
            prop_assert_eq!(read, node.to_json(), "{}", text);
        }
    }

    #[test]
    fn text_is_plain_where_that_is_safe() {
        let cases = [
            ("python a.py", "python a.py"),
            ("data/a.csv", "data/a.csv"),
            ("yes", "\"yes\""),
            ("12", "\"12\""),
            ("1:30", "\"1:30\""),
            ("2024-01-02", "\"2024-01-02\""),
            ("3 blind mice", "3 blind mice"),
            ("a: b", "\"a: b\""),
            ("x/${key}", "\"x/${key}\""),
            ("", "\"\""),
        ];
        for (text, expected) in cases {
            assert_eq!(scalar(text, true), expected);
        }
        assert_eq!(block_text("x/${key}", 2), "x/${key}");
        assert_eq!(block_text("a &&\nb: c", 4), "|-\n    a &&\n    b: c");
    }
}
