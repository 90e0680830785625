//! Random damage: all of it is found, none is served, and a run repairs everything.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::space::{Said, Space};

/// A small seeded generator, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// The store's objects, by digest.
pub(crate) fn objects(space: &Space) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    for shard in fs::read_dir(space.path(".restage/objects")).unwrap() {
        let shard = shard.unwrap();
        for object in fs::read_dir(shard.path()).unwrap() {
            let object = object.unwrap();
            let digest = [shard.file_name(), object.file_name()].map(|n| n.into_string().unwrap());
            found.insert(digest.concat(), object.path());
        }
    }
    found
}

/// The store's records, by key.
pub(crate) fn records(space: &Space) -> BTreeMap<String, PathBuf> {
    let entries = fs::read_dir(space.path(".restage/records")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path))
        .collect()
}

/// Writes into the file itself, so that its other hard links change too, and hides that from
/// `stat`.
pub(crate) fn overwrite(path: &Path, bytes: &[u8]) {
    let before = fs::metadata(path).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(0o644)).unwrap();
    fs::write(path, bytes).unwrap();
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();
    fs::set_permissions(path, before.permissions()).unwrap();
}

/// Replaces the file, so that its other hard links keep their content.
fn replace(path: &Path, bytes: &[u8]) {
    let mode = fs::metadata(path).unwrap().permissions();
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, mode).unwrap();
}

