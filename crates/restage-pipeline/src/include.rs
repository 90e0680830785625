//! `include: {prep: prep/pipeline.yaml}`: pipeline files in a pipeline, each in a namespace
//! (docs/adr/0029).

use std::sync::Arc;

use super::diagnostic::Diagnostic;
use super::fields::{expected, expected_of};
use super::names;
use super::node::{Entry, Node, Value, printable};
use super::params;
use super::params_files::{self, set_file};
use super::profiles;
use super::sources::{Mention, Named, NoText};
use super::table::unreadable;
use super::template::{Place, RESERVED};
use super::yaml;
use restage_core::glob::Glob;
use restage_core::rel_path::RelPath;
use restage_core::span::Location;

/// The fields of an included file that hold in the whole.
pub(crate) const TAKEN: [&str; 10] = [
    "isolation",
    "shell",
    "pass_env",
    "copied_params",
    "environments",
    "default_environment",
    "stages",
    "tables",
    "compare",
    "claims",
];

/// Those that are read by themselves, or hold only where the file is run alone.
const ALONE: [&str; 8] = [
    "schema",
    "name",
    "params",
    "profiles",
    "default_profile",
    "include",
    "report",
    "export",
];

/// How deep files may include each other. A circle that goes through links to folders has a new path each
/// time, and two such links would double the files with each turn.
const MOST_NESTED: usize = 8;

/// A file that is included, with those that it includes.
pub(crate) struct Included {
    /// `prep`, or `prep.inner` where an included file includes it.
    pub(crate) namespace: String,
    /// The file's folder; empty for the pipeline's own.
    pub(crate) folder: String,
    pub(crate) root: Node,
    /// The file, in locations.
    pub(crate) number: u32,
    pub(crate) text: Arc<str>,
    /// Its name in the file that includes it.
    name: String,
    /// What the files give that its parameters come from.
    from_files: Vec<Node>,
    inner: Vec<Included>,
}

impl Included {
    pub(crate) fn place(&self) -> Place<'_> {
        Place {
            namespace: &self.namespace,
            folder: &self.folder,
        }
    }

    /// It and all that it includes, those first.
    pub(crate) fn all(&self) -> Vec<&Included> {
        let inner = self.inner.iter().flat_map(Included::all);
        inner.chain([self]).collect()
    }
}

/// Opens included files.
pub(crate) struct Opener<'a> {
    pub(crate) named: &'a Named,
    /// Whether a word is a field at the top of a file.
    pub(crate) is_field: fn(&str) -> bool,
    /// The files that include the one that is read, the pipeline itself first.
    pub(crate) open: Vec<RelPath>,
}

type Report = Vec<Diagnostic>;

