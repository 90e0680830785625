//! `init --from dvc.yaml`: a DVC project that then runs without DVC.

use crate::space::Space;

const DVC: &str = r#"
stages:
  prepare:
    cmd: sh src/prepare.sh
    deps: [src/prepare.sh, data/raw.txt]
    params: [prepare.count]
    outs: [data/rows.txt]
  train:
    wdir: model
    cmd:
      - sh train.sh
      - wc -l < weights.txt > lines.txt; true
    deps: [train.sh, ../data/rows.txt]
    params:
      - ../params.yaml: [train]
    outs:
      - weights.txt:
          persist: true
    metrics:
      - lines.txt: {cache: false}
  each:
    foreach: ${sizes}
    do:
      cmd: echo ${item} > sizes/${item}.txt
      outs: ["sizes/${item}.txt"]
"#;

const PARAMS: &str = "\
# of the data
prepare: {count: 2}
train:
  rate: 0.0000001
sizes: [3, 4]
unused: 1
";

fn project() -> Space {
    let space = Space::empty();
    space.write("dvc.yaml", DVC);
    space.write("params.yaml", PARAMS);
    space.write("data/raw.txt", "a\nb\nc\n");
    // A script's out is what it sees in `params.yaml`.
    space.write(
        "src/prepare.sh",
        "head -n 2 data/raw.txt > data/rows.txt; cat params.yaml >> data/rows.txt\n",
    );
    space.write(
        "model/train.sh",
        "cat ../data/rows.txt ../params.yaml > weights.txt\n",
    );
    space
}

#[test]
fn an_imported_project_runs_and_its_scripts_find_the_params_that_they_declare() {
    let space = project();
    let before = space.files();
    let said = space.restage(&["init", "--from", "dvc.yaml"]).exits(0);
    assert!(
        said.out
            .contains("imported 3 stages: prepare, train, each\n"),
        "{}",
        said.out
    );
    assert!(
        said.out
            .contains("dvc.yaml:18  train: outs: weights.txt: persist"),
        "{}",
        said.out
    );
    assert!(
        said.err.contains("restage reproduce --audit"),
        "{}",
        said.err
    );
    let mut after = space.files();
    assert!(after.remove("pipeline.yaml").is_some());
    assert_eq!(before, after, "nothing else is touched");

    let said = space.reproduce(&[]).exits(0);
    assert!(said.events("warning").is_empty(), "{}", said.out);
    assert_eq!(said.with_outcome("ran").len(), 4);
    assert_eq!(
        space.read("model/weights.txt"),
        "a\nb\n{\"prepare\":{\"count\":2}}\n{\"train\":{\"rate\":1.0e-7}}\n"
    );
    assert_eq!(space.read("model/lines.txt").trim(), "4");
    assert_eq!(space.read("sizes/4.txt"), "4\n");
    assert_eq!(space.read("params.yaml"), PARAMS);
}

#[test]
fn an_edited_param_reruns_only_the_stage_that_declares_it() {
    let space = project();
    space.restage(&["init", "--from", "dvc.yaml"]).exits(0);
    assert_eq!(space.ran(&[]).len(), 4);
    assert_eq!(space.ran(&["-S", "unused=2"]), Vec::<String>::new());
    assert_eq!(space.ran(&["-S", "train.rate=0.5"]), ["train"]);
    let edit = |from: &str, to: &str| {
        let text = space.read("params.yaml");
        space.write("params.yaml", &text.replace(from, to));
    };
    edit("rate: 0.0000001", "rate: 0.0000002");
    assert_eq!(space.ran(&[]), ["train"]);
    edit("# of the data", "# a comment");
    edit("unused: 1", "unused: 2");
    assert_eq!(space.ran(&[]), Vec::<String>::new());
    edit("sizes: [3, 4]", "sizes: [3, 5]");
    assert_eq!(space.ran(&[]), ["each@5"]);
}

