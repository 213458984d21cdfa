//! What people type: the arguments, and one file for each command.
//!
//! Commands on a config file read it themselves; commands on a running relay ask its admin API. What they have to say
//! goes to standard output, as JSON with `--json`: one document for one thing, one line for each item of a list. A failed
//! command says why on standard error and exits with a number of [sysexits.h](failure).

mod admin_client;
mod alerts;
mod audit;
mod calls;
pub mod check;
mod completions;
mod console;
mod dead;
mod deliveries;
mod demo;
mod difference;
mod events;
mod explain;
mod failure;
mod filter;
mod healthcheck;
mod heap;
pub mod init;
mod listening;
mod man;
mod pause;
mod presets;
mod preview;
mod progress;
mod reload;
mod replay;
mod sample;
mod screen;
mod send;
mod serve;
mod status;
mod store;
mod supervision;
mod table;
mod tail;
mod test;
mod text;
mod top;

use std::{
    ffi::OsString,
    io::IsTerminal,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};

use self::{
    admin_client::{AdminAddress, AdminClient},
    console::{Console, Format, remark},
    failure::{Exit, Failure},
    table::Tone,
};
use crate::{
    clock::Clock,
    config::{Colour, Config, Environment, ProcessEnvironment},
};

/// Receives Smallest.ai Atoms webhooks, keeps them on disk and delivers them to your systems until they arrive.
#[derive(Debug, Parser)]
#[command(name = "atoms-relay", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  atoms-relay demo                                watch a relay at work, without any account
  atoms-relay init && atoms-relay check           write a first configuration, and check it
  atoms-relay send --event post-conversation      try it with an event like those of Atoms
  atoms-relay explain event.json                  see where an event would go, and why
  atoms-relay test                                see whether events become what the config expects
  atoms-relay events --state waiting --since 2h   see what is still on its way
  atoms-relay dead replay --destination crm       deliver what was given up

Exit codes: 0 ok, 64 usage, 65 wrong data, 69 unavailable, 70 our bug, 74 input/output, 78 config.";

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options for all commands")]
struct Common {
    /// The configuration; without it `relay.toml`, then `/etc/atoms-relay/relay.toml`.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The admin API of a running relay; for a Unix socket such as `unix:/run/atoms-relay/admin.sock`.
    #[arg(long, global = true, value_name = "URL", env = "ATOMS_RELAY_ADMIN", default_value = "http://127.0.0.1:9090")]
    admin: AdminAddress,
    /// The file that holds the token of that API, where it has one.
    #[arg(long, global = true, value_name = "FILE", env = "ATOMS_RELAY_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Answer in JSON: one document, or one line for each item of a list.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the relay until SIGTERM or Ctrl-C.
    Serve(serve::ServeArgs),
    /// Check the configuration, and show what the relay would do with it.
    Check,
    /// Write a first configuration. It overwrites nothing.
    Init(init::InitArgs),
    /// Watch a relay at work on made-up events: no configuration, no account, nothing left behind.
    Demo(demo::DemoArgs),
    /// Sign and post an event like Atoms would.
    Send(send::SendArgs),
    /// Show where an event would go and what exactly would be sent. Sends nothing.
    Explain(explain::ExplainArgs),
    /// List the ready-made destinations (Slack, Salesforce …), or print one.
    Presets(presets::PresetsArgs),
    /// Check that events become what the configuration's `[[test]]` sections expect. Sends nothing.
    Test,
    /// Show how a running relay and its destinations are.
    Status,
    /// List events, newest first, or show one.
    Events(events::EventsArgs),
    /// List calls, newest first, or show one as a timeline of its events and where each went.
    Calls(calls::CallsArgs),
    /// List deliveries, newest event first, show one, or retry one.
    Deliveries(deliveries::DeliveriesArgs),
    /// Look after dead letters: deliveries that were given up.
    #[command(subcommand, after_help = dead::EXAMPLES)]
    Dead(dead::DeadCommand),
    /// Send events again, or to where today's routes would send them. Asks first.
    Replay(replay::ReplayArgs),
    /// Watch rates, backlog and destinations on a screen, until `q`.
    Top(top::TopArgs),
    /// Watch what happens, as it happens, until Ctrl-C.
    Tail(tail::TailArgs),
    /// Hold all deliveries to a destination, also over restarts. Its events are still taken and kept.
    Pause(pause::PauseArgs),
    /// Let a paused or stopped destination go on.
    Resume(pause::ResumeArgs),
    /// Find out whether the alerts of a running relay arrive.
    #[command(subcommand)]
    Alerts(alerts::AlertsCommand),
    /// List who changed what on a running relay, newest first, or check that list.
    Audit(audit::AuditArgs),
    /// Let a running relay read its configuration again: all of it, or nothing when it has mistakes.
    Reload,
    /// Look after the queue of a relay that doesn't run.
    Store(store::StoreArgs),
    /// Ask whether a running relay takes events. It ends with 0 if so, with 69 if not.
    Healthcheck,
    /// Print what a shell needs to complete command lines of this program.
    Completions(completions::CompletionsArgs),
    /// Print the manual page, or write those of all commands.
    Man(man::ManArgs),
}

