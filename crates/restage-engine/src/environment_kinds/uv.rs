//! A uv project: what `uv.lock` installs on this platform, by `uv sync`.

use std::ffi::OsString;
use std::path::Path;

use super::interpreters::{Question, interpreter, python_by_uv};
use super::named::{Found, Named, Source};
use super::{Asking, Entry, Kind, Making, Recipe};
use restage_core::fs::{self, FsError};
use restage_environments::{EnvironmentError, PythonRequest, UvLock, UvWanted, installed};
use restage_pipeline::Uv;

/// They would install something else than the key says.
const OF_OTHERS: [&str; 6] = [
    "UV_NO_DEV",
    "UV_DEV",
    "UV_FROZEN",
    "UV_SYSTEM_PYTHON",
    "UV_PROJECT",
    "UV_WORKING_DIR",
];

impl Kind for Uv {
    fn name(&self, asking: &Asking<'_>) -> Result<Named, EnvironmentError> {
        let project = &self.project;
        let lock = self.lock_file().ok_or_else(|| EnvironmentError::NoLock {
            file: project.to_string(),
            hint: "name the project's `pyproject.toml`".to_owned(),
        })?;
        let folder = asking.folder_of(&lock);
        let hint = "`uv lock` writes it; of a workspace it lies at its root: name the root's `pyproject.toml`";
        let text = asking.read(&lock, hint)?;
        asking.read(project, "it says what `uv.lock` was made from")?;
        let parsed = UvLock::parse(lock.as_str(), &text)?;
        let mut found = Found::default();
        let request = PythonRequest::new(self.python.as_deref());
        let question = Question {
            kind: "uv",
            asked: &[
                self.python.as_deref().unwrap_or(""),
                parsed.requires_python(),
            ],
            folder: &folder,
        };
        let look = || python_by_uv(asking, &request, &folder);
        let interpreter = interpreter(asking, &question, &mut found, &look)?;
        let wanted = UvWanted {
            groups: self.groups.clone(),
            only_groups: self.only_groups,
            extras: self.extras.clone(),
        };
        let resolved = parsed.resolve(&wanted, &interpreter.variables, &|path| {
            let full = folder.join(path);
            let there = asking.site.store.stat_cache().digest_at(&full)?;
            Ok(there.map(|there| there.content_id()))
        })?;
        for path in &resolved.files {
            let full = folder.join(path);
            let there = fs::exists(&full)?;
            found.add(&full, there);
        }
        found.files.extend([lock.to_string(), project.to_string()]);
        let source = Source::new((&lock, &text), folder, resolved, Some(interpreter));
        Ok(Named::of_python("uv", source, found))
    }

    fn recipe(&self, making: &Making<'_>) -> Recipe {
        let mut step = making.step("uv sync");
        for name in OF_OTHERS {
            step.env.remove(&OsString::from(name));
        }
        let place = "UV_PROJECT_ENVIRONMENT".into();
        step.env.insert(place, making.at.into());
        step.words(&["uv", "sync", "--locked", "--no-python-downloads"]);
        step.words(&["--no-default-groups", "--no-install-workspace"]);
        step.words(&["--compile-bytecode", "--no-progress"]);
        step.words(&["--color", "never", "--python"]);
        step.argv.push(making.source.program().into());
        let group = match self.only_groups {
            true => "--only-group",
            false => "--group",
        };
        for name in &self.groups {
            step.words(&[group, name]);
        }
        for extra in &self.extras {
            step.words(&["--extra", extra]);
        }
        Recipe {
            steps: vec![step],
            ..Recipe::default()
        }
    }

    fn check(&self, source: &Source, at: &Path) -> Result<(), EnvironmentError> {
        installed(at)?.check(source.lock.0.as_str(), &source.resolved)
    }

    fn entry(&self, at: &Path) -> Result<Entry, FsError> {
        Ok(Entry::of_python(at))
    }
}
