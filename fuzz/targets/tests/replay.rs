//! Replays the seeds and everything that fuzzing ever found.

use std::fs;
use std::path::{Path, PathBuf};

use fuzz_targets::TARGETS;

fn files_below(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files_below(&path, ending, found);
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
}

#[test]
fn known_inputs_break_no_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (name, target) in TARGETS {
        let mut files = Vec::new();
        match *name {
            "spec" => {
                files_below(&root.join("tests/specs"), ".yaml", &mut files);
                files.push(root.join("pipeline.yaml"));
            }
            _ => files_below(&root.join("fuzz/seeds").join(name), "", &mut files),
        }
        let findings = root.join("fuzz/findings").join(name);
        if findings.exists() {
            files_below(&findings, "", &mut files);
        }
        assert!(!files.is_empty(), "{name} has no seeds");
        for file in files {
            println!("{}", file.display());
            target(&fs::read(file).expect("a seed"));
        }
    }
}
