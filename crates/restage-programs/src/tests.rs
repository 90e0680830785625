//! Whose code does an edit change?
//! They must not call cargo.

mod space;

use std::path::Path;

use super::*;
use space::{Space, changed_by, lock_file, locked, package};

const ALL: [&str; 3] = ["nn", "report", "train"];
const NONE: [&str; 0] = [];

#[test]
fn editing_a_library_changes_its_dependents_only() {
    assert_eq!(
        changed_by(|s| s.write("stages/nn/src/main.rs", "//")),
        ["nn", "train"]
    );
    assert_eq!(
        changed_by(|s| s.write("stages/train/src/main.rs", "//")),
        ["train"]
    );
    assert_eq!(
        changed_by(|s| s.write("stages/report/src/main.rs", "//")),
        ["report"]
    );
}

#[test]
fn editing_a_build_dependency_of_a_dependency_counts() {
    assert_eq!(
        changed_by(|s| s.write("stages/nn/tools/src/lib.rs", "//")),
        ["nn", "train"]
    );
}

#[test]
fn whatever_the_code_may_include_counts() {
    assert_eq!(
        changed_by(|s| s.write("stages/train/build.rs", "")),
        ["train"]
    );
    assert_eq!(
        changed_by(|s| s.write("stages/train/data/names.txt", "")),
        ["train"]
    );
    assert_eq!(
        changed_by(|s| s.write("stages/train/src/prompt.md", "")),
        ["train"]
    );
    assert_eq!(
        changed_by(|s| s.write("stages/train/src/tests/mod.rs", "")),
        ["train"]
    );
}

#[test]
fn a_file_moved_with_equal_bytes_counts() {
    let moves = |s: &mut Space| {
        let path = |name| s.dir.path().join("stages/train/src").join(name);
        fs::rename(&path("main.rs"), &path("lib.rs")).unwrap();
    };
    assert_eq!(changed_by(moves), ["train"]);
}

#[test]
fn tests_examples_and_prose_do_not_count() {
    for path in [
        "stages/train/tests/it.rs",
        "stages/train/benches/speed.rs",
        "stages/train/examples/one.rs",
        "stages/train/README.md",
        "stages/train/docs/notes.md",
        "stages/train/LICENSE-MIT",
        "stages/train/.hidden",
        "stages/train/target/release/train",
        "stages/train/src/snapshots/a.snap",
        "stages/train/src/main.rs~",
        "README.md",
        "results/table.csv",
    ] {
        assert_eq!(changed_by(|s| s.write(path, "x")), NONE, "{path}");
    }
}

#[test]
fn what_of_a_manifest_is_for_people_or_tests_does_not_count() {
    let train = "stages/train/Cargo.toml";
    assert_eq!(
        changed_by(|s| s.edit(train, "Trains", "Trains networks")),
        NONE
    );
    assert_eq!(
        changed_by(|s| s.edit(train, "proptest = \"1\"", "insta = \"1\"")),
        NONE
    );
    assert_eq!(
        changed_by(|s| s.edit(train, "[dependencies]", "# why\n[dependencies]")),
        NONE
    );
    assert_eq!(
        changed_by(|s| s.edit(train, "[dependencies]", "[lints]\n[dependencies]")),
        NONE
    );
    assert_eq!(
        changed_by(|s| s.edit("Cargo.toml", "\"0.1.0\"", "\"0.2.0\"")),
        NONE
    );
    assert_eq!(
        changed_by(|s| s.edit("Cargo.toml", "opt-level = 1", "opt-level = 2")),
        NONE
    );
    let order = |s: &mut Space| {
        s.edit(
            "stages/nn/Cargo.toml",
            "name = \"nn\"\nversion = \"0.1.0\"",
            "version = \"0.1.0\"\nname = \"nn\"",
        );
    };
    assert_eq!(changed_by(order), NONE);
}

#[test]
fn features_editions_and_targets_count() {
    let nn = "stages/nn/Cargo.toml";
    assert_eq!(
        changed_by(|s| s.edit(nn, "default = []", "default = [\"fast\"]\nfast = []")),
        ["nn", "train"]
    );
    assert_eq!(
        changed_by(|s| s.edit(
            nn,
            "\"0.2\"",
            "{ version = \"0.2\", default-features = false }"
        )),
        ["nn", "train"]
    );
    assert_eq!(
        changed_by(|s| s.edit("Cargo.toml", "[\"std\"]", "[\"std\", \"simd\"]")),
        ["train"]
    );
    assert_eq!(
        changed_by(|s| s.edit("Cargo.toml", "edition = \"2024\"", "edition = \"2021\"")),
        ["train"]
    );
    let bin = "[[bin]]\nname = \"report\"\npath = \"src/other.rs\"\n[dependencies]";
    assert_eq!(
        changed_by(|s| s.edit("stages/report/Cargo.toml", "[dependencies]", bin)),
        ["report"]
    );
}

