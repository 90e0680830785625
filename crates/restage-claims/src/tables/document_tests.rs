//! JSON, YAML and their like, compared.

use super::tests::rule;
use super::*;
use restage_pipeline::ColumnRule::{self, Ignore};

#[test]
fn json_and_yaml_are_compared_by_their_values_and_their_tolerances() {
    let within = rule(&[], &[("/loss/val", Ignore)], ColumnRule::absolute(0.01));
    let before = br#"{"acc": 0.9, "loss": {"val": 1, "train": 2}}"#;
    let now = b"{\"loss\": {\"train\": 2.0,\n \"val\": 5},\n \"acc\": 0.9001}";
    let diff =
        |path: &str, now: &[u8], rule: &EffectiveRule| compare_tables(path, before, now, rule);
    assert!(diff("m.json", now, &within).is_same());
    // JSON is YAML.
    assert!(diff("m.yaml", b"loss: {train: 2, val: 7}\nacc: 0.9\n", &within).is_same());
    let found = diff("m.json", now, &EffectiveRule::default());
    let columns: Vec<&str> = found
        .cells
        .iter()
        .map(|cell| cell.column.as_str())
        .collect();
    assert_eq!(columns, ["acc", "loss/val", "loss/train"]);
    let found = diff("m.json", br#"{"acc": 0.9}"#, &within);
    let missing = ["loss/val", "loss/train"].map(|name| Problem::MissingColumn(name.into()));
    assert_eq!(found.problems, missing);
}

#[test]
fn data_that_cannot_be_read_prevent_a_comparison_only_where_a_rule_asks_for_one() {
    let diff = |rule: &EffectiveRule| compare_tables("m.json", b"{\"a\": 1}", b"{\"a\": ", rule);
    let asked = diff(&rule(&[], &[], ColumnRule::absolute(0.1)));
    assert!(asked.is_incomparable(), "{asked:?}");
    let found = diff(&EffectiveRule::default());
    assert!(
        matches!(found.problems[..], [Problem::Bytes { offset: 6, .. }]),
        "{found:?}"
    );
}

#[test]
fn values_of_json_and_yaml_that_differ_in_any_way_are_a_difference() {
    for (path, one, other) in [
        (
            "m.json",
            r#"{"n": 123456789012345678901}"#,
            r#"{"n": 123456789012345678902}"#,
        ),
        (
            "m.json",
            r#"{"n": 0.12345678901234567891}"#,
            r#"{"n": 0.12345678901234567892}"#,
        ),
        ("m.json", r#"{"n": null}"#, r#"{"n": ""}"#),
        (
            "m.json",
            r#"[{"n": 1, "m": 2}, {"m": 2, "n": null}]"#,
            r#"[{"n": 1, "m": 2}, {"m": 2}]"#,
        ),
        ("m.json", r#"{"n": "1"}"#, r#"{"n": 1}"#),
        ("m.json", r#"{"n": "[]"}"#, r#"{"n": []}"#),
        ("m.json", r#"{"n": 0.9, "n": 0.8}"#, r#"{"n": 0.8}"#),
        ("m.json", r#"{"": {"n": 1}, "n": 1}"#, r#"{"n": 1}"#),
        ("m.json", r#"{"": {"n": 1}}"#, r#"{"n": 1}"#),
        ("m.json", r#"{"n": NaN}"#, r#"{"n": "NaN"}"#),
        (
            "m.yaml",
            "n: 123456789012345678901",
            "n: 123456789012345678902",
        ),
        ("m.yaml", "n: null", "n: ''"),
        ("m.yaml", "n: '1'", "n: 1"),
    ] {
        for (one, other) in [(one, other), (other, one)] {
            let tolerant = rule(&[], &[], ColumnRule::absolute(0.0));
            for rule in [EffectiveRule::default(), tolerant] {
                let diff = compare_tables(path, one.as_bytes(), other.as_bytes(), &rule);
                let beyond_doubles = one.contains("456789") && rule != EffectiveRule::default();
                assert!(beyond_doubles || !diff.is_same(), "{one} and {other}");
            }
        }
    }
    for (path, one, other) in [
        (
            "m.json",
            r#"{"n": "\u00e9", "m": 1}"#,
            r#"{"m": 1, "n": "é"}"#,
        ),
        ("m.yaml", "n: 'a'", "n: a\n"),
        ("m.yaml", "n: ~", "n:\n"),
    ] {
        let rule = EffectiveRule::default();
        assert!(
            compare_tables(path, one.as_bytes(), other.as_bytes(), &rule).is_same(),
            "{one}"
        );
    }
}
