//! The program as an ops person runs it, against a running relay's admin API.

use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    support::{fixtures, within},
    window::{Window, run},
};

/// Text that would clear a terminal, colour it, start a new line or turn the reading direction around.
const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\r\nX\u{9b}31m\u{202e}";

fn hostile_event() -> Vec<u8> {
    let event = json!({ "id": HOSTILE, "metadata": { "eventType": HOSTILE, "agentId": HOSTILE, "callId": HOSTILE } });
    event.to_string().into_bytes()
}

fn assert_harmless(text: &str) {
    let harmful = text.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
    assert_eq!(harmful, None, "{text}");
}

#[tokio::test]
async fn nothing_that_a_stranger_wrote_reaches_a_terminal_raw() {
    let window = Window::open().await;
    let id = window.accept(hostile_event()).await;
    window.answer_all(422, HOSTILE).await;
    for command in [
        "events".to_owned(),
        format!("events show {id}"),
        "deliveries".to_owned(),
        "dead list".to_owned(),
        format!("dead show {id}.crm"),
        "status".to_owned(),
    ] {
        let shown = window.run(&command).await.ok();
        assert_harmless(&shown);
        assert!(shown.lines().count() < 20, "a stranger has made lines of his own: {shown}");
        for line in window.run(&format!("{command} --json")).await.ok().lines() {
            assert_harmless(line);
        }
    }
    let listed: Value = serde_json::from_str(&window.run("events --json").await.ok()).unwrap();
    assert_eq!(listed["type"], HOSTILE, "and in JSON it is still the same text");
}

#[tokio::test]
async fn a_body_is_written_to_a_pipe_byte_for_byte() {
    let window = Window::open().await;
    let body = fixtures::body("11-byte-exact.json");
    let id = window.accept(body.clone()).await;
    assert_eq!(window.run(&format!("events show {id} --body")).await.ok().as_bytes(), body);
}

#[tokio::test]
async fn on_a_terminal_a_body_is_escaped_and_discarding_asks_first() {
    let window = Window::open().await;
    let id = window.accept(format!("{{\"event\":\"a.b\",\n\"x\":\"{HOSTILE}\"}}")).await;
    let shown = window.on_a_terminal(&format!("events show {id} --body"), "").await;
    assert_harmless(&shown);
    assert!(shown.contains(r"\u{1b}[2J"), "{shown}");

    window.accept_many(1).await;
    window.answer_all(422, "").await;
    let discarded = async |answer: &str| window.on_a_terminal("dead discard --all", answer).await;
    assert!(discarded("n\n").await.contains("Throw away 1 dead letter for good? [y/N]"));
    assert_eq!(window.read("status").await["queue"]["dead"], 1);
    assert!(discarded("y\n").await.contains("1 delivery thrown away."));
    assert_eq!(window.read("status").await["queue"]["dead"], 0);
}

#[tokio::test]
async fn a_long_list_is_fetched_page_by_page() {
    let window = Window::open().await;
    window.accept_many(510).await;
    assert_eq!(window.run("events --json --limit 505").await.ok().lines().count(), 505);
    assert_eq!(window.run("deliveries --json --limit 600").await.ok().lines().count(), 510);
}

#[tokio::test]
async fn lists_are_lines_of_json_and_say_when_there_is_more() {
    let window = Window::open().await;
    let ids = window.accept_many(4).await;
    let output = window.run("events --json --limit 3").await;
    assert!(output.err.contains(&format!("--cursor {}", ids[1])), "{}", output.err);
    let lines: Vec<Value> = output.ok().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        lines.iter().map(|event| event["id"].as_str().unwrap()).collect::<Vec<_>>(),
        [&*ids[3], &ids[2], &ids[1]]
    );
    let rest = window.run(&format!("events --json --cursor {}", ids[1])).await;
    assert_eq!((rest.err.as_str(), rest.out.lines().count()), ("", 1));
}

