//! What a stage reads and writes.

use super::reader::StageReader;
use crate::diagnostic::Diagnostic;
use crate::fields::{About, Field, Key, Kind, Mapping, expected};
use crate::node::{Entry, Node, Value};
use crate::paths;
use crate::pipeline::{Dep, DepPattern, Out, Place, Stage};
use restage_core::span::Location;
use restage_core::suggest;

/// Reads a field of an out; the text is "an output of stage `train`".
type Read = fn(&mut StageReader<'_>, &mut Out, &Node, &str);

pub(super) static OUT: Mapping<Read> = Mapping {
    about: About {
        instead: &[(
            &["cache", "persist", "remote", "push", "desc"],
            "an output has a `path`, can be `volatile` or `temporary`, and has a `place`, nothing else",
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
                "temporary",
                Kind::Scalar,
                "false",
                "Whether its bytes are given up when all stages that read it have their results. It is \
                 never put into the workspace. Its stage stays up to date, and runs again only if a \
                 stage that reads it must run; if it then writes something else, all that read it count as \
                 changed. In a store that workspaces share it is kept.",
            )
            .key(Key::Outside)
            .example("outs: [{path: aligned.bam, temporary: true}]")
            .words(&["temp", "tmp", "intermediate", "ephemeral", "transient"]),
            Some(|reader, out, node, what| reader.temporary(out, node, what)),
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

/// Reads a field of a dep; the text is "a dep of stage `train`".
type ReadDep = fn(&mut StageReader<'_>, &mut Dep, &Node, &str);

pub(super) static DEP: Mapping<ReadDep> = Mapping {
    about: About::new(
        "FullDep",
        "An input",
        "an input",
        "A file, folder or pattern that a stage reads. A path or pattern alone stands for \
         `{path: PATH}`.\n\n\
         A link within a folder stays a link. A link that leads out of its folder counts as what it \
         leads to, so an edit there runs the stage again; one that leads nowhere, or round in a \
         circle, is an error. The same holds for folders that stages write.\n\n\
         Folders and patterns pass over what editors, interpreters and version control leave: \
         `__pycache__/`, `*.pyc`, `.ipynb_checkpoints/`, the caches of mypy, pytest and ruff, \
         `.DS_Store`, `._*`, `Thumbs.db`, `desktop.ini`, swap and backup files (`.*.sw?`, `*.swp`, `*~`, `.#*`, \
         `#*#`), `.nfs*`, `.fuse_hidden*`, `.git`, `.hg/`, `.jj/`, `.svn/` and `.restage/`. \
         The file `.restageignore` in the pipeline's folder adds rules in gitignore's syntax; \
         `!*.pyc` takes one back. What a stage writes into its outs is kept, whatever its name.",
    ),
    fields: &[
        (
            Field::required(
                "path",
                Kind::Text,
                "write `{path: \"data/*.csv\", optional: true}`",
                "A file, folder or pattern below the pipeline's folder.",
            )
            .key(Key::Part)
            .words(&["file", "name", "dep", "pattern", "glob"]),
            None,
        ),
        (
            Field::optional(
                "optional",
                Kind::Scalar,
                "false",
                "Whether a pattern may match nothing. Without it that is an error.",
            )
            .key(Key::Outside)
            .example("deps: [{path: \"extra/*.csv\", optional: true}]")
            .words(&["required", "missing_ok", "if_exists"]),
            Some(|reader, dep, node, what| reader.optional(dep, node, what)),
        ),
    ],
};

/// What to do about a stage that writes nothing.
pub(super) const NO_OUTS: &str = "list the files or folders it writes: without them nothing can \
                                  tell whether it ran, and nothing can use its result";

impl StageReader<'_> {
    pub(super) fn deps(&mut self, stage: &mut Stage, entry: &Entry) {
        for item in self.items(entry) {
            stage.deps.extend(self.dep(&item));
        }
    }

    fn dep(&mut self, item: &Node) -> Option<Dep> {
        let what = format!("an input of {}", self.owner());
        let mut path = item;
        if let Value::Map(_) = item.value {
            DEP.check_all(item, item.location, &what, self.report)?;
            path = item.get("path")?;
        }
        let text = self.text(path, "an item of `deps`")?;
        let text = self.templates.scope.place.below(&text);
        let pattern = paths::dep(&text, path.location, self.owner())
            .map_err(|error| self.report.push(*error))
            .ok()?;
        let mut dep = Dep {
            pattern,
            optional: false,
            location: item.location,
        };
        for (read, entry) in DEP.present(item) {
            read(self, &mut dep, &entry.value, &what);
        }
        Some(dep)
    }

    fn optional(&mut self, dep: &mut Dep, node: &Node, what: &str) {
        let Some(value) = self.templates.value(node, self.report) else {
            return;
        };
        match (&value.value, &dep.pattern) {
            (Value::Bool(optional), DepPattern::Glob(_)) => dep.optional = *optional,
            (Value::Bool(false), DepPattern::Path(_)) => {}
            (Value::Bool(true), DepPattern::Path(path)) => {
                let message = format!("{what} is optional and not a pattern: `{path}`");
                let label = "only a pattern can match nothing";
                let hint = format!("write `{path}` alone, or a pattern");
                let error = Diagnostic::new(node.location, message, label);
                self.report.push(error.hint(hint));
            }
            _ => {
                let error = expected(node, "optional", what, "true or false");
                self.report.push(error);
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
        let text = self.templates.scope.place.below(&text);
        let path = paths::out(&text, path.location, owner, self.file_name)
            .map_err(|error| self.report.push(*error))
            .ok()?;
        let mut out = Out {
            path,
            volatile: false,
            temporary: false,
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

    fn temporary(&mut self, out: &mut Out, node: &Node, what: &str) {
        let Some(value) = self.templates.value(node, self.report) else {
            return;
        };
        match value.value {
            Value::Bool(temporary) => out.temporary = temporary,
            _ => self
                .report
                .push(expected(node, "temporary", what, "true or false")),
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
