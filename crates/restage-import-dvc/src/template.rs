//! DVC's `${..}` as ours. Both name values by dotted paths; ours are quoted in commands, and cannot
//! name items of lists: where that matters, the value itself is written.

use std::collections::BTreeSet;

use super::params::{entry, find, map};
use restage_core::glob::Glob;
use restage_core::span::Location;
use restage_pipeline::expand::Variant;
use restage_pipeline::node::{Node, Value};
use restage_pipeline::shell::{self, Place};
use restage_pipeline::template::RESERVED;

/// How a text is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// For `sh`.
    Command,
    /// A path that is read: patterns are special in it, which DVC does not know.
    Dep,
    /// A path that is written.
    Out,
    /// Another path.
    Path,
    /// For people, and for names.
    Text,
}

/// What is said on the way.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// What has another form here.
    pub(super) changes: Vec<String>,
    /// References that are written out, by their paths; `a.*` stands for the keys of `a`.
    pub(super) written_out: BTreeSet<String>,
}

impl Said {
    pub(super) fn change(&mut self, text: impl Into<String>) {
        self.changes.push(text.into());
    }
}

/// What references can refer to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    /// `params.yaml` and `vars`.
    pub(super) values: &'a Node,
    /// The pipeline's parameters: another stage's may have the same name.
    pub(super) ours: &'a Node,
    /// What else they could name, if it had been read.
    pub(super) unread: &'a str,
    /// The instances, if the stage has several.
    pub(super) variants: Option<&'a [Variant]>,
}

