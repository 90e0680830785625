//! A pipeline and its workspace: what most commands start from.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::args::PipelineArgs;
use crate::error::{self, CliError};
use crate::find::{self, PipelinePath, plain};
use crate::output::Output;
use crate::render::{self, Reading};
use crate::settings::Settings;
use restage_claims::check_expression;
use restage_core::files::LOCAL_FILE;
use restage_core::fs;
use restage_core::rel_path::RelPath;
use restage_core::suggest::hint_among;
use restage_engine::{
    Facts, Observer, Patterns, Plan, RunError, Workspace, check_store, edited_since_copied, git,
    in_folders, plan, unknown_local_data,
};
use restage_pipeline::graph::{Graph, StageId};
use restage_pipeline::{
    Action, Diagnostic, Diagnostics, LoadOptions, OpenFile, OtherReading, Pipeline, Source,
};
use restage_store::{Location, Store};

/// A pipeline file that is read but not parsed: a run with nothing to do needs no more.
#[derive(Debug)]
pub(crate) struct PipelineFile {
    /// The file's folder: what its paths are relative to.
    pub(crate) root: PathBuf,
    /// The folder below it in which the user stands; empty if it is none.
    pub(crate) stands: PathBuf,
    /// As shown in messages.
    pub(crate) file_name: String,
    pub(crate) text: String,
}

impl PipelineFile {
    pub(crate) fn read(settings: &Settings, args: &PipelineArgs) -> Result<Self, CliError> {
        let PipelinePath {
            path,
            shown: file_name,
        } = find::pipeline(settings, args.file.as_deref())?;
        let Some(bytes) = fs::read_if_exists(&path)? else {
            let message = format!("there is no `{}`", path.display());
            return Err(CliError::usage(message).with_hint(
                "change to the experiment's folder, name it with `-C DIR`, or create one with \
                 `restage init`",
            ));
        };
        let text = String::from_utf8(bytes).map_err(|error| {
            let end = error.utf8_error().valid_up_to();
            let above = error.as_bytes()[..end]
                .iter()
                .filter(|byte| **byte == b'\n');
            let message = format!(
                "`{file_name}` is not UTF-8 text in line {}",
                above.count() + 1
            );
            CliError::usage(message).with_hint("save it as UTF-8, without changing anything else")
        })?;
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let root = fs::canonicalize(folder.unwrap_or(Path::new(".")))?;
        let current = fs::canonicalize(&settings.directory)?;
        let stands = current.strip_prefix(&root).unwrap_or(Path::new(""));
        Ok(Self {
            stands: stands.to_owned(),
            root,
            file_name,
            text,
        })
    }

    /// The file's name in its folder.
    pub(crate) fn base_name(&self) -> &str {
        base_name(&self.file_name)
    }

    /// Checks the pipeline and builds its graph.
    pub(crate) fn parse(self, args: &PipelineArgs) -> Result<Loaded, CliError> {
        let graph = graph(&self.root, &self.file_name, &self.text, args)?;
        let Self {
            root,
            stands,
            file_name,
            text,
        } = self;
        Ok(Loaded {
            root,
            stands,
            file_name,
            text,
            graph,
        })
    }
}

/// The last component of a file's name as shown.
fn base_name(file_name: &str) -> &str {
    file_name.rsplit('/').next().unwrap_or(file_name)
}

/// The graph that a pipeline's text gives.
fn graph(root: &Path, file_name: &str, text: &str, args: &PipelineArgs) -> Result<Graph, CliError> {
    let options = LoadOptions {
        profile: args.profile.clone(),
        overrides: args.overrides.clone(),
        check_expression,
        open: files_below(root),
    };
    let pipeline = restage_pipeline::load(file_name, text, &options)?;
    let sources = pipeline.sources.clone();
    let wrong = |items| Diagnostics::new(file_name, text, items).with(&sources);
    Ok(Graph::build(pipeline).map_err(wrong)?)
}

