//! Parses the command line, calls the verb and turns its outcome into an exit code.
//! It must not know what any verb does.

fn main() {}
