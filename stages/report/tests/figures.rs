//! The figures' bytes, and the results that are hard to draw.

mod support;

use std::fs;
use std::path::Path;

use report::{Report, Style};
use support::{MODELS, Model, SETTING, params, write_results, write_seeds};

const FIGURES: [&str; 9] = [
    "fig1",
    "fig2",
    "fig3",
    "fig4",
    "fig5",
    "confusion/baseline_cnn",
    "confusion/mini_resnet",
    "confusion/resnet18",
    "confusion/resnet18_noskip",
];

fn draw(folder: &Path) -> Report {
    Report::new(folder, "paper", &params()).unwrap()
}

/// FNV-1a, 64 bits: enough to notice a change.
fn digest(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

fn svg(report: &Report, figure: &str) -> String {
    report.svg(figure).unwrap()
}

fn shorten(models: &mut [Model], epochs: u32) {
    for model in models {
        model.epochs = epochs;
    }
}

/// Whether every number that an SVG's elements hold lies within its view box.
fn assert_drawn_within(svg: &str, figure: &str) {
    let size = |name: &str| -> f64 {
        let (_, rest) = svg.split_once(&format!("{name}=\"")).unwrap();
        rest.split_once('"').unwrap().0.parse().unwrap()
    };
    let (width, height) = (size(" width"), size(" height"));
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{figure}");
    for list in svg.split("points=\"").skip(1) {
        for point in list.split_once('"').unwrap().0.split(' ') {
            let (x, y) = point.split_once(',').unwrap();
            let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
            assert!(
                (0.0..=width).contains(&x) && (0.0..=height).contains(&y),
                "{figure}: {point}"
            );
        }
    }
}

#[test]
fn the_same_numbers_make_the_same_bytes() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for folder in [&first, &second] {
        write_results(folder.path(), &MODELS, SETTING);
        let mut heard = Vec::new();
        draw(folder.path())
            .write(folder.path(), |done, total| heard.push((done, total)))
            .unwrap();
        // Nine figures twice, five tables.
        assert_eq!(heard, (1..=23).map(|done| (done, 23)).collect::<Vec<_>>());
    }
    let mut digests = String::new();
    for figure in FIGURES {
        for extension in ["svg", "png"] {
            let name = format!("{figure}.{extension}");
            let read = |folder: &Path| fs::read(folder.join(&name)).unwrap();
            let (bytes, again) = (read(first.path()), read(second.path()));
            assert!(bytes == again, "{name} differs");
            digests.push_str(&format!("{}  {name}\n", digest(&bytes)));
        }
        // A PNG has two pixels for each of the SVG's.
        let png = fs::read(first.path().join(format!("{figure}.png"))).unwrap();
        assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
        let side = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
        let size = format!("width=\"{}\" height=\"{}\"", side(16) / 2, side(20) / 2);
        let svg = fs::read_to_string(first.path().join(format!("{figure}.svg"))).unwrap();
        assert!(svg.contains(&size), "{figure}: {size}");
    }
    insta::assert_snapshot!("digests", digests);
}

#[test]
fn several_seeds_make_the_same_bytes_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    write_seeds(folder.path(), &MODELS, SETTING, &[42, 43, 44]);
    draw(folder.path()).write(folder.path(), |_, _| {}).unwrap();
    let mut digests = String::new();
    for figure in FIGURES {
        for extension in ["svg", "png"] {
            let name = format!("{figure}.{extension}");
            let bytes = fs::read(folder.path().join(&name)).unwrap();
            digests.push_str(&format!("{}  {name}\n", digest(&bytes)));
        }
    }
    insta::assert_snapshot!("digests_of_three_seeds", digests);
}

