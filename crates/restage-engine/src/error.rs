//! What stops a whole run. How a single stage ends is a value, not an error.

use std::path::PathBuf;

use super::facts::FactsError;
use restage_core::digest::Digest;
use restage_core::files::SET_ASIDE;
use restage_core::fs::FsError;
use restage_core::span::Location;
use restage_exec::{ExecError, Secrets, TraceError};
use restage_programs::CargoError;
use restage_store::{StoreError, object_gone};

/// Why a run was given up.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The plan could not be made.
    #[error(transparent)]
    Facts(#[from] FactsError),
    /// A stage wants more graphics cards than there are.
    #[error("stage `{stage}` needs {wanted}, and this machine has {have}")]
    NoGpu {
        /// The stage's name.
        stage: String,
        /// Such as `2 GPU(s)`, or `GPU 1`.
        wanted: String,
        /// How many cards there are.
        have: usize,
    },
    /// Stages cannot be traced here.
    #[error("this machine cannot trace what stages read and write, which `--audit` needs")]
    CannotTrace(#[source] TraceError),
    /// A stage that must be kept apart can't be.
    #[error(
        "stage `{stage}` must be kept apart (`isolation: required`), and this machine refuses it"
    )]
    NotApart {
        /// The stage's name.
        stage: String,
        /// The step that was refused, and why.
        reason: String,
        /// How to allow it.
        advice: Option<&'static str>,
    },
    /// restage could not be started as the launcher of stages.
    #[error("restage can't start itself to keep stages apart")]
    Launcher(#[source] std::io::Error),
    /// A stage that is to run can't be given a secret.
    #[error("stage `{stage}` needs the secret `{name}`, which {problem}")]
    Secret {
        /// The stage's name.
        stage: String,
        /// The variable.
        name: String,
        /// Where it is declared.
        location: Location,
        /// Why not.
        problem: SecretProblem,
    },
    /// Something stands where outs go, and no run wrote it.
    #[error("{}", foreign_text(.0))]
    Foreign(Vec<Foreign>),
    /// A folder that an out is to go to, or to fill, can't be written to.
    #[error("stage `{stage}` writes `{path}`, and the folder `{folder}` can't be written to")]
    OutPlace {
        /// The stage's name.
        stage: String,
        /// The out.
        path: String,
        /// The folder.
        folder: String,
    },
    /// A file is where a folder for an out has to be.
    #[error("stage `{stage}` writes `{path}`, but `{file}` is not a folder")]
    OutBelowFile {
        /// The stage's name.
        stage: String,
        /// The out.
        path: String,
        /// What should be a folder.
        file: String,
    },
    /// Something is mounted at or in what an out is to replace.
    #[error(
        "stage `{stage}` writes `{path}`, which can't be replaced: something is mounted at `{mount}`"
    )]
    OutMount {
        /// The stage's name.
        stage: String,
        /// The out.
        path: String,
        /// Where something is mounted.
        mount: String,
    },
    /// Two outs are one place, or one lies in the other, because of a link.
    #[error(
        "stage `{}` writes `{}` and stage `{}` writes `{}`, which are one place: a link leads from one to the other",
        stages[0], paths[0], stages[1], paths[1]
    )]
    OnePlace {
        /// The names of the two stages.
        stages: [String; 2],
        /// The two outs.
        paths: [String; 2],
    },
    /// The store lies in what a stage reads or writes.
    #[error("the store `{}` lies in `{path}`, which stage `{stage}` {does}", dir.display())]
    StorePlace {
        /// The stage's name.
        stage: String,
        /// What the stage does with the path.
        does: &'static str,
        /// The dep or out.
        path: String,
        /// The store's folder.
        dir: PathBuf,
    },
    /// Programs could not be built.
    #[error(transparent)]
    Cargo(#[from] CargoError),
    /// Sources were edited while cargo built them.
    #[error("the sources of `{package}` changed while it was built")]
    SourcesMoved {
        /// The package.
        package: String,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A job could not be started.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// There is no thread to keep results.
    #[error("no thread could be started to keep results")]
    NoThread(#[source] std::io::Error),
}

/// Something that stands where an out goes, and that no run wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// The stage's name.
    pub stage: String,
    /// The out.
    pub out: String,
    /// The first few files, for a message.
    pub files: String,
}

fn foreign_text(all: &[Foreign]) -> String {
    let lines = all.iter().map(|Foreign { stage, out, files }| {
        format!("no run wrote what stands at `{out}`, where stage `{stage}` writes: {files}")
    });
    lines.collect::<Vec<_>>().join("\n  ")
}

/// Why a secret can't be given to a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretProblem {
    /// It has no value.
    #[error("is not set")]
    NotSet,
    /// Its value is too short to be told from other text.
    #[error("is shorter than {} characters", Secrets::SHORTEST)]
    TooShort,
}

