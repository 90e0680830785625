//! Parses the command line, calls the verb and turns its outcome into an exit code.
//! It must not know what any verb does.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

fn main() {}
