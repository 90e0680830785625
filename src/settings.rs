//! Flags and environment, resolved once; the only place that reads environment variables.
//! It must not know what a verb does with them.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use super::args::{Cli, Colour, PipelineArgs};
use super::error::{CliError, from_store};
use super::exit::Exit;
use restage_claims::check_expression;
use restage_core::fs;
use restage_core::style::Style;
use restage_engine::{Capacity, HostEnv};
use restage_pipeline::graph::Graph;
use restage_pipeline::{self as spec, Diagnostics, LoadOptions};
use restage_store::Location;

/// What every verb may need of the surroundings.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Where paths on the command line start.
    pub(crate) directory: PathBuf,
    /// The store that is shared with other workspaces; relative to the current folder.
    pub(crate) store: Option<PathBuf>,
    /// JSON lines instead of text.
    pub(crate) json: bool,
    /// For stdout.
    pub(crate) out_style: Style,
    /// For stderr.
    pub(crate) err_style: Style,
    /// Whether stderr can be drawn on.
    pub(crate) interactive: bool,
    /// The caller's environment.
    pub(crate) env: HostEnv,
}

impl Settings {
    pub(crate) fn resolve(cli: &Cli) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that reads it"
        )]
        let env = HostEnv::new(std::env::vars_os());
        let no_colour = env.text("NO_COLOR").is_some_and(|v| !v.is_empty());
        let dumb = env.text("TERM").as_deref() == Some("dumb");
        let style = |terminal: bool| Style {
            colour: match cli.color {
                Colour::Always => true,
                Colour::Never => false,
                Colour::Auto => terminal && !no_colour && !dumb,
            },
        };
        let err_terminal = std::io::stderr().is_terminal();
        let shared = || env.get("RESTAGE_STORE").filter(|dir| !dir.is_empty());
        let store = cli.store.clone().or_else(|| shared().map(PathBuf::from));
        Self {
            store,
            directory: cli.directory.clone().unwrap_or_else(|| PathBuf::from(".")),
            json: cli.json,
            out_style: style(std::io::stdout().is_terminal()),
            err_style: style(err_terminal),
            interactive: err_terminal && !dumb && env.text("CI").is_none(),
            env,
        }
    }

    /// Where the store of the workspace at `root` lies.
    pub(crate) fn location(&self, root: &Path) -> Result<Location, CliError> {
        Location::of_workspace(root, self.store.as_deref()).map_err(from_store)
    }

    /// What this machine has to give.
    pub(crate) fn capacity(&self, jobs: Option<u16>) -> Capacity {
        let cpu = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
        Capacity {
            cpu,
            mem: total_memory(),
            gpus: self
                .env
                .cards()
                .iter()
                .map(|card| card.name.clone())
                .collect(),
            jobs: jobs.map_or(cpu as usize, usize::from),
        }
    }
}

/// Physical memory in bytes; unlimited where the system does not tell.
fn total_memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram
        .saturating_mul(u64::from(info.mem_unit))
        .max(1)
}

/// A pipeline that was read, checked and made into a graph.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The folder of the pipeline file: what its paths are relative to.
    pub(crate) root: PathBuf,
    /// As shown in messages.
    pub(crate) file_name: String,
    /// Its text.
    pub(crate) text: String,
    /// The profile that was chosen.
    pub(crate) profile: String,
    /// Every profile that there is.
    pub(crate) profiles: Vec<String>,
    /// Compare rules.
    pub(crate) compare: Vec<spec::CompareRule>,
    /// What the paper says.
    pub(crate) claims: Vec<spec::Claim>,
    /// What other tools are shown.
    pub(crate) export: spec::Export,
    /// The sealed graph.
    pub(crate) graph: Graph,
}

/// A pipeline file's text, not looked at yet.
#[derive(Debug)]
pub(crate) struct Text {
    /// The folder of the file.
    pub(crate) root: PathBuf,
    /// As shown in messages.
    pub(crate) file_name: String,
    /// What is in it.
    pub(crate) text: String,
}

/// Reads the pipeline file.
pub(crate) fn read(settings: &Settings, args: &PipelineArgs) -> Result<Text, CliError> {
    let path = settings.directory.join(&args.file);
    let file_name = args.file.display().to_string();
    let Some(bytes) = fs::read_if_exists(&path).map_err(|e| CliError::new(e, Exit::Machine))?
    else {
        return Err(CliError::usage(format!("there is no `{}`", path.display())).with_hint(
            "change to the experiment's folder, name it with `-C DIR`, or create one with `restage init`",
        ));
    };
    let text = String::from_utf8(bytes)
        .map_err(|_| CliError::usage(format!("`{file_name}` is not UTF-8 text")))?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let root = folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    let root = fs::canonicalize(&root).map_err(|e| CliError::new(e, Exit::Machine))?;
    Ok(Text {
        root,
        file_name,
        text,
    })
}

/// Checks a pipeline and builds its graph.
pub(crate) fn parse(text: Text, args: &PipelineArgs) -> Result<Loaded, CliError> {
    let Text {
        root,
        file_name,
        text,
    } = text;
    let options = LoadOptions {
        profile: args.profile.clone(),
        overrides: args.overrides.clone(),
        check_expression,
    };
    let pipeline = spec::load(&file_name, &text, &options)?;
    let (profile, compare) = (pipeline.profile.clone(), pipeline.compare.clone());
    let (profiles, claims) = (pipeline.profiles.clone(), pipeline.claims.clone());
    let export = pipeline.export.clone();
    let graph =
        Graph::build(pipeline).map_err(|items| Diagnostics::new(&file_name, &text, items))?;
    Ok(Loaded {
        root,
        file_name,
        text,
        profile,
        profiles,
        compare,
        claims,
        export,
        graph,
    })
}

/// Reads the pipeline file and builds its graph.
pub(crate) fn load(settings: &Settings, args: &PipelineArgs) -> Result<Loaded, CliError> {
    parse(read(settings, args)?, args)
}
