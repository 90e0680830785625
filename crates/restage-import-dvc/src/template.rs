//! DVC's `${..}` as ours. Both name values by dotted paths; ours are quoted in commands, and cannot
//! name items of lists: where that matters, the value itself is written.

use super::params::find;
use restage_core::glob::Glob;
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
    /// For people, and for names.
    Text,
}

/// What references can refer to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    /// `params.yaml` and `vars`.
    pub(super) values: &'a Node,
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
    /// The text with our references; what changed its meaning or form goes to `changes`.
    pub(super) fn translate(
        &self,
        text: &str,
        usage: Use,
        changes: &mut Vec<String>,
    ) -> Result<String, String> {
        let mut out = String::new();
        for piece in cut(text) {
            match piece {
                Piece::Literal(literal) => out += &self.literal(literal, usage)?,
                Piece::Reference(inner) => {
                    if out.ends_with('$') {
                        return Err(format!("`$` before `${{{inner}}}` cannot be written here"));
                    }
                    out += &self.reference(inner, usage, changes)?;
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

    fn reference(
        &self,
        inner: &str,
        usage: Use,
        changes: &mut Vec<String>,
    ) -> Result<String, String> {
        let path = normalised(inner);
        let nothing = || {
            format!(
                "`${{{inner}}}` refers to nothing in `vars` or a params file{}",
                self.unread
            )
        };
        let (head, rest) = path.split_once('.').unwrap_or((&path, ""));
        if let (Some(variants), "item" | "key") = (self.variants, head) {
            return self.of_instance(variants, &path, rest, usage, changes);
        }
        let (node, ours) = find(self.values, &path).ok_or_else(nothing)?;
        if let (Value::Map(_), Use::Command) = (&node.value, usage) {
            let mut options = Vec::new();
            flags(node, &path, "", &mut options)?;
            return Ok(options.join(" "));
        }
        let value = python_text(node)
            .ok_or_else(|| format!("`${{{inner}}}` is {}, and text is needed", node.kind()))?;
        let one_word = usage != Use::Command || is_word(&value);
        if ours && one_word && node.value != Value::Null && is_reference(&path) {
            return Ok(format!("${{{path}}}"));
        }
        changes.push(match one_word {
            true => format!("`${{{inner}}}` is written out: its form has no like here"),
            false => {
                format!("`${{{inner}}}` is written out: restage would quote it to be one word")
            }
        });
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
        changes: &mut Vec<String>,
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
            if usage == Use::Command && !is_word(&value) {
                changes.push(format!(
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

    /// `${x}` alone, if it is a reference of ours to what DVC finds there.
    pub(super) fn whole(&self, node: &Node) -> Option<String> {
        let Value::Text(text) = &node.value else {
            return None;
        };
        match cut(text)[..] {
            [Piece::Reference(inner)] => {
                let path = normalised(inner);
                let (_, ours) = find(self.values, &path)?;
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

/// A map in a command is options for a program: `--lr 0.1 --layers 3`.
fn flags(node: &Node, path: &str, name: &str, out: &mut Vec<String>) -> Result<(), String> {
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
        match &entry.value.value {
            Value::Bool(true) => out.push(format!("--{name}")),
            Value::Bool(false) => {}
            Value::Map(_) => flags(&entry.value, &path, &name, out)?,
            Value::List(items) => {
                let items: Option<Vec<String>> = items.iter().map(quoted).collect();
                let items = items.ok_or_else(|| format!("`{path}` has a list within a list"))?;
                if !items.is_empty() {
                    out.push(format!("--{name} {}", items.join(" ")));
                }
            }
            Value::Null => out.push(format!("--{name} None")),
            _ if is_reference(&path) => out.push(format!("--{name} ${{{path}}}")),
            _ => out.push(format!(
                "--{name} {}",
                quoted(&entry.value).unwrap_or_default()
            )),
        }
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