/// A text cut at its references.
pub(super) enum Piece<'t> {
    Literal(&'t str),
    /// What is inside of `${..}`.
    Reference(&'t str),
}

/// Cuts a text at what DVC takes as references: not at `\${`, and not at one that is not closed.
pub(super) fn cut(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut done = 0;
    let mut from = 0;
    while let Some(found) = text[from..].find("${").map(|at| from + at) {
        let end = text[found..].find('}').map(|at| found + at);
        match end {
            Some(end) if !text[..found].ends_with('\\') && !text[found..end].contains('\n') => {
                if done < found {
                    pieces.push(Piece::Literal(&text[done..found]));
                }
                pieces.push(Piece::Reference(&text[found + 2..end]));
                done = end + 1;
                from = done;
            }
            _ => from = found + 2,
        }
    }
    if done < text.len() {
        pieces.push(Piece::Literal(&text[done..]));
    }
    pieces
}

/// `a[0].b` is `a.0.b`.
pub(super) fn normalised(reference: &str) -> String {
    reference.replace('[', ".").replace(']', "")
}

/// Text that our templates leave alone.
pub(super) fn escaped(text: &str) -> String {
    text.replace("${", "$${")
}

impl Context<'_> {
    /// The text with our references; what changed its meaning or form goes to `said`.
    pub(super) fn translate(
        &self,
        text: &str,
        usage: Use,
        said: &mut Said,
    ) -> Result<String, String> {
        let mut out = String::new();
        for piece in cut(text) {
            match piece {
                Piece::Literal(literal) => out += &self.literal(literal, usage)?,
                Piece::Reference(inner) => {
                    if out.ends_with('$') {
                        return Err(format!("`$` before `${{{inner}}}` cannot be written here"));
                    }
                    out += &self.reference(inner, usage, said)?;
                }
            }
        }
        Ok(out)
    }

    fn literal(&self, text: &str, usage: Use) -> Result<String, String> {
        let special = ['*', '?', '[', '{'];
        let text = text.replace("\\${", "${");
        match usage {
            Use::Out if text.contains(special) => Err(format!(
                "`{text}` has a character of patterns, which an out cannot have"
            )),
            Use::Dep => Ok(Glob::escape(&text)),
            _ => Ok(escaped(&text)),
        }
    }

    fn reference(&self, inner: &str, usage: Use, said: &mut Said) -> Result<String, String> {
        let path = normalised(inner);
        let nothing = || {
            format!(
                "`${{{inner}}}` refers to nothing in `vars` or a params file{}",
                self.unread
            )
        };
        let (head, rest) = path.split_once('.').unwrap_or((&path, ""));
        if let (Some(variants), "item" | "key") = (self.variants, head) {
            return self.of_instance(variants, &path, rest, usage, said);
        }
        let (node, ours) = find(self.values, &path).ok_or_else(nothing)?;
        if let (Value::Map(_), Use::Command) = (&node.value, usage) {
            let mut options = Vec::new();
            let live = self.is_ours(&path, node);
            flags(node, &path, "", live, said, &mut options)?;
            return Ok(options.join(" "));
        }
        let value = python_text(node)
            .ok_or_else(|| format!("`${{{inner}}}` is {}, and text is needed", node.kind()))?;
        let one_word = usage != Use::Command || is_word(&value);
        let is_ours = self.is_ours(&path, node);
        let goes_up = usage.is_path() && goes_up(&value);
        let has_form = ours && node.value != Value::Null && is_reference(&path);
        if has_form && one_word && is_ours && !goes_up {
            return Ok(format!("${{{path}}}"));
        }
        let why = match (one_word, goes_up, is_ours) {
            (false, ..) => "restage would quote it to be one word",
            (_, true, _) => "it is a path that goes up",
            (.., false) => "the parameter of this name has another value",
            _ => "its form has no like here",
        };
        said.change(format!("`${{{inner}}}` is written out: {why}"));
        said.written_out.insert(path);
        match usage {
            Use::Command => Ok(escaped(&value)),
            usage => self.literal(&value, usage),
        }
    }

    /// `${item.x}` and `${key}`.
    fn of_instance(
        &self,
        variants: &[Variant],
        path: &str,
        rest: &str,
        usage: Use,
        said: &mut Said,
    ) -> Result<String, String> {
        if path == "key" {
            return Ok("${key}".to_owned());
        }
        for Variant { key, item } in variants {
            let (node, ours) = match rest {
                "" => (item, true),
                rest => find(item, rest)
                    .ok_or_else(|| format!("`${{{path}}}` refers to nothing for `{key}`"))?,
            };
            let value = python_text(node).filter(|_| ours).ok_or_else(|| {
                format!("`${{{path}}}` is {} or in a list for `{key}`", node.kind())
            })?;
            if usage.is_path() && goes_up(&value) {
                return Err(format!(
                    "`${{{path}}}` is `{value}` for `{key}`: a path that goes up must be written out"
                ));
            }
            if usage == Use::Command && !is_word(&value) {
                said.change(format!(
                    "`${{{path}}}` is one word here, where DVC lets the shell split it"
                ));
            }
        }
        Ok(format!("${{{path}}}"))
    }

    /// A value with all its references filled in, as DVC does for `foreach` and `matrix`.
    pub(super) fn resolve(&self, node: &Node) -> Result<Node, String> {
        let value = match &node.value {
            Value::Text(text) => {
                let mut filled = String::new();
                let pieces = cut(text);
                for piece in &pieces {
                    match piece {
                        Piece::Literal(literal) => filled += &literal.replace("\\${", "${"),
                        Piece::Reference(inner) => {
                            let found = find(self.values, &normalised(inner));
                            let (found, _) =
                                found.ok_or_else(|| format!("`${{{inner}}}` refers to nothing"))?;
                            if pieces.len() == 1 {
                                return Ok(found.clone());
                            }
                            filled += &python_text(found).ok_or_else(|| {
                                format!("`${{{inner}}}` is {}, and text is needed", found.kind())
                            })?;
                        }
                    }
                }
                Value::Text(filled)
            }
            Value::List(items) => {
                let items = items.iter().map(|item| self.resolve(item));
                Value::List(items.collect::<Result<_, _>>()?)
            }
            Value::Map(entries) => {
                let mut resolved = entries.clone();
                for entry in &mut resolved {
                    entry.value = self.resolve(&entry.value)?;
                }
                Value::Map(resolved)
            }
            other => other.clone(),
        };
        Ok(Node::new(value, node.location))
    }

    /// A text with all its references filled in, for each instance.
    pub(super) fn filled(&self, text: &str) -> Result<Vec<String>, String> {
        let text = Node::new(Value::Text(text.to_owned()), Location::default());
        let fill = |values: &Node| {
            let context = Context {
                values,
                variants: None,
                ..*self
            };
            let filled = context.resolve(&text)?;
            let filled = python_text(&filled);
            filled.ok_or_else(|| "a template in it stands for no text".to_owned())
        };
        let Some(variants) = self.variants else {
            return Ok(vec![fill(self.values)?]);
        };
        let all = variants.iter().map(|Variant { key, item }| {
            let key = Node::new(Value::Text(key.clone()), Location::default());
            let mut entries = vec![entry("item", item.clone()), entry("key", key)];
            entries.extend(self.values.entries().iter().cloned());
            fill(&map(entries))
        });
        all.collect()
    }

    /// The words of a translated command that have references and may name files: as they are, and
    /// filled in for each instance.
    pub(super) fn filled_words(&self, command: &str) -> Vec<(String, Vec<String>)> {
        let words = command.split(|c: char| c.is_whitespace() || "\"'();|&<>=,".contains(c));
        let words = words.filter(|word| word.contains("${") && word.contains('.'));
        let filled = words.filter_map(|word| Some((word.to_owned(), self.filled(word).ok()?)));
        filled.collect()
    }

    /// Whether the pipeline's parameter of this path has this value.
    fn is_ours(&self, path: &str, node: &Node) -> bool {
        let found = find(self.ours, path);
        found.is_some_and(|(found, _)| found.to_json() == node.to_json())
    }

    /// `${x}` alone, if it is a reference of ours to what DVC finds there.
    pub(super) fn whole(&self, node: &Node) -> Option<String> {
        let Value::Text(text) = &node.value else {
            return None;
        };
        match cut(text)[..] {
            [Piece::Reference(inner)] => {
                let path = normalised(inner);
                let (node, ours) = find(self.values, &path)?;
                let ours = ours && self.is_ours(&path, node);
                (ours && is_reference(&path)).then(|| format!("${{{path}}}"))
            }
            _ => None,
        }
    }
}

