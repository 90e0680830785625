//! What else changes the code that cargo makes: toolchain, configuration files, environment.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{CodeError, canonical, read_toml};
use restage_core::digest::Digest;
use restage_core::fs;

/// Variables that are passed on to rustc or change what it is asked for. `RUSTUP_TOOLCHAIN` is
/// read with the toolchain file; wrappers such as sccache change nothing.
const VARIABLES: [&str; 17] = [
    "RUSTC",
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_RUSTC",
    "CARGO_BUILD_TARGET",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS",
    "CARGO_PROFILE_RELEASE_DEBUG",
    "CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS",
    "CARGO_PROFILE_RELEASE_INCREMENTAL",
    "CARGO_PROFILE_RELEASE_LTO",
    "CARGO_PROFILE_RELEASE_OPT_LEVEL",
    "CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS",
    "CARGO_PROFILE_RELEASE_PANIC",
    "CARGO_PROFILE_RELEASE_RPATH",
    "CARGO_PROFILE_RELEASE_SPLIT_DEBUGINFO",
    "CARGO_PROFILE_RELEASE_STRIP",
];

/// Platforms as they stand in `CARGO_TARGET_<PLATFORM>_RUSTFLAGS`.
const PLATFORMS: [&str; 6] = [
    "X86_64_UNKNOWN_LINUX_GNU",
    "X86_64_UNKNOWN_LINUX_MUSL",
    "AARCH64_UNKNOWN_LINUX_GNU",
    "AARCH64_UNKNOWN_LINUX_MUSL",
    "X86_64_APPLE_DARWIN",
    "AARCH64_APPLE_DARWIN",
];

/// Tables of cargo's configuration, and their keys, that change the code; no keys: all.
const CONFIGURATION: [(&str, &[&str]); 8] = [
    ("build", &["rustc", "rustflags", "target"]),
    ("target", &[]),
    ("host", &[]),
    ("env", &[]),
    ("profile", &["release"]),
    ("patch", &[]),
    ("unstable", &[]),
    ("paths", &[]),
];

/// Name and digest of each of these that is set.
pub(super) fn ingredients(
    root: &Path,
    workspace: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<(String, Digest)>, CodeError> {
    let mut found = Vec::new();
    let toolchain = toolchain(root, workspace, variable("RUSTUP_TOOLCHAIN"))?;
    found.extend(toolchain.map(|text| ("toolchain".to_owned(), text)));
    for (name, path) in configuration_files(root, workspace, variable) {
        if let Some(table) = read_toml(&path)? {
            found.extend(configured(&table).map(|text| (name, text)));
        }
    }
    let names = VARIABLES.map(str::to_owned).into_iter();
    let names = names.chain(PLATFORMS.map(|platform| format!("CARGO_TARGET_{platform}_RUSTFLAGS")));
    for name in names {
        let value = variable(&name).filter(|value| !value.is_empty());
        found.extend(value.map(|value| (format!("variable {name}"), value)));
    }
    Ok(found
        .into_iter()
        .map(|(name, text)| (name, Digest::of(text.as_bytes())))
        .collect())
}

/// The toolchain that rustup would choose, as far as the workspace says. Components such as
/// clippy don't matter.
fn toolchain(
    root: &Path,
    workspace: &str,
    variable: Option<String>,
) -> Result<Option<String>, CodeError> {
    let mut file = None;
    let cargo_root = root.join(workspace);
    for folder in folders(&cargo_root, root) {
        file = toolchain_file(folder)?;
        if file.is_some() {
            break;
        }
    }
    let Some(chosen) = variable.filter(|name| !name.is_empty()) else {
        return Ok(file);
    };
    // Under `cargo run`, rustup sets the full name of what the file says: that is not a change.
    let same = file.as_ref().is_some_and(|channel| {
        let rest = chosen.strip_prefix(channel.as_str());
        rest.is_some_and(|rest| rest.is_empty() || is_host(rest))
    });
    Ok(if same { file } else { Some(chosen) })
}

/// `-x86_64-unknown-linux-gnu` and the like.
fn is_host(suffix: &str) -> bool {
    let parts: Vec<&str> = suffix
        .strip_prefix('-')
        .unwrap_or_default()
        .split('-')
        .collect();
    matches!(parts.len(), 3 | 4) && matches!(parts[1], "unknown" | "apple" | "pc")
}

fn toolchain_file(root: &Path) -> Result<Option<String>, CodeError> {
    for name in ["rust-toolchain", "rust-toolchain.toml"] {
        let Some(bytes) = fs::read_if_exists(&root.join(name))? else {
            continue;
        };
        let text = String::from_utf8_lossy(&bytes);
        let table: Option<Table> = toml::from_str(&text).ok();
        let choice = table.and_then(|table| {
            let toolchain = table.get("toolchain")?;
            let choice = toolchain.get("channel").or_else(|| toolchain.get("path"))?;
            choice.as_str().map(str::to_owned)
        });
        // The old form is the bare name; and what rustup refuses, it will refuse.
        return Ok(Some(choice.unwrap_or_else(|| text.trim().to_owned())));
    }
    Ok(None)
}

/// The workspace's folder and those above it, up to the pipeline's.
fn folders<'a>(cargo_root: &'a Path, root: &'a Path) -> impl Iterator<Item = &'a Path> {
    cargo_root
        .ancestors()
        .take_while(move |folder| folder.starts_with(root))
}

/// Every file that cargo would read when started in the workspace, nearest first.
fn configuration_files(
    root: &Path,
    workspace: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Vec<(String, PathBuf)> {
    let in_folder = |folder: PathBuf, shown: String| {
        // Where both exist, cargo reads the one without an ending.
        let old = folder.join("config");
        let plain = fs::exists(&old).unwrap_or(false);
        let (name, path) = if plain {
            ("config", old)
        } else {
            ("config.toml", folder.join("config.toml"))
        };
        (format!("{shown}/{name}"), path)
    };
    let cargo_root = root.join(workspace);
    let within = folders(&cargo_root, root).filter(|folder| *folder != root);
    let within = within.filter_map(|folder| {
        let name = folder.strip_prefix(root).ok()?.join(".cargo");
        Some(in_folder(folder.join(".cargo"), name.display().to_string()))
    });
    let above = root.ancestors().enumerate().map(|(up, folder)| {
        in_folder(folder.join(".cargo"), format!("{}.cargo", "../".repeat(up)))
    });
    let home = variable("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(&variable("HOME")?).join(".cargo")));
    let mut files: Vec<_> = within.chain(above).collect();
    if let Some(home) = home.filter(|home| !files.iter().any(|(_, path)| path.starts_with(home))) {
        files.push(in_folder(home, "CARGO_HOME".to_owned()));
    }
    files
}

/// The part of a configuration file that changes the code, as canonical text.
fn configured(table: &Table) -> Option<String> {
    let mut kept = Table::new();
    for (name, keys) in CONFIGURATION {
        let Some(value) = table.get(name) else {
            continue;
        };
        let value = match value {
            Value::Table(fields) if !keys.is_empty() => {
                let wanted = fields
                    .iter()
                    .filter(|(key, _)| keys.contains(&key.as_str()));
                let wanted: Table = wanted
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
                if wanted.is_empty() {
                    continue;
                }
                Value::Table(wanted)
            }
            value => value.clone(),
        };
        kept.insert(name.to_owned(), value);
    }
    (!kept.is_empty()).then(|| canonical(&Value::Table(kept)))
}
