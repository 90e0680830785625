//! Results as the other stages would write them, made up by simple formulas.
//! It must not know how the report reads them.

use std::fs;
use std::path::Path;

use report::Params;

pub(crate) const CLASSES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

/// `params.report` and `params.paper` of `pipeline.yaml`.
pub(crate) const PARAMS: &str = r##"{
  "report": {
    "models": {
      "baseline_cnn": {"label": "Baseline CNN", "color": "#0072b2"},
      "mini_resnet": {"label": "Mini-ResNet", "color": "#e69f00"},
      "resnet18": {"label": "ResNet-18 (With Skip)", "color": "#009e73"},
      "resnet18_noskip": {"label": "ResNet-18 (No Skip)", "color": "#d55e00"}
    },
    "order": ["baseline_cnn", "mini_resnet", "resnet18", "resnet18_noskip"],
    "main_models": ["baseline_cnn", "mini_resnet", "resnet18"]
  },
  "paper": {
    "baseline_cnn": {"test_accuracy": 0.841, "train_minutes": 2, "parameters": 392000},
    "mini_resnet": {"test_accuracy": 0.870, "train_minutes": 7, "parameters": 2800000},
    "resnet18": {"test_accuracy": 0.899, "train_minutes": 24, "parameters": 11200000},
    "resnet18_noskip": {"test_accuracy": 0.860, "train_minutes": 210, "parameters": 11000000}
  }
}"##;

pub(crate) fn params() -> Params {
    serde_json::from_str(PARAMS).unwrap()
}

/// One made-up training.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Model {
    pub(crate) name: &'static str,
    pub(crate) parameters: u32,
    pub(crate) epochs: u32,
    /// The accuracy that training tends to, 0 to 1.
    pub(crate) ceiling: f64,
    /// Epochs to get half of the way there.
    pub(crate) pace: f64,
    pub(crate) layers: u32,
    /// How much of a gradient is left one layer nearer to the input.
    pub(crate) decay: f64,
    pub(crate) seconds: f64,
}

/// The paper's four, with different numbers of epochs.
pub(crate) const MODELS: [Model; 4] = [
    Model {
        name: "baseline_cnn",
        parameters: 391_946,
        epochs: 30,
        ceiling: 0.86,
        pace: 2.5,
        layers: 5,
        decay: 0.55,
        seconds: 4.1,
    },
    Model {
        name: "mini_resnet",
        parameters: 2_798_698,
        epochs: 26,
        ceiling: 0.90,
        pace: 2.0,
        layers: 21,
        decay: 0.97,
        seconds: 14.2,
    },
    Model {
        name: "resnet18",
        parameters: 11_173_962,
        epochs: 22,
        ceiling: 0.93,
        pace: 1.4,
        layers: 20,
        decay: 0.99,
        seconds: 48.7,
    },
    Model {
        name: "resnet18_noskip",
        parameters: 11_000_138,
        epochs: 30,
        ceiling: 0.88,
        pace: 4.0,
        layers: 17,
        decay: 0.62,
        seconds: 47.9,
    },
];

/// What all models have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) data: &'a str,
    pub(crate) test_images: u32,
}

pub(crate) const SETTING: Setting<'static> = Setting {
    data: "CIFAR-10",
    test_images: 10_000,
};

/// Noise between -1 and 1 that needs no platform mathematics.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(1_u32 << 30) - 1.0
    }
}

/// Writes everything that the report reads, one seed a model.
pub(crate) fn write_results(folder: &Path, models: &[Model], setting: Setting<'_>) {
    write_seeds(folder, models, setting, &[SEED]);
}

/// The seed whose training is a model's formulas as they stand; the others vary them.
pub(crate) const SEED: u64 = 42;

/// Writes everything that the report reads, these seeds of each model.
pub(crate) fn write_seeds(folder: &Path, models: &[Model], setting: Setting<'_>, seeds: &[u64]) {
    for model in models {
        for &seed in seeds {
            write_seed(folder, *model, setting, seed);
        }
    }
}

