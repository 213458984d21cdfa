//! `man`: the manual pages, one for the program and one for each command, made from the definitions that read command lines.
//!
//! The package installs them; nobody who has the package needs this command. What no definition says (files, variables,
//! signals, exit codes) is written here, for the page of the program.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Args, CommandFactory};
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

use super::{
    Cli,
    console::{put, say},
    failure::{Exit, Failure},
    text::count,
};

/// What a manual page is a part of, for the foot of each.
const SOURCE: &str = concat!("atoms-relay ", env!("CARGO_PKG_VERSION"));

/// Words that stand in the program's page only: a heading, and its terms with what there is to say about them.
const CHAPTERS: [(&str, &[(&str, &str)]); 4] = [
    (
        "FILES",
        &[
            ("relay.toml", "The configuration, when there is one in the folder in which the relay is started."),
            (
                "/etc/atoms-relay/relay.toml",
                "The configuration otherwise. It is readable by all and has no secrets in it.",
            ),
            ("/etc/atoms-relay/credentials/", "Secrets, for systemd to hand on. Readable by root only."),
            ("/var/lib/atoms-relay/", "The queue, when the relay runs as the service of its package."),
            (
                "/usr/share/doc/atoms-relay/",
                "All settings, what to do in operation, alert rules, a dashboard for Grafana.",
            ),
        ],
    ),
    (
        "ENVIRONMENT",
        &[
            ("RELAY_LOG", "How much serve logs: off, error, warn, info, debug or trace."),
            ("NO_COLOR", "When it is set to anything, nothing is coloured."),
            ("TMPDIR", "Where store verify makes a copy of the index, and demo keeps its queue."),
        ],
    ),
    (
        "SIGNALS",
        &[
            (
                "SIGTERM, SIGINT",
                "End serve: it takes nothing new and lets running attempts finish. A second one ends it at once.",
            ),
            ("SIGHUP", "Read the configuration again, as reload does. One that is wrong changes nothing."),
            ("SIGUSR2", "Be not ready for drain_delay, so that others stop sending events here, and end then."),
        ],
    ),
    (
        "EXIT STATUS",
        &[
            ("0", "All is well."),
            ("64", "The command line is wrong."),
            ("65", "What was given to work on is wrong or damaged: a file, an id, a selection, a queue."),
            (
                "69",
                "Something that has to answer doesn't: the relay, its admin API, a receiver; or an address or a queue is in use.",
            ),
            ("70", "A bug of atoms-relay."),
            ("74", "Reading or writing failed, or the disk of the queue did."),
            ("78", "The configuration is wrong."),
        ],
    ),
];

/// The arguments of `man`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atoms-relay man | man -l -
  atoms-relay man --dir /usr/local/share/man/man1")]
pub(super) struct ManArgs {
    /// Write the page of each command into this folder; without it, that of the program is printed.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Runs `man`.
pub(super) fn run(args: &ManArgs) -> Result<(), Failure> {
    let program = program();
    match &args.dir {
        None => put(&page(&program).map_err(|error| Failure::new(Exit::Software, error))?),
        Some(folder) => {
            let unwritable = |error| Failure::new(Exit::Io, format_args!("{}: {error}", folder.display()));
            let pages = write_pages(&program, folder).map_err(unwritable)?;
            say(&format!("Wrote {} to {}.", count(pages, "page", "pages"), folder.display()))
        }
    }
}

/// The whole program. It has no command `help`, for the pages are that.
fn program() -> clap::Command {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    program
}

/// Writes the pages of a command and of those below it, and returns how many there are.
fn write_pages(command: &clap::Command, folder: &Path) -> io::Result<u64> {
    fs::write(folder.join(Man::new(command.clone()).get_filename()), page(command)?)?;
    let shown = command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set());
    shown.map(|subcommand| write_pages(subcommand, folder)).try_fold(1, |sum, pages| Ok(sum + pages?))
}

/// The page of one command.
fn page(command: &clap::Command) -> io::Result<Vec<u8>> {
    let (page, mut text) = (Man::new(command.clone()).source(SOURCE).manual("atoms-relay"), Vec::new());
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut text)?;
    }
    rest(command).to_writer(&mut text)?;
    Ok(text)
}

/// What follows the options and commands.
fn rest(command: &clap::Command) -> Roff {
    let mut rest = Roff::new();
    examples(command, &mut rest);
    if command.get_name() == Cli::command().get_name() {
        chapters(&mut rest);
    } else {
        rest.control("SH", ["SEE ALSO"]).text([bold("atoms-relay"), roman("(1)")]);
    }
    rest
}

/// What stands below the help of a command, line by line as it stands there.
fn examples(command: &clap::Command, rest: &mut Roff) {
    let Some(below) = command.get_after_help() else { return };
    rest.control("SH", ["EXAMPLES"]).control("nf", []);
    let below = below.to_string();
    // The page of the program has a chapter of its own on exit codes.
    let lines = below.lines().filter(|line| *line != "Examples:" && !line.starts_with("Exit codes:"));
    for line in lines {
        rest.text([roman(line)]);
    }
    rest.control("fi", []);
}

fn chapters(rest: &mut Roff) {
    for (heading, terms) in CHAPTERS {
        rest.control("SH", [heading]);
        for (term, about) in terms {
            rest.control("TP", []).text([bold(*term)]).text([roman(*about)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_the_program_has_its_exit_codes_and_examples() {
        let text = String::from_utf8(page(&program()).unwrap()).unwrap();
        for words in
            [".TH atoms-relay 1", ".SH EXAMPLES", ".SH \"EXIT STATUS\"", "atoms\\-relay demo", ".SH SUBCOMMANDS"]
        {
            assert!(text.contains(words), "{words}: {text}");
        }
    }

    #[test]
    fn every_command_has_a_page() {
        let folder = tempfile::tempdir().unwrap();
        let pages = write_pages(&program(), folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count() as u64, pages);
        for page in ["atoms-relay.1", "atoms-relay-serve.1", "atoms-relay-dead-replay.1"] {
            assert!(folder.path().join(page).is_file(), "{page}");
        }
        assert!(!folder.path().join("atoms-relay-help.1").exists());
    }
}
