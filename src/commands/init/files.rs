//! The files of a DVC project: its root, its `dvc.yaml`, and what is in them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::CliError;
use crate::settings::Settings;
use restage_core::fs;
use restage_import_dvc::{DvcFile, Files, Imported, connected};

/// What is written.
pub(super) const PIPELINE: &str = "pipeline.yaml";

/// DVC's name of a pipeline file.
pub(super) const DVC_FILE: &str = "dvc.yaml";

/// An import for a pipeline in some folder.
pub(super) struct Attempt {
    pub(super) folder: PathBuf,
    pub(super) imported: Imported,
    /// The folders of the `dvc.yaml` that went into it, by their names.
    pub(super) sources: BTreeMap<String, PathBuf>,
    /// Others, which could not be read.
    pub(super) passed_over: Vec<String>,
}

/// The files below a folder, each read once.
pub(super) struct OnDisk<'a> {
    folder: &'a Path,
    texts: RefCell<BTreeMap<String, Option<String>>>,
}

impl<'a> OnDisk<'a> {
    pub(super) fn below(folder: &'a Path) -> Self {
        Self {
            folder,
            texts: RefCell::default(),
        }
    }
}

impl Files for OnDisk<'_> {
    fn is_file(&self, path: &str) -> bool {
        let found = fs::metadata_if_exists(&self.folder.join(path));
        found.is_ok_and(|found| found.is_some_and(|found| found.is_file()))
    }

    fn is_folder(&self, path: &str) -> bool {
        let found = fs::metadata_if_exists(&self.folder.join(path));
        found.is_ok_and(|found| found.is_some_and(|found| found.is_dir()))
    }

    fn text(&self, path: &str) -> Option<String> {
        if let Some(text) = self.texts.borrow().get(path) {
            return text.clone();
        }
        let bytes = fs::read_if_exists(&self.folder.join(path)).ok().flatten();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let mut texts = self.texts.borrow_mut();
        texts.insert(path.to_owned(), text.clone());
        text
    }
}

/// A file's text, if it exists.
pub(super) fn text_of(path: &Path, name: &str) -> Result<Option<String>, CliError> {
    let bytes = fs::read_if_exists(path)?;
    let text = bytes.map(String::from_utf8).transpose();
    text.map_err(|_| CliError::usage(format!("`{name}` is not UTF-8 text")))
}

/// The `dvc.yaml` that `from` means, by name and path: the file, or all below the folder.
pub(super) fn meant(settings: &Settings, from: &Path) -> Result<Vec<(String, PathBuf)>, CliError> {
    let path = settings.path(from);
    let there = fs::metadata_if_exists(&path)?;
    let name = from.display().to_string();
    if there.is_none_or(|there| !there.is_dir()) {
        return Ok(vec![(name, path)]);
    }
    let found = below(&path)?;
    if found.is_empty() {
        return Err(
            CliError::usage(format!("there is no dvc.yaml in or below `{name}`")).with_hint(
                "name a DVC project's pipeline file: `restage init --from path/to/dvc.yaml`",
            ),
        );
    }
    let named = found.into_iter().map(|found| {
        let inner = found.strip_prefix(&path).unwrap_or(&found);
        let name = match from == Path::new(".") {
            true => inner.display().to_string(),
            false => from.join(inner).display().to_string(),
        };
        (name, found)
    });
    Ok(named.collect())
}

/// All `dvc.yaml` in and below a folder, in order.
fn below(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    const SKIPPED: [&str; 5] = [
        "node_modules",
        "__pycache__",
        "venv",
        "env",
        "site-packages",
    ];
    let skip = |path: &Path, is_folder: bool| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match is_folder {
            true => name.starts_with('.') || SKIPPED.contains(&&*name),
            false => name != DVC_FILE,
        }
    };
    let entries = fs::walk_but(folder, &skip)?.into_iter();
    let files = entries.filter(|entry| !entry.metadata.is_dir());
    let mut found: Vec<PathBuf> = files.map(|entry| folder.join(entry.path)).collect();
    found.sort();
    Ok(found)
}