#[test]
fn an_import_never_overwrites_a_pipeline() {
    let space = project();
    space.write("pipeline.yaml", "mine\n");
    space
        .restage(&["init", "--from", "dvc.yaml"])
        .exits(2)
        .says("pipeline.yaml` already exists; nothing was written");
    assert_eq!(space.read("pipeline.yaml"), "mine\n");
}

#[test]
fn a_wrong_dvc_yaml_says_where_and_writes_nothing() {
    let space = project();
    space.write("dvc.yaml", "stages:\n  a:\n    cmd: x\n    deps: b.txt\n");
    space
        .restage(&["init", "--from", "dvc.yaml"])
        .exits(2)
        .says(" --> dvc.yaml:4:11\n");
    // Each stage is valid by itself, but not both together.
    space.write(
        "dvc.yaml",
        "stages: {a: {cmd: x, outs: [x]}, b: {cmd: y, outs: [x]}}\n",
    );
    space
        .restage(&["init", "--from", "dvc.yaml"])
        .exits(2)
        .says("nothing was written");
    space
        .restage(&["init", "--from", "no.yaml"])
        .exits(2)
        .says("there is no `no.yaml`");
    assert!(!space.exists("pipeline.yaml"));
}

#[test]
fn a_pipeline_is_written_beside_the_file_that_it_comes_from() {
    let space = project();
    space.write(
        "sub/dvc.yaml",
        "stages: {a: {cmd: 'cat b.txt > x', deps: [b.txt], outs: [x]}}\n",
    );
    let said = space.restage(&["init", "--from", "sub/dvc.yaml"]).exits(0);
    assert!(said.out.contains("missing `b.txt`"), "{}", said.out);
    assert!(space.exists("sub/pipeline.yaml") && !space.exists("pipeline.yaml"));
}

#[test]
fn json_lists_what_an_import_could_not_map() {
    let space = project();
    let said = space
        .restage(&["--json", "init", "--from", "dvc.yaml"])
        .exits(0);
    let unmapped = said.events("unmapped");
    assert_eq!(unmapped.len(), 1, "{}", said.out);
    assert_eq!(unmapped[0]["line"], 18);
    assert_eq!(unmapped[0]["stage"], "train");
    assert_eq!(said.events("imported").len(), 3);
    assert_eq!(said.events("summary")[0]["params_from"][0], "params.yaml");
    assert_eq!(said.err, "");
}

#[test]
fn a_dvc_yaml_below_the_root_is_imported_at_the_folder_that_its_paths_need() {
    let space = Space::empty();
    space.write("data/raw.csv", "a\n");
    space.write("pipelines/clean.sh", "cat $1 params.yaml > $2\n");
    space.write("params.yaml", "rate: 4\n");
    space.write(
        "pipelines/dvc.yaml",
        "stages:\n  clean:\n    wdir: ..\n    cmd: sh pipelines/clean.sh data/raw.csv data/clean.csv\n    \
         deps: [data/raw.csv]\n    params: [rate]\n    outs: [data/clean.csv]\n  own:\n    \
         cmd: cat ../data/clean.csv > own.txt\n    deps: [../data/clean.csv]\n    outs: [own.txt]\n",
    );
    let said = space
        .restage(&["init", "--from", "pipelines/dvc.yaml"])
        .exits(0);
    assert!(
        said.out
            .contains("`pipelines/clean.sh` is named by `cmd`: added to `deps`"),
        "{}",
        said.out
    );
    assert!(!space.exists("pipelines/pipeline.yaml"));
    assert_eq!(space.ran(&[]).len(), 2);
    assert_eq!(space.read("pipelines/own.txt"), "a\n{\"rate\":4}\n");
}

