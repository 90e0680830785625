//! The `report` stage.

fn main() {}