/// Opens the files that a pipeline in a folder names.
pub(crate) fn files_below(root: &Path) -> OpenFile {
    let root = root.to_owned();
    OpenFile::by(move |path| {
        let read = fs::read_if_exists(&path.under(&root));
        read.map_err(|error| error.to_string())
    })
}

/// A pipeline that was read, checked and made into a graph.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The file's folder: what its paths are relative to.
    pub(crate) root: PathBuf,
    /// The folder below it in which the user stands; empty if it is none.
    stands: PathBuf,
    /// As shown in messages.
    pub(crate) file_name: String,
    pub(crate) text: String,
    pub(crate) graph: Graph,
}

impl Loaded {
    /// Reads and checks the pipeline file.
    pub(crate) fn open(settings: &Settings, args: &PipelineArgs) -> Result<Self, CliError> {
        PipelineFile::read(settings, args)?.parse(args)
    }

    /// The file's name in its folder.
    pub(crate) fn base_name(&self) -> &str {
        base_name(&self.file_name)
    }

    /// The graph that the same text gives otherwise, under another profile.
    pub(crate) fn graph_under(&self, args: &PipelineArgs) -> Result<Graph, CliError> {
        graph(&self.root, &self.file_name, &self.text, args)
    }

    pub(crate) fn pipeline(&self) -> &Pipeline {
        self.graph.pipeline()
    }

    /// The name of the profile in use.
    pub(crate) fn profile(&self) -> &str {
        &self.pipeline().profile
    }

    /// What to do about a path that can't be in the workspace, because it is a temporary out, or in one.
    pub(crate) fn never_here(&self, path: &str) -> Option<String> {
        let (id, out) = self.graph.owner_of(&RelPath::new(path).ok()?)?;
        let stage = self.graph.stage(id);
        let name = &stage.name;
        stage.outs[out].temporary.then(|| {
            format!("it is a temporary out of stage `{name}`, which is never put here: remove `temporary: true`")
        })
    }

    /// A path of the command line as the pipeline has it, if it is one from where the user stands.
    pub(crate) fn named_from_here(&self, word: &str) -> Option<RelPath> {
        let below = plain(&self.stands.join(word));
        let is_below = !self.stands.as_os_str().is_empty();
        RelPath::new(below.to_str().filter(|_| is_below)?).ok()
    }

    /// Targets as the pipeline names them: an out may be named from where the user stands.
    fn targets(&self, words: &[String]) -> Vec<String> {
        let target = |word: &String| {
            let here = self.named_from_here(word).map(|path| path.to_string());
            let here = here.filter(|path| self.graph.named(path).is_ok());
            here.unwrap_or_else(|| word.clone())
        };
        words.iter().map(target).collect()
    }

    /// The stages that targets stand for, with all that they need.
    pub(crate) fn select(
        &self,
        targets: &[String],
        downstream: bool,
    ) -> Result<BTreeSet<StageId>, CliError> {
        Ok(self.graph.select(&self.targets(targets), downstream)?)
    }

    /// The stages that targets stand for, and no others.
    pub(crate) fn named(&self, targets: &[String]) -> Result<BTreeSet<StageId>, CliError> {
        let mut all = BTreeSet::new();
        for target in self.targets(targets) {
            all.extend(self.graph.named(&target)?);
        }
        Ok(all)
    }

    /// The stages that are not downloads of data.
    pub(crate) fn without_downloads(&self, stages: &BTreeSet<StageId>) -> BTreeSet<StageId> {
        let is_download = |id: &&StageId| matches!(self.graph.stage(**id).action, Action::Fetch(_));
        stages
            .iter()
            .filter(|id| !is_download(id))
            .copied()
            .collect()
    }

    /// Warns of params files that were edited after their values were copied into the pipeline.
    pub(crate) fn warn_of_copied_params(&self, out: &mut Output) -> Result<(), CliError> {
        let edited = &self.pipeline().edited_copies;
        for copy in edited {
            out.warning(&format!("{copy}: the edit has no effect"));
        }
        if !edited.is_empty() {
            out.hint(&format!(
                "change the stages of {} too, and the values under `copied_params`",
                self.file_name
            ));
        }
        for name in edited_since_copied(&self.root, &self.pipeline().copied_params)? {
            let file = &self.file_name;
            out.warning(&format!(
                "`{name}` was edited, but its values were copied into `params` of {file}: the edit has no effect"
            ));
            out.hint(&format!(
                "edit {file}, and delete `{name}` or its line under `copied_params`"
            ));
        }
        Ok(())
    }

