//! Everything at once: random kills of two workspaces that share a store, with folders, seeds,
//! retries and volatile outs, while gc and fsck run; and power cuts. What is left must lead to the
//! results of a run that nobody disturbed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::space::{Said, Space};

/// Folders, a file out, seeds, a stage that fails at first, a volatile out, a part of a folder.
const STAGES: &str = r#"
  make:
    cmd: |
      mkdir -p tree/deep
      for i in 1 2 3 4 5; do echo $i ${a} > tree/deep/$i; sleep 0.01; done
    params: [a]
    outs: [tree]
  seeded:
    seeds: [1, 2, 3]
    cmd: 'for i in 1 2 3; do cat tree/deep/$i >> s-${seed}.txt; sleep 0.01; done; echo ${seed} >> s-${seed}.txt'
    deps: [tree]
    outs: ['s-${seed}.txt']
  flaky:
    cmd: 'test -e $RESTAGE_SCRATCH/tried || { touch $RESTAGE_SCRATCH/tried; echo half > flaky.txt; exit 1; }; cat tree/deep/2 > flaky.txt'
    deps: [tree/deep/2]
    retries: 3
    outs: [flaky.txt]
  timed:
    cmd: 'mkdir out; cat s-*.txt flaky.txt > out/all; date +%N > when.txt'
    deps: [s-1.txt, s-2.txt, s-3.txt, flaky.txt]
    outs: [out, {path: when.txt, volatile: true}]
  last: {cmd: 'wc -l < out/all > last.txt', deps: [out], outs: [last.txt]}
"#;

/// xorshift: the same numbers each time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// The results that are the same in each run.
fn results(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = [
        "tree/deep/1",
        "tree/deep/5",
        "s-1.txt",
        "s-2.txt",
        "s-3.txt",
        "flaky.txt",
        "out/all",
        "last.txt",
    ];
    let read = |name: &str| fs::read(root.join(name)).unwrap_or_default();
    names
        .into_iter()
        .map(|name| (name.to_owned(), read(name)))
        .collect()
}

fn undisturbed() -> BTreeMap<String, Vec<u8>> {
    let space = Space::new(STAGES);
    let _ = space.reproduce(&[]).exits(0);
    let expected = results(space.root());
    assert!(expected.values().all(|bytes| !bytes.is_empty()));
    expected
}

/// A call that shares `store`.
fn call(space: &Space, store: &Space, args: &[&str]) -> Command {
    let mut command = space.command(args);
    command.env("RESTAGE_STORE", store.path("store"));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn kill_in_turns(rounds: u64) {
    let expected = undisturbed();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (store, spaces) = (Space::empty(), [Space::new(STAGES), Space::new(STAGES)]);
    for round in 0..rounds {
        // Another key each time, and the results of earlier ones for gc.
        for space in &spaces {
            let text = space.read("pipeline.yaml");
            let at = text.find("params: {a: ").expect("params");
            let end = at + text[at..].find(',').expect("more params");
            space.write(
                "pipeline.yaml",
                &format!("{}params: {{a: {round}{}", &text[..at], &text[end..]),
            );
        }
        let mut calls: Vec<Child> = Vec::new();
        for space in &spaces {
            calls.push(
                call(space, &store, &["reproduce"])
                    .spawn()
                    .expect("restage starts"),
            );
        }
        let beside = [["gc"], ["fsck"]][usize::try_from(round % 2).expect("0 or 1")];
        calls.push(
            call(&spaces[0], &store, &beside)
                .spawn()
                .expect("restage starts"),
        );
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(random.below(120)));
            let number = random.below(3);
            let victim = usize::try_from(number).expect("a small number");
            let _ = calls[victim].kill();
            let space = &spaces[victim % 2];
            let again = call(space, &store, &["reproduce"]).spawn();
            let mut killed = std::mem::replace(&mut calls[victim], again.expect("restage starts"));
            killed.wait().expect("it ended");
        }
        for mut left in calls {
            left.wait().expect("it ends");
        }
        for space in &spaces {
            let said = Said::from(space_output(space, &store, &["reproduce"])).exits(0);
            let mut expected = expected.clone();
            for bytes in expected.values_mut() {
                // The results of `a: 1`, with this round's number.
                let text = String::from_utf8(std::mem::take(bytes)).expect("text");
                *bytes = text.replace(" 1\n", &format!(" {round}\n")).into_bytes();
            }
            assert_eq!(
                results(space.root()),
                expected,
                "round {round}: {}",
                said.err
            );
            let said = Said::from(space_output(space, &store, &["reproduce"])).exits(0);
            assert!(said.err.contains("7 fresh"), "round {round}: {}", said.err);
        }
    }
    Said::from(space_output(&spaces[0], &store, &["fsck"])).exits(0);
}

