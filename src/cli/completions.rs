//! `completions`: what a shell needs to complete command lines of this program, made from the definitions that read them.
//!
//! The package installs it where each shell looks; nobody who has the package needs this command.

use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::{Generator, aot};

use super::{Cli, console::put, failure::Failure};

/// The arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  source <(atoms-relay completions bash)
  atoms-relay completions zsh > ~/.zfunc/_atoms-relay
  atoms-relay completions fish > ~/.config/fish/completions/atoms-relay.fish")]
pub(super) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Runs `completions`.
pub(super) fn run(args: &CompletionsArgs) -> Result<(), Failure> {
    put(&match args.shell {
        Shell::Bash => script(aot::Bash),
        Shell::Zsh => script(aot::Zsh),
        Shell::Fish => script(aot::Fish),
    })
}

fn script(shell: impl Generator) -> Vec<u8> {
    let (mut definitions, mut script) = (Cli::command(), Vec::new());
    let name = definitions.get_name().to_owned();
    aot::generate(shell, &mut definitions, name, &mut script);
    script
}