    /// Warns of parameters that scripts which read YAML themselves see otherwise.
    pub(crate) fn warn_of_other_readings(&self, out: &mut Output) {
        const MOST: usize = 5;
        let found = &self.pipeline().other_readings;
        let Some(first) = found.first() else { return };
        let place = |reading: &OtherReading| {
            let source = Source::at(&self.pipeline().sources, reading.location);
            let file = source.map_or(&self.file_name, |source| &source.name);
            format!("{reading} ({file}:{})", reading.location.line)
        };
        let mut text = place(first);
        for reading in found.iter().take(MOST).skip(1) {
            text += &format!("\n  {}", place(reading));
        }
        if found.len() > MOST {
            text += &format!("\n  and {} more", found.len() - MOST);
        }
        out.warning(&text);
        out.hint("stages get what it is here; put quotes around a text, or write the value that is meant");
    }

    /// Warns where git keeps what is for one machine alone.
    pub(crate) fn warn_of_committed_local_file(&self, out: &mut Output) -> Result<(), CliError> {
        let reads_it = !self.pipeline().data.is_empty();
        if reads_it
            && fs::exists(&self.root.join(LOCAL_FILE))?
            && git::keeps(&self.root, LOCAL_FILE)
        {
            out.warning(&format!(
                "git keeps `{LOCAL_FILE}`, which says where this machine alone has data"
            ));
            out.hint(&format!(
                "`git rm --cached {LOCAL_FILE}`, and write `/{LOCAL_FILE}` into .gitignore"
            ));
        }
        Ok(())
    }

    /// Warns of names in the file for this machine that no data has: a slip there would leave another path in use.
    pub(crate) fn warn_of_unknown_local_data(&self, out: &mut Output) {
        let pipeline = self.pipeline();
        let known: Vec<&str> = pipeline
            .data
            .iter()
            .map(|data| data.name.as_str())
            .collect();
        for (name, line) in unknown_local_data(&self.root, &known) {
            let stage = self.graph.id(&name).map(|id| &self.graph.stage(id).action);
            if let Some(Action::Fetch(_)) = stage {
                out.warning(&format!(
                    "{LOCAL_FILE}:{line}: data `{name}` is downloaded, so what is said of it here does not count"
                ));
                out.hint("a copy on this machine is read by its `url: file:///..`");
                continue;
            }
            out.warning(&format!(
                "{LOCAL_FILE}:{line}: {} has no data `{name}`",
                self.file_name
            ));
            let known = known.iter().copied();
            out.hint(&hint_among(&name, "it has", known).unwrap_or_else(|| {
                "remove the line, unless another pipeline file in this folder needs it".to_owned()
            }));
        }
    }

    /// Mistakes in the pipeline file, each shown at its place.
    pub(crate) fn invalid(&self, mistakes: Vec<Diagnostic>) -> CliError {
        let all = Diagnostics::new(&self.file_name, &self.text, mistakes);
        all.with(&self.pipeline().sources).into()
    }

    /// The engine's error; if the pipeline file caused it, shown at its place there.
    pub(crate) fn error(&self, error: impl Into<RunError>) -> CliError {
        let (root, name) = (&self.root, &self.file_name);
        error::from_run(error.into(), root, name, &self.text, &self.graph)
    }
}

/// The program that becomes the launcher of stages: this one, even if its file was replaced.
pub(crate) fn launcher() -> Option<PathBuf> {
    cfg!(target_os = "linux").then(|| PathBuf::from("/proc/self/exe"))
}

/// A loaded pipeline in its workspace, whose store is open.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) loaded: &'a Loaded,
    pub(crate) workspace: Workspace,
}

