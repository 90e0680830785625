//! `params: {from: [params.yaml]}`: the files are the one truth.

use std::time::Duration;

use crate::space::Space;

/// The stages that a run ran, by name.
#[track_caller]
fn ran(space: &Space, args: &[&str]) -> Vec<String> {
    let mut names = space.ran(args);
    names.sort();
    names
}

const PIPELINE: &str = "\
schema: 1
name: test
params:
  from: [params.yaml, more.json, third.toml]
  own: here
profiles: {quick: {train: {epochs: 1}}, long: }
default_profile: long
stages:
  data: {cmd: 'echo ${size} > data.txt', outs: [data.txt]}
  train:
    cmd: cp \"$RESTAGE_PARAMS_FILE\" train.txt
    deps: [data.txt]
    params: [train, own]
    outs: [train.txt]
  each:
    foreach: ${models}
    cmd: echo ${item.depth} ${rate} > ${key}.txt
    outs: [\"${key}.txt\"]
";

fn space() -> Space {
    let space = Space::empty();
    space.write("pipeline.yaml", PIPELINE);
    space.write(
        "params.yaml",
        "# of the data\nsize: 3\ntrain: {epochs: 9, rate: 0.1}\nkey: not a parameter\n",
    );
    space.write(
        "more.json",
        "{\"train\": {\"rate\": 0.5}, \"models\": {\"a\": {\"depth\": 1}, \"b\": {\"depth\": 2}}}",
    );
    space.write("third.toml", "rate = 7\nunused = 1979-05-27\n");
    space
}

#[test]
fn later_files_lie_over_earlier_ones_and_the_pipeline_over_all() {
    let space = space();
    assert_eq!(space.ran(&[]).len(), 4);
    assert_eq!(space.read("data.txt"), "3\n");
    assert_eq!(space.read("a.txt"), "1 7\n");
    assert_eq!(
        space.read("train.txt"),
        "{\"own\":\"here\",\"train\":{\"epochs\":9,\"rate\":0.5}}\n"
    );
    assert_eq!(ran(&space, &["--profile", "quick"]), ["train"]);
    assert_eq!(ran(&space, &["-S", "train.rate=2.5"]), ["train"]);
    space.write(
        "pipeline.yaml",
        &PIPELINE.replace("own: here", "own: here\n  rate: 8"),
    );
    assert_eq!(ran(&space, &[]), ["each@a", "each@b"]);
}

#[test]
fn an_edit_of_a_file_reruns_the_stages_that_read_what_changed() {
    let space = space();
    assert_eq!(space.ran(&[]).len(), 4);
    let edit = |name: &str, from: &str, to: &str| {
        let text = space.read(name);
        assert!(text.contains(from), "{name} has no {from}");
        space.write(name, &text.replace(from, to));
        ran(&space, &[])
    };
    let none: [&str; 0] = [];
    assert_eq!(edit("params.yaml", "# of the data", "# a comment"), none);
    assert_eq!(edit("params.yaml", "size: 3", "size: 4"), ["data", "train"]);
    assert_eq!(edit("params.yaml", "rate: 0.1", "rate: 0.2"), none);
    assert_eq!(
        edit("more.json", "\"depth\": 2", "\"depth\": 3"),
        ["each@b"]
    );
    assert_eq!(
        edit("third.toml", "rate = 7", "rate = 6"),
        ["each@a", "each@b"]
    );
    assert_eq!(edit("third.toml", "unused = 1979-05-27", "new = 1"), none);
}

#[test]
fn a_call_with_nothing_to_do_sees_an_edit_of_a_file() {
    let space = space();
    assert_eq!(space.ran(&[]).len(), 4);
    for (name, from, to, said) in [
        ("third.toml", "rate = 7", "rate = 6", "2 ran"),
        ("params.yaml", "epochs: 9", "epochs: 8", "1 ran"),
    ] {
        std::thread::sleep(Duration::from_millis(60));
        space.restage(&["reproduce"]).exits(0).says("4 fresh");
        space.restage(&["reproduce"]).exits(0).says("4 fresh");
        space.write(name, &space.read(name).replace(from, to));
        space.restage(&["reproduce"]).exits(0).says(said);
    }
    std::thread::sleep(Duration::from_millis(60));
    space.restage(&["reproduce"]).exits(0).says("4 fresh");
    std::fs::remove_file(space.path("more.json")).unwrap();
    space
        .restage(&["reproduce"])
        .exits(2)
        .says("there is no `more.json`\n --> pipeline.yaml:4:");
}

#[test]
fn what_is_wrong_in_a_file_is_shown_in_it() {
    for (name, text, said) in [
        ("params.yaml", "a: 1\nb: [2\n", " --> params.yaml:2:"),
        ("params.yaml", "a: 1\nb: .inf\n", " --> params.yaml:2:4"),
        ("params.yaml", "a: 1\na: 2\n", " --> params.yaml:2:1"),
        (
            "params.yaml",
            "- 1\n",
            "`params.yaml` of `params` must be a map",
        ),
        ("third.toml", "rate = 1\nrate = 2\n", " --> third.toml:2:"),
        ("third.toml", "rate = inf\n", " --> third.toml:1:8"),
        (
            "more.json",
            "{\"models\": {\"a b\": 1}}\n",
            "`a b` cannot name an instance of stage `each`",
        ),
        (
            "more.json",
            "{\"models\": 3}\n",
            "`foreach` of stage `each`",
        ),
    ] {
        let space = space();
        space.write(name, text);
        let said_of = space.restage(&["status"]).exits(2);
        said_of.says(said);
    }
    let space = space();
    std::fs::write(space.path("params.yaml"), b"a: \xff\n").unwrap();
    space
        .restage(&["status"])
        .exits(2)
        .says("`params.yaml` is not");
}

#[test]
fn files_that_cannot_give_parameters_are_refused() {
    for (from, said) in [
        (
            "[../params.yaml]",
            "parameters can't come from `../params.yaml`",
        ),
        (
            "[settings.py]",
            "is not a file that parameters can come from",
        ),
        ("[{a: 1}]", "`from` of `params` must be a list of files"),
        (
            "7",
            "a parameter of the pipeline itself can't be called `from`",
        ),
        ("[data.txt.yaml]", "there is no `data.txt.yaml`"),
        ("[folder.yaml]", "`folder.yaml` can't be read"),
    ] {
        let space = space();
        std::fs::create_dir(space.path("folder.yaml")).unwrap();
        let text = PIPELINE.replace("[params.yaml, more.json, third.toml]", from);
        space.write("pipeline.yaml", &text);
        space.restage(&["status"]).exits(2).says(said);
    }
    let space = space();
    space.write(
        "pipeline.yaml",
        &PIPELINE.replace("train.txt", "params.yaml"),
    );
    space
        .restage(&["status"])
        .exits(2)
        .says("`params.yaml` is a file of parameters, and stage `train` writes it");
}

#[test]
fn a_value_that_other_readers_of_yaml_see_otherwise_is_warned_of_in_its_file() {
    let space = space();
    let text = space.read("params.yaml");
    space.write("params.yaml", &format!("{text}augment: no\n"));
    space
        .restage(&["status"])
        .exits(0)
        .says("`augment` is the text \"no\" here, and the boolean false to PyYAML (params.yaml:5)");
}

#[test]
fn a_json_file_with_what_json_has_not_is_refused_and_not_read_as_text() {
    let space = space();
    assert_eq!(space.ran(&[]).len(), 4);
    space.write("more.json", "{\"models\": {\"a\": {\"depth\": NaN}}}");
    let said = space.restage(&["reproduce"]).exits(2);
    let said = said.says("`NaN` is not a number in JSON");
    let _ = said.says("more.json:1:28");
    // `<<` in quotes is a name, which is not merged.
    space.write(
        "more.json",
        "{\"models\": {\"a\": {\"depth\": 1}, \"b\": {\"<<\": {\"depth\": 2}}}}",
    );
    let said = space.restage(&["reproduce"]).exits(2);
    let _ = said.says("`${item.depth}`");
}
