//! The values of an environment's fields.

use std::collections::BTreeSet;

use super::made::{Conda, Image, Installer, Made, Nix, Pixi, Renv, Runtime, Tool, Uv, Venv};
use crate::diagnostic::Diagnostic;
use crate::fields::{expected, expected_of};
use crate::layout;
use crate::node::{Entry, Node, Value, printable};
use crate::template::Templates;
use restage_core::rel_path::RelPath;
use restage_core::suggest;

/// What the fields of one environment say.
#[derive(Default)]
pub(crate) struct Draft {
    pub(super) uv: Option<RelPath>,
    pub(super) venv: Option<RelPath>,
    pub(super) conda: Option<RelPath>,
    pub(super) pixi: Option<RelPath>,
    pub(super) renv: Option<RelPath>,
    pub(super) nix: Option<RelPath>,
    pub(super) image: Option<String>,
    pub(super) tools: Option<Vec<Tool>>,
    pub(super) groups: BTreeSet<String>,
    pub(super) only_groups: Option<BTreeSet<String>>,
    pub(super) extras: BTreeSet<String>,
    pub(super) python: Option<String>,
    pub(super) environment: Option<String>,
    pub(super) shell: Option<String>,
    pub(super) by: Option<&'static str>,
}

impl Draft {
    /// What they say together.
    pub(super) fn made(self) -> Option<Made> {
        if let Some(project) = self.uv {
            return Some(Made::Uv(Uv {
                project,
                only_groups: self.only_groups.is_some(),
                groups: self.only_groups.unwrap_or(self.groups),
                extras: self.extras,
                python: self.python,
            }));
        }
        if let Some(requirements) = self.venv {
            return Some(Made::Venv(Venv {
                requirements,
                python: self.python,
            }));
        }
        if let Some(lock) = self.conda {
            let mut all = Installer::ALL.into_iter();
            let by = all.find(|one| Some(one.program()) == self.by);
            let by = by.unwrap_or_default();
            return Some(Made::Conda(Conda { lock, by }));
        }
        if let Some(manifest) = self.pixi {
            let environment = self.environment.unwrap_or_else(|| "default".to_owned());
            return Some(Made::Pixi(Pixi {
                manifest,
                environment,
            }));
        }
        if let Some(lock) = self.renv {
            return Some(Made::Renv(Renv { lock }));
        }
        if let Some(flake) = self.nix {
            let shell = self.shell.unwrap_or_else(|| "default".to_owned());
            return Some(Made::Nix(Nix { flake, shell }));
        }
        if let Some(name) = self.image {
            let mut all = Runtime::ALL.into_iter();
            let by = all.find(|one| Some(one.program()) == self.by);
            let by = by.unwrap_or_default();
            return Some(Made::Image(Image { name, by }));
        }
        self.tools.map(Made::Tools)
    }
}

