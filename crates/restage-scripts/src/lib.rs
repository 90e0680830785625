//! Which files of a project a command pulls in: the scripts that it names, and what these import, source or
//! call in turn. It opens no file: who asks reads them.
//!
//! It looks at texts and runs nothing, so it finds what a script names by a literal and misses what a
//! script computes. Where a text can be read in several ways it takes a file too many rather than one too
//! few.

#![forbid(unsafe_code)]
// Tests may touch the disk and the clock directly (see clippy.toml).
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)
)]

mod calls;
mod command;
mod modules;
mod python;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use restage_core::rel_path::RelPath;

/// The project's files, by paths from its folder.
pub trait Files {
    /// Whether a file is there.
    fn is_file(&self, path: &str) -> bool;
    /// Whether a folder is there.
    fn is_folder(&self, path: &str) -> bool;
    /// A file's text; `None` if it is not there or is not text.
    fn text(&self, path: &str) -> Option<String>;
}

/// A file or folder that is pulled in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// From the project's folder.
    pub path: String,
    /// The file that names it; `None`: the command.
    pub by: Option<String>,
}

/// What a shell command pulls in that runs in a folder (`""`: the project's). In the order in which it
/// is found; every path once.
pub fn of_command(command: &str, folder: &str, files: &dyn Files) -> Vec<Found> {
    let mut search = Search::new(folder, files);
    search.command(command, None);
    search.finish()
}

/// What a script pulls in that runs in a folder, without the script itself.
pub fn of_script(path: &str, folder: &str, files: &dyn Files) -> Vec<Found> {
    let mut search = Search::new(folder, files);
    search.script(path.to_owned(), None);
    let mut found = search.finish();
    found.retain(|found| found.path != path);
    found
}

/// A search for all that is pulled in.
struct Search<'a> {
    files: &'a dyn Files,
    /// The folders that a name may start from.
    folders: Vec<String>,
    /// Of scripts that are run, not imported: Python looks there first.
    script_folders: Vec<String>,
    /// Folders that PYTHONPATH names.
    python_path: Vec<String>,
    by: BTreeMap<String, Option<String>>,
    order: Vec<String>,
    open: VecDeque<String>,
}

impl<'a> Search<'a> {
    fn new(folder: &str, files: &'a dyn Files) -> Self {
        Self {
            files,
            folders: vec![folder.to_owned()],
            script_folders: Vec::new(),
            python_path: Vec::new(),
            by: BTreeMap::new(),
            order: Vec::new(),
            open: VecDeque::new(),
        }
    }

    /// Notes a file or folder, once.
    fn add(&mut self, path: String, by: Option<&str>) {
        if !self.by.contains_key(&path) {
            self.by.insert(path.clone(), by.map(ToOwned::to_owned));
            self.order.push(path.clone());
            self.open.push_back(path);
        }
    }

    /// Adds what a word names, if it is a file.
    fn name(&mut self, word: &str, by: Option<&str>) {
        let found: Vec<String> = self
            .folders
            .iter()
            .filter_map(|folder| join(folder, word))
            .filter(|path| self.files.is_file(path))
            .collect();
        for path in found {
            self.script(path, by);
        }
    }

    /// Notes a file that is run, if it is a script.
    fn script(&mut self, path: String, by: Option<&str>) {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        if path.ends_with(".py") && !self.script_folders.iter().any(|known| known == folder) {
            self.script_folders.push(folder.to_owned());
        }
        self.add(path, by);
    }

    fn command(&mut self, text: &str, by: Option<&str>) {
        let read = command::read(text);
        for folder in &read.folders {
            for from in self.folders.clone() {
                let there = join(&from, folder).filter(|there| self.files.is_folder(there));
                self.folders
                    .extend(there.filter(|there| !self.folders.contains(there)));
            }
        }
        for folder in &read.python_path {
            let from = self.folders.iter();
            let found: Vec<String> = from.filter_map(|from| join(from, folder)).collect();
            self.python_path.extend(found);
        }
        for word in &read.names {
            self.name(word, by);
        }
        for module in &read.modules {
            let roots = self.roots("");
            let start = modules::Start::run(module);
            for path in modules::resolve(&start, &roots, self.files) {
                self.add(path, by);
            }
        }
        for code in &read.python {
            self.python(code, None, by);
        }
    }

