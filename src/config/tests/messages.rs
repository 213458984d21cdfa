//! What people are told for each kind of mistake.

use super::*;
use crate::config::{Colour, SecretFile};

/// All that is underlined, wrong and advised, one problem a line.
fn told(text: &str) -> String {
    problems(text).iter().map(|problem| show(text, problem) + "\n").collect()
}

/// Checks what is told of [`MINIMAL`] with a line more.
fn check_line(header: &str, line: &str, expected: &str) {
    assert_eq!(only_problem(&minimal_with_line(header, line)), expected);
}

const SERVER: &str = "[server]";
const ADMIN: &str = "[admin]";
const QUEUE: &str = "[queue]";
const SOURCE: &str = "[source.atoms]";
const DESTINATION: &str = "[destination.crm]";
const ROUTE: &str = "[[route]]";

#[test]
fn a_file_full_of_mistakes_is_told_all_of_them_as_a_compiler_would() {
    let text = include_str!("mistakes.toml");
    let expected = include_str!("mistakes.txt");
    assert_eq!(problems(text).render(Colour::Plain), expected);
}

#[test]
fn colours_come_only_when_asked_for() {
    let problems = problems("x = 1");
    assert!(!problems.render(Colour::Plain).contains('\u{1b}'));
    assert!(problems.render(Colour::Ansi).contains('\u{1b}'));
    assert_eq!(problems.to_string(), problems.render(Colour::Plain));
}

#[test]
fn an_unknown_key_is_told_what_it_may_have_meant() {
    check_line(SERVER, "listn = 1", "error: listn | [server] has no key `listn` | did you mean `listen`?");
    check_line(
        SERVER,
        "retention = 1",
        "error: retention | [server] has no key `retention` | `retention` belongs into [queue]",
    );
    check_line(
        SERVER,
        "workers = 1",
        "error: workers | [server] has no key `workers` | it can have `listen`, `max_body`, `accept_deadline`, `drain_delay`, `tls`",
    );
    check_line(
        "[servers]",
        "",
        "error: servers | the top level of the file has no key `servers` | did you mean `server`?",
    );
    check_line(
        DESTINATION,
        "retry = { maximum = \"1h\" }",
        "error: maximum | `retry` of [destination.crm] has no key `maximum` | it can have `initial`, `max`, `give_up_after`",
    );
}

#[test]
fn a_key_of_a_later_version_says_so() {
    for (header, line) in [("[calls]", "deadline = \"30m\""), ("[atoms]", "base_url = \"https://x\"")] {
        let problem = only_problem(&minimal_with_line(header, line));
        assert!(problem.contains("is not in this version"), "{problem}");
    }
}

#[test]
fn a_condition_is_compiled_where_it_stands() {
    for (line, expected) in [
        (
            "when = \"call.status = 'completed'\"",
            "error: = | `when` is no condition: unexpected input after expression | to compare, write `==`",
        ),
        (
            "when = \"\"\"\ncall.status == \\\"x\\\"\n  and call.id | nosuch\"\"\"",
            "error: nosuch | `when` is no condition: there is no filter `nosuch` | -",
        ),
        (
            "when = 'call.status | uper == \"X\"'",
            "error: uper | `when` is no condition: there is no filter `uper` | did you mean `upper`?",
        ),
        (
            "when = 'call.id is nune'",
            "error: nune | `when` is no condition: there is no test `nune` | did you mean `none`?",
        ),
        (
            "when = 'call.id == 1 && true'",
            "error: && | `when` is no condition: there is no operator `&&` | write `and`",
        ),
        ("when = '!call.id'", "error: ! | `when` is no condition: there is no operator `!` | write `not`"),
        (
            "when = 'call.stauts == 1'",
            "error: call.stauts | nothing is called `call.stauts` here | did you mean `status`?",
        ),
        ("when = 'cal.id == 1'", "error: cal | nothing is called `cal` here | did you mean `call`?"),
        (
            "when = 1",
            "error: 1 | `when` has to be a text in quotes, not a number | write `when = \"call.status == 'completed'\"`",
        ),
    ] {
        check_line(ROUTE, line, expected);
    }
    for (condition, kind) in [("call.status == 'completed' or 'busy'", "string"), ("call.status", "none")] {
        let told = only_problem(&minimal_with_line(ROUTE, &format!("when = \"{condition}\"")));
        let expected = format!(
            "warning: \"{condition}\" | `when` isn't always true or false: it can come to a value of type {kind}"
        );
        assert!(told.starts_with(&expected), "{told}");
    }
    let lines = "when = \"\"\"\ncall.status == 'completed'\n  and variables.vip | default(false)\"\"\"";
    assert!(problems(&minimal_with_line(ROUTE, lines)).is_empty());
}