impl RunError {
    /// Whether the store lacks an object, or has just set a damaged one aside.
    pub(super) fn is_loss(&self) -> bool {
        let no_manifest = match self {
            Self::Store(error) | Self::Facts(FactsError::Store(error)) => {
                matches!(error, StoreError::NoManifest { .. })
            }
            _ => false,
        };
        no_manifest || self.lost_object().is_some()
    }

    /// The object that is missing or damaged, if that is what is wrong.
    pub(super) fn lost_object(&self) -> Option<Digest> {
        match self {
            Self::Store(error) | Self::Facts(FactsError::Store(error)) => error.lost_object(),
            Self::Fs(error) => object_gone(error),
            _ => None,
        }
    }

    /// Whether the pipeline, its code or the command line is to blame, not the machine.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::NoGpu { .. }
            | Self::SourcesMoved { .. }
            | Self::Secret { .. }
            | Self::Foreign(_)
            | Self::OutPlace { .. }
            | Self::OutBelowFile { .. }
            | Self::OutMount { .. }
            | Self::OnePlace { .. }
            | Self::StorePlace { .. } => true,
            Self::Cargo(error) => matches!(
                error,
                CargoError::Failed { .. } | CargoError::NoBinary { .. }
            ),
            Self::CannotTrace(_)
            | Self::NotApart { .. }
            | Self::Launcher(_)
            | Self::Facts(_)
            | Self::Fs(_)
            | Self::Store(_)
            | Self::Exec(_)
            | Self::NoThread(_) => false,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::CannotTrace(_) => Some(
                "nothing ran; tracing needs Linux 5.5 or later on x86-64 or arm64, and no sandbox around \
                 restage that forbids it or does the same"
                    .to_owned(),
            ),
            Self::NotApart { reason, advice, .. } => {
                let advice = advice.map(|advice| format!("; to allow it, {advice}"));
                Some(format!(
                    "nothing ran; {reason}{}; or run it as far apart as possible with \
                     `isolation: auto`",
                    advice.unwrap_or_default()
                ))
            }
            Self::Launcher(_) => {
                Some("nothing ran; `isolation: none` does without".to_owned())
            }
            Self::NoGpu { .. } => Some(
                "run it on a machine with cards, or ask for fewer in `resources.gpu`; `CUDA_VISIBLE_DEVICES` \
                 says which cards may be used; with `requires: {gpu: true}` the stage is skipped where \
                 there are none, and its committed outs stand"
                    .to_owned(),
            ),
            Self::Secret {
                problem: SecretProblem::NotSet,
                ..
            } => Some(
                "nothing ran; set the variable in the environment that restage is started in"
                    .to_owned(),
            ),
            Self::Secret {
                problem: SecretProblem::TooShort,
                ..
            } => Some(
                "nothing ran; so short a value would be hidden wherever it occurs by chance: use a longer \
                 one, or declare the variable under `env` if it is not a secret"
                    .to_owned(),
            ),
            Self::Foreign(all) => {
                let mut stages: Vec<&str> = all.iter().map(|one| one.stage.as_str()).collect();
                stages.dedup();
                Some(format!(
                    "nothing ran and nothing was changed; to keep it as the stage's result: `restage adopt {}`; to move \
                     it to `{SET_ASIDE}/`: `restage reproduce --set-aside`; to lose it: `restage \
                     reproduce --replace`",
                    stages.join(" ")
                ))
            }
            Self::OutPlace { .. } => Some(
                "nothing ran; make it writable, or give the out another path (an out that is a link to a \
                 folder, or a mount point, is filled, not replaced)"
                    .to_owned(),
            ),
            Self::OutBelowFile { .. } => Some(
                "nothing ran and nothing was changed; move it elsewhere, or give the out another path"
                    .to_owned(),
            ),
            Self::OutMount { .. } => Some(
                "nothing ran; mount the folder that holds it instead, unmount it, or give the out another path"
                    .to_owned(),
            ),
            Self::OnePlace { .. } => Some(
                "nothing ran and nothing was changed; remove the link, or give one of the outs another path"
                    .to_owned(),
            ),
            Self::StorePlace { .. } => Some(
                "nothing was changed; name a folder for it that no stage reads or writes (`--store DIR` or \
                 RESTAGE_STORE, or the link `.restage`)"
                    .to_owned(),
            ),
            Self::SourcesMoved { .. } => Some("nothing ran; run again".to_owned()),
            Self::Cargo(error) => error.hint(),
            Self::Fs(error) => error.hint().map(ToOwned::to_owned),
            Self::Store(error) => error.hint(),
            Self::Facts(_) | Self::Exec(_) | Self::NoThread(_) => None,
        }
    }
}