/// Whether our templates take such a path for a parameter's.
fn is_reference(path: &str) -> bool {
    let head = path.split('.').next().unwrap_or_default();
    let part = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_alphanumeric() || "_-".contains(c))
    };
    path.split('.').all(part) && !RESERVED.contains(&head)
}

/// A value that needs no quotes: DVC puts it in as it is, and so do we.
fn is_word(value: &str) -> bool {
    shell::quote(value, Place::Bare).as_deref() == Some(value)
}

/// A scalar as DVC puts it into text.
fn python_text(node: &Node) -> Option<String> {
    match &node.value {
        Value::Null => Some("None".to_owned()),
        Value::Number(number) if number.is_f64() => number.as_f64().map(python_float),
        _ => node.scalar_text(),
    }
}

/// A float as Python writes it: `1e-05`, `0.0001`, `1.0`, `1e+16`.
fn python_float(float: f64) -> String {
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => format!("{float:?}"),
    }
}

impl Use {
    fn is_path(self) -> bool {
        matches!(self, Self::Dep | Self::Out | Self::Path)
    }
}

/// Whether a path with this part leads elsewhere than it seems to: references are filled in after paths
/// were put together.
fn goes_up(part: &str) -> bool {
    part.is_empty()
        || part.starts_with('/')
        || part.split('/').any(|part| [".", ".."].contains(&part))
}

/// The paths of all references in a value.
pub(super) fn references(node: &Node) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    match &node.value {
        Value::Text(text) => {
            for piece in cut(text) {
                if let Piece::Reference(inner) = piece {
                    found.insert(normalised(inner));
                }
            }
        }
        Value::List(items) => found.extend(items.iter().flat_map(references)),
        Value::Map(entries) => {
            found.extend(entries.iter().flat_map(|entry| references(&entry.value)));
        }
        _ => {}
    }
    found
}

/// A map in a command is options for a program: `--lr 0.1 --layers 3`. `live`: references to it are
/// references of ours.
fn flags(
    node: &Node,
    path: &str,
    name: &str,
    live: bool,
    said: &mut Said,
    out: &mut Vec<String>,
) -> Result<(), String> {
    // Another key would be another option.
    said.written_out.insert(format!("{path}.*"));
    for entry in node.entries() {
        let (path, name) = (
            format!("{path}.{}", entry.key),
            match name {
                "" => entry.key.clone(),
                name => format!("{name}.{}", entry.key),
            },
        );
        let quoted = |node: &Node| {
            let text = python_text(node)?;
            Some(escaped(&shell::quote(&text, Place::Bare)?))
        };
        let value = &entry.value.value;
        let scalar = matches!(value, Value::Text(_) | Value::Number(_));
        if live && scalar && is_reference(&path) {
            out.push(format!("--{name} ${{{path}}}"));
            continue;
        }
        match value {
            Value::Map(_) => {
                flags(&entry.value, &path, &name, live, said, out)?;
                continue;
            }
            Value::Bool(true) => out.push(format!("--{name}")),
            Value::Bool(false) => {}
            Value::List(items) => {
                let items: Option<Vec<String>> = items.iter().map(quoted).collect();
                let items = items.ok_or_else(|| format!("`{path}` has a list within a list"))?;
                if !items.is_empty() {
                    out.push(format!("--{name} {}", items.join(" ")));
                }
            }
            _ => out.push(format!(
                "--{name} {}",
                quoted(&entry.value).unwrap_or_default()
            )),
        }
        said.written_out.insert(path);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_python_does() {
        for (float, text) in [
            (1e-5, "1e-05"),
            (-2.5e-7, "-2.5e-07"),
            (1e-4, "0.0001"),
            (0.1, "0.1"),
            (1.0, "1.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (0.0, "0.0"),
        ] {
            assert_eq!(python_float(float), text);
        }
    }
}
