//! What an environment is: by what it is made, and from which file.

use std::collections::BTreeSet;

use restage_core::rel_path::RelPath;
use restage_core::span::Location;

/// Software that stages run in.
#[derive(Debug, Clone, PartialEq)]
pub struct Environment {
    /// Its name, which is part of no key.
    pub name: String,
    /// How it is made.
    pub made: Made,
    /// Where its name stands in the file.
    pub location: Location,
}

/// How the software of an environment is made.
#[derive(Debug, Clone, PartialEq)]
pub enum Made {
    /// By uv from the lock file beside a project's manifest.
    Uv(Uv),
    /// By Python's `venv` and pip from exact versions.
    Venv(Venv),
    /// By conda or one of its relatives from exact builds.
    Conda(Conda),
    /// By pixi from the lock file beside a manifest.
    Pixi(Pixi),
    /// By renv from an R project's lock file.
    Renv(Renv),
    /// By Nix from the lock file beside a flake.
    Nix(Nix),
    /// An image that stages run in.
    Image(Image),
    /// By nobody here: these lines say what there is.
    Tools(Vec<Tool>),
}

/// A part of a uv project.
#[derive(Debug, Clone, PartialEq)]
pub struct Uv {
    /// The project's `pyproject.toml`.
    pub project: RelPath,
    /// Groups of dependencies that are installed, too.
    pub groups: BTreeSet<String>,
    /// Whether the groups are all that is installed, without what the project itself depends on.
    pub only_groups: bool,
    /// The project's extras that are installed, too.
    pub extras: BTreeSet<String>,
    /// The version of Python, such as `3.11`.
    pub python: Option<String>,
}

impl Uv {
    /// Its lock file.
    #[must_use]
    pub fn lock_file(&self) -> Option<RelPath> {
        beside(&self.project, "uv.lock")
    }
}

/// Packages of exact versions.
#[derive(Debug, Clone, PartialEq)]
pub struct Venv {
    /// The requirements file.
    pub requirements: RelPath,
    /// The version of Python.
    pub python: Option<String>,
}

/// Packages of conda's channels.
#[derive(Debug, Clone, PartialEq)]
pub struct Conda {
    /// An explicit list, or a `conda-lock.yml`.
    pub lock: RelPath,
    /// What installs them.
    pub by: Installer,
}

/// An environment of a pixi project.
#[derive(Debug, Clone, PartialEq)]
pub struct Pixi {
    /// The project's `pixi.toml`, or `pyproject.toml`.
    pub manifest: RelPath,
    /// The environment's name there.
    pub environment: String,
}

impl Pixi {
    /// Its lock file.
    #[must_use]
    pub fn lock_file(&self) -> Option<RelPath> {
        beside(&self.manifest, "pixi.lock")
    }
}

/// The library of an R project.
#[derive(Debug, Clone, PartialEq)]
pub struct Renv {
    /// Its `renv.lock`.
    pub lock: RelPath,
}

/// A shell of a flake.
#[derive(Debug, Clone, PartialEq)]
pub struct Nix {
    /// The `flake.nix`.
    pub flake: RelPath,
    /// The shell's name there, or a package's.
    pub shell: String,
}

impl Nix {
    /// Its lock file.
    #[must_use]
    pub fn lock_file(&self) -> Option<RelPath> {
        beside(&self.flake, "flake.lock")
    }
}

/// An image.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Its whole name, `docker.io/library/python@sha256:..`.
    pub name: String,
    /// What runs it.
    pub by: Runtime,
}

/// A file in the same folder as another one.
fn beside(path: &RelPath, name: &str) -> Option<RelPath> {
    let folder = path.as_str().rsplit_once('/').map(|(folder, _)| folder);
    let path = folder.map_or(name.to_owned(), |folder| format!("{folder}/{name}"));
    RelPath::new(&path).ok()
}

impl Environment {
    /// The image and what runs it, if stages run in one.
    #[must_use]
    pub fn image(&self) -> Option<(&str, Runtime)> {
        match &self.made {
            Made::Image(image) => Some((&image.name, image.by)),
            _ => None,
        }
    }
}

/// A command that says which version of a tool there is.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// A line for `sh -c`, templates filled in and quoted.
    pub line: String,
    /// Where it stands in the file.
    pub location: Location,
}

/// What runs containers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Runtime {
    /// `podman run`.
    #[default]
    Podman,
    /// `docker run`.
    Docker,
    /// `apptainer exec`.
    Apptainer,
}

/// What installs packages of conda's channels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Installer {
    /// `micromamba create`.
    #[default]
    Micromamba,
    /// `mamba create`.
    Mamba,
    /// `conda create`.
    Conda,
}

impl Installer {
    pub(super) const ALL: [Self; 3] = [Self::Micromamba, Self::Mamba, Self::Conda];

    /// The program.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Micromamba => "micromamba",
            Self::Mamba => "mamba",
            Self::Conda => "conda",
        }
    }
}

impl Runtime {
    pub(super) const ALL: [Self; 3] = [Self::Podman, Self::Docker, Self::Apptainer];

    /// The program.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Docker => "docker",
            Self::Apptainer => "apptainer",
        }
    }
}
