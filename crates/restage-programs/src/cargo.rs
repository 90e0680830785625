//! Builds the packages of `program:` stages by one cargo call.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use serde::Deserialize;

/// Why packages could not be built.
#[derive(Debug, thiserror::Error)]
pub enum CargoError {
    /// Cargo is not installed, or not on `PATH`.
    #[error("cannot run `{cargo}` to build {packages}")]
    NotStarted {
        /// The command.
        cargo: String,
        /// What was to be built, for people.
        packages: String,
        /// Why.
        source: io::Error,
    },
    /// Cargo failed: a compile error, or a lock file that is out of date.
    #[error("cargo could not build {packages}\n{output}")]
    Failed {
        /// What was to be built, for people.
        packages: String,
        /// The output of cargo and the compiler, without status lines.
        output: String,
    },
    /// Cargo was stopped by a signal, or its output could not be read.
    #[error("cargo did not finish building {packages}: {reason}")]
    Broken {
        /// What was to be built, for people.
        packages: String,
        /// What happened.
        reason: String,
    },
    /// It is unclear which binary of a package is meant.
    #[error("package `{package}` has no binary `{package}`")]
    NoBinary {
        /// The package.
        package: String,
        /// The binaries it has.
        binaries: Vec<String>,
    },
}

impl CargoError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotStarted { .. } => Some(
                "install Rust from https://rustup.rs, or name cargo by the variable CARGO".into(),
            ),
            Self::Failed { output, .. } => Some(hint_for(output).into()),
            Self::Broken { .. } => Some("nothing was run; finished stages are kept".into()),
            Self::NoBinary { binaries, .. } if binaries.is_empty() => {
                Some("a `program:` stage needs a package with `src/main.rs`".into())
            }
            Self::NoBinary { binaries, .. } => Some(format!(
                "it has `{}`; give the package a binary of the same name",
                binaries.join("`, `")
            )),
        }
    }
}

fn hint_for(output: &str) -> &'static str {
    let says = |text: &str| output.contains(text);
    if says("because --locked was passed") {
        "Cargo.lock is older than a Cargo.toml: run `cargo check`, look at the change and keep it"
    } else if says("did not match any packages") {
        "`program:` names a package of this workspace, as in its Cargo.toml"
    } else if says("failed to download") || says("Could not resolve host") {
        "the first build downloads crates; try again when the network is up"
    } else if says("linker") && says("not found") {
        "Rust needs a linker: install the system's C tool chain (on Debian: gcc)"
    } else if says("no space left on device") || says("No space left on device") {
        "free some space, or point CARGO_TARGET_DIR to another disk"
    } else {
        "fix the code and run again; nothing was run, finished stages are kept"
    }
}

/// Builds `packages` of the workspace at `workspace_root` in the release profile, with the
/// locked versions, and returns the binary of each. `progress` is called with cargo's status
/// lines (`Compiling nn v0.1.0`, `Blocking waiting for file lock on build directory`).
///
/// Cargo inherits the whole environment, `CARGO_TARGET_DIR` included; `CARGO` names another one.
///
/// Cargo unifies features of shared dependencies over the packages of one call, so the same binary
/// needs the same packages each time.
pub fn build(
    workspace_root: &Path,
    packages: &[String],
    progress: &mut dyn FnMut(&str),
) -> Result<BTreeMap<String, PathBuf>, CargoError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "cargo itself reads the environment; this is part of calling it"
    )]
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    build_with(cargo, workspace_root, packages, progress)
}

fn build_with(
    cargo: OsString,
    workspace_root: &Path,
    packages: &[String],
    progress: &mut dyn FnMut(&str),
) -> Result<BTreeMap<String, PathBuf>, CargoError> {
    if packages.is_empty() {
        return Ok(BTreeMap::new());
    }
    let names = format!("`{}`", packages.join("`, `"));
    let broken = |reason: String| CargoError::Broken {
        packages: names.clone(),
        reason,
    };
    let mut child = command(&cargo, workspace_root, packages)
        .spawn()
        .map_err(|source| {
            let cargo = cargo.to_string_lossy().into_owned();
            CargoError::NotStarted {
                cargo,
                packages: names.clone(),
                source,
            }
        })?;

    let stdout = child.stdout.take();
    let artifacts = thread::spawn(move || stdout.map(read_artifacts).unwrap_or_default());
    let said = child
        .stderr
        .take()
        .map(|stderr| listen(stderr, progress))
        .unwrap_or_default();
    let status = child.wait().map_err(|error| broken(error.to_string()))?;
    let Ok(artifacts) = artifacts.join() else {
        return Err(broken("its output could not be read".into()));
    };

    match status.code() {
        Some(0) => packages
            .iter()
            .map(|package| binary_of(package, &artifacts))
            .collect(),
        Some(_) => Err(CargoError::Failed {
            packages: names,
            output: said,
        }),
        None => Err(broken(status.to_string())),
    }
}