#[test]
fn a_wrong_type_says_what_to_write() {
    check_line(
        SOURCE,
        "signature_header = 7",
        "error: 7 | `signature_header` has to be a text in quotes, not a number | write `signature_header = \"X-Signature\"`",
    );
    check_line(
        ROUTE,
        "agents = \"a\"",
        "error: \"a\" | `agents` has to be a list, not a text | write `agents = [\"68c1f0aa41d2b7e5903c11a4\"]`",
    );
    check_line(
        ROUTE,
        "agents = [1]",
        "error: 1 | `agents` has to be a list of texts, not a number | write `agents = [\"68c1f0aa41d2b7e5903c11a4\"]`",
    );
    check_line(
        DESTINATION,
        "retry = true",
        "error: true | `retry` of [destination.crm] has to be a section or a table, not true or false | it can have `initial`, `max`, `give_up_after`",
    );
    check_line(
        DESTINATION,
        "headers = \"x\"",
        "error: \"x\" | `headers` has to be a section or a table, not a text | write `headers = { X-Team = \"voice\" }`",
    );
    check_line(
        DESTINATION,
        "concurrency = 0",
        "error: 0 | `concurrency` has to be a whole number from 1 to 1000 | write `concurrency = 8`",
    );
    let text = minimal_with("to = [\"crm\"]", "to = \"crm\"");
    assert!(told(&text).contains("`to` has to be a list, not a text | write `to = [\"crm\"]`"), "{}", told(&text));
}

#[test]
fn a_section_without_its_brackets_or_name_is_told_how_to_write_it() {
    assert!(told("route = 1").contains("write `[[route]]`"));
    assert!(told("[route]\nto = [\"crm\"]").contains("write `[[route]]`"));
    assert!(
        told("[source]\npath = \"/x\"")
            .contains("path | `path` stands in [source], which lacks a name | write `[source.NAME]` above it")
    );
    assert!(told("[[destination]]\nname = \"crm\"").contains("`destination` has to be a section or a table, not a list | write `[destination.NAME]` with a name of your choice"));
    assert!(told("server = 1").contains("[server] has to be a section or a table, not a number"));
}

#[test]
fn durations_and_sizes_need_units_and_have_bounds() {
    check_line(
        DESTINATION,
        "timeout = 15",
        "error: 15 | `timeout` has to be a duration in quotes, with its unit, not a number | write `timeout = \"15s\"`",
    );
    check_line(
        DESTINATION,
        "timeout = [1]",
        "error: [1] | `timeout` has to be a duration in quotes, with its unit, not a list | write `timeout = \"15s\"`",
    );
    check_line(
        DESTINATION,
        "timeout = \"15\"",
        "error: \"15\" | `timeout` has to be a number with a unit: ms, s, m, h, d, for example \"250ms\", \"15s\", \"1h 30m\" | write `timeout = \"15s\"`",
    );
    check_line(
        DESTINATION,
        "timeout = \"0s\"",
        "error: \"0s\" | `timeout` has to be between 1ms and 10m: an attempt that hangs takes one of the `concurrency` places for that long | write `timeout = \"15s\"`",
    );
    check_line(
        SERVER,
        "accept_deadline = \"30s\"",
        "error: \"30s\" | `accept_deadline` has to be between 1ms and 29s: Atoms gives an event up after 30s | write `accept_deadline = \"20s\"`",
    );
    check_line(
        SERVER,
        "max_body = 8",
        "error: 8 | `max_body` has to be a size in quotes, with its unit, not a number | write `max_body = \"8B\"`",
    );
    check_line(
        SERVER,
        "max_body = \"8 megs\"",
        "error: \"8 megs\" | `max_body` has to be a number with a unit: B, KiB, MiB, GiB (1024s) or KB, MB, GB (1000s) | write `max_body = \"8MiB\"`",
    );
    check_line(
        SERVER,
        "max_body = \"1GiB\"",
        "error: \"1GiB\" | `max_body` has to be between 1B and 32MiB: each request in flight may take that much memory | write `max_body = \"8MiB\"`",
    );
    check_line(
        SERVER,
        "max_body = \"64KB\"",
        "warning: \"64KB\" | an event with a larger body than `max_body` is lost: Atoms never sends it again | leave it at 8MiB, far above the largest transcript",
    );
    check_line(
        QUEUE,
        "dead_letter_retention = \"0s\"",
        "error: \"0s\" | `dead_letter_retention` has to be between 1s and 3652d: a dead letter that is thrown away at once is a lost event | write `dead_letter_retention = \"30d\"`",
    );
    assert!(problems(&minimal_with_line(QUEUE, "retention = \"0s\"")).is_empty());
}

