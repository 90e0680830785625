//! What a field of the file is: its name, what it may hold, what it means, and who reads it.
//!
//! Each kind of map has one `Mapping`, next to its reader. The reader's dispatch, the messages for
//! unknown and missing fields, the JSON Schema (`schema`) and the reference page
//! (`reference`) all come from it, so a new field is one row and its reader.

use super::diagnostic::Diagnostic;
use super::node::{Entry, Node, Value};
use restage_core::span::Location;
use restage_core::suggest;

/// A kind of map in the file. `R` reads a field's value; a field without is read before there is
/// anything to read the others into.
pub(crate) struct Mapping<R: 'static> {
    pub(crate) about: About,
    /// In the order in which they are read and documented.
    pub(crate) fields: &'static [(Field, Option<R>)],
}

/// What a kind of map is called, and what holds for it as a whole.
pub(crate) struct About {
    /// Its name in the JSON Schema, `Stage`.
    pub(crate) name: &'static str,
    /// Its heading in the reference, `A stage`.
    pub(crate) title: &'static str,
    /// "a stage", as in "not a stage field".
    pub(crate) of: &'static str,
    pub(crate) doc: &'static str,
    /// Words of other tools that have no field here, and what to do instead.
    pub(crate) instead: &'static [(&'static [&'static str], &'static str)],
    /// Sets of fields of which exactly one must be complete.
    pub(crate) one_of: &'static [&'static [&'static str]],
    /// What keys that are not fields may hold. None: there can be no others.
    pub(crate) others: Option<&'static Kind>,
}

impl About {
    /// With no advice on other tools' words, no alternatives and no other keys.
    pub(crate) const fn new(
        name: &'static str,
        title: &'static str,
        of: &'static str,
        doc: &'static str,
    ) -> Self {
        Self {
            name,
            title,
            of,
            doc,
            instead: &[],
            one_of: &[],
            others: None,
        }
    }
}

/// One field of a map.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) need: Need,
    pub(crate) key: Key,
    pub(crate) doc: &'static str,
    /// YAML, where a picture of it helps. Empty: none.
    pub(crate) example: &'static str,
    /// What other tools call it.
    pub(crate) words: &'static [&'static str],
}

