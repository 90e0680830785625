//! Disks that are full or may not be written to, and stores of another version.

use std::process::Command;

use super::*;

#[test]
fn a_store_is_marked_as_a_cache_and_has_a_version() {
    let bench = Bench::new();
    let tag = text(&bench.store.location().dir().join("CACHEDIR.TAG"));
    assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55\n"));
    assert_eq!(text(&bench.store.location().dir().join("format")), "1\n");
}

#[test]
fn a_store_of_a_newer_restage_is_refused_and_left_alone() {
    let bench = Bench::new();
    std::fs::write(bench.store.location().dir().join("format"), "2\n").unwrap();
    let error = Store::open(bench.store.location().dir()).unwrap_err();
    assert!(error.to_string().contains("has format 2"), "{error}");
    assert!(error.hint().unwrap().contains("update restage"));
}

#[test]
fn a_folder_that_may_not_be_written_is_an_error_that_names_it() {
    if rustix::process::geteuid().is_root() {
        println!("skipped: root may write everywhere");
        return;
    }
    let bench = Bench::new();
    let content = bench.ingest("weights");
    let closed = bench.path("closed");
    std::fs::create_dir(&closed).unwrap();
    fs::set_mode(&closed, 0o555).unwrap();
    let dest = closed.join("out");
    let error = bench
        .store
        .objects()
        .materialize(&content, &dest, Placement::Plain)
        .unwrap_err();
    assert!(error.to_string().contains("closed"), "{error}");
    assert!(error.hint().unwrap().contains("permissions"), "{error}");
}

/// A file size limit stands in for a full disk: writes fail in the middle of a file.
const LIMITED: &str = "RESTAGE_TEST_LIMITED_STORE";

#[test]
fn a_full_disk_loses_nothing_and_leaves_no_half_file() {
    if let Ok(dir) = std::env::var(LIMITED) {
        return fill(Path::new(&dir));
    }
    let bench = Bench::new();
    let big = "x".repeat(1 << 20);
    bench.write("linked/twin", &big);
    bench.commit(&bench.record(1, &[("small", false, "small"), ("big", false, &big)]));
    // 512-byte blocks: 64 KiB. The signal is ignored, so that writes fail instead.
    let script = "trap '' XFSZ; ulimit -f 128; exec \"$0\" --exact --nocapture \"$1\"";
    let name = test_name(
        module_path!(),
        "a_full_disk_loses_nothing_and_leaves_no_half_file",
    );
    let child = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(LIMITED, bench.dir.path())
        .output()
        .unwrap();
    assert!(
        child.status.success(),
        "{}",
        String::from_utf8_lossy(&child.stdout)
    );
    assert!(
        String::from_utf8_lossy(&child.stdout).contains("1 passed"),
        "the child ran"
    );
    assert!(
        bench
            .store
            .records()
            .get(&key(1).digest())
            .unwrap()
            .is_some()
    );
}

fn fill(dir: &Path) {
    let store = Store::open(&dir.join(".restage")).unwrap();
    let record = store.records().get(&key(1).digest()).unwrap().unwrap();
    let (small, big) = (&record.outs[0].content, &record.outs[1].content);

    // Publishing: the old file stays, nothing is left beside it.
    let dest = dir.join("results/big");
    store
        .objects()
        .materialize(small, &dest, Placement::Plain)
        .unwrap();
    let error = store
        .objects()
        .materialize(big, &dest, Placement::Plain)
        .unwrap_err();
    assert!(error.hint().unwrap().contains("size limit"), "{error}");
    assert_eq!(text(&dest), "small");
    assert_eq!(fs::read_dir(&dir.join("results")).unwrap(), ["big"]);

    // Taking in by copying: no object appears.
    let source = dir.join("source");
    std::fs::hard_link(dir.join("linked/twin"), &source).unwrap();
    std::fs::remove_file(object_path(&store, &big.digest)).unwrap();
    assert!(store.objects().ingest(&source).is_err());
    assert!(!store.objects().has(big).unwrap());
    let shard = object_path(&store, &big.digest);
    assert!(fs::read_dir(shard.parent().unwrap()).unwrap().is_empty());

    // Recording: the key stays what it was, and the old record stays readable.
    let mut long = Record::clone(&record);
    long.outs.truncate(1);
    long.undeclared = vec!["u".repeat(1 << 20)];
    let lock = store.locks().try_lock(&record.key).unwrap().unwrap();
    assert!(
        store
            .commit(
                &lock,
                &long,
                Unflushed::default(),
                &mut Unflushed::default()
            )
            .is_err()
    );
    assert_eq!(store.records().get(&record.key).unwrap().unwrap(), record);
    assert_eq!(
        fs::read_dir(&store.location().dir().join("records"))
            .unwrap()
            .len(),
        1
    );
}

fn object_path(store: &Store, digest: &Digest) -> PathBuf {
    let hex = digest.to_string();
    store
        .location()
        .dir()
        .join("objects")
        .join(&hex[..2])
        .join(&hex[2..])
}
