//! Stages run in declared software, and a change of what is installed runs them again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::space::{Said, Space};

/// Makes wheels: `name version requirement,..` each.
const WHEELS: &str = r#"
import base64, hashlib, os, sys, zipfile
os.makedirs("wheels", exist_ok=True)
for what in sys.argv[1:]:
    name, version, *needs = what.split()
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = '{version}'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + "".join(f"Requires-Dist: {need}\n" for need in needs),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    def line(path, text):
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        return f"{path},sha256={digest},{len(text)}\n"
    files[f"{info}/RECORD"] = "".join(line(*item) for item in files.items()) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(f"wheels/{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), text)
"#;

pub(crate) const STAGES: &str = "
  use:
    cmd: python -c 'import alpha; print(alpha.VERSION)' > out.txt
    outs: [out.txt]
  copy: {cmd: cp out.txt copy.txt, deps: [out.txt], outs: [copy.txt], in: none}
";

/// Whether a program answers; if not, that is said.
fn has(program: &str, args: &[&str]) -> bool {
    let found = Command::new(program).args(args).output();
    let has = found.is_ok_and(|output| output.status.success());
    if !has {
        println!("skipped: `{program} {}` does not work here", args.join(" "));
    }
    has
}

/// A space with wheels of `alpha` and `beta`; `None` where Python or pip is missing.
fn space() -> Option<Space> {
    let complete =
        has("python3", &["-m", "venv", "--help"]) && has("python3", &["-m", "pip", "--version"]);
    complete.then(|| {
        let space = Space::empty();
        wheels(
            &space,
            &["alpha 1.0", "alpha 2.0", "beta 1.0", "gamma 1.0 alpha==1.0"],
        );
        space
    })
}

fn wheels(space: &Space, wheels: &[&str]) {
    let mut python = Command::new("python3");
    python
        .args(["-c", WHEELS])
        .args(wheels)
        .current_dir(space.root());
    assert!(python.status().expect("python starts").success());
}

/// Writes a pipeline whose stages run in this environment.
pub(crate) fn pipeline(space: &Space, environment: &str, stages: &str) {
    let text = format!(
        "schema: 1\nname: test\nenvironments:\n  py: {environment}\ndefault_environment: py\nstages:{stages}"
    );
    space.write("pipeline.yaml", &text);
}

/// A space whose stages run in an environment of these requirements.
pub(crate) fn venv(lines: &str) -> Option<Space> {
    let space = space()?;
    requirements(&space, lines);
    pipeline(&space, "{venv: requirements.txt}", STAGES);
    Some(space)
}

fn requirements(space: &Space, lines: &str) {
    let text = format!("--no-index\n--find-links wheels\n{lines}\n");
    space.write("requirements.txt", &text);
}

/// Calls restage with nothing on PATH but what the system has, and no Python of it.
fn without_python(space: &Space, args: &[&str]) -> Said {
    let bin = space.path("bin");
    fs::create_dir_all(&bin).expect("a folder");
    for program in ["bash", "sh", "cp", "cat"] {
        let found = Command::new("sh")
            .args(["-c", &format!("command -v {program}")])
            .output();
        let found = String::from_utf8(found.expect("sh starts").stdout).expect("text");
        let _ = std::os::unix::fs::symlink(found.trim(), bin.join(program));
    }
    let output = space.command(args).env("PATH", &bin).output();
    output.expect("restage starts").into()
}

pub(crate) fn environments(space: &Space) -> Vec<std::path::PathBuf> {
    let folder = space.path(".restage/environments");
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .map(|entry| entry.expect("an entry").path())
        .collect()
}

/// The only file of this name below a folder.
pub(crate) fn find(folder: &std::path::Path, name: &str) -> std::path::PathBuf {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.file_name().is_some_and(|found| found == name) {
                return path;
            }
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            }
        }
    }
    panic!("no {name} in {}", folder.display());
}