/// Writes one seed of a model.
pub(crate) fn write_seed(folder: &Path, mut model: Model, setting: Setting<'_>, seed: u64) {
    let folder = folder.join(model.name).join(format!("seed-{seed}"));
    fs::create_dir_all(&folder).unwrap();
    let mut noise = Noise(u64::from(model.parameters) ^ (seed ^ SEED).rotate_left(40));
    if seed != SEED {
        model.ceiling += 0.02 * noise.next();
        model.pace *= 1.0 + 0.3 * noise.next();
        model.decay *= 1.0 + 0.05 * noise.next();
        model.seconds *= 1.0 + 0.05 * noise.next();
        // Early stopping, by no more than the shortest training.
        model.epochs -= (seed % 5) as u32 % model.epochs;
    }
    let mut history =
        String::from("epoch,train_loss,train_accuracy,val_loss,val_accuracy,learning_rate\n");
    let mut timings = String::from("epoch,seconds,images_per_second,peak_memory_mib\n");
    let (mut best, mut best_epoch) = (0.0, 1);
    for epoch in 1..=model.epochs {
        let way = f64::from(epoch) / (f64::from(epoch) + model.pace);
        let train = 0.1 + (model.ceiling + 0.04 - 0.1) * way;
        let validation =
            (0.1 + (model.ceiling - 0.1) * way + 0.02 * noise.next() * (1.2 - way)).min(1.0);
        if validation > best {
            (best, best_epoch) = (validation, epoch);
        }
        history.push_str(&format!(
            "{epoch},{:.6},{train:.6},{:.6},{validation:.6},0.001\n",
            2.4 * (1.02 - train),
            2.5 * (1.05 - validation) + 0.1 * (noise.next() + 1.0) * (1.3 - way),
        ));
        let seconds = model.seconds * (1.0 + 0.02 * noise.next());
        let memory = if epoch == 1 {
            String::new()
        } else {
            format!("{:.1}", 300.0 + f64::from(model.parameters) / 2e4)
        };
        timings.push_str(&format!(
            "{epoch},{seconds:.3},{:.1},{memory}\n",
            45_000.0 / seconds
        ));
    }
    fs::write(folder.join("history.csv"), history).unwrap();
    fs::write(folder.join("timings.csv"), timings).unwrap();
    let latency = model.seconds / 20.0;
    fs::write(
        folder.join("latency.csv"),
        format!(
            "batch_size,repetitions,median_ms,p90_ms,ms_per_image\n1,50,{latency:.3},{:.3},{latency:.3}\n64,20,{:.3},{:.3},{:.4}\n",
            latency * 1.2, latency * 40.0, latency * 44.0, latency * 40.0 / 64.0
        ),
    )
    .unwrap();
    let right = write_classes(&folder, model, setting, &mut noise);
    fs::write(
        folder.join("summary.csv"),
        format!(
            "variant,data,parameters,parameters_with_moving,epochs_run,best_epoch,best_val_loss,best_val_accuracy,test_loss,test_accuracy,train_images,validation_images,test_images\n\
             {},\"{}\",{},{},{},{best_epoch},0.412345,{best:.6},0.423456,{:.6},45000,5000,{}\n",
            model.name, setting.data.replace('"', "\"\""), model.parameters, model.parameters + 960, model.epochs,
            right as f64 / f64::from(setting.test_images), setting.test_images
        ),
    )
    .unwrap();
    let mut gradients = String::from("layer_index,layer,trained_l2,initial_l2\n");
    let mut norm = 0.4;
    let mut rows = Vec::new();
    for layer in (1..=model.layers).rev() {
        let name = match layer {
            1 => "stem.conv".to_owned(),
            last if last == model.layers => "dense".to_owned(),
            middle => format!("stage{}.conv{middle}", middle / 5 + 1),
        };
        rows.push(format!(
            "{layer},{name},{norm:.6e},{:.6e}\n",
            norm * 2.0 + 0.1
        ));
        norm *= model.decay * (1.0 + 0.3 * noise.next());
    }
    gradients.extend(rows.into_iter().rev());
    fs::write(folder.join("gradients.csv"), gradients).unwrap();
}

/// Writes the confusion matrix and the class report; returns how many images were right.
fn write_classes(folder: &Path, model: Model, setting: Setting<'_>, noise: &mut Noise) -> u32 {
    let each = setting.test_images / 10;
    let mut counts = [[0_u32; 10]; 10];
    for (class, row) in counts.iter_mut().enumerate() {
        let accuracy = (model.ceiling - 0.02 + 0.08 * noise.next()).clamp(0.0, 1.0);
        row[class] = (f64::from(each) * accuracy) as u32;
        let mut left = each - row[class];
        let mut other = (class + 2) % 10;
        while left > 0 {
            if other != class {
                let share = (left / 3).max(1);
                row[other] += share;
                left -= share;
            }
            other = (other + 3) % 10;
        }
    }
    let mut confusion = format!("true_class,{}\n", CLASSES.join(","));
    let mut report = String::from("class,precision,recall,f1,support\n");
    for (class, name) in CLASSES.iter().enumerate() {
        let row: Vec<String> = counts[class].iter().map(u32::to_string).collect();
        confusion.push_str(&format!("{name},{}\n", row.join(",")));
        let right = f64::from(counts[class][class]);
        let predicted: u32 = counts.iter().map(|row| row[class]).sum();
        let (precision, recall) = (right / f64::from(predicted.max(1)), right / f64::from(each));
        let f1 = 2.0 * precision * recall / (precision + recall).max(1e-9);
        report.push_str(&format!(
            "{name},{precision:.6},{recall:.6},{f1:.6},{each}\n"
        ));
    }
    let right: u32 = (0..10).map(|class| counts[class][class]).sum();
    let accuracy = f64::from(right) / f64::from(setting.test_images);
    for average in ["macro_average", "weighted_average"] {
        report.push_str(&format!(
            "{average},{accuracy:.6},{accuracy:.6},{accuracy:.6},{}\n",
            setting.test_images
        ));
    }
    fs::write(folder.join("confusion.csv"), confusion).unwrap();
    fs::write(folder.join("class_report.csv"), report).unwrap();
    right
}
