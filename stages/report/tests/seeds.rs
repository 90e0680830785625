//! What several seeds make of tables and figures.

mod support;

use std::fs;
use std::path::Path;

use report::Report;
use support::{MODELS, SETTING, params, write_results, write_seed, write_seeds};

const SEEDS: [u64; 3] = [42, 43, 44];
const FIGURES: [&str; 6] = ["fig1", "fig2", "fig3", "fig4", "fig5", "confusion/resnet18"];

fn report(folder: &Path) -> Report {
    Report::new(folder, "paper", &params()).unwrap()
}

/// Every file, by name: what the same results must always give.
fn outcome(folder: &Path) -> Vec<(String, String)> {
    let report = report(folder);
    report.write_tables(folder).unwrap();
    let tables = [
        "table1.csv",
        "table1.md",
        "table1.tex",
        "efficiency.csv",
        "class_report.csv",
    ];
    let tables = tables.map(|name| {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        (name.to_owned(), text)
    });
    let figures = FIGURES.map(|name| (name.to_owned(), report.svg(name).unwrap()));
    tables.into_iter().chain(figures).collect()
}

fn failure(folder: &Path) -> String {
    let error = Report::new(folder, "paper", &params()).unwrap_err();
    let report = error.into_stage_error().report();
    report.replace(&folder.display().to_string(), "RESULTS")
}

#[test]
fn three_seeds_are_a_mean_and_a_deviation() {
    let folder = tempfile::tempdir().unwrap();
    write_seeds(folder.path(), &MODELS, SETTING, &SEEDS);
    let tables = outcome(folder.path());
    for (name, text) in &tables[..5] {
        insta::assert_snapshot!(format!("three_{name}"), text);
    }
    insta::assert_snapshot!("three_table1.txt", report(folder.path()).table_text());
}

#[test]
fn figures_of_several_seeds_have_bands_that_their_legends_and_captions_explain() {
    let folder = tempfile::tempdir().unwrap();
    write_seeds(folder.path(), &MODELS, SETTING, &SEEDS);
    let report = report(folder.path());
    for (figure, models) in [
        ("fig1", 3),
        ("fig2", 3),
        ("fig3", 4),
        ("fig4", 4),
        ("fig5", 4),
    ] {
        let svg = report.svg(figure).unwrap();
        let panels = if figure == "fig3" { 1 } else { 2 };
        // A band a model and panel, and the legend's.
        assert_eq!(
            svg.matches("fill-opacity=\"0.200\"").count(),
            panels * models + 1,
            "{figure}"
        );
        assert!(svg.contains("over 3 seeds</text>"), "{figure}");
        assert!(svg.contains("means over 3 seeds, bands"), "{figure}");
    }
    // Seeds 43 and 44 stop early.
    let svg = report.svg("fig1").unwrap();
    assert!(svg.contains(">hollow: a run ends, the mean goes on over the others</text>"));
    let svg = report.svg("confusion/resnet18").unwrap();
    assert!(svg.contains("Skip), sum over 3 seeds</text>"));
    insta::assert_snapshot!(
        ["fig1", "fig3", "confusion/resnet18"]
            .map(|figure| {
                let svg = report.svg(figure).unwrap();
                let (_, rest) = svg.split_once("aria-label=\"").unwrap();
                rest.split_once('"').unwrap().0.to_owned()
            })
            .join("\n"),
        @r"
    Fig. 1. Training accuracy and loss Accuracy (left) and cross-entropy loss (right) on the training images of CIFAR-10, by epoch. Models: Baseline CNN, Mini-ResNet, ResNet-18 (With Skip). Lines are means over 3 seeds, bands one standard deviation either way. Runs end at different epochs: a hollow marker stands where one ends, and from there on the mean is over those that are left, without a band once it is only one.
    Fig. 3. Gradient norm by layer after training L2 norm of the loss gradient with respect to each layer's weights, at the best weights, on a logarithmic axis. Layers are counted from the input; networks differ in depth, so a curve ends at its network's last layer. Lines are geometric means over 3 seeds, bands one standard deviation of the logarithm either way. Data: CIFAR-10.
    Confusion matrix: ResNet-18 (With Skip), sum over 3 seeds Test images of each true class (rows) by the class that ResNet-18 (With Skip) predicts (columns). A cell shows the count and is shaded by its share of the row. Counts are sums over 3 seeds. Data: CIFAR-10.
    "
    );
}