#[test]
fn another_version_of_a_package_runs_its_stages_again_and_the_same_ones_do_not() {
    let Some(space) = venv("alpha==1.0\nbeta==1.0") else {
        return;
    };
    let status = space.restage(&["status"]).exits(0).out;
    assert!(
        status.starts_with("environment py: not built (requirements.txt "),
        "{status}"
    );
    assert_eq!(space.ran(&[]), ["use", "copy"]);
    assert_eq!(space.read("copy.txt"), "1.0\n");
    assert_eq!(space.ran(&[]), [""; 0]);
    requirements(&space, "# the same\nBeta==1.0\nalpha==1.0");
    assert_eq!(space.ran(&[]), [""; 0]);
    requirements(&space, "alpha==2.0\nbeta==1.0");
    let why = space.restage(&["why", "use"]).exits(0).out;
    assert!(why.contains("  package alpha: 1.0 -> 2.0\n"), "{why}");
    assert!(!why.contains("beta:"), "{why}");
    assert_eq!(space.ran(&[]), ["use", "copy"]);
    assert_eq!(space.read("copy.txt"), "2.0\n");
    assert_eq!(environments(&space).len(), 2);
    // The earlier result is known, and needs no environment.
    requirements(&space, "alpha==1.0\nbeta==1.0");
    let said = space.restage(&["reproduce"]).exits(0);
    assert!(said.err.contains("2 restored"), "{}", said.err);
}

#[test]
fn neither_its_name_nor_its_place_nor_where_packages_come_from_runs_a_stage_again() {
    let Some(space) = venv("alpha==1.0") else {
        return;
    };
    assert_eq!(space.ran(&["use"]), ["use"]);
    let text = space
        .read("pipeline.yaml")
        .replace("  py: {", "  other: {")
        .replace("environment: py", "environment: other");
    space.write("pipeline.yaml", &text);
    assert_eq!(space.ran(&["use"]), [""; 0]);
    fs::rename(space.path("requirements.txt"), space.path("locked.txt")).expect("a file");
    fs::rename(space.path("wheels"), space.path("other")).expect("a folder");
    space.write("locked.txt", "--no-index\n--find-links other\nalpha==1.0\n");
    let text = text.replace("requirements.txt", "locked.txt");
    space.write("pipeline.yaml", &text);
    assert_eq!(space.ran(&["use"]), [""; 0]);
}

#[test]
fn a_call_with_nothing_to_do_starts_no_python() {
    let Some(space) = venv("alpha==1.0") else {
        return;
    };
    assert_eq!(space.ran(&[]), ["use", "copy"]);
    std::thread::sleep(std::time::Duration::from_millis(60));
    assert_eq!(space.ran(&[]), [""; 0]);
    without_python(&space, &["reproduce"])
        .exits(0)
        .says("2 fresh");
    // Neither does a plan: the interpreter was found before.
    let status = without_python(&space, &["status"]).exits(0).out;
    assert!(status.contains("all 2 stages are fresh"), "{status}");
    // But the file is looked at.
    requirements(&space, "alpha==2.0");
    let status = space.restage(&["status"]).exits(0).out;
    assert!(status.contains("package alpha: 1.0 -> 2.0"), "{status}");
}

#[test]
fn an_environment_that_cannot_be_built_fails_its_stages_and_no_others() {
    let Some(space) = venv("alpha==3.0") else {
        return;
    };
    let stages = format!("{STAGES}  alone: {{cmd: echo x > x.txt, outs: [x.txt], in: none}}\n");
    pipeline(&space, "{venv: requirements.txt}", &stages);
    let said = space.reproduce(&["-k"]).exits(1);
    assert_eq!(said.with_outcome("failed"), ["use"]);
    assert_eq!(said.with_outcome("ran"), ["alone"]);
    let said = space.restage(&["reproduce", "use"]).exits(1);
    let said = said
        .says("did not start: environment `py` could not be built: `pip install` exited with 1");
    let said = said.says("No matching distribution found for alpha==3.0");
    said.says("no index has this version for this Python and platform");
    requirements(&space, "alpha==1.0");
    assert_eq!(space.ran(&["use"]), ["use"]);
}

#[test]
fn packages_that_others_need_must_be_named() {
    let Some(space) = venv("gamma==1.0") else {
        return;
    };
    let said = space.restage(&["reproduce", "use"]).exits(1);
    let said = said.says("`pip check` exited with 1");
    said.says("name in the file all packages that others need");
    requirements(&space, "gamma==1.0\nalpha==1.0");
    assert_eq!(space.ran(&["use"]), ["use"]);
}

#[test]
fn a_version_that_is_left_open_costs_the_stages_that_run_there() {
    let Some(space) = venv("alpha>=1.0") else {
        return;
    };
    let status = space.restage(&["status", "use"]).exits(0).out;
    let text =
        "has no environment `py`: `requirements.txt`, line 3: `alpha>=1.0` leaves its version open";
    assert!(status.contains(text), "{status}");
    space
        .restage(&["reproduce"])
        .exits(1)
        .says(text)
        .says("pip freeze");
}