#[test]
fn every_way_to_write_a_size_is_understood() {
    for (written, bytes) in
        [("512KB", 512_000), ("1MiB", 1 << 20), ("2 GB", 2_000_000_000), ("1.5GiB", 3 << 29), ("0B", 0)]
    {
        let config = valid(&minimal_with_line(QUEUE, &format!("min_free_disk = \"{written}\"")));
        assert_eq!(config.queue.min_free_disk, bytes, "{written}");
    }
}

#[test]
fn addresses_to_listen_on_are_completed() {
    check_line(
        SERVER,
        "listen = \"localhost:8080\"",
        "error: \"localhost:8080\" | `listen` has to be an IP address and a port | write `listen = \"127.0.0.1:8080\"`",
    );
    check_line(
        SERVER,
        "listen = \"8081\"",
        "error: \"8081\" | `listen` has to be an IP address and a port | write `listen = \"127.0.0.1:8081\"`",
    );
    check_line(
        SERVER,
        "listen = \"relay.example\"",
        "error: \"relay.example\" | `listen` has to be an IP address and a port | write `listen = \"127.0.0.1:8080\"`",
    );
}

#[test]
fn both_listeners_cannot_have_one_address() {
    check_line(
        SERVER,
        "listen = \"0.0.0.0:9090\"",
        "error: \"0.0.0.0:9090\" | [server] listens on 0.0.0.0:9090 already | give each of the two a port of its own",
    );
    let both = minimal_with_line(SERVER, "listen = \"127.0.0.1:7000\"\n[admin]\nlisten = \"127.0.0.1:7000\"");
    assert!(problems(&both).to_string().contains("---------------- here"), "{}", problems(&both));
    assert!(problems(&both.replace("7000", "0")).is_empty(), "port 0 is a new port each time");
}

#[test]
fn beyond_this_machine_the_admin_listener_wants_a_token() {
    check_line(
        ADMIN,
        "listen = \"0.0.0.0:9191\"",
        "error: \"0.0.0.0:9191\" | whoever can reach 0.0.0.0:9191 could see and steer the relay, for [admin] has no `token` | add `token = { file = \"/etc/atoms-relay/admin-token\" }`, or listen on a loopback address or on a Unix socket",
    );
    for fine in [
        "listen = \"[::1]:9191\"",
        "listen = \"unix:admin.sock\"",
        "listen = \"0.0.0.0:9191\"\ntoken = { env = \"ADMIN_TOKEN\" }\nnames = [\"relay.internal\", \"relay.example:8443\"]",
    ] {
        assert!(problems(&minimal_with_line(ADMIN, fine)).is_empty(), "{fine}");
    }
    let config = valid(&minimal_with_line(ADMIN, "listen = \"unix:/run/atoms-relay/admin.sock\""));
    assert_eq!(config.admin.listen.to_string(), "unix:/run/atoms-relay/admin.sock");
}

#[test]
fn a_token_that_nobody_can_send_or_anybody_can_guess_is_told() {
    let told_of = |token: &str| {
        let environment = environment().with_variable("ADMIN_TOKEN", token);
        let text = minimal_with_line(ADMIN, "token = { env = \"ADMIN_TOKEN\" }");
        let problems = Config::parse("relay.toml", &text, &environment);
        let problems = problems.map_or_else(|problems| problems, |config| config.warnings);
        assert!(!problems.to_string().contains(token), "{problems}");
        problems.iter().map(|problem| show(&text, problem) + "\n").collect::<String>()
    };
    assert!(
        told_of("open sesame, please")
            .contains("`token` holds something that can't stand in an `Authorization` header")
    );
    assert_eq!(
        told_of("open-sesame"),
        "warning: { env = \"ADMIN_TOKEN\" } | this token has less than 16 characters, so it can be guessed | make one with `openssl rand -hex 32`\n"
    );
}

