//! What a stage reads and writes.

use super::reader::StageReader;
use crate::diagnostic::Diagnostic;
use crate::fields::{About, Field, Key, Kind, Mapping, expected};
use crate::node::{Entry, Node, Value};
use crate::paths;
use crate::pipeline::{Dep, Out, Place, Stage};
use crate::suggest;
use restage_core::span::Location;

/// Reads a field of an out; the text is "an output of stage `train`".
type Read = fn(&mut StageReader<'_>, &mut Out, &Node, &str);

pub(super) static OUT: Mapping<Read> = Mapping {
    about: About {
        instead: &[(
            &["cache", "persist", "remote", "push", "desc"],
            "an output has a `path`, can be `volatile`, and has a `place`, nothing else",
        )],
        ..About::new(
            "FullOut",
            "An output",
            "an output",
            "A file or folder that a stage writes. A path alone stands for `{path: PATH}`.",
        )
    },
    fields: &[
        (
            Field::required(
                "path",
                Kind::Text,
                "write `{path: \"file.csv\", volatile: true}`",
                "A file or folder below the pipeline's folder.",
            )
            .key(Key::Part)
            .words(&["file", "name", "out"]),
            None,
        ),
        (
            Field::optional(
                "volatile",
                Kind::Scalar,
                "false",
                "Whether it differs from run to run, as times do. It is kept, but if only its \
                 bytes change, nothing that reads it runs again.",
            )
            .key(Key::Part),
            Some(|reader, out, node, what| reader.volatile(out, node, what)),
        ),
        (
            Field::optional(
                "place",
                Kind::Word(&["copy", "link"]),
                "copy",
                "How it gets from the store into the workspace. `copy` is a separate file, which \
                 you may edit: it shares blocks with the store where the file system can (btrfs, \
                 XFS, APFS), and takes up its size again where it cannot. `link` is read-only and \
                 never takes up space twice: it is for what is large and nobody edits, such as \
                 data and weights. A change counts from the next time that the file is put there.",
            )
            .key(Key::Outside)
            .example("outs: [{path: weights.bin, place: link}]")
            .words(&["placement", "link", "link_type", "mode"]),
            Some(|reader, out, node, what| reader.place(out, node, what)),
        ),
    ],
};

/// What to do about a stage that writes nothing.
pub(super) const NO_OUTS: &str = "list the files or folders it writes: without them nothing can \
                                  tell whether it ran, and nothing can use its result";

impl StageReader<'_> {
    pub(super) fn deps(&mut self, stage: &mut Stage, entry: &Entry) {
        for item in self.items(entry) {
            let Some(text) = self.text(&item, "an item of `deps`") else {
                continue;
            };
            match paths::dep(&text, item.location, self.owner()) {
                Ok(pattern) => stage.deps.push(Dep {
                    pattern,
                    location: item.location,
                }),
                Err(error) => self.report.push(*error),
            }
        }
    }

    pub(super) fn outs(&mut self, stage: &mut Stage, entry: &Entry) {
        if matches!(&entry.value.value, Value::List(items) if items.is_empty()) {
            self.no_outs(entry.key_location);
        }
        for item in self.items(entry) {
            stage.outs.extend(self.out(&item));
        }
    }

    pub(super) fn no_outs(&mut self, at: Location) {
        let message = format!("{} writes nothing", self.owner());
        self.report
            .push(Diagnostic::new(at, message, "has no `outs`").hint(NO_OUTS));
    }

    fn out(&mut self, item: &Node) -> Option<Out> {
        let owner = self.owner();
        let what = format!("an output of {owner}");
        let mut path = item;
        if let Value::Map(_) = item.value {
            OUT.check_all(item, item.location, &what, self.report)?;
            path = item.get("path")?;
        }
        let text = self.text(path, "an item of `outs`")?;
        let any_seed = self.templates.of_any_seed(path);
        let path = paths::out(&text, path.location, owner, self.file_name)
            .map_err(|error| self.report.push(*error))
            .ok()?;
        let mut out = Out {
            path,
            volatile: false,
            place: Place::default(),
            any_seed,
            location: item.location,
        };
        for (read, entry) in OUT.present(item) {
            read(self, &mut out, &entry.value, &what);
        }
        Some(out)
    }

    fn volatile(&mut self, out: &mut Out, node: &Node, what: &str) {
        let Some(value) = self.templates.value(node, self.report) else {
            return;
        };
        match value.value {
            Value::Bool(volatile) => out.volatile = volatile,
            _ => self
                .report
                .push(expected(node, "volatile", what, "true or false")),
        }
    }

    fn place(&mut self, out: &mut Out, node: &Node, what: &str) {
        let written = match &node.value {
            Value::Text(text) => text.as_str(),
            _ => "",
        };
        match written {
            "copy" => out.place = Place::Copy,
            "link" => out.place = Place::Link,
            _ => {
                let slip = suggest::closest(written, ["copy", "link"]);
                let hint = slip.map(|word| format!("did you mean `{word}`?"));
                let error = expected(node, "place", what, "`copy` or `link`");
                self.report.push(error.maybe_hint(hint));
            }
        }
    }
}