#[test]
fn a_damaged_environment_is_found_and_built_again() {
    let Some(space) = venv("alpha==1.0") else {
        return;
    };
    assert_eq!(space.ran(&["use"]), ["use"]);
    space.restage(&["fsck"]).exits(0);
    let module = find(&environments(&space)[0], "alpha.py");
    fs::write(&module, "VERSION = 'x'\n").expect("a file to damage");
    let said = space.restage(&["fsck"]).exits(3).out;
    assert!(
        said.contains("alpha.py` is not as it was installed"),
        "{said}"
    );
    assert!(!module.exists());
    space.restage(&["fsck"]).exits(0);
    assert_eq!(space.ran(&["-f", "use"]), ["use"]);
    assert_eq!(space.read("out.txt"), "1.0\n");
}

#[test]
fn an_environment_that_no_kept_result_and_no_stage_names_is_removed() {
    let Some(space) = venv("alpha==1.0") else {
        return;
    };
    assert_eq!(space.ran(&["use"]), ["use"]);
    requirements(&space, "alpha==2.0");
    assert_eq!(space.ran(&["use"]), ["use"]);
    space.restage(&["gc"]).exits(0);
    assert_eq!(
        environments(&space).len(),
        2,
        "the last three results are kept"
    );
    space.restage(&["gc", "--keep-runs", "1"]).exits(0);
    assert_eq!(environments(&space).len(), 1);
    assert_eq!(space.ran(&["-f", "use"]), ["use"]);
    assert_eq!(space.read("out.txt"), "2.0\n");
}

#[test]
fn a_stage_cannot_change_the_environment_that_others_run_in() {
    let Some(space) = venv("alpha==1.0") else {
        return;
    };
    let stages = "
  change:
    cmd: echo 'VERSION = 9' > $VIRTUAL_ENV/lib/python3*/site-packages/alpha.py || echo refused > out.txt
    outs: [out.txt]
    isolation: required
";
    pipeline(&space, "{venv: requirements.txt}", stages);
    let said = space.restage(&["reproduce"]);
    if said.err.contains("must be kept apart") {
        println!("skipped: this machine makes no namespaces");
        return;
    }
    said.exits(0);
    space.restage(&["fsck"]).exits(0);
}

#[test]
fn workspaces_that_share_a_store_share_its_environments() {
    let (Some(one), Some(other)) = (venv("alpha==1.0"), venv("alpha==1.0")) else {
        return;
    };
    let shared = tempfile::tempdir().expect("a folder");
    let call = |space: &Space, args: &[&str]| -> Said {
        let mut command = space.command(args);
        command.env("RESTAGE_STORE", shared.path());
        command.output().expect("restage starts").into()
    };
    call(&one, &["reproduce"])
        .exits(0)
        .says("built environment py");
    call(&other, &["reproduce"]).exits(0).says("2 restored");
    let said = call(&other, &["reproduce", "-f"]).exits(0).says("2 ran");
    assert!(!said.err.contains("building environment"), "{}", said.err);
}

#[test]
fn a_run_that_was_killed_while_it_built_an_environment_is_taken_up() {
    let Some(space) = venv("alpha==1.0") else {
        return;
    };
    let mut child = space.spawn(&[]);
    crate::space::wait_until("the environment is begun", || {
        !environments(&space).is_empty()
    });
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert_eq!(space.ran(&["use"]), ["use"]);
    space.restage(&["fsck"]).exits(0);
}

