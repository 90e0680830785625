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
        freed: false,
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
    store.objects().flush(&unflushed).unwrap();
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

/// The folder and the number of the fault point at which a system call fails.
const REFUSED: &str = "RESTAGE_TEST_REFUSED_FLUSH";

#[test]
fn what_the_disk_refuses_is_written_into_new_files_or_is_no_longer_an_object() {
    if let Ok(plan) = std::env::var(REFUSED) {
        let (point, dir) = plan.split_once(' ').unwrap();
        return write_anew_refused(Path::new(dir), point.parse().unwrap());
    }
    let name = test_name(
        module_path!(),
        "what_the_disk_refuses_is_written_into_new_files_or_is_no_longer_an_object",
    );
    let mut failed = 0;
    for point in 1..=12 {
        let dir = tempfile::tempdir().unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", &name])
            .env(REFUSED, format!("{point} {}", dir.path().display()))
            .output()
            .unwrap();
        assert!(child.status.success(), "{point}: {child:?}");
        failed += u32::from(String::from_utf8_lossy(&child.stdout).contains("write failed"));
    }
    // Two objects, each created, read, written, flushed and renamed, and their folders.
    assert!(failed > 8, "{failed}");
}

fn write_anew_refused(dir: &Path, point: u32) {
    let store = Store::open(&dir.join(".restage")).unwrap();
    let mut outs = Unflushed::default();
    let contents = ["one", "two"].map(|text| {
        std::fs::write(dir.join(text), text).unwrap();
        let objects = store.objects();
        objects.ingest_into(&dir.join(text), &mut outs).unwrap()
    });
    let old = outs.files.iter().map(|file| inode(file));
    let old: BTreeSet<u64> = old.collect();
    fault::install(&format!("EIO:{point}")).unwrap();
    match store.objects().write_anew(&outs) {
        Ok(()) => {
            let new = outs.files.iter().map(|file| inode(file));
            assert!(new.into_iter().all(|inode| !old.contains(&inode)));
            for content in contents {
                store.objects().verify(&content).unwrap();
            }
        }
        Err(error) => {
            println!("write failed");
            assert!(error.to_string().contains("input/output error"), "{error}");
            for content in contents {
                let believed = store.objects().has(&content).unwrap();
                // Once both files are new and flushed, only their folders are in doubt.
                let new = |file: &PathBuf| !file.exists() || !old.contains(&inode(file));
                assert!(!believed || outs.files.iter().all(new), "{point}");
            }
        }
    }
}

#[test]
fn a_flush_that_fails_once_costs_a_warning_and_no_result() {
    if let Ok(plan) = std::env::var(REFUSED) {
        let dir = plan.strip_prefix("once ").unwrap();
        return flush_refused_once(Path::new(dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let name = test_name(
        module_path!(),
        "a_flush_that_fails_once_costs_a_warning_and_no_result",
    );
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", &name])
        .env(REFUSED, format!("once {}", dir.path().display()))
        .output()
        .unwrap();
    assert!(child.status.success(), "{child:?}");
}

fn flush_refused_once(dir: &Path) {
    let store = Store::open(&dir.join(".restage")).unwrap();
    std::fs::write(dir.join("out"), "bytes").unwrap();
    let mut outs = Unflushed::default();
    let objects = store.objects();
    let content = objects.ingest_into(&dir.join("out"), &mut outs).unwrap();
    let file = outs.files.first().unwrap().clone();
    let old = inode(&file);
    // A file is opened and then flushed.
    fault::install("EIO:2").unwrap();
    objects.flush(&outs).unwrap();
    assert_ne!(
        inode(&file),
        old,
        "another flush of the same file proves nothing"
    );
    objects.verify(&content).unwrap();
    let warnings = store.take_warnings();
    assert!(warnings[0].contains("cannot flush"), "{warnings:?}");
}