#[test]
fn one_epoch_and_many_of_one_seed_and_several_are_drawn_within_their_figure() {
    for (epochs, seeds) in [
        (1, &[42][..]),
        (2, &[42]),
        (300, &[42]),
        (1, &[42, 43, 44, 45]),
        (30, &[42, 43, 44, 45]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut models = MODELS;
        shorten(&mut models, epochs);
        // Models stop at different epochs.
        models[0].epochs += 3;
        write_seeds(folder.path(), &models, SETTING, seeds);
        let report = draw(folder.path());
        for figure in FIGURES {
            assert_drawn_within(&svg(&report, figure), figure);
        }
    }
}

#[test]
fn a_band_ends_where_accuracies_and_losses_do() {
    let folder = tempfile::tempdir().unwrap();
    write_seeds(folder.path(), &MODELS, SETTING, &[42, 43]);
    for model in MODELS {
        for (seed, row) in [(42, "0,1,2,0"), (43, "3,0,0,1")] {
            let path = folder.path().join(model.name);
            fs::write(
                path.join(format!("seed-{seed}/history.csv")),
                format!("epoch,train_loss,train_accuracy,val_loss,val_accuracy,learning_rate\n1,{row},0.001\n2,{row},0.001\n"),
            )
            .unwrap();
        }
    }
    let report = draw(folder.path());
    for figure in ["fig1", "fig2"] {
        assert_drawn_within(&svg(&report, figure), figure);
    }
}

#[test]
fn equal_values_are_drawn_as_a_level_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut models = MODELS;
    shorten(&mut models, 3);
    write_results(folder.path(), &models, SETTING);
    for model in models {
        fs::write(
            folder.path().join(model.name).join("seed-42/history.csv"),
            "epoch,train_loss,train_accuracy,val_loss,val_accuracy,learning_rate\n\
             1,0,1,2.302585,0.1,0.001\n2,0,1,2.302585,0.1,0.001\n3,0,1,2.302585,0.1,0.001\n",
        )
        .unwrap();
    }
    let report = draw(folder.path());
    for figure in ["fig1", "fig2", "fig4", "fig5"] {
        assert_drawn_within(&svg(&report, figure), figure);
    }
}

#[test]
fn a_gradient_of_zero_stands_on_the_floor_and_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    write_results(folder.path(), &MODELS, SETTING);
    let report = draw(folder.path());
    assert!(!svg(&report, "fig3").contains("exactly 0<"));
    for (norm, model) in [("0", "baseline_cnn"), ("0.000000e0", "resnet18")] {
        fs::write(
            folder.path().join(model).join("seed-42/gradients.csv"),
            format!("layer_index,layer,trained_l2,initial_l2\n1,conv1,{norm},1\n2,conv2,{norm},1\n3,dense,0.5,1\n"),
        )
        .unwrap();
    }
    let report = draw(folder.path());
    let figure = svg(&report, "fig3");
    assert_drawn_within(&figure, "fig3");
    assert!(figure.contains(">hollow: a gradient of exactly 0</text>"));
    assert!(
        figure.contains("Hollow markers on the axis' floor stand for gradients of exactly 0. ")
    );
}

#[test]
fn only_zero_gradients_still_make_a_figure() {
    let folder = tempfile::tempdir().unwrap();
    write_results(folder.path(), &MODELS, SETTING);
    for model in MODELS {
        fs::write(
            folder.path().join(model.name).join("seed-42/gradients.csv"),
            "layer_index,layer,trained_l2,initial_l2\n1,dense,0,0\n",
        )
        .unwrap();
    }
    let report = draw(folder.path());
    assert_drawn_within(&svg(&report, "fig3"), "fig3");
}

#[test]
fn main_models_alone_are_in_the_first_two_figures() {
    let folder = tempfile::tempdir().unwrap();
    write_results(folder.path(), &MODELS, SETTING);
    let report = draw(folder.path());
    for (figure, shown) in [
        ("fig1", false),
        ("fig2", false),
        ("fig3", true),
        ("fig4", true),
        ("fig5", true),
    ] {
        let svg = svg(&report, figure);
        assert_eq!(
            svg.contains(">ResNet-18 (No Skip)</text>"),
            shown,
            "{figure}"
        );
        assert!(svg.contains("#009e73"), "{figure}: resnet18 is green");
    }
}

#[test]
fn ten_models_with_long_labels_wrap_their_legend() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9"];
    let models = names.map(|name| Model {
        name,
        epochs: 2,
        ..MODELS[0]
    });
    write_results(folder.path(), &models, SETTING);
    let mut params = params();
    let color = params.report.models["resnet18"].color;
    for name in names {
        let label = format!("{name}: a network whose label is rather long, ").repeat(5);
        params
            .report
            .models
            .insert(name.to_owned(), Style { label, color });
    }
    params.report.order = names.map(str::to_owned).to_vec();
    params.report.main_models.clear();
    let report = Report::new(folder.path(), "paper", &params).unwrap();
    for figure in ["fig1", "fig2", "fig3", "fig4", "fig5"] {
        assert_drawn_within(&svg(&report, figure), figure);
    }
    assert!(svg(&report, "fig4").contains("…</text>"));
}
