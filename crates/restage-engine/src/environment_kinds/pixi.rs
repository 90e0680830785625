//! An environment of a pixi project: what `pixi.lock` installs on this platform, by `pixi install`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::conda;
use super::named::{Found, Named, Source};
use super::{Asking, Entry, Kind, Making, Recipe};
use restage_core::fs::FsError;
use restage_environments::{EnvironmentError, check_conda, check_pypi, installed, pixi_packages};
use restage_pipeline::Pixi;

/// They would make another environment, or the one of another project.
const OF_OTHERS: [&str; 8] = [
    "PIXI_PROJECT_MANIFEST",
    "PIXI_PROJECT_ROOT",
    "PIXI_ENVIRONMENT_NAME",
    "PIXI_ENVIRONMENT_PLATFORMS",
    "PIXI_IN_SHELL",
    "PIXI_FROZEN",
    "PIXI_LOCKED",
    "PIXI_NO_INSTALL",
];
/// pixi makes environments in its project's folder, unless its settings say otherwise.
const CONFIG: &str = "detached-environments = false\n";

impl Kind for Pixi {
    fn name(&self, asking: &Asking<'_>) -> Result<Named, EnvironmentError> {
        let manifest = &self.manifest;
        let lock = self.lock_file().ok_or_else(|| EnvironmentError::NoLock {
            file: manifest.to_string(),
            hint: "name the project's `pixi.toml`".to_owned(),
        })?;
        let hint = "`pixi lock` writes it";
        let text = asking.read(&lock, hint)?;
        let project = asking.read(manifest, "it says what `pixi.lock` was made from")?;
        let platform = conda::platform(lock.as_str())?;
        let resolved = pixi_packages(lock.as_str(), &text, &self.environment, platform)?;
        let mut source = Source::new((&lock, &text), asking.folder_of(&lock), resolved, None);
        source.texts.extend([("manifest", project), ("lock", text)]);
        let found = Found::of([&lock, manifest]);
        let key = conda::key("pixi", platform, &source.resolved);
        Ok(Named::new(key, source, found))
    }

    /// A copy of the project, so that pixi makes the environment where it is to be.
    fn recipe(&self, making: &Making<'_>) -> Recipe {
        let manifest = self.manifest.as_str();
        let name = manifest.rsplit('/').next().unwrap_or(manifest);
        let manifest = making.at.join(name);
        let texts = &making.source.texts;
        let mut step = making.step("pixi install");
        for name in OF_OTHERS.iter().chain(&conda::OF_OTHERS) {
            step.env.remove(&OsString::from(name));
        }
        step.folder = making.at.to_owned();
        step.words(&["pixi", "install", "--locked", "--no-progress"]);
        step.words(&["--color", "never", "--environment", &self.environment]);
        step.words(&["--manifest-path"]);
        step.argv.push(manifest.clone().into());
        Recipe {
            files: vec![
                (manifest, texts["manifest"].clone()),
                (making.at.join("pixi.lock"), texts["lock"].clone()),
                (making.at.join(".pixi/config.toml"), CONFIG.to_owned()),
            ],
            steps: vec![step],
            ..Recipe::default()
        }
    }

    fn check(&self, source: &Source, at: &Path) -> Result<(), EnvironmentError> {
        let (file, at) = (source.lock.0.as_str(), folder(self, at));
        check_conda(file, &source.resolved, &at)?;
        check_pypi(file, &source.resolved, &installed(&at)?)
    }

    fn entry(&self, at: &Path) -> Result<Entry, FsError> {
        conda::entry(&folder(self, at))
    }
}

/// Where pixi puts an environment.
fn folder(pixi: &Pixi, at: &Path) -> PathBuf {
    at.join(".pixi/envs").join(&pixi.environment)
}
