//! What runs at the same time, and what never does.

use crate::space::{Said, Space};

/// `n` stages, each of which notes how many of them are running.
fn crowd(n: usize, extra: &str) -> Space {
    let stages: String = (0..n)
        .map(|i| {
            format!(
                "  s{i}:\n    cmd: mkdir -p $HOME/now && touch $HOME/now/{i} && sleep 0.15 && ls $HOME/now | wc -l > s{i}.txt; rm $HOME/now/{i}\n    outs: [{{path: s{i}.txt, volatile: true}}]\n{extra}"
            )
        })
        .collect();
    Space::new(&stages)
}

fn most_at_once(space: &Space, n: usize) -> u32 {
    let counts = (0..n).map(|i| {
        space
            .read(&format!("s{i}.txt"))
            .trim()
            .parse::<u32>()
            .unwrap()
    });
    counts.max().unwrap()
}

#[test]
fn jobs_bound_what_runs_at_once() {
    let space = crowd(4, "");
    assert_eq!(space.ran(&["-j1"]).len(), 4);
    assert_eq!(most_at_once(&space, 4), 1);
}

#[test]
fn stages_that_want_every_core_run_alone() {
    let space = crowd(3, "    resources: {cpu: 4096}\n");
    assert_eq!(space.ran(&["-j3"]).len(), 3);
    assert_eq!(most_at_once(&space, 3), 1);
}

#[test]
fn a_stage_that_wants_a_card_is_refused_where_there_is_none() {
    let space = Space::new("  s: {cmd: 'echo x > s.txt', outs: [s.txt], resources: {gpu: 1}}\n");
    let mut command = space.command(&["reproduce"]);
    let said = Said::from(command.env("CUDA_VISIBLE_DEVICES", "").output().unwrap());
    said.exits(2)
        .says("stage `s` needs 1 GPU(s), and this machine has 0");
}

#[test]
fn a_stage_on_auto_reruns_when_a_card_appears_and_not_without_reason() {
    let line = "echo \"[$CUDA_VISIBLE_DEVICES]$CUDA_DEVICE_ORDER\" > s.txt; echo >> $HOME/ran";
    let space = Space::new(&format!(
        "  s: {{cmd: '{line}', outs: [s.txt], resources: {{gpu: auto}}}}\n"
    ));
    let run = |visible: &str, ran: usize, held: &str| {
        let mut command = space.command(&["reproduce"]);
        command.env("HOME", space.path("."));
        let said = Said::from(
            command
                .env("CUDA_VISIBLE_DEVICES", visible)
                .output()
                .unwrap(),
        );
        said.exits(0);
        let lines = std::fs::read_to_string(space.path("ran")).unwrap();
        assert_eq!(lines.lines().count(), ran, "{visible}");
        let text = std::fs::read_to_string(space.path("s.txt")).unwrap();
        assert_eq!(text, format!("{held}PCI_BUS_ID\n"));
    };
    run("", 1, "[]");
    // The second and third call use what the first one found.
    run("", 1, "[]");
    run("", 1, "[]");
    run("5,7", 2, "[5]");
    run("5,7", 2, "[5]");
    run("5,7", 2, "[5]");
    // Reverted: both results are known.
    run("", 2, "[]");
}

#[test]
fn a_stage_gets_the_very_card_that_it_names() {
    let space = Space::new(
        "  s: {cmd: 'echo $CUDA_VISIBLE_DEVICES > s.txt', outs: [s.txt], resources: {gpu: 'cuda:1'}}\n",
    );
    let run = |visible: &str| {
        let mut command = space.command(&["reproduce"]);
        Said::from(
            command
                .env("CUDA_VISIBLE_DEVICES", visible)
                .output()
                .unwrap(),
        )
    };
    run("5")
        .exits(2)
        .says("stage `s` needs GPU 1, and this machine has 1");
    run("5,7").exits(0);
    assert_eq!(std::fs::read_to_string(space.path("s.txt")).unwrap(), "7\n");
}

#[test]
fn each_running_stage_has_cards_of_its_own() {
    let stages: String = (0..2)
        .map(|i| {
            format!(
                "  s{i}: {{cmd: 'echo $CUDA_VISIBLE_DEVICES > s{i}.txt; sleep 0.3', outs: [s{i}.txt], resources: {{gpu: 1}}}}\n"
            )
        })
        .collect();
    let space = Space::new(&stages);
    let mut command = space.command(&["reproduce", "-j2"]);
    Said::from(command.env("CUDA_VISIBLE_DEVICES", "3,5").output().unwrap()).exits(0);
    let mut cards = [space.read("s0.txt"), space.read("s1.txt")];
    cards.sort();
    let cores = std::thread::available_parallelism().unwrap().get();
    if cores > 1 {
        assert_eq!(cards, ["3\n", "5\n"]);
    }
}

