//! Lays a configured network out, layer by layer, in network order.
//! It must not know how any layer is computed or trained.

use super::{
    Conv, ConvNorm, Dense, Layout, Norm, ParameterCount, Plan, Shortcut, Slot, Span, Unit,
};
use crate::config::{self, ConfigError, NetworkConfig, Projection};
use crate::image::{IMAGE_CHANNELS, IMAGE_SIZE};

impl Plan {
    /// Lays out the network for `classes` classes.
    ///
    /// # Errors
    /// What [`NetworkConfig::validate`] finds, or a number of classes outside 1..=256.
    pub fn new(network: &NetworkConfig, classes: usize) -> Result<Self, ConfigError> {
        network.validate()?;
        config::classes(classes)?;
        let mut builder = Builder::default();
        let (mut size, mut channels) = (IMAGE_SIZE, IMAGE_CHANNELS);
        match network {
            NetworkConfig::PlainCnn {
                filters, conv_bias, ..
            } => {
                for (i, &outputs) in filters.iter().enumerate() {
                    let name = |kind: &str| format!("block{}.{kind}", i + 1);
                    let shape = Shape {
                        kernel: 3,
                        stride: 1,
                        inputs: channels,
                        outputs,
                        size,
                    };
                    let layer = builder.layer(name("conv"), name("bn"), shape, *conv_bias);
                    builder.units.push(Unit::Plain { layer, pool: true });
                    (size, channels) = (size / 2, outputs);
                }
            }
            NetworkConfig::Resnet {
                stem,
                filters,
                blocks,
                stage_strides,
                skip,
                projection,
                ..
            } => {
                let shape = Shape {
                    kernel: 3,
                    stride: 1,
                    inputs: channels,
                    outputs: *stem,
                    size,
                };
                let layer =
                    builder.layer("stem.conv".to_owned(), "stem.bn".to_owned(), shape, false);
                builder.units.push(Unit::Plain { layer, pool: false });
                channels = *stem;
                for (stage, ((&outputs, &blocks), &stride)) in
                    filters.iter().zip(blocks).zip(stage_strides).enumerate()
                {
                    for block in 0..blocks {
                        let stride = if block == 0 { stride } else { 1 };
                        let shape = Shape {
                            kernel: 3,
                            stride,
                            inputs: channels,
                            outputs,
                            size,
                        };
                        let projects = block == 0
                            && (*projection == Projection::EveryStage
                                || stride != 1
                                || channels != outputs);
                        let unit = builder.basic(
                            &format!("stage{}.block{}", stage + 1, block + 1),
                            shape,
                            *skip,
                            projects,
                        );
                        builder.units.push(unit);
                        (size, channels) = (size.div_ceil(stride), outputs);
                    }
                }
            }
        }
        let weight = builder.slot(
            "dense.weight".to_owned(),
            true,
            Layout::Dense {
                inputs: channels,
                outputs: classes,
            },
            channels * classes,
        );
        let bias = builder.slot("dense.bias".to_owned(), true, Layout::Vector, classes);
        Ok(Self {
            units: builder.units,
            dense: Dense {
                inputs: channels,
                outputs: classes,
                weight,
                bias,
            },
            slots: builder.slots,
            count: builder.count,
        })
    }

    /// Names of the layers with a weight matrix and where it lies, in network order.
    pub fn weights(&self) -> impl Iterator<Item = (&str, Span)> {
        let convs = self
            .units
            .iter()
            .flat_map(Unit::layers)
            .map(|l| (l.conv.name.as_str(), l.conv.weight));
        convs.chain(std::iter::once(("dense", self.dense.weight)))
    }
}

/// A convolution's extents.
#[derive(Clone, Copy)]
struct Shape {
    kernel: usize,
    stride: usize,
    inputs: usize,
    outputs: usize,
    size: usize,
}

struct Builder {
    units: Vec<Unit>,
    slots: Vec<Slot>,
    count: ParameterCount,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            units: Vec::new(),
            slots: Vec::new(),
            count: ParameterCount {
                trainable: 0,
                moving: 0,
            },
        }
    }
}

impl Builder {
    fn slot(&mut self, name: String, trainable: bool, layout: Layout, len: usize) -> Span {
        let end = if trainable {
            &mut self.count.trainable
        } else {
            &mut self.count.moving
        };
        let span = Span { start: *end, len };
        *end += len;
        self.slots.push(Slot {
            name,
            span,
            trainable,
            layout,
        });
        span
    }

