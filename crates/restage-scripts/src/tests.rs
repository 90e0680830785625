//! Commands and scripts of a small project, and what they pull in.

use std::collections::BTreeMap;

use super::*;

struct Fake(BTreeMap<&'static str, &'static str>);

impl Files for Fake {
    fn is_file(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    fn is_folder(&self, path: &str) -> bool {
        let inside = format!("{path}/");
        self.0.keys().any(|name| name.starts_with(&inside))
    }

    fn text(&self, path: &str) -> Option<String> {
        self.0.get(path).map(|text| (*text).to_owned())
    }
}

fn found(command: &str, folder: &str, files: &[(&'static str, &'static str)]) -> Vec<String> {
    let files = Fake(files.iter().copied().collect());
    let found = of_command(command, folder, &files).into_iter();
    found
        .map(|found| match found.by {
            Some(by) => format!("{}<{by}", found.path),
            None => found.path,
        })
        .collect()
}

#[test]
fn modules_are_followed_from_the_script_to_the_last_import() {
    let files = [
        (
            "src/train.py",
            "import utils\nfrom models.cnn import Net\nimport numpy\n",
        ),
        ("src/utils.py", "from . import more\nimport os\n"),
        ("src/more.py", ""),
        ("src/models/__init__.py", "from .base import Base\n"),
        ("src/models/base.py", ""),
        ("src/models/cnn.py", "import utils\n"),
        ("src/models/unused.py", ""),
        ("utils.py", "not the one"),
        ("data/a.csv", ""),
    ];
    assert_eq!(
        found("python src/train.py --data data/a.csv", "", &files),
        [
            "src/train.py",
            "data/a.csv",
            "src/utils.py<src/train.py",
            "src/models/__init__.py<src/train.py",
            "src/models/cnn.py<src/train.py",
            "src/more.py<src/utils.py",
            "src/models/base.py<src/models/__init__.py",
        ]
    );
}

#[test]
fn modules_are_found_where_projects_make_python_look() {
    let pkg = [
        ("src/pkg/__init__.py", ""),
        ("src/pkg/a.py", ""),
        ("run/x.py", "import pkg.a"),
    ];
    let a = ["src/pkg/__init__.py<run/x.py", "src/pkg/a.py<run/x.py"];
    assert_eq!(found("python run/x.py", "", &pkg)[1..], a);
    assert_eq!(found("python x.py", "run", &pkg)[1..], a);
    let moved = [("lib/b.py", ""), ("x.py", "from b import c")];
    assert_eq!(
        found("PYTHONPATH=lib python x.py", "", &moved)[1..],
        ["lib/b.py<x.py"]
    );
    assert_eq!(found("python x.py", "", &moved).len(), 1);
    let hacked = [
        ("lib/b.py", ""),
        ("x.py", "sys.path.append('lib')\nfrom b import c"),
    ];
    assert_eq!(found("python x.py", "", &hacked)[1..], ["lib/b.py<x.py"]);
    let above = [("lib/b.py", ""), ("deep/er/x.py", "from lib import b")];
    assert_eq!(
        found("python deep/er/x.py", "", &above)[1..],
        ["lib/b.py<deep/er/x.py"]
    );
}

#[test]
fn modules_that_are_run_and_code_in_the_command_count() {
    let files = [
        ("pkg/__init__.py", ""),
        ("pkg/__main__.py", "from . import a"),
        ("pkg/a.py", ""),
        ("pkg/train.py", ""),
    ];
    assert_eq!(
        found("python -m pkg.train", "", &files),
        ["pkg/__init__.py", "pkg/train.py"]
    );
    assert_eq!(
        found("python -m pkg", "", &files),
        [
            "pkg/__init__.py",
            "pkg/__main__.py",
            "pkg/a.py<pkg/__main__.py"
        ]
    );
    assert_eq!(
        found("python3 -c 'from pkg import a'", "", &files),
        ["pkg/__init__.py", "pkg/a.py"]
    );
}

#[test]
fn scripts_of_other_languages_are_followed() {
    let files = [
        (
            "run.sh",
            "cd src\npython x.py > log.txt\nRscript ../r/a.R\n",
        ),
        ("src/x.py", ""),
        ("r/a.R", "source('r/b.R')\nsource(\"c.R\")"),
        ("r/b.R", ""),
        ("r/c.R", ""),
        ("log.txt", ""),
        (
            "nb.ipynb",
            "{\"cells\": [{\"cell_type\": \"code\", \"source\": [\"import src.x\"]}]}",
        ),
    ];
    assert_eq!(
        found("bash run.sh", "", &files),
        [
            "run.sh",
            "src/x.py<run.sh",
            "r/a.R<run.sh",
            "r/b.R<r/a.R",
            "r/c.R<r/a.R",
        ]
    );
    assert_eq!(
        found("papermill nb.ipynb out.ipynb", "", &files)[1..],
        ["src/x.py<nb.ipynb"]
    );
}

#[test]
fn a_script_itself_is_not_among_what_it_pulls_in() {
    let files = Fake([("a.py", "import b"), ("b.py", "import a")].into());
    let found = of_script("a.py", "", &files);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].path, "b.py");
}

#[test]
fn a_folder_of_configurations_and_settings_that_are_opened_count() {
    let files = [
        (
            "src/x.py",
            "@hydra.main(version_base=None, config_path='../conf')\nopen('set.toml'); open('out.json', 'w')",
        ),
        ("conf/c.yaml", ""),
        ("set.toml", ""),
        ("out.json", ""),
    ];
    assert_eq!(
        found("python src/x.py", "", &files)[1..],
        ["set.toml<src/x.py", "conf<src/x.py"]
    );
}

#[test]
fn scripts_that_name_each_other_end() {
    let files = [
        ("a.sh", "bash b.sh"),
        ("b.sh", "bash a.sh; python3 c.py"),
        ("c.py", "import c, d"),
        ("d.py", "import c"),
    ];
    assert_eq!(
        found("bash a.sh", "", &files),
        ["a.sh", "b.sh<a.sh", "c.py<b.sh", "d.py<c.py"]
    );
}
