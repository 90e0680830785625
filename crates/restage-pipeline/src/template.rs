//! `${..}` in the pipeline's text: found, looked up, put in.

use super::cel_text;
use super::diagnostic::Diagnostic;
use super::language::{Foreign, Language, Plain, Refusal};
use super::node::{Node, Value, printable};
use super::params::{self, Missing};
use super::shell;
use super::sources::{FileText, Named};
use restage_core::rel_path::RelPath;
use restage_core::span::Location;

/// What references can refer to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) profile: &'a str,
    pub(crate) params: &'a Node,
    pub(crate) instance: Instance<'a>,
    /// The instance's own, where there are `seeds`.
    pub(crate) seed: Option<&'a Node>,
    /// Opens the files that the pipeline names.
    pub(crate) named: &'a Named,
    /// What the file that is read is in the whole pipeline.
    pub(crate) place: Place<'a>,
}

/// What an included file is in the whole pipeline; nothing for the pipeline's own file.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place<'a> {
    /// Stands before its names.
    pub(crate) namespace: &'a str,
    /// What its paths are relative to, below the pipeline's folder.
    pub(crate) folder: &'a str,
}

impl Place<'_> {
    /// A name of the file in the whole pipeline.
    pub(crate) fn name(&self, name: &str) -> String {
        match self.namespace {
            "" => name.to_owned(),
            namespace => format!("{namespace}.{name}"),
        }
    }

    /// A path of the file, from the pipeline's folder. What is no path there stays as it is.
    pub(crate) fn below(&self, path: &str) -> String {
        match self.folder {
            "" => path.to_owned(),
            _ if path.is_empty() || path.starts_with('/') => path.to_owned(),
            folder => format!("{folder}/{path}"),
        }
    }
}

/// The parameter whose value is an instance's own where there are `seeds`.
pub(crate) const SEED: &str = "seed";

impl<'a> Scope<'a> {
    /// A parameter by its dotted path.
    pub(crate) fn param(&self, path: &str) -> Result<&'a Node, Missing> {
        match self.seed {
            Some(seed) if path == SEED => Ok(seed),
            _ => params::find(self.params, path),
        }
    }
}

/// Which instance of a stage is being read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Instance<'a> {
    /// The stage has neither `foreach` nor `matrix`: no `${key}`, no `${item}`.
    Single,
    /// One of several.
    Of { key: &'a str, item: &'a Node },
    /// The expansion failed, and was reported: what needs it is passed over in silence.
    Unknown,
}

/// Names that parameters cannot have at the top, since references mean something else by them.
pub const RESERVED: [&str; 3] = ["profile", "key", "item"];

/// Reads templates of one file in one scope.
pub(crate) struct Templates<'a> {
    /// The file that they stand in, to find the place of a reference.
    pub(crate) file: FileText<'a>,
    pub(crate) scope: Scope<'a>,
    /// "stage `train`", for messages.
    pub(crate) owner: &'a str,
}

/// A text cut at its references.
enum Piece<'t> {
    Literal(&'t str),
    /// The whole `${..}`, and what is inside.
    Reference {
        written: &'t str,
        path: &'t str,
        nth: usize,
    },
    /// A `${` without `}`.
    Open {
        written: &'t str,
    },
}