#[test]
fn a_stage_that_would_lose_an_out_or_a_dep_is_left_out() {
    let space = Space::empty();
    space.write(
        "dvc.yaml",
        "stages:\n  get:\n    cmd: echo 1 > ../a.txt\n    outs: [../a.txt]\n  use:\n    \
         cmd: cat ../a.txt > b.txt\n    deps: [../a.txt]\n    outs: [b.txt]\n  own:\n    \
         cmd: echo 1 > c.txt\n    outs: [c.txt]\n",
    );
    let said = space.restage(&["init", "--from", "dvc.yaml"]).exits(3);
    for text in [
        "imported 1 stage: own\nleft out 2 stages: get, use\n",
        "dvc.yaml:4  get: outs, use: deps  the stage is left out: `../a.txt` lies outside",
        "2 stages will not work as before: get, use\n",
    ] {
        assert!(said.out.contains(text), "{text}\n{}", said.out);
    }
    assert!(!said.out.contains("it has no outs"), "{}", said.out);
}

#[test]
fn a_folder_that_instances_fill_and_params_that_json_cannot_hold_are_imported() {
    let space = Space::empty();
    space.write("params.yaml", "rate: 3\nclip: .inf\n");
    space.write(
        "dvc.yaml",
        "stages:\n  evaluate:\n    foreach: [a, b]\n    do:\n      \
         cmd: mkdir -p out/m && echo ${item} > out/m/${item}.txt\n      outs: [\"out/m/${item}.txt\"]\n  \
         collect:\n    cmd: cat out/m/*.txt params.yaml > all.txt\n    deps: [out/m]\n    params: [rate]\n    \
         outs: [all.txt]\n",
    );
    space.restage(&["init", "--from", "dvc.yaml"]).exits(0);
    assert_eq!(space.ran(&[]).len(), 3);
    assert_eq!(space.read("all.txt"), "a\nb\nrate: 3\nclip: .inf\n");
}

#[test]
fn an_edit_of_a_params_file_whose_values_were_copied_is_warned_of() {
    let space = Space::new("  a: {cmd: 'echo 1 > x', outs: [x]}\n");
    let digest = "1dabb6ceb29534d45b822818028cf53d32e5d31bcfab3c4935b17155391542a0";
    let text = space.read("pipeline.yaml");
    let copied = format!("copied_params: {{params.yaml: \"{digest}\"}}\nstages:\n");
    space.write("pipeline.yaml", &text.replace("stages:\n", &copied));
    let said = space.restage(&["status"]).exits(0);
    assert!(!said.err.contains("params.yaml"), "{}", said.err);
    space.write("params.yaml", "a: 3\n");
    space.restage(&["status"]).exits(0).says(
        "`params.yaml` was edited, but its values were copied into `params` of pipeline.yaml",
    );
}

#[test]
fn an_edit_of_a_value_that_is_written_out_is_warned_of_and_another_is_not() {
    let space = Space::empty();
    let params = "args: --fast --deep\nlayers: [1, 2]\ntrain: {lr: 1, fast: true}\nfree: 1\n";
    space.write("params.yaml", params);
    space.write(
        "dvc.yaml",
        "stages:\n  a:\n    cmd: echo ${args} ${layers[1]} ${train} ${free} > o\n    outs: [o]\n",
    );
    space.restage(&["init", "--from", "dvc.yaml"]).exits(0);
    assert_eq!(space.ran(&[]), ["a"]);
    assert_eq!(space.read("o"), "--fast --deep 2 --lr 1 --fast 1\n");
    for (from, to, said) in [
        (
            "--fast --deep",
            "--fast",
            "`args` in `params.yaml` is \"--fast\", but \"--fast --deep\" is written into stages",
        ),
        (
            "[1, 2]",
            "[1, 3]",
            "`layers.1` in `params.yaml` is 3, but 2 is written",
        ),
        (
            "true",
            "false",
            "`train.fast` in `params.yaml` is false, but true",
        ),
        (
            "lr: 1,",
            "lr: 1, new: 2,",
            "`train.*` in `params.yaml` is [\"lr\",\"new\",\"fast\"], but",
        ),
    ] {
        space.write("params.yaml", &params.replace(from, to));
        space.restage(&["status"]).exits(0).says(said);
    }
    for (from, to, ran) in [
        ("lr: 1", "lr: 2", true),
        ("free: 1", "free: 2", true),
        ("[1, 2]", "[3, 2]", false),
    ] {
        space.write("params.yaml", &params.replace(from, to));
        let said = space.restage(&["status"]).exits(0);
        assert!(!said.err.contains("written"), "{}", said.err);
        assert_eq!(space.ran(&[]).len(), usize::from(ran), "{to}");
    }
}