#[test]
fn sockets_and_names_that_cannot_be_are_told() {
    check_line(
        ADMIN,
        "listen = \"unix:\"",
        "error: \"unix:\" | `listen` names no file after `unix:` | write `listen = \"unix:/run/atoms-relay/admin.sock\"`",
    );
    let long = format!("listen = \"unix:/run/{}\"", "x".repeat(102));
    assert!(
        told(&minimal_with_line(ADMIN, &long))
            .contains("`listen` names a path of more than 106 bytes, which no socket can have")
    );
    check_line(
        ADMIN,
        "names = [\"https://relay.internal/\"]",
        "error: \"https://relay.internal/\" | `https://relay.internal/` is not the name of a host | write the name by which browsers and tools call it: `names = [\"relay.internal\"]`",
    );
}

#[test]
fn what_is_missing_is_told_with_a_line_to_write() {
    let without = |line: &str| only_problem(&MINIMAL.replace(line, ""));
    assert_eq!(
        without("path = \"/webhook\""),
        "error: [source.atoms] | [source.atoms] has no `path` | write `path = \"/webhook\"`"
    );
    assert_eq!(
        without("secrets = [{ env = \"ATOMS_WEBHOOK_SECRET\" }]"),
        "error: [source.atoms] | [source.atoms] has no `secrets` | write `secrets = [{ env = \"ATOMS_WEBHOOK_SECRET\" }]`"
    );
    assert_eq!(
        without("url = \"https://crm.internal.example/api/calls\""),
        "error: [destination.crm] | [destination.crm] has no `url` | write `url = \"https://crm.internal.example/api/calls\"`"
    );
    assert!(
        told(&minimal_with("to = [\"crm\"]", ""))
            .contains("error: [[route]] | [[route]] number 1 has no `to` | write `to = [\"crm\"]`")
    );
    assert_eq!(
        without("[[route]]\nto = [\"crm\"]"),
        "warning: file | there is no route: events will be kept, and none delivered | write a section `[[route]]` with `to`"
    );
    assert!(told("").contains("error: file | there is no source: nothing could ever come in"));
}

#[test]
fn a_source_needs_a_path_of_its_own() {
    let with_path = |path: &str| only_problem(&minimal_with("\"/webhook\"", path));
    assert_eq!(
        with_path("\"webhook\""),
        "error: \"webhook\" | `path` has to begin with `/` | write `path = \"/webhook\"`"
    );
    assert!(with_path("\"/web hook\"").contains("holds a character that a path can't have"));
    assert!(with_path("\"/x?y\"").contains("is a path only"));
    assert!(with_path("\"/healthz\"").contains("the relay answers itself"));
    let second =
        format!("[source.b]\npath = \"/webhook\"\nsecrets = [{{ env = \"ATOMS_WEBHOOK_SECRET\" }}]\n{MINIMAL}");
    assert_eq!(
        only_problem(&second),
        "error: \"/webhook\" | two sources have the path `/webhook` | give each source a path of its own"
    );
    assert!(problems(&second).to_string().contains("the first one"));
}

#[test]
fn a_signature_header_has_to_be_able_to_carry_one() {
    check_line(
        SOURCE,
        "signature_header = \"X Sig\"",
        "error: \"X Sig\" | `signature_header` is not a header that could carry a signature | write `signature_header = \"X-Signature\"`",
    );
    assert!(told(&minimal_with_line(SOURCE, "signature_header = \"Host\"")).contains("not a header that could"));
    let config = valid(&minimal_with_line(SOURCE, "signature_header = \"X-Atoms-Signature\""));
    assert_eq!(config.sources[0].verifier.header(), "x-atoms-signature");
}

#[test]
fn names_are_checked_where_they_are_given() {
    let text =
        MINIMAL.replace("destination.crm", "destination.\"my crm\"").replace("to = [\"crm\"]", "to = [\"my crm\"]");
    assert_eq!(only_problem(&text), "error: \"my crm\" | a name can't hold ' ': use letters, digits, `-` and `_` | -");
}

