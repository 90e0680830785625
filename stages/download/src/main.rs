//! The `download` stage.

fn main() {}
