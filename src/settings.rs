//! Flags and environment, resolved once; the only place that reads environment variables.

use std::cell::Cell;
use std::io::IsTerminal;
use std::path::{Component, Path, PathBuf};

use crate::args::{Cli, Colour};
use crate::error::CliError;
use crate::style::Style;
use restage_engine::{Capacity, HostEnv};
use restage_store::Location;

/// What every command may need to know about its surroundings.
#[derive(Debug)]
pub(crate) struct Settings {
    /// What paths on the command line are relative to.
    pub(crate) directory: PathBuf,
    /// The store that is shared with other workspaces; relative to the current folder.
    pub(crate) store: Option<PathBuf>,
    /// JSON lines instead of text.
    pub(crate) json: bool,
    /// For stdout.
    pub(crate) out_style: Style,
    /// For stderr.
    pub(crate) err_style: Style,
    /// Whether progress can be drawn on stderr.
    pub(crate) interactive: bool,
    /// The caller's environment.
    pub(crate) env: HostEnv,
    /// Whether it was said which pipeline above is used.
    pub(crate) has_noted_pipeline: Cell<bool>,
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
            has_noted_pipeline: Cell::new(false),
        }
    }

    /// A path from the command line, relative to the current folder.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        let path = self.directory.join(path);
        let parts = path.components().filter(|part| *part != Component::CurDir);
        match parts.collect::<PathBuf>() {
            here if here.as_os_str().is_empty() => PathBuf::from("."),
            path => path,
        }
    }

    /// The location of the store for the workspace at `root`.
    pub(crate) fn location(&self, root: &Path) -> Result<Location, CliError> {
        Ok(Location::of_workspace(root, self.store.as_deref())?)
    }

    /// The resources of this machine.
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

/// Physical memory in bytes.
fn total_memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram
        .saturating_mul(u64::from(info.mem_unit))
        .max(1)
}