/// Whether a field must be there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Need {
    /// Yes; what to write where it is missing.
    Required(&'static str),
    /// In some maps, and in which.
    Sometimes(&'static str),
    /// No; what holds without it.
    Default(&'static str),
}

/// Whether what a field says is part of the stage's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// Of no stage.
    Unrelated,
    /// A change runs the stage again.
    Part,
    /// A change runs nothing.
    Outside,
}

/// What a value may be.
pub(crate) enum Kind {
    /// This number.
    Constant(u64),
    Text,
    /// Text that is not empty.
    Filled,
    /// True or false.
    Flag,
    /// A whole number.
    Whole,
    /// A whole number within bounds.
    Count(u64, u64),
    /// Text, a number, true or false.
    Scalar,
    /// A map of anything.
    Tree,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A map of one of these words to a number.
    Bound(&'static [&'static str]),
    /// A map of at least one of these words to numbers.
    Bounds(&'static [&'static str]),
    List(&'static Kind),
    /// A list of at least one item.
    Some(&'static Kind),
    /// A map from names to values of one kind.
    ByName(&'static Kind),
    OrNull(&'static Kind),
    OneOf(&'static [Kind]),
    Map(&'static dyn Shape),
    /// A value with a name for its form: a duration.
    Named(&'static str, &'static Kind),
}

/// `${some.list}`.
pub(crate) const TEMPLATE: Kind = Kind::Named("a template that stands for it", &Kind::Text);

/// A mapping, whoever reads it.
pub(crate) trait Shape: Sync {
    fn about(&self) -> &About;
    fn fields(&self) -> Vec<&Field>;
}

impl<R: Sync> Shape for Mapping<R> {
    fn about(&self) -> &About {
        &self.about
    }

    fn fields(&self) -> Vec<&Field> {
        self.fields.iter().map(|(field, _)| field).collect()
    }
}

impl Field {
    const fn new(name: &'static str, kind: Kind, need: Need, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            need,
            key: Key::Unrelated,
            doc,
            example: "",
            words: &[],
        }
    }

    /// One that must be there: what to write where it is missing, and what it means.
    pub(crate) const fn required(
        name: &'static str,
        kind: Kind,
        hint: &'static str,
        doc: &'static str,
    ) -> Self {
        Self::new(name, kind, Need::Required(hint), doc)
    }

    /// One that can be left out: what holds without it, and what it means.
    pub(crate) const fn optional(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        Self::new(name, kind, Need::Default(default), doc)
    }

    /// One that some maps must have: which, and what it means.
    pub(crate) const fn sometimes(
        name: &'static str,
        kind: Kind,
        when: &'static str,
        doc: &'static str,
    ) -> Self {
        Self::new(name, kind, Need::Sometimes(when), doc)
    }

    pub(crate) const fn key(mut self, key: Key) -> Self {
        self.key = key;
        self
    }

    pub(crate) const fn example(mut self, example: &'static str) -> Self {
        self.example = example;
        self
    }

    pub(crate) const fn words(mut self, words: &'static [&'static str]) -> Self {
        self.words = words;
        self
    }
}

impl<R: Copy> Mapping<R> {
    /// The fields that a map has and that have a reader.
    pub(crate) fn present<'n>(&self, node: &'n Node) -> impl Iterator<Item = (R, &'n Entry)> {
        let fields = self.fields.iter();
        fields.filter_map(|(field, read)| Some(((*read)?, node.entry(field.name)?)))
    }

    /// Reports the fields that are not known and returns whether there was none; `None` if this is
    /// not a map (reported too).
    pub(crate) fn check(
        &self,
        node: &Node,
        owner: &str,
        report: &mut Vec<Diagnostic>,
    ) -> Option<bool> {
        let Value::Map(entries) = &node.value else {
            let hint = match node.scalar_text() {
                Some(text) if self.has("cmd") && node.value != Value::Null => {
                    format!("write `cmd: {text}` below it, and `outs:` with what that writes")
                }
                _ => self.all(),
            };
            let error = Diagnostic::new(
                node.location,
                format!("{owner} must be a map of fields"),
                found(node),
            );
            report.push(error.hint(hint));
            return None;
        };
        let mut known = true;
        for entry in entries.iter().filter(|entry| !self.has(&entry.key)) {
            let message = format!("unknown field `{}` in {owner}", entry.key);
            let label = format!("not {} field", self.about.of);
            let hint = self.advice(&entry.key);
            report.push(Diagnostic::new(entry.key_location, message, label).hint(hint));
            known = false;
        }
        Some(known)
    }

    /// The same, and reports at `at` the fields that are missing. Where a field is unknown it is
    /// probably the missing one, misspelt: then one message is enough.
    pub(crate) fn check_all(
        &self,
        node: &Node,
        at: Location,
        owner: &str,
        report: &mut Vec<Diagnostic>,
    ) -> Option<()> {
        if self.check(node, owner, report)? {
            for (field, hint) in self.missing(node) {
                report.push(missing(at, owner, field, hint));
            }
        }
        Some(())
    }

    /// The required fields that a map lacks, and what to write.
    pub(crate) fn missing(
        &self,
        node: &Node,
    ) -> impl Iterator<Item = (&'static str, &'static str)> {
        let fields = self.fields.iter();
        fields.filter_map(|(field, _)| match field.need {
            Need::Required(hint) if node.get(field.name).is_none() => Some((field.name, hint)),
            _ => None,
        })
    }

    fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(field, _)| field.name == name)
    }

    fn advice(&self, word: &str) -> String {
        let plain = word.to_lowercase().replace(['-', ' '], "_");
        let mut fields = self.fields.iter();
        let ours = fields.find(|(field, _)| field.words.contains(&plain.as_str()));
        if let Some((field, _)) = ours {
            return format!("did you mean `{}`?", field.name);
        }
        let mut instead = self.about.instead.iter();
        if let Some((_, advice)) = instead.find(|(words, _)| words.contains(&plain.as_str())) {
            return (*advice).to_owned();
        }
        let names = self.fields.iter().map(|(field, _)| field.name);
        match suggest::closest(word, names) {
            Some(known) => format!("did you mean `{known}`?"),
            None => self.all(),
        }
    }

    fn all(&self) -> String {
        let fields = self.fields.iter();
        let quoted: Vec<String> = fields
            .map(|(field, _)| format!("`{}`", field.name))
            .collect();
        format!("its fields are {}", quoted.join(", "))
    }
}

/// A map lacks a field.
pub(crate) fn missing(at: Location, owner: &str, field: &str, hint: &str) -> Diagnostic {
    let message = format!("{owner} has no `{field}`");
    Diagnostic::new(at, message, format!("expected `{field}`")).hint(hint)
}

/// A field that holds something else than it should.
pub fn expected(node: &Node, field: &str, owner: &str, what: &str) -> Diagnostic {
    expected_of(node, &format!("`{field}`"), owner, what)
}

/// The same for what is not a field itself: "an item of `deps`".
pub fn expected_of(node: &Node, subject: &str, owner: &str, what: &str) -> Diagnostic {
    Diagnostic::new(
        node.location,
        format!("{subject} of {owner} must be {what}"),
        found(node),
    )
}

/// "this is a list".
fn found(node: &Node) -> String {
    match node.value {
        Value::Null => "nothing is written here".to_owned(),
        _ => format!("this is {}", node.kind()),
    }
}