/// Reads them.
pub(crate) struct Reader<'a> {
    pub(super) templates: Templates<'a>,
    pub(super) report: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    pub(super) fn text(&mut self, entry: &Entry) -> Option<String> {
        if let Value::Text(_) = entry.value.value {
            let text = self.templates.text(&entry.value, self.report)?;
            if !text.trim().is_empty() {
                return Some(text);
            }
        }
        let owner = self.templates.owner;
        self.report
            .push(expected(&entry.value, &entry.key, owner, "text"));
        None
    }

    pub(super) fn path(&mut self, entry: &Entry) -> Option<RelPath> {
        let text = self.text(entry)?;
        let text = self.templates.scope.place.below(&text);
        let (at, field, owner) = (entry.value.location, &entry.key, self.templates.owner);
        let wrong = |label: &str, hint: &str| {
            let message = format!("`{field}` of {owner} cannot be `{}`", printable(&text));
            Diagnostic::new(at, message, label).hint(hint)
        };
        let error = match RelPath::new(&text) {
            Ok(path) if field == "uv" && !path.as_str().ends_with("pyproject.toml") => wrong(
                "not a `pyproject.toml`",
                "name the project's manifest, such as `pyproject.toml`; `uv.lock` lies beside it",
            ),
            Ok(path) if field == "pixi" && !path.as_str().ends_with(".toml") => wrong(
                "not a `pixi.toml`",
                "name the project's manifest, such as `pixi.toml`; `pixi.lock` lies beside it",
            ),
            Ok(path) if field == "nix" && !path.as_str().ends_with("flake.nix") => wrong(
                "not a `flake.nix`",
                "name the flake, such as `flake.nix`; `flake.lock` lies beside it",
            ),
            Ok(path) => return Some(path),
            Err(error) => wrong(
                &error.to_string(),
                "name a file below the pipeline's folder",
            ),
        };
        self.report.push(error);
        None
    }

    pub(super) fn image(&mut self, entry: &Entry) -> Option<String> {
        let image = self.text(entry)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:".contains(c);
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let valid = image.split_once("@sha256:").is_some_and(|(name, digest)| {
            let starts = name.starts_with(|c: char| c.is_ascii_alphanumeric());
            starts && name.chars().all(plain) && digest.len() == 64 && digest.bytes().all(is_hex)
        });
        if valid {
            return Some(image);
        }
        let owner = self.templates.owner;
        let message = format!("`image` of {owner} is `{}`", printable(&image));
        let error = Diagnostic::new(entry.value.location, message, "not named by its digest");
        let name = image.split([':', '@']).next().unwrap_or_default();
        let name = printable(name);
        self.report.push(error.hint(format!(
            "a tag can mean another image tomorrow: write `{name}@sha256:` and 64 hexadecimal digits, as `podman image \
             inspect --format '{{{{.RepoDigests}}}}'` shows them"
        )));
        None
    }

    pub(super) fn tools(&mut self, entry: &Entry) -> Vec<Tool> {
        let mut tools = Vec::new();
        for item in self.items(entry) {
            let Value::Text(_) = item.value else {
                let owner = self.templates.owner;
                let error = expected_of(&item, "an item of `tools`", owner, "text");
                self.report.push(error);
                continue;
            };
            if let Some(line) = self.templates.command(&item, self.report) {
                let line = layout::trimmed(&line).to_owned();
                let location = item.location;
                tools.push(Tool { line, location });
            }
        }
        tools
    }

    pub(super) fn names(&mut self, entry: &Entry) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for item in self.items(entry) {
            let Value::Text(_) = item.value else {
                let (owner, subject) =
                    (self.templates.owner, format!("an item of `{}`", entry.key));
                self.report
                    .push(expected_of(&item, &subject, owner, "text"));
                continue;
            };
            names.extend(self.templates.text(&item, self.report));
        }
        names
    }

    fn items(&mut self, entry: &Entry) -> Vec<Node> {
        if let Value::List(items) = &entry.value.value
            && !items.is_empty()
        {
            return items.clone();
        }
        let owner = self.templates.owner;
        let what = "a list of at least one text";
        self.report
            .push(expected(&entry.value, &entry.key, owner, what));
        Vec::new()
    }

    pub(super) fn python(&mut self, entry: &Entry) -> Option<String> {
        let value = self.templates.value(&entry.value, self.report)?;
        let owner = self.templates.owner;
        let (version, hint) = match &value.value {
            Value::Text(text) => (
                text.clone(),
                "write such as \"3.11\" or \"3.11.7\"".to_owned(),
            ),
            // 3.10 would be 3.1.
            Value::Number(_) => (
                String::new(),
                "put it in quotes, as in `python: \"3.11\"`: as a number 3.10 is 3.1".to_owned(),
            ),
            _ => (
                String::new(),
                "write such as \"3.11\" or \"3.11.7\"".to_owned(),
            ),
        };
        let parts: Vec<&str> = version.split('.').collect();
        let digits = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if (1..=3).contains(&parts.len()) && parts.iter().all(digits) {
            return Some(version);
        }
        let error = expected(&value, "python", owner, "a version in quotes");
        let location = entry.value.location;
        self.report
            .push(Diagnostic { location, ..error }.hint(hint));
        None
    }

    /// The word for what runs or makes it, of those that the kind knows.
    pub(super) fn by(&mut self, entry: &Entry, draft: &Draft) -> Option<&'static str> {
        let written = match &entry.value.value {
            Value::Text(text) => text.as_str(),
            _ => "",
        };
        let runtimes = Runtime::ALL.map(Runtime::program);
        let installers = Installer::ALL.map(Installer::program);
        let words = match (&draft.conda, &draft.image) {
            (Some(_), _) => &installers[..],
            (_, Some(_)) => &runtimes[..],
            // What it is of is reported.
            _ => &[&runtimes[..], &installers[..]].concat(),
        };
        let found = words.iter().copied().find(|word| *word == written);
        if found.is_none() {
            let owner = self.templates.owner;
            let what = &format!("`{}`", words.join("` or `"));
            let hint = suggest::closest(written, words.iter().copied());
            let hint = hint.map(|word| format!("did you mean `{word}`?"));
            let error = expected(&entry.value, "by", owner, what);
            self.report.push(error.maybe_hint(hint));
        }
        found
    }
}