#[test]
fn uv_installs_what_its_lock_file_says_for_the_groups_that_are_named() {
    if !has("uv", &["--version"]) {
        return;
    }
    let Some(space) = space() else {
        return;
    };
    let project = |needs: &str| {
        let text = format!(
            "[project]\nname = \"demo\"\nversion = \"0.1.0\"\nrequires-python = \">=3.8\"\ndependencies = [{needs}]\n\
             [dependency-groups]\nplot = [\"beta\"]\n[tool.uv]\nno-index = true\nfind-links = [\"wheels\"]\n"
        );
        space.write("pyproject.toml", &text);
        let mut uv = Command::new("uv");
        uv.args(["lock", "--offline", "--quiet"])
            .current_dir(space.root());
        assert!(
            uv.env("UV_CACHE_DIR", space.path("cache"))
                .status()
                .expect("uv starts")
                .success()
        );
    };
    let call = |args: &[&str]| -> Said {
        let output = space.command(args).env("UV_OFFLINE", "1").output();
        output.expect("restage starts").into()
    };
    project("\"alpha==1.0\", \"gamma; sys_platform == 'win32'\"");
    pipeline(&space, "{uv: pyproject.toml}", STAGES);
    call(&["reproduce"]).exits(0).says("2 ran");
    assert_eq!(space.read("copy.txt"), "1.0\n");
    // What another platform gets changes nothing here.
    project("\"alpha==1.0\"");
    call(&["reproduce"]).exits(0).says("2 fresh");
    project("\"alpha==2.0\"");
    let why = call(&["why", "use"]).exits(0).out;
    assert!(why.contains("package alpha: 1.0 -> 2.0"), "{why}");
    call(&["reproduce"]).exits(0).says("2 ran");
    pipeline(&space, "{uv: pyproject.toml, groups: [plot]}", STAGES);
    let why = call(&["why", "use"]).exits(0).out;
    assert!(why.contains("package beta: new, 1.0"), "{why}");
    // An edit that is not locked yet can't be built.
    space.write(
        "pyproject.toml",
        &space.read("pyproject.toml").replace("2.0", "1.0"),
    );
    call(&["reproduce", "-f"])
        .exits(1)
        .says("run `uv lock`, look at the change and keep it");
}

#[test]
fn a_package_that_is_added_for_some_stages_runs_no_others_again() {
    if !has("uv", &["--version"]) {
        return;
    }
    let Some(space) = space() else {
        return;
    };
    let lock = |plot: &str| {
        let text = format!(
            "[project]\nname = \"demo\"\nversion = \"0.1.0\"\nrequires-python = \">=3.8\"\ndependencies = [\"gamma\"]\n\
             [dependency-groups]\nfit = [\"alpha==1.0\"]\nplot = [{plot}]\n\
             [tool.uv]\nno-index = true\nfind-links = [\"wheels\"]\n"
        );
        space.write("pyproject.toml", &text);
        let mut uv = Command::new("uv");
        uv.args(["lock", "--offline", "--quiet"])
            .current_dir(space.root())
            .env("UV_CACHE_DIR", space.path("cache"));
        assert!(uv.status().expect("uv starts").success());
    };
    // Whether a package is there decides, and a search for one that is not leaves no trace.
    let stage = |name: &str, environment: &str| {
        let look = "from importlib.util import find_spec as f; print([n for n in (\"alpha\", \"beta\", \"gamma\") if f(n)])";
        let cmd = format!("python -c '{look}' > {name}.txt");
        format!(
            "  {name}:\n    cmd: |\n      {cmd}\n    outs: [{name}.txt]\n    in: {environment}\n"
        )
    };
    let stages = format!("{}{}", stage("fit", "fit"), stage("plot", "plot"));
    let of = |group: &str| format!("{{uv: pyproject.toml, only_groups: [{group}]}}");
    space.write(
        "pipeline.yaml",
        &format!(
            "schema: 1\nname: test\nenvironments:\n  fit: {}\n  plot: {}\nstages:\n{stages}",
            of("fit"),
            of("plot")
        ),
    );
    let ran = || {
        let output = space
            .command(&["reproduce"])
            .env("UV_OFFLINE", "1")
            .output();
        let said = Said::from(output.expect("restage starts")).exits(0);
        let outcome = ["fit", "plot"].map(|name| space.read(&format!("{name}.txt")));
        (said, outcome)
    };
    lock("\"alpha==1.0\"");
    let (said, outcome) = ran();
    said.says("2 ran");
    assert_eq!(outcome, ["['alpha']\n", "['alpha']\n"]);
    lock("\"alpha==1.0\", \"beta==1.0\"");
    let (said, outcome) = ran();
    said.says("1 ran").says("1 fresh");
    assert_eq!(outcome, ["['alpha']\n", "['alpha', 'beta']\n"]);
}

/// A `podman` that notes how it was called and runs the command here, in the folder that it mounts.
const PODMAN: &str = r#"#!/bin/bash
printf '%s\n' "$*" >> "$CALLS"
case $1 in
  image) exit 1 ;;
  pull | rm) exit 0 ;;
esac
while [[ $# -gt 0 ]]; do
  case $1 in
    --mount) [[ $2 == *target=$ROOT,* || $2 == *target=$ROOT ]] && work=${2#*source=} && work=${work%%,*}; shift ;;
    --env) export "$2"; shift ;;
    --entrypoint) program=$2; shift ;;
    *@sha256:*) shift; break ;;
  esac
  shift
