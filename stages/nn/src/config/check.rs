//! Checks what a configuration says beyond its types.
//! It must not know how a network is laid out or computed.

use super::{AdamConfig, BatchNormConfig, NetworkConfig};

/// Why a configuration describes nothing that can be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A list that must name at least one stage or block is empty.
    #[error("`{field}` is empty: a network needs at least one stage")]
    Empty {
        /// The parameter.
        field: &'static str,
    },
    /// A count that must be positive is 0.
    #[error("`{field}` is 0: it must be at least 1")]
    Zero {
        /// The parameter, with its place in a list.
        field: String,
    },
    /// A count is beyond anything that fits in memory.
    #[error("`{field}` is {value}: it must be at most {limit}")]
    TooLarge {
        /// The parameter, with its place in a list.
        field: String,
        /// What it says.
        value: usize,
        /// The largest value.
        limit: usize,
    },
    /// Lists that go together differ in length.
    #[error(
        "`filters` has {filters} stages but `{field}` has {length}: give one value for each stage"
    )]
    Lengths {
        /// The list that differs.
        field: &'static str,
        /// Length of `filters`.
        filters: usize,
        /// Length of `field`.
        length: usize,
    },
    /// A number lies outside its range.
    #[error("`{field}` is {value}: it must lie in {range}")]
    Range {
        /// The parameter.
        field: &'static str,
        /// What it says.
        value: f64,
        /// The allowed range.
        range: &'static str,
    },
    /// Pooling leaves no pixel.
    #[error(
        "`filters` has {blocks} blocks: each halves the image, and {size}x{size} pixels allow {limit}"
    )]
    TooDeep {
        /// Blocks asked for.
        blocks: usize,
        /// Extent of an image.
        size: usize,
        /// Most blocks.
        limit: usize,
    },
    /// The thread pool could not be made.
    #[error("could not start {threads} threads: {reason}")]
    Threads {
        /// Threads asked for.
        threads: usize,
        /// What the system said.
        reason: String,
    },
    /// The instruction set is not there.
    #[error(transparent)]
    Isa(#[from] crate::native::IsaError),
}

/// Most channels of a layer and blocks of a stage: far beyond the paper, far below overflow.
const LIMIT: usize = 4096;

impl NetworkConfig {
    /// Share of features dropped before the dense layer.
    #[must_use]
    pub fn dropout(&self) -> f64 {
        match self {
            Self::PlainCnn { dropout, .. } | Self::Resnet { dropout, .. } => *dropout,
        }
    }

    /// Checks everything that types cannot say.
    ///
    /// # Errors
    /// Names the first parameter that is wrong, its value and what it may be.
    pub fn validate(&self) -> Result<(), ConfigError> {
        match self {
            Self::PlainCnn { filters, .. } => {
                counts("filters", filters)?;
                let limit = crate::image::IMAGE_SIZE.ilog2() as usize;
                if filters.len() > limit {
                    return Err(ConfigError::TooDeep {
                        blocks: filters.len(),
                        size: crate::image::IMAGE_SIZE,
                        limit,
                    });
                }
            }
            Self::Resnet {
                stem,
                filters,
                blocks,
                stage_strides,
                ..
            } => {
                count("stem".to_owned(), *stem, LIMIT)?;
                for (field, list) in [("blocks", blocks), ("stage_strides", stage_strides)] {
                    if list.len() != filters.len() {
                        return Err(ConfigError::Lengths {
                            field,
                            filters: filters.len(),
                            length: list.len(),
                        });
                    }
                }
                counts("filters", filters)?;
                counts("blocks", blocks)?;
                for (i, &stride) in stage_strides.iter().enumerate() {
                    count(format!("stage_strides[{i}]"), stride, 2)?;
                }
            }
        }
        range("dropout", self.dropout(), "[0, 1)", |p| {
            (0.0..1.0).contains(&p)
        })
    }
}

impl BatchNormConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// Names the parameter that is out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        range("batch_norm.momentum", self.momentum, "[0, 1)", |m| {
            (0.0..1.0).contains(&m)
        })?;
        // Below the least normal f32 it would vanish beside a variance of 0.
        range("batch_norm.epsilon", self.epsilon, "[1e-30, 1]", |e| {
            (1e-30..=1.0).contains(&e)
        })
    }
}

impl AdamConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// Names the parameter that is out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        range(
            "optimizer.learning_rate",
            self.learning_rate,
            "[0, 1000]",
            |r| (0.0..=1000.0).contains(&r),
        )?;
        range("optimizer.beta1", self.beta1, "[0, 1)", |b| {
            (0.0..1.0).contains(&b)
        })?;
        range("optimizer.beta2", self.beta2, "[0, 1)", |b| {
            (0.0..1.0).contains(&b)
        })?;
        range("optimizer.epsilon", self.epsilon, "[1e-30, 1]", |e| {
            (1e-30..=1.0).contains(&e)
        })
    }
}