impl<'a> Session<'a> {
    /// Opens the store, waiting for whoever has locked it.
    pub(crate) fn open(settings: &'a Settings, loaded: &'a Loaded) -> Result<Self, CliError> {
        let location = Self::location(settings, loaded)?;
        let store = Store::open_patiently(&location, &|| note_wait(settings))?;
        Ok(Self::over(settings, loaded, store))
    }

    /// Opens the store to look at it: nothing is made there, and no right to write is needed.
    pub(crate) fn look(settings: &'a Settings, loaded: &'a Loaded) -> Result<Self, CliError> {
        let location = Self::location(settings, loaded)?;
        let store = Store::open_to_look(&location, &|| note_wait(settings))?;
        Ok(Self::over(settings, loaded, store))
    }

    fn location(settings: &Settings, loaded: &Loaded) -> Result<Location, CliError> {
        let location = settings.location(&loaded.root)?;
        check_store(&loaded.root, &location, &loaded.graph).map_err(|error| loaded.error(error))?;
        Ok(location)
    }

    fn over(settings: &'a Settings, loaded: &'a Loaded, store: Store) -> Self {
        let workspace = Workspace::over(
            store,
            &loaded.root,
            loaded.profile(),
            &loaded.graph,
            settings.env.clone(),
        )
        .of_file(loaded.base_name());
        Self {
            settings,
            loaded,
            workspace,
        }
    }

    /// What the patterns of claims, the page and the exports match in it.
    pub(crate) fn patterns(&self) -> Result<Arc<Patterns>, CliError> {
        Ok(Arc::new(Patterns::of(&self.workspace)?))
    }

    /// What would happen to the selected stages.
    pub(crate) fn plan(
        &self,
        selected: &BTreeSet<StageId>,
        forced: &BTreeSet<StageId>,
    ) -> Result<Plan, CliError> {
        let _reading = Reading::begins(self.settings);
        plan(&self.loaded.graph, selected, forced, &self.workspace)
            .map_err(|error| self.loaded.error(error))
    }

    /// Warns of files that patterns do not match because they lie in another stage's folder.
    pub(crate) fn warn_of_files_in_folders(
        &self,
        selected: &BTreeSet<StageId>,
        out: &mut Output,
    ) -> Result<(), CliError> {
        let graph = &self.loaded.graph;
        let found = in_folders(&self.workspace, graph, selected);
        for one in found.map_err(|error| self.loaded.error(error))? {
            out.warning(&format!(
                "`{}` in `deps` of stage `{}` does not match `{}`: no pattern looks into `{}`, a folder that \
                 stage `{}` writes",
                one.pattern, one.reader, one.file, one.out, one.writer
            ));
            out.hint(&format!(
                "read the folder or the file by name; if it is not meant, write `/{}` into .restageignore",
                one.out
            ));
        }
        Ok(())
    }

    /// What would happen to the targets and what they need. If that can't be determined, for example
    /// because inputs are missing, a warning says that `what` can't be.
    pub(crate) fn plan_if_known(
        &self,
        targets: &[String],
        what: &str,
        out: &mut Output,
    ) -> Result<Option<Plan>, CliError> {
        let selected = self.loaded.select(targets, false)?;
        let plan = self.plan(&selected, &BTreeSet::new());
        let plan = plan.map_err(|error| {
            let error = error.render(self.settings.err_style);
            out.warning(&format!(
                "{what} can't be determined:\n{}",
                error.trim_end()
            ));
        });
        Ok(plan.ok())
    }

    /// Runs something while showing its events, in the form that the settings ask for.
    pub(crate) fn observed<T>(
        &self,
        quiet: bool,
        cores: u32,
        go: &mut dyn FnMut(&mut dyn Observer) -> T,
    ) -> T {
        let durations = |stage: &str| self.workspace.last_seconds(stage);
        render::observed(self.settings, quiet, cores, &durations, go)
    }
}

fn note_wait(settings: &Settings) {
    Output::new(settings.err_style).note("waiting for another restage that has locked the store\n");
}