fn command(cargo: &OsString, workspace_root: &Path, packages: &[String]) -> Command {
    let mut command = Command::new(cargo);
    command
        .args([
            "build",
            "--release",
            "--locked",
            "--message-format=json-render-diagnostics",
        ])
        .args(packages.iter().flat_map(|package| ["-p", package]))
        .current_dir(workspace_root)
        // Plain output: it is shown elsewhere, and searched for the cause of a failure.
        .env("CARGO_TERM_COLOR", "never")
        .env("CARGO_TERM_PROGRESS_WHEN", "never")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Passes cargo's status lines on and keeps the rest. Reads to the end, or cargo would block on a
/// full pipe.
fn listen(stderr: impl Read, progress: &mut dyn FnMut(&str)) -> String {
    let mut kept = String::new();
    let mut lines = BufReader::new(stderr);
    let mut line = Vec::new();
    while matches!(lines.read_until(b'\n', &mut line), Ok(1..)) {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if is_status(text) {
            progress(text.trim_start());
        } else {
            kept.push_str(text);
            kept.push('\n');
        }
        line.clear();
    }
    kept.trim_matches('\n').to_owned()
}

/// Cargo's status lines start with a capitalised word, right-aligned to twelve columns.
fn is_status(line: &str) -> bool {
    let Some((head, _)) = line
        .split_at_checked(12)
        .filter(|(_, rest)| rest.starts_with(' '))
    else {
        return false;
    };
    let word = head.trim_start_matches(' ');
    word.starts_with(|c: char| c.is_ascii_uppercase()) && word.chars().all(char::is_alphabetic)
}

/// The fields of a line of `--message-format=json` that we read.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    package_id: String,
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// A binary that cargo built or found up to date.
#[derive(Debug, PartialEq, Eq)]
struct Artifact {
    package: String,
    binary: String,
    path: PathBuf,
}

fn read_artifacts(stdout: impl Read) -> Vec<Artifact> {
    let lines = BufReader::new(stdout).lines().map_while(Result::ok);
    // Build scripts may print other lines.
    lines
        .filter_map(|line| artifact(serde_json::from_str(&line).ok()?))
        .collect()
}

fn artifact(message: Message) -> Option<Artifact> {
    let target = message
        .target
        .filter(|target| target.kind.iter().any(|kind| kind == "bin"))?;
    let package = package_name(&message.package_id)?.to_owned();
    let built = message.reason == "compiler-artifact";
    let path = message.executable.filter(|_| built)?;
    Some(Artifact {
        package,
        binary: target.name,
        path,
    })
}

/// `path+file:///w/stages/train#0.1.0` and `path+file:///w/stages/t#train@0.1.0` are `train`.
fn package_name(id: &str) -> Option<&str> {
    let (url, fragment) = id.rsplit_once('#')?;
    match fragment.split_once('@') {
        Some((name, _)) => Some(name),
        None => url.trim_end_matches('/').rsplit('/').next(),
    }
}

/// The package's binary of the same name, or its only one.
fn binary_of(package: &str, artifacts: &[Artifact]) -> Result<(String, PathBuf), CargoError> {
    let binaries: Vec<&Artifact> = artifacts
        .iter()
        .filter(|artifact| artifact.package == package)
        .collect();
    let named = binaries.iter().find(|artifact| artifact.binary == package);
    match (named, binaries.as_slice()) {
        (Some(artifact), _) => Ok((package.to_owned(), artifact.path.clone())),
        (None, [only]) => Ok((package.to_owned(), only.path.clone())),
        (None, _) => Err(CargoError::NoBinary {
            package: package.to_owned(),
            binaries: binaries
                .iter()
                .map(|artifact| artifact.binary.clone())
                .collect(),
        }),
    }
}

#[cfg(test)]
#[path = "cargo_tests.rs"]
mod tests;