/// Classes must be at least 1 and fit a label's byte.
pub(crate) fn classes(classes: usize) -> Result<(), ConfigError> {
    count("classes".to_owned(), classes, 256)
}

fn counts(field: &'static str, list: &[usize]) -> Result<(), ConfigError> {
    if list.is_empty() {
        return Err(ConfigError::Empty { field });
    }
    list.iter()
        .enumerate()
        .try_for_each(|(i, &value)| count(format!("{field}[{i}]"), value, LIMIT))
}

fn count(field: String, value: usize, limit: usize) -> Result<(), ConfigError> {
    match value {
        0 => Err(ConfigError::Zero { field }),
        _ if value > limit => Err(ConfigError::TooLarge {
            field,
            value,
            limit,
        }),
        _ => Ok(()),
    }
}

fn range(
    field: &'static str,
    value: f64,
    range: &'static str,
    ok: impl Fn(f64) -> bool,
) -> Result<(), ConfigError> {
    if ok(value) {
        Ok(())
    } else {
        Err(ConfigError::Range {
            field,
            value,
            range,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::InitializerConfig;

    const RESNET: &str = r#"{"family":"resnet","stem":64,"filters":[64,128],"blocks":[2,2],"stage_strides":[1,2],
        "skip":true,"projection":"where_shape_changes","dropout":0.5}"#;

    fn network(text: &str) -> Result<NetworkConfig, String> {
        let config: NetworkConfig = serde_json::from_str(text).map_err(|e| e.to_string())?;
        config
            .validate()
            .map_err(|e| e.to_string())
            .map(|()| config)
    }

    #[test]
    fn params_deserialise_as_the_pipeline_writes_them() {
        assert!(network(RESNET).is_ok());
        assert_eq!(
            network(r#"{"family":"plain_cnn","filters":[32,64],"conv_bias":true,"dropout":0.5}"#),
            Ok(NetworkConfig::PlainCnn {
                filters: vec![32, 64],
                conv_bias: true,
                dropout: 0.5
            })
        );
        let adam: AdamConfig = serde_json::from_str(
            r#"{"name":"adam","learning_rate":0.001,"beta1":0.9,"beta2":0.999,"epsilon":1e-7}"#,
        )
        .expect("the pipeline's own optimizer");
        assert_eq!(adam, AdamConfig::default());
    }

    #[test]
    fn unknown_fields_families_and_optimizers_are_errors() {
        let said = network(&RESNET.replace("\"stem\"", "\"conv_bias\":true,\"stem\""))
            .expect_err("resnet has no conv_bias");
        assert!(said.contains("conv_bias"), "{said}");
        let said = network(&RESNET.replace("resnet", "vgg")).expect_err("no such family");
        assert!(said.contains("vgg") && said.contains("plain_cnn"), "{said}");
        assert!(
            serde_json::from_str::<BatchNormConfig>(
                r#"{"momentum":0.9,"epsilon":1e-3,"renorm":1}"#
            )
            .is_err()
        );
        assert!(
            serde_json::from_str::<InitializerConfig>(r#"{"conv":"zeros","dense":"he_normal"}"#)
                .is_err()
        );
    }

    #[test]
    fn each_wrong_number_is_named() {
        for (from, to, said) in [
            (
                "\"stem\":64",
                "\"stem\":0",
                "`stem` is 0: it must be at least 1",
            ),
            (
                "[64,128]",
                "[64,0]",
                "`filters[1]` is 0: it must be at least 1",
            ),
            (
                "[64,128]",
                "[64,99999]",
                "`filters[1]` is 99999: it must be at most 4096",
            ),
            (
                "\"blocks\":[2,2]",
                "\"blocks\":[2]",
                "`filters` has 2 stages but `blocks` has 1: give one value for each stage",
            ),
            (
                "[1,2]",
                "[1,2,2]",
                "`filters` has 2 stages but `stage_strides` has 3: give one value for each stage",
            ),
            (
                "[1,2]",
                "[1,3]",
                "`stage_strides[1]` is 3: it must be at most 2",
            ),
            ("0.5", "1.0", "`dropout` is 1: it must lie in [0, 1)"),
            ("0.5", "-0.1", "`dropout` is -0.1: it must lie in [0, 1)"),
        ] {
            assert_eq!(network(&RESNET.replacen(from, to, 1)), Err(said.to_owned()));
        }
        let deep = r#"{"family":"plain_cnn","filters":[1,1,1,1,1,1],"conv_bias":true,"dropout":0}"#;
        assert!(
            network(deep)
                .expect_err("32 pixels halve five times")
                .contains("allow 5")
        );
        assert!(
            network(&deep.replace("1,1,1,1,1,1", ""))
                .expect_err("no layer")
                .contains("empty")
        );
    }
}
