//! What the real program tells a service manager: when it is ready, how it is, that it lives, and that it stops.

use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::{net::UnixDatagram, process::Command, time::timeout};

use crate::{
    preload::Preload,
    process::Home,
    support::{
        eventually, fixtures,
        scripted::{Behaviour, Scripted},
        wire::Request,
        within,
    },
};

/// How long the manager waits for a sign of life. The relay gives three in that time.
const WATCHDOG: Duration = Duration::from_millis(600);

/// In which a relay that lives would have given many signs.
const LONG: Duration = Duration::from_secs(3);

/// A service manager that listens.
struct Manager {
    folder: TempDir,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        Self { folder, socket }
    }

    fn attach(&self, program: &mut Command) {
        program.env("NOTIFY_SOCKET", self.folder.path().join("notify"));
        program.env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
    }

    async fn hear(&self) -> String {
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message).await.unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    }

    /// Waits for a message of this kind, and returns all that it says.
    async fn wait_for(&self, kind: &str) -> String {
        within(kind, async {
            loop {
                let message = self.hear().await;
                if message.contains(kind) {
                    return message;
                }
            }
        })
        .await
    }

    /// Forgets what was said and not heard yet.
    fn forget(&self) {
        while self.socket.try_recv(&mut [0; 4096]).is_ok() {}
    }
}

#[tokio::test]
async fn a_service_manager_hears_that_the_relay_is_ready_how_it_is_and_that_it_stops() {
    let sink = Scripted::always(Behaviour::Answers(401)).await;
    let (home, manager) = (Home::new(&[("crm", sink.url("/"), "")]), Manager::new());
    let mut relay = home.start_with(|program| manager.attach(program));
    manager.wait_for("READY=1").await;
    relay.ready().await;
    manager.wait_for("STATUS=queue empty").await;
    manager.wait_for("WATCHDOG=1").await;

    let answer = Request::signed(fixtures::event("1")).send(home.public()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let status = manager.wait_for("STATUS=queue 1 delivery").await;
    assert!(status.contains(", oldest "), "{status}");
    manager.wait_for("crm stopped").await;

    relay.ask_to_stop();
    manager.wait_for("STOPPING=1").await;
    assert_eq!(relay.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_relay_whose_disk_hangs_gives_no_sign_of_life_until_the_disk_goes_on() {
    let sink = Scripted::always(Behaviour::Answers(200)).await;
    let (home, manager, preload) = (Home::new(&[("crm", sink.url("/"), "")]), Manager::new(), Preload::new());
    home.configure("server", "accept_deadline = \"2s\"");
    let mut relay = home.start_with(|program| {
        preload.attach(program, &home.queue());
        manager.attach(program);
    });
    relay.ready().await;
    manager.wait_for("WATCHDOG=1").await;

    preload.delay_syncs(Duration::from_secs(3_600));
    let answer = Request::signed(fixtures::event("1")).send(home.public()).await;
    assert_eq!(answer.status, 503, "the disk hangs: {answer:?}");
    manager.forget();
    let sign = timeout(LONG, manager.wait_for("WATCHDOG=1")).await;
    assert!(sign.is_err(), "it gave a sign of life while its committer was stuck");

    preload.delay_syncs(Duration::ZERO);
    manager.wait_for("WATCHDOG=1").await;
    relay.stop().await;
}

/// Load balancers look whether it is ready, and turn away before it stops.
#[tokio::test]
async fn a_relay_that_leaves_is_not_ready_any_more_and_takes_events_until_it_stops() {
    let sink = Scripted::always(Behaviour::Answers(200)).await;
    let home = Home::new(&[("crm", sink.url("/"), "")]);
    home.configure("server", "drain_delay = \"1m\"");
    let mut relay = home.start();
    relay.ready().await;
    assert_eq!(home.readiness().await, 200);

    relay.signal(Signal::USR2);
    eventually("the end of readiness", async || (home.readiness().await == 503).then_some(())).await;
    let answer = Request::signed(fixtures::event("1")).send(home.public()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    sink.wait_for(1).await;
    assert!(!relay.has_ended());

    relay.ask_to_stop();
    assert_eq!(relay.ended().await.code(), Some(0), "a second signal ends the delay: {}", home.log());
}