#[test]
fn no_card_is_ever_two_stages_at_once() {
    // A stage that finds its card's folder shares the card with another.
    let stages: String = (0..8)
        .map(|i| {
            let cards = 1 + i % 2;
            format!(
                "  s{i}: {{cmd: 'for c in $(echo $CUDA_VISIBLE_DEVICES | tr , \" \"); do mkdir $HOME/card-$c || exit 1; done; sleep 0.1; for c in $(echo $CUDA_VISIBLE_DEVICES | tr , \" \"); do rmdir $HOME/card-$c; echo x >> s{i}.txt; done', outs: [s{i}.txt], resources: {{gpu: {cards}}}}}\n"
            )
        })
        .collect();
    let space = Space::new(&stages);
    let mut command = space.command(&["reproduce", "-k", "-j8"]);
    // The first is named twice, but is still one card.
    let cards = "GPU-a,GPU-b,GPU-a,GPU-c";
    Said::from(command.env("CUDA_VISIBLE_DEVICES", cards).output().unwrap()).exits(0);
    for i in 0..8 {
        assert_eq!(space.read(&format!("s{i}.txt")).lines().count(), 1 + i % 2);
    }
}

#[test]
fn targets_select_stages_with_all_that_they_need() {
    let space = Space::new(
        r"
  a: {cmd: 'echo a > a.txt', outs: [a.txt]}
  b: {cmd: 'cat a.txt > b.txt', deps: [a.txt], outs: [b.txt]}
  c: {cmd: 'cat b.txt > c.txt', deps: [b.txt], outs: [c.txt]}
  d: {cmd: 'echo d > d.txt', outs: [d.txt]}
",
    );
    assert_eq!(space.ran(&["b"]), ["a", "b"]);
    assert_eq!(space.ran(&["d.txt"]), ["d"]);
    assert_eq!(space.ran(&["--downstream", "a"]), ["c"]);
    space.restage(&["reproduce", "e"]).exits(2).says("`e`");
}

/// Stages in the order in which they were started.
fn started(said: &Said) -> Vec<String> {
    let events = said.events("started");
    let names = events.iter().map(|event| event["stage"].as_str());
    names.map(|name| name.expect("a name").to_owned()).collect()
}

#[test]
fn stages_on_the_longest_path_start_first_and_equals_as_declared() {
    let space = Space::new(
        r"
  lone: {cmd: 'cp in.txt lone.txt', deps: [in.txt], outs: [lone.txt]}
  other: {cmd: 'cp in.txt other.txt', deps: [in.txt], outs: [other.txt]}
  first: {cmd: 'cp in.txt first.txt', deps: [in.txt], outs: [first.txt]}
  second: {cmd: 'cat in.txt first.txt > second.txt', deps: [in.txt, first.txt], outs: [second.txt]}
  third: {cmd: 'cat in.txt second.txt > third.txt', deps: [in.txt, second.txt], outs: [third.txt]}
",
    );
    space.write("in.txt", "1");
    let said = space.reproduce(&["-j1"]).exits(0);
    // None has run before: each counts as much as any other.
    let expected = ["first", "second", "lone", "other", "third"];
    assert_eq!(started(&said), expected);

    // Now `other` alone takes longer than the whole chain.
    let history = space.read(".restage/history.jsonl");
    let lines = history.lines().filter(|line| !line.is_empty());
    let lines = lines.map(|line| {
        let mut run: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        let slow = run["stage"]
            .as_str()
            .is_some_and(|name| name.ends_with("other"));
        run["seconds"] = if slow { 7.0 } else { 2.0 }.into();
        format!("{run}\n")
    });
    space.write(".restage/history.jsonl", &lines.collect::<String>());
    space.write("in.txt", "2");
    let said = space.reproduce(&["-j1"]).exits(0);
    let expected = ["other", "first", "second", "lone", "third"];
    assert_eq!(started(&said), expected);
}

#[test]
fn a_long_chain_of_stages_needs_no_deep_stack() {
    let stages: String = (0..400)
        .map(|i| {
            let dep = if i > 0 {
                format!(", deps: [f{}]", i - 1)
            } else {
                String::new()
            };
            format!("  s{i}: {{cmd: 'echo 1 > f{i}', outs: [f{i}]{dep}}}\n")
        })
        .collect();
    let space = Space::new(&stages);
    assert_eq!(space.ran(&[]).len(), 400);
    assert_eq!(space.ran(&[]), [""; 0]);
}