    fn layer(&mut self, name: String, norm: String, shape: Shape, bias: bool) -> ConvNorm {
        let Shape {
            kernel,
            stride,
            inputs,
            outputs,
            size,
        } = shape;
        let layout = Layout::Conv {
            kernel,
            inputs,
            outputs,
        };
        let weight = self.slot(
            format!("{name}.weight"),
            true,
            layout,
            kernel * kernel * inputs * outputs,
        );
        let bias = bias.then(|| self.slot(format!("{name}.bias"), true, Layout::Vector, outputs));
        let conv = Conv {
            name,
            kernel,
            stride,
            inputs,
            outputs,
            size,
            weight,
            bias,
        };
        let mut vector = |kind: &str, trainable| {
            self.slot(format!("{norm}.{kind}"), trainable, Layout::Vector, outputs)
        };
        let (weight, bias) = (vector("weight", true), vector("bias", true));
        let (mean, variance) = (vector("moving_mean", false), vector("moving_var", false));
        ConvNorm {
            conv,
            norm: Norm {
                name: norm,
                weight,
                bias,
                mean,
                variance,
            },
        }
    }

    fn basic(&mut self, name: &str, shape: Shape, skip: bool, projects: bool) -> Unit {
        let mut layer = |conv: &str, bn: &str, shape| {
            self.layer(
                format!("{name}.{conv}"),
                format!("{name}.{bn}"),
                shape,
                false,
            )
        };
        let first = layer("conv1", "bn1", shape);
        let inner = Shape {
            stride: 1,
            inputs: shape.outputs,
            size: first.conv.out_size(),
            ..shape
        };
        let second = layer("conv2", "bn2", inner);
        let shortcut = match (skip, projects) {
            (false, _) => Shortcut::None,
            (true, false) => Shortcut::Identity,
            (true, true) => Shortcut::Projection(layer(
                "projection.conv",
                "projection.bn",
                Shape { kernel: 1, ..shape },
            )),
        };
        Unit::Basic {
            first,
            second,
            shortcut,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resnet(wide: bool, strides: [usize; 4], skip: bool, projection: Projection) -> Plan {
        let (stem, filters) = if wide {
            (64, vec![64, 128, 256, 512])
        } else {
            (32, vec![32, 64, 128, 256])
        };
        let stage_strides = strides.to_vec();
        let config = NetworkConfig::Resnet {
            stem,
            filters,
            blocks: vec![2; 4],
            stage_strides,
            skip,
            projection,
            dropout: 0.5,
        };
        Plan::new(&config, 10).expect("a network of the paper")
    }

    #[test]
    fn the_four_networks_have_the_papers_parameter_counts() {
        let config = NetworkConfig::PlainCnn {
            filters: vec![32, 64, 128, 256],
            conv_bias: true,
            dropout: 0.5,
        };
        let baseline = Plan::new(&config, 10)
            .expect("a network of the paper")
            .count;
        assert_eq!((baseline.trainable, baseline.moving), (391_946, 960));

        let mini = resnet(false, [2; 4], true, Projection::EveryStage)
            .count
            .trainable;
        let standard = resnet(true, [1, 2, 2, 2], true, Projection::WhereShapeChanges)
            .count
            .trainable;
        let strided = resnet(true, [2; 4], true, Projection::WhereShapeChanges)
            .count
            .trainable;
        let noskip = resnet(true, [1, 2, 2, 2], false, Projection::WhereShapeChanges)
            .count
            .trainable;
        assert_eq!(
            [mini, standard, strided, noskip],
            [2_798_698, 11_173_962, 11_178_186, 11_000_138]
        );

        // Table I's rounding: 392k, 2.8M, 11.2M, 11.0M.
        assert_eq!((baseline.trainable + 500) / 1000, 392);
        let tenths = |n: usize| (n + 50_000) / 100_000;
        assert_eq!(
            [
                tenths(mini),
                tenths(standard),
                tenths(strided),
                tenths(noskip)
            ],
            [28, 112, 112, 110]
        );
    }

    #[test]
    fn spans_cover_both_vectors_without_gap_or_overlap() {
        let plan = resnet(false, [1, 2, 2, 2], true, Projection::EveryStage);
        for trainable in [true, false] {
            let mut end = 0;
            for slot in plan.slots.iter().filter(|s| s.trainable == trainable) {
                assert_eq!(slot.span.start, end, "{}", slot.name);
                end += slot.span.len;
            }
            assert_eq!(
                end,
                if trainable {
                    plan.count.trainable
                } else {
                    plan.count.moving
                }
            );
        }
    }

    #[test]
    fn layers_are_named_by_stage_block_and_role() {
        let plan = resnet(true, [1, 2, 2, 2], true, Projection::WhereShapeChanges);
        let names: Vec<&str> = plan.weights().map(|(name, _)| name).collect();
        assert_eq!(
            &names[..4],
            [
                "stem.conv",
                "stage1.block1.conv1",
                "stage1.block1.conv2",
                "stage1.block2.conv1"
            ]
        );
        assert_eq!(
            &names[5..8],
            [
                "stage2.block1.conv1",
                "stage2.block1.conv2",
                "stage2.block1.projection.conv"
            ]
        );
        assert_eq!(
            (names.len(), names[names.len() - 1]),
            (1 + 16 + 3 + 1, "dense")
        );
        assert_eq!(plan.slots[4].name, "stem.bn.moving_var");
    }
}
