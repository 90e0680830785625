//! Pipeline files in a pipeline: names with a namespace, paths of their own folder.

use crate::space::Space;

const PREP: &str = r#"schema: 1
name: prep
params: {size: 2, deep: {x: 1}}
profiles: {quick: {size: 1}, full: }
default_profile: full
stages:
  clean:
    cmd: head -n ${size} raw.csv > clean.csv; pwd > where.txt; cat "$RESTAGE_PARAMS_FILE" > params.json
    deps: [raw.csv]
    params: [size, deep]
    outs: [clean.csv, {path: where.txt, volatile: true}, params.json]
  each:
    foreach: {table: samples.csv, key: id}
    cmd: cat clean.csv > each-${key}.txt; echo ${item.v} >> each-${key}.txt
    deps: [clean.csv]
    outs: ["each-${key}.txt"]
claims:
  first:
    says: the first is one
    holds: 'cell("clean.csv", 1, "a") == "1"'
"#;

const ROOT: &str = r#"schema: 1
name: whole
include: {prep: prep/pipeline.yaml}
stages:
  all: {cmd: "cat prep/each-*.txt > all.txt; echo ${prep.size} >> all.txt", deps: ["prep/each-*.txt"], outs: [all.txt]}
"#;

fn space() -> Space {
    let space = Space::empty();
    space.write("pipeline.yaml", ROOT);
    space.write("prep/pipeline.yaml", PREP);
    space.write("prep/raw.csv", "a,b\n1,2\n3,4\n");
    space.write("prep/samples.csv", "id,v\nu,7\nw,8\n");
    space
}

#[test]
fn included_stages_run_in_their_folder_under_their_namespace() {
    let space = space();
    let mut ran = space.ran(&[]);
    ran.sort();
    assert_eq!(ran, ["all", "prep.clean", "prep.each@u", "prep.each@w"]);
    assert_eq!(space.read("all.txt"), "a,b\n1,2\n7\na,b\n1,2\n8\n2\n");
    assert!(space.read("prep/where.txt").ends_with("/prep\n"));
    assert_eq!(
        space.read("prep/params.json"),
        "{\"deep\":{\"x\":1},\"size\":2}\n"
    );
    assert_eq!(space.ran(&[]), [""; 0]);
    // A namespace is a target, and in no key.
    let said = space.restage(&["reproduce", "-f", "prep"]).exits(0);
    said.says("3 ran");
    space.write(
        "pipeline.yaml",
        &ROOT
            .replace("{prep: prep/", "{other: prep/")
            .replace("prep.size", "other.size"),
    );
    assert_eq!(space.ran(&[]), [""; 0]);
}

#[test]
fn it_also_works_alone() {
    let space = space();
    let said = space
        .restage(&["-C", "prep", "--json", "reproduce"])
        .exits(0);
    assert_eq!(said.with_outcome("ran").len(), 3);
    assert_eq!(space.read("prep/clean.csv"), "a,b\n1,2\n");
}

#[test]
fn parameters_are_changed_by_their_dotted_names_by_params_and_by_profiles() {
    let space = space();
    space.ran(&[]);
    assert_eq!(space.ran(&["-S", "prep.size=3"]).len(), 4);
    assert_eq!(space.read("prep/clean.csv").lines().count(), 3);
    space.write(
        "pipeline.yaml",
        &ROOT.replace("stages:", "params: {prep: {size: 1}}\nstages:"),
    );
    space.ran(&[]);
    assert_eq!(space.read("prep/clean.csv").lines().count(), 1);
    let profiles = "profiles: {quick: , full: {prep: {size: 3}}}\ndefault_profile: full\nstages:";
    space.write("pipeline.yaml", &ROOT.replace("stages:", profiles));
    space.ran(&[]);
    assert_eq!(space.read("prep/clean.csv").lines().count(), 3);
    // Its own profile of the same name.
    space.ran(&["--profile", "quick"]);
    assert_eq!(space.read("prep/clean.csv").lines().count(), 1);
    for wrong in [
        "params: {prep: {sice: 1}}\nstages:",
        "params: {prep: 1}\nstages:",
    ] {
        space.write("pipeline.yaml", &ROOT.replace("stages:", wrong));
        space.restage(&["status"]).exits(2).says("pipeline.yaml:4:");
    }
}

#[test]
fn an_edit_of_an_included_file_is_seen_also_by_a_call_that_had_nothing_to_do() {
    let space = space();
    space.ran(&[]);
    std::thread::sleep(std::time::Duration::from_millis(60));
    space.restage(&["reproduce"]).exits(0).says("4 fresh");
    space.write("prep/pipeline.yaml", &PREP.replace("size: 2", "size: 3"));
    space.restage(&["reproduce"]).exits(0).says("4 ran");
}

