//! Calls the command line and ends the process with its exit code.
//! It must not know what any verb does.

fn main() -> std::process::ExitCode {
    restage::cli::main().into()
}
