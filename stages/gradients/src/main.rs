//! The `gradients` stage.

fn main() {}
