//! Packages of conda's channels: an explicit list or `conda-lock.yml`, installed by micromamba, mamba or conda.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::named::{Found, Named, Source};
use super::{Asking, Entry, Kind, Making, Recipe};
use restage_core::digest::KeyEnvironment;
use restage_core::fs::{self, FsError};
use restage_environments::{
    EnvironmentError, Resolved, check_conda, conda_packages, conda_platform,
};
use restage_pipeline::{Conda, Installer};

/// What an environment that the caller is in sets, besides what all installers go without.
pub(super) const OF_OTHERS: [&str; 5] = [
    "CONDA_SHLVL",
    "CONDA_DEFAULT_ENV",
    "CONDA_PROMPT_MODIFIER",
    "CONDA_CREATE_DEFAULT_PACKAGES",
    "CONDA_ALWAYS_SOFTLINK",
];

impl Kind for Conda {
    fn name(&self, asking: &Asking<'_>) -> Result<Named, EnvironmentError> {
        let file = &self.lock;
        let hint = "name a lock file; `conda list --explicit --md5 > FILE` writes one";
        let text = asking.read(file, hint)?;
        let platform = platform(file.as_str())?;
        let packages = conda_packages(file.as_str(), &text, platform)?;
        let folder = asking.folder_of(file);
        let mut source = Source::new((file, &text), folder, packages.resolved, None);
        source.texts.insert("list", packages.list);
        let found = Found::of([file]);
        Ok(Named::new(
            key("conda", platform, &source.resolved),
            source,
            found,
        ))
    }

    fn recipe(&self, making: &Making<'_>) -> Recipe {
        let program = self.by.program();
        let mut step = making.step(&format!("{program} create"));
        for name in OF_OTHERS {
            step.env.remove(&OsString::from(name));
        }
        step.words(&[program, "create", "--yes", "--quiet"]);
        if self.by == Installer::Conda {
            step.words(&["--no-default-packages"]);
        }
        step.words(&["--prefix"]);
        step.argv.push(making.at.into());
        step.words(&["--file"]);
        step.argv.push(making.beside.into());
        let list = &making.source.texts["list"];
        Recipe {
            files: vec![(making.beside.to_owned(), list.clone())],
            steps: vec![step],
            ..Recipe::default()
        }
    }

    fn check(&self, source: &Source, at: &Path) -> Result<(), EnvironmentError> {
        check_conda(source.lock.0.as_str(), &source.resolved, at)
    }

    fn entry(&self, at: &Path) -> Result<Entry, FsError> {
        entry(at)
    }
}

/// What conda calls this platform.
pub(super) fn platform(file: &str) -> Result<&'static str, EnvironmentError> {
    conda_platform().ok_or_else(|| EnvironmentError::Unsupported {
        file: file.to_owned(),
        what: "conda has no packages for this platform".to_owned(),
        hint: "use `uv`, `venv` or `image`".to_owned(),
    })
}

/// The part of a key of packages for a platform.
pub(super) fn key(kind: &str, platform: &str, resolved: &Resolved) -> KeyEnvironment {
    KeyEnvironment {
        kind: kind.to_owned(),
        facts: BTreeMap::from([("platform".to_owned(), platform.to_owned())]),
        packages: resolved.packages.clone(),
    }
}

/// How a stage gets into a folder of conda's packages: as by `conda activate`, whose scripts set what some
/// packages need.
pub(super) fn entry(at: &Path) -> Result<Entry, FsError> {
    let mut entry = Entry {
        programs: Some(at.join("bin")),
        ..Entry::default()
    };
    entry.set("CONDA_PREFIX", at);
    entry.set("CONDA_DEFAULT_ENV", at);
    // What the user has installed is in no key.
    entry.set("PYTHONNOUSERSITE", "1");
    entry.set("R_LIBS_USER", "NULL");
    // It can't be written to.
    entry.set("PYTHONDONTWRITEBYTECODE", "1");
    let variables = at.join("etc/conda/env_vars.d");
    for name in ending_in(&variables, ".json")? {
        let text = fs::read_if_exists(&variables.join(name))?.unwrap_or_default();
        // conda skips those that it can't read.
        let set: BTreeMap<String, String> = serde_json::from_slice(&text).unwrap_or_default();
        for (name, value) in set {
            entry.set(&name, value);
        }
    }
    let scripts = at.join("etc/conda/activate.d");
    let names = ending_in(&scripts, ".sh")?.into_iter();
    entry.scripts = names.map(|name| scripts.join(name)).collect();
    Ok(entry)
}

/// Names in a folder with an ending, in order; none if it is not there.
fn ending_in(folder: &Path, ending: &str) -> Result<Vec<OsString>, FsError> {
    let mut names = fs::read_dir_if_exists(folder)?;
    names.retain(|name| name.to_str().is_some_and(|name| name.ends_with(ending)));
    names.sort();
    Ok(names)
}
