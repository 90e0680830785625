//! From Python's names of modules to files of the project.

use super::Files;
use super::python::Import;

/// A module that is looked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Start<'a> {
    /// The folder that a relative import starts in; `None`: where Python looks.
    folder: Option<String>,
    module: &'a str,
    /// What is imported from it: names in it, or modules of their own.
    names: &'a [String],
    /// Whether it is run, not imported.
    is_run: bool,
}

impl<'a> Start<'a> {
    /// `python -m MODULE`.
    pub(crate) fn run(module: &'a str) -> Self {
        Self {
            folder: None,
            module,
            names: &[],
            is_run: true,
        }
    }

    /// An import in a file.
    pub(crate) fn import(import: &'a Import, path: Option<&str>) -> Self {
        let own = path.filter(|_| import.level > 0).map(|path| {
            let mut folder = path;
            for _ in 0..import.level {
                folder = folder.rsplit_once('/').map_or("", |(above, _)| above);
            }
            folder.to_owned()
        });
        Self {
            folder: own,
            module: &import.module,
            names: &import.names,
            is_run: false,
        }
    }
}

/// The files that are read for a module, at the first place that has it.
pub(crate) fn resolve(start: &Start<'_>, roots: &[String], files: &dyn Files) -> Vec<String> {
    let own;
    let roots = match &start.folder {
        Some(folder) => {
            own = [folder.clone()];
            &own[..]
        }
        None => roots,
    };
    let found = roots.iter().map(|root| at(start, root, files));
    let mut found = found.filter(|found| !found.is_empty());
    found.next().unwrap_or_default()
}

fn at(start: &Start<'_>, root: &str, files: &dyn Files) -> Vec<String> {
    let inside = |folder: &str, name: &str| match folder {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    };
    let mut found = Vec::new();
    let mut folder = root.to_owned();
    let add = |path: String, found: &mut Vec<String>| {
        let there = files.is_file(&path);
        if there {
            found.push(path);
        }
        there
    };
    for part in start.module.split('.').filter(|part| !part.is_empty()) {
        let next = inside(&folder, part);
        if files.is_folder(&next) {
            add(inside(&next, "__init__.py"), &mut found);
            // A package goes before a module of the same name.
            if !found.last().is_some_and(|last| last.starts_with(&next))
                && add(format!("{next}.py"), &mut found)
            {
                return found;
            }
            folder = next;
            continue;
        }
        // Anything else in it is a name, not a module.
        add(format!("{next}.py"), &mut found);
        return found;
    }
    if start.is_run {
        add(inside(&folder, "__main__.py"), &mut found);
    }
    for name in start.names {
        let next = inside(&folder, name);
        let is_module = add(inside(&next, "__init__.py"), &mut found);
        if !is_module {
            add(format!("{next}.py"), &mut found);
        }
    }
    found
}
