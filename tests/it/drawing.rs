//! `dag`: what it draws, and the state it shows for each stage.

use crate::space::Space;

const FOUR: &str = r"
  one: {cmd: 'echo ${a} > one.txt', outs: [one.txt], desc: The first}
  two: {cmd: 'cat one.txt in > two.csv', deps: [one.txt, in], outs: [two.csv, {path: t.csv, volatile: true}]}
  three: {cmd: 'echo ${b} > three.txt', outs: [three.txt]}
  four: {cmd: 'cat three.txt > four.txt', deps: [three.txt], outs: [four.txt]}
";

/// Each stage in a different state: one is fresh, two's out is gone, three is stale, four waits.
fn mixed() -> (Space, [&'static str; 3]) {
    let stages = FOUR.replace("in > two.csv", "in > two.csv; echo > t.csv");
    let space = Space::new(&stages);
    space.write("in", "in\n");
    assert_eq!(space.ran(&[]).len(), 4);
    std::fs::remove_file(space.path("two.csv")).unwrap();
    (space, ["dag", "-S", "b=3"])
}

#[test]
fn the_text_has_a_word_for_each_state() {
    let (space, dag) = mixed();
    insta::assert_snapshot!(space.restage(&dag).exits(0).out, @r"
    fresh    one
             The first
             writes one.txt
    restore  two
             after  one
             reads  one.txt
             reads  in
             writes two.csv
             writes t.csv  (volatile)
    stale    three
             writes three.txt
    waits    four
             after  three
             reads  three.txt
             writes four.txt
    ");
}

#[test]
fn colour_marks_the_word_and_never_stands_for_it() {
    let (space, dag) = mixed();
    let plain = space.restage(&dag).exits(0).out;
    let coloured = space.restage(&[&dag[..], &["--color", "always"]].concat());
    let mut stripped = String::new();
    let mut rest = coloured.exits(0).out;
    assert!(rest.contains("\x1b[31mstale  \x1b[0m"), "{rest}");
    while let Some((before, after)) = rest.split_once("\x1b[") {
        stripped += before;
        rest = after
            .split_once('m')
            .expect("an end of the colour")
            .1
            .to_owned();
    }
    assert_eq!(stripped + &rest, plain);
}

#[test]
fn graphviz_is_given_a_colour_and_a_word_for_each_state() {
    let (space, dag) = mixed();
    let said = space.restage(&[&dag[..], &["--format", "dot"]].concat());
    insta::assert_snapshot!(said.exits(0).out, @r##"
    digraph "test" {
      rankdir=LR;
      node [shape=box, style=rounded, fontname="sans-serif"];
      s0 [label="one\nfresh", style="rounded,filled", fillcolor="#d5efe0", color="#2e8b57"];
      s1 [label="two\nrestore", style="rounded,filled", fillcolor="#d6e6f7", color="#2a6ebb"];
      s2 [label="three\nstale", style="rounded,filled", fillcolor="#f9d6d0", color="#c0392b"];
      s3 [label="four\nwaits", style="rounded,filled", fillcolor="#fdf0c4", color="#b8860b"];
      s0 -> s1;
      s2 -> s3;
    }
    "##);
}

#[test]
fn mermaid_is_given_a_class_and_a_word_for_each_state() {
    let (space, dag) = mixed();
    let said = space.restage(&[&dag[..], &["--format", "mermaid"]].concat());
    insta::assert_snapshot!(said.exits(0).out, @r#"
    flowchart LR
      s0["one<br/>fresh"]:::fresh
      s1["two<br/>restore"]:::restore
      s2["three<br/>stale"]:::stale
      s3["four<br/>waits"]:::waits
      s0 --> s1
      s2 --> s3
      classDef fresh fill:#d5efe0,stroke:#2e8b57,color:#000000
      classDef restore fill:#d6e6f7,stroke:#2a6ebb,color:#000000
      classDef stale fill:#f9d6d0,stroke:#c0392b,color:#000000
      classDef waits fill:#fdf0c4,stroke:#b8860b,color:#000000
    "#);
}

#[test]
fn programs_are_given_a_line_for_each_stage() {
    let (space, dag) = mixed();
    let said = space.restage(&[&dag[..], &["--json"]].concat());
    insta::assert_snapshot!(said.exits(0).out, @r#"
    {"after":[],"reads":[],"stage":"one","state":"fresh","writes":["one.txt"]}
    {"after":["one"],"reads":["one.txt","in"],"stage":"two","state":"restore","writes":["two.csv","t.csv"]}
    {"after":[],"reads":[],"stage":"three","state":"stale","writes":["three.txt"]}
    {"after":["three"],"reads":["three.txt"],"stage":"four","state":"waits","writes":["four.txt"]}
    "#);
}

#[test]
fn the_bare_graph_is_drawn_without_a_store() {
    let space = Space::new(FOUR);
    let said = space.restage(&["dag", "--no-status"]).exits(0);
    insta::assert_snapshot!(said.out, @r"
    one
        The first
        writes one.txt
    two
        after  one
        reads  one.txt
        reads  in
        writes two.csv
        writes t.csv  (volatile)
    three
        writes three.txt
    four
        after  three
        reads  three.txt
        writes four.txt
    ");
    for format in ["dot", "mermaid"] {
        let said = space
            .restage(&["dag", "--no-status", "--format", format])
            .exits(0);
        let colours = ["fill", "stale", "classDef"];
        assert!(
            !colours.iter().any(|word| said.out.contains(word)),
            "{}",
            said.out
        );
    }
    assert!(!space.exists(".restage"));
}

#[test]
fn a_graph_whose_states_cannot_be_known_is_still_drawn() {
    let space = Space::new(FOUR);
    let said = space.restage(&["dag"]).exits(0);
    let bare = space.restage(&["dag", "--no-status"]).exits(0);
    // Stage `two` waits for `one`, so its input isn't needed yet.
    assert_ne!(said.out, bare.out);
    space.stages("  two: {cmd: 'cat in > two.csv', deps: [in], outs: [two.csv]}\n");
    let said = space.restage(&["dag"]).exits(0);
    assert_eq!(said.out, space.restage(&["dag", "--no-status"]).out);
    said.says("warning: drawing the graph without states")
        .says("`in`");
}

#[test]
fn this_repository_s_graph_fits_eighty_columns() {
    let root = env!("CARGO_MANIFEST_DIR");
    let space = Space::empty();
    let pipeline = std::fs::read_to_string(format!("{root}/pipeline.yaml")).expect("a pipeline");
    space.write("pipeline.yaml", &pipeline);
    let bare = space.restage(&["dag", "--no-status"]).exits(0).out;
    // With states, outs are indented by five more columns; the rest is wrapped to fit.
    let most = |line: &str| if line.contains("  writes ") { 75 } else { 80 };
    let long: Vec<&str> = bare
        .lines()
        .filter(|line| line.len() > most(line))
        .collect();
    assert_eq!(long, [""; 0]);
}
