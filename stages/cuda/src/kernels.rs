//! The kernels' sources, and which kernels they hold.
//! It must not know what compiles them.

/// A source by its name.
macro_rules! source {
    ($name:literal) => {
        ($name, include_str!(concat!("../kernels/", $name)))
    };
}

/// Headers that the sources name.
pub const HEADERS: &[(&str, &str)] = &[
    source!("columns.cuh"),
    source!("math.cuh"),
    source!("mma.cuh"),
    source!("random.cuh"),
    source!("readers.cuh"),
    source!("tile.cuh"),
    source!("types.cuh"),
];

/// Each compiled alone.
pub const SOURCES: &[(&str, &str)] = &[
    source!("adam.cu"),
    source!("conv.cu"),
    source!("finite.cu"),
    source!("norm.cu"),
    source!("norm_gradient.cu"),
    source!("pool.cu"),
    source!("prepare.cu"),
    source!("reduce.cu"),
    source!("softmax.cu"),
];

/// Every kernel of the sources.
pub const KERNELS: &[&str] = &[
    "adam_update",
    "conv_forward_f32",
    "conv_forward_tf32",
    "conv_forward_bf16",
    "conv_input_gradient_f32",
    "conv_input_gradient_tf32",
    "conv_input_gradient_bf16",
    "conv_weight_gradient_f32",
    "conv_weight_gradient_tf32",
    "conv_weight_gradient_bf16",
    "check_finite",
    "norm_partial",
    "norm_finish",
    "update_moving",
    "inverse_deviation",
    "norm_apply",
    "norm_gradient_partial",
    "norm_gradient_finish",
    "norm_gradient_apply",
    "max_pool",
    "max_pool_gradient",
    "average_pool",
    "average_pool_gradient",
    "prepare_images",
    "prepare_labels",
    "advance",
    "sum_chunks",
    "column_sums",
    "softmax_loss",
    "tally",
];
