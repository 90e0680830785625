//! Parameters: defaults, a profile merged over them, `-S` over both; found by dotted path.
//!
//! Maps merge key by key, everything else replaces. A profile or `-S` can only change
//! parameters that exist: anything else is a slip of the pen. Levels of a path are separated
//! by dots; a key that has a dot itself can only be reached through the map that holds it.

use super::diagnostic::Diagnostic;
use super::node::{Entry, Node, Value};
use super::scalar;
use super::yaml;
use restage_core::span::Location;
use restage_core::suggest;

/// A path that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    /// The part of the path that exists; empty at the top.
    pub(crate) parent: String,
    /// The first part that does not.
    pub(crate) segment: String,
    /// What its parent has instead.
    siblings: Vec<String>,
    /// What the parent is, if no map.
    parent_kind: Option<&'static str>,
}

/// The value of a dotted path.
pub(crate) fn find<'a>(root: &'a Node, path: &str) -> Result<&'a Node, Missing> {
    let mut node = root;
    let mut parent = String::new();
    for segment in path.split('.') {
        let Some(next) = node.get(segment) else {
            return Err(Missing {
                parent,
                segment: segment.to_owned(),
                siblings: node.keys().map(str::to_owned).collect(),
                parent_kind: (!matches!(node.value, Value::Map(_))).then(|| node.kind()),
            });
        };
        join(&mut parent, segment);
        node = next;
    }
    Ok(node)
}

fn join(path: &mut String, segment: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(segment);
}

impl Missing {
    /// "`models` has no `resnet81`".
    pub(crate) fn label(&self) -> String {
        let Self {
            parent, segment, ..
        } = self;
        match (self.parent_kind, parent.as_str()) {
            (Some(kind), "") => format!("`params` is {kind} and has no `{segment}`"),
            (Some(kind), _) => format!("`{parent}` is {kind} and has no `{segment}`"),
            (None, "") => format!("`params` has no `{segment}`"),
            (None, _) => format!("`{parent}` has no `{segment}`"),
        }
    }

    /// The path that was probably meant.
    pub(crate) fn suggestion(&self) -> Option<String> {
        let found = suggest::closest(&self.segment, self.siblings.iter().map(String::as_str))?;
        let mut path = self.parent.clone();
        join(&mut path, found);
        Some(path)
    }

    /// The same, looked for below `head`.
    pub(crate) fn below(mut self, head: &str) -> Self {
        let tail = std::mem::replace(&mut self.parent, head.to_owned());
        if !tail.is_empty() {
            join(&mut self.parent, &tail);
        }
        self
    }

    /// `profile.x`: there is nothing inside text.
    pub(crate) fn inside_text(head: &str, path: &str) -> Self {
        let segment = path.split('.').nth(1).unwrap_or_default().to_owned();
        Self {
            parent: head.to_owned(),
            segment,
            siblings: Vec::new(),
            parent_kind: Some("text"),
        }
    }

    /// The path that was probably meant, or what there is.
    pub(crate) fn hint(&self) -> Option<String> {
        if let Some(found) = self.suggestion() {
            return Some(format!("did you mean `{found}`?"));
        }
        let place = if self.parent.is_empty() {
            "params"
        } else {
            &self.parent
        };
        (!self.siblings.is_empty()).then(|| {
            format!(
                "`{place}` has {}",
                suggest::list(self.siblings.iter().map(String::as_str))
            )
        })
    }
}

/// `over` laid over `base`: maps merge, everything else replaces. Keys keep base's order.
pub(crate) fn merge(base: &Node, over: &Node) -> Node {
    let (Value::Map(below), Value::Map(above)) = (&base.value, &over.value) else {
        return over.clone();
    };
    let mut merged: Vec<Entry> = below
        .iter()
        .map(|entry| match over.get(&entry.key) {
            Some(value) => Entry {
                value: merge(&entry.value, value),
                ..entry.clone()
            },
            None => entry.clone(),
        })
        .collect();
    merged.extend(
        above
            .iter()
            .filter(|entry| base.get(&entry.key).is_none())
            .cloned(),
    );
    Node::new(Value::Map(merged), base.location)
}

/// Reports every key of `over` that `base` does not have. A map over something else is a
/// replacement, whose keys are free.
pub(crate) fn check_known(
    base: &Node,
    over: &Node,
    prefix: &str,
    owner: &str,
    report: &mut Vec<Diagnostic>,
) {
    if !matches!((&base.value, &over.value), (Value::Map(_), Value::Map(_))) {
        return;
    }
    for entry in over.entries() {
        let mut path = prefix.to_owned();
        join(&mut path, &entry.key);
        match base.get(&entry.key) {
            Some(below) => check_known(below, &entry.value, &path, owner, report),
            None => {
                let missing = Missing {
                    parent: prefix.to_owned(),
                    segment: entry.key.clone(),
                    siblings: base.keys().map(str::to_owned).collect(),
                    parent_kind: None,
                };
                // `{name:sgd}` is one key, `name:sgd`.
                let colon = entry.key.split_once(':').and_then(|(key, value)| {
                    base.get(key)?;
                    Some(format!(
                        "write `{key}: {value}`: YAML wants a space after the colon"
                    ))
                });
                report.push(
                    Diagnostic::new(
                        entry.key_location,
                        format!("{owner} sets `{path}`, which is not a parameter"),
                        missing.label(),
                    )
                    .maybe_hint(colon.or_else(|| missing.hint())),
                );
            }
        }
    }
}