#[test]
fn a_reference_to_nobody_is_told_whom_it_may_have_meant() {
    let text = minimal_with("to = [\"crm\"]", "to = [\"crm\", \"crn\"]");
    assert_eq!(only_problem(&text), "error: \"crn\" | there is no destination `crn` | did you mean `crm`?");
    check_line(
        ROUTE,
        "sources = [\"telephony\"]",
        "error: \"telephony\" | there is no source `telephony` | there are `atoms`; for a new one write a section `[source.telephony]`",
    );
}

#[test]
fn a_route_that_fits_or_reaches_nobody_is_an_error() {
    check_line(
        ROUTE,
        "agents = []",
        "error: [] | `agents` is an empty list, which no event fits | leave `agents` out to take all",
    );
    assert!(told(&minimal_with("[\"crm\"]", "[]")).contains("error: [] | `to` names nobody | write `to = [\"crm\"]`"));
}

#[test]
fn a_destination_without_a_route_is_warned_about() {
    let text = format!("{MINIMAL}[destination.idle]\nurl = \"https://idle.example/\"\n");
    assert_eq!(
        only_problem(&text),
        "warning: idle | no route leads to the destination `idle` | write a section `[[route]]` with `to = [\"idle\"]`"
    );
}

#[test]
fn an_event_type_that_atoms_does_not_send_is_warned_about() {
    check_line(
        ROUTE,
        "events = [\"post_conversation\"]",
        "warning: \"post_conversation\" | Atoms is not known to send `post_conversation` | did you mean `post-conversation`?",
    );
    check_line(
        ROUTE,
        "events = [\"call-completed\"]",
        "error: \"call-completed\" | `call-completed` is not in this version | route the three events of a call one by one; they share its `callId`",
    );
}

#[test]
fn secrets_that_are_not_there_are_told_by_their_place() {
    let with_secret = |secret: &str| told(&minimal_with("{ env = \"ATOMS_WEBHOOK_SECRET\" }", secret));
    for (secret, message) in [
        ("{ env = \"UNSET\" }", "error: \"UNSET\" | the environment variable `UNSET` is not set | "),
        (
            "{ file = \"/run/none\" }",
            "error: \"/run/none\" | the secret file /run/none can't be read: entity not found | ",
        ),
        (
            "{ credential = \"atoms\" }",
            "error: \"atoms\" | there are no credentials here: `CREDENTIALS_DIRECTORY` is not set | ",
        ),
        ("{ env = 7 }", "error: 7 | `env` has to be a text in quotes, not a number | "),
        (
            "{ env = \"a\", file = \"b\" }",
            "| a secret is given by one of `env`, `file`, `credential` | for example `{ env = \"NAME\" }`",
        ),
        ("{}", "error: {} | a secret is given by one of `env`, `file`, `credential` | "),
        ("{ enf = \"A\" }", "error: enf | a secret has no key `enf` | did you mean `env`?"),
        ("7", "error: 7 | `secrets` has to be a text in quotes or a secret, not a number | "),
        ("\"\"", "error: \"\" | `secrets` is an empty secret | "),
    ] {
        assert!(with_secret(secret).contains(message), "{}", with_secret(secret));
        assert_eq!(with_secret(secret).lines().count(), 1, "{}", with_secret(secret));
    }
    assert!(
        told(&minimal_with("[{ env = \"ATOMS_WEBHOOK_SECRET\" }]", "[]"))
            .contains("`secrets` is empty: a source needs")
    );
    assert!(
        told(&minimal_with("[{ env = \"ATOMS_WEBHOOK_SECRET\" }]", "{ env = \"A\" }")).contains("has to be a list")
    );
}

#[test]
fn secrets_that_are_no_good_are_told_without_showing_them() {
    let told_of = |value: &str| {
        let environment = environment().with_variable("ATOMS_WEBHOOK_SECRET", value);
        let result = Config::parse("relay.toml", MINIMAL, &environment);
        let problems = result.map_or_else(|problems| problems, |config| config.warnings);
        assert!(value.is_empty() || !problems.to_string().contains(value), "{problems}");
        problems.iter().map(|problem| show(MINIMAL, problem) + "\n").collect::<String>()
    };
    assert!(
        told_of("")
            .starts_with("error: \"ATOMS_WEBHOOK_SECRET\" | the environment variable `ATOMS_WEBHOOK_SECRET` is empty")
    );
    assert!(told_of("Change-Me!").contains("error: { env = \"ATOMS_WEBHOOK_SECRET\" } | this secret is a placeholder"));
    assert!(told_of("<the secret of the webhook>").contains("is a placeholder"));
    assert!(
        told_of("hunter2")
            .contains("warning: { env = \"ATOMS_WEBHOOK_SECRET\" } | this secret has less than 32 characters")
    );
    assert!(told_of(&format!("{SECRET}\n")).contains("warning: \"ATOMS_WEBHOOK_SECRET\" | the environment variable `ATOMS_WEBHOOK_SECRET` starts or ends with white space"));
    assert_eq!(told_of(SECRET), "");
}

