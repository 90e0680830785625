//! What a stage needs that not every machine has.

use super::reader::StageReader;
use super::settings::is_variable;
use super::{Requires, TEXTS};
use crate::diagnostic::Diagnostic;
use crate::fields::{About, Field, Key, Kind, Mapping, expected};
use crate::node::{Entry, Value};

type Read = fn(&mut StageReader<'_>, &mut Requires, &Entry);

pub(super) static REQUIRES: Mapping<Read> = Mapping {
    about: About {
        instead: &[(
            &["cpu", "mem", "memory", "cores", "timeout"],
            "`resources` says what a stage uses; `requires` says without what it is skipped",
        )],
        ..About::new(
            "Requires",
            "What a stage requires",
            "a requirement",
            "What not every machine has. Where something is missing, a stage that would have to run is \
             *gated*: it is skipped, and that is said. If its outs are in the workspace as \
             `pipeline.lock` names them, they stand and other stages read them; otherwise the stages \
             that read them don't run. A stage that is up to date needs nothing.",
        )
    },
    fields: &[
        (
            Field::optional(
                "gpu",
                Kind::Flag,
                "false",
                "Whether it needs the graphics cards that `resources` asks for, or at least one. Without \
                 it, a run that lacks the cards of `resources` is an error: nothing runs.",
            )
            .key(Key::Outside)
            .words(&["gpus", "cuda", "card", "cards"]),
            Some(|reader, requires, entry| match entry.value.value {
                Value::Bool(gpu) => requires.gpu = gpu,
                _ => {
                    let owner = reader.owner();
                    let error = expected(&entry.value, "requires.gpu", owner, "true or false");
                    reader.report.push(error.hint(
                        "write `requires: {gpu: true}`; how many is `resources: {gpu: 2}`",
                    ));
                }
            }),
        ),
        (
            Field::optional(
                "env",
                TEXTS,
                "none",
                "Variables that the caller must have set, to more than nothing. This gives none to the \
                 stage: `secret`, `env` and `pass_env` do.",
            )
            .key(Key::Outside)
            .words(&["variables", "secret", "secrets", "token", "tokens"]),
            Some(|reader, requires, entry| {
                for item in reader.items(entry) {
                    let Some(name) = reader.text(&item, "an item of `requires.env`") else {
                        continue;
                    };
                    let owner = reader.owner();
                    let at = item.location;
                    if is_variable(owner, "requires.env", &name, at, reader.report) {
                        requires.env.push(name);
                    }
                }
            }),
        ),
        (
            Field::optional(
                "files",
                TEXTS,
                "none",
                "Files or folders that must be there, such as a licence: absolute, relative to the \
                 pipeline's folder, or below the caller's home (`~/gurobi.lic`). Their content does not \
                 count.",
            )
            .key(Key::Outside)
            .example("requires: {gpu: true, env: [HF_TOKEN], files: [~/gurobi.lic]}")
            .words(&["file", "paths", "licence", "license"]),
            Some(|reader, requires, entry| {
                for item in reader.items(entry) {
                    let Some(path) = reader.text(&item, "an item of `requires.files`") else {
                        continue;
                    };
                    if path.trim().is_empty() {
                        let owner = reader.owner();
                        let message = format!("an item of `requires.files` of {owner} is blank");
                        let error = Diagnostic::new(item.location, message, "no path");
                        reader.report.push(error);
                    } else {
                        let path = match path.starts_with("~/") {
                            true => path,
                            false => reader.templates.scope.place.below(&path),
                        };
                        requires.files.push(path);
                    }
                }
            }),
        ),
    ],
};

impl StageReader<'_> {
    pub(super) fn requires(&mut self, entry: &Entry) -> Requires {
        let mut requires = Requires::default();
        let owner = format!("`requires` of {}", self.owner());
        REQUIRES.check(&entry.value, &owner, self.report);
        for (read, entry) in REQUIRES.present(&entry.value) {
            read(self, &mut requires, entry);
        }
        requires
    }
}
