//! A crate's metadata: every id is defined once, and every entity is referenced.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;

fn file(included: bool) -> Item {
    Item::File {
        size: 3,
        blake3: "b".repeat(64),
        sha256: included.then(|| "5".repeat(64)),
        included,
    }
}

fn run(name: &str, reads: &[&str], writes: &[&str], params: Value) -> StageRun {
    let Value::Object(params) = params else {
        panic!("no map")
    };
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    let start = WallTime {
        seconds: 1_795_449_196,
        nanos: 0,
    };
    StageRun {
        name: name.to_owned(),
        step: name.split('@').next().unwrap().to_owned(),
        tool: match name.contains('@') {
            true => Tool::Program {
                package: "train".to_owned(),
                code: "c".repeat(64),
            },
            false => Tool::Command,
        },
        command: format!("run {name}"),
        params: params.into_iter().collect(),
        env: BTreeMap::from([("TZ".to_owned(), "UTC".to_owned())]),
        tools: BTreeMap::from([("cc --version".to_owned(), "12".to_owned())]),
        reads: texts(reads),
        writes: texts(writes),
        key: "d".repeat(64),
        started: start,
        ended: start.later(std::time::Duration::from_secs(name.len() as u64)),
        peak_memory: Some(1 << 20),
        host: "here".to_owned(),
        nondeterministic: name.contains('@'),
        adopted: (name == "report").then(|| Adopted {
            by: "eve \"e\"".to_owned(),
            how: "adopted by eve \"e\" at noon".to_owned(),
        }),
    }
}

fn sample() -> Crate {
    let step = |name: &str| Step {
        name: name.to_owned(),
        desc: Some(format!("Does {name}")),
    };
    let params =
        |rate: f64| json!({"seed": 42, "train": {"rate": rate, "layers": [1, 2], "empty": {}}});
    Crate {
        name: "test".to_owned(),
        profile: "quick".to_owned(),
        about: About {
            description: Some("A test".to_owned()),
            license: Some("MIT".to_owned()),
            agent: Some(Agent {
                name: "Ada".to_owned(),
                id: Some("https://orcid.org/0000-0002-1825-0097".to_owned()),
            }),
        },
        pipeline: "pipeline.yaml".to_owned(),
        version: "0.1.0".to_owned(),
        steps: vec![step("train"), step("report")],
        runs: vec![
            run(
                "train@a",
                &["in: #1%.txt"],
                &["r/a.csv", "w/a.bin"],
                params(0.5),
            ),
            run(
                "train@b",
                &["in: #1%.txt"],
                &["r/b.csv", "w/b.bin", "big"],
                params(0.25),
            ),
            run(
                "report",
                &["r/a.csv", "r/b.csv", "pics/x.png"],
                &["pics", "page.html"],
                json!({}),
            ),
        ],
        items: BTreeMap::from([
            ("pipeline.yaml".to_owned(), file(true)),
            ("in: #1%.txt".to_owned(), file(true)),
            ("r/a.csv".to_owned(), file(true)),
            ("r/b.csv".to_owned(), file(true)),
            ("w/a.bin".to_owned(), file(false)),
            ("w/b.bin".to_owned(), file(false)),
            ("page.html".to_owned(), file(true)),
            ("pics/x.png".to_owned(), file(true)),
            ("pics/y.png".to_owned(), file(false)),
            (
                "pics".to_owned(),
                Item::Folder {
                    files: vec!["pics/x.png".to_owned(), "pics/y.png".to_owned()],
                    digest: "e".repeat(64),
                },
            ),
            ("big/1".to_owned(), file(false)),
            (
                "big".to_owned(),
                Item::Folder {
                    files: vec!["big/1".to_owned()],
                    digest: "f".repeat(64),
                },
            ),
        ]),
    }
}

fn graph(of: &Crate) -> Vec<Value> {
    let mut document: Value = serde_json::from_str(&of.to_json()).unwrap();
    let Value::Array(graph) = document["@graph"].take() else {
        panic!("no graph")
    };
    graph
}