/// What a command works with.
struct Session {
    console: Console,
    clock: Clock,
    config: Option<PathBuf>,
    admin: AdminAddress,
    token_file: Option<PathBuf>,
}

impl Session {
    fn new(common: Common) -> Self {
        let format = if common.json { Format::Json } else { Format::Text };
        let console = Console::new(format, colour_of(&std::io::stdout()));
        let Common { config, admin, token_file, .. } = common;
        Self { console, clock: Clock::system(), config, admin, token_file }
    }

    fn admin(&self) -> AdminClient {
        AdminClient::new(self.admin.clone(), self.token_file.clone()).on_behalf_of(login_name())
    }

    /// The configuration; what is wrong with it has been said when there is none. Its warnings are for `check` and `serve`
    /// to show.
    fn config(&self) -> Result<Config, Failure> {
        self.config_file().map(|(_, config)| config)
    }

    /// The same, with the file that it was read from.
    fn config_file(&self) -> Result<(PathBuf, Config), Failure> {
        usable(self.config.as_deref())
    }
}

/// The configuration at `path`, or at a default path; what is wrong with it has been said when it is none.
fn usable(path: Option<&Path>) -> Result<(PathBuf, Config), Failure> {
    let checked = check::check(path);
    let (path, remarks) = (checked.path().to_owned(), checked.remarks(colour_of(&std::io::stderr())));
    let config = checked.into_config().map_err(|exit| {
        remark(remarks.trim_end());
        Failure::told(exit)
    })?;
    Ok((path, config))
}

/// Runs the command that `arguments` (the program's name first) ask for.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return explain_usage(&error),
    };
    // The panic has been told on standard error; what is left is to say what it means.
    let bug = |_| Err(Failure::new(Exit::Software, "this is a bug in atoms-relay: please report the lines above"));
    match panic::catch_unwind(AssertUnwindSafe(|| start(cli))).unwrap_or_else(bug) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                remark(&format!("{} {message}", Tone::Bad.paint("error:", colour_of(&std::io::stderr()))));
            }
            failure.exit().into()
        }
    }
}

/// Help and version are answers, the rest is wrong usage.
fn explain_usage(error: &clap::Error) -> ExitCode {
    // When this can't be printed, there is nobody to tell.
    let _unheard = error.print();
    if error.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS }
}

fn start(cli: Cli) -> Result<(), Failure> {
    if matches!(cli.command, Command::Serve(_)) {
        heap::take_orders();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Io, format_args!("can't start: {error}")))?;
    runtime.block_on(perform(cli.command, &Session::new(cli.common)))
}

async fn perform(command: Command, session: &Session) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => serve::run(args, session).await,
        Command::Check => check::run(session),
        Command::Init(args) => init::run(&args, session),
        Command::Demo(args) => demo::run(args, session).await,
        Command::Send(args) => send::run(args, session).await,
        Command::Explain(args) => explain::run(&args, session),
        Command::Presets(args) => presets::run(&args, session),
        Command::Test => test::run(session),
        Command::Status => status::run(session).await,
        Command::Events(args) => events::run(args, session).await,
        Command::Calls(args) => calls::run(args, session).await,
        Command::Deliveries(args) => deliveries::run(args, session).await,
        Command::Dead(command) => dead::run(command, session).await,
        Command::Top(args) => top::run(args, session).await,
        Command::Tail(args) => tail::run(args, session).await,
        Command::Replay(args) => replay::run(args, session).await,
        Command::Pause(args) => pause::pause(args, session).await,
        Command::Resume(args) => pause::resume(args, session).await,
        Command::Alerts(command) => alerts::run(command, session).await,
        Command::Audit(args) => audit::run(args, session).await,
        Command::Reload => reload::run(session).await,
        Command::Store(args) => store::run(args, session).await,
        Command::Healthcheck => healthcheck::run(session).await,
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}

/// How whoever runs this calls themselves, behind `sudo` too.
fn login_name() -> Option<String> {
    let names = ["SUDO_USER", "USER", "LOGNAME"].into_iter().filter_map(|name| ProcessEnvironment.variable(name));
    names.filter_map(|name| name.into_string().ok()).find(|name| !name.is_empty())
}

/// Colours are for terminals, and for people who want them (<https://no-color.org>).
fn colour_of(stream: &impl IsTerminal) -> Colour {
    let is_unwanted = ProcessEnvironment.variable("NO_COLOR").is_some_and(|value| !value.is_empty());
    if stream.is_terminal() && !is_unwanted { Colour::Ansi } else { Colour::Plain }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_well_defined() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_for_all_commands_can_stand_before_and_behind_a_command() {
        for line in ["--json events show ID", "events show --json ID", "events show ID --json", "events --json"] {
            let line = line.replace("ID", "0198c5f0-7d5e-7c3a-9f00-1a2b3c4d5e6f");
            let parsed = Cli::try_parse_from(["atoms-relay"].into_iter().chain(line.split(' ')));
            assert!(parsed.is_ok_and(|cli| cli.common.json), "{line}");
        }
    }
}