#[test]
fn claims_have_names_and_paths_of_their_file() {
    let space = space();
    space.ran(&[]);
    let said = space.restage(&["claims"]).exits(0);
    assert!(
        said.out.contains("prep.first") && said.out.contains("reproduced"),
        "{}",
        said.out
    );
}

#[test]
fn files_include_others_and_read_what_lies_beside_them() {
    let space = space();
    let middle = r#"schema: 1
name: middle
include: {inner: ../prep/pipeline.yaml}
stages:
  use:
    cmd: cat ../prep/clean.csv > used.csv
    deps: [../prep/clean.csv]
    tools: ["basename $(pwd)"]
    outs: [used.csv]
"#;
    space.write("mid/pipeline.yaml", middle);
    space.write(
        "pipeline.yaml",
        "schema: 1\nname: w\ninclude: {m: mid/pipeline.yaml}\nstages: {x: {cmd: cp mid/used.csv x, deps: [mid/used.csv], outs: [x]}}\n",
    );
    let mut ran = space.ran(&["-S", "m.inner.size=1"]);
    ran.sort();
    assert_eq!(
        ran,
        [
            "m.inner.clean",
            "m.inner.each@u",
            "m.inner.each@w",
            "m.use",
            "x"
        ]
    );
    assert_eq!(space.read("x"), "a,b\n");
    let said = space
        .restage(&["why", "m.use", "-S", "m.inner.size=1"])
        .exits(0);
    assert!(said.out.contains("mid"), "{}", said.out);
    // Alone, it would leave its folder.
    space
        .restage(&["-C", "mid", "status"])
        .exits(2)
        .says("leaves");
}