done
cd "$work" && exec "$program" "$@"
"#;

#[test]
fn a_stage_in_an_image_runs_there_and_its_key_has_the_digest_alone() {
    let space = Space::empty();
    space.write("tools/podman", PODMAN);
    fs::set_permissions(
        space.path("tools/podman"),
        fs::Permissions::from_mode(0o755),
    )
    .expect("a script");
    let stages = "
  make:
    cmd: cat in.txt > out.txt; echo $MODE >> out.txt
    deps: [in.txt]
    env: {MODE: strict}
    outs: [out.txt]
";
    space.write("in.txt", "x\n");
    let image =
        |name: &str, digit: &str| format!("{{image: \"{name}@sha256:{}\"}}", digit.repeat(64));
    let call = |args: &[&str]| -> Said {
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", space.path("tools").display());
        let mut command = space.command(args);
        command
            .env("PATH", path)
            .env("CALLS", space.path("calls"))
            .env("ROOT", space.root());
        command.output().expect("restage starts").into()
    };
    pipeline(&space, &image("docker.io/library/python", "0"), stages);
    call(&["reproduce"]).exits(0).says("1 ran");
    assert_eq!(space.read("out.txt"), "x\nstrict\n");
    let calls = space.read("calls");
    let pulled = format!(
        "pull --quiet docker.io/library/python@sha256:{}",
        "0".repeat(64)
    );
    assert!(calls.contains(&pulled), "{calls}");
    assert!(
        calls.contains("--env MODE=strict") && !calls.contains("--env PATH="),
        "{calls}"
    );
    pipeline(&space, &image("mirror.org/python:3", "0"), stages);
    call(&["reproduce"]).exits(0).says("1 fresh");
    pipeline(&space, &image("docker.io/library/python", "1"), stages);
    let why = call(&["why", "make"]).exits(0).out;
    assert!(why.contains("environment image: sha256:0000"), "{why}");
    call(&["reproduce"]).exits(0).says("1 ran");
}

#[test]
fn packages_that_are_in_no_key_are_warned_of_once() {
    let space = Space::new(
        "
  a: {cmd: 'echo 1 > a; python3 --version', outs: [a]}
  b: {cmd: 'echo 1 > b; python3 --version', outs: [b]}
  c: {cmd: 'echo 1 > c; python3 --version', outs: [c], tools: [python3 --version]}
",
    );
    let said = space.restage(&["reproduce"]).exits(0);
    let text = "warning: a: packages of `python3` are in no key, nor are those of another stage";
    assert_eq!(said.err.matches(text).count(), 1, "{}", said.err);
    assert_eq!(said.err.matches("are in no key").count(), 1, "{}", said.err);
    let said = space.restage(&["reproduce"]).exits(0);
    assert!(!said.err.contains("no key"), "{}", said.err);
}

#[test]
fn the_example_compares_polynomials_with_numpy() {
    if !has("uv", &["--version"]) {
        return;
    }
    let example = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/python-uv");
    let space = Space::empty();
    for entry in fs::read_dir(example).expect("the example") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_owned();
        fs::copy(&path, space.root().join(name)).expect("a copy");
    }
    // The wheels may be in the cache of whoever runs this.
    let cache = std::env::var_os("UV_CACHE_DIR").map(std::path::PathBuf::from);
    let home = std::env::var_os("HOME").unwrap_or_default();
    let cache = cache.unwrap_or_else(|| std::path::Path::new(&home).join(".cache/uv"));
    let call = |args: &[&str]| -> Said {
        let mut command = space.command(args);
        command.env("UV_CACHE_DIR", &cache);
        for name in [
            "UV_INDEX_URL",
            "UV_DEFAULT_INDEX",
            "SSL_CERT_FILE",
            "https_proxy",
        ] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command.output().expect("restage starts").into()
    };
    let said = call(&["reproduce"]);
    if said.err.contains("`uv sync` exited with") {
        println!("skipped: numpy is not to be had here: {}", said.err);
        return;
    }
    said.exits(0).says("5 ran");
    let table = space.read("errors.csv");
    assert!(table.starts_with("model,train,test\ncubic,0.30"), "{table}");
    let claims = call(&["claims"]).exits(0).out;
    assert!(
        claims.contains("cubic_is_best") && claims.contains("reproduced"),
        "{claims}"
    );
    let why = call(&["why", "evaluate"]).exits(0).out;
    assert!(why.contains("package numpy"), "{why}");
    call(&["reproduce"]).exits(0).says("5 fresh");
}
