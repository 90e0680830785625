//! YAML text to located nodes, by the event parser that serde-saphyr stands on: serde itself
//! stops at the first mistake and forgets where a key stood.

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::diagnostic::Diagnostic;
use super::node::{Entry, Node, Value};
use super::scalar::{self, ScalarError};
use super::syntax::syntax_error;
use restage_core::span::Location;

/// Values that aliases may add: a few lines can otherwise grow without bound.
const ALIAS_VALUES: usize = 100_000;
/// Maps and lists within each other, aliases followed.
const DEPTH: usize = 400;

/// Reads one document. `None`: it is not YAML (and `report` says why); otherwise its value,
/// and `report` got what is wrong in itself: repeated keys, unusable numbers, tags.
pub fn parse(text: &str, report: &mut Vec<Diagnostic>) -> Option<Node> {
    read(text, false, report)
}

/// Reads one document of results. Numbers that JSON cannot hold, such as `.nan` and `1e400`, are text.
pub fn parse_data(text: &str, report: &mut Vec<Diagnostic>) -> Option<Node> {
    read(text, true, report)
}

fn read(text: &str, any_number: bool, report: &mut Vec<Diagnostic>) -> Option<Node> {
    let mut builder = Builder {
        text,
        any_number,
        report,
        frames: Vec::new(),
        anchors: HashMap::new(),
        alias_values: 0,
        root: None,
    };
    for event in Parser::new_from_str(text) {
        let outcome = match event {
            Ok((event, span)) => builder.event(&event, span),
            Err(error) => Err(Box::new(syntax_error(text, &error, builder.open_bracket()))),
        };
        if let Err(fatal) = outcome {
            builder.report.push(*fatal);
            return None;
        }
    }
    let start = Location {
        file: 0,
        offset: 0,
        len: 0,
        line: 1,
    };
    Some(builder.root.unwrap_or(Node::new(Value::Null, start)))
}

struct Builder<'a> {
    text: &'a str,
    any_number: bool,
    report: &'a mut Vec<Diagnostic>,
    frames: Vec<Frame>,
    anchors: HashMap<usize, Node>,
    alias_values: usize,
    root: Option<Node>,
}

/// A list or map that is still open.
struct Frame {
    start: Location,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        /// The same keys, to find repetitions in long maps quickly.
        seen: HashMap<String, Location>,
        key: Option<(String, Location)>,
        merges: Vec<Node>,
    },
}

type Step = Result<(), Box<Diagnostic>>;

