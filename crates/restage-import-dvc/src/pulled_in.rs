//! What a stage's commands pull in that no dep covers: DVC runs a stage among all files of the project, so
//! nothing missed it.

use std::collections::BTreeMap;

use super::given::Given;
use super::params::DEFAULT_FILE;
use super::paths;
use super::stage::Reader;
use super::template::Context;
use restage_scripts::{Found, of_command, of_script};

impl Reader<'_, '_> {
    /// Adds the scripts that commands name and what these import, and other files that they name.
    pub(super) fn pulled_in(
        &mut self,
        commands: &[String],
        context: &Context<'_>,
        outs: &[String],
        given: &mut Given,
    ) {
        let mut found: Vec<Found> = Vec::new();
        for command in commands {
            found.extend(self.of_instances(command, context));
        }
        for dep in given.deps.iter().filter(|dep| !dep.contains("${")) {
            if self.files.is_file(dep) {
                found.extend(of_script(dep, &self.folder, self.files));
            }
        }
        let mut named = Vec::new();
        let mut imported: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for Found { path, by } in found {
            let known = |paths: &[String]| paths.iter().any(|known| covers(known, &path));
            if known(&given.deps)
                || known(outs)
                || given.files.contains(&path)
                || self.written.iter().any(|out| paths::is_within(&path, out))
            {
                continue;
            }
            given.deps.push(self.as_dep(&path));
            match by {
                None => named.push(path),
                Some(by) => imported.entry(by).or_default().push(path),
            }
        }
        let list = |paths: &[String]| {
            let paths: Vec<String> = paths.iter().map(|path| format!("`{path}`")).collect();
            paths.join(", ")
        };
        if !named.is_empty() {
            let are = if named.len() == 1 { "is" } else { "are" };
            self.said.change(format!(
                "{} {are} named by `cmd`: added to `deps`",
                list(&named)
            ));
        }
        for (by, paths) in imported {
            let are = if paths.len() == 1 { "is" } else { "are" };
            self.said.change(format!(
                "{} {are} pulled in by `{by}`: added to `deps`",
                list(&paths)
            ));
        }
        self.undeclared_params(given);
    }

    /// What a command pulls in, for all instances: a file that each has another one of by its name as it is
    /// written, `${key}.py`.
    fn of_instances(&self, command: &str, context: &Context<'_>) -> Vec<Found> {
        let filled = context.filled(command);
        let filled = filled.unwrap_or_else(|_| vec![command.to_owned()]);
        let each: Vec<Vec<Found>> = filled
            .iter()
            .map(|command| of_command(command, &self.folder, self.files))
            .collect();
        let mut templates: Vec<(String, Vec<String>)> = Vec::new();
        for (word, all) in context.filled_words(command) {
            let there = all.iter().map(|word| paths::join(&self.folder, word).ok());
            let (Some(there), Ok(path)) = (
                there.collect::<Option<Vec<String>>>(),
                paths::join(&self.folder, &word),
            ) else {
                continue;
            };
            let all_found = there.len() == each.len()
                && each.iter().zip(&there).all(|(found, path)| {
                    found
                        .iter()
                        .any(|one| one.by.is_none() && one.path == *path)
                });
            // A value that goes up makes another path than it seems to.
            let means_them = context.filled(&path).is_ok_and(|paths| paths == there);
            if all_found && means_them {
                templates.push((path, there));
            }
        }
        let mut found = Vec::new();
        for one in each.into_iter().flatten() {
            let template = templates.iter().find(|(_, all)| all.contains(&one.path));
            let path = template.map_or(one.path, |(path, _)| path.clone());
            found.push(Found { path, by: one.by });
        }
        found
    }

    /// A folder in which stages write is a pattern.
    fn as_dep(&self, path: &str) -> String {
        let filled = self.files.is_folder(path)
            && self.written.iter().any(|out| paths::is_within(out, path));
        match filled {
            true => format!("{path}/**/*"),
            false => path.to_owned(),
        }
    }

    /// A script that reads `params.yaml` although its stage declares no parameter of it.
    fn undeclared_params(&mut self, given: &mut Given) {
        let Ok(file) = paths::join(&self.folder, DEFAULT_FILE) else {
            return;
        };
        let known = |path: &String| covers(path, &file);
        if given.files.contains(&file)
            || given.deps.iter().any(known)
            || self.written.contains(&file)
            || !self.files.is_file(&file)
        {
            return;
        }
        let reads = |path: &&String| {
            let ending = path.rsplit('.').next().unwrap_or_default();
            ["py", "ipynb", "R", "r", "sh", "jl"].contains(&ending)
                && self
                    .files
                    .text(path)
                    .is_some_and(|text| text.contains(DEFAULT_FILE))
        };
        if let Some(script) = given.deps.iter().find(reads) {
            self.said.change(format!(
                "`{script}` names `{file}`, and the stage declares no parameter: it reads the file whole; any edit \
                 reruns it"
            ));
            given.deps.push(file);
        }
    }
}

/// Whether a dep has a path in it.
fn covers(dep: &str, path: &str) -> bool {
    paths::is_within(path, dep.strip_suffix("/**/*").unwrap_or(dep))
}
