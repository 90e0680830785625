//! What reaches the disk before what, as the fault points of a commit show it.

use std::process::Command;

use super::*;
use restage_core::fault;

/// The folder and the number of files of a commit whose fault points are logged.
const LOGGED: &str = "RESTAGE_TEST_LOGGED_COMMIT";

#[test]
fn a_record_is_written_after_its_outs_and_their_folders_are_on_the_disk() {
    if let Ok(plan) = std::env::var(LOGGED) {
        let (files, dir) = plan.split_once(' ').unwrap();
        return commit_logged(Path::new(dir), files.parse().unwrap());
    }
    // Few files are flushed one by one, many with their file system.
    for files in [1, 3, 20] {
        let dir = tempfile::tempdir().unwrap();
        let name = test_name(
            module_path!(),
            "a_record_is_written_after_its_outs_and_their_folders_are_on_the_disk",
        );
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", &name])
            .env(LOGGED, format!("{files} {}", dir.path().display()))
            .output()
            .unwrap();
        assert!(child.status.success(), "{child:?}");
        let (objects, records) = follow(&text(&dir.path().join("log")));
        // Each file, the folder's manifest and a file that is an out by itself.
        assert_eq!((objects, records), (files + 2, 1));
    }
}

/// Commits a folder and a file while each fault point is logged.
fn commit_logged(dir: &Path, files: usize) {
    let store = Store::open(&dir.join(".restage")).unwrap();
    std::fs::create_dir(dir.join("tree")).unwrap();
    for file in 0..files {
        std::fs::write(dir.join("tree").join(file.to_string()), file.to_string()).unwrap();
    }
    std::fs::write(dir.join("single"), "single").unwrap();
    fault::install(&format!("log:{}", dir.join("log").display())).unwrap();
    let mut outs = Unflushed::default();
    let recorded = ["tree", "single"].map(|path| RecordedOut {
        path: path.to_owned(),
        volatile: false,
        content: store
            .objects()
            .ingest_into(&dir.join(path), &mut outs)
            .unwrap(),
    });
    let (now, stage) = (WallTime::now(), "quick/train".to_owned());
    let record = Record::new(key(1), stage, recorded.into(), now, 1.5, None, vec![]);
    let lock = store.locks().try_lock(&record.key).unwrap().unwrap();
    let mut unflushed = Unflushed::default();
    store.commit(&lock, &record, outs, &mut unflushed).unwrap();
    unflushed.flush().unwrap();
}

/// Follows what is only in memory through a log, and checks that no record appears before its
/// objects and the folders of their names are on the disk. Returns how many of each appeared.
fn follow(log: &str) -> (usize, usize) {
    let mut in_memory: BTreeSet<PathBuf> = BTreeSet::new();
    let (mut objects, mut records) = (0, 0);
    for line in log.lines() {
        let (op, path) = line.split_once('\t').unwrap();
        let path = Path::new(path);
        let below = |folder: &str| path.components().any(|part| part.as_os_str() == folder);
        let parent = path.parent().unwrap().to_owned();
        match op {
            "link to" | "rename to" if below("objects") => {
                objects += 1;
                in_memory.extend([path.to_owned(), parent]);
            }
            "create the folder" if below("objects") => drop(in_memory.insert(parent)),
            "rename to" if below("records") => {
                assert_eq!(in_memory, BTreeSet::new(), "at {line}");
                records += 1;
                in_memory.extend([path.to_owned(), parent]);
            }
            "flush" | "flush the folder" => drop(in_memory.remove(path)),
            "flush the disk of" => in_memory.clear(),
            _ => {}
        }
    }
    assert_eq!(in_memory, BTreeSet::new(), "at the end");
    (objects, records)
}
