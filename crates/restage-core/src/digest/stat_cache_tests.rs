//! When the stat cache is trusted, and when it is not.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

struct Setup {
    dir: tempfile::TempDir,
}

impl Setup {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), b"one").unwrap();
        Self { dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("file")
    }

    fn cache(&self) -> StatCache {
        StatCache::load(&self.dir.path().join("cache"))
    }

    fn digest(&self, cache: &StatCache) -> Digest {
        cache.digest_at(&self.path()).unwrap().unwrap().digest
    }

    fn remembered(&self, cache: &StatCache) -> bool {
        cache.lookup(&fs::metadata(&self.path()).unwrap()).is_some()
    }
}

fn settle() {
    std::thread::sleep(Duration::from_nanos(TICK as u64 + 15_000_000));
}

#[test]
fn a_settled_file_is_remembered_over_save_and_load() {
    let setup = Setup::new();
    settle();
    let cache = setup.cache();
    assert!(!setup.remembered(&cache));
    assert_eq!(setup.digest(&cache), Digest::of(b"one"));
    assert!(setup.remembered(&cache));
    cache.save().unwrap();
    let cache = setup.cache();
    assert!(setup.remembered(&cache));
    assert_eq!(setup.digest(&cache), Digest::of(b"one"));
}

#[test]
fn a_file_written_a_moment_ago_is_read_again() {
    let setup = Setup::new();
    let cache = setup.cache();
    std::fs::write(setup.path(), b"two").unwrap();
    assert_eq!(setup.digest(&cache), Digest::of(b"two"));
    assert!(!setup.remembered(&cache));
    std::fs::write(setup.path(), b"three").unwrap();
    assert_eq!(setup.digest(&cache), Digest::of(b"three"));
}

#[test]
fn an_edit_of_equal_length_with_the_old_modification_time_is_noticed() {
    let setup = Setup::new();
    settle();
    let cache = setup.cache();
    setup.digest(&cache);
    let old = fs::metadata(&setup.path()).unwrap().modified().unwrap();
    std::fs::write(setup.path(), b"two").unwrap();
    std::fs::File::open(setup.path())
        .unwrap()
        .set_modified(old)
        .unwrap();
    assert_eq!(setup.digest(&cache), Digest::of(b"two"));
}

#[test]
fn a_sealed_file_is_known_by_every_name_and_after_linking() {
    let setup = Setup::new();
    fs::set_mode(&setup.path(), 0o444).unwrap();
    let cache = setup.cache();
    cache.seal(&setup.path(), Digest::of(b"one")).unwrap();
    settle();
    let link = setup.dir.path().join("link");
    std::fs::hard_link(setup.path(), &link).unwrap();
    cache.save().unwrap();
    let cache = setup.cache();
    assert!(cache.lookup(&fs::metadata(&link).unwrap()).is_some());
}

#[test]
fn a_sealed_file_that_was_made_writable_is_read_again() {
    let setup = Setup::new();
    let cache = setup.cache();
    cache
        .seal(&setup.path(), Digest::of(b"not its bytes"))
        .unwrap();
    assert_eq!(setup.digest(&cache), Digest::of(b"one"));
}

#[test]
fn a_damaged_cache_counts_as_empty_and_says_so() {
    let setup = Setup::new();
    settle();
    let cache = setup.cache();
    setup.digest(&cache);
    cache.save().unwrap();
    let file = setup.dir.path().join("cache");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let cache = setup.cache();
    assert!(cache.warning().unwrap().contains("damaged"));
    assert!(!setup.remembered(&cache));
    setup.digest(&cache);
    cache.save().unwrap();
    assert_eq!(setup.cache().warning(), None);
}

#[test]
fn nothing_learnt_means_nothing_written() {
    let setup = Setup::new();
    setup.cache().save().unwrap();
    assert!(!fs::exists(&setup.dir.path().join("cache")).unwrap());
}

