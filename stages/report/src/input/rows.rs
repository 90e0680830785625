//! The rows of the CSVs that other stages write, of their columns those that are shown or checked.
//! It must not know where the files are.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Accuracies are shares, 0 to 1.
#[derive(Debug, Deserialize)]
pub(crate) struct EpochRow {
    pub(crate) epoch: u32,
    #[serde(deserialize_with = "finite")]
    pub(crate) train_loss: f64,
    #[serde(deserialize_with = "finite")]
    pub(crate) train_accuracy: f64,
    #[serde(deserialize_with = "finite")]
    pub(crate) val_loss: f64,
    #[serde(deserialize_with = "finite")]
    pub(crate) val_accuracy: f64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SummaryRow {
    pub(crate) data: String,
    pub(crate) parameters: u64,
    #[serde(deserialize_with = "finite")]
    pub(crate) test_accuracy: f64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ClassRow {
    pub(crate) class: String,
    #[serde(deserialize_with = "finite")]
    pub(crate) precision: f64,
    #[serde(deserialize_with = "finite")]
    pub(crate) recall: f64,
    #[serde(deserialize_with = "finite")]
    pub(crate) f1: f64,
    pub(crate) support: u64,
}

/// The L2 norm of one layer's gradient, after training.
#[derive(Debug, Deserialize)]
pub(crate) struct GradientRow {
    pub(crate) layer_index: u32,
    pub(crate) layer: String,
    #[serde(deserialize_with = "norm")]
    pub(crate) trained_l2: f64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TimingRow {
    #[serde(deserialize_with = "finite")]
    pub(crate) seconds: f64,
    #[serde(deserialize_with = "finite")]
    pub(crate) images_per_second: f64,
    #[serde(deserialize_with = "finite_or_empty")]
    pub(crate) peak_memory_mib: Option<f64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct LatencyRow {
    pub(crate) batch_size: u32,
    #[serde(deserialize_with = "finite")]
    pub(crate) median_ms: f64,
}

impl LatencyRow {
    /// The batch size, beside 1, at which inference is timed.
    pub(crate) const BATCH: u32 = 64;
}

/// A diverged training writes `NaN`, which no axis or table can show honestly.
fn finite<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(D::Error::custom(format!(
            "`{value}` is not a finite number"
        )))
    }
}

fn finite_or_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    match Option::<f64>::deserialize(deserializer)? {
        Some(value) if !value.is_finite() => Err(D::Error::custom(format!(
            "`{value}` is not a finite number"
        ))),
        value => Ok(value),
    }
}

fn norm<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = finite(deserializer)?;
    if value < 0.0 {
        return Err(D::Error::custom(format!(
            "`{value}` is negative, which no norm is"
        )));
    }
    Ok(value)
}