/// Lays one `-S key=value` over the parameters; `None` if it cannot be.
pub(crate) fn apply_override(
    params: &Node,
    text: &str,
    report: &mut Vec<Diagnostic>,
) -> Option<Node> {
    let argument = format!("-S {text}");
    let start = "-S ".len();
    let at = |offset: usize, len: usize| Location {
        file: 0,
        offset: start + offset,
        len,
        line: 1,
    };
    let fail = |diagnostic: Diagnostic| diagnostic.in_argument(&argument);
    let Some((path, written)) = text.split_once('=') else {
        report.push(fail(
            Diagnostic::new(
                at(0, text.len()),
                format!("`-S {text}` has no value"),
                "expected `key=value`",
            )
            .hint(format!("write `-S {text}=VALUE`")),
        ));
        return None;
    };
    let old = match find(params, path) {
        Ok(old) => old,
        Err(missing) => {
            report.push(fail(
                Diagnostic::new(
                    at(0, path.len()),
                    format!("`-S` sets `{path}`, which is not a parameter"),
                    missing.label(),
                )
                .maybe_hint(missing.hint()),
            ));
            return None;
        }
    };
    let value_at = at(path.len() + 1, written.len());
    let new = override_value(path, written, old, value_at)
        .map_err(|diagnostic| report.push(fail(*diagnostic)))
        .ok()?;
    let mut unknown = Vec::new();
    check_known(old, &new, path, "`-S`", &mut unknown);
    if !unknown.is_empty() {
        let marked = |item: Diagnostic| {
            fail(Diagnostic {
                location: value_at,
                ..item
            })
        };
        report.extend(unknown.into_iter().map(marked));
        return None;
    }
    Some(merge(params, &nest(path, new)))
}

/// Reads the text after `=` as YAML; where text stood, all that is not in quotes, in brackets or
/// `null` is the text it is.
fn override_value(
    path: &str,
    written: &str,
    old: &Node,
    at: Location,
) -> Result<Node, Box<Diagnostic>> {
    let value = written.trim();
    let is_null = !value.is_empty() && matches!(scalar::resolve(value), Ok(Value::Null));
    let is_yaml = is_null || value.starts_with(['\'', '"', '[', '{']);
    if matches!(old.value, Value::Text(_)) && !is_yaml {
        return Ok(Node::new(Value::Text(value.to_owned()), at));
    }
    let mut found = Vec::new();
    let node = yaml::parse(written, &mut found);
    if let Some(first) = found.into_iter().next() {
        return Err(Box::new(Diagnostic {
            location: at,
            ..first
        }));
    }
    let node = node.unwrap_or(Node::new(Value::Null, Location::default()));
    let is_scalar = !matches!(node.value, Value::List(_) | Value::Map(_));
    if is_scalar && node.location.len != value.len() {
        let read = node.scalar_text().unwrap_or_default();
        let message = format!("`-S {path}={written}` has more than a value");
        let label = format!("only `{read}` is read; the rest is a comment or an anchor of YAML");
        return Err(Box::new(
            Diagnostic::new(at, message, label).hint(as_text(path, value)),
        ));
    }
    let node = relocate(node, at);
    let fits = matches!(old.value, Value::Null)
        || matches!(node.value, Value::Null)
        || old.kind() == node.kind();
    if !fits {
        let message = format!("`-S` cannot turn {} into {}", old.kind(), node.kind());
        let label = format!("this is {}", node.kind());
        let value = old
            .scalar_text()
            .map(|text| format!("; it is `{text}` now"))
            .unwrap_or_default();
        let hint = match old.value {
            Value::Text(_) => as_text(path, written.trim()),
            _ => format!("the parameter is {}{value}", old.kind()),
        };
        return Err(Box::new(Diagnostic::new(at, message, label).hint(hint)));
    }
    Ok(node)
}

/// How all of it is written as text.
fn as_text(path: &str, value: &str) -> String {
    let argument = format!("{path}={}", serde_json::Value::from(value));
    let quoted = argument.replace('\'', r"'\''");
    format!("if text is meant, write `-S '{quoted}'`")
}

/// All of a value at one place: its own places are in another text.
fn relocate(mut node: Node, at: Location) -> Node {
    node.location = at;
    match &mut node.value {
        Value::List(items) => {
            *items = items.drain(..).map(|item| relocate(item, at)).collect();
        }
        Value::Map(entries) => {
            for entry in entries {
                entry.key_location = at;
                let value = std::mem::replace(&mut entry.value, Node::new(Value::Null, at));
                entry.value = relocate(value, at);
            }
        }
        _ => {}
    }
    node
}

