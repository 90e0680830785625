//! `notebook: analysis.ipynb`: a command for papermill.

use super::reader::StageReader;
use crate::diagnostic::Diagnostic;
use crate::node::{Entry, printable};
use crate::paths;
use crate::pipeline::{Action, DepPattern, Notebook, Out, Stage};
use crate::script::{Script, Shell};
use crate::shell::{Place, quote};
use restage_core::glob::Glob;
use restage_core::span::Location;

const ENDING: &str = ".ipynb";

impl StageReader<'_> {
    pub(super) fn notebook(&mut self, stage: &mut Stage, entry: &Entry) {
        for field in ["program", "cmd", "shell"] {
            let Some(other) = self.node.entry(field) else {
                continue;
            };
            let message = format!("{} has both `{field}` and `notebook`", self.owner());
            let hint = match field {
                "shell" => "remove `shell`: it is for `cmd`",
                _ => "keep one; a stage of its own can do what is left",
            };
            self.report.push(
                Diagnostic::new(other.key_location, message, "papermill runs the notebook")
                    .note_at("`notebook` is given", entry.key_location)
                    .hint(hint),
            );
            return;
        }
        let Some(text) = self.text(&entry.value, "`notebook`") else {
            return;
        };
        let at = entry.value.location;
        let text = self.templates.scope.place.below(&text);
        match paths::dep(&text, at, self.owner()) {
            Ok(DepPattern::Path(path)) if path.as_str().ends_with(ENDING) => {
                stage.notebook = Some(Notebook { path, location: at });
            }
            Ok(_) => {
                let message = format!("`{}` is not the name of a notebook", printable(&text));
                let error = Diagnostic::new(at, message, "does not end in `.ipynb`");
                self.report.push(error);
            }
            Err(error) => self.report.push(*error),
        }
    }

    /// Makes the command, once the stage's params and outs are known.
    pub(super) fn run_notebook(&mut self, stage: &mut Stage) {
        let Some(notebook) = stage.notebook.clone() else {
            return;
        };
        let (path, at) = (notebook.path.as_str(), notebook.location);
        let reads = |pattern: &DepPattern| match pattern {
            DepPattern::Path(read) => notebook.path.is_within(read),
            DepPattern::Glob(glob) => {
                Glob::new(glob).is_ok_and(|glob| glob.matches(&notebook.path))
            }
        };
        if let Some(dep) = stage.deps.iter().find(|dep| reads(&dep.pattern)) {
            let message = format!(
                "{} reads `{path}` twice: as its notebook, and in `deps`",
                self.owner()
            );
            self.report.push(
                Diagnostic::new(dep.location, message, "here its outputs would count")
                    .note_at("run as a notebook", at)
                    .hint("name what else it reads, file by file"),
            );
        }
        let mut executed = stage
            .outs
            .iter()
            .filter(|out| out.path.as_str().ends_with(ENDING));
        let (first, second) = (executed.next(), executed.next());
        if let (Some(first), Some(second)) = (first, second) {
            let message = format!("{} writes two notebooks, and runs one", self.owner());
            self.report.push(
                Diagnostic::new(second.location, message, "which is the executed one?")
                    .note_at("the first", first.location)
                    .hint("name one; another can lie in a folder that is an out"),
            );
        }
        if let Some(out) = first.filter(|out| !out.volatile) {
            let error = not_volatile(out, self.owner(), out.location);
            self.report.push(error);
        }
        // The command runs in the folder of an included file.
        let up = match stage
            .folder
            .split('/')
            .filter(|part| !part.is_empty())
            .count()
        {
            0 => "./".to_owned(),
            depth => "../".repeat(depth),
        };
        let word = |text: &str| quote(text, Place::Bare).unwrap_or_default();
        let mut text = "papermill --no-progress-bar".to_owned();
        if let Some((folder, _)) = path.rsplit_once('/') {
            // As if it were opened there.
            let above = up.strip_prefix("./").unwrap_or(&up);
            text += &format!(" --cwd {}", word(&format!("{above}{folder}")));
        }
        if !stage.params.is_empty() {
            text += " -f \"$RESTAGE_PARAMS_FILE\"";
        }
        // A name may begin with a dash.
        text += &format!(" {}", word(&format!("{up}{path}")));
        text += &match first {
            Some(out) => format!(" {}", word(&format!("{up}{}", out.path))),
            None => " \"$RESTAGE_SCRATCH/executed.ipynb\"".to_owned(),
        };
        stage.action = Action::Command(Script {
            shell: Shell::Sh,
            texts: vec![text],
        });
    }
}

fn not_volatile(out: &Out, owner: &str, at: Location) -> Diagnostic {
    let path = &out.path;
    let message = format!("`{path}`, the executed notebook of {owner}, is not `volatile`");
    Diagnostic::new(at, message, "has the times of its run in it").hint(format!(
        "write `{{path: {path}, volatile: true}}`; what other stages read goes into files of its own"
    ))
}
