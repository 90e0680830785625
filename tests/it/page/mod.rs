//! `restage report`: the page that it writes, as a file and in a browser.

mod browser;
mod looks;

use crate::space::Space;

/// A table, two figures from one pattern, and claims with every verdict.
pub(crate) const PIPELINE: &str = r##"
  draw:
    foreach: [one, two]
    cmd: >-
      mkdir -p out/${key};
      echo '<svg xmlns="http://www.w3.org/2000/svg" width="800" height="300"><rect width="800" height="300" fill="#eef"/><text x="20" y="40">${key}</text></svg>' > out/${key}/curve.svg;
      (echo class,f1; echo a,0.5; echo b,0.25) > out/${key}/classes.csv
    outs: ['out/${key}/curve.svg', 'out/${key}/classes.csv']
  table:
    cmd: (cat scores.txt; wc -c < out/one/curve.svg | sed 's/^ */sum,/;s/$/,/') > out/scores.csv
    deps: [scores.txt, 'out/*/curve.svg']
    params: [a]
    outs: [out/scores.csv]
claims:
  near: {says: A & <b> have 0.9, paper: 0.9, ours: 'cell("out/scores.csv", "model=a", "x")', tolerance: {abs: 0.01}, where: Table I}
  side: {says: B is above, paper: 1, unit: points, ours: 'cell("out/scores.csv", 2, "x")', tolerance: {rel: 0.1}, direction: {above: 0}}
  order: {says: A is below, holds: 'cell("out/scores.csv", 1, "x") < cell("out/scores.csv", 2, "x")'}
  gone: {says: It is fast, holds: 'cell("out/scores.csv", "model=z", "x") < 2.0'}
report:
  path: out/report.html
  title: Scores of <a> & "b"
  text: |
    First paragraph,
    still the first.

    Second paragraph.
  facts:
    Best model: {table: out/scores.csv, row: 1, column: model}
    Score of b: {table: out/scores.csv, row: model=b, column: x}
  sections:
    - title: Scores
      text: What each model has.
      show:
        - {table: out/scores.csv, caption: All scores, best: {x: max, y: min}}
        - {table: out/scores.csv, columns: {model: Model, x: Score}}
        - {figure: out/one/curve.svg, alt: A curve that rises, caption: Fig. 1. One}
    - title: By class
      show:
        - {table: 'out/*/classes.csv', caption: Classes}
        - {figure: 'out/*/curve.svg', alt: A curve}
"##;

/// The pipeline with its source, reproduced.
pub(crate) fn reproduced() -> Space {
    let space = Space::new(PIPELINE);
    space.write(
        "scores.txt",
        "model,x,y\na,0.905,-3\nb,0.5,12000\nc,0.75,\n",
    );
    assert_eq!(space.ran(&[]).len(), 3);
    space
}

#[test]
fn the_page_has_tables_figures_claims_and_their_provenance() {
    let space = reproduced();
    let said = space
        .restage(&["report"])
        .exits(0)
        .says("wrote out/report.html (");
    assert!(!said.err.contains("warning"), "{}", said.err);
    let page = space.read("out/report.html");
    for text in [
        "<h1>Scores of &lt;a&gt; &amp; &quot;b&quot;</h1>",
        "<p class=\"lead\">First paragraph, still the first.</p>",
        "<p class=\"lead\">Second paragraph.</p>",
        "<dt>Best model</dt>",
        ">a</dd>",
        "<dt>Score of b</dt>",
        ">0.5</dd>",
        "A &amp; &lt;b&gt; have 0.9",
        "alt=\"A curve that rises\"",
        "alt=\"A curve: one\"",
        "1 of 4 claims is not measured: `out/scores.csv` has no row `model=z`.",
        ">As recorded</dd>",
        ">draw@one</a>",
        "param a",
    ] {
        assert!(page.contains(text), "no {text}");
    }
    assert_eq!(page.matches("<img ").count(), 3);
    // The best of each column: 0.905 of three, and the lowest of the filled cells.
    assert_eq!(page.matches("class=\"best\"").count(), 2);
    for outside in [
        "src=\"h", "src=\"/", "href=\"h", "href=\"/", "@import", "url(",
    ] {
        assert!(!page.contains(outside), "the page has {outside}");
    }
    // The same files and records make the same page.
    space.restage(&["report", "--out", "again.html"]).exits(0);
    assert_eq!(space.read("again.html"), page);
}