#[test]
fn a_params_file_that_cannot_be_read_is_named_with_the_reason_where_its_value_is_missing() {
    for (text, why) in [
        (
            "lr: 0.1\nid: 123456789012345678901234567890\n",
            "` does not fit 64 bits (params.yaml:2)",
        ),
        ("lr: 0.1\nlr: 0.2\n", "`lr` is given twice (params.yaml:2)"),
    ] {
        let space = Space::empty();
        space.write("params.yaml", text);
        space.write(
            "dvc.yaml",
            "stages:\n  a:\n    cmd: echo ${lr} > o\n    outs: [o]\n",
        );
        let said = space.restage(&["init", "--from", "dvc.yaml"]).exits(2);
        said.says("`params.yaml` was not read: ").says(why);
    }
}

#[test]
fn a_pipeline_goes_into_the_folder_that_is_named_or_marked() {
    let dvc = "stages: {a: {cmd: 'echo 1 > x', outs: [x]}}\n";
    let space = Space::empty();
    space.write("sub/deep/dvc.yaml", dvc);
    space
        .restage(&["init", "--from", "sub/deep/dvc.yaml", "sub"])
        .exits(0);
    assert!(space.exists("sub/pipeline.yaml"));
    let other = ["init", "--from", "sub/deep/dvc.yaml", "other"];
    space
        .restage(&other)
        .exits(2)
        .says("there is no folder `other`");
    space.write("other/keep", "");
    space
        .restage(&other)
        .exits(2)
        .says("`sub/deep/dvc.yaml` does not lie in `other`");
    space.write("marked/.git/HEAD", "");
    space.write("marked/deep/dvc.yaml", dvc);
    space
        .restage(&["init", "--from", "marked/deep/dvc.yaml"])
        .exits(0)
        .says("wrote marked/pipeline.yaml");
    space.write("all/a/dvc.yaml", dvc);
    space.write("all/b/dvc.yaml", dvc);
    space.write("all/wrong/dvc.yaml", "stages: 1\n");
    space.restage(&["init", "--from", "all", "all"]).exits(2);
    std::fs::remove_dir_all(space.path("all/wrong")).unwrap();
    let said = space.restage(&["init", "--from", "all", "all"]).exits(0);
    assert!(
        said.out.contains("imported 2 stages: a-a, b-a\n"),
        "{}",
        said.out
    );
}

#[test]
fn a_dep_that_dvc_tracks_is_told_with_its_md5_where_it_is_missing() {
    let space = Space::empty();
    space.write(
        "data.xml.dvc",
        "outs:\n- md5: a304afb96060aad90176268345e10355\n  path: data.xml\n",
    );
    space.write(
        "dvc.yaml",
        "stages: {a: {cmd: cat data.xml > x, deps: [data.xml.dvc], outs: [x]}}\n",
    );
    let said = space.restage(&["init", "--from", "dvc.yaml"]).exits(0);
    for text in [
        "dep `data.xml.dvc` is `data.xml` here: what it tracks, md5 a304afb96060aad90176268345e10355",
        "missing `data.xml` (md5 a304afb96060aad90176268345e10355): DVC tracks it: run `dvc pull`",
    ] {
        assert!(said.out.contains(text), "{text}\n{}", said.out);
    }
}