#[test]
fn secret_files_lose_one_line_break_and_are_looked_at() {
    let text = minimal_with("{ env = \"ATOMS_WEBHOOK_SECRET\" }", "{ file = \"secret\" }");
    let told_of = |content: &[u8], readable_by_others: bool| {
        let file = SecretFile { content: content.to_vec().into(), readable_by_others };
        let environment = FixedEnvironment::default().with_secret_file("/etc/relay/secret", file);
        match Config::parse("/etc/relay/relay.toml", &text, &environment) {
            Ok(config) => (config.warnings.to_string(), Some(config.sources[0].verifier.clone())),
            Err(problems) => (problems.to_string(), None),
        }
    };
    for ending in ["", "\n", "\r\n"] {
        let (warnings, verifier) = told_of(format!("{SECRET}{ending}").as_bytes(), false);
        assert_eq!(warnings, "");
        let signature = crate::verify::sign(SECRET, b"body").unwrap();
        let headers =
            [(http::HeaderName::from_static("x-signature"), signature.parse().unwrap())].into_iter().collect();
        assert!(verifier.unwrap().verify(&headers, "body".into()).is_ok(), "{ending:?}");
    }
    assert!(told_of(SECRET.as_bytes(), true).0.contains("the secret file /etc/relay/secret can be read by others"));
    assert!(told_of(b"\n", false).0.contains("the secret file /etc/relay/secret is empty"));
    assert!(told_of(b"\xff\xfe", false).0.contains("is not UTF-8 text"));
}

#[test]
fn credentials_come_from_the_folder_that_systemd_names() {
    let text = minimal_with("{ env = \"ATOMS_WEBHOOK_SECRET\" }", "{ credential = \"atoms\" }");
    let environment = FixedEnvironment::default()
        .with_variable("CREDENTIALS_DIRECTORY", "/run/credentials/relay")
        .with_file("/run/credentials/relay/atoms", SECRET.as_bytes());
    assert!(Config::parse("relay.toml", &text, &environment).unwrap().warnings.is_empty());
}

#[test]
fn a_literal_secret_works_with_a_warning() {
    let text = minimal_with("{ env = \"ATOMS_WEBHOOK_SECRET\" }", &format!("\"{SECRET}\""));
    assert!(only_problem(&text).contains(
        "| this secret stands in the file, so every copy of the file shows it | put it into the environment"
    ));
    let shown = problems(&text).to_string();
    assert!(shown.contains(&format!("secrets = [\"{}\"]", "*".repeat(SECRET.len()))), "{shown}");
    assert!(!shown.contains(SECRET));
}

#[test]
fn an_address_has_to_be_whole_and_without_credentials() {
    let with_url = |url: &str| only_problem(&minimal_with("\"https://crm.internal.example/api/calls\"", url));
    assert_eq!(
        with_url("\"crm.internal.example/api\""),
        "error: \"crm.internal.example/api\" | `url` is not an address | write it whole, for example `\"https://crm.internal.example/api/calls\"`"
    );
    assert!(with_url("\"localhost:80\"").contains("has to begin with `https://` or `http://`"));
    assert!(
        with_url("\"https://u:p@crm.example/\"")
            .contains("holds a user name or a password | take them out and write `auth")
    );
    assert!(with_url("\"https://crm.example/#x\"").contains("holds a `#`"));
    assert!(
        with_url("\"https://hooks.slack.com/services/T0/B0/xYz1xYz2xYz3xYz4xYz5\"").contains("seems to hold a token")
    );
    assert!(with_url("7").contains("`url` has to be a text in quotes or a secret, not a number"));
}