fn entity<'a>(graph: &'a [Value], id: &str) -> &'a Value {
    let found = graph.iter().find(|entity| entity["@id"] == id);
    found.unwrap_or_else(|| panic!("no `{id}`"))
}

/// Ids that are referenced.
fn references(value: &Value, top: bool, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            if !top && let Some(Value::String(id)) = map.get("@id") {
                assert_eq!(map.len(), 1, "a reference says more than a name: {value}");
                found.insert(id.clone());
            }
            map.values()
                .for_each(|value| references(value, false, found));
        }
        Value::Array(items) => items
            .iter()
            .for_each(|value| references(value, false, found)),
        _ => {}
    }
}

#[test]
fn every_name_leads_to_one_entity_and_every_entity_is_named_by_another() {
    let graph = graph(&sample());
    let ids: Vec<&str> = graph
        .iter()
        .map(|entity| entity["@id"].as_str().unwrap())
        .collect();
    let distinct: BTreeSet<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    assert_eq!(ids.len(), distinct.len(), "two entities of one name");
    let mut named = BTreeSet::new();
    graph
        .iter()
        .for_each(|entity| references(entity, true, &mut named));
    // Other people's.
    let outside = ["https://w3id.org/ro/crate/1.1"];
    let dangling: Vec<_> = named
        .difference(&distinct)
        .filter(|id| !outside.contains(&id.as_str()))
        .collect();
    assert_eq!(dangling, Vec::<&String>::new());
    let unnamed: Vec<_> = distinct.difference(&named).collect();
    assert_eq!(unnamed, ["ro-crate-metadata.json"]);
}

#[test]
fn what_is_in_the_crate_is_its_data_and_what_is_not_is_only_spoken_of() {
    let graph = graph(&sample());
    let mut parts = BTreeSet::new();
    references(&entity(&graph, "./")["hasPart"], false, &mut parts);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    assert_eq!(
        parts,
        [
            "in%3A%20%231%25.txt",
            "page.html",
            "pics/",
            "pics/x.png",
            "pipeline.yaml",
            "r/a.csv",
            "r/b.csv"
        ]
    );
    assert_eq!(entity(&graph, "pics/")["@type"], "Dataset");
    assert_eq!(entity(&graph, "r/a.csv")["encodingFormat"], "text/csv");
    assert_eq!(entity(&graph, "r/a.csv")["sha256"], "5".repeat(64));
    let absent = entity(&graph, "#elsewhere/w/a.bin");
    assert_eq!(
        (&absent["@type"], &absent["sha256"]),
        (&"CreativeWork".into(), &Value::Null)
    );
    assert_eq!(absent["identifier"], format!("blake3:{}", "b".repeat(64)));
    assert_eq!(entity(&graph, "#elsewhere/big")["@type"], "CreativeWork");
}

#[test]
fn the_whole_run_reads_what_no_stage_wrote_and_writes_what_stages_wrote() {
    let graph = graph(&sample());
    let whole = entity(&graph, "#run");
    let mut read = BTreeSet::new();
    references(&whole["object"], false, &mut read);
    let files: Vec<_> = read.iter().filter(|id| !id.starts_with("#param")).collect();
    assert_eq!(files, ["in%3A%20%231%25.txt"]);
    let mut written = BTreeSet::new();
    references(&whole["result"], false, &mut written);
    assert_eq!(written.len(), 7);
    assert_eq!(whole["startTime"], "2026-11-23T15:53:16+00:00");
    assert_eq!(whole["endTime"], "2026-11-23T15:53:23+00:00");
    assert_eq!(
        entity(&graph, "./")["datePublished"],
        "2026-11-23T15:53:23+00:00"
    );
}

