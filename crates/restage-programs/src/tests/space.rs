//! A small workspace that can be edited in one place at a time.
//! It must not know what should follow from an edit.

use std::collections::BTreeMap;

use tempfile::TempDir;

use super::super::*;

const ROOT: &str = r#"
[workspace]
members = ["stages/*"]
resolver = "3"
[workspace.package]
edition = "2024"
version = "0.1.0"
[workspace.dependencies]
nn = { path = "stages/nn" }
rand = { version = "0.9", features = ["std"] }
[profile.release]
lto = "thin"
[profile.dev]
opt-level = 1
"#;

const TRAIN: &str = r#"
[package]
name = "train"
version.workspace = true
edition.workspace = true
description = "Trains"
[dependencies]
nn.workspace = true
rand = { workspace = true, features = ["alloc"] }
[dev-dependencies]
proptest = "1"
"#;

const NN: &str = r#"
[package]
name = "nn"
version = "0.1.0"
edition = "2024"
[features]
default = []
[dependencies]
math = { package = "libm", version = "0.2" }
[target.'cfg(unix)'.build-dependencies]
cc-free = { path = "tools" }
"#;

const REPORT: &str = r#"
[package]
name = "report"
version = "0.1.0"
edition = "2021"
[dependencies]
rand = "0.8"
"#;

pub(super) fn locked(name: &str, version: &str, dependencies: &[&str]) -> String {
    let source =
        "source = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"00\"\n";
    package(name, version, source, dependencies)
}

pub(super) fn package(name: &str, version: &str, source: &str, dependencies: &[&str]) -> String {
    format!(
        "[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n{source}dependencies = {dependencies:?}\n"
    )
}

pub(super) fn lock_file(core: &str) -> String {
    [
        "version = 4\n".to_owned(),
        package("cc-free", "0.1.0", "", &[]),
        locked("libm", "0.2.0", &[]),
        package("nn", "0.1.0", "", &["cc-free", "libm"]),
        locked("proptest", "1.0.0", &["rand_core 0.6.0"]),
        locked("rand", "0.8.0", &["rand_core 0.6.0"]),
        locked("rand", "0.9.0", &[&format!("rand_core {core}")]),
        locked("rand_core", "0.6.0", &[]),
        locked("rand_core", core, &[]),
        package("report", "0.1.0", "", &["rand 0.8.0"]),
        package("train", "0.1.0", "", &["nn", "proptest", "rand 0.9.0"]),
    ]
    .concat()
}

pub(super) struct Space {
    pub(super) dir: TempDir,
    pub(super) variables: BTreeMap<String, String>,
    /// The cargo workspace's folder.
    pub(super) workspace: &'static str,
}

impl Space {
    pub(super) fn new() -> Self {
        let space = Self {
            dir: tempfile::tempdir().unwrap(),
            variables: BTreeMap::new(),
            workspace: "",
        };
        space.write("Cargo.toml", ROOT);
        space.write("Cargo.lock", &lock_file("0.9.0"));
        space.write("rust-toolchain.toml", "[toolchain]\nchannel = \"1.95.0\"\n");
        for (folder, manifest) in [("train", TRAIN), ("nn", NN), ("report", REPORT)] {
            space.write(&format!("stages/{folder}/Cargo.toml"), manifest);
            space.write(&format!("stages/{folder}/src/main.rs"), "fn main() {}");
        }
        let tools = "[package]\nname = \"cc-free\"\nversion = \"0.1.0\"\n";
        space.write("stages/nn/tools/Cargo.toml", tools);
        space.write("stages/nn/tools/src/lib.rs", "");
        space
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(super) fn edit(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(&self.dir.path().join(path)).unwrap();
        assert!(text.contains(from), "{path} has no {from}");
        self.write(path, &text.replace(from, to));
    }

    /// Moves the workspace's manifest and lock file to the folder that its crates are in.
    pub(super) fn move_workspace_to_its_crates(&mut self) {
        let root = self.dir.path();
        for name in ["Cargo.toml", "Cargo.lock"] {
            std::fs::rename(root.join(name), root.join("stages").join(name)).unwrap();
        }
        self.edit("stages/Cargo.toml", "stages/*", "*");
        self.edit("stages/Cargo.toml", "stages/nn", "nn");
        self.workspace = "stages";
    }

    pub(super) fn load(&self) -> Result<CodeDigests, CodeError> {
        let hash = |path: &RelPath| {
            let bytes = fs::read_if_exists(&path.under(self.dir.path()))?;
            Ok(bytes.map(|bytes| Digest::of(&bytes)))
        };
        CodeDigests::load(self.dir.path(), self.workspace, &hash, &|name| {
            self.variables.get(name).cloned()
        })
    }

    pub(super) fn code(&self) -> BTreeMap<&'static str, CodeDigest> {
        let code = self.load().unwrap();
        ["nn", "report", "train"]
            .map(|name| (name, code.of(name).unwrap()))
            .into()
    }

    /// Names of the packages whose code `edit` changes.
    pub(super) fn changed_by(mut self, edit: impl FnOnce(&mut Self)) -> Vec<&'static str> {
        let before = self.code();
        edit(&mut self);
        let after = self.code();
        for (name, code) in &after {
            let same = code.digest == before[name].digest;
            assert_eq!(
                same,
                code.files == before[name].files,
                "digest and list agree"
            );
        }
        after
            .into_iter()
            .filter(|(name, code)| *code != before[name])
            .map(|(name, _)| name)
            .collect()
    }
}

pub(super) fn changed_by(edit: impl FnOnce(&mut Space)) -> Vec<&'static str> {
    Space::new().changed_by(edit)
}