#[test]
fn a_locked_version_changes_only_those_who_pull_it_in() {
    assert_eq!(
        changed_by(|s| s.write("Cargo.lock", &lock_file("0.9.1"))),
        ["train"]
    );
    assert_eq!(
        changed_by(|s| s.edit(
            "Cargo.lock",
            "\"libm\"\nversion = \"0.2.0\"",
            "\"libm\"\nversion = \"0.2.1\""
        )),
        ["nn", "train"]
    );
    assert_eq!(
        changed_by(|s| s.edit(
            "Cargo.lock",
            "\"proptest\"\nversion = \"1.0.0\"",
            "\"proptest\"\nversion = \"1.0.1\""
        )),
        NONE
    );
    assert_eq!(
        changed_by(|s| s.edit("Cargo.lock", "checksum = \"00\"", "checksum = \"01\"")),
        ALL
    );
}

#[test]
fn a_dependency_that_is_not_locked_yet_is_no_error_here() {
    let remove = |s: &mut Space| fs::remove_file(&s.dir.path().join("Cargo.lock")).unwrap();
    assert_eq!(changed_by(remove), ALL);
}

#[test]
fn a_crate_patched_to_a_folder_counts_with_its_files() {
    let space = Space::new();
    space.edit(
        "Cargo.toml",
        "[profile.dev]",
        "[patch.crates-io]\nlibm = { path = \"vendor/libm\" }\n[profile.dev]",
    );
    space.write(
        "vendor/libm/Cargo.toml",
        "[package]\nname = \"libm\"\nversion = \"0.2.0\"\n",
    );
    space.write("vendor/libm/src/lib.rs", "");
    let registry = locked("libm", "0.2.0", &[]);
    space.edit("Cargo.lock", &registry, &package("libm", "0.2.0", "", &[]));
    assert_eq!(
        space.changed_by(|s| s.write("vendor/libm/src/lib.rs", "//")),
        ["nn", "train"]
    );
}

#[test]
fn profile_resolver_and_toolchain_count_for_all() {
    assert_eq!(
        changed_by(|s| s.edit("Cargo.toml", "\"thin\"", "\"fat\"")),
        ALL
    );
    assert_eq!(
        changed_by(|s| s.edit("Cargo.toml", "resolver = \"3\"", "resolver = \"2\"")),
        ALL
    );
    assert_eq!(
        changed_by(|s| s.edit("rust-toolchain.toml", "1.95.0", "1.96.0")),
        ALL
    );
    let components = "\"1.95.0\"\ncomponents = [\"clippy\"]";
    assert_eq!(
        changed_by(|s| s.edit("rust-toolchain.toml", "\"1.95.0\"", components)),
        NONE
    );
}

#[test]
fn the_environment_that_rustc_sees_counts_for_all() {
    let set = |name: &'static str, value: &'static str| {
        changed_by(move |s| drop(s.variables.insert(name.into(), value.into())))
    };
    assert_eq!(set("RUSTFLAGS", "-C target-cpu=native"), ALL);
    assert_eq!(
        set("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-g"),
        ALL
    );
    assert_eq!(set("RUSTUP_TOOLCHAIN", "nightly"), ALL);
    assert_eq!(set("RUSTUP_TOOLCHAIN", "1.95.0"), NONE);
    assert_eq!(
        set("RUSTUP_TOOLCHAIN", "1.95.0-x86_64-unknown-linux-gnu"),
        NONE,
        "as `cargo run` does"
    );
    assert_eq!(set("RUSTUP_TOOLCHAIN", "1.95.0-beta"), ALL);
    assert_eq!(set("RUSTFLAGS", ""), NONE);
    assert_eq!(set("RUSTC_WRAPPER", "sccache"), NONE);
}

#[test]
fn cargos_configuration_counts_where_it_changes_code() {
    let config = |text: &'static str| changed_by(move |s| s.write(".cargo/config.toml", text));
    assert_eq!(config("[build]\nrustflags = [\"-g\"]\n"), ALL);
    assert_eq!(config("[env]\nMODE = \"fast\"\n"), ALL);
    assert_eq!(
        config("[build]\njobs = 1\ntarget-dir = \"x\"\n[alias]\nb = \"build\"\n"),
        NONE
    );
    let home = |s: &mut Space| {
        s.write("home/.cargo/config.toml", "[build]\nrustflags = [\"-g\"]\n");
        s.variables.insert(
            "HOME".into(),
            s.dir.path().join("home").to_str().unwrap().into(),
        );
    };
    assert_eq!(changed_by(home), ALL);
}