#[test]
fn documents_are_shown_by_path_or_a_row_for_each_file() {
    let space = Space::new(
        r#"
  s: {cmd: 'true > s.txt', outs: [s.txt]}
tables: [{files: de.csv, decimal: ","}]
report:
  title: Metrics
  facts: {Accuracy: {table: r/1/m.json, row: 1, column: test/acc}}
  sections:
    - title: All
      show:
        - {table: r/1/m.json, caption: One}
        - {table: 'r/*/m.json', caption: Each, columns: {test/acc: Accuracy, note: Note}, best: {test/acc: max}}
        - {table: log.jsonl, caption: Log}
        - {table: de.csv, caption: German, best: {wert: min}}
"#,
    );
    space.write("r/1/m.json", r#"{"test": {"acc": 0.5}, "note": "first"}"#);
    space.write("r/2/m.json", r#"{"test": {"acc": 0.75}}"#);
    space.write("log.jsonl", "{\"e\": 1}\n{\"e\": 2, \"loss\": 0.125}\n");
    space.write("de.csv", "name;wert\na;0,5\nb;0,25\n");
    space.restage(&["report"]).exits(0);
    let page = space.read("report.html");
    let tables: Vec<String> = page
        .split("<table")
        .skip(1)
        .map(|table| {
            let table = table.split("</table>").next().unwrap_or_default();
            let texts = table.split('<').filter_map(|tag| tag.split_once('>'));
            let texts = texts.map(|(_, text)| text.trim());
            let texts: Vec<&str> = texts.filter(|text| !text.is_empty()).collect();
            texts.join("|")
        })
        .collect();
    assert!(
        tables[0].ends_with("Path|Value|test/acc|0.5|note|first"),
        "{}",
        tables[0]
    );
    assert!(
        tables[1].ends_with("File|Accuracy|Note|1|0.50|first|2|0.75|\u{2013}"),
        "{}",
        tables[1]
    );
    assert!(
        tables[2].ends_with("e|loss|1|\u{2013}|2|0.125"),
        "{}",
        tables[2]
    );
    assert!(
        tables[3].ends_with("name|wert|a|0.50|b|0.25"),
        "{}",
        tables[3]
    );
    assert_eq!(page.matches("class=\"best\"").count(), 2);
    assert_eq!(page.matches("<code>r/1/m.json</code>").count(), 2);
    space.stages(
        "  s: {cmd: 'true > s.txt', outs: [s.txt]}
report: {title: t, sections: [{title: t, show: [{table: 'r/*/m.json', columns: {tst/acc: A}}]}]}
",
    );
    let said = space.restage(&["report"]).exits(2);
    said.says("no file that `r/*/m.json` matches has a column `tst/acc`")
        .says("did you mean `test/acc`?");
}

#[test]
fn what_was_edited_or_is_out_of_date_is_marked() {
    let space = reproduced();
    // A new file: writing into the existing one would change the store.
    std::fs::remove_file(space.path("out/scores.csv")).unwrap();
    space.write("out/scores.csv", "model,x,y\na,0.99,1\nb,0.5,1\n");
    let said = space.restage(&["report", "-S", "a=5"]).exits(0);
    assert!(
        said.err
            .contains("Edited: these files are not what their stages wrote: out/scores.csv."),
        "{}",
        said.err
    );
    assert!(said.err.contains("Out of date"), "{}", said.err);
    let page = space.read("out/report.html");
    assert!(page.contains("Edited: table wrote "));
    assert!(page.contains("Out of date: the pipeline has changed since"));
    let said = space.restage(&["--json", "report"]).exits(0);
    let line: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        (&line["event"], &line["sound"]),
        (&"report".into(), &false.into())
    );
}

#[test]
fn results_without_records_are_shown_as_such() {
    let space = reproduced();
    std::fs::remove_dir_all(space.path(".restage")).unwrap();
    let said = space.restage(&["report"]).exits(0);
    assert!(
        said.err.contains(
            "No record here says how these files were made: out/one/classes.csv and 4 other files."
        ),
        "{}",
        said.err
    );
    assert!(
        space
            .read("out/report.html")
            .contains("pipeline.lock names")
    );
}

#[test]
fn files_and_columns_that_are_not_there_are_mistakes_with_a_place() {
    let space = Space::new("  s: {cmd: 'printf \"m,x\\na,1\\n\" > t.csv', outs: [t.csv]}\n");
    let with = |show: &str| {
        let report = format!("report: {{title: T, sections: [{{title: S, show: [{show}]}}]}}\n");
        space.stages(&format!(
            "  s: {{cmd: 'printf \"m,x\\na,1\\n\" > t.csv', outs: [t.csv]}}\n{report}"
        ));
        space.restage(&["report"]).exits(2)
    };
    with("{table: t.csv}")
        .says("there is no `t.csv`")
        .says("stage `s` writes it");
    assert_eq!(space.ran(&[]), ["s"]);
    with("{table: tt.csv}")
        .says("there is no `tt.csv`")
        .says("did you mean `t.csv`?");
    with("{table: 'x/*.csv'}").says("no file matches `x/*.csv`");
    with("{table: t.csv, columns: {y: Y}}")
        .says("`t.csv` has no column `y`")
        .says("pipeline.yaml:6:");
    with("{table: t.csv, best: {y: max}}")
        .says("`best` names `y`")
        .says("shown are: `m`, `x`");
    space.write("bad.csv", "a,b\n1\n");
    with("{table: bad.csv}").says("`bad.csv` has 1 cell in line 2");
    assert!(!space.exists("report.html"));
}

#[test]
fn the_page_is_never_written_over_what_a_stage_writes() {
    let space = Space::new(
        "  s: {cmd: 'mkdir d; echo > d/x', outs: [d]}\nreport: {title: T, path: d/report.html}\n",
    );
    assert_eq!(space.ran(&[]), ["s"]);
    space
        .restage(&["report"])
        .exits(2)
        .says("an out of stage `s`")
        .says("pipeline.yaml:6:");
    space
        .restage(&["report", "--out", "d/x"])
        .exits(2)
        .says("give `--out` another name");
    space
        .restage(&["report", "--out", "new/page.html"])
        .exits(0);
    assert!(space.read("new/page.html").contains("<h1>T</h1>"));
    let none = Space::new("  s: {cmd: 'echo > x', outs: [x]}\n");
    none.restage(&["report"]).exits(2).says("has no `report:`");
}

#[test]
fn a_page_replaces_an_earlier_page_and_no_other_file() {
    let space = reproduced();
    space.write("out/report.html", "<html>mine</html>\n");
    let said = space.restage(&["report"]).exits(2);
    let _ = said.says("`out/report.html` is there, and is not a page of restage");
    assert_eq!(space.read("out/report.html"), "<html>mine</html>\n");
    let _ = space.restage(&["report", "--out", "page.html"]).exits(0);
    let _ = space.restage(&["report", "--out", "page.html"]).exits(0);
    space.write("out/report.html", "");
    let _ = space.restage(&["report"]).exits(0);
    assert!(space.read("out/report.html").contains("Scores of"));
}
