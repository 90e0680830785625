//! What a failed stage may have said, and what it is told.

use super::*;
use restage_pipeline::{LoadOptions, load};

const TRAIN: &str = r#"
schema: 1
name: t
params: {train: {rate: 1.5, epochs: 2}, seed: 1}
stages:
  data: {cmd: "echo > raw.csv", outs: [raw.csv]}
  train:
    cmd: python3 code/train.py
    deps: [code/train.py]
    params: [seed]
    outs: [model]
"#;

struct Bench {
    folder: tempfile::TempDir,
    graph: Graph,
}

impl Bench {
    fn new(files: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let pipeline = load("pipeline.yaml", TRAIN, &LoadOptions::default()).unwrap();
        Self {
            folder,
            graph: Graph::build(pipeline).unwrap(),
        }
    }

    fn hint(&self, said: &str) -> Option<String> {
        let placed = [RelPath::new("code/train.py").unwrap()];
        // Messages may name its folder, which is gone.
        let dir = match said.contains("/store") {
            true => Path::new("/store/work/train-1"),
            false => self.folder.path(),
        };
        let place = Place {
            graph: &self.graph,
            stage: self.graph.stage(self.graph.id("train").unwrap()),
            root: self.folder.path(),
            dir,
            placed: &placed,
        };
        Said::of(said).hint(&place)
    }
}

#[test]
fn a_file_that_is_there_but_not_declared_is_named_however_the_program_says_that_it_is_missing() {
    let bench = Bench::new(&["config/c.yaml", "x y.txt", "code/train.py"]);
    for said in [
        "cat: config/c.yaml: No such file or directory",
        "FileNotFoundError: [Errno 2] No such file or directory: 'config/c.yaml'",
        "python3: can't open file '/store/work/train-1/config/c.yaml': [Errno 2] No such file",
        "bash: line 1: ./config/c.yaml: No such file or directory\nand then something else",
        "Error: cannot open file 'config/c.yaml'",
        "sh: 1: config/c.yaml: not found",
        "error: cannot read `config/c.yaml`\n  caused by: No such file or directory (os error 2)\n  hint: check it",
        "Error: failed to load config/c.yaml\n\nCaused by:\n    No such file or directory (os error 2)",
    ] {
        let hint = bench.hint(said).expect(said);
        assert!(hint.contains("add `config/c.yaml` to its `deps`"), "{hint}");
        assert!(
            hint.contains("under `train:` (line 7 of the pipeline)"),
            "{hint}"
        );
    }
    let hint = bench.hint("No such file or directory: 'x y.txt'").unwrap();
    assert!(hint.contains("add `x y.txt` to"), "{hint}");
    let absolute = bench.folder.path().join("config/c.yaml");
    let hint = bench.hint(&format!(
        "{}: No such file or directory",
        absolute.display()
    ));
    assert!(hint.unwrap().contains("add `config/c.yaml` to"));
}

#[test]
fn what_another_stage_writes_is_named_with_that_stage() {
    let bench = Bench::new(&[]);
    let hint = bench.hint("raw.csv: No such file or directory").unwrap();
    assert!(
        hint.starts_with("`raw.csv` is written by `data`, but"),
        "{hint}"
    );
}

#[test]
fn a_module_is_looked_for_beside_the_scripts_and_at_the_top() {
    let said = |module: &str| format!("ModuleNotFoundError: No module named '{module}'");
    let bench = Bench::new(&["code/train.py", "code/utils.py", "nets/blocks.py", "lib.py"]);
    for (module, file) in [
        ("utils", "code/utils.py"),
        ("nets.blocks", "nets"),
        ("lib", "lib.py"),
    ] {
        let hint = bench.hint(&said(module)).expect(module);
        assert!(
            hint.contains(&format!("add `{file}` to its `deps`")),
            "{hint}"
        );
    }
    assert_eq!(bench.hint(&said("numpy")), None);
}

#[test]
fn what_is_declared_or_not_there_or_not_said_to_be_missing_gives_no_hint() {
    let bench = Bench::new(&["config/c.yaml", "code/train.py"]);
    for said in [
        "code/train.py: No such file or directory",
        "model: No such file or directory",
        "elsewhere.txt: No such file or directory",
        "read config/c.yaml, then failed",
        ".restage: No such file or directory",
        "",
    ] {
        assert_eq!(bench.hint(said), None, "{said}");
    }
}

#[test]
fn a_parameter_that_the_stage_is_not_given_is_named_by_its_path() {
    let bench = Bench::new(&[]);
    for said in [
        "KeyError: 'rate'",
        "AttributeError: 'Params' object has no attribute 'rate'",
        "Error: missing field `rate` at line 1 column 2",
    ] {
        let hint = bench.hint(said).expect(said);
        assert!(hint.contains("add `train.rate` to its `params`"), "{hint}");
    }
    assert_eq!(bench.hint("KeyError: 'seed'"), None, "it is given");
    assert_eq!(bench.hint("KeyError: 'other'"), None);
}

#[test]
fn a_progress_bar_shows_its_last_state_and_hides_no_error() {
    let bar: String = (0..60)
        .map(|i| format!("\r{i:3}% of the download"))
        .collect();
    assert_eq!(
        as_drawn(&format!("{bar}\rfatal, quota exceeded")),
        [" 59% of the download", "fatal, quota exceeded"]
    );
    assert_eq!(
        as_drawn(&format!("{bar}\rerror: lost\r 60% of the download")).len(),
        3
    );
    assert_eq!(as_drawn("a line\r"), ["a line"]);
    assert!(as_drawn("\r\r").is_empty());
}

#[test]
fn only_the_end_of_a_log_is_read_and_standard_output_counts_where_errors_are_silent() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let logs = LogPaths {
        dir: folder.path().to_owned(),
        stdout: path("out"),
        stderr: path("err"),
        params: PathBuf::new(),
        events: path("events"),
    };
    std::fs::write(path("err"), "\n").unwrap();
    std::fs::write(path("out"), "x".repeat(100_000) + "\nthe end\n").unwrap();
    let said = Said::by(&logs);
    assert_eq!(said.log, path("out"));
    assert_eq!(said.last_lines(&Secrets::default()), ["the end"]);
    std::fs::write(path("err"), "an error\n").unwrap();
    assert_eq!(
        Said::by(&logs).last_lines(&Secrets::default()),
        ["an error"]
    );
}

#[test]
fn what_is_read_only_is_an_input_or_a_copy_of_one_that_kept_its_mode() {
    let bench = Bench::new(&[]);
    let hint = bench.hint("code/train.py: Read-only file system").unwrap();
    assert!(
        hint.contains("`cp -r --no-preserve=mode code/train.py mine`"),
        "{hint}"
    );
    let copy = bench.folder.path().join("mine.csv");
    std::fs::write(&copy, "").unwrap();
    let said = "bash: line 1: mine.csv: Permission denied";
    assert_eq!(bench.hint(said), None, "it can be written to");
    restage_core::fs::set_mode(&copy, 0o444).unwrap();
    let hint = bench.hint(said).unwrap();
    assert!(
        hint.contains("copy by `cp -r --no-preserve=mode`"),
        "{hint}"
    );
}
