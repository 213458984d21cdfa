//! Chromium without a screen, driven over `WebDriver` (<https://www.w3.org/TR/webdriver2/>) by a few requests of our own: the
//! crates for it bring three times as much code as all that these tests need.

use std::{path::PathBuf, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::support::{eventually, within};

/// By when a browser has started on a machine that is busy with other tests.
const START: Duration = Duration::from_secs(90);

/// The key by which `WebDriver` names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

pub(crate) const TAB: &str = "\u{e004}";
pub(crate) const ENTER: &str = "\u{e007}";
pub(crate) const ESCAPE: &str = "\u{e00c}";

/// A browser with one tab. It ends when it is dropped.
pub(crate) struct Browser {
    http: reqwest::Client,
    /// Where the driver takes commands for this tab.
    session: String,
    driver: Driver,
    _profile: TempDir,
}

/// The driver, and all that it starts.
struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        let group = self.0.id().and_then(|id| Pid::from_raw(id.try_into().unwrap()));
        if let Some(group) = group {
            let _gone_already = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Browser {
    /// Starts one; `None`, and a word about it, where there is none on this machine.
    #[expect(clippy::print_stdout, reason = "a test that can't be made says so")]
    pub(crate) async fn start() -> Option<Self> {
        let (Some(program), Some(chromium)) = (found("chromedriver"), found("chromium")) else {
            println!("skipped: there is no chromium with a chromedriver on this machine");
            return None;
        };
        Some(timeout(START, Self::start_with(program, chromium)).await.unwrap())
    }

    async fn start_with(program: PathBuf, chromium: PathBuf) -> Self {
        let profile = TempDir::new().unwrap();
        let mut driver = Command::new(program);
        driver.arg("--port=0").process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = Driver(driver.spawn().unwrap());
        let address = address(&mut driver).await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let data = format!("--user-data-dir={}", profile.path().display());
        let arguments =
            ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", &data];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "binary": chromium, "args": arguments },
        } } });
        let started = http.post(format!("{address}/session")).body(wanted.to_string()).send().await.unwrap();
        let started: Value = serde_json::from_str(&started.text().await.unwrap()).unwrap();
        let id = started["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {started}"));
        let browser = Self { session: format!("{address}/session/{id}"), http, driver, _profile: profile };
        browser.resize(1280, 900).await;
        browser
    }

    /// Gives the driver a command, and returns what it answers.
    async fn command(&self, path: &str, body: Value) -> Value {
        self.try_command(path, body).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    async fn try_command(&self, path: &str, body: Value) -> Result<Value, Value> {
        let sent = self.http.post(format!("{}/{path}", self.session)).body(body.to_string()).send();
        let answer = within(path, sent).await.unwrap();
        let is_ok = answer.status().is_success();
        let mut answer: Value = serde_json::from_str(&within(path, answer.text()).await.unwrap()).unwrap();
        if is_ok { Ok(answer["value"].take()) } else { Err(answer) }
    }

    /// Gives the browser a command of its own protocol.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.command("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    /// Gives the page so much room, in pixels.
    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    pub(crate) async fn open(&self, url: &str) {
        self.command("url", json!({ "url": url })).await;
    }

    /// Runs a script in the page; what it returns.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.command("execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// Clicks on the first element that fits, once it is there and can be clicked on.
    pub(crate) async fn click(&self, selector: &str) {
        eventually(&format!("a click on {selector}"), async || {
            let found = json!({ "using": "css selector", "value": selector });
            let element = self.try_command("element", found).await.ok()?;
            let id = element[ELEMENT].as_str()?;
            self.try_command(&format!("element/{id}/click"), json!({})).await.ok()
        })
        .await;
    }

    /// Presses keys one after another, wherever the focus is.
    pub(crate) async fn press(&self, keys: &str) {
        let strokes = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() })));
        let strokes: Vec<Value> = strokes.collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": strokes });
        self.command("actions", json!({ "actions": [keyboard] })).await;
    }

    /// What is to be read on the page.
    pub(crate) async fn text(&self) -> String {
        self.run("return document.body.innerText").await.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until this is to be read on the page.
    pub(crate) async fn read(&self, words: &str) {
        let read = async || self.text().await.contains(words).then_some(());
        let is_read = timeout(Duration::from_secs(25), eventually(words, read)).await.is_ok();
        assert!(is_read, "the page doesn't say `{words}`, but:\n{}\n{:#?}", self.text().await, self.complaints().await);
    }

    /// Waits until a script returns true.
    pub(crate) async fn wait_until(&self, doing: &str, script: &str) {
        eventually(doing, async || self.run(script).await.as_bool().filter(|is_so| *is_so)).await;
    }

    /// What the browser complained of since it was asked the last time.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let log = self.command("se/log", json!({ "type": "browser" })).await;
        let entries =
            log.as_array().unwrap().iter().filter(|entry| entry["level"] != "INFO" && entry["level"] != "DEBUG");
        entries.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Ends it, after it had nothing to complain of.
    pub(crate) async fn close(self) {
        assert_eq!(self.complaints().await, Vec::<String>::new());
        within("closing the browser", self.http.delete(&self.session).send()).await.unwrap();
        drop(self.driver);
    }
}

fn found(program: &str) -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "where programs are is known to the environment only")]
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|place| place.is_file())
}

/// Where the driver listens, which it says on a line of its own.
async fn address(driver: &mut Driver) -> String {
    let mut lines = BufReader::new(driver.0.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some((_, port)) = line.split_once("successfully on port ") {
            return format!("http://127.0.0.1:{}", port.trim_end_matches('.'));
        }
    }
    panic!("chromedriver ended before it listened");
}