impl Opener<'_> {
    /// The files that a file includes; `None` if one can't be used, which was reported.
    pub(crate) fn files(
        &mut self,
        root: &Node,
        place: Place<'_>,
        report: &mut Report,
    ) -> Option<Vec<Included>> {
        let Some(node) = root.get("include") else {
            return Some(Vec::new());
        };
        let Value::Map(entries) = &node.value else {
            let error = expected(node, "include", "the pipeline", "a map from name to file");
            report.push(error.hint("write `include: {prep: prep/pipeline.yaml}`"));
            return None;
        };
        for entry in entries {
            let stage = root
                .get("stages")
                .and_then(|stages| stages.entry(&entry.key));
            if let Some(stage) = stage {
                let name = printable(&entry.key);
                let message = format!("a stage and an included file are both called `{name}`");
                let label = format!("`restage reproduce {name}` would mean either");
                report.push(
                    Diagnostic::new(entry.key_location, message, label)
                        .note_at("the stage", stage.key_location)
                        .hint("rename one of them"),
                );
            }
        }
        let files: Vec<_> = entries
            .iter()
            .map(|entry| self.file(entry, place, report))
            .collect();
        files.into_iter().collect()
    }

    fn file(&mut self, entry: &Entry, place: Place<'_>, report: &mut Report) -> Option<Included> {
        let (name, at) = (entry.key.as_str(), entry.value.location);
        let before = report.len();
        names::check("namespace", name, entry.key_location, report);
        if name.contains('.') || RESERVED.contains(&name) {
            let message = format!("a file cannot be included as `{name}`");
            let label = match name.contains('.') {
                true => "has a `.`, which stands between a namespace and what is in it".to_owned(),
                false => format!("`${{{name}}}` means something else"),
            };
            let error = Diagnostic::new(entry.key_location, message, label);
            report.push(error.hint("choose another name"));
        }
        let Value::Text(written) = &entry.value.value else {
            report.push(expected_of(
                &entry.value,
                &format!("`{name}`"),
                "`include`",
                "a file",
            ));
            return None;
        };
        if report.len() > before {
            return None;
        }
        let path = match RelPath::new(&place.below(written)) {
            Ok(path) if !Glob::is_glob(path.as_str()) => path,
            Ok(path) => {
                let message = format!("`{path}` cannot be included");
                let label = "its name has a sign of patterns: `*`, `?`, `[` or `{`";
                report.push(Diagnostic::new(at, message, label).hint("rename the file or folder"));
                return None;
            }
            Err(error) => {
                let message = format!("`{written}` cannot be included");
                let hint = "name a file in or below the pipeline's folder";
                report.push(Diagnostic::new(at, message, error.to_string()).hint(hint));
                return None;
            }
        };
        if let Some(first) = self.open.iter().position(|open| *open == path) {
            let around = self.open[first..].iter().chain([&path]);
            let around: Vec<String> = around.map(|path| format!("`{path}`")).collect();
            let message = format!(
                "files include each other in a circle: {}",
                around.join(" -> ")
            );
            let hint = "remove one of these lines; what both need can be a third file";
            report.push(Diagnostic::new(at, message, "closes the circle").hint(hint));
            return None;
        }
        if self.open.len() > MOST_NESTED {
            let message = format!("files include each other more than {MOST_NESTED} deep");
            let hint =
                "a link to a folder may lead round in a circle: include the file by its own path";
            report.push(Diagnostic::new(at, message, "one too many").hint(hint));
            return None;
        }
        let (number, text) = self.open_file(&path, at, report)?;
        let root = parsed(&text, number, report)?;
        let namespace = match place.namespace {
            "" => name.to_owned(),
            outer => format!("{outer}.{name}"),
        };
        let folder = path
            .as_str()
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        let inside = Place {
            namespace: &namespace,
            folder,
        };
        self.only_what_can_be_taken(&root, &path, report)?;
        self.open.push(path.clone());
        let inner = self.files(&root, inside, report);
        self.open.pop();
        let from_files = params_files::read(&root, inside, self.named, report);
        Some(Included {
            name: name.to_owned(),
            folder: folder.to_owned(),
            inner: inner?,
            from_files: from_files?,
            namespace,
            root,
            number,
            text,
        })
    }

    /// Refuses what would have no effect in the whole, such as where programs are built.
    fn only_what_can_be_taken(
        &self,
        root: &Node,
        path: &RelPath,
        report: &mut Report,
    ) -> Option<()> {
        let before = report.len();
        for entry in root.entries() {
            let field = entry.key.as_str();
            // What is no field is reported where the file's fields are read.
            if !(self.is_field)(field) || TAKEN.contains(&field) || ALONE.contains(&field) {
                continue;
            }
            let message = format!("`{path}` is included, and has `{field}`");
            let hint = format!(
                "move `{field}`, and the stages that need it, into the pipeline's own file"
            );
            let error =
                Diagnostic::new(entry.key_location, message, "holds for the whole pipeline");
            report.push(error.hint(hint));
        }
        (report.len() == before).then_some(())
    }

    fn open_file(
        &self,
        path: &RelPath,
        at: Location,
        report: &mut Report,
    ) -> Option<(u32, Arc<str>)> {
        self.named.mention(Mention {
            path: path.clone(),
            at,
            what: "an included pipeline",
            missing: None,
        });
        match self.named.open(path) {
            Ok(opened) => Some(opened),
            Err(NoText::Missing) => {
                let message = format!("`{path}`, which is included, does not exist");
                let hint = "paths are relative to the folder of the file that includes it";
                report.push(Diagnostic::new(at, message, "not found").hint(hint));
                None
            }
            Err(no_text) => {
                report.push(unreadable(no_text, path, at));
                None
            }
        }
    }
}

/// The file's map, with its places in that file.
fn parsed(text: &str, number: u32, report: &mut Report) -> Option<Node> {
    let before = report.len();
    let root = yaml::parse(text, report);
    params_files::move_to_file(&mut report[before..], number);
    let mut root = root?;
    set_file(&mut root, number);
    Some(root)
}

/// What the files of a file's parameters and the files that it includes give: the parameters of each of
/// these under its name.
pub(crate) fn given(
    root: &Node,
    included: &[Included],
    from_files: &[Node],
    profile: &str,
    report: &mut Report,
) -> Vec<Node> {
    let mut below = Vec::new();
    for file in included {
        let inner = given(&file.root, &file.inner, &file.from_files, profile, report);
        let tree = profiles::params(&file.root, profile, &[], &inner, report);
        let owner = "`params`";
        let own = root.get("params").and_then(|params| params.get(&file.name));
        let all = own.into_iter();
        let all = all.chain(from_files.iter().filter_map(|map| map.get(&file.name)));
        for own in all {
            params::check_known(&tree, own, &file.name, owner, report);
            if !matches!(own.value, Value::Map(_)) {
                let error = expected(
                    own,
                    &file.name,
                    owner,
                    "a map: it is the name of an included file",
                );
                report.push(error);
            }
        }
        let at = tree.location;
        let entry = Entry {
            key: file.name.clone(),
            key_location: at,
            value: tree,
        };
        below.push(Node::new(Value::Map(vec![entry]), at));
    }
    below.extend(from_files.iter().cloned());
    below
}