fn space_output(space: &Space, store: &Space, args: &[&str]) -> std::process::Output {
    let mut command = call(space, store, args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.output().expect("restage starts")
}

#[test]
fn kills_of_two_workspaces_on_one_store_beside_gc_and_fsck_change_no_result() {
    kill_in_turns(4);
}

#[test]
#[ignore = "takes minutes: make torture"]
fn a_hundred_rounds_of_kills_of_two_workspaces_on_one_store_change_no_result() {
    kill_in_turns(100);
}

/// While a run goes on, the disk's image is copied with what has reached it, as a power cut would
/// leave it: then mounted, which replays its journal, and the run is repeated there. Exits with 77
/// where it can't be tried.
const POWER_CUTS: &str = r#"
set -u
mount -o loop,commit=600 disk.img disk || exit 77
cp pipeline.yaml disk/; mkdir -p after
sync
cuts=0
for delay in $DELAYS; do
    rm -rf disk/.restage disk/tree disk/out disk/*.txt disk/pipeline.lock; sync
    ( cd disk && exec "$RESTAGE" reproduce -q ) &
    run=$!
    sleep $delay
    # A copy takes time: nothing may be written that the copy sees, after something that it has missed.
    # Stopped, restage asks for no more, and the journal is not written by itself for ten minutes.
    kill -STOP $run; sleep 0.2
    cp --sparse=always disk.img cut.img
    kill -CONT $run
    wait $run || { echo "the run failed"; exit 2; }
    mount -o loop cut.img after || { echo "cut at $delay s: it can't be mounted"; exit 3; }
    # What was torn, and stood in the way or in the store, is set aside.
    ( cd after && "$RESTAGE" reproduce -q && "$RESTAGE" gc && "$RESTAGE" fsck ) >&2 || { echo "cut at $delay s: the next run failed"; exit 4; }
    for file in tree/deep/1 tree/deep/5 s-1.txt s-2.txt s-3.txt flaky.txt out/all last.txt; do
        cmp -s disk/$file after/$file || { echo "cut at $delay s: $file differs"; exit 5; }
    done
    for folder in after/restage-set-aside/*/; do
        [ -d "$folder" ] && find "$folder" -type f -size +0 | grep -q . && { echo "cut at $delay s: more than torn files were set aside"; exit 6; }
    done
    umount after || exit 7
    cuts=$((cuts + 1))
done
echo "$cuts cuts"
"#;

fn cut_power(delays: impl Iterator<Item = u64>) {
    let space = Space::new(STAGES);
    let delays: Vec<String> = delays
        .map(|ms| format!("{}.{:03}", ms / 1000, ms % 1000))
        .collect();
    let env = [("DELAYS", delays.join(" "))];
    let env = env.each_ref().map(|(name, value)| (*name, value.as_str()));
    let Some(said) = space.on_own_disk(64 << 20, POWER_CUTS, &env) else {
        return;
    };
    assert_eq!(
        said.clone().exits(0).out,
        format!("{} cuts\n", delays.len()),
        "{said:?}"
    );
}

#[test]
fn a_power_cut_during_a_run_costs_no_result() {
    cut_power([40, 160, 400].into_iter());
}

#[test]
#[ignore = "takes minutes: make torture"]
fn a_hundred_power_cuts_at_random_moments_cost_no_result() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    cut_power((0..100).map(|_| random.below(700)));
}