#[test]
fn an_address_from_a_secret_is_secret() {
    let config = valid(&minimal_with("\"https://crm.internal.example/api/calls\"", "{ env = \"CRM_URL\" }"));
    assert!(config.destinations[0].target.url.is_secret() && config.warnings.is_empty());
    assert!(!valid(MINIMAL).destinations[0].target.url.is_secret());
    let wrong = minimal_with("\"https://crm.internal.example/api/calls\"", "{ env = \"CRM_TOKEN\" }");
    assert!(told(&wrong).starts_with("error: { env = \"CRM_TOKEN\" } | `url` is not an address"));
}

#[test]
fn methods_and_bodies_are_among_those_there_are() {
    check_line(
        DESTINATION,
        "method = \"put\"",
        "error: \"put\" | `method` has to be one of `POST`, `PUT`, `PATCH`, `DELETE` | write `method = \"PUT\"`",
    );
    check_line(
        DESTINATION,
        "body = \"normalised\"",
        "error: \"normalised\" | `body` has to be one of `raw`, `normalized` | write `body = \"normalized\"`",
    );
    assert_eq!(valid(&minimal_with_line(DESTINATION, "method = \"PUT\"")).destinations[0].target.method, "PUT");
}

#[test]
fn headers_of_the_relay_cannot_be_set() {
    for name in ["Content-Type", "X-Relay-Event", "idempotency-key", "X-Signature"] {
        let told = only_problem(&minimal_with_line(DESTINATION, &format!("headers = {{ {name} = \"x\" }}")));
        assert!(told.starts_with(&format!("error: {name} | the header `{name}` can't be set here: ")), "{told}");
    }
    assert!(
        told(&minimal_with_line(DESTINATION, "headers = { \"a b\" = \"x\" }"))
            .contains("no header can be called `a b`")
    );
    assert!(
        told(&minimal_with_line(DESTINATION, "headers = { X-A = \"x\", x-a = \"y\" }"))
            .contains("`x-a` is there twice")
    );
    assert!(
        told(&minimal_with_line(DESTINATION, "headers = { X-A = \"x\\ny\" }"))
            .contains("a character that a header can't carry")
    );
}

#[test]
fn headers_may_be_secrets_and_those_are_marked() {
    let config =
        valid(&minimal_with_line(DESTINATION, "headers = { X-Team = \"voice\", X-Key = { env = \"CRM_TOKEN\" } }"));
    let headers = &config.destinations[0].target.headers;
    assert!(!headers["x-team"].is_sensitive() && headers["x-key"].is_sensitive());
    assert_eq!(headers["x-key"], "crm-token-0123456789");
    check_line(
        DESTINATION,
        "headers = { X-Api-Key = \"hunter2\" }",
        "warning: \"hunter2\" | this secret stands in the file, so every copy of the file shows it | put it into the environment and write `{ env = \"NAME\" }`, or into a file and write `{ file = \"/path\" }`",
    );
}

#[test]
fn auth_becomes_one_authorization_header() {
    let authorization = |auth: &str| {
        let config = valid(&minimal_with_line(DESTINATION, &format!("auth = {auth}")));
        let value = config.destinations[0].target.headers["authorization"].clone();
        assert!(value.is_sensitive());
        value
    };
    assert_eq!(authorization("{ bearer = { env = \"CRM_TOKEN\" } }"), "Bearer crm-token-0123456789");
    // From RFC 7617, section 2.
    assert_eq!(
        authorization("{ basic = { user = \"Aladdin\", password = \"open sesame\" } }"),
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    );
}

#[test]
fn auth_that_cannot_be_is_told_why() {
    for (auth, message) in [
        ("{}", "`auth` takes one of `bearer`, `basic`, `header`, `oauth2`"),
        (
            "{ bearer = { env = \"CRM_TOKEN\" }, basic = {} }",
            "`auth` takes one of `bearer`, `basic`, `header`, `oauth2`",
        ),
        ("\"Bearer x\"", "`auth` of [destination.crm] has to be a section or a table, not a text"),
        ("{ baerer = \"x\" }", "did you mean `bearer`?"),
        ("{ basic = { user = \"a:b\", password = { env = \"CRM_TOKEN\" } } }", "`user` can't hold a `:`"),
        ("{ basic = { user = \"a\" } }", "`basic` of `auth` of [destination.crm] has no `password`"),
        ("{ bearer = { env = \"UNSET\" } }", "`UNSET` is not set"),
    ] {
        let told = only_problem(&minimal_with_line(DESTINATION, &format!("auth = {auth}")));
        assert!(told.contains(message), "{told}");
    }
    let twice = "auth = { bearer = { env = \"CRM_TOKEN\" } }\nheaders = { Authorization = { env = \"CRM_TOKEN\" } }";
    assert!(only_problem(&minimal_with_line(DESTINATION, twice)).contains("and `headers` has it, too"));
    let folded = minimal_with_line(DESTINATION, "auth = { bearer = \"a\\nb\" }");
    assert!(told(&folded).contains("this secret holds a character that a header can't carry"));
}

