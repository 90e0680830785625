//! Which parameters a stage gets from params files, and how each file reaches it.

use super::params::{DEFAULT_FILE, Form, find_glob};
use super::paths;
use super::shape::items;
use super::stage::{Reader, Refusal, refusal};
use super::template::{Context, Use, normalised};
use restage_core::span::Location;
use restage_pipeline::node::{Node, Value};

pub(super) struct Given {
    /// With the params files that it reads as a whole.
    pub(super) deps: Vec<String>,
    /// Dotted paths.
    pub(super) params: Vec<String>,
    /// Params files that its command writes.
    pub(super) files: Vec<String>,
}

/// Why a file that a stage writes gives no parameters.
const WRITTEN: &str = "a stage writes it";

impl Reader<'_, '_> {
    /// Its params, and how each params file reaches it.
    pub(super) fn given(
        &mut self,
        context: &Context<'_>,
        deps: Vec<String>,
    ) -> Result<Given, Refusal> {
        let mut given = Given {
            deps,
            params: Vec::new(),
            files: Vec::new(),
        };
        for item in items(self.stage.body, "params") {
            let wanted = match item.scalar_text() {
                Some(key) => vec![(DEFAULT_FILE.to_owned(), vec![key], item.location)],
                None => item
                    .entries()
                    .iter()
                    .map(|entry| {
                        let keys = match &entry.value.value {
                            Value::List(keys) => {
                                keys.iter().filter_map(Node::scalar_text).collect()
                            }
                            _ => Vec::new(),
                        };
                        (entry.key.clone(), keys, entry.key_location)
                    })
                    .collect(),
            };
            for (file, keys, at) in wanted {
                let name = context
                    .translate(&file, Use::Path, &mut self.said)
                    .and_then(|file| paths::join(&self.folder, &file))
                    .map_err(|reason| refusal(at, "params", reason))?;
                let form = self.file_form(&file, &name, at, context, &given)?;
                self.file(&name, form, &keys, at, context, &mut given)?;
            }
        }
        Ok(given)
    }

    /// How a params file reaches the stage; `written`: as dvc.yaml names it.
    fn file_form(
        &mut self,
        written: &str,
        name: &str,
        at: Location,
        context: &Context<'_>,
        given: &Given,
    ) -> Result<Form, Refusal> {
        // They are compared with dvc.lock, whatever becomes of them.
        for one in context.filled(written).unwrap_or_default() {
            let path = paths::join(&self.folder, &one);
            path.into_iter()
                .for_each(|path| drop(self.params.file(&path)));
        }
        if given.deps.iter().any(|dep| paths::is_within(name, dep)) {
            return Ok(Form::Whole("it is a dep".to_owned()));
        }
        if self.written.contains(name) {
            return Ok(Form::Whole(WRITTEN.to_owned()));
        }
        if !name.contains("${") {
            return Ok(self.params.form(name));
        }
        // Of each instance another one.
        let all = context.filled(written);
        let all = all.map_err(|reason| refusal(at, "params", reason))?;
        let mut all_written = true;
        for one in all {
            let path = paths::join(&self.folder, &one);
            let path = path.map_err(|reason| refusal(at, "params", reason))?;
            if !self.files.is_file(&path) && !self.written.contains(&path) {
                return Ok(Form::Missing);
            }
            all_written &= self.written.contains(&path);
        }
        if all_written {
            return Ok(Form::Whole(WRITTEN.to_owned()));
        }
        Ok(Form::Whole("its name depends on the instance".to_owned()))
    }

    /// A key that depends on the instance: as it is, or what holds all that its `*` stands for.
    fn key_of_instances(
        &self,
        file: &str,
        key: &str,
        path: String,
        context: &Context<'_>,
    ) -> Option<String> {
        let Some(star) = path.find('*') else {
            return Some(path);
        };
        let root = self.params.known(file)?;
        let plain = path.replace('*', "");
        let filled = |text: &str| context.filled(text).ok();
        let found = filled(key)?.into_iter();
        let found = found.map(|key| find_glob(root, &normalised(&key)).map(|(_, path)| path));
        let found: Vec<String> = found.collect::<Option<_>>()?;
        if filled(&plain).is_some_and(|plain| plain == found) {
            return Some(plain);
        }
        let (above, _) = path[..star].rsplit_once('.')?;
        (!above.contains("${")).then(|| above.to_owned())
    }

    fn file(
        &mut self,
        name: &str,
        form: Form,
        keys: &[String],
        at: Location,
        context: &Context<'_>,
        given: &mut Given,
    ) -> Result<(), Refusal> {
        match form {
            Form::Missing => {
                // As a dep, nothing runs before it is there.
                given.deps.push(name.to_owned());
                let advice =
                    format!("there is no `{name}`, which it reads its params from: make it");
                self.broken(at, "params", advice);
            }
            Form::Whole(reason) => {
                if !given.deps.iter().any(|dep| paths::is_within(name, dep)) {
                    given.deps.push(name.to_owned());
                }
                let edit = match reason == WRITTEN {
                    true => "any change of it reruns it",
                    false => "edit that file; any edit reruns it",
                };
                self.said
                    .change(format!("it reads `{name}` whole, since {reason}: {edit}"));
            }
            Form::Given => {
                let all = self.params.keys(name);
                let keys = if keys.is_empty() { &all } else { keys };
                for key in keys {
                    let path = context
                        .translate(key, Use::Text, &mut self.said)
                        .map_err(|reason| refusal(at, "params", reason))?;
                    let path = match path.contains("${") {
                        true => self.key_of_instances(name, key, path, context),
                        false => self.params.reachable(name, &path),
                    };
                    match path {
                        Some(path) if given.params.contains(&path) => {}
                        Some(path) => given.params.push(path),
                        None => {
                            let reason = format!("`{name}` has no `{key}`, which DVC refuses too");
                            return Err(refusal(at, "params", reason));
                        }
                    }
                }
                if !given.files.iter().any(|file| file == name) {
                    given.files.push(name.to_owned());
                }
            }
        }
        Ok(())
    }
}
