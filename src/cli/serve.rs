//! `serve`: the relay itself, from its configuration to a graceful end.

use std::{convert::Infallible, io::IsTerminal, net::SocketAddr, sync::Arc, time::Duration};

use clap::Args;
use serde::Serialize;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    Session, colour_of,
    console::remark,
    failure::{Exit, Failure},
    supervision::supervise,
    table::Tone,
};
use crate::{
    config::{self, Colour, Config, Endpoint, Environment, ProcessEnvironment},
    model::Name,
    relay::{Relay, Reloader, StartError},
    service::{Inherited, Notifier},
    store::embedded::OpenError,
    telemetry::{self, Level, Paint, Reader},
};

/// How long events are taken after SIGUSR2 where `server.drain_delay` doesn't say it: load balancers ask every 5 s, mostly,
/// and turn away when they have heard two times that the relay isn't ready.
const LEAVE: Duration = Duration::from_secs(15);

/// The arguments of `serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// How much to log: off, error, warn, info, debug or trace. Without it the variable `RELAY_LOG` says so, or it is info.
    #[arg(long, value_name = "LEVEL")]
    log: Option<Level>,
}

/// What has started.
#[derive(Debug, Serialize)]
struct StartView {
    scheme: &'static str,
    public_address: SocketAddr,
    admin_address: Endpoint,
    queue: String,
    sources: Vec<SourceView>,
    destinations: Vec<DestinationView>,
}

#[derive(Debug, Serialize)]
struct SourceView {
    name: Name,
    path: String,
}

#[derive(Debug, Serialize)]
struct DestinationView {
    name: Name,
    /// Method and address, without anything secret.
    request: String,
}

/// Runs `serve`.
pub(super) async fn run(args: ServeArgs, session: &Session) -> Result<(), Failure> {
    let (path, config) = session.config_file()?;
    let reader = start_logging(args.log.map_or_else(level_of_environment, Ok)?, session);
    warn(&config, reader);
    let (mut signals, mut hangups) = (Signals::listen()?, listen_for(SignalKind::hangup())?);
    let mut view = StartView::of(&config);
    let (notifier, drain_delay) = (Notifier::of_process(), config.server.drain_delay);
    notifier.status("recovers the queue");
    let inherited = Inherited::take().map_err(|error| Failure::new(Exit::Config, error))?;
    let load = Arc::new(move || config::load(&path));
    let relay = Relay::start_on(inherited, config, load, session.clock.clone()).await.map_err(refused)?;
    (view.public_address, view.admin_address) = (relay.public_address(), relay.admin_address().clone());
    session.console.show(&view, words)?;
    notifier.ready();
    let (vitals, reloader) = (relay.vitals(), relay.reloader());
    tokio::select! {
        ended = until_stopped(relay, &mut signals, drain_delay, notifier) => ended,
        never = supervise(&vitals, notifier, &session.clock) => match never {},
        never = reload_at(&mut hangups, &reloader, notifier) => match never {},
    }
}

fn refused(error: StartError) -> Failure {
    let exit = match &error {
        StartError::Listen { .. } | StartError::Store(OpenError::Locked { .. }) => Exit::Unavailable,
        StartError::Store(OpenError::Foreign { .. }) => Exit::Data,
        StartError::Store(_) | StartError::Audit(_) => Exit::Io,
        StartError::Destination { .. } | StartError::Traces(_) | StartError::OpenDoor { .. } => Exit::Config,
        StartError::Tls(_) | StartError::Bug(_) => Exit::Software,
    };
    Failure::new(exit, error)
}

/// Runs the relay until it ends by itself or a signal asks it to stop. A second signal doesn't wait for what is under way.
async fn until_stopped(
    relay: Relay,
    signals: &mut Signals,
    drain_delay: Option<Duration>,
    notifier: Notifier,
) -> Result<(), Failure> {
    let (leaving, stop) = (relay.leaving(), CancellationToken::new());
    let running = relay.run_until(stop.clone().cancelled_owned());
    tokio::pin!(running);
    let asked = tokio::select! {
        ended = &mut running => return ended.map_err(|error| Failure::new(Exit::Io, error)),
        asked = signals.next() => asked,
    };
    notifier.stopping();
    leaving.cancel();
    tokio::select! {
        ended = &mut running => return ended.map_err(|error| Failure::new(Exit::Io, error)),
        () = drained(signals, asked, drain_delay) => stop.cancel(),
    }
    tracing::info!("stopping: no new events are taken, what is under way may finish; a second signal stops at once");
    tokio::select! {
        ended = &mut running => ended.map_err(|error| Failure::new(Exit::Io, error)),
        _ = signals.next() => {
            tracing::warn!("stopped at once: what was under way is done again after the next start");
            Ok(())
        }
    }
}