    /// Where modules are looked for, in order: where Python itself looks, then where projects make it
    /// look, by `sys.path`, an editable install or pytest.
    fn roots(&self, own: &str) -> Vec<String> {
        let mut roots = self.script_folders.clone();
        // Of several scripts, each has its own first.
        roots.sort_by_key(|folder| folder != own);
        roots.extend(self.python_path.iter().cloned());
        roots.extend(self.folders.iter().cloned());
        let mut above = own;
        while !above.is_empty() {
            roots.push(above.to_owned());
            above = above.rsplit_once('/').map_or("", |(above, _)| above);
        }
        roots.push(String::new());
        let sources: Vec<String> = roots
            .iter()
            .filter_map(|root| join(root, "src"))
            .filter(|folder| self.files.is_folder(folder))
            .collect();
        roots.extend(sources);
        let mut seen = BTreeSet::new();
        roots.retain(|root| seen.insert(root.clone()));
        roots
    }

    /// The files that Python code names; `path`: its own, if it is in a file.
    fn python(&mut self, code: &str, path: Option<&str>, by: Option<&str>) {
        let folder = path.and_then(|path| path.rsplit_once('/'));
        let folder = folder.map_or("", |(folder, _)| folder);
        let read = python::read(code);
        let mut roots = self.roots(folder);
        for (at, named) in read.search_path.iter().enumerate() {
            let there = self.folders.iter().filter_map(|from| join(from, named));
            let there = there.filter(|there| self.files.is_folder(there)).last();
            there
                .into_iter()
                .for_each(|there| roots.insert(roots.len().min(1 + at), there));
        }
        for import in &read.imports {
            let start = modules::Start::import(import, path);
            for found in modules::resolve(&start, &roots, self.files) {
                self.add(found, by);
            }
        }
        for name in &read.scripts {
            self.name(name, by);
            let beside = join(folder, name).filter(|path| self.files.is_file(path));
            beside.into_iter().for_each(|path| self.script(path, by));
        }
        // Hydra's folder of configurations, from the script's own.
        for name in &read.config_folders {
            let there = join(folder, name).filter(|there| self.files.is_folder(there));
            there.into_iter().for_each(|path| self.add(path, by));
        }
    }

    /// Looks into what was found until nothing new comes up.
    fn finish(mut self) -> Vec<Found> {
        while let Some(path) = self.open.pop_front() {
            let Some(language) = calls::language(&path) else {
                continue;
            };
            let Some(text) = self.files.text(&path) else {
                continue;
            };
            let by = Some(path.as_str());
            match language {
                calls::Language::Python => self.python(&text, by, by),
                calls::Language::Notebook => {
                    if let Some(code) = calls::cells(&text) {
                        self.python(&code, by, by);
                    }
                }
                calls::Language::Shell => self.command(&text, by),
                calls::Language::Calls(names) => {
                    for name in calls::arguments(&text, names) {
                        self.name(&name, by);
                        let beside = path.rsplit_once('/');
                        let beside = beside.and_then(|(folder, _)| join(folder, &name));
                        let beside = beside.filter(|path| self.files.is_file(path));
                        beside.into_iter().for_each(|found| self.add(found, by));
                    }
                }
            }
        }
        let by = self.by;
        let found = self.order.into_iter();
        found
            .map(|path| Found {
                by: by.get(&path).cloned().flatten(),
                path,
            })
            .collect()
    }
}

/// A path from a folder, if it does not leave the project.
fn join(folder: &str, path: &str) -> Option<String> {
    if path.starts_with('/') {
        return None;
    }
    let path = RelPath::new(format!("{folder}/{path}").trim_start_matches('/')).ok()?;
    Some(path.as_str().to_owned())
}

#[cfg(test)]
mod tests;
