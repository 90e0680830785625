//! `data:`, files and folders that no stage makes and that lie outside the pipeline's folder
//! (docs/adr/0025). It opens none of them: where a machine has them is found out later.

use super::data_path::{Data, DataPath, Fetch, UNPACKED};
use super::diagnostic::Diagnostic;
use super::fields::{About, Field, Key, Kind, Mapping, expected, missing};
use super::names;
use super::node::{Entry, Node, Value, printable};
use super::paths;
use super::pipeline::{Action, Out, Place, Stage};
use super::resources::{Cores, Resources};
use super::template::Templates;
use restage_core::rel_path::RelPath;
use restage_core::span::Location;
use restage_core::suggest::hint_among;

/// What is read of one entry of the map.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    path: Option<DataPath>,
    place: Option<RelPath>,
    fetch: Fetch,
}

/// What a map of data declares.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    /// Files and folders that are there already.
    pub(crate) data: Vec<Data>,
    /// Stages that download the others.
    pub(crate) downloads: Vec<Stage>,
}

pub(crate) static DATA: Mapping<fn(&mut Reader<'_>, &mut Draft, &Node)> = Mapping {
    about: About {
        instead: &[(
            &["md5", "sha1", "hash", "checksum", "digest"],
            "write `sha256:`, of the file as it is downloaded",
        )],
        one_of: &[&["path"], &["url", "sha256"]],
        ..About::new(
            "Data",
            "Data",
            "a data",
            "A file or folder that no stage makes: one that lies outside the pipeline's folder (`path`), or one that \
             is downloaded (`url`). A stage reads it by naming its `place`, or what lies in there, under \
             `deps`. Its content is part of that stage's key; where it comes from is not. What a `path` \
             led to at first is pinned in pipeline.lock: a change stops the stages that read it until `restage data update \
             NAME` accepts it.",
        )
    },
    fields: &[
        (
            Field::sometimes(
                "path",
                Kind::Filled,
                "unless there is `url`",
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
            Field::sometimes(
                "url",
                Kind::Filled,
                "unless there is `path`",
                "From where it is downloaded, once: `https://`, `http://` or `file:///`. An interrupted download is \
                 resumed; proxies are the caller's. It is a stage of this name.",
            )
            .key(Key::Outside)
            .example("url: https://example.org/cifar-10-binary.tar.gz\nsha256: c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd\nunpack: tar.gz")
            .words(&["uri", "address", "href", "link", "download", "http"]),
            Some(|reader, draft, node| draft.fetch.url = reader.url(node).unwrap_or_default()),
        ),
        (
            Field::sometimes(
                "sha256",
                Kind::Filled,
                "if there is `url`",
                "SHA-256 of the file that is downloaded. Another file is refused.",
            )
            .key(Key::Part)
            .words(&["sha", "sha_256"]),
            Some(|reader, draft, node| draft.fetch.sha256 = reader.sha256(node).unwrap_or_default()),
        ),
        (
            Field::optional(
                "unpack",
                Kind::Word(&UNPACKED),
                "it is kept as it is",
                "What it is packed by. Its `place` is then a folder with all that is in it. Archives with links or \
                 paths that lead out of that folder are refused.",
            )
            .key(Key::Part)
            .words(&["extract", "archive", "format", "unzip", "untar"]),
            Some(|reader, draft, node| draft.fetch.unpack = reader.unpack(node)),
        ),
        (
            Field::optional(
                "place",
                Kind::Filled,
                "`data/NAME`",
                "Where stages find it, as if it lay in the pipeline's folder. What has a `path` is not put there: each \
                 stage that reads it sees it in its work folder, read-only and without a copy. What is downloaded \
                 is put there read-only, as an out with `place: link` is.",
            )
            .key(Key::Part)
            .example("place: data/imagenet")
            .words(&["at", "to", "as", "mount", "target", "dest", "out"]),
            Some(|reader, draft, node| draft.place = reader.place(node)),
        ),
    ],
};

/// Reads the map. Texts of downloads are templates, as in stages.
pub(crate) fn read(
    entry: &Entry,
    templates: &Templates<'_>,
    file_name: &str,
    report: &mut Vec<Diagnostic>,
) -> Declared {
    let mut declared = Declared::default();
    let Value::Map(entries) = &entry.value.value else {
        let error = expected(
            &entry.value,
            "data",
            "the pipeline",
            "a map from name to data",
        );
        report.push(error.hint("write `data: {NAME: {path: /where/it/is}}`"));
        return declared;
    };
    let mut places = Vec::new();
    for entry in entries {
        let name = &entry.key;
        names::check("data set", name, entry.key_location, report);
        let owner = format!("data `{}`", printable(name));
        let templates = Templates {
            owner: &owner,
            ..*templates
        };
        let mut reader = Reader {
            owner: &owner,
            file_name,
            templates: &templates,
            report: &mut *report,
        };
        match DATA.check(&entry.value, &owner, reader.report) {
            Some(true) => reader.complete(entry),
            Some(false) => {}
            None => continue,
        }
        let mut draft = Draft::default();
        for (read, field) in DATA.present(&entry.value) {
            read(&mut reader, &mut draft, &field.value);
        }
        let place = match entry.value.get("place") {
            Some(_) => draft.place,
            None => RelPath::new(&format!("data/{name}")).ok(),
        };
        let Some(place) = place else { continue };
        places.push((name, place.clone(), entry.key_location));
        if let Some(path) = draft.path {
            declared.data.push(Data {
                name: name.clone(),
                path,
                place,
                location: entry.key_location,
            });
        } else if !draft.fetch.url.is_empty() {
            declared.downloads.push(download(entry, draft.fetch, place));
        }
    }
    apart(&places, report);
    declared
}

/// The stage that downloads data.
fn download(entry: &Entry, fetch: Fetch, place: RelPath) -> Stage {
    Stage {
        name: entry.key.clone(),
        group: entry.key.clone(),
        key: entry.key.clone(),
        desc: Some(format!("downloads `{}`", fetch.url)),
        action: Action::Fetch(fetch),
        outs: vec![Out {
            path: place,
            volatile: false,
            temporary: false,
            place: Place::Link,
            any_seed: None,
            location: entry.key_location,
        }],
        pass_env: PROXIES.iter().map(|name| (*name).to_owned()).collect(),
        // It waits for others.
        resources: Resources {
            cpu: Cores::whole(0),
            ..Resources::default()
        },
        location: entry.key_location,
        ..Stage::default()
    }
}

/// Variables by which programs are told of proxies.
const PROXIES: [&str; 8] = [
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];

/// Places must not overlap.
fn apart(all: &[(&String, RelPath, Location)], report: &mut Vec<Diagnostic>) {
    for (at, (name, place, location)) in all.iter().enumerate() {
        let overlaps = |(_, other, _): &&(&String, RelPath, Location)| {
            place.is_within(other) || other.is_within(place)
        };
        if let Some((other, there, first)) = all[..at].iter().find(overlaps) {
            let message =
                format!("data `{name}` is placed at `{place}`, and `{other}` at `{there}`");
            report.push(
                Diagnostic::new(*location, message, "its place is another's")
                    .note_at(format!("`{other}`"), *first)
                    .hint("give each a `place` of its own, neither inside the other"),
            );
        }
    }
}

/// Reads the fields of one entry.
pub(crate) struct Reader<'a> {
    owner: &'a str,
    file_name: &'a str,
    templates: &'a Templates<'a>,
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

    /// Reports what is missing, or too much: data lies somewhere, or is downloaded.
    fn complete(&mut self, entry: &Entry) {
        let node = &entry.value;
        let owner = self.owner;
        let has = |field: &str| node.entry(field);
        match (has("path"), has("url")) {
            (Some(_), Some(url)) => {
                let message = format!("{owner} has both `path` and `url`");
                let error = Diagnostic::new(
                    url.key_location,
                    message,
                    "it lies somewhere, or is downloaded",
                );
                self.report.push(error.hint("keep one"));
            }
            (Some(_), None) => {
                for field in ["sha256", "unpack"] {
                    if let Some(extra) = has(field) {
                        let message = format!("{owner} has `{field}` without `url`");
                        let error = Diagnostic::new(
                            extra.key_location,
                            message,
                            "only of what is downloaded",
                        );
                        self.report
                            .push(error.hint("remove it; pipeline.lock pins what is at `path`"));
                    }
                }
            }
            (None, None) => {
                let hint = "write `path: /where/it/is`, or `url` and `sha256`";
                self.report
                    .push(missing(entry.key_location, owner, "path", hint));
            }
            (None, Some(_)) if has("sha256").is_none() => {
                let hint = "write `sha256: DIGITS`, as `sha256sum` prints them of the file that is downloaded";
                self.report
                    .push(missing(entry.key_location, owner, "sha256", hint));
            }
            (None, Some(_)) => {}
        }
    }

    fn filled(&mut self, node: &Node, field: &str) -> Option<String> {
        self.text(node, field)?;
        self.templates.text(node, self.report)
    }

    fn wrong(&mut self, node: &Node, field: &str, text: &str, label: &str, hint: &str) {
        let message = format!(
            "`{field}` of {} cannot be `{}`",
            self.owner,
            printable(text)
        );
        self.report
            .push(Diagnostic::new(node.location, message, label).hint(hint));
    }

    fn url(&mut self, node: &Node) -> Option<String> {
        let text = self.filled(node, "url")?;
        let scheme = text
            .split_once("://")
            .map(|(scheme, _)| scheme.to_ascii_lowercase());
        let known =
            scheme.is_some_and(|scheme| ["https", "http", "file"].contains(&scheme.as_str()));
        let plain = text.chars().all(|c| !c.is_control() && !c.is_whitespace());
        if !known || !plain {
            let hint = "write an address that begins with `https://`, `http://` or `file:///`";
            self.wrong(
                node,
                "url",
                &text,
                "not an address that can be downloaded",
                hint,
            );
            return None;
        }
        Some(text)
    }

    fn sha256(&mut self, node: &Node) -> Option<String> {
        if let Value::Number(_) = node.value {
            let error = expected(node, "sha256", self.owner, "text");
            self.report.push(error.hint("put it in quotes"));
            return None;
        }
        let text = self.filled(node, "sha256")?.to_ascii_lowercase();
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let hint = "write what `sha256sum FILE` prints";
            self.wrong(node, "sha256", &text, "not 64 hexadecimal digits", hint);
            return None;
        }
        Some(text)
    }

    fn unpack(&mut self, node: &Node) -> Option<String> {
        let text = self.filled(node, "unpack")?;
        if !UNPACKED.contains(&text.as_str()) {
            let hint = hint_among(&text, "it can be", UNPACKED).unwrap_or_default();
            self.wrong(node, "unpack", &text, "not known", &hint);
            return None;
        }
        Some(text)
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
