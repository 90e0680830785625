//! Table I in each of its forms, on made-up results.

mod support;

use std::fs;
use std::path::Path;

use report::{PaperEntry, Params, Report};
use support::{MODELS, Model, SETTING, Setting, params, write_results};

fn report(folder: &Path, models: &[Model], setting: Setting<'_>, params: &Params) -> Report {
    write_results(folder, models, setting);
    let report = Report::new(folder, "paper", params).unwrap();
    report.write_tables(folder).unwrap();
    report
}

fn text(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn table_one_holds_the_papers_numbers_beside_ours() {
    let folder = tempfile::tempdir().unwrap();
    let report = report(folder.path(), &MODELS, SETTING, &params());
    insta::assert_snapshot!("table1.csv", text(folder.path(), "table1.csv"));
    insta::assert_snapshot!("table1.md", text(folder.path(), "table1.md"));
    insta::assert_snapshot!("table1.tex", text(folder.path(), "table1.tex"));
    insta::assert_snapshot!("table1.txt", report.table_text());
    insta::assert_snapshot!("efficiency.csv", text(folder.path(), "efficiency.csv"));
}

#[test]
fn a_model_that_the_paper_lacks_has_empty_cells() {
    let folder = tempfile::tempdir().unwrap();
    let mut params = params();
    params.paper.remove("mini_resnet");
    let report = report(folder.path(), &MODELS, SETTING, &params);
    let csv = text(folder.path(), "table1.csv");
    let row = csv
        .lines()
        .find(|row| row.starts_with("mini_resnet,"))
        .unwrap();
    assert!(row.ends_with(",2798698,,,,"), "{row}");
    let markdown = text(folder.path(), "table1.md");
    let row = markdown
        .lines()
        .find(|row| row.contains("Mini-ResNet"))
        .unwrap();
    assert_eq!(row.matches(" – |").count(), 4, "{row}");
    let latex = text(folder.path(), "table1.tex");
    let row = latex
        .lines()
        .find(|row| row.contains("Mini-ResNet"))
        .unwrap();
    assert_eq!(row.matches("& --").count(), 4, "{row}");
    assert!(report.table_text().contains("Mini-ResNet"));
}

#[test]
fn numbers_on_other_data_carry_a_caveat_wherever_they_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let setting = Setting {
        data: "synthetic",
        ..SETTING
    };
    let report = report(folder.path(), &MODELS, setting, &params());
    let caveat = "The paper's numbers are for CIFAR-10, ours for synthetic";
    for name in ["table1.md", "table1.tex"] {
        assert!(text(folder.path(), name).contains(caveat), "{name}");
    }
    assert!(report.table_text().contains(caveat));
    for figure in ["fig1", "fig2", "fig3", "fig4", "fig5", "confusion/resnet18"] {
        let svg = report.svg(figure).unwrap();
        assert!(
            svg.contains(">Data: synthetic · profile paper</text>"),
            "{figure}"
        );
    }
}

#[test]
fn labels_keep_their_signs_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let mut params = params();
    let style = params.report.models.get_mut("baseline_cnn").unwrap();
    style.label = "A&B_1 50% <b>\"x\"|y".to_owned();
    params.paper.insert(
        "baseline_cnn".to_owned(),
        PaperEntry {
            test_accuracy: 0.5,
            train_minutes: 2.5,
            parameters: 1_000,
        },
    );
    let setting = Setting {
        data: "<script>alert(1)</script>",
        ..SETTING
    };
    let report = report(folder.path(), &MODELS, setting, &params);
    let latex = text(folder.path(), "table1.tex");
    assert!(
        latex.contains(r"A\&B\_1 50\% \textless{}b\textgreater{}''x''\textbar{}y & "),
        "{latex}"
    );
    let markdown = text(folder.path(), "table1.md");
    assert!(
        markdown.contains(r#"| A\&B\_1 50% \<b\>"x"\|y |"#),
        "{markdown}"
    );
    let csv = text(folder.path(), "table1.csv");
    assert!(
        csv.contains(r#"baseline_cnn,"A&B_1 50% <b>""x""|y","#),
        "{csv}"
    );
    let figure = report.svg("fig1").unwrap();
    assert!(figure.contains("A&amp;B_1 50% &lt;b&gt;&quot;x&quot;|y</text>"));
    assert!(figure.contains("Data: &lt;script&gt;alert(1)&lt;/script&gt; · profile paper</text>"));
    assert!(!figure.contains("<script") && !figure.contains("<b>"));
}