#[test]
fn which_seed_gave_which_results_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    write_seeds(folder.path(), &MODELS, SETTING, &SEEDS);
    let expected = outcome(folder.path());
    // Each file holds the numbers alone, so that its folder's name is all that says the seed.
    for model in MODELS {
        let model = folder.path().join(model.name);
        for (from, to) in [
            ("seed-42", "aside"),
            ("seed-44", "seed-42"),
            ("seed-43", "seed-44"),
            ("aside", "seed-7"),
        ] {
            fs::rename(model.join(from), model.join(to)).unwrap();
        }
    }
    assert_eq!(outcome(folder.path()), expected);
}

#[test]
fn equal_seeds_give_the_numbers_of_one_and_bands_of_no_width() {
    let (one, three) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_results(one.path(), &MODELS, SETTING);
    write_results(three.path(), &MODELS, SETTING);
    for model in MODELS {
        let model = three.path().join(model.name);
        for copy in ["seed-1", "seed-2"] {
            fs::create_dir(model.join(copy)).unwrap();
            for entry in fs::read_dir(model.join("seed-42")).unwrap() {
                let path = entry.unwrap().path();
                fs::copy(&path, model.join(copy).join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    let (one, three) = (outcome(one.path()), outcome(three.path()));
    let (table, same) = (&one[0].1, &three[0].1);
    let mut rows = table.lines().zip(same.lines());
    rows.next();
    for (row, same) in rows {
        let (row, same): (Vec<_>, Vec<_>) = (row.split(',').collect(), same.split(',').collect());
        assert_eq!((row[2], row[4]), ("1", ""));
        assert_eq!((same[2], same[4]), ("3", "0.000000"));
        assert_eq!((row[3], &row[5..]), (same[3], &same[5..]));
    }
    assert_eq!(one[3], three[3], "efficiency.csv");
    assert_eq!(one[4], three[4], "class_report.csv");
    assert!(
        one[4]
            .1
            .starts_with("model,class,precision,recall,f1,support\nbaseline_cnn,")
    );
    // The curves are the very same, wherever the legend is.
    for (name, one, three) in [
        ("fig1", &one[5].1, &three[5].1),
        ("fig3", &one[7].1, &three[7].1),
    ] {
        let curve = |svg: &str| -> Vec<String> {
            let lines = svg
                .lines()
                .filter(|line| line.contains("stroke=\"#009e73\""));
            lines.map(str::to_owned).collect()
        };
        // The last is the legend's sample.
        let (one, three) = (curve(one), curve(three));
        assert_eq!(one[..one.len() - 1], three[..three.len() - 1], "{name}");
        assert!(one.len() > 1, "{name}");
    }
}

#[test]
fn models_with_different_counts_of_seeds_say_so_in_each_row_and_legend() {
    let folder = tempfile::tempdir().unwrap();
    write_results(folder.path(), &MODELS, SETTING);
    for seed in [43, 44] {
        write_seed(folder.path(), MODELS[2], SETTING, seed);
    }
    let outcome = outcome(folder.path());
    assert!(
        outcome[0]
            .1
            .contains("\nbaseline_cnn,Baseline CNN,1,0.8350,,")
    );
    assert!(outcome[0].1.contains("\nresnet18,ResNet-18 (With Skip),3,"));
    for (name, text) in &outcome[1..3] {
        assert!(
            text.contains("mean and standard deviation over n seeds"),
            "{name}"
        );
        assert!(text.contains("Baseline CNN, n = 1"), "{name}");
        assert!(text.contains("ResNet-18 (With Skip), n = 3"), "{name}");
    }
    for (name, svg) in &outcome[5..10] {
        assert!(svg.contains(">Baseline CNN, n = 1</text>"), "{name}");
        assert!(
            svg.contains(">ResNet-18 (With Skip), n = 3</text>"),
            "{name}"
        );
    }
}

#[test]
fn a_zero_gradient_of_one_seed_puts_the_mean_on_the_floor_and_parts_the_band() {
    let folder = tempfile::tempdir().unwrap();
    write_seeds(folder.path(), &MODELS, SETTING, &SEEDS);
    let path = folder.path().join("resnet18/seed-43/gradients.csv");
    let text = fs::read_to_string(&path).unwrap();
    let zero: Vec<String> = text
        .lines()
        .map(|line| match line.split(',').collect::<Vec<_>>()[..] {
            ["9", layer, _, initial] => format!("9,{layer},0,{initial}"),
            _ => line.to_owned(),
        })
        .collect();
    fs::write(&path, zero.join("\n")).unwrap();
    let svg = report(folder.path()).svg("fig3").unwrap();
    assert!(svg.contains(">hollow: a gradient of exactly 0</text>"));
    assert!(svg.contains("exactly 0 with at least one seed."));
    assert_eq!(svg.matches("fill-opacity=\"0.200\"").count(), 4 + 1 + 1);
}

#[test]
fn a_single_epoch_still_has_a_band_to_see() {
    let folder = tempfile::tempdir().unwrap();
    let models = MODELS.map(|model| support::Model { epochs: 1, ..model });
    write_seeds(folder.path(), &models, SETTING, &SEEDS);
    let svg = report(folder.path()).svg("fig1").unwrap();
    assert_eq!(svg.matches("fill-opacity=\"0.200\"").count(), 2 * 3 + 1);
}

#[test]
fn runs_that_are_not_of_one_model_are_not_averaged() {
    let cases = [
        ("summary.csv", ",11173962,", ",11173961,"),
        ("gradients.csv", "stem.conv", "stem"),
        ("confusion.csv", "airplane", "aeroplane"),
        ("class_report.csv", "airplane", "aeroplane"),
    ];
    let failures = cases.map(|(name, from, to)| {
        let folder = tempfile::tempdir().unwrap();
        write_seeds(folder.path(), &MODELS, SETTING, &SEEDS);
        let path = folder.path().join("resnet18/seed-44").join(name);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace(from, to)).unwrap();
        failure(folder.path())
    });
    insta::assert_snapshot!(failures.join(""), @r"
    error: `RESULTS/resnet18/seed-44/summary.csv`: its parameters are not those of `seed-42`
    hint: the file is another version's or was edited; run the stage that writes it again
    error: `RESULTS/resnet18/seed-44/gradients.csv`: its layers are not those of `seed-42`
    hint: the file is another version's or was edited; run the stage that writes it again
    error: `RESULTS/resnet18/seed-44/confusion.csv`: its classes are not those of `seed-42`
    hint: the file is another version's or was edited; run the stage that writes it again
    error: `RESULTS/resnet18/seed-44/class_report.csv`: its classes and their images are not those of `seed-42`
    hint: the file is another version's or was edited; run the stage that writes it again
    ");
}

#[test]
fn a_model_without_seeds_a_seed_without_files_and_a_misnamed_seed_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    write_seeds(folder.path(), &MODELS, SETTING, &SEEDS);
    let model = folder.path().join("resnet18");
    fs::remove_file(model.join("seed-44/latency.csv")).unwrap();
    let no_file = failure(folder.path());
    fs::rename(model.join("seed-44"), model.join("seed-044")).unwrap();
    let misnamed = failure(folder.path());
    fs::remove_dir_all(&model).unwrap();
    fs::create_dir(&model).unwrap();
    fs::write(model.join("summary.csv"), "from a time before seeds").unwrap();
    let no_seed = failure(folder.path());
    insta::assert_snapshot!([no_file, misnamed, no_seed].join(""), @r"
    error: cannot read `RESULTS/resnet18/seed-44/latency.csv`
      caused by: No such file or directory (os error 2)
    hint: each seed of a model of `report.order` needs the CSVs that the stages `train` and `gradients` write; is the model in `params.models`?
    error: `RESULTS/resnet18/seed-044` is not a seed's folder
    hint: a seed's folder is named `seed-` and the seed in decimal digits, without leading zeros; rename this one or move it away
    error: `RESULTS/resnet18` has no folder `seed-<n>`
    hint: each seed has its own folder, such as `seed-42`; run `train` and `gradients` again, which write them
    ");
}

#[test]
fn numbers_too_far_apart_for_a_deviation_are_not_drawn() {
    let folder = tempfile::tempdir().unwrap();
    write_seeds(folder.path(), &MODELS, SETTING, &SEEDS);
    let history = "epoch,train_loss,train_accuracy,val_loss,val_accuracy,learning_rate\n1,1e200,0.1,2.3,0.1,0.001\n";
    fs::write(folder.path().join("resnet18/seed-43/history.csv"), history).unwrap();
    assert_eq!(
        failure(folder.path()),
        "error: cannot draw `fig1`: a band would end at inf\n"
    );
}

#[test]
fn an_epoch_or_a_layer_that_stands_twice_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write_results(folder.path(), &MODELS, SETTING);
    for (name, expected) in [
        (
            "history.csv",
            "`RESULTS/resnet18/seed-42/history.csv`: epoch 22 stands twice",
        ),
        (
            "gradients.csv",
            "`RESULTS/resnet18/seed-42/gradients.csv`: layer 20 stands twice",
        ),
    ] {
        let path = folder.path().join("resnet18/seed-42").join(name);
        let right = fs::read_to_string(&path).unwrap();
        let last = right.lines().last().unwrap();
        fs::write(&path, format!("{right}{last}\n")).unwrap();
        assert!(failure(folder.path()).contains(expected));
        fs::write(&path, right).unwrap();
    }
}
