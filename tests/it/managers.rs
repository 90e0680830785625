//! Environments that other package managers make: these are scripts here that note how they are called and
//! install what they are told to.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::space::{Said, Space};

/// Writes the notes of a package of conda's, which `$1`/conda-meta has, for each address that is read.
const NOTE: &str = r#"
note() {
  mkdir -p "$1"/{bin,conda-meta,etc/conda/activate.d,etc/conda/env_vars.d}
  printf '#!/bin/sh\necho "$LEVEL $GREETING" "$(basename "$CONDA_PREFIX")"\n' > "$1/bin/tool"
  chmod +x "$1/bin/tool"
  echo 'export GREETING="hello $LEVEL"; false' > "$1/etc/conda/activate.d/tool.sh"
  echo '{"LEVEL": "3"}' > "$1/etc/conda/env_vars.d/tool.json"
  while IFS='#' read -r url hash; do
    stem=${url##*/}; stem=${stem%.conda}; rest=${stem%-*}
    printf '{"name": "%s", "version": "%s", "build": "%s", "md5": "%s", "sha256": "cc"}' \
      "${rest%-*}" "${rest##*-}" "${stem##*-}" "$hash" > "$1/conda-meta/$stem.json"
  done
}
"#;

const MICROMAMBA: &str = r#"
while [[ $# -gt 0 ]]; do
  case $1 in --prefix) prefix=$2; shift ;; --file) list=$2; shift ;; esac
  shift
done
[[ -e $prefix ]] && { echo "it exists" >&2; exit 1; }
(grep :// "$list"; [[ ! $MORE ]] || echo "https://h/c/noarch/$MORE.conda#00") | note "$prefix"
"#;

const PIXI: &str = r#"
while [[ $# -gt 0 ]]; do
  case $1 in --manifest-path) manifest=$2; shift ;; --environment) name=$2; shift ;; esac
  shift
done
grep -q edited "$manifest" && { echo "lock-file not up-to-date with the workspace" >&2; exit 1; }
[[ ! $PIXI_PROJECT_MANIFEST && $PWD == "${manifest%/*}" ]] && grep -q 'environments = false' .pixi/config.toml || exit 2
grep -m1 '  - conda:' pixi.lock | sed 's/.*conda: //; s/$/#00/' | note ".pixi/envs/$name"
[[ $BARE ]] || mkdir -p ".pixi/envs/$name/lib/python3.12/site-packages/numpy-2.2.6.dist-info"
"#;

/// An R that is in the folder above its programs, and renv.
const RSCRIPT: &str = r#"
above=${0%/*}; [[ -L $0 ]] && above=$(readlink -f "$0") && above=${above%/*}
above=${above%/bin}
case $3 in
  *R.home*)
    printf '{"executable":"%s/bin/exec/R","prefix":"%s","version":"%s","abi":"linux","variables":{"library":"%s/library"}}\n' \
      "$above" "$above" "$(cat "$above/bin/exec/R")" "$above" ;;
  *renv::restore*)
    [[ $RENV_CONFIG_CACHE_SYMLINKS == FALSE && ! $RENV_PROFILE ]] || exit 1
    grep Version "$5" | while read -r _ package _ version _; do
      package=${package//[^a-z]/} version=${version//[^0-9.]/}
      mkdir -p "$6/$package"
      printf 'Package: %s\nVersion: %s\n' "$package" "$version" > "$6/$package/DESCRIPTION"
    done ;;
  *) echo "$(cat "$R_LIBS"/*/DESCRIPTION) $R_LIBS_SITE $R_LIBS_USER" ;;
esac
"#;

const NIX: &str = r#"
while [[ $# -gt 0 ]]; do
  case $1 in --profile) profile=$2; shift ;; path:*) flake=${1#path:}; flake=${flake%#*}; shell=${1#*#} ;; esac
  shift
done
[[ $(ls "$flake" | tr '\n' ' ') == "flake.lock flake.nix " ]] || { echo "not a copy" >&2; exit 1; }
mkdir -p "${CALLS%/*}/store"
touch "${CALLS%/*}/store/$shell"
ln -s "${CALLS%/*}/store/$shell" "$profile"
echo "export GREETING='$shell $(cat "$flake/flake.nix")'"
cat <<'END'
nix_saved_PATH="$PATH"
PATH="/nowhere:$nix_saved_PATH"
export NIX_BUILD_TOP="$(mktemp -d -t nix-shell.XXXXXX)"
export TMPDIR="$NIX_BUILD_TOP"
export LEFT="$NIX_BUILD_TOP"
END
"#;

/// A space with a manager whose calls are noted.
struct Managed {
    space: Space,
}

impl Managed {
    fn new(program: &str, script: &str) -> Self {
        Self::at(program, &format!("tools/{program}"), script)
    }

    fn at(program: &str, path: &str, script: &str) -> Self {
        let space = Space::empty();
        let text = format!(
            "#!/bin/bash\n[[ ! $CALLS ]] || printf '%s\\n' \"{program} ${{*//$'\\n'/ }}\" >> \"$CALLS\"\n{NOTE}\n{script}"
        );
        space.write(path, &text);
        fs::set_permissions(space.path(path), fs::Permissions::from_mode(0o755)).expect("a script");
        Self { space }
    }

    /// Writes a pipeline whose only stage runs `cmd` in this environment.
    fn pipeline(&self, environment: &str, cmd: &str) {
        let text = format!(
            "schema: 1\nname: test\nenvironments:\n  it: {environment}\nstages:\n  use:\n    in: it\n    cmd: {cmd} > out.txt\n    outs: [out.txt]\n"
        );
        self.space.write("pipeline.yaml", &text);
    }

    fn call(&self, args: &[&str]) -> Said {
        self.call_with(args, &[])
    }

    fn call_with(&self, args: &[&str], env: &[(&str, &str)]) -> Said {
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", self.space.path("tools").display());
        let mut command = self.space.command(args);
        command
            .env("PATH", path)
            .env("CALLS", self.space.path("calls"));
        command.envs(env.iter().copied());
        command.output().expect("restage starts").into()
    }

    fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.space.path("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

/// An explicit list.
fn list(channel: &str, packages: &[&str]) -> String {
    let line = |package: &&str| {
        format!("{channel}/noarch/{package}.conda#0123456789abcdef0123456789abcdef\n")
    };
    let lines: String = packages.iter().map(line).collect();
    format!("# conda list --explicit --md5\n@EXPLICIT\n{lines}")
}

const CHANNEL: &str = "https://conda.anaconda.org/conda-forge";

#[test]
fn builds_of_conda_packages_count_and_their_activation_scripts_run() {
    let managed = Managed::new("micromamba", MICROMAMBA);
    let space = &managed.space;
    managed.pipeline("{conda: conda.txt}", "tool");
    space.write("conda.txt", &list(CHANNEL, &["a-1.0-h1_0", "b-2-0"]));
    let status = managed.call(&["status"]).exits(0).out;
    assert!(
        status.starts_with("environment it: not built (conda.txt "),
        "{status}"
    );
    managed.call(&["reproduce"]).exits(0).says("1 ran");
    let out = space.read("out.txt");
    assert!(out.starts_with("3 hello 3 "), "{out}");
    let calls = managed.calls();
    assert_eq!(calls.len(), 1);
    assert!(
        calls[0].starts_with("micromamba create --yes --quiet --prefix /"),
        "{calls:?}"
    );
    // The same packages from elsewhere, in another order.
    space.write(
        "conda.txt",
        &list("https://mirror.org/forge", &["b-2-0", "a-1.0-h1_0"]),
    );
    managed.call(&["reproduce"]).exits(0).says("1 fresh");
    space.write("conda.txt", &list(CHANNEL, &["a-1.0-h1_1", "b-2-0"]));
    let why = managed.call(&["why", "use"]).exits(0).out;
    assert!(why.contains("  package a: 1.0 h1_0 -> 1.0 h1_1\n"), "{why}");
    managed.call(&["reproduce"]).exits(0).says("1 ran");
    assert_eq!(managed.calls().len(), 2);
    managed.call(&["fsck"]).exits(0);
}

#[test]
fn an_environment_with_other_packages_than_its_list_is_not_used() {
    let managed = Managed::new("micromamba", MICROMAMBA);
    managed.pipeline("{conda: conda.txt}", "tool");
    managed
        .space
        .write("conda.txt", &list(CHANNEL, &["a-1.0-0"]));
    let said = managed
        .call_with(&["reproduce"], &[("MORE", "c-1-0")])
        .exits(1);
    said.says("what was installed is not what `conda.txt` says: `c` 1 0 is there too");
    managed.call(&["reproduce"]).exits(0).says("1 ran");
}

#[test]
fn a_manager_that_is_not_there_fails_the_stages_that_need_it() {
    let managed = Managed::new("micromamba", MICROMAMBA);
    managed.pipeline("{conda: conda.txt, by: mamba}", "tool");
    managed
        .space
        .write("conda.txt", &list(CHANNEL, &["a-1.0-0"]));
    let said = managed.call(&["reproduce"]);
    if !managed.calls().is_empty() || said.err.contains("1 ran") {
        println!("skipped: there is a mamba here");
        return;
    }
    let said = said
        .exits(1)
        .says("environment `it` could not be built: `mamba create` could not be started");
    said.says(
        "install `mamba`, or put it on `PATH`; `by` of the environment names another installer",
    );
    // Who installs it is in no key.
    managed.pipeline("{conda: conda.txt}", "tool");
    managed.call(&["reproduce"]).exits(0).says("1 ran");
}

#[test]
fn a_list_that_leaves_versions_open_costs_the_stages_that_run_there() {
    let managed = Managed::new("micromamba", MICROMAMBA);
    managed.pipeline("{conda: environment.yml}", "tool");
    managed
        .space
        .write("environment.yml", "name: x\ndependencies:\n- numpy\n");
    let said = managed.call(&["reproduce"]).exits(1);
    said.says("cannot use `environment.yml`: it leaves versions open")
        .says("conda list --explicit --md5");
}

#[test]
fn an_environment_of_a_pixi_project_is_made_from_a_copy_of_it() {
    let (platform, other) = match std::env::consts::ARCH {
        "x86_64" => ("linux-64", "osx-64"),
        "aarch64" => ("linux-aarch64", "osx-64"),
        other => return println!("skipped: pixi has no name for {other} here"),
    };
    let managed = Managed::new("pixi", PIXI);
    let space = &managed.space;
    let lock = |version: &str, other_version: &str| {
        let (mine, theirs) = (
            format!("{CHANNEL}/{platform}/a-{version}-0.conda"),
            format!("{CHANNEL}/{other}/a-{other_version}-0.conda"),
        );
        let text = format!(
            "version: 6\nenvironments:\n  cuda:\n    packages:\n      {platform}:\n      - conda: {mine}\n      - pypi: https://f/numpy.whl\n      \
             {other}:\n      - conda: {theirs}\npackages:\n- conda: {mine}\n  md5: '00'\n- conda: {theirs}\n  md5: '11'\n\
             - pypi: https://f/numpy.whl\n  name: numpy\n  version: 2.2.6\n  sha256: aa\n"
        );
        space.write("sub/pixi.lock", &text);
    };
    space.write("sub/pixi.toml", "[workspace]\n");
    lock("1.0", "1.0");
    managed.pipeline("{pixi: sub/pixi.toml, environment: cuda}", "tool");
    let said = managed
        .call_with(
            &["reproduce"],
            &[("BARE", "1"), ("PIXI_PROJECT_MANIFEST", "x")],
        )
        .exits(1);
    said.says("what was installed is not what `sub/pixi.lock` says: `numpy` is missing");
    managed.call(&["reproduce"]).exits(0).says("1 ran");
    assert_eq!(space.read("out.txt"), "3 hello 3 cuda\n");
    assert!(managed.calls()[0].starts_with("pixi install --locked --no-progress "));
    lock("1.0", "2.0");
    managed.call(&["reproduce"]).exits(0).says("1 fresh");
    lock("2.0", "2.0");
    let why = managed.call(&["why", "use"]).exits(0).out;
    assert!(why.contains("  package a: 1.0 0 -> 2.0 0\n"), "{why}");
    space.write("sub/pixi.toml", "edited\n");
    let said = managed.call(&["reproduce"]).exits(1);
    said.says("run `pixi lock`, look at the change and keep it");
    managed.pipeline("{pixi: sub/pixi.toml}", "tool");
    let said = managed.call(&["reproduce"]).exits(1);
    said.says("`sub/pixi.lock` has no environment `default`");
}

#[test]
fn an_r_project_runs_with_its_own_library_and_the_r_that_its_key_names() {
    let managed = Managed::at("Rscript", "tools/r/bin/Rscript", RSCRIPT);
    let space = &managed.space;
    space.write("tools/r/bin/exec/R", "4.3.1");
    std::os::unix::fs::symlink("r/bin/Rscript", space.path("tools/Rscript")).expect("a link");
    let lock = |version: &str, url: &str| {
        let package = format!(
            r#"{{"Package": "a", "Version": "{version}", "Source": "Repository", "Hash": "x"}}"#
        );
        space.write(
            "renv.lock",
            &format!("{{\"R\": {{\"Url\": \"{url}\"}}, \"Packages\": {{\"a\":\n{package}\n}}}}\n"),
        );
    };
    lock("1.0", "https://cran");
    managed.pipeline("{renv: renv.lock}", "Rscript --vanilla -e x");
    managed
        .call_with(&["reproduce"], &[("RENV_PROFILE", "other")])
        .exits(0)
        .says("1 ran");
    assert_eq!(
        space.read("out.txt"),
        "Package: a\nVersion: 1.0 NULL NULL\n"
    );
    lock("1.0", "https://mirror");
    managed.call(&["reproduce"]).exits(0).says("1 fresh");
    lock("1.1", "https://mirror");
    let why = managed.call(&["why", "use"]).exits(0).out;
    assert!(why.contains("  package a: 1.0 -> 1.1\n"), "{why}");
    managed.call(&["reproduce"]).exits(0).says("1 ran");
    let description = "Package: MASS\nVersion: 7.3\nPriority: recommended\n";
    space.write(
        "tools/r/library/stats/DESCRIPTION",
        "Package: stats\nPriority: base\n",
    );
    let settle = || std::thread::sleep(std::time::Duration::from_millis(60));
    settle();
    managed.call(&["reproduce"]).exits(0).says("1 fresh");
    // Somebody installs a package into R itself, and later another version of it.
    space.write("tools/r/library/MASS/DESCRIPTION", description);
    managed.call(&["reproduce"]).exits(0).says("1 ran");
    settle();
    managed.call(&["reproduce"]).exits(0).says("1 fresh");
    let newer = description.replace("7.3", "7.4");
    space.write("tools/r/library/MASS/DESCRIPTION", &newer);
    let why = managed.call(&["why", "use"]).exits(0).out;
    assert!(
        why.contains("  environment library: MASS 7.3 -> MASS 7.4\n"),
        "{why}"
    );
    managed.call(&["reproduce"]).exits(0).says("1 ran");
    space.write("tools/r/bin/exec/R", "4.4.0, another");
    let why = managed.call(&["why", "use"]).exits(0).out;
    assert!(why.contains("  environment r: 4.3.1 -> 4.4.0"), "{why}");
}

#[test]
fn a_shell_of_a_flake_is_entered_without_nix() {
    let managed = Managed::new("nix", NIX);
    let space = &managed.space;
    let lock = |hash: &str| {
        let input = format!(r#"{{"locked": {{"narHash": "sha256-{hash}", "rev": "{hash}"}}}}"#);
        let root = r#"{"inputs": {"nixpkgs": "nixpkgs"}}"#;
        let text = format!(
            r#"{{"nodes": {{"nixpkgs": {input}, "root": {root}}}, "root": "root", "version": 7}}"#
        );
        space.write("flake.lock", &text);
    };
    space.write("flake.nix", "one");
    space.write("beside.nix", "");
    lock("aa");
    managed.pipeline(
        "{nix: flake.nix, shell: fit}",
        "echo $GREETING T$TMPDIR $(ls -d $LEFT 2>/dev/null)",
    );
    managed.call(&["reproduce"]).exits(0).says("1 ran");
    let out = space.read("out.txt");
    assert!(
        out.starts_with("fit one ") && !out.contains("nix-shell"),
        "{out}"
    );
    managed.call(&["reproduce"]).exits(0).says("1 fresh");
    managed.call(&["reproduce", "-f"]).exits(0).says("1 ran");
    assert_eq!(managed.calls().len(), 1);
    // On a machine that has not what Nix made, it is made again.
    fs::remove_file(space.path("store/fit")).expect("a file");
    managed.call(&["reproduce", "-f"]).exits(0).says("1 ran");
    assert_eq!(managed.calls().len(), 2);
    lock("bb");
    let why = managed.call(&["why", "use"]).exits(0).out;
    assert!(why.contains("  package nixpkgs: aa -> bb\n"), "{why}");
    space.write("flake.nix", "two");
    managed.call(&["reproduce"]).exits(0).says("1 ran");
    assert!(space.read("out.txt").starts_with("fit two "));
    assert_eq!(managed.calls().len(), 3);
}

#[test]
fn without_r_its_stages_are_told_what_is_missing_and_others_run() {
    let managed = Managed::new("other", "");
    let space = &managed.space;
    space.write("renv.lock", r#"{"Packages": {}}"#);
    managed.pipeline("{renv: renv.lock}", "Rscript -e x");
    let text = space.read("pipeline.yaml") + "  alone: {cmd: echo x > x.txt, outs: [x.txt]}\n";
    space.write("pipeline.yaml", &text);
    let said = managed.call(&["status"]).exits(0);
    if !said.out.contains("there is no R here") {
        println!("skipped: there is an R here");
        return;
    }
    let said = managed.call(&["reproduce", "-k"]).exits(1);
    said.says("has no environment `it`: there is no R here")
        .says("install it, or put it on `PATH`");
    assert_eq!(space.read("x.txt"), "x\n");
}
