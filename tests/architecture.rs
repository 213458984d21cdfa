//! Holds the layers of the house: imports go downhill, each library has its rooms, decisions are pure, files and functions
//! can be read at one sitting, and what ARCHITECTURE.md and README.md say is so.
//!
//! The tables below are exact in both directions: what isn't in them may not be done, and what nobody does any more has to
//! leave them. Every complaint says what to do. Sources are read as text, by a [scanner](source) of our own: what a macro
//! writes is not seen.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "a test may panic")]

#[path = "architecture/documents.rs"]
mod documents;
#[path = "architecture/source.rs"]
mod source;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use self::source::{SourceFile, Target, files_below, read};

/// Where a room stands. Later layers know earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    /// What things are.
    Nouns,
    /// What is right to do: pure.
    Decisions,
    /// What touches the world; each owns a library.
    Hands,
    /// What runs. No flow knows another.
    Flows,
    /// What puts them together.
    Composition,
}
use Layer::{Composition, Decisions, Flows, Hands, Nouns};

/// A room, its layer, and the rooms that it imports.
type Room = (&'static str, Layer, &'static [&'static str]);

/// In the order of an event's journey, which is that of `src/lib.rs`. A room imports rooms above it only.
const ROOMS: &[Room] = &[
    ("model", Nouns, &[]),
    ("verify", Decisions, &[]),
    ("phone", Decisions, &[]),
    ("template", Decisions, &["model", "phone"]),
    ("route", Decisions, &["model", "template"]),
    ("transform", Decisions, &["model", "template", "verify"]),
    ("auth", Decisions, &["model"]),
    ("address", Decisions, &[]),
    ("outcome", Decisions, &["model", "template"]),
    ("retry", Decisions, &["model", "outcome"]),
    ("rate", Decisions, &["model"]),
    ("breaker", Decisions, &["model", "outcome", "retry"]),
    ("alert", Decisions, &["breaker", "model", "rate"]),
    (
        "config",
        Decisions,
        &["address", "alert", "auth", "model", "outcome", "rate", "retry", "route", "template", "transform", "verify"],
    ),
    ("clock", Hands, &["model"]),
    ("telemetry", Hands, &["clock", "model"]),
    ("service", Hands, &[]),
    ("store", Hands, &["clock", "model", "telemetry"]),
    ("send", Hands, &["address", "auth", "model", "outcome", "transform"]),
    ("audit", Hands, &["model"]),
    ("ingest", Flows, &["auth", "clock", "model", "route", "store", "telemetry", "verify"]),
    (
        "dispatch",
        Flows,
        &["breaker", "clock", "model", "outcome", "rate", "retry", "route", "send", "store", "telemetry", "transform"],
    ),
    ("alerts", Flows, &["alert", "breaker", "clock", "model", "store", "telemetry"]),
    ("admin", Flows, &["audit", "breaker", "clock", "model", "phone", "route", "store", "telemetry"]),
    (
        "relay",
        Composition,
        &[
            "address",
            "admin",
            "alerts",
            "audit",
            "auth",
            "breaker",
            "clock",
            "config",
            "dispatch",
            "ingest",
            "model",
            "route",
            "send",
            "service",
            "store",
            "telemetry",
        ],
    ),
    (
        "cli",
        Composition,
        &[
            "address",
            "admin",
            "alert",
            "audit",
            "breaker",
            "clock",
            "config",
            "model",
            "outcome",
            "relay",
            "route",
            "send",
            "service",
            "store",
            "telemetry",
            "transform",
            "verify",
        ],
    ),
    ("main", Composition, &["cli"]),
];

/// Imports that may go through one door only: who, into which room, through which module, and why not further.
const DOORS: &[(&str, &str, &str, &str)] =
    &[("cli", "admin", "view", "commands read the documents of the admin API; they ask for them over its socket")];

/// Libraries with rooms of their own, and why more than one where there are more.
const LIBRARIES: &[(&str, &[&str], &str)] = &[
    ("annotate_snippets", &["config"], "draws the problems of a config file"),
    ("async_trait", &["store"], "its trait is used as `dyn`"),
    (
        "base64",
        &["transform", "auth", "config", "cli"],
        "keys and signatures; PEM; `Authorization: Basic`; bodies in exports",
    ),
    ("bytesize", &["config", "cli"], "sizes that people write and read"),
    ("clap", &["cli"], "the arguments"),
    ("clap_complete", &["cli"], "what shells need to complete them"),
    ("clap_mangen", &["cli"], "manual pages of them"),
    ("crc32c", &["store"], "checks the journal"),
    ("fastrand", &["clock"], "the dice"),
    ("getrandom", &["clock", "ingest"], "the dice for ids; ingest names the error that they can have"),
    ("hmac", &["verify", "transform"], "signatures that come in, and those that go out"),
    ("http_body", &["ingest", "admin"], "a body that is read piece by piece, and one that is written so"),
    ("http_body_util", &["send", "ingest", "admin", "cli"], "bodies of hyper's requests and answers"),
    ("httpdate", &["outcome"], "reads `Retry-After`"),
    ("humantime", &["model", "config", "cli"], "times and durations that people write and read"),
    (
        "hyper",
        &["send", "ingest", "admin", "cli"],
        "plain requests to destinations; the two listeners; the client of the admin API",
    ),
    ("hyper_util", &["send", "ingest", "admin", "cli"], "connects hyper with tokio; plain requests to destinations"),
    ("listenfd", &["service"], "takes over sockets that were passed"),
    ("minijinja", &["template"], "the language of conditions and templates"),
    ("percent_encoding", &["admin"], "what stands in a path"),
    ("postcard", &["store"], "the form of records on disk"),
    ("prometheus_client", &["telemetry"], "counts, and writes what was counted"),
    ("reqwest", &["send"], "the client of destinations"),
    (
        "rustix",
        &["clock", "telemetry", "ingest", "store", "cli"],
        "system calls: the time since the start; the limit of open files; the process's numbers; free disk, allocation, \
         syncs; the terminal",
    ),
    (
        "rustls",
        &["auth", "send", "ingest"],
        "whether certificates are some; what a failed handshake is about; showing ours",
    ),
    ("schemars", &["admin"], "what the documents of the API look like"),
    ("sd_notify", &["service"], "speaks to the service manager"),
    ("secrecy", &["transform", "auth", "config", "send", "admin"], "keeps secrets out of Debug and wipes them"),
    (
        "serde_json",
        &["model", "template", "transform", "auth", "outcome", "alert", "config", "telemetry", "audit", "admin", "cli"],
        "envelopes; JSON with texts to fill in, read and written; token answers; what rules see; alerts; traces; the audit \
         trail; the documents of the admin API, written and read",
    ),
    (
        "sha2",
        &["model", "verify", "transform", "config", "audit", "admin", "cli"],
        "deduplication, signatures, span ids, fingerprints, the audit trail, the token, entity tags, `explain`",
    ),
    ("sled", &["store"], "the index of the queue"),
    ("strsim", &["config"], "did you mean"),
    ("subtle", &["admin"], "compares the token without telling how near a guess was"),
    ("tempfile", &["cli"], "the demo's queue; copies of an index that is looked over"),
    ("tokio_rustls", &["ingest"], "TLS of the public side"),
    ("toml", &["config", "cli"], "reads the config; the demo writes one with a path in it"),
    ("tower", &["send", "ingest"], "what makes a connection; layers around the service"),
    ("tower_http", &["ingest"], "catches panics"),
    ("tracing_journald", &["telemetry"], "speaks the journal's protocol"),
    ("tracing_subscriber", &["telemetry"], "writes the log"),
    (
        "url",
        &["transform", "auth", "address", "config", "send", "admin", "cli"],
        "addresses, parsed once and passed on as such",
    ),
    ("uuid", &["model"], "event ids"),
];

/// Libraries that are a language: types and attributes that rooms share, or the runtime of everything that waits. (What
/// waits is no decision: see [`IMPURE`].)
const EVERYWHERE: &[&str] = &["bytes", "http", "serde", "thiserror", "tokio", "tokio_util", "tracing"];

/// What nouns and decisions may not touch: the world, the time, chance, other tasks and the log. They get all of that as
/// arguments, so each of their tests is exact.
const IMPURE: &[&str] = &[
    "fastrand",
    "getrandom",
    "hyper",
    "hyper_util",
    "reqwest",
    "rustix",
    "sled",
    "std::env",
    "std::fs",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "tempfile",
    "tokio",
    "tokio_util",
    "tracing",
];

/// Files in those layers that touch something all the same: what, and why it is right.
const IMPURE_ON_PURPOSE: &[(&str, &str, &str)] = &[
    ("src/config/environment.rs", "std::env", "the one place that reads the environment, behind a trait"),
    ("src/config/environment.rs", "std::fs", "secret files, behind the same trait"),
    ("src/config/environment.rs", "std::os", "whether others can read a secret file"),
    ("src/config/load.rs", "std::fs", "reads the config file, then hands its text to the pure part"),
    ("src/model/time.rs", "std::time::SystemTime", "converts from and to it; asks no clock"),
];

const MAX_FILE: usize = 400;
const MAX_FUNCTION: usize = 40;

/// Files that are longer, and why.
const LONG_FILES: &[(&str, &str)] =
    &[("src/admin/view.rs", "declarations only: the documents of the API, one after another")];

/// Functions that are longer, and why.
const LONG_FUNCTIONS: &[(&str, &str, &str)] = &[
    ("src/store/embedded/committer.rs", "decide", "one total `match`, an arm of three lines for each command"),
    ("src/store/embedded/start.rs", "open", "wires the parts of the store; what it decides is in `recovery`"),
];

#[test]
fn imports_go_downhill() {
    let mut complaints = Vec::new();
    for (place, (room, layer, imports)) in ROOMS.iter().enumerate() {
        for import in *imports {
            if !ROOMS.iter().take(place).any(|(above, ..)| above == import) {
                complaints.push(format!("ROOMS: `{import}` doesn't stand above `{room}`: turn the arrow around"));
            }
            if *layer == Flows && layer_of(import) == Some(Flows) {
                let way = "they meet in the store, or `relay` hands one a closure of the other";
                complaints.push(format!("ROOMS: the flow `{room}` imports the flow `{import}`: {way}"));
            }
            if *import == "config" && *layer != Composition {
                let way = "give it a parsed type of its own, which `relay` fills in";
                complaints.push(format!("ROOMS: `{room}` imports `config`: {way}"));
            }
        }
    }
    assert!(ROOMS.is_sorted_by_key(|(_, layer, _)| layer), "ROOMS: sort the rooms by their layers");
    hold(&complaints);
}

#[test]
fn every_room_imports_what_the_table_says() {
    let mut complaints = Vec::new();
    let mut found = BTreeSet::new();
    for (mention, path) in MENTIONS.iter().filter_map(|mention| Some((mention, mention.import()?))) {
        let (place, room, imported) = (&mention.place, mention.room.as_str(), path[0].as_str());
        match ROOMS.iter().find(|(name, ..)| *name == room) {
            Some((_, _, imports)) if imports.contains(&imported) => drop(found.insert((room, imported))),
            Some(_) => complaints.push(format!(
                "{place}: `{room}` imports `{imported}`, which ROOMS doesn't allow: take what it needs as an argument; if \
                 the arrow is right, add it to ROOMS"
            )),
            None => complaints.push(format!("{place}: `{room}` isn't in ROOMS: give it a place and a layer")),
        }
    }
    for (room, _, imports) in ROOMS {
        let unused = imports.iter().filter(|import| !found.contains(&(*room, **import)));
        complaints.extend(unused.map(|import| format!("ROOMS: `{room}` doesn't import `{import}`: take it out")));
    }
    hold(&complaints);
}

#[test]
fn some_rooms_are_entered_by_one_door() {
    let mut complaints = Vec::new();
    for (mention, path) in MENTIONS.iter().filter_map(|mention| Some((mention, mention.import()?))) {
        let doors = DOORS.iter().filter(|(who, room, ..)| (mention.room.as_str(), path[0].as_str()) == (*who, *room));
        for (who, room, door, why) in doors.filter(|(_, _, door, _)| path.get(1).is_none_or(|module| module != door)) {
            let (place, path) = (&mention.place, path.join("::"));
            complaints.push(format!("{place}: `{who}` may use `{room}::{door}` only, not `{path}`: {why}"));
        }
    }
    hold(&complaints);
}

#[test]
fn the_map_lists_the_rooms_in_the_order_of_the_journey() {
    let map = CODE.iter().find(|file| file.path == "src/lib.rs").unwrap();
    let order: Vec<_> = ROOMS.iter().map(|(room, ..)| *room).filter(|room| *room != "main").collect();
    assert_eq!(map.declared_modules(), order, "bring the `mod` lines of src/lib.rs and ROOMS into one order");
}

#[test]
fn each_library_has_its_rooms() {
    let mut complaints = Vec::new();
    let mut found = BTreeSet::new();
    for (mention, path) in MENTIONS.iter().filter_map(|mention| Some((mention, mention.foreign()?))) {
        let Some((library, rooms, _)) = LIBRARIES.iter().find(|(library, ..)| is_below(&path, library)) else {
            continue;
        };
        let (place, room) = (&mention.place, mention.room.as_str());
        if !rooms.contains(&room) {
            let way = "ask the room that owns it, or add the room to LIBRARIES with the reason";
            complaints.push(format!("{place}: `{library}` is for {rooms:?}, not for `{room}`: {way}"));
        }
        found.insert((*library, room));
    }
    for (library, rooms, _) in LIBRARIES {
        let unused = rooms.iter().filter(|room| !found.contains(&(*library, **room)));
        complaints.extend(unused.map(|room| format!("LIBRARIES: `{room}` doesn't use `{library}`: take it out")));
    }
    hold(&complaints);
}

#[test]
fn every_dependency_was_given_a_place() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let dependencies = manifest["dependencies"].as_table().unwrap().keys();
    let dependencies: BTreeSet<String> = dependencies.map(|name| name.replace('-', "_")).collect();
    let placed = LIBRARIES.iter().map(|(library, ..)| *library).chain(EVERYWHERE.iter().copied());
    let placed: BTreeSet<String> = placed.map(str::to_owned).collect();

    let homeless = dependencies.difference(&placed);
    let homeless =
        homeless.map(|library| format!("Cargo.toml: `{library}` has no room: add it to LIBRARIES, or do without"));
    let gone = placed.difference(&dependencies);
    let gone = gone.map(|library| format!("LIBRARIES, EVERYWHERE: `{library}` is no dependency: take it out"));
    hold(&homeless.chain(gone).collect::<Vec<_>>());
}

#[test]
fn decisions_are_pure() {
    let mut complaints = Vec::new();
    let mut needed = BTreeSet::new();
    for (mention, path) in MENTIONS.iter().filter_map(|mention| Some((mention, mention.foreign()?))) {
        let is_pure = layer_of(&mention.room).is_some_and(|layer| layer <= Decisions);
        // A module may be imported as a whole: then what is in it is as good as imported.
        let touches = |impure: &str| is_below(&path, impure) || is_below(impure, path.trim_end_matches("::*"));
        let Some(impure) = IMPURE.iter().find(|impure| is_pure && touches(impure)) else { continue };
        let (place, room) = (&mention.place, &mention.room);
        let known = IMPURE_ON_PURPOSE.iter().find(|(file, what, _)| place.starts_with(file) && what == impure);
        match known {
            Some((file, what, _)) => drop(needed.insert((*file, *what))),
            None => complaints.push(format!(
                "{place}: `{room}` decides, and touches `{path}`: take the time, the dice or the data as an argument, and \
                 leave waiting and the log to those who call it"
            )),
        }
    }
    let unneeded = IMPURE_ON_PURPOSE.iter().filter(|(file, what, _)| !needed.contains(&(*file, *what)));
    complaints
        .extend(unneeded.map(|(file, what, _)| format!("IMPURE_ON_PURPOSE: {file} has no `{what}`: take it out")));
    hold(&complaints);
}

#[test]
fn every_file_says_what_it_is_for() {
    let files = ["src", "tests", "benches"].into_iter().flat_map(files_below);
    let silent = files.filter(|file| !file.text.starts_with("//! "));
    let way = "open it with `//!`: what it decides or owns, and what it leaves to others";
    hold(&silent.map(|file| format!("{}: {way}", file.path)).collect::<Vec<_>>());
}

#[test]
fn no_file_is_too_long() {
    let long: BTreeMap<_, _> = CODE
        .iter()
        .map(|file| (file.path.as_str(), file.lines_without_tests()))
        .filter(|(_, lines)| *lines > MAX_FILE)
        .collect();
    let known: BTreeSet<_> = LONG_FILES.iter().map(|(path, _)| *path).collect();

    let new = long.iter().filter(|(path, _)| !known.contains(**path)).map(|(path, lines)| {
        format!(
            "{path}: {lines} lines without tests, more than {MAX_FILE}: move what stands by itself into its own file"
        )
    });
    let short = known.iter().filter(|path| !long.contains_key(**path));
    let short = short.map(|path| format!("LONG_FILES: {path} isn't long: take it out"));
    hold(&new.chain(short).collect::<Vec<_>>());
}

#[test]
fn no_function_is_too_long() {
    let functions =
        CODE.iter().flat_map(|file| file.functions().into_iter().map(|function| (file.path.as_str(), function)));
    let long: Vec<_> = functions.filter(|(_, function)| function.lines > MAX_FUNCTION).collect();
    let is_known = |path: &str, name: &str| LONG_FUNCTIONS.iter().any(|known| (known.0, known.1) == (path, name));
    let is_long =
        |path: &str, name: &str| long.iter().any(|(file, function)| (*file, function.name.as_str()) == (path, name));

    let new = long.iter().filter(|(path, function)| !is_known(path, &function.name)).map(|(path, function)| {
        let source::Function { name, line, lines } = function;
        format!("{path}:{line}: `{name}` has {lines} lines, more than {MAX_FUNCTION}: make functions of its steps")
    });
    let short = LONG_FUNCTIONS.iter().filter(|(path, name, _)| !is_long(path, name));
    let short = short.map(|(path, name, _)| format!("LONG_FUNCTIONS: `{name}` of {path} isn't long: take it out"));
    hold(&new.chain(short).collect::<Vec<_>>());
}

/// The files of the crate that are no tests.
static CODE: LazyLock<Vec<SourceFile>> =
    LazyLock::new(|| files_below("src").into_iter().filter(|file| !file.is_test()).collect());

/// Every path in them but those of `src/lib.rs`, which belongs to no room.
static MENTIONS: LazyLock<Vec<Mention>> = LazyLock::new(|| CODE.iter().flat_map(mentions).collect());

/// Something that a room names.
struct Mention {
    room: String,
    /// File and line.
    place: String,
    target: Target,
}

fn mentions(file: &SourceFile) -> Vec<Mention> {
    let Some(room) = file.module().into_iter().next() else { return Vec::new() };
    let paths = file.paths().into_iter();
    paths.map(|(line, target)| Mention { room: room.clone(), place: format!("{}:{line}", file.path), target }).collect()
}

impl Mention {
    /// The path from the root of the crate, when it leads into another room.
    fn import(&self) -> Option<&[String]> {
        match &self.target {
            Target::Own(path) => path.first().filter(|imported| **imported != self.room).map(|_| path.as_slice()),
            Target::Foreign(_) => None,
        }
    }

    /// The path from the name of a library, or from a name that was imported.
    fn foreign(&self) -> Option<String> {
        match &self.target {
            Target::Foreign(path) => Some(path.join("::")),
            Target::Own(_) => None,
        }
    }
}

/// Whether `path` is `start` or below it.
fn is_below(path: &str, start: &str) -> bool {
    path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn layer_of(name: &str) -> Option<Layer> {
    ROOMS.iter().find(|(room, ..)| *room == name).map(|(_, layer, _)| *layer)
}

fn hold(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n\n{}\n", complaints.join("\n"));
}
