//! The report's parameters: which models, in which order and colour, and the paper's numbers.
//! It must not know what is drawn or tabled with them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::error::ReportError;

/// What the stage is given: `params.report` and `params.paper`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Which models are shown, and how.
    pub report: Shown,
    /// Table I of the paper, by model; a model may lack an entry.
    pub paper: BTreeMap<String, PaperEntry>,
}

/// Which models are shown, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// Label and colour by model.
    pub models: BTreeMap<String, Style>,
    /// The models shown, from the first row of a table to the last.
    pub order: Vec<String>,
    /// The models of Fig. 1 and 2; the other figures show all.
    pub main_models: Vec<String>,
}

/// How a model is shown.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Style {
    /// What tables and figures call it.
    pub label: String,
    /// The colour of its curves.
    pub color: Color,
}

/// A colour, written `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color {
    /// Red, green and blue.
    pub rgb: (u8, u8, u8),
}

/// A row of the paper's Table I.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaperEntry {
    /// A share, 0 to 1.
    pub test_accuracy: f64,
    /// The whole training, in minutes.
    pub train_minutes: f64,
    /// Trainable parameters, as the paper rounds them.
    pub parameters: u64,
}

impl Params {
    /// Checks what the types cannot: that every model named has a style, once.
    ///
    /// # Errors
    /// The first parameter that is wrong.
    pub fn check(&self) -> Result<(), ReportError> {
        let shown = &self.report;
        if shown.order.is_empty() {
            return Err(ReportError::NothingToShow);
        }
        for (place, model) in shown.order.iter().enumerate() {
            if !is_folder_name(model) {
                return Err(ReportError::ModelName {
                    model: model.clone(),
                });
            }
            if !shown.models.contains_key(model) {
                return Err(ReportError::NoStyle {
                    model: model.clone(),
                });
            }
            if shown.order[..place].contains(model) {
                return Err(ReportError::ShownTwice {
                    model: model.clone(),
                });
            }
        }
        match shown
            .main_models
            .iter()
            .find(|model| !shown.order.contains(model))
        {
            Some(model) => Err(ReportError::MainNotShown {
                model: model.clone(),
            }),
            None => Ok(()),
        }
    }
}

/// A model's name is a folder under the results; it must not lead out of them.
fn is_folder_name(model: &str) -> bool {
    !model.is_empty() && model != "." && model != ".." && !model.contains(['/', '\0'])
}

impl<'de> Deserialize<'de> for Color {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_color(&text)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is not a colour such as `#009e73`")))
    }
}

fn parse_color(text: &str) -> Option<Color> {
    let digits = text.strip_prefix('#')?;
    if digits.len() != 6 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let channel = |from: usize| u8::from_str_radix(&digits[from..from + 2], 16).ok();
    Some(Color {
        rgb: (channel(0)?, channel(2)?, channel(4)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_is_six_hexadecimal_digits_after_a_hash() {
        assert_eq!(parse_color("#009e7F").unwrap().rgb, (0, 0x9e, 0x7f));
        for wrong in [
            "009e73", "#009e7", "#009e7g", "#+09e73", "#ééé", "green", "",
        ] {
            assert!(parse_color(wrong).is_none(), "{wrong}");
        }
    }
}
