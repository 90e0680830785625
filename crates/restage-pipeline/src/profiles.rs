//! Which profile is used, and the parameters that it and `-S` make.

use super::diagnostic::Diagnostic;
use super::fields::expected;
use super::names;
use super::node::{Entry, Node, Value};
use super::params;
use super::params_files::FROM;
use super::template::RESERVED;
use restage_core::span::Location;
use restage_core::suggest;

/// The profile's name where a pipeline declares none.
const NO_PROFILE: &str = "default";

/// Chooses the profile: `wanted`, or else the default.
pub(crate) fn choose(
    root: &Node,
    file_name: &str,
    wanted: Option<&str>,
    report: &mut Vec<Diagnostic>,
) -> String {
    let mut reader = Reader {
        root,
        below: &[],
        report,
    };
    reader.profile(file_name, wanted)
}

/// The parameters: what lies `below` them, from other files; the defaults, the profile over them, and
/// `-S` over all.
pub(crate) fn params(
    root: &Node,
    profile: &str,
    overrides: &[String],
    below: &[Node],
    report: &mut Vec<Diagnostic>,
) -> Node {
    let mut reader = Reader {
        root,
        below,
        report,
    };
    reader.params(profile, overrides)
}

/// The profiles of a pipeline; one that declares none has one.
pub(crate) fn names(root: &Node) -> Vec<String> {
    let declared = root.get("profiles").into_iter().flat_map(Node::keys);
    let names: Vec<String> = declared.map(ToOwned::to_owned).collect();
    if names.is_empty() {
        vec![NO_PROFILE.to_owned()]
    } else {
        names
    }
}

struct Reader<'a> {
    root: &'a Node,
    below: &'a [Node],
    report: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    /// The profile's name; one that does not exist is reported and used nevertheless.
    fn profile(&mut self, file_name: &str, wanted: Option<&str>) -> String {
        let root = self.root;
        let profiles = root.get("profiles");
        let names: Vec<&str> = profiles.into_iter().flat_map(Node::keys).collect();
        let default = root.get("default_profile");
        if let Some(node) = default {
            match &node.value {
                Value::Text(name) if names.contains(&name.as_str()) => {}
                Value::Text(name) => {
                    let message =
                        format!("`default_profile` names `{name}`, which is not a profile");
                    let hint = suggest::hint_among(name, "the profiles are", names.iter().copied());
                    self.report.push(
                        Diagnostic::new(node.location, message, "not under `profiles`")
                            .maybe_hint(hint),
                    );
                }
                _ => self
                    .report
                    .push(expected(node, "default_profile", "the pipeline", "text")),
            }
        } else if let (Some(entry), None) = (root.entry("profiles"), wanted)
            && !names.is_empty()
        {
            let hint = format!("write `default_profile: {}`", names[0]);
            self.report.push(
                Diagnostic::new(
                    entry.key_location,
                    "no `default_profile` says which profile is used",
                    "has no default",
                )
                .hint(hint),
            );
        }
        if let Some(name) = wanted {
            let exists = names.contains(&name) || (names.is_empty() && name == NO_PROFILE);
            if !exists {
                let argument = format!("--profile {name}");
                let at = Location {
                    file: 0,
                    offset: "--profile ".len(),
                    len: name.len(),
                    line: 1,
                };
                let hint = suggest::hint_among(name, "the profiles are", names.iter().copied())
                    .unwrap_or_else(|| format!("`{}` declares no profiles", file_name));
                self.report.push(
                    Diagnostic::new(
                        at,
                        format!("there is no profile `{name}`"),
                        "not under `profiles`",
                    )
                    .hint(hint)
                    .in_argument(&argument),
                );
            }
            return name.to_owned();
        }
        match default.map(|node| &node.value) {
            Some(Value::Text(name)) => name.clone(),
            _ => NO_PROFILE.to_owned(),
        }
    }

    fn params(&mut self, profile: &str, overrides: &[String]) -> Node {
        let root = self.root;
        let nothing = Node::new(Value::Map(Vec::new()), root.location);
        let own = match root.get("params") {
            None => nothing.clone(),
            Some(node) => match &node.value {
                Value::Map(entries) => {
                    self.reserved(entries);
                    let own = entries.iter().filter(|entry| entry.key != FROM);
                    Node::new(Value::Map(own.cloned().collect()), node.location)
                }
                Value::Null => nothing.clone(),
                _ => {
                    self.report
                        .push(expected(node, "params", "the pipeline", "a map"));
                    nothing.clone()
                }
            },
        };
        let all = self.below.iter().chain([&own]);
        let base = all.fold(nothing, |below, above| params::merge(&below, above));
        let mut merged = base.clone();
        if let Some(profiles) = root.get("profiles") {
            if !matches!(profiles.value, Value::Map(_)) {
                self.report.push(expected(
                    profiles,
                    "profiles",
                    "the pipeline",
                    "a map of profiles",
                ));
            }
            for entry in profiles.entries() {
                let owner = format!("profile `{}`", entry.key);
                names::check("profile", &entry.key, entry.key_location, self.report);
                match entry.value.value {
                    Value::Map(_) => {
                        params::check_known(&base, &entry.value, "", &owner, self.report);
                        if entry.key == profile {
                            merged = params::merge(&base, &entry.value);
                        }
                    }
                    // `paper:` with nothing below: the defaults.
                    Value::Null => {}
                    _ => self.report.push(
                        expected(
                            &entry.value,
                            &entry.key,
                            "`profiles`",
                            "a map of parameters",
                        )
                        .hint("write `{}` for a profile that changes nothing"),
                    ),
                }
            }
        }
        for text in overrides {
            if let Some(changed) = params::apply_override(&merged, text, self.report) {
                merged = changed;
            }
        }
        merged
    }

    fn reserved(&mut self, entries: &[Entry]) {
        for entry in entries
            .iter()
            .filter(|entry| RESERVED.contains(&entry.key.as_str()))
        {
            let key = &entry.key;
            let meaning = match key.as_str() {
                "profile" => "the profile's name",
                "key" => "the name of a stage's instance",
                _ => "the value of a stage's instance",
            };
            let message = format!("a parameter cannot be called `{key}`");
            self.report.push(
                Diagnostic::new(
                    entry.key_location,
                    message,
                    format!("`${{{key}}}` means {meaning}"),
                )
                .hint("choose another name, or put it inside a map"),
            );
        }
    }
}