#[test]
fn what_is_absent_or_a_broken_link_is_none() {
    let setup = Setup::new();
    let gone = setup.dir.path().join("gone");
    assert_eq!(setup.cache().digest_at(&gone).unwrap(), None);
    fs::symlink(Path::new("nowhere"), &gone).unwrap();
    assert_eq!(setup.cache().digest_at(&gone).unwrap(), None);
}

#[test]
fn a_linked_path_has_the_content_of_what_it_leads_to() {
    let setup = Setup::new();
    let link = setup.dir.path().join("link");
    fs::symlink(&setup.path(), &link).unwrap();
    let cache = setup.cache();
    assert_eq!(
        cache.digest_at(&link).unwrap(),
        cache.digest_at(&setup.path()).unwrap()
    );
}

#[test]
fn a_folder_has_the_digest_that_is_found_without_a_cache() {
    let setup = Setup::new();
    settle();
    let cache = setup.cache();
    for _ in 0..2 {
        let cached = cache.digest_at(setup.dir.path()).unwrap().unwrap();
        assert_eq!(
            cached,
            crate::digest::digest_tree(setup.dir.path()).unwrap()
        );
    }
}

#[test]
fn what_is_refuted_is_forgotten_for_good_and_what_is_right_stays() {
    let setup = Setup::new();
    fs::set_mode(&setup.path(), 0o444).unwrap();
    let cache = setup.cache();
    cache.seal(&setup.path(), Digest::of(b"two")).unwrap();
    cache.save().unwrap();
    let cache = setup.cache();
    let found = fs::metadata(&setup.path()).unwrap();
    assert!(!cache.refute(&found, Some(Digest::of(b"two"))));
    assert!(setup.remembered(&cache));
    assert!(cache.refute(&found, Some(Digest::of(b"one"))));
    assert!(!setup.remembered(&cache));
    cache.save().unwrap();
    assert!(!setup.remembered(&setup.cache()));
}

#[test]
fn an_object_that_another_process_made_is_read_once_however_often_it_is_linked() {
    let setup = Setup::new();
    let link = |name: &str| std::fs::hard_link(setup.path(), setup.dir.path().join(name)).unwrap();
    fs::set_mode(&setup.path(), 0o444).unwrap();
    settle();
    let cache = setup.cache();
    let digest = setup.digest(&cache);
    link("unadopted");
    assert!(!setup.remembered(&cache));
    // What was never read, or not remembered, or has another digest is not believed.
    setup.cache().adopt(&setup.path(), digest).unwrap();
    cache.adopt(&setup.path(), Digest::of(b"two")).unwrap();
    assert!(!setup.remembered(&cache));
    cache.adopt(&setup.path(), digest).unwrap();
    link("adopted");
    assert!(setup.remembered(&cache));
    cache.save().unwrap();
    link("adopted before");
    assert!(setup.remembered(&setup.cache()));
    fs::set_mode(&setup.path(), 0o644).unwrap();
    std::fs::write(setup.path(), b"two").unwrap();
    cache.adopt(&setup.path(), digest).unwrap();
    fs::set_mode(&setup.path(), 0o444).unwrap();
    assert!(!setup.remembered(&cache));
}

fn entries(count: u64) -> Vec<Entry> {
    (0..count)
        .map(|i| Entry {
            stamp: Stamp {
                dev: 1,
                ino: i,
                size: i * 7,
                mtime: -1,
                ctime: i64::MAX,
            },
            digest: Digest::of(&i.to_le_bytes()),
            sealed: i % 2 == 0,
            unused: i as u32,
        })
        .collect()
}

#[test]
fn entries_read_back_as_they_were() {
    assert_eq!(parse(&to_bytes(&entries(5))), Some(entries(5)));
    assert_eq!(parse(&to_bytes(&[])), Some(Vec::new()));
}

proptest! {
    #[test]
    fn one_flipped_bit_or_a_cut_makes_it_worthless(at in any::<prop::sample::Index>()) {
        let mut bytes = to_bytes(&entries(3));
        let bit = at.index(bytes.len() * 8);
        prop_assert_eq!(parse(&bytes[..bit / 8]), None);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(parse(&bytes), None);
    }
}