#[tokio::test]
async fn a_dead_letter_is_found_looked_at_and_sent_again() {
    let window = Window::open().await;
    let ids = window.accept_many(2).await;
    window.answer_all(422, "no phone").await;
    let listed = window.run("dead list").await.ok();
    assert!(listed.contains(&format!("{}.crm", ids[0])) && listed.contains("refused by the destination"), "{listed}");
    let shown = window.run(&format!("dead show {}.crm", ids[0])).await.ok();
    assert!(shown.contains("POST http://crm.internal/calls  422: no phone (12 ms)"), "{shown}");

    let rehearsed = window.run("dead replay --all --dry-run").await.ok();
    assert_eq!(rehearsed, "2 deliveries would be due now.\n");
    assert_eq!(window.run(&format!("dead replay {}.crm", ids[0])).await.ok(), "1 delivery due now.\n");
    assert_eq!(window.run("dead discard --destination crm --yes").await.ok(), "1 delivery thrown away.\n");
    assert_eq!(window.run("dead list").await.ok(), "There are no dead letters.\n");
    assert_eq!(window.run("deliveries --state waiting --json").await.ok().lines().count(), 1);
}

#[tokio::test]
async fn a_destination_is_paused_with_a_reason_and_resumed() {
    let window = Window::open().await;
    window.run("pause crm --reason maintenance").await.ok();
    let status = window.run("status").await.ok();
    assert!(
        status.contains("crm has been paused for 0s: maintenance. To go on: `atoms-relay resume crm`."),
        "{status}"
    );
    window.run("resume crm").await.ok();
    assert!(window.run("status").await.ok().contains("crm          flowing"));
}

#[tokio::test]
async fn a_pause_for_some_time_says_when_it_ends() {
    let window = Window::open().await;
    let told = window.run("pause crm --for 49h --reason deploy").await.ok();
    assert!(told.contains("crm is paused; its deliveries wait. It goes on by itself in 2d."), "{told}");
    let status = window.run("status").await.ok();
    assert!(status.contains(": deploy. It goes on by itself in 2d. To go on: `atoms-relay resume crm`."), "{status}");
}

#[tokio::test]
async fn failures_have_their_exit_codes_and_say_what_to_do() {
    let window = Window::open().await;
    let unknown = "events show 0198c5f0-7d5e-7c3a-9f00-1a2b3c4d5e6f";
    for (command, code, words) in [
        ("nonsense", 64, "unrecognized subcommand"),
        ("dead discard", 64, "required"),
        ("events show nonsense", 64, "an event id looks like"),
        (unknown, 65, "no such event"),
        ("pause nobody", 65, "the config has no destination `nobody`"),
    ] {
        let output = window.run(command).await;
        assert_eq!(output.status.code(), Some(code), "{command}: {}", output.err);
        assert!(output.err.contains(words), "{command}: {}", output.err);
    }
    let unanswered = run("status --admin http://127.0.0.1:9").await;
    assert_eq!(unanswered.status.code(), Some(69));
    assert!(unanswered.err.contains("`atoms-relay serve` starts it"), "{}", unanswered.err);
    assert_eq!(run("--help").await.status.code(), Some(0));
}

#[tokio::test]
async fn health_is_an_exit_code_and_a_reason() {
    let window = Window::open().await;
    assert_eq!(window.run("healthcheck").await.ok(), "ready\n");
    window.stopping.cancel();
    let unready = window.run("healthcheck").await;
    assert_eq!((unready.status.code(), unready.out.as_str()), (Some(69), "not ready: the relay is stopping\n"));
    assert_eq!(run("healthcheck --admin http://127.0.0.1:9").await.status.code(), Some(69));
}

/// Lets bash complete a line, as the Tab key does, and prints what it would offer.
const COMPLETE: &str = r#"
source <("$PROGRAM" completions bash)
completing=$(complete -p atoms-relay) && completing=${completing#*-F } && completing=${completing%% *}
COMP_WORDS=(atoms-relay "$@") COMP_CWORD=$#
"$completing" atoms-relay "${!#}" "${COMP_WORDS[-2]}"
echo "${COMPREPLY[@]}"
"#;

#[tokio::test]
async fn bash_completes_what_was_begun() {
    for (begun, completed) in
        [(vec!["stat"], "status\n"), (vec!["dead", "re"], "replay\n"), (vec!["completions", "z"], "zsh\n")]
    {
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-c", COMPLETE, "bash"]).args(&begun).env("PROGRAM", env!("CARGO_BIN_EXE_atoms-relay"));
        let output = within("completing", bash.output()).await.unwrap();
        let offered = String::from_utf8(output.stdout).unwrap();
        assert_eq!(offered, completed, "{begun:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
