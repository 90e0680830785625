//! `seeds`: a stage repeated, and never more often than necessary.

use crate::space::Space;

/// Two variants whose values depend on the seed, and a stage that reads all of them.
const STAGES: &str = r#"
  train:
    foreach: [a, b]
    seeds: ${seeds}
    cmd: |
      mkdir -p "runs/${key}/seed-${seed}"
      echo "$RESTAGE_PARAMS" > params.json
      grep -q '"seed":${seed}[,}]' params.json
      echo "x" > "runs/${key}/seed-${seed}/s.csv"
      awk 'BEGIN {print "${key}" == "a" ? 1.${seed} : 0.${seed} / 2}' >> "runs/${key}/seed-${seed}/s.csv"
    params: [seed]
    outs: ["runs/${key}/seed-${seed}/s.csv"]
  mean:
    cmd: cat runs/*/*/s.csv > mean.txt
    deps: ["runs/*/seed-*/s.csv"]
    outs: [mean.txt]
claims:
  better:
    says: a is better than b
    paper: 1.2
    ours: 'difference(samples("runs/a/seed-*/s.csv", 1, "x"), samples("runs/b/seed-*/s.csv", 1, "x"))'
    tolerance: {abs: 0.01}
    direction: {above: 0}
  value:
    says: A has 1.4
    paper: 1.4
    unit: points
    ours: 'samples("runs/a/seed-*/s.csv", 1, "x")'
    tolerance: {abs: 0.1}
"#;

/// Runs stages one after another.
#[track_caller]
fn ran(space: &Space, args: &[&str]) -> Vec<String> {
    space.ran(&[&["-j1"], args].concat())
}

fn space_with(seeds: &str) -> Space {
    let space = Space::new("");
    let params = format!("params: {{seed: 40, seeds: {seeds}}}");
    space.write(
        "pipeline.yaml",
        &format!("schema: 1\nname: t\n{params}\nstages:{STAGES}"),
    );
    space
}

fn space() -> Space {
    space_with("2")
}

#[test]
fn one_more_seed_runs_once_for_each_variant_and_reruns_no_other() {
    let space = space();
    let first = [
        "train@a+40",
        "train@a+41",
        "train@b+40",
        "train@b+41",
        "mean",
    ];
    assert_eq!(ran(&space, &[]), first);
    assert_eq!(
        ran(&space, &["-S", "seeds=3"]),
        ["train@a+42", "train@b+42", "mean"]
    );
    assert_eq!(ran(&space, &["-S", "seeds=2", "train"]), [""; 0]);
    assert_eq!(ran(&space, &["-S", "seeds=3"]), [""; 0]);
    // One list's first seed is the other's second.
    assert_eq!(
        ran(&space, &["-S", "seed=42", "-S", "seeds=1", "train"]),
        [""; 0]
    );
}

#[test]
fn results_of_removed_seeds_stay_in_place_and_are_not_inputs() {
    let space = space();
    assert_eq!(ran(&space, &["-S", "seeds=1"]).len(), 3);
    let one = space.read("mean.txt");
    assert_eq!(ran(&space, &["-S", "seeds=3"]).len(), 5);
    let claims = |more: &[&str]| {
        let said = space.restage(&[&["--json", "claims"], more].concat());
        said.exits(0).events("claim")[1]["runs"].clone()
    };
    assert_eq!(claims(&["-S", "seeds=3"]), serde_json::json!([3]));
    assert_eq!(claims(&["-S", "seeds=1"]), serde_json::json!([1]));
    assert_eq!(ran(&space, &["-S", "seeds=1"]), [""; 0]);
    assert_eq!(space.read("mean.txt"), one);
    assert!(space.exists("runs/a/seed-42/s.csv"));
}

#[test]
fn a_variant_or_a_group_names_all_its_seeds() {
    let space = space();
    assert_eq!(ran(&space, &["train@b"]), ["train@b+40", "train@b+41"]);
    assert_eq!(ran(&space, &["train@a+41"]), ["train@a+41"]);
    assert_eq!(ran(&space, &["train"]), ["train@a+40"]);
    space
        .reproduce(&["train@a+43"])
        .exits(2)
        .says("did you mean `train@a+40`?");
}

#[test]
fn claims_over_seeds_show_their_interval_and_over_one_seed_none() {
    let space = space_with("3");
    space.reproduce(&[]).exits(0);
    let said = space.restage(&["claims"]).exits(0);
    insta::assert_snapshot!("claims_over_three_seeds", said.out);
    assert!(said.out.lines().all(|line| line.chars().count() <= 80));
    insta::assert_snapshot!(
        "claims_over_three_seeds_md",
        space.restage(&["claims", "--md"]).exits(0).out
    );
    insta::assert_snapshot!(
        "claims_over_three_seeds_junit",
        space.restage(&["claims", "--junit"]).exits(0).out
    );
    let said = space.restage(&["--json", "claims"]).exits(0);
    let claims = said.events("claim");
    assert_eq!(claims[0]["runs"], serde_json::json!([3, 3]));
    assert_eq!(claims[0]["paired"], true);
    assert_eq!(claims[1]["runs"], serde_json::json!([3]));
    assert!(claims[1]["half_width"].as_f64().unwrap() > 0.0);
    space.restage(&["claims", "--write"]).exits(0);
    insta::assert_snapshot!(
        "claims_over_three_seeds_csv",
        space.read("results/default/claims.csv")
    );
    space.restage(&["claims"]).exits(0);

    let space = space_with("1");
    space.reproduce(&[]).exits(0);
    let said = space.restage(&["claims"]).exits(0);
    insta::assert_snapshot!("claims_over_one_seed", said.out);
}

#[test]
fn seeds_of_both_sides_pair_only_where_they_are_the_same() {
    let space = space_with("[7, 5]");
    space.stages(&format!(
        "{}claims:{}",
        r#"
  a: {seeds: [7, 5], cmd: 'mkdir -p a; printf "x\n1.${seed}\n" > a/${seed}.csv', outs: ["a/${seed}.csv"]}
  b: {seeds: [3, 5, 9], cmd: 'mkdir -p b; printf "x\n0.${seed}\n" > b/${seed}.csv', outs: ["b/${seed}.csv"]}
"#,
        r#"
  more: {says: more, paper: 1, ours: 'difference(samples("a/*", 1, "x"), samples("b/*", 1, "x"))', tolerance: {abs: 0.1}}
"#
    ));
    space.reproduce(&[]).exits(0);
    let said = space.restage(&["--json", "claims"]).exits(0);
    let claim = &said.events("claim")[0];
    assert_eq!(claim["runs"], serde_json::json!([2, 3]));
    assert_eq!(claim["paired"], false);
    space.restage(&["claims", "--write"]).exits(0);
    assert!(space.read("results/default/claims.csv").contains(",2+3,"));
}
