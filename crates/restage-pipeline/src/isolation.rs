//! `isolation` and `network`: how far a stage is kept apart from the rest of the machine.

use super::diagnostic::Diagnostic;
use super::fields::{Kind, expected};
use super::node::{Node, Value};
use super::pipeline::IsolationRule;
use restage_core::suggest;

const RULES: &[(&str, IsolationRule)] = &[
    ("auto", IsolationRule::Auto),
    ("required", IsolationRule::Required),
    ("none", IsolationRule::None),
];

/// What `isolation` may hold.
pub(crate) const RULE: Kind = Kind::Word(&["auto", "required", "none"]);
/// What `network` may hold.
pub(crate) const NETWORK: Kind = Kind::Word(&["host", "none"]);

pub(crate) fn read_rule(
    node: &Node,
    owner: &str,
    report: &mut Vec<Diagnostic>,
) -> Option<IsolationRule> {
    word(node, "isolation", owner, RULES, report)
}

/// Whether it has no network.
pub(crate) fn read_network(node: &Node, owner: &str, report: &mut Vec<Diagnostic>) -> Option<bool> {
    let words = [("host", false), ("none", true)];
    word(node, "network", owner, &words, report)
}

/// The meaning of one of these words; what is none is reported.
fn word<T: Copy>(
    node: &Node,
    field: &str,
    owner: &str,
    words: &[(&'static str, T)],
    report: &mut Vec<Diagnostic>,
) -> Option<T> {
    let written = match &node.value {
        Value::Text(text) => text.as_str(),
        _ => "",
    };
    let found = words.iter().find(|(word, _)| *word == written);
    if found.is_none() {
        let names = words.iter().map(|(word, _)| *word);
        let slip = suggest::closest(written, names.clone());
        let hint = slip.map(|word| format!("did you mean `{word}`?"));
        let all: Vec<String> = names.map(|word| format!("`{word}`")).collect();
        let error = expected(node, field, owner, &all.join(" or "));
        report.push(error.maybe_hint(hint));
    }
    found.map(|(_, value)| *value)
}
