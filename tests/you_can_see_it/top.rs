//! `top`: one screen into a pipe, and a terminal that is afterwards what it was before.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdout, Command},
};

use crate::{support::within, window::Window};

/// The other screen, and the way back from it.
const ENTER: &str = "\u{1b}[?1049h";
const LEAVE: &str = "\u{1b}[?1049l";

/// `top` on a terminal of its own, which tells the process before and its settings after it.
struct Terminal {
    script: Child,
    out: ChildStdout,
    shown: String,
}

impl Terminal {
    fn start(window: &Window) -> Self {
        let program = env!("CARGO_BIN_EXE_atoms-relay");
        let top = format!("{program} --admin http://{} top", window.address);
        let line = format!("sh -c 'echo process $$; exec {top}'; echo ended $?; stty -a");
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        let mut script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let out = script.stdout.take().unwrap();
        Self { script, out, shown: String::new() }
    }

    async fn wait_for(&mut self, text: &str) {
        within(text, async {
            while !self.shown.contains(text) {
                let mut bytes = [0; 4096];
                let count = self.out.read(&mut bytes).await.unwrap();
                assert!(count > 0, "the terminal was closed before {text}: {}", self.shown);
                self.shown.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        })
        .await;
    }

    async fn types(&mut self, keys: &str) {
        self.script.stdin.as_mut().unwrap().write_all(keys.as_bytes()).await.unwrap();
    }

    fn terminates(&self) {
        let process = self.shown.split_once("process ").unwrap().1.split_whitespace().next().unwrap();
        kill_process(Pid::from_raw(process.parse().unwrap()).unwrap(), Signal::TERM).unwrap();
    }

    /// Waits for the end of `top`, and sees that everything is as it was.
    async fn ends_as_it_began(mut self) {
        // The last word of stty.
        self.wait_for("extproc").await;
        let (before, after) = self.shown.split_once(LEAVE).expect("the other screen was left");
        assert!(before.contains(ENTER), "{before}");
        assert!(before.contains("DESTINATION") && before.contains("crm"), "{before}");
        assert!(after.contains("ended 0"), "{after}");
        assert!(after.contains(" icanon") && after.contains(" echo "), "{after}");
    }
}

#[tokio::test]
async fn a_screen_goes_into_a_pipe_as_text_or_json() {
    let window = Window::open().await;
    window.accept_many(2).await;
    let shown = window.run("top --once").await.ok();
    assert!(shown.contains("DESTINATION  CONDITION  OUT/S") && shown.contains("crm          flowing"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "{shown}");
    let status: Value = serde_json::from_str(&window.run("top --once --json").await.ok()).unwrap();
    assert_eq!(status["queue"]["waiting"], 2);
    for arguments in ["top", "top --json"] {
        let refused = window.run(arguments).await;
        assert_eq!(refused.status.code(), Some(64), "{arguments}");
        assert!(refused.err.contains("add `--once` for one screen"), "{}", refused.err);
    }
}

#[tokio::test]
async fn a_q_ends_it_and_the_terminal_ends_as_it_began() {
    let window = Window::open().await;
    let mut terminal = Terminal::start(&window);
    terminal.wait_for("q quits").await;
    terminal.types("q").await;
    terminal.ends_as_it_began().await;
}

#[tokio::test]
async fn a_signal_ends_it_and_the_terminal_ends_as_it_began() {
    let window = Window::open().await;
    let mut terminal = Terminal::start(&window);
    terminal.wait_for("q quits").await;
    terminal.terminates();
    terminal.ends_as_it_began().await;
}