#[test]
fn timeouts_and_retries_have_to_fit_together() {
    check_line(
        DESTINATION,
        "connect_timeout = \"1m\"",
        "error: \"1m\" | `connect_timeout` is longer than `timeout` (15s) | connecting is part of `timeout`: shorten the one, or lengthen the other",
    );
    let short = valid(&minimal_with_line(DESTINATION, "timeout = \"2s\""));
    assert_eq!(short.destinations[0].connect_timeout, short.destinations[0].timeout);
    check_line(
        DESTINATION,
        "retry = { initial = \"2h\", max = \"1h\" }",
        "error: \"2h\" | `max` has to be at least `initial` | `max` is 1h here",
    );
    assert!(problems(&minimal_with_line(DESTINATION, "retry = { initial = \"2h\" }")).is_empty());
    assert!(problems(&minimal_with_line(DESTINATION, "retry = { max = \"1s\" }")).is_empty());
    check_line(
        DESTINATION,
        "retry.give_up_after = \"1s\"",
        "warning: \"1s\" | nothing is ever tried again: the first retry comes after 5s | make `give_up_after` longer than `initial`",
    );
}

#[test]
fn relative_paths_start_at_the_folder_of_the_file() {
    let config = Config::parse("/etc/atoms-relay/relay.toml", MINIMAL, &environment()).unwrap();
    assert_eq!(config.queue.path, std::path::Path::new("/etc/atoms-relay/data"));
    let absolute = minimal_with_line(QUEUE, "path = \"/var/lib/atoms-relay\"");
    let config = Config::parse("/etc/atoms-relay/relay.toml", &absolute, &environment()).unwrap();
    assert_eq!(config.queue.path, std::path::Path::new("/var/lib/atoms-relay"));
    check_line(QUEUE, "path = \"\"", "error: \"\" | `path` is empty | write `path = \"data\"`");
}

#[test]
fn one_slip_in_the_syntax_hides_no_other_mistake() {
    let text = minimal_with("\"/webhook\"", "/webhook").replace("[\"crm\"]", "[\"crn\"]");
    let told = told(&text);
    assert!(told.contains("error: /webhook | this is not TOML: "), "{told}");
    assert!(told.contains("there is no destination `crn`"), "{told}");
}

#[test]
fn what_the_parser_had_to_skip_is_not_called_missing() {
    let text = minimal_with("[{ env = \"ATOMS_WEBHOOK_SECRET\" }]", "[{ env = \"ATOMS_WEBHOOK_SECRET\" }");
    let problems = problems(&text);
    assert_eq!(problems.iter().count(), 1, "{problems}");
    assert_eq!(problems.count(Severity::Error), 1);
}

#[test]
fn control_characters_of_the_file_never_reach_a_terminal() {
    let problems = problems("\"\\u001b[31mred\" = 1\n");
    assert!(!problems.to_string().contains('\u{1b}'), "{problems}");
    assert!(problems.iter().all(|problem| !problem.message().contains('\u{1b}')));
}

#[test]
fn texts_have_no_control_characters() {
    check_line(
        ROUTE,
        "name = \"a\\tb\"",
        "error: \"a\\tb\" | `name` holds a control character, such as a line break | write `name = \"finished calls to the CRM\"`",
    );
    check_line(
        ROUTE,
        "agents = [\"a\\nb\"]",
        "error: \"a\\nb\" | `agents` holds a control character, such as a line break | write `agents = [\"68c1f0aa41d2b7e5903c11a4\"]`",
    );
}

#[test]
fn positions_count_lines_and_characters_from_one() {
    let problems = problems("[server]\n  \"é\" = 1\n");
    let position = problems.position(problems.iter().next().unwrap()).unwrap();
    assert_eq!((position.line, position.column), (2, 3));
}
