//! The `atoms-relay` program: hands its arguments to the library and exits as that says.

use std::process::ExitCode;

fn main() -> ExitCode {
    atoms_relay::cli::run(std::env::args_os())
}