impl Builder<'_> {
    fn event(&mut self, event: &Event<'_>, span: Span) -> Step {
        let location = locate(self.text, span);
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(
                    Diagnostic::new(location, "the file has a second document", "begins here")
                        .hint("keep one: everything stands under the same top-level fields")
                        .into(),
                )
            }
            Event::Scalar(text, style, anchor, tag) => {
                let value = self.scalar(text, *style, tag.as_deref(), span);
                self.complete(Node::new(value, location), *anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.open(span, *anchor, tag.as_deref(), Content::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                let content = Content::Map {
                    entries: Vec::new(),
                    seen: HashMap::new(),
                    key: None,
                    merges: Vec::new(),
                };
                self.open(span, *anchor, tag.as_deref(), content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(location),
            Event::Alias(anchor) => {
                let node = self.alias(*anchor, location)?;
                self.complete(node, 0)
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, span: Span, anchor: usize, tag: Option<&Tag>, content: Content) -> Step {
        self.check_tag(tag, span);
        let start = locate(self.text, span);
        if self.frames.len() >= DEPTH {
            return Err(too_deep(start));
        }
        self.frames.push(Frame {
            start,
            anchor,
            content,
        });
        Ok(())
    }

    /// The innermost `[` or `{` that is not closed yet.
    fn open_bracket(&self) -> Option<Location> {
        let starts = self.frames.iter().rev().map(|frame| frame.start);
        let mut brackets = starts.filter(|start| self.is_bracket(*start));
        brackets.next().map(|start| Location { len: 1, ..start })
    }

    fn is_bracket(&self, start: Location) -> bool {
        matches!(self.text.as_bytes().get(start.offset), Some(b'[' | b'{'))
    }

    fn close(&mut self, end: Location) -> Step {
        // The parser opens what it closes; without a frame there is nothing to do.
        let Some(frame) = self.frames.pop() else {
            return Ok(());
        };
        let mut last = frame.start.end().max(frame.start.offset);
        let value = match frame.content {
            Content::List(items) => {
                last = items
                    .iter()
                    .map(|node| node.location.end())
                    .fold(last, usize::max);
                Value::List(items)
            }
            Content::Map {
                mut entries,
                seen,
                merges,
                ..
            } => {
                for entry in &entries {
                    last = last
                        .max(entry.value.location.end())
                        .max(entry.key_location.end());
                }
                let mut added = HashSet::new();
                for merged in merges {
                    for entry in merged.entries() {
                        let merged = || added.contains(&entry.key);
                        if !seen.contains_key(&entry.key) && !merged() {
                            added.insert(entry.key.clone());
                            entries.push(entry.clone());
                        }
                    }
                }
                Value::Map(entries)
            }
        };
        // A flow collection ends with its bracket; a block's end mark is where the next thing begins.
        if self.is_bracket(frame.start) && end.len == 1 {
            last = end.end();
        }
        let len = last.saturating_sub(frame.start.offset);
        let node = Node::new(value, Location { len, ..frame.start });
        self.complete(node, frame.anchor)
    }

    /// A finished value goes into what surrounds it, as key or value.
    fn complete(&mut self, node: Node, anchor: usize) -> Step {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut frame.content {
            Content::List(items) => items.push(node),
            Content::Map {
                entries,
                seen,
                key,
                merges,
            } => match key.take() {
                None => {
                    let text = key_text(self.text, &node)?;
                    *key = Some((text, node.location));
                }
                // In quotes it is a key like any other.
                Some((name, location))
                    if name == "<<"
                        && self.text.get(location.offset..location.end()) == Some("<<") =>
                {
                    merge_sources(location, node, merges, self.report);
                }
                Some((key, key_location)) => {
                    if let Some(first) = seen.get(&key) {
                        let message = format!("`{key}` is given twice");
                        self.report.push(
                            Diagnostic::new(key_location, message, "again here")
                                .note_at("given first", *first)
                                .hint("keep one of the two"),
                        );
                    } else {
                        // Nothing written: the place of the value is that of its key.
                        let mut value = node;
                        if value.location.len == 0 {
                            value.location = key_location;
                        }
                        seen.insert(key.clone(), key_location);
                        entries.push(Entry {
                            key,
                            key_location,
                            value,
                        });
                    }
                }
            },
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, location: Location) -> Result<Node, Box<Diagnostic>> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(Diagnostic::new(
                location,
                "an alias refers to the value that it stands in",
                "this would never end",
            )
            .into());
        };
        let (size, depth) = node.measure();
        if self.frames.len() + depth > DEPTH {
            return Err(too_deep(location));
        }
        self.alias_values += size;
        if self.alias_values > ALIAS_VALUES {
            let message = format!("aliases expand to more than {ALIAS_VALUES} values");
            return Err(Diagnostic::new(location, message, "too many by here").into());
        }
        Ok(node.clone())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Value {
        let as_text = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
        if !as_text {
            self.check_tag(tag, span);
        }
        if as_text || style != ScalarStyle::Plain {
            return Value::Text(text.to_owned());
        }
        scalar::resolve(text).unwrap_or_else(|error| {
            if self.any_number {
                return Value::Text(text.to_owned());
            }
            let reason = match error {
                ScalarError::TooLarge => "does not fit 64 bits",
                ScalarError::NotFinite => "is not a number in JSON, which stages are given",
            };
            let message = format!("`{text}` {reason}");
            let hint = format!("write \"{text}\" if text is meant");
            self.report.push(
                Diagnostic::new(locate(self.text, span), message, "not usable here").hint(hint),
            );
            Value::Null
        })
    }

    fn check_tag(&mut self, tag: Option<&Tag>, span: Span) {
        let Some(tag) = tag else { return };
        let plain = ["map", "seq"]
            .iter()
            .any(|kind| tag.is_yaml_core_schema_tag(kind));
        if !plain {
            let message = format!("tag `{}` means nothing here", tag.original());
            let location = locate(self.text, span.tag_span().unwrap_or(span));
            self.report
                .push(Diagnostic::new(location, message, "has a tag").hint("remove the tag"));
        }
    }
}

fn too_deep(location: Location) -> Box<Diagnostic> {
    let message = format!("maps and lists are nested more than {DEPTH} deep");
    Box::new(Diagnostic::new(location, message, "too deep"))
}

/// The text of a key, as it was written if it is not text.
fn key_text(text: &str, node: &Node) -> Result<String, Box<Diagnostic>> {
    let written = text
        .get(node.location.offset..node.location.end())
        .unwrap_or_default();
    match &node.value {
        Value::Text(key) if !key.is_empty() => Ok(key.clone()),
        Value::Null if written.is_empty() => Err(Diagnostic::new(
            node.location,
            "a key is missing before `:`",
            "expected a key",
        )
        .into()),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(written.to_owned()),
        Value::Text(_) => Err(Diagnostic::new(node.location, "a key is empty", "empty").into()),
        Value::List(_) | Value::Map(_) => {
            let message = format!("a key must be text, not {}", node.kind());
            let hint = "a template such as `${x}` must stand in quotes inside `{..}` and `[..]`";
            Err(Diagnostic::new(node.location, message, "used as a key")
                .hint(hint)
                .into())
        }
    }
}

/// `<<: *base`, or a list of such.
fn merge_sources(key: Location, node: Node, into: &mut Vec<Node>, report: &mut Vec<Diagnostic>) {
    let sources = match node.value {
        Value::List(items) => items,
        _ => vec![node],
    };
    for source in sources {
        if let Value::Map(_) = source.value {
            into.push(source);
        } else {
            let message = format!("`<<` merges maps, and this is {}", source.kind());
            report.push(
                Diagnostic::new(key, message, "nothing to merge").hint("write `<<: *anchor`"),
            );
        }
    }
}

/// The bytes of a span, made sure to lie in the text, between characters.
fn locate(text: &str, span: Span) -> Location {
    let byte = |mark: granit_parser::Marker| {
        let offset = mark.byte_offset().unwrap_or_else(|| {
            text.char_indices()
                .nth(mark.index())
                .map_or(text.len(), |(offset, _)| offset)
        });
        text.floor_char_boundary(offset.min(text.len()))
    };
    let (start, end) = (byte(span.start), byte(span.end));
    let marked = text.get(start..end).unwrap_or_default();
    Location {
        file: 0,
        offset: start,
        len: marked.trim_end().len(),
        line: span.start.line().max(1),
    }
}
