//! Turns every error into text and an exit code; the one place that does.

use std::error::Error;
use std::path::Path;

use unicode_normalization::UnicodeNormalization;

use crate::baseline::BaselineError;
use crate::exit::Exit;
use crate::style::Style;
use restage_core::fs::{self, FsError};
use restage_core::ignored::IgnoredError;
use restage_core::suggest::closest;
use restage_engine::{BROKEN_PIPE, FactsError, HAD_MORE_TO_SAY, RunError};
use restage_exec::CaptureError;
use restage_pipeline::graph::{Graph, SelectError};
use restage_pipeline::{Diagnostic, Diagnostics};
use restage_remote::{ConfigError, KeyError, RemoteError};
use restage_report::export::PackageError;
use restage_store::StoreError;

/// Lines of a failed tool's output to show.
const OUTPUT_LINES: usize = 8;

/// An error that ends a command.
#[derive(Debug)]
pub(crate) enum CliError {
    /// The pipeline file or an override is wrong.
    Spec(Diagnostics),
    /// Anything else.
    Other {
        error: Box<dyn Error>,
        hint: Option<String>,
        exit: Exit,
    },
}

impl CliError {
    pub(crate) fn new(error: impl Error + 'static, exit: Exit) -> Self {
        Self::Other {
            error: Box::new(error),
            hint: None,
            exit,
        }
    }

    /// The machine failed us: files, memory, processes.
    pub(crate) fn machine(error: impl Error + 'static) -> Self {
        Self::new(error, Exit::Machine)
    }

    /// What can't happen unless restage is wrong.
    pub(crate) fn bug(error: impl Error + 'static) -> Self {
        Self::new(error, Exit::Bug)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Other {
            error: message.into().into(),
            hint: None,
            exit: Exit::Usage,
        }
    }

    /// Another machine does not let us.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::Other {
            error: message.into().into(),
            hint: None,
            exit: Exit::Machine,
        }
    }

    /// The files here are not what would be made now.
    pub(crate) fn stale(message: impl Into<String>) -> Self {
        Self::Other {
            error: message.into().into(),
            hint: None,
            exit: Exit::Different,
        }
    }

    pub(crate) fn with_hint(mut self, text: impl Into<String>) -> Self {
        if let Self::Other { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    pub(crate) fn maybe_hint(self, hint: Option<impl Into<String>>) -> Self {
        match hint {
            Some(hint) => self.with_hint(hint),
            None => self,
        }
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Spec(_) => Exit::Usage,
            Self::Other { exit, .. } => *exit,
        }
    }

    /// The whole message, with a final line break.
    pub(crate) fn render(&self, style: Style) -> String {
        match self {
            Self::Spec(diagnostics) => restage_pipeline::render::render(diagnostics, style.colour),
            Self::Other { error, hint, .. } => {
                let mut text = format!("{} {error}\n", style.error("error:"));
                let mut cause = error.source();
                while let Some(source) = cause {
                    text += &format!("  caused by: {source}\n");
                    cause = source.source();
                }
                if let Some(hint) = hint {
                    text += &format!("{} {hint}\n", style.hint("hint:"));
                }
                text
            }
        }
    }
}

impl From<Diagnostics> for CliError {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Spec(diagnostics)
    }
}

impl From<FsError> for CliError {
    fn from(error: FsError) -> Self {
        let hint = error.hint();
        Self::machine(error).maybe_hint(hint)
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        let hint = error.hint();
        Self::machine(error).maybe_hint(hint)
    }
}

impl From<RemoteError> for CliError {
    fn from(error: RemoteError) -> Self {
        let exit = match error {
            RemoteError::Setup(_) => Exit::Usage,
            _ => Exit::Machine,
        };
        let hint = error.hint();
        Self::new(error, exit).maybe_hint(hint)
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        let hint = error.hint().map(str::to_owned);
        Self::new(error, Exit::Usage).maybe_hint(hint)
    }
}

impl From<KeyError> for CliError {
    fn from(error: KeyError) -> Self {
        let exit = match error {
            KeyError::Fs(_) | KeyError::NoRandom(_) => Exit::Machine,
            _ => Exit::Usage,
        };
        let hint = error.hint();
        Self::new(error, exit).maybe_hint(hint)
    }
}

impl From<SelectError> for CliError {
    fn from(error: SelectError) -> Self {
        Self::usage(error.to_string()).maybe_hint(error.hint())
    }
}

impl From<BaselineError> for CliError {
    fn from(error: BaselineError) -> Self {
        let exit = match error.is_usage() {
            true => Exit::Usage,
            false => Exit::Machine,
        };
        let hint = error.hint();
        Self::new(error, exit).maybe_hint(hint)
    }
}

impl From<PackageError> for CliError {
    fn from(error: PackageError) -> Self {
        let exit = match error {
            PackageError::NotOurs { .. } => Exit::Usage,
            PackageError::Fs(_) => Exit::Machine,
        };
        let hint = error.hint();
        Self::new(error, exit).maybe_hint(hint)
    }
}

/// A run's error, with the pipeline's text so that the offending place can be shown.
pub(crate) fn from_run(
    error: RunError,
    root: &Path,
    file_name: &str,
    text: &str,
    graph: &Graph,
) -> CliError {
    match error {
        RunError::Facts(error) => from_facts(error, root, file_name, text, graph),
        RunError::Secret { location, .. } => {
            let item = Diagnostic::new(location, error.to_string(), "declared here")
                .maybe_hint(error.hint());
            at_its_place(item, file_name, text, graph)
        }
        error => {
            let exit = if error.is_usage() {
                Exit::Usage
            } else {
                Exit::Machine
            };
            let hint = error.hint();
            CliError::new(error, exit).maybe_hint(hint)
        }
    }
}

