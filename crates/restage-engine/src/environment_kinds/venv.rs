//! A requirements file of exact versions, installed by Python's own `venv` and pip.

use std::ffi::OsString;
use std::path::Path;

use super::interpreters::{Question, interpreter, python_by_path};
use super::named::{Found, Named, Source};
use super::{Asking, Entry, Kind, Making, Recipe};
use restage_core::fs::FsError;
use restage_environments::{EnvironmentError, PythonRequest, installed, requirements};
use restage_pipeline::Venv;

/// They would install elsewhere, or refuse to.
const OF_OTHERS: [&str; 5] = [
    "PIP_REQUIRE_VIRTUALENV",
    "PIP_USER",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_ROOT",
];

impl Kind for Venv {
    fn name(&self, asking: &Asking<'_>) -> Result<Named, EnvironmentError> {
        let file = &self.requirements;
        let hint = "name the requirements file; `pip freeze > FILE` writes one";
        let text = asking.read(file, hint)?;
        let mut found = Found::default();
        let folder = asking.folder_of(file);
        let request = PythonRequest::new(self.python.as_deref());
        let question = Question {
            kind: "venv",
            asked: &[self.python.as_deref().unwrap_or("")],
            folder: &folder,
        };
        let look = || python_by_path(asking, &request, &folder);
        let interpreter = interpreter(asking, &question, &mut found, &look)?;
        let resolved = requirements(file.as_str(), &text, &interpreter.variables)?;
        found.files.insert(file.to_string());
        let source = Source::new((file, &text), folder, resolved, Some(interpreter));
        Ok(Named::of_python("venv", source, found))
    }

    fn recipe(&self, making: &Making<'_>) -> Recipe {
        let python = making.source.program();
        let step = |name: &str| {
            let mut step = making.step(name);
            for name in OF_OTHERS {
                step.env.remove(&OsString::from(name));
            }
            step.argv.push(python.into());
            step
        };
        let mut venv = step("python -m venv");
        venv.words(&["-I", "-m", "venv", "--without-pip"]);
        venv.argv.push(making.at.into());
        let pip = |name: &str| {
            let mut step = step(name);
            step.words(&["-I", "-m", "pip", "--python"]);
            step.argv.push(making.at.join("bin/python").into());
            step.words(&["--no-input", "--disable-pip-version-check", "--no-color"]);
            step
        };
        let mut install = pip("pip install");
        install.words(&["install", "--no-deps", "--progress-bar", "off", "-r"]);
        let file = self.requirements.under(making.root);
        install.argv.push(file.into());
        // Whether the file names all that its packages need.
        let mut check = pip("pip check");
        check.words(&["check"]);
        Recipe {
            steps: vec![venv, install, check],
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
