//! What editors and shells are told: the schema beside the pipeline, and names to complete.

use std::fs;

use crate::space::{Said, Space};

#[test]
fn the_schema_is_written_beside_the_pipeline_and_no_pattern_sees_it() {
    let space = Space::empty();
    space
        .restage(&["init"])
        .exits(0)
        .says("wrote pipeline.schema.json");
    let first = space.read("pipeline.yaml");
    assert!(first.starts_with("# yaml-language-server: $schema=pipeline.schema.json\n"));
    let schema: serde_json::Value =
        serde_json::from_str(&space.read("pipeline.schema.json")).expect("JSON");
    assert!(schema["properties"]["stages"].is_object());
    fs::write(
        space.path("pipeline.schema.json"),
        "{\"title\": \"restage pipeline\"}",
    )
    .expect("an old one");
    let said = space.restage(&["schema", "--write"]).exits(0);
    assert!(!said.err.contains("hint"), "{}", said.err);
    assert!(space.read("pipeline.schema.json").len() > 1000);

    let space = Space::new("  all: {cmd: ls > all.txt, deps: ['*.json'], outs: [all.txt]}\n");
    space.write("data.json", "{}");
    assert_eq!(space.ran(&[]), ["all"]);
    let said = space.restage(&["schema", "--write"]).exits(0);
    said.says("hint: write `# yaml-language-server: $schema=pipeline.schema.json` as the first line of pipeline.yaml");
    assert_eq!(space.ran(&[]), [""; 0]);
    space.write("pipeline.schema.json", "{\"mine\": 1}");
    space
        .restage(&["schema", "--write"])
        .exits(2)
        .says("is not a schema of restage");
    assert_eq!(space.read("pipeline.schema.json"), "{\"mine\": 1}");
}

/// The candidates for the last of these words.
fn completed(space: &Space, words: &[&str]) -> Vec<String> {
    let mut command = space.command(&["--", "restage"]);
    let output = command
        .args(words)
        .env("_RESTAGE_COMPLETE", "fish")
        .output();
    let said = Said::from(output.expect("restage starts")).exits(0);
    assert_eq!(said.err, "");
    let lines = said.out.lines();
    lines
        .map(|line| line.split('\t').next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn names_of_stages_profiles_parameters_and_claims_are_completed() {
    let space = Space::empty();
    let text = "schema: 1\nname: t\nparams: {seed: 1, train: {rate: 0.5, rounds: 3}, size: 1}\n\
                profiles: {quick: , paper: {size: 2}}\ndefault_profile: quick\n\
                stages:\n  train: {foreach: [small, large], seeds: 2, cmd: x, outs: ['w/${key}-${seed}']}\n  \
                prep: {desc: Makes it ready, cmd: x, outs: [data/a]}\n\
                claims: {better: {says: it is, holds: 'true'}}\n";
    space.write("pipeline.yaml", text);
    assert_eq!(completed(&space, &["reproduce", "tr"]), ["train"]);
    assert_eq!(
        completed(&space, &["status", "train@s"]),
        ["train@small", "train@small+1", "train@small+2"]
    );
    assert_eq!(completed(&space, &["why", "data/"]), ["data/a"]);
    assert_eq!(
        completed(&space, &["reproduce", "--profile", "q"]),
        ["quick"]
    );
    assert_eq!(
        completed(&space, &["reproduce", "-S", "train.r"]),
        ["train.rate=", "train.rounds="]
    );
    assert_eq!(completed(&space, &["claims", "b"]), ["better"]);
    assert_eq!(completed(&space, &["reprod"]), ["reproduce"]);
    // Elsewhere, and where there is nothing to read.
    fs::create_dir(space.path("sub")).expect("a folder");
    assert_eq!(completed(&space, &["-C", "sub", "logs", "p"]), ["prep"]);
    assert_eq!(completed(&Space::empty(), &["reproduce", "tr"]), [""; 0]);
    space.write("pipeline.yaml", "schema: 1\n");
    assert_eq!(completed(&space, &["reproduce", "tr"]), [""; 0]);
}

#[test]
fn bash_completes_names_with_an_at_sign() {
    let space = Space::new("  train: {foreach: [small, large], cmd: x, outs: ['${key}']}\n");
    let script = space.restage(&["completions", "bash"]).exits(0).out;
    let restage = space.command(&[]).get_program().to_owned();
    let text = format!(
        "restage() {{ '{}' \"$@\"; }}\n{script}\n\
         COMP_WORDS=(restage reproduce train @ s); COMP_CWORD=4; COMP_TYPE=9\n\
         _restage restage s @; echo \"${{COMPREPLY[*]}}\"\n",
        restage.display()
    );
    space.write("try.sh", &text);
    let output = std::process::Command::new("bash")
        .arg("try.sh")
        .current_dir(space.root())
        .output();
    let Ok(output) = output else {
        eprintln!("skipped: no bash");
        return;
    };
    assert_eq!(Said::from(output).out, "small\n");
}

#[test]
fn each_shell_gets_a_script_that_asks_restage() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = Space::empty().restage(&["completions", shell]).exits(0);
        assert!(
            said.out.contains("_RESTAGE_COMPLETE"),
            "{shell}: {}",
            said.out
        );
    }
}