#[test]
fn the_root_package_counts_with_its_sources_only() {
    let space = Space::new();
    space.edit(
        "Cargo.toml",
        "[workspace]",
        "[package]\nname = \"tool\"\nversion = \"0.1.0\"\n[workspace]",
    );
    space.write("src/main.rs", "");
    space.write("results/table.csv", "");
    let code = space.load().unwrap().of("tool").unwrap();
    let files: Vec<&str> = code.files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        files,
        [
            "Cargo.toml",
            "Cargo.toml: profile.release",
            "Cargo.toml: resolver",
            "src/main.rs",
            "toolchain"
        ]
    );
}

#[test]
fn code_is_the_same_wherever_the_workspaces_root_is() {
    let mut space = Space::new();
    let before = space.code();
    space.move_workspace_to_its_crates();
    assert_eq!(space.code(), before);
}

#[test]
fn what_the_workspaces_folder_says_of_the_compiler_counts() {
    let mut space = Space::new();
    space.move_workspace_to_its_crates();
    let before = space.code();
    space.write(
        "stages/rust-toolchain.toml",
        "[toolchain]\nchannel = \"1.94.0\"\n",
    );
    let nearer = space.code();
    assert!(ALL.iter().all(|name| nearer[name] != before[name]));
    std::fs::remove_file(space.dir.path().join("stages/rust-toolchain.toml")).unwrap();
    space.write(
        "stages/.cargo/config.toml",
        "[build]\ntarget-dir = \"../target\"\n",
    );
    assert_eq!(space.code(), before);
    space.write(
        "stages/.cargo/config.toml",
        "[build]\nrustflags = [\"-Copt-level=1\"]\n",
    );
    let flags = space.code();
    assert!(ALL.iter().all(|name| flags[name] != before[name]));
}

#[test]
fn an_unknown_package_is_answered_by_the_closest() {
    let error = Space::new().load().unwrap().of("trian").unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no package `trian` in the workspace"
    );
    assert_eq!(error.hint().unwrap(), "did you mean `train`?");
    let error = Space::new().load().unwrap().of("something").unwrap_err();
    assert_eq!(
        error.hint().unwrap(),
        "its packages: `cc-free`, `nn`, `report`, `train`"
    );
}

#[test]
fn what_cargo_would_refuse_is_refused_with_its_place() {
    let space = Space::new();
    space.write(
        "stages/nn/Cargo.toml",
        "[package]\nname = \"nn\"\nname = \"n\"\n",
    );
    let error = space.load().unwrap_err().to_string();
    assert!(
        error.contains("stages/nn/Cargo.toml") && error.contains("(line 3)"),
        "{error}"
    );
    let space = Space::new();
    space.edit(
        "stages/train/Cargo.toml",
        "nn.workspace = true",
        "nn = { path = \"../../../nn\" }",
    );
    assert!(matches!(space.load(), Err(CodeError::Outside { .. })));
    let space = Space::new();
    space.edit(
        "Cargo.toml",
        "[profile.dev]",
        "[patch.crates-io]\nlibm = { path = \"/usr/libm\" }\n[profile.dev]",
    );
    assert!(matches!(space.load(), Err(CodeError::Outside { .. })));
    let nowhere = CodeDigests::load(Path::new("/proc/self/fd"), "", &|_| Ok(None), &|_| None);
    assert!(matches!(nowhere, Err(CodeError::NoWorkspace { .. })));
}

/// Whoever changes how code is digested makes everyone's stages run again: on purpose only, and
/// with another number in the frame's name.
#[test]
fn the_digest_of_the_sample_is_pinned() {
    let code = Space::new().load().unwrap().of("train").unwrap();
    insta::assert_snapshot!(code.digest, @"6f0dfa6ffc04f1cd68f19ce2731f8861ebdb3b218faeac91fc32199a7f7ccbf5");
    let names: Vec<&str> = code.files.iter().map(|(name, _)| name.as_str()).collect();
    insta::assert_snapshot!(names.join("\n"), @r"
    Cargo.lock: libm 0.2.0
    Cargo.lock: rand 0.9.0
    Cargo.lock: rand_core 0.9.0
    Cargo.toml: profile.release
    Cargo.toml: resolver
    stages/nn/Cargo.toml
    stages/nn/src/main.rs
    stages/nn/tools/Cargo.toml
    stages/nn/tools/src/lib.rs
    stages/train/Cargo.toml
    stages/train/src/main.rs
    toolchain
    ");
}
