//! A machine with the package on it, as far as a folder can be one: commands are typed there, and systemd is played.
//!
//! `scripts/test` says in `RELAY_PACKAGE` where a package is, and it is unpacked. Without it the same files are laid out from
//! where a package gets them. What is typed is what the page says, but for the folder, and for addresses of this test.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{self, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
};

use crate::support::{wire::Request, within};

/// A machine. What was started on it ends with it.
pub(crate) struct House {
    root: TempDir,
    /// The relay's public address, kept free for it until it starts.
    reserved: Option<TcpListener>,
    /// What stands on the page, and what it is here.
    places: Vec<(String, String)>,
    relay: Option<(Child, SocketAddr)>,
}

impl House {
    /// A machine on which the package has just been installed, and on which these addresses are others than on the page.
    pub(crate) fn with_the_package<const N: usize>(addresses: [(&str, String); N]) -> Self {
        let root = TempDir::new().unwrap();
        install(root.path());
        let reserved = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut places = addresses.map(|(there, here)| (there.to_owned(), here)).to_vec();
        places.push(("127.0.0.1:8080".to_owned(), reserved.local_addr().unwrap().to_string()));
        for folder in ["/etc/atoms-relay", "/var/lib/atoms-relay"] {
            places.push((folder.to_owned(), format!("{}{folder}", root.path().display())));
        }
        Self { root, reserved: Some(reserved), places, relay: None }
    }

    /// Makes this the configuration. The admin listener, too, gets an address of its own, any disk has room, and alerts are in a
    /// hurry.
    pub(crate) fn writes_config(&self, text: &str) {
        let ours = text
            .replace("[queue]", "[admin]\nlisten = \"127.0.0.1:0\"\n\n[queue]\nmin_free_disk = \"1MiB\"")
            .replace("[alerts]", "[alerts]\ndisk_free = \"1MiB\"\ngather = \"1s\"");
        fs::write(self.folder().join("relay.toml"), self.here(&ours)).unwrap();
    }

    /// Types lines one after another, with this on standard input, and returns what they print. Each has to go well.
    pub(crate) async fn types(&mut self, lines: &[String], input: &str) -> String {
        let mut printed = String::new();
        for line in lines {
            if line.starts_with("sudo systemctl enable --now ") {
                self.start().await;
            } else {
                printed += &self.type_one(line, input).await;
            }
        }
        printed
    }

    /// Asks the admin listener.
    pub(crate) async fn get(&self, path: &str) -> String {
        let request = Request::new(&format!("GET {path} HTTP/1.1")).without("Host").header("Host", "localhost");
        let answer = request.send(self.admin()).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.body
    }

    async fn type_one(&self, line: &str, input: &str) -> String {
        let mut shell = Command::new("sh");
        let typed =
            format!("PATH={}/usr/bin:$PATH; {}", self.root.path().display(), self.here(&line.replace("sudo ", "")));
        shell.args(["-c", &typed]).current_dir(self.folder()).kill_on_drop(true);
        if self.relay.is_some() {
            shell.env("ATOMS_RELAY_ADMIN", format!("http://{}", self.admin()));
        }
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut shell = shell.spawn().unwrap();
        // Who reads nothing may be gone already.
        drop(shell.stdin.take().unwrap().write_all(input.as_bytes()).await);
        let output = within(line, shell.wait_with_output()).await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(output.stdout), text(output.stderr));
        assert!(output.status.success(), "$ {line}\n{out}{err}");
        out
    }

    /// Does what systemd does: gives the relay its secrets, starts it, and waits until it is ready.
    async fn start(&mut self) {
        let mut serve = Command::new(self.root.path().join("usr/bin/atoms-relay"));
        serve.args(["serve", "--json", "--log", "error"]).current_dir(self.folder()).kill_on_drop(true);
        serve.env("CREDENTIALS_DIRECTORY", self.folder().join("credentials")).stdout(Stdio::piped());
        drop(self.reserved.take());
        let mut child = serve.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut text = String::new();
        while serde_json::from_str::<Value>(&text).is_err() {
            text += &within("the start", lines.next_line()).await.unwrap().expect("it ended instead");
        }
        let started: Value = serde_json::from_str(&text).unwrap();
        self.relay = Some((child, started["admin_address"].as_str().unwrap().parse().unwrap()));
    }

    fn admin(&self) -> SocketAddr {
        self.relay.as_ref().expect("the relay is started first").1
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("etc/atoms-relay")
    }

    /// What the page says, as it has to be said here.
    fn here(&self, text: &str) -> String {
        self.places.iter().fold(text.to_owned(), |text, (there, here)| text.replace(there, here))
    }
}

/// Does what dpkg does, with the folder for its root, and what the package's own scripts do there.
#[expect(clippy::disallowed_methods, reason = "the environment of a test run, not of a relay")]
fn install(root: &Path) {
    match std::env::var_os("RELAY_PACKAGE") {
        Some(package) => {
            let unpacked = process::Command::new("dpkg-deb").arg("-x").arg(package).arg(root).status().unwrap();
            assert!(unpacked.success(), "dpkg-deb: {unpacked}");
        }
        None => lay_out(root),
    }
    fs::create_dir_all(root.join("etc/atoms-relay/credentials")).unwrap();
}

fn lay_out(root: &Path) {
    let packaged = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/relay.toml");
    for (file, place) in [
        (Path::new(env!("CARGO_BIN_EXE_atoms-relay")), "usr/bin/atoms-relay"),
        (&packaged, "etc/atoms-relay/relay.toml"),
    ] {
        let place = root.join(place);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(file, place).unwrap();
    }
}
