//! `data:`, files and folders that no stage makes and that lie outside the pipeline's folder
//! (docs/adr/0025). It opens none of them: where a machine has them is found out later.

use super::data_path::{Data, DataPath};
use super::diagnostic::Diagnostic;
use super::fields::{About, Field, Key, Kind, Mapping, expected};
use super::names;
use super::node::{Entry, Node, Value, printable};
use super::paths;
use restage_core::rel_path::RelPath;

/// What is read of one entry of the map.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    path: Option<DataPath>,
    place: Option<RelPath>,
}

pub(crate) static DATA: Mapping<fn(&mut Reader<'_>, &mut Draft, &Node)> = Mapping {
    about: About::new(
        "Data",
        "Data",
        "a data",
        "A file or folder outside the pipeline's folder that no stage makes. A stage reads it by \
         naming its `place`, or what lies in there, under `deps`. Its content is part of that stage's \
         key; where it lies is not. What it was at first is pinned in pipeline.lock: a change stops \
         the stages that read it until `restage data update NAME` accepts it.",
    ),
    fields: &[
        (
            Field::required(
                "path",
                Kind::Filled,
                "write `path: /where/it/is`",
                "Where it is: absolute, or relative to the pipeline's folder. `${env.NAME}` stands for a \
                 variable of whoever runs restage. A line `NAME = \"/elsewhere\"` under `[data]` in \
                 restage.local.toml, which git ignores, says where this machine has it.",
            )
            .key(Key::Outside)
            .example("path: ${env.DATASETS}/imagenet")
            .words(&["folder", "dir", "directory", "file", "source", "src", "from", "root"]),
            Some(|reader, draft, node| draft.path = reader.path(node)),
        ),
        (
            Field::optional(
                "place",
                Kind::Filled,
                "`data/NAME`",
                "Where stages find it, as if it lay in the pipeline's folder. It is not put there: each \
                 stage that reads it sees it in its work folder, read-only and without a copy.",
            )
            .key(Key::Part)
            .example("place: data/imagenet")
            .words(&["at", "to", "as", "mount", "target", "dest", "out"]),
            Some(|reader, draft, node| draft.place = reader.place(node)),
        ),
    ],
};

/// Reads the map.
pub(crate) fn read(entry: &Entry, file_name: &str, report: &mut Vec<Diagnostic>) -> Vec<Data> {
    let Value::Map(entries) = &entry.value.value else {
        let error = expected(
            &entry.value,
            "data",
            "the pipeline",
            "a map from name to data",
        );
        report.push(error.hint("write `data: {NAME: {path: /where/it/is}}`"));
        return Vec::new();
    };
    let mut all = Vec::new();
    for entry in entries {
        let name = &entry.key;
        names::check("data set", name, entry.key_location, report);
        let owner = format!("data `{}`", printable(name));
        let mut reader = Reader {
            owner: &owner,
            file_name,
            report: &mut *report,
        };
        if DATA
            .check_all(&entry.value, entry.key_location, &owner, reader.report)
            .is_none()
        {
            continue;
        }
        let mut draft = Draft::default();
        for (read, field) in DATA.present(&entry.value) {
            read(&mut reader, &mut draft, &field.value);
        }
        let place = match entry.value.get("place") {
            Some(_) => draft.place,
            None => RelPath::new(&format!("data/{name}")).ok(),
        };
        if let (Some(path), Some(place)) = (draft.path, place) {
            all.push(Data {
                name: name.clone(),
                path,
                place,
                location: entry.key_location,
            });
        }
    }
    apart(&all, report);
    all
}

/// Places must not overlap.
fn apart(all: &[Data], report: &mut Vec<Diagnostic>) {
    for (at, data) in all.iter().enumerate() {
        let overlaps = |other: &&Data| {
            data.place.is_within(&other.place) || other.place.is_within(&data.place)
        };
        if let Some(other) = all[..at].iter().find(overlaps) {
            let message = format!(
                "data `{}` is placed at `{}`, and `{}` at `{}`",
                data.name, data.place, other.name, other.place
            );
            report.push(
                Diagnostic::new(data.location, message, "its place is another's")
                    .note_at(format!("`{}`", other.name), other.location)
                    .hint("give each a `place` of its own, neither inside the other"),
            );
        }
    }
}

/// Reads the fields of one entry.
pub(crate) struct Reader<'a> {
    owner: &'a str,
    file_name: &'a str,
    report: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn text<'n>(&mut self, node: &'n Node, field: &str) -> Option<&'n str> {
        match &node.value {
            Value::Text(text) if !text.trim().is_empty() => Some(text),
            _ => {
                let error = expected(node, field, self.owner, "text");
                self.report.push(error);
                None
            }
        }
    }

    fn path(&mut self, node: &Node) -> Option<DataPath> {
        let text = self.text(node, "path")?;
        if text.chars().any(char::is_control) {
            let message = format!("`path` of {} has a control character", self.owner);
            let error = Diagnostic::new(
                node.location,
                message,
                "has a tab, a line break or the like",
            );
            self.report.push(error.hint("remove the character"));
            return None;
        }
        if text.starts_with('~') {
            let message = format!("`path` of {} begins with `~`", self.owner);
            let error = Diagnostic::new(node.location, message, "no shell reads this");
            self.report.push(error.hint("write `${env.HOME}/..`"));
            return None;
        }
        DataPath::parse(text)
            .map_err(|(what, hint)| {
                let message = format!("`path` of {} {what}", self.owner);
                let error =
                    Diagnostic::new(node.location, message, "only `${env.NAME}` can stand here");
                self.report.push(error.hint(hint));
            })
            .ok()
    }

    fn place(&mut self, node: &Node) -> Option<RelPath> {
        let text = self.text(node, "place")?;
        paths::place(text, node.location, self.owner, self.file_name)
            .map_err(|error| self.report.push(*error))
            .ok()
    }
}