#[test]
fn mistakes_are_shown_in_the_file_that_has_them() {
    let space = space();
    space.write(
        "prep/pipeline.yaml",
        &PREP.replace("deps: [raw.csv]", "depps: [raw.csv]"),
    );
    let said = space.restage(&["status"]).exits(2);
    insta::assert_snapshot!(said.err, @"
    error: unknown field `depps` in stage `prep.clean`
     --> prep/pipeline.yaml:9:5
      |
    9 |     depps: [raw.csv]
      |     ^^^^^ not a stage field
      |
      = hint: did you mean `deps`?
    ");
    space.write("prep/pipeline.yaml", &PREP.replace("raw.csv]", "row.csv]"));
    let said = space.restage(&["status"]).exits(2);
    insta::assert_snapshot!(said.err, @"
    error: stage `prep.clean` reads `prep/row.csv`, which does not exist and which no stage writes
     --> prep/pipeline.yaml:9:12
      |
    9 |     deps: [row.csv]
      |            ^^^^^^^ not found
      |
      = hint: did you mean `prep/raw.csv`?
    ");
    space.write("prep/pipeline.yaml", "schema: 1\nname: [\n");
    space
        .restage(&["status"])
        .exits(2)
        .says("prep/pipeline.yaml:");
    // One that is included and one that is not may not share a name or an out.
    space.write("prep/pipeline.yaml", PREP);
    let clash = "  prep.clean: {cmd: x, outs: [y]}\n  z: {cmd: x, outs: [prep/clean.csv]}\n";
    space.write("pipeline.yaml", &format!("{ROOT}{clash}"));
    let said = space.restage(&["status"]).exits(2);
    let said = said.says("two stages are called `prep.clean`");
    said.says("stages `z` and `prep.clean` both write `prep/clean.csv`");
}

#[test]
fn all_stages_can_be_in_included_files() {
    let space = space();
    let only = "schema: 1\nname: whole\ninclude: {prep: prep/pipeline.yaml}\nstages: {}\n";
    space.write("pipeline.yaml", only);
    let ran = space.ran(&["-j1"]);
    assert_eq!(ran, ["prep.clean", "prep.each@u", "prep.each@w"]);
    space.write("prep/pipeline.yaml", "schema: 1\nname: prep\nstages: {}\n");
    let said = space.restage(&["status"]).exits(2);
    said.says("the pipeline has no stages\n --> pipeline.yaml:4:9");
}

#[cfg(unix)]
#[test]
fn a_circle_through_links_to_folders_is_told_and_ends() {
    let space = space();
    let text = ROOT.replace(
        "{prep: prep/pipeline.yaml}",
        "{a: here/pipeline.yaml, b: here/pipeline.yaml}",
    );
    space.write("pipeline.yaml", &text);
    std::os::unix::fs::symlink(".", space.path("here")).expect("a link");
    let said = space.restage(&["status"]).exits(2);
    said.says("files include each other more than 8 deep");
}

#[test]
fn what_can_not_be_included_says_why() {
    let space = space();
    let wrong = |include: &str| {
        let text = ROOT.replace("{prep: prep/pipeline.yaml}", include);
        space.write("pipeline.yaml", &text.replace("${prep.size}", "1"));
        space.restage(&["status"]).exits(2)
    };
    wrong("{prep: prep/pipelin.yaml}")
        .says("`prep/pipelin.yaml`, which is included, does not exist");
    wrong("{a.b: prep/pipeline.yaml}").says("a file cannot be included as `a.b`");
    wrong("{item: prep/pipeline.yaml}").says("a file cannot be included as `item`");
    wrong("{prep: ../pipeline.yaml}").says("path leaves the pipeline's folder");
    wrong("[prep/pipeline.yaml]").says("write `include: {prep: prep/pipeline.yaml}`");
    wrong("{me: pipeline.yaml}")
        .says("files include each other in a circle: `pipeline.yaml` -> `pipeline.yaml`");
    space.write(
        "prep/pipeline.yaml",
        &PREP.replace("stages:", "include: {up: ../pipeline.yaml}\nstages:"),
    );
    wrong("{prep: prep/pipeline.yaml}")
        .says("`pipeline.yaml` -> `prep/pipeline.yaml` -> `pipeline.yaml`");
    space.write(
        "prep/pipeline.yaml",
        &PREP.replace("cmd: head", "program: x #"),
    );
    wrong("{prep: prep/pipeline.yaml}").says("has a `program` in a file that is included");
    space.write(
        "prep/pipeline.yaml",
        &PREP.replace("stages:", "programs: {workspace: x}\nstages:"),
    );
    wrong("{prep: prep/pipeline.yaml}")
        .says("`prep/pipeline.yaml` is included, and has `programs`");
    space.write("prep/pipeline.yaml", PREP);
    let writes = "  w: {cmd: x, outs: [prep]}\n";
    space.write("pipeline.yaml", &format!("{ROOT}{writes}"));
    space
        .restage(&["status"])
        .exits(2)
        .says("`prep/pipeline.yaml` is an included pipeline, and stage `w` writes it");
}

#[test]
fn a_hint_names_the_included_file_and_writes_paths_as_that_file_does() {
    let space = space();
    space.write("prep/more.csv", "1\n");
    space.write("above.csv", "1\n");
    space.write(
        "prep/pipeline.yaml",
        &PREP.replace("pwd > where.txt", "cat more.csv > where.txt"),
    );
    let failed = space.restage(&["reproduce", "-k"]).exits(1);
    failed.says(
        "hint: `prep/more.csv` is in the workspace, but this stage does not declare that it reads it\n  \
         under `clean:` (line 7 of `prep/pipeline.yaml`) add `more.csv` to its `deps`",
    );
    space.write(
        "prep/pipeline.yaml",
        &PREP.replace("pwd > where.txt", "cat ../above.csv > where.txt"),
    );
    let failed = space.restage(&["reproduce", "-k"]).exits(1);
    failed.says("add `../above.csv` to its `deps`");
    let asks = "echo KeyError \"'size'\" >&2; false";
    let given = PREP.replace("pwd > where.txt", asks);
    space.write(
        "prep/pipeline.yaml",
        &given.replace("[size, deep]", "[deep]"),
    );
    let failed = space.restage(&["reproduce", "-k"]).exits(1);
    failed.says(
        "hint: `size` is a parameter that this stage is not given\n  \
         under `clean:` (line 7 of `prep/pipeline.yaml`) add `size` to its `params`",
    );
}

#[test]
fn a_file_of_parameters_can_only_change_parameters_that_an_included_file_has() {
    let space = space();
    let root = ROOT.replace("include:", "params: {from: [p.json]}\ninclude:");
    space.write("pipeline.yaml", &root);
    space.write("p.json", "{\"prep\": {\"sise\": 1}}");
    let said = space.restage(&["status"]).exits(2);
    let _ = said.says("`params` sets `prep.sise`").says("p.json:1:11");
    space.write("p.json", "{\"prep\": 7}");
    let said = space.restage(&["status"]).exits(2);
    let said = said.says("`prep` of `params` must be a map: it is the name of an included file");
    let _ = said.says("p.json:1:10");
    space.write("p.json", "{\"prep\": {\"size\": 1}}");
    let _ = space.reproduce(&[]).exits(0);
    assert!(space.read("all.txt").ends_with("1\n"));
}

#[test]
fn a_stage_can_not_have_the_name_of_an_included_file() {
    let space = space();
    space.write(
        "pipeline.yaml",
        &ROOT.replace("  all: {cmd", "  prep: {cmd"),
    );
    let said = space.restage(&["status"]).exits(2);
    let said = said.says("a stage and an included file are both called `prep`");
    let _ = said.says("pipeline.yaml:3:11");
}
