//! When the stat cache is trusted, and when it is not.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::digest::stamp::TICK;

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
fn what_has_come_in_a_files_place_since_it_was_looked_at_is_read_and_remembered() {
    type Change = fn(&Path);
    let changes: [Change; 3] = [
        |path| std::fs::write(path, b"two").unwrap(),
        |path| std::fs::write(path, b"three").unwrap(),
        |path| {
            std::fs::write(path.with_file_name("new"), b"two").unwrap();
            fs::rename(&path.with_file_name("new"), path).unwrap();
        },
    ];
    for change in changes {
        let setup = Setup::new();
        let cache = setup.cache();
        let before = fs::metadata(&setup.path()).unwrap();
        settle();
        change(&setup.path());
        settle();
        let digest = Digest::of(&std::fs::read(setup.path()).unwrap());
        assert_eq!(
            cache.digest_of(&setup.path(), before.clone()).unwrap(),
            digest
        );
        assert_eq!(cache.lookup(&before), None, "the old file was not read");
        assert!(setup.remembered(&cache));
    }
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
fn without_a_folder_for_it_nothing_is_saved_and_none_is_made() {
    let setup = Setup::new();
    settle();
    let file = setup.dir.path().join("none/cache");
    let cache = StatCache::load(&file);
    setup.digest(&cache);
    cache.save().unwrap();
    assert!(!fs::exists(file.parent().unwrap()).unwrap());
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

fn machine(name: &str) -> Machine {
    Machine {
        name: Digest::of(name.as_bytes()),
        boot: Digest::of(b"boot"),
    }
}

#[test]
fn a_sealed_entry_does_not_vouch_for_a_later_file_with_the_same_number() {
    let setup = Setup::new();
    fs::set_mode(&setup.path(), 0o444).unwrap();
    let cache = setup.cache();
    cache.seal(&setup.path(), Digest::of(b"one")).unwrap();
    let found = fs::metadata(&setup.path()).unwrap();
    let entry = cache.known(Stamp::of(&found).id()).unwrap();
    assert!(entry.vouches_for(&found));
    let later = |born, ctime| Entry {
        born,
        stamp: Stamp {
            ctime,
            ..entry.stamp
        },
        ..entry
    };
    let (born, ctime) = (entry.born, entry.stamp.ctime);
    // Linked since, which changes nothing but its change time.
    assert_eq!(
        later(born, ctime - 1).vouches_for(&found),
        entry.born != UNKNOWN
    );
    // The same number, size and modification time, as reproducible archives have them.
    assert!(!later(born.wrapping_sub(1), ctime).vouches_for(&found));
    assert!(!later(UNKNOWN, ctime - 1).vouches_for(&found));
    // Both without a birth time: the change time decides.
    let unborn = |ctime| later(UNKNOWN, ctime);
    assert!(unborn(ctime).same_but_for_ctime(&unborn(ctime)));
    assert!(!unborn(ctime).same_but_for_ctime(&unborn(ctime - 1)));
}

#[test]
fn a_removed_file_is_forgotten_for_good() {
    let setup = Setup::new();
    settle();
    let cache = setup.cache();
    setup.digest(&cache);
    cache.save().unwrap();
    let cache = setup.cache();
    assert!(setup.remembered(&cache));
    cache.forget(&fs::metadata(&setup.path()).unwrap());
    assert!(!setup.remembered(&cache));
    cache.save().unwrap();
    assert!(!setup.remembered(&setup.cache()));
}

#[test]
fn what_is_learnt_of_a_number_replaces_what_was_loaded() {
    let setup = Setup::new();
    fs::set_mode(&setup.path(), 0o444).unwrap();
    let cache = setup.cache();
    cache.seal(&setup.path(), Digest::of(b"two")).unwrap();
    cache.save().unwrap();
    let cache = setup.cache();
    cache.seal(&setup.path(), Digest::of(b"one")).unwrap();
    assert_eq!(setup.digest(&cache), Digest::of(b"one"));
    cache.save().unwrap();
    assert_eq!(setup.digest(&setup.cache()), Digest::of(b"one"));
}

#[test]
fn bytes_are_read_again_after_a_month_and_then_believed_for_another_one() {
    let setup = Setup::new();
    fs::set_mode(&setup.path(), 0o444).unwrap();
    settle();
    let file = setup.dir.path().join("cache");
    let on = |day| StatCache::load_at(&file, machine("here"), day);
    for sealed in [true, false] {
        let cache = on(1000);
        match sealed {
            true => cache.seal(&setup.path(), Digest::of(b"one")).unwrap(),
            false => assert_eq!(setup.digest(&cache), Digest::of(b"one")),
        }
        cache.save().unwrap();
        assert!(setup.remembered(&on(1000 + MOST_DAYS - SPREAD_DAYS)));
        assert!(!setup.remembered(&on(1000 + MOST_DAYS)));
        assert!(!setup.remembered(&on(1000 - MOST_DAYS)), "a wrong clock");
        let cache = on(1000 + MOST_DAYS);
        assert_eq!(setup.digest(&cache), Digest::of(b"one"));
        cache.save().unwrap();
        let cache = on(1000 + MOST_DAYS + 1);
        assert!(setup.remembered(&cache));
        let known = cache.known(Stamp::of(&fs::metadata(&setup.path()).unwrap()).id());
        assert_eq!(known.unwrap().sealed, sealed);
        std::fs::remove_file(&file).unwrap();
    }
}

#[test]
fn a_cache_of_another_machine_counts_as_empty() {
    let setup = Setup::new();
    settle();
    let file = setup.dir.path().join("cache");
    let cache = StatCache::load_at(&file, machine("here"), 1000);
    setup.digest(&cache);
    cache.save().unwrap();
    let there = |name: &str, boot: &str| {
        let boot = Digest::of(boot.as_bytes());
        let machine = Machine {
            boot,
            ..machine(name)
        };
        StatCache::load_at(&file, machine, 1000)
    };
    assert!(setup.remembered(&there("here", "later boot")));
    assert!(setup.remembered(&there("container", "boot")));
    assert!(!setup.remembered(&there("there", "another boot")));
    assert_eq!(there("there", "another boot").warning(), None);
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
            born: if i == 0 { UNKNOWN } else { -2 },
            digest: Digest::of(&i.to_le_bytes()),
            sealed: i % 2 == 0,
            unused: i as u32,
            checked: u32::MAX - i as u32,
        })
        .collect()
}

#[test]
fn entries_read_back_as_they_were() {
    for entries in [entries(5), Vec::new()] {
        let bytes = to_bytes(&machine("here"), &entries);
        assert_eq!(parse(&bytes), Some((machine("here"), entries)));
    }
}

proptest! {
    #[test]
    fn one_flipped_bit_or_a_cut_makes_it_worthless(at in any::<prop::sample::Index>()) {
        let mut bytes = to_bytes(&machine("here"), &entries(3));
        let bit = at.index(bytes.len() * 8);
        prop_assert_eq!(parse(&bytes[..bit / 8]), None);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(parse(&bytes), None);
    }
}
