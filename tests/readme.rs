//! Every code block in the documents: commands are run, YAML is loaded. A block that no rule
//! here knows fails, so that nobody adds one that is never checked.
//!
//! Runs of `restage` take place in a scratch copy of this repository's pipeline whose programs
//! are replaced by a line of shell. The stages, parameters and paths that a document names must
//! exist for them to pass, and all of them together take seconds rather than minutes. The pages of
//! the guide have pipelines of their own, which run as they are (`readme/session.rs`).

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

#[path = "readme/keys.rs"]
mod keys;
#[path = "readme/lists.rs"]
mod lists;
#[path = "readme/pieces.rs"]
mod pieces;
#[path = "readme/session.rs"]
mod session;
#[path = "readme/yaml.rs"]
mod yaml;

use pieces::{Kind, Piece, all_pieces, documents, pieces};
use yaml::loads;

const RESTAGE: &str = env!("CARGO_BIN_EXE_restage");

/// Columns that `compare:`, `claims:` and the documents name; every table of the scratch has them.
const COLUMNS: &str = "model,epoch,id,test_accuracy,train_minutes,seconds_per_epoch,images_per_second,peak_memory_mib,latency_ms,batch_latency_ms,parameters,source,trained_l2,val_accuracy";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Fails with what the call printed unless it succeeded.
#[track_caller]
fn succeeds(place: &str, what: &str, output: &Output) {
    assert!(
        output.status.success(),
        "{place}: {what}\nended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A command whose environment has a path and a home, and nothing of the caller's.
fn isolated(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder);
    command
}

/// What replaces a stage's program: shell that writes its outs.
fn stand_in(outs: &Value) -> String {
    let mut shell = String::from("set -e");
    for out in outs.as_array().expect("outs are a list") {
        let path = out["path"]
            .as_str()
            .or(out.as_str())
            .expect("an out's path");
        let (folder, name) = path.rsplit_once('/').expect("a folder and a name");
        let file = if name.contains('.') {
            write!(shell, "; mkdir -p {folder}").expect("a string takes all");
            path.to_owned()
        } else {
            write!(shell, "; mkdir -p {path}").expect("a string takes all");
            format!("{path}/file")
        };
        write!(
            shell,
            "; printf '{COLUMNS}\\nresnet18,1,1,0.5,1,1,1,1,1,1,1,1,1,1\\n' > {file}"
        )
        .expect("a string takes all");
    }
    shell
}

/// A clone of this repository as its documents see it: the pipeline with stand-ins for programs,
/// restage where `make` leaves it, and a commit on `origin/main`.
fn scratch() -> TempDir {
    let dir = TempDir::new().expect("a temporary folder");
    let text = fs::read_to_string(root().join("pipeline.yaml")).expect("the pipeline");
    let mut pipeline: Value = serde_saphyr::from_str(&text).expect("YAML");
    for stage in pipeline["stages"]
        .as_object_mut()
        .expect("stages")
        .values_mut()
    {
        let cmd = stand_in(&stage["outs"]);
        let fields = stage.as_object_mut().expect("a stage is a map");
        let program = fields.remove("program");
        assert!(program.is_some(), "a stage has no program to replace");
        fields.remove("args");
        fields.insert("cmd".to_owned(), json!(cmd));
    }
    fs::write(dir.path().join("pipeline.yaml"), pipeline.to_string()).expect("a file to write");
    for name in ["LICENSE", "LICENSE-APACHE", "LICENSE-MIT"] {
        fs::copy(root().join(name), dir.path().join(name)).expect("a file to copy");
    }
    fs::write(dir.path().join(".gitignore"), "/target\n/.restage\n").expect("a file to write");
    let release = dir.path().join("target/release");
    fs::create_dir_all(&release).expect("a folder to create");
    std::os::unix::fs::symlink(RESTAGE, release.join("restage")).expect("a link to create");
    dir
}

const RUN_HERE: [&str; 4] = ["restage", "export", "mkdir", "cd"];

/// Whether `--audit` works here: it needs Linux 5.5 and no sandbox that forbids it.
fn can_trace() -> bool {
    let dir = TempDir::new().expect("a temporary folder");
    let text = "schema: 1\nname: probe\nstages: {s: {cmd: 'true > s.txt', outs: [s.txt]}}\n";
    fs::write(dir.path().join("pipeline.yaml"), text).expect("a file to write");
    let output = isolated(RESTAGE, dir.path())
        .args(["reproduce", "--audit"])
        .output();
    output.expect("restage starts").status.code() != Some(4)
}

/// One shell's commands for all these pieces, each from the root of the clone: what a reader who
/// pastes them one after another would run.
fn script(pieces: &[&Piece]) -> String {
    let mut script = String::from("set -u\n");
    let traces = can_trace();
    for piece in pieces {
        writeln!(script, "cd \"$CLONE\"").expect("a string takes all");
        for line in piece.text.lines() {
            let mut line = line.to_owned();
            if line.contains("device=cuda") {
                // There may be no GPU to lease; the overrides must be good ones all the same.
                line = line.replace("restage reproduce", "restage dag --no-status");
            }
            if !traces {
                line = line.replace(" --audit", "");
            }
            // `set -e` ignores a failure in the middle of `a && b`.
            let place = piece.place();
            writeln!(script, "echo '>>> {place}' >&2\n{line} || exit 1")
                .expect("a string takes all");
        }
    }
    script
}

/// Whether a piece is commands that can run in the scratch.
fn runs_here(piece: &Piece) -> bool {
    let shell = piece.kind == Kind::Row || piece.kind == Kind::Block("sh".to_owned());
    let here = |words: &Vec<String>| RUN_HERE.contains(&words[0].as_str());
    shell && piece.commands().iter().all(here)
}

#[test]
fn commands_of_readme_run_one_after_another() {
    let pieces = pieces("README.md");
    let run: Vec<&Piece> = pieces.iter().filter(|piece| runs_here(piece)).collect();
    assert!(
        run.len() >= 10,
        "only {} pieces: the reader is broken",
        run.len()
    );
    let clone = scratch();
    let output = isolated("sh", clone.path())
        .args(["-c", &script(&run)])
        .env("CLONE", clone.path())
        .output();
    succeeds("README.md", "its commands", &output.expect("sh starts"));
}

#[test]
fn commands_for_ci_run_in_a_clone_with_committed_results() {
    let pieces = pieces("docs/ci/README.md");
    let run: Vec<&Piece> = pieces.iter().filter(|piece| runs_here(piece)).collect();
    assert!(
        run.len() >= 2,
        "only {} pieces: the reader is broken",
        run.len()
    );
    let clone = scratch();
    let commit = "restage reproduce --quiet; git init -q; git add .
        git -c user.name=t -c user.email=t@localhost -c commit.gpgsign=false commit -qm t
        git update-ref refs/remotes/origin/main HEAD";
    let shell = format!(
        "PATH=\"$CLONE/target/release:$PATH\"\n{commit}\n{}",
        script(&run)
    );
    let output = isolated("sh", clone.path())
        .args(["-c", &shell])
        .env("CLONE", clone.path())
        .env("GITHUB_STEP_SUMMARY", clone.path().join("summary"))
        .output();
    succeeds(
        "docs/ci/README.md",
        "its commands",
        &output.expect("sh starts"),
    );
    let summary = fs::read_to_string(clone.path().join("summary")).expect("a summary");
    assert!(!summary.is_empty());
}

/// Pages whose answers come from what the tests don't have, with what that is.
const ILLUSTRATED: [(&str, &str); 3] = [
    ("docs/guide/data.md", "a large data set"),
    ("docs/guide/from-dvc.md", "a DVC project"),
    ("docs/guide/metrics.md", "results that are not made there"),
];

/// Whether a page's commands are typed and its answers compared.
fn is_session(file: &str) -> bool {
    let written_so = file == "README.md" || file.starts_with("docs/guide/");
    written_so && !ILLUSTRATED.iter().any(|(page, _)| *page == file)
}

#[test]
fn pages_of_the_guide_run_as_they_are_and_print_what_they_show() {
    let pages = documents().into_iter().filter(|file| is_session(file));
    let consoles = |page: &String| {
        let console = Kind::Block("console".to_owned());
        pieces(page).iter().any(|piece| piece.kind == console)
    };
    let pages: Vec<String> = pages.filter(consoles).collect();
    assert!(!pages.is_empty(), "the reader is broken");
    let only = std::env::var("PAGE").unwrap_or_default();
    for page in pages.iter().filter(|page| page.contains(&only)) {
        session::run(page);
    }
}

/// Checks a command that can't run here: it builds for minutes, needs the network or a GPU.
fn check_without_running(place: &str, words: &[String]) {
    let first = words.iter().position(|word| !word.contains('='));
    let words = &words[first.unwrap_or_else(|| panic!("{place}: no command"))..];
    let after = |flag: &str| {
        let at = words.iter().position(|word| word == flag);
        at.and_then(|at| words.get(at + 1)).map(String::as_str)
    };
    let command = words.join(" ");
    match words[0].as_str() {
        "make" => {
            // What `ARGS='..'` quotes is cut into words here.
            let words = words[1..]
                .iter()
                .take_while(|word| !word.starts_with("ARGS="));
            let output = isolated("make", &root()).arg("-n").args(words).output();
            succeeds(place, &command, &output.expect("make starts"));
        }
        "restage" => {
            let folder = TempDir::new().expect("a temporary folder");
            let words = words[1..].iter().take_while(|word| *word != "--help");
            let output = isolated(RESTAGE, folder.path())
                .args(words)
                .arg("--help")
                .output();
            succeeds(place, &command, &output.expect("restage starts"));
        }
        "cargo" if words[1] == "install" && after("--path") == Some(".") => {}
        "cargo" => {
            let package = after("-p").unwrap_or_else(|| panic!("{place}: `{command}` has no -p"));
            let folder = package_folder(package)
                .unwrap_or_else(|| panic!("{place}: there is no package `{package}`"));
            for (flag, under) in [("--example", "examples"), ("--test", "tests")] {
                if let Some(name) = after(flag) {
                    let file = folder.join(under).join(name);
                    let found = file.with_extension("rs").is_file() || file.is_dir();
                    assert!(found, "{place}: `{package}` has no {flag} {name}");
                }
            }
        }
        "python3" | "venv/bin/python" if after("-m") == Some("venv") => {}
        // Flags are looked for in the script, which may need packages just to start.
        "python3" | "venv/bin/python" => {
            let script = fs::read_to_string(root().join(&words[1]))
                .unwrap_or_else(|error| panic!("{place}: {}: {error}", words[1]));
            for flag in words.iter().filter(|word| word.starts_with("--")) {
                let known = script.contains(&format!("\"{flag}\""));
                assert!(known, "{place}: {} has no {flag}", words[1]);
            }
        }
        "venv/bin/pip" => {}
        script if root().join(script).is_file() => {}
        other => panic!("{place}: `{other}`: say in tests/readme.rs how this command is checked"),
    }
}

/// The folder of a package of this repository.
fn package_folder(package: &str) -> Option<PathBuf> {
    let mut folders = vec![root()];
    for parent in ["stages", "crates"] {
        if let Ok(entries) = fs::read_dir(root().join(parent)) {
            folders.extend(entries.map(|entry| entry.expect("an entry").path()));
        }
    }
    let line = format!("name = \"{package}\"");
    folders.into_iter().find(|folder| {
        fs::read_to_string(folder.join("Cargo.toml"))
            .is_ok_and(|manifest| manifest.lines().any(|other| other == line))
    })
}

#[test]
fn every_block_is_of_a_kind_that_is_checked() {
    let ran_by_a_test = ["README.md", "docs/ci/README.md"];
    for piece in all_pieces() {
        let place = piece.place();
        let Kind::Block(language) = &piece.kind else {
            continue;
        };
        match language.as_str() {
            "sh" if piece.names.is_some() && is_session(&piece.file) => {}
            "sh" if runs_here(&piece) => {
                let ran = ran_by_a_test.contains(&piece.file.as_str());
                assert!(ran, "{place}: no test runs this document's commands");
            }
            "sh" => {
                for words in piece.commands() {
                    check_without_running(&place, &words);
                }
            }
            "yaml"
                if piece
                    .names
                    .as_deref()
                    .is_none_or(|name| name == "pipeline.yaml") =>
            {
                loads(&piece);
            }
            // A file of the page's session, which reads it.
            "yaml" | "csv" | "toml" | "json" => assert!(
                piece.names.is_some() && is_session(&piece.file),
                "{place}: the line above does not say which file this is"
            ),
            "diff" => assert!(piece.names.is_some(), "{place}: what does this edit?"),
            "console" if is_session(&piece.file) => {}
            // What is typed; what is answered depends on the files.
            "console" => {
                for line in piece
                    .text
                    .lines()
                    .filter_map(|line| line.strip_prefix("$ "))
                {
                    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
                    check_without_running(&place, &words);
                }
            }
            "python" if piece.file.starts_with("docs/guide/") => compiles(&place, &piece.text),
            "python" => imports_exist(&place, &piece.text),
            // Drawings and layouts.
            "text" => {}
            other => panic!("{place}: tests/readme.rs knows no rule for ```{other}"),
        }
    }
}

#[test]
fn commands_can_be_pasted_into_bash_and_zsh() {
    // zsh takes `#` for an argument unless it is told otherwise; aliases end with the session.
    for piece in all_pieces() {
        if piece.kind == Kind::Block("sh".to_owned()) {
            let place = piece.place();
            assert!(
                !piece.text.contains('#'),
                "{place}: a comment among commands"
            );
            assert!(!piece.text.contains("alias "), "{place}: an alias");
        }
    }
}

#[test]
fn commands_in_sentences_have_these_flags() {
    let mut checked = 0;
    for piece in all_pieces() {
        if piece.kind != Kind::Inline {
            continue;
        }
        for words in piece.commands() {
            // `restage COMMAND` and `make ..` stand for others.
            let placeholder = |word: &String| {
                word.contains("..") || word.chars().all(|letter| letter.is_ascii_uppercase())
            };
            if !words.iter().any(placeholder) {
                check_without_running(&piece.place(), &words);
                checked += 1;
            }
        }
    }
    assert!(
        checked >= 30,
        "only {checked} commands: the reader is broken"
    );
}

/// Python that can be read as such.
fn compiles(place: &str, text: &str) {
    let check = "import sys; compile(sys.argv[1], 'block', 'exec')";
    match isolated("python3", &root())
        .args(["-c", check, text])
        .output()
    {
        Ok(output) => succeeds(place, "its Python", &output),
        Err(error) => println!("skipped: {place} needs python3: {error}"),
    }
}

/// `from FILE import a, b`: the names are defined in the file beside the document.
fn imports_exist(place: &str, text: &str) {
    let folder = root().join(place).parent().expect("a folder").to_owned();
    let imports = text.lines().filter_map(|line| line.strip_prefix("from "));
    for (module, names) in imports.filter_map(|line| line.split_once(" import ")) {
        let file = folder.join(module).with_extension("py");
        let source = fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("{place}: {}: {error}", file.display()));
        for name in names.split(", ") {
            let defined = source.contains(&format!("\ndef {name}("));
            assert!(defined, "{place}: {module} has no function {name}");
        }
    }
}
