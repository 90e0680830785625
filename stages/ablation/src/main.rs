//! The `ablation` stage.

fn main() {}