/// `a.b` and a value make `{a: {b: value}}`.
fn nest(path: &str, value: Node) -> Node {
    path.rsplit('.').fold(value, |value, key| {
        let location = value.location;
        let entry = Entry {
            key: key.to_owned(),
            key_location: location,
            value,
        };
        Node::new(Value::Map(vec![entry]), location)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tree() -> impl Strategy<Value = Node> {
        let at = Location::default();
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i32>().prop_map(|n| Value::Number(n.into())),
            "[a-z]{0,3}".prop_map(Value::Text),
        ]
        .prop_map(move |value| Node::new(value, at));
        leaf.prop_recursive(3, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3)
                    .prop_map(move |items| Node::new(Value::List(items), at)),
                prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(move |map| {
                    let entry = |(key, value)| Entry {
                        key,
                        key_location: at,
                        value,
                    };
                    Node::new(Value::Map(map.into_iter().map(entry).collect()), at)
                }),
            ]
        })
    }

    /// The parameter after `-S`, as JSON, or the hint of what is wrong.
    fn overridden(text: &str) -> Result<String, String> {
        let params = yaml::parse("{text: old, number: 1, nothing: null}", &mut Vec::new());
        let mut report = Vec::new();
        let changed = apply_override(&params.expect("a map"), text, &mut report);
        if let Some(error) = report.pop() {
            return Err(error.hint.unwrap_or(error.message));
        }
        let (path, _) = text.split_once('=').expect("a path");
        let changed = changed.expect("no error");
        Ok(changed
            .get(path)
            .expect("the parameter")
            .to_json()
            .to_string())
    }

    #[test]
    fn an_override_of_text_is_all_of_what_is_written() {
        for text in [
            "run #3", "#3", "&x", "*x", "!x y", "a: b", "- a", "| a", "1e-3", "true", "a 'b'", "",
        ] {
            let json = serde_json::Value::from(text).to_string();
            assert_eq!(overridden(&format!("text={text}")), Ok(json.clone()));
            // The line that a hint names.
            assert_eq!(overridden(&format!("text={json}")), Ok(json.clone()));
            assert_eq!(overridden(&format!("nothing={json}")), Ok(json));
        }
        assert_eq!(overridden("text=null"), Ok("null".to_owned()));
        assert_eq!(overridden("text='a # b'"), Ok("\"a # b\"".to_owned()));
        let error = Err("if text is meant, write `-S 'text=\"[a]\"'`".to_owned());
        assert_eq!(overridden("text=[a]"), error);
    }

    #[test]
    fn an_override_with_more_than_a_value_is_refused_with_the_line_to_write() {
        for (text, line) in [
            ("nothing=run #3", r#"'nothing="run #3"'"#),
            ("nothing=#3", r##"'nothing="#3"'"##),
            ("nothing=&x", r#"'nothing="&x"'"#),
            ("nothing=&x it's", r#"'nothing="&x it'\''s"'"#),
            ("number=5 #3", r#"'number="5 #3"'"#),
            ("text='a' # b", r#"'text="'\''a'\'' # b"'"#),
        ] {
            let error = Err(format!("if text is meant, write `-S {line}`"));
            assert_eq!(overridden(text), error);
        }
        assert_eq!(overridden("number= 5 "), Ok("5".to_owned()));
        assert_eq!(overridden("nothing=~"), Ok("null".to_owned()));
    }

    proptest! {
        #[test]
        fn merging_a_tree_with_itself_or_nothing_changes_nothing(a in tree()) {
            prop_assert_eq!(merge(&a, &a).to_json(), a.to_json());
            let nothing = Node::new(Value::Map(Vec::new()), Location::default());
            if let Value::Map(_) = a.value {
                prop_assert_eq!(merge(&a, &nothing).to_json(), a.to_json());
                prop_assert_eq!(merge(&nothing, &a).to_json(), a.to_json());
            }
        }

        #[test]
        fn merging_again_changes_nothing(a in tree(), b in tree()) {
            let once = merge(&a, &b);
            prop_assert_eq!(merge(&once, &b).to_json(), once.to_json());
        }

        #[test]
        fn every_leaf_of_the_upper_tree_wins(a in tree(), b in tree()) {
            fn holds(merged: &Node, over: &Node) -> bool {
                match &over.value {
                    Value::Map(entries) => entries.iter().all(|entry| {
                        merged.get(&entry.key).is_some_and(|found| holds(found, &entry.value))
                    }),
                    _ => merged.to_json() == over.to_json(),
                }
            }
            prop_assert!(holds(&merge(&a, &b), &b));
        }

        #[test]
        fn keys_that_the_upper_tree_lacks_are_kept(a in tree(), b in tree()) {
            if let (Value::Map(_), Value::Map(_)) = (&a.value, &b.value) {
                let merged = merge(&a, &b);
                for entry in a.entries().iter().filter(|entry| b.get(&entry.key).is_none()) {
                    prop_assert_eq!(merged.get(&entry.key), Some(&entry.value));
                }
            }
        }
    }
}