/// A mistake in the pipeline, or in a file that it names.
fn at_its_place(item: Diagnostic, file_name: &str, text: &str, graph: &Graph) -> CliError {
    let all = Diagnostics::new(file_name, text, vec![item]);
    CliError::Spec(all.with(&graph.pipeline().sources))
}

/// A planning error, with the pipeline's text so that the offending place can be shown.
fn from_facts(
    error: FactsError,
    root: &Path,
    file_name: &str,
    text: &str,
    graph: &Graph,
) -> CliError {
    match error {
        FactsError::MissingInput {
            location, ref path, ..
        } => {
            let item = Diagnostic::new(location, error.to_string(), "not found")
                .hint("create it, or fix the path; paths are relative to the pipeline's folder")
                .maybe_hint(similar_name(root, graph, path));
            at_its_place(item, file_name, text, graph)
        }
        FactsError::Tool {
            location,
            ref reason,
            ..
        } => {
            let mut item = Diagnostic::new(location, error.to_string(), "asked for its version")
                .hint(tool_hint(reason));
            let output: Vec<&str> = reason.output().lines().collect();
            for line in &output[output.len().saturating_sub(OUTPUT_LINES)..] {
                item = item.note(format!("it printed: {line}"));
            }
            at_its_place(item, file_name, text, graph)
        }
        FactsError::Notebook { .. } => CliError::new(error, Exit::Usage)
            .with_hint("open it with a current Jupyter, and save it"),
        FactsError::Unsettled(_) => CliError::bug(error),
        FactsError::NoKey { ref hint, .. } => {
            let hint = hint.clone();
            CliError::new(error, Exit::Usage).maybe_hint(hint)
        }
        FactsError::Data(ref data) => {
            let hint = data.hint();
            CliError::new(error, Exit::Usage).maybe_hint(hint)
        }
        FactsError::Code(ref code) => {
            let hint = code.hint();
            CliError::new(error, Exit::Usage).maybe_hint(hint)
        }
        FactsError::NoMatch {
            location,
            ref pattern,
            ..
        } => {
            let hint = format!(
                "fix the pattern, or write `{{path: \"{pattern}\", optional: true}}`; what `.restageignore` \
                 and the default rules pass over does not match"
            );
            let item = Diagnostic::new(location, error.to_string(), "matches nothing").hint(hint);
            at_its_place(item, file_name, text, graph)
        }
        FactsError::LinkToOut { ref out, .. } => {
            let hint = format!(
                "name `{out}` in `deps` itself: then its stage runs first, and the link is not needed"
            );
            CliError::new(error, Exit::Usage).maybe_hint(Some(hint))
        }
        FactsError::Glob { .. } | FactsError::Ignored(IgnoredError::Line { .. }) => {
            CliError::new(error, Exit::Usage)
        }
        FactsError::Fs(ref fs) | FactsError::Ignored(IgnoredError::Fs(ref fs)) => {
            let exit = match fs.is_about_content() {
                true => Exit::Usage,
                false => Exit::Machine,
            };
            let hint = fs.hint().map(|hint| match fs.is_bad_link() {
                true => format!("{hint}; a line in `.restageignore` makes restage pass over it"),
                false => hint.to_owned(),
            });
            CliError::new(error, exit).maybe_hint(hint)
        }
        FactsError::Store(ref store) => {
            let hint = store.hint();
            CliError::machine(error).maybe_hint(hint)
        }
    }
}

fn tool_hint(reason: &CaptureError) -> String {
    match reason {
        CaptureError::NotStarted(_) => {
            "nothing ran; `tools` are read by what reads the stage's `cmd`: install it, or write `shell: sh` \
             at the top of pipeline.yaml or in the stage"
                .to_owned()
        }
        CaptureError::Exited {
            code: BROKEN_PIPE, ..
        } => format!("nothing ran; {HAD_MORE_TO_SAY}"),
        _ => "nothing ran; install it, or fix the command: `tools` are shell commands that print a \
              version and exit with 0"
            .to_owned(),
    }
}

/// A name beside a missing one that looks like it, of a file or an out.
fn similar_name(root: &Path, graph: &Graph, path: &str) -> Option<String> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let files = fs::read_dir(&root.join(folder)).unwrap_or_default();
    let outs = graph.stages().iter().flat_map(|stage| &stage.outs);
    let outs = outs.filter_map(|out| match out.path.as_str().rsplit_once('/') {
        Some((beside, name)) => (beside == folder).then_some(name),
        None => folder.is_empty().then_some(out.path.as_str()),
    });
    let names: Vec<&str> = files
        .iter()
        .filter_map(|name| name.to_str())
        .chain(outs)
        .collect();
    let composed = |name: &str| name.nfc().collect::<String>();
    let full = |name: &str| match folder {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    };
    if let Some(same) = names.iter().find(|there| composed(there) == composed(name)) {
        return Some(format!(
            "there is `{}`, which looks the same, but is written with other characters: one of the two has \
             its accents as characters of their own (Unicode's NFD, usual on a Mac), the other does not \
             (NFC); rename the file, or copy its name into the pipeline",
            full(same)
        ));
    }
    let similar = closest(name, names)?;
    Some(format!("did you mean `{}`?", full(similar)))
}