/// Damages the first of these files, or the first two; returns how many.
fn damage(random: &mut Random, files: &[&PathBuf]) -> usize {
    let write = if random.below(2) == 0 {
        overwrite
    } else {
        replace
    };
    let old = fs::read(files[0]).unwrap();
    let mut bytes = old.clone();
    match random.below(6) {
        0 => {
            let bit = random.below(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        1 => bytes.truncate(random.below(bytes.len())),
        2 => bytes.extend((0..=random.below(9)).map(|i| i as u8)),
        3 => bytes.clear(),
        4 if files.len() > 1 => {
            let other = fs::read(files[1]).unwrap();
            write(files[1], &old);
            write(files[0], &other);
            return 2;
        }
        _ => {
            fs::remove_file(files[0]).unwrap();
            return 1;
        }
    }
    write(files[0], &bytes);
    1
}

fn is_folder(object: &Path) -> bool {
    let bytes = fs::read(object).unwrap();
    bytes
        .get(8..)
        .is_some_and(|b| b.starts_with(b"restage tree"))
}

fn found(said: &Said) -> BTreeSet<String> {
    let lines = said.out.lines();
    let events = lines.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    events
        .filter(|event| event["event"] == "finding")
        .filter_map(|event| event["digest"].as_str().map(ToOwned::to_owned))
        .collect()
}

#[test]
fn each_of_a_thousand_damages_is_found_and_the_next_run_makes_everything_good() {
    let mut stages = String::new();
    for i in 0..8 {
        let dep = if i % 4 == 0 {
            String::new()
        } else {
            format!("s{}.txt", i - 1)
        };
        stages += &format!(
            "  s{i}: {{cmd: 'cat {dep} /dev/null > s{i}.txt; seq {i} 30 >> s{i}.txt; seq {i} > results/{i}; echo {i} >> results/{i}; mkdir d{i}; echo x{i} > d{i}/x; seq {i} 99 > d{i}/y', deps: [{dep}], outs: [s{i}.txt, results/{i}, d{i}]}}\n"
        );
    }
    let space = Space::new(&stages);
    assert_eq!(space.ran(&["-j4"]).len(), 8);
    let (expected, stored) = (space.files(), objects(&space));
    assert_eq!(stored.len(), 40);
    let mut random = Random(15);
    let (mut damages, mut healed) = (0, 0);
    while damages < 1000 {
        // An object that only a damaged record or folder names can't be missed, so damage one kind
        // at a time.
        let files = match random.below(4) {
            0 => records(&space),
            kind => {
                let mut objects = objects(&space);
                objects.retain(|_, path| is_folder(path) == (kind == 1));
                objects
            }
        };
        let mut targets: Vec<(&String, &PathBuf)> = files.iter().collect();
        random.shuffle(&mut targets);
        targets.truncate(24);
        let mut damaged = BTreeSet::new();
        while !targets.is_empty() {
            let paths: Vec<&PathBuf> = targets.iter().map(|(_, path)| *path).collect();
            for (name, _) in targets.drain(..damage(&mut random, &paths)) {
                damaged.insert(name.clone());
            }
        }
        let said = space.restage(&["--json", "fsck"]).exits(3);
        let found = found(&said);
        let missed: Vec<&String> = damaged.difference(&found).collect();
        assert_eq!(missed, Vec::<&String>::new(), "after {damages} damages");
        healed += said.out.matches(r#""remedy":"healed""#).count();
        space.reproduce(&["-j4"]).exits(0);
        assert_eq!(space.files(), expected, "after {damages} damages");
        space.restage(&["fsck"]).exits(0);
        assert_eq!(objects(&space), stored);
        damages += damaged.len();
    }
    assert!(healed > 100, "only {healed} were healed");
}

#[test]
fn a_damaged_object_is_neither_restored_nor_given_to_a_stage() {
    type Damage = fn(&Path, &[u8]);
    let damages: [(&str, Damage); 2] = [
        ("replaced", replace),
        ("edited in place", |path, bytes| {
            let mode = fs::metadata(path).unwrap().permissions();
            fs::set_permissions(path, PermissionsExt::from_mode(0o644)).unwrap();
            fs::write(path, bytes).unwrap();
            fs::set_permissions(path, mode).unwrap();
        }),
    ];
    for (what, damage) in damages {
        for out_is_there in [true, false] {
            // Restoring `zero` tells whether files share blocks here: `one` may then become a link.
            let stages = |cat: &str| {
                format!(
                    "  zero: {{cmd: 'echo zero > zero.txt', outs: [zero.txt]}}\n  one: {{cmd: 'echo right > one.txt', outs: [one.txt]}}\n  two: {{cmd: '{cat} one.txt > results/two.txt', deps: [one.txt], outs: [results/two.txt]}}\n"
                )
            };
            let space = Space::new(&stages("cat"));
            assert_eq!(space.ran(&[]).len(), 3);
            let (_, object) = objects(&space)
                .into_iter()
                .find(|(_, path)| fs::read(path).unwrap() == b"right\n")
                .expect("the object of one.txt");
            damage(&object, b"wrong\n");
            fs::remove_file(space.path("zero.txt")).unwrap();
            if !out_is_there {
                fs::remove_file(space.path("one.txt")).unwrap();
            }
            space.stages(&stages("cat -u"));
            let what = format!("{what}, the out is there: {out_is_there}");
            // Found when the object is used, and made good in the same call.
            space.reproduce(&[]).exits(0);
            assert_eq!(space.read("one.txt"), "right\n", "{what}");
            assert_eq!(space.read("results/two.txt"), "right\n", "{what}");
            space.restage(&["fsck"]).exits(0);
        }
    }
}

#[test]
fn a_pipe_in_place_of_a_file_keeps_nobody_waiting() {
    let space = Space::new(
        "  a: {cmd: 'rm -f $RESTAGE_EVENTS; mkfifo $RESTAGE_EVENTS; echo > a; sleep 0.5', outs: [a]}
  b: {cmd: 'cd $(dirname $RESTAGE_EVENTS); rm std*; mkfifo stdout stderr; exit 3', outs: [b]}
",
    );
    space.restage(&["reproduce", "a"]).exits(0).says("1 ran");
    space
        .restage(&["reproduce", "b"])
        .exits(1)
        .says("exited with 3");
    space
        .restage(&["logs", "b"])
        .exits(4)
        .says("it is a pipe, not a file");
    for name in ["pipeline.lock", ".restageignore", "pipeline.yaml"] {
        let _ = fs::remove_file(space.path(name));
        let made = std::process::Command::new("mkfifo")
            .arg(space.path(name))
            .status();
        assert!(made.expect("mkfifo starts").success());
        let said = space.restage(&["status"]);
        assert!(name == "pipeline.lock" || said.err.contains("it is a pipe, not a file"));
    }
}