/// Gives load balancers the time to turn away from a relay that isn't ready any more. Another signal ends it.
async fn drained(signals: &mut Signals, asked: Asked, drain_delay: Option<Duration>) {
    let delay = drain_delay.unwrap_or(match asked {
        Asked::ToStop => Duration::ZERO,
        Asked::ToLeave => LEAVE,
    });
    if !delay.is_zero() {
        tracing::info!("not ready any more: events are taken for {delay:?} still; another signal ends that");
        drop(timeout(delay, signals.next()).await);
    }
}

/// Reads the config again at each signal. What comes of it is in the log.
async fn reload_at(hangups: &mut Signal, reloader: &Reloader, notifier: Notifier) -> Infallible {
    loop {
        if hangups.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        notifier.reloading();
        drop(reloader.reload().await);
        notifier.ready();
    }
}

fn start_logging(level: Level, session: &Session) -> Reader {
    let reader = reader_of_log();
    telemetry::start(level, reader, session.clock.clone());
    reader
}

fn reader_of_log() -> Reader {
    let stderr = std::io::stderr();
    match colour_of(&stderr) {
        Colour::Ansi => Reader::Person(Paint::Ansi),
        Colour::Plain if stderr.is_terminal() => Reader::Person(Paint::Plain),
        Colour::Plain => {
            let stream = ProcessEnvironment.variable("JOURNAL_STREAM");
            Reader::beyond_stderr(stream.as_deref().and_then(|stream| stream.to_str()))
        }
    }
}

/// Shows people what is questionable about the config, where they look.
fn warn(config: &Config, reader: Reader) {
    match reader {
        _ if config.warnings.is_empty() => {}
        Reader::Person(_) => remark(&config.warnings.render(colour_of(&std::io::stderr()))),
        Reader::Journal | Reader::Program => tracing::warn!("{}", config.warnings.render(Colour::Plain).trim_end()),
    }
}

fn level_of_environment() -> Result<Level, Failure> {
    match ProcessEnvironment.variable("RELAY_LOG") {
        None => Ok(Level::INFO),
        Some(value) => value
            .to_string_lossy()
            .parse()
            .map_err(|error| Failure::new(Exit::Usage, format_args!("the variable RELAY_LOG: {error}"))),
    }
}

/// The signals that ask a process to stop: SIGTERM from a service manager, SIGINT from Ctrl-C; and SIGUSR2, which lets load
/// balancers turn away first.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    leave: Signal,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// To stop.
    ToStop,
    /// To stop when nobody sends anything any more.
    ToLeave,
}

impl Signals {
    /// From now on such a signal doesn't end the process by itself.
    pub(super) fn listen() -> Result<Self, Failure> {
        Ok(Self {
            terminate: listen_for(SignalKind::terminate())?,
            interrupt: listen_for(SignalKind::interrupt())?,
            leave: listen_for(SignalKind::user_defined2())?,
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::ToStop,
            _ = self.interrupt.recv() => Asked::ToStop,
            _ = self.leave.recv() => Asked::ToLeave,
        }
    }
}

fn listen_for(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::new(Exit::Io, format_args!("can't listen for signals: {error}")))
}

impl StartView {
    fn of(config: &Config) -> Self {
        let sources =
            config.sources.iter().map(|source| SourceView { name: source.name.clone(), path: source.path.clone() });
        let destinations = config
            .destinations
            .iter()
            .map(|destination| DestinationView { name: destination.name.clone(), request: destination.target.shown() });
        Self {
            scheme: config.server.scheme(),
            public_address: config.server.listen,
            admin_address: config.admin.listen.clone(),
            queue: config.queue.path.display().to_string(),
            sources: sources.collect(),
            destinations: destinations.collect(),
        }
    }
}

fn words(view: &StartView, colour: Colour) -> String {
    let fact = |name: &str, value: String| format!("{} {value}", Tone::Faint.paint(&format!("{name:<12}"), colour));
    let mut lines =
        vec![Tone::Strong.paint(concat!("atoms-relay ", env!("CARGO_PKG_VERSION"), " takes events"), colour)];
    let origin = format!("{}://{}", view.scheme, view.public_address);
    let url = |source: &SourceView| format!("{origin}{} ({})", source.path, source.name);
    lines.extend(view.sources.iter().map(|source| fact("source", url(source))));
    lines.extend(view.destinations.iter().map(|one| fact("destination", format!("{} ({})", one.request, one.name))));
    lines.push(fact("queue", view.queue.clone()));
    lines.push(fact("admin", view.admin_address.url()));
    lines.join("\n")
}