enum Found<'a> {
    Node(&'a Node),
    Text(&'a str),
}

/// Errors go to the report; a value that could not be had is `None`.
type Report = Vec<Diagnostic>;

impl<'a> Templates<'a> {
    /// A scalar as text, references put in as they are.
    pub(crate) fn text(&self, node: &Node, report: &mut Report) -> Option<String> {
        self.fill(node, report, &mut Plain)
    }

    /// A path with `*` for the seed, normalised; `None` where there are no seeds, or it hasn't one.
    pub(crate) fn of_any_seed(&self, node: &Node) -> Option<String> {
        let any = Node::new(Value::Text("*".to_owned()), self.scope.seed?.location);
        let scope = Scope {
            seed: Some(&any),
            ..self.scope
        };
        let pattern = Templates { scope, ..*self }.text(node, &mut Vec::new())?;
        let pattern = RelPath::new(&self.scope.place.below(&pattern)).ok()?;
        // An out cannot have a `*` otherwise.
        let pattern = pattern.as_str();
        pattern.contains('*').then(|| pattern.to_owned())
    }

    /// A command for `sh`: references are quoted for the place they stand in.
    pub(crate) fn command(&self, node: &Node, report: &mut Report) -> Option<String> {
        self.fill(node, report, &mut shell::Scanner::default())
    }

    /// A text in a language that nothing is known of: references whose values would need quotes
    /// are refused.
    pub(crate) fn foreign(&self, node: &Node, report: &mut Report) -> Option<String> {
        self.fill(node, report, &mut Foreign)
    }

    /// A CEL expression: references are quoted for the place they stand in, where text is a
    /// string. `${x}` alone is a whole expression.
    pub(crate) fn expression(&self, node: &Node, report: &mut Report) -> Option<String> {
        let text = node.scalar_text()?;
        match &cut(&text)[..] {
            [Piece::Reference { .. }] => self.text(node, report),
            _ => self.fill(node, report, &mut cel_text::Scanner::default()),
        }
    }

    /// A value of any kind: `${x}` alone is the value itself, other text is filled in, lists
    /// and maps item by item.
    pub(crate) fn value(&self, node: &Node, report: &mut Report) -> Option<Node> {
        let value = match &node.value {
            Value::Text(text) => match &cut(text)[..] {
                [Piece::Reference { path, written, nth }] => {
                    let at = self.place(node, written, *nth);
                    return match self.look_up(path, written, at, report)? {
                        Found::Node(found) => Some(Node {
                            location: at,
                            ..found.clone()
                        }),
                        Found::Text(text) => Some(Node::new(Value::Text(text.to_owned()), at)),
                    };
                }
                _ => Value::Text(self.text(node, report)?),
            },
            Value::List(items) => {
                let filled: Vec<_> = items.iter().map(|item| self.value(item, report)).collect();
                Value::List(filled.into_iter().collect::<Option<_>>()?)
            }
            Value::Map(entries) => {
                let mut filled = Vec::with_capacity(entries.len());
                for entry in entries {
                    let value = self.value(&entry.value, report);
                    filled.push((entry, value));
                }
                let mut map = Vec::with_capacity(filled.len());
                for (entry, value) in filled {
                    map.push(super::node::Entry {
                        value: value?,
                        ..entry.clone()
                    });
                }
                Value::Map(map)
            }
            other => other.clone(),
        };
        Some(Node::new(value, node.location))
    }

    fn fill(
        &self,
        node: &Node,
        report: &mut Report,
        language: &mut impl Language,
    ) -> Option<String> {
        let text = node.scalar_text()?;
        let Value::Text(_) = node.value else {
            return Some(text);
        };
        let mut filled = Some(String::with_capacity(text.len()));
        for piece in cut(&text) {
            let part = match piece {
                Piece::Literal(literal) => {
                    language.literal(literal);
                    Some(literal.to_owned())
                }
                Piece::Reference { written, path, nth } => {
                    let at = self.place(node, written, nth);
                    let value = self.scalar(path, written, at, report);
                    value.and_then(|(value, is_text)| {
                        language
                            .value(written, &value, is_text)
                            .map_err(|refusal| {
                                report.push(unquotable(written, &value, at, refusal))
                            })
                            .ok()
                    })
                }
                Piece::Open { written } => {
                    let at = self.place(node, written, 0);
                    report.push(
                        Diagnostic::new(
                            at,
                            "`${` without its `}`",
                            "opens a reference that never ends",
                        )
                        .hint("close it with `}`, or write `$${` for the characters themselves"),
                    );
                    None
                }
            };
            filled = filled.zip(part).map(|(filled, part)| filled + &part);
        }
        filled
    }

    /// A referenced value as text, and whether it is text.
    fn scalar(
        &self,
        path: &str,
        written: &str,
        at: Location,
        report: &mut Report,
    ) -> Option<(String, bool)> {
        let node = match self.look_up(path, written, at, report)? {
            Found::Text(text) => return Some((text.to_owned(), true)),
            Found::Node(node) => node,
        };
        let text = node.scalar_text();
        if text.is_none() {
            let mut error = Diagnostic::new(
                at,
                format!("`{written}` is {}, and text is needed here", node.kind()),
                format!("{} cannot be put into text", node.kind()),
            );
            if let Some(first) = node.keys().next() {
                error = error.hint(format!(
                    "name one of its values, such as `${{{path}.{first}}}`"
                ));
            }
            report.push(error);
        }
        text.map(|text| (text, matches!(node.value, Value::Text(_))))
    }

    fn look_up(
        &self,
        path: &str,
        written: &str,
        at: Location,
        report: &mut Report,
    ) -> Option<Found<'a>> {
        let (head, rest) = match path.split_once('.') {
            Some((head, rest)) => (head, Some(rest)),
            None => (path, None),
        };
        let valid = path.split('.').all(|part| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_alphanumeric() || "_-".contains(c))
        });
        if !valid {
            report.push(
                Diagnostic::new(
                    at,
                    format!("`{written}` is not a reference"),
                    "expected `${name.name}`",
                )
                .hint(format!(
                    "for the shell's own `{written}` write `${written}`"
                )),
            );
            return None;
        }
        let missing = match (head, rest, self.scope.instance) {
            ("profile", None, _) => return Some(Found::Text(self.scope.profile)),
            ("key" | "item", _, Instance::Unknown) => return None,
            ("key", None, Instance::Of { key, .. }) => return Some(Found::Text(key)),
            ("item", None, Instance::Of { item, .. }) => return Some(Found::Node(item)),
            ("item", Some(rest), Instance::Of { item, .. }) => match params::find(item, rest) {
                Ok(node) => return Some(Found::Node(node)),
                Err(missing) => missing.below("item"),
            },
            ("key" | "item", _, Instance::Single) => {
                report.push(
                    Diagnostic::new(
                        at,
                        format!("`{written}` in {}, which is a single stage", self.owner),
                        format!("`{head}` exists only with `foreach` or `matrix`"),
                    )
                    .hint("add `foreach: ${..}` to the stage, or name the value itself"),
                );
                return None;
            }
            ("profile" | "key", Some(_), _) => Missing::inside_text(head, path),
            _ => match self.scope.param(path) {
                Ok(node) => return Some(Found::Node(node)),
                Err(missing) => missing,
            },
        };
        let shell_variable =
            rest.is_none() && head.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        let hint = match missing.suggestion() {
            Some(found) => Some(format!("did you mean `${{{found}}}`?")),
            None if shell_variable => Some(format!(
                "for the shell's own variable write `${head}` or `${written}`"
            )),
            None => missing.hint(),
        };
        let message = format!("`{written}` in {} refers to nothing", self.owner);
        report.push(Diagnostic::new(at, message, missing.label()).maybe_hint(hint));
        None
    }

    /// The text that a node was read from; `None` if it stands in another file.
    pub(crate) fn written(&self, node: &Node) -> Option<&'a str> {
        let at = node.location;
        let written = self.file.text.get(at.offset..at.end());
        written.filter(|_| at.file == self.file.number)
    }

    /// The place of the nth such reference in the text that the node was read from. Escapes
    /// and folding may shift text, never break a reference; if one is not found, the whole
    /// text is marked.
    fn place(&self, node: &Node, written: &str, nth: usize) -> Location {
        let Location { offset, file, .. } = node.location;
        let source = self.written(node).unwrap_or_default();
        match source.match_indices(written).nth(nth) {
            Some((found, _)) => {
                let lines = source[..found].matches('\n').count();
                Location {
                    file,
                    offset: offset + found,
                    len: written.len(),
                    line: node.location.line + lines,
                }
            }
            None => node.location,
        }
    }
}

fn unquotable(written: &str, value: &str, at: Location, refusal: Refusal) -> Diagnostic {
    let shown: String = value.chars().take(40).collect();
    Diagnostic::new(
        at,
        format!(
            "the value of `{written}`, `{}`, cannot be quoted here",
            printable(&shown)
        ),
        refusal.label,
    )
    .hint(refusal.hint)
}

/// Cuts a text at its references. `$${` is the text `${`.
fn cut(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(found) = rest.find("${") {
        if rest[..found].ends_with('$') {
            pieces.push(Piece::Literal(&rest[..found - 1]));
            pieces.push(Piece::Literal("${"));
            rest = &rest[found + 2..];
            continue;
        }
        if found > 0 {
            pieces.push(Piece::Literal(&rest[..found]));
        }
        let Some(end) = rest[found..].find('}') else {
            let written = rest[found..].lines().next().unwrap_or("${");
            pieces.push(Piece::Open { written });
            return pieces;
        };
        let written = &rest[found..=found + end];
        let before = text.len() - rest.len() + found;
        let nth = text[..before].matches(written).count();
        pieces.push(Piece::Reference {
            written,
            path: &written[2..written.len() - 1],
            nth,
        });
        rest = &rest[found + end + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest));
    }
    pieces
}