/// The import of these files, with all that they are connected with, for a pipeline in `wanted` or in the
/// project's root: the nearest folder above that has `.dvc` or `.git`. Where none has, the nearest folder that no
/// path leads out of, and not above the current one.
pub(super) fn attempt(
    settings: &Settings,
    files: &[(String, PathBuf)],
    wanted: Option<&Path>,
) -> Result<Attempt, CliError> {
    let owns: Vec<PathBuf> = files.iter().map(|(_, path)| own(path)).collect();
    let first = owns.first().cloned().unwrap_or_default();
    let real = fs::canonicalize(&first)?;
    let marked = |folder: &Path| -> Result<bool, CliError> {
        Ok(fs::exists(&folder.join(".dvc"))? || fs::exists(&folder.join(".git"))?)
    };
    if let Some(wanted) = wanted {
        if !fs::exists(&settings.path(wanted))? {
            let message = format!("there is no folder `{}`", wanted.display());
            let hint = "name a folder above dvc.yaml: `restage init --from dvc.yaml FOLDER`";
            return Err(CliError::usage(message).with_hint(hint));
        }
        return at(&settings.path(wanted), files, None);
    }
    for folder in real.ancestors() {
        if marked(folder)? {
            return at(&shown(folder, &real, &first), files, None);
        }
    }
    let here = fs::canonicalize(&settings.path(Path::new(".")))?;
    let top = if real.starts_with(&here) {
        &here
    } else {
        &real
    };
    let mut nearest = None;
    for folder in real
        .ancestors()
        .take_while(|folder| folder.starts_with(top))
    {
        let tried = at(&shown(folder, &real, &first), files, Some(top));
        let outside = tried
            .as_ref()
            .map_or(true, |tried| tried.imported.leads_outside);
        if !outside {
            return tried;
        }
        nearest.get_or_insert(tried);
    }
    nearest.unwrap_or_else(|| at(&first, files, None))
}

/// A folder above, as one that starts from the file's own: `..` instead of an absolute path.
fn shown(folder: &Path, real: &Path, own: &Path) -> PathBuf {
    let steps = real
        .strip_prefix(folder)
        .map_or(0, |inner| inner.components().count());
    let mut shown = own.to_owned();
    for _ in 0..steps {
        let named = shown.components().next_back();
        match named {
            Some(std::path::Component::Normal(_)) => drop(shown.pop()),
            _ => shown.push(".."),
        }
    }
    match shown.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => shown,
    }
}

/// The folder of a file.
fn own(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The import for a pipeline in `folder`. `top`: other files are looked for up to there.
fn at(folder: &Path, files: &[(String, PathBuf)], top: Option<&Path>) -> Result<Attempt, CliError> {
    let root = fs::canonicalize(folder)?;
    let mut sources = BTreeMap::new();
    let mut read = |name: &str, path: &Path| -> Result<DvcFile, CliError> {
        let Some(text) = text_of(path, name)? else {
            return Err(CliError::usage(format!("there is no `{name}`")).with_hint(
                "name a DVC project's pipeline file: `restage init --from path/to/dvc.yaml`",
            ));
        };
        let own = own(path);
        let real = fs::canonicalize(&own)?;
        let inner = real.strip_prefix(&root).map_err(|_| {
            CliError::usage(format!("`{name}` does not lie in `{}`", folder.display()))
                .with_hint("name a folder above it: `restage init --from dvc.yaml FOLDER`")
        })?;
        // A path that is not UTF-8 can't be written into a pipeline.
        let inner = inner
            .to_str()
            .ok_or_else(|| CliError::usage(format!("the path of `{name}` is not UTF-8 text")))?;
        let file = DvcFile::read(name, &text)?.in_folder(inner);
        sources.insert(name.to_owned(), own);
        Ok(file)
    };
    let mut all = Vec::new();
    for (name, path) in files {
        all.push(read(name, path)?);
    }
    let project = OnDisk::below(&root);
    // The whole project is one graph to DVC. What can't be read is no part of this one.
    let (mut others, mut passed_over) = (Vec::new(), Vec::new());
    if top.is_none_or(|top| root.starts_with(top)) {
        let known: Vec<PathBuf> = files
            .iter()
            .filter_map(|(_, path)| fs::canonicalize(path).ok())
            .collect();
        for path in below(&root)?
            .into_iter()
            .filter(|path| !known.contains(path))
        {
            let inner = path.strip_prefix(&root).unwrap_or(&path);
            let shown = folder.join(inner);
            let shown = shown.strip_prefix(".").unwrap_or(&shown).to_owned();
            let name = shown.display().to_string();
            match read(&name, &shown) {
                Ok(file) => others.push(file),
                Err(_) => passed_over.push(name),
            }
        }
    }
    let found = connected(&all, others, &project);
    all.extend(found);
    let name = root.file_name().map(|name| name.to_string_lossy());
    let name = name.filter(|name| !name.trim().is_empty());
    let imported =
        restage_import_dvc::import(&all, name.as_deref().unwrap_or("imported"), &project)?;
    Ok(Attempt {
        folder: folder.to_owned(),
        imported,
        sources,
        passed_over,
    })
}