#[test]
fn a_parameter_has_each_of_its_values_once() {
    let graph = graph(&sample());
    let id = |run: &str, name: &str| {
        let mut found = BTreeSet::new();
        references(&entity(&graph, run)["object"], false, &mut found);
        found
            .into_iter()
            .filter(|id| id.starts_with(&format!("#param/{name}")))
            .collect::<Vec<_>>()
    };
    assert_eq!(id("#run/train@a", "train.rate"), ["#param/train.rate"]);
    assert_eq!(id("#run/train@b", "train.rate"), ["#param/train.rate/2"]);
    assert_eq!(id("#run/train@b", "seed"), ["#param/seed"]);
    assert_eq!(entity(&graph, "#param/train.rate/2")["value"], "0.25");
    assert_eq!(entity(&graph, "#param/train.layers")["value"], "[1,2]");
    assert_eq!(
        entity(&graph, "pipeline.yaml#param/train.rate")["additionalType"],
        "Float"
    );
    assert_eq!(
        entity(&graph, "pipeline.yaml#param/seed")["additionalType"],
        "Integer"
    );
}

#[test]
fn a_step_comes_with_its_program_and_its_runs() {
    let graph = graph(&sample());
    let step = entity(&graph, "pipeline.yaml#step/train");
    assert_eq!(
        (&step["position"], &step["description"]),
        (&1.into(), &"Does train".into())
    );
    let tool = format!("#program/train/{}", "c".repeat(12));
    assert_eq!(step["workExample"], json!({"@id": tool}));
    assert_eq!(
        entity(&graph, "#control/train")["object"],
        json!([{"@id": "#run/train@a"}, {"@id": "#run/train@b"}])
    );
    let run = entity(&graph, "#run/train@a");
    assert_eq!(run["description"], "run train@a");
    assert_eq!(run["instrument"]["@id"], tool);
    assert_eq!(entity(&graph, "#run/train@a/memory")["value"], "1048576");
    assert_eq!(
        entity(&graph, "#run/train@a/environment/TZ")["value"],
        "UTC"
    );
    assert!(run["disambiguatingDescription"].is_string());
    assert_eq!(entity(&graph, "#host/here")["name"], "here");
}

#[test]
fn an_adopted_stage_did_not_run_and_somebody_said_that_it_has_this_result() {
    let graph = graph(&sample());
    let action = entity(&graph, "#run/report");
    assert_eq!(action["name"], "Stage report, adopted");
    assert_eq!(
        action["description"],
        "Not run: files that were there were adopted by eve \"e\" at noon. The stage's command is: run report"
    );
    assert_eq!(action["agent"], json!({"@id": "#adopter/eve%20%22e%22"}));
    assert_eq!(
        entity(&graph, "#adopter/eve%20%22e%22")["name"],
        "eve \"e\""
    );
    assert_eq!(action["location"], Value::Null, "it ran nowhere");
    let ran = entity(&graph, "#run/train@a");
    assert_eq!(
        (&ran["location"]["@id"], &ran["agent"]["@id"]),
        (
            &"#host/here".into(),
            &"https://orcid.org/0000-0002-1825-0097".into()
        )
    );
}

#[test]
fn what_nobody_said_is_not_made_up() {
    let mut of = sample();
    of.about = About::default();
    let graph = graph(&of);
    let root = entity(&graph, "./");
    assert_eq!(root["license"], "No licence is stated");
    assert_eq!(
        (&root["author"], &entity(&graph, "#run")["agent"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        root["description"],
        "`test` under profile `quick`: 3 stages, as restage 0.1.0 recorded them"
    );
    of.about.license = Some("MIT OR Apache-2.0".to_owned());
    let graph = self::graph(&of);
    assert_eq!(entity(&graph, "./")["license"]["@id"], "#license");
    assert_eq!(entity(&graph, "#license")["name"], "MIT OR Apache-2.0");
    assert_eq!(entity::license("https://x.org/l"), "https://x.org/l");
    assert_eq!(of.to_json(), of.to_json());
}
