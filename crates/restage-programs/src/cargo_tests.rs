//! Builds small workspaces with the cargo at hand, offline.

use super::*;
use restage_core::fs;

fn workspace(main: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write_atomic(&path, text.as_bytes()).unwrap();
    };
    write(
        "Cargo.toml",
        "[workspace]\nmembers = [\"p\", \"l\"]\nresolver = \"3\"\n",
    );
    for (folder, name) in [("p", "program"), ("l", "library")] {
        let text =
            format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
        write(&format!("{folder}/Cargo.toml"), &text);
    }
    write("p/src/main.rs", main);
    write("l/src/lib.rs", "");
    write(
        "Cargo.lock",
        "version = 4\n\n[[package]]\nname = \"library\"\nversion = \"0.1.0\"\n\n\
         [[package]]\nname = \"program\"\nversion = \"0.1.0\"\n",
    );
    dir
}

/// Builds in the workspace's own target folder, whatever the caller's environment says.
fn build_in(
    dir: &tempfile::TempDir,
    packages: &[&str],
) -> (Result<BTreeMap<String, PathBuf>, CargoError>, Vec<String>) {
    let packages: Vec<String> = packages.iter().map(|&name| name.to_owned()).collect();
    let script = dir.path().join("cargo.sh");
    let text = "#!/bin/sh\nexport CARGO_TARGET_DIR=target CARGO_NET_OFFLINE=true\n\
                unset CARGO_TERM_QUIET CARGO_TERM_VERBOSE\nexec cargo \"$@\"\n";
    // By another process: a file that this one holds open for writing, if only in a child that another
    // test has just forked, can't be run (ETXTBSY).
    let written = std::process::Command::new("sh")
        .args([
            "-c",
            "printf %s \"$1\" > \"$2\" && chmod 755 \"$2\"",
            "sh",
            text,
        ])
        .arg(&script)
        .status();
    assert!(written.unwrap().success());
    let mut lines = Vec::new();
    let mut progress = |line: &str| lines.push(line.to_owned());
    let built = build_with(script.into(), dir.path(), &packages, &mut progress);
    (built, lines)
}

#[test]
fn a_package_is_built_and_found_again_when_fresh() {
    let dir = workspace("fn main() { println!(\"hello\") }");
    let (built, lines) = build_in(&dir, &["program"]);
    let built = built.unwrap();
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("Compiling program v0.1.0")),
        "{lines:?}"
    );
    let output = Command::new(&built["program"]).output().unwrap();
    assert_eq!(output.stdout, b"hello\n");
    assert_eq!(build_in(&dir, &["program"]).0.unwrap(), built);
    let error = build_in(&dir, &["library"]).0.unwrap_err();
    assert!(matches!(&error, CargoError::NoBinary { binaries, .. } if binaries.is_empty()));
    let error = build_in(&dir, &["nowhere"]).0.unwrap_err();
    assert!(
        error
            .hint()
            .unwrap()
            .starts_with("`program:` names a package"),
        "{error}"
    );
}

#[test]
fn a_compile_error_is_shown_as_the_compiler_wrote_it() {
    let dir = workspace("fn main() { let x: u8 = \"text\"; }");
    let error = build_in(&dir, &["program"]).0.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("cargo could not build `program`\nerror[E0308]"),
        "{text}"
    );
    assert!(
        text.contains("p/src/main.rs:1:25") && text.contains("^^^^^^"),
        "{text}"
    );
    assert!(!text.contains("Compiling"), "{text}");
    assert!(error.hint().unwrap().starts_with("fix the code"));
}

#[test]
fn an_outdated_lock_file_is_never_changed() {
    let dir = workspace("fn main() {}");
    let manifest = dir.path().join("p/Cargo.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let text = format!("{text}[dependencies]\nlibrary = {{ path = \"../l\" }}\n");
    fs::write_atomic(&manifest, text.as_bytes()).unwrap();
    let error = build_in(&dir, &["program"]).0.unwrap_err();
    assert!(
        error.hint().unwrap().starts_with("Cargo.lock is older"),
        "{error}"
    );
}

#[test]
fn a_missing_cargo_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let packages = ["train".to_owned()];
    let error = build_with("no-such-cargo".into(), dir.path(), &packages, &mut |_| {});
    let error = error.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot run `no-such-cargo` to build `train`"
    );
    assert!(error.hint().unwrap().contains("https://rustup.rs"));
}

#[test]
fn packages_are_named_by_their_id() {
    assert_eq!(
        package_name("path+file:///w/stages/train#0.1.0"),
        Some("train")
    );
    assert_eq!(
        package_name("path+file:///w/stages/t#train@0.1.0"),
        Some("train")
    );
    assert_eq!(package_name("nonsense"), None);
}

#[test]
fn status_lines_are_distinguished_from_diagnostics() {
    assert!(is_status("   Compiling nn v0.1.0 (/w/stages/nn)"));
    assert!(is_status(
        "    Blocking waiting for file lock on build directory"
    ));
    for line in [
        "error[E0308]: mismatched types",
        "  --> p/src/main.rs:1:25",
        "1 | fn main() {",
    ] {
        assert!(!is_status(line), "{line}");
    }
    assert!(!is_status("äöüäöüäöüäöü"));
}
