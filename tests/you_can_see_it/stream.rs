//! What happens, heard as it happens: the stream of the admin API, and `tail`.

use std::{net::SocketAddr, process::Stdio};

use atoms_relay::{
    model::{DeliveryId, EventId, Name, Reading, Timestamp},
    telemetry::{About, End, Happening},
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStdout},
};

use crate::{
    site::{Process, Site},
    support::{eventually, fixtures, sink::status, within},
    window::{Window, command, crm, run},
};

/// A stream that a test listens to by hand.
struct Stream(BufReader<TcpStream>);

impl Stream {
    /// Listens, and is listening when this returns.
    async fn open(address: SocketAddr, query: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET /api/v1/stream{query} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut stream = Self(BufReader::new(stream));
        stream.until(": listening").await;
        stream
    }

    /// Reads on to the next line that begins so, and gives back the rest of it.
    async fn until(&mut self, beginning: &str) -> String {
        within(beginning, async {
            loop {
                let mut line = String::new();
                assert!(self.0.read_line(&mut line).await.unwrap() > 0, "the stream ended before {beginning}");
                if let Some(rest) = line.trim_end().strip_prefix(beginning) {
                    return rest.to_owned();
                }
            }
        })
        .await
    }

    /// The document of the next event of this kind.
    async fn next(&mut self, event: &str) -> Value {
        self.until(&format!("event: {event}")).await;
        serde_json::from_str(&self.until("data: ").await).unwrap()
    }

    /// The documents of these events, which may come in any order: the lane can be quicker than the answer to the sender.
    async fn next_of_each<const N: usize>(&mut self, events: [&str; N]) -> [Value; N] {
        let mut found = events.map(|_| Value::Null);
        while found.contains(&Value::Null) {
            let event = self.until("event: ").await;
            let document = serde_json::from_str(&self.until("data: ").await).unwrap();
            if let Some(place) = events.iter().position(|wanted| *wanted == event) {
                found[place] = document;
            }
        }
        found
    }
}

fn about() -> About {
    About { source: Name::new("atoms").unwrap(), reading: Reading::of(&fixtures::event("e0")) }
}

/// A `tail` that runs.
struct Tail {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Tail {
    fn start(admin: SocketAddr, arguments: &str) -> Self {
        let mut tail = command(&format!("--admin http://{admin} tail {arguments}"));
        let mut child = tail.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    async fn line(&mut self) -> String {
        within("a line of tail", self.lines.next_line()).await.unwrap().expect("tail ended")
    }

    async fn remark(&mut self) -> String {
        let mut text = String::new();
        let mut reader = BufReader::new(self.child.stderr.as_mut().unwrap());
        within("a remark of tail", reader.read_line(&mut text)).await.unwrap();
        text
    }

    fn interrupt(&self) {
        let pid = rustix::process::Pid::from_raw(self.child.id().unwrap().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    }
}

/// Sends events until `tail` has said a line: nobody knows when it has begun to listen.
async fn first_line(tail: &mut Tail, relay: &Process, site: &Site, arguments: &str) -> String {
    let mut line = Box::pin(tail.lines.next_line());
    within("the first line", async {
        loop {
            relay.send(site, arguments).await;
            let pause = tokio::time::sleep(std::time::Duration::from_millis(50));
            tokio::select! {
                line = &mut line => return line.unwrap().expect("tail ended"),
                () = pause => {}
            }
        }
    })
    .await
}

fn admin(relay: &Process) -> SocketAddr {
    relay.address("admin_address")
}

#[tokio::test]
async fn a_listener_hears_of_an_event_its_attempts_and_its_end_and_of_nothing_that_is_not_asked_for() {
    let site = Site::prepared().await;
    site.sink.reply(|_| status(422));
    let relay = site.serve().await;
    let mut stream = Stream::open(admin(&relay), "?call=CALL-7").await;
    relay.send(&site, "--call CALL-6").await;
    let sent = relay.send(&site, "--call CALL-7").await;

    let [accepted, attempt, settled] = stream.next_of_each(["accepted", "attempt", "settled"]).await;
    assert_eq!((&accepted["id"], &accepted["call"]), (&sent["id"], &"CALL-7".into()));
    assert_eq!(accepted["deliveries"][0]["destination"], "crm");
    assert_eq!((&attempt["event"], &attempt["attempt"]["outcome"]["status"]), (&sent["id"], &422.into()));
    assert_eq!(attempt["attempt"]["outcome"]["excerpt"], "", "what was answered may hold a phone number");
    assert_eq!((&settled["state"], &settled["reason"]), (&"dead".into(), &"rejected".into()));

    relay.run("pause crm --reason maintenance").await;
    let destination = stream.next("destination").await;
    assert_eq!((&destination["name"], &destination["condition"]), (&"crm".into(), &"paused".into()));
    assert!(relay.stop().await.success());
    stream.until("event: stopping").await;
    let mut rest = String::new();
    within("the end of the stream", stream.0.read_to_string(&mut rest)).await.unwrap();
}

#[tokio::test]
async fn a_listener_that_does_not_read_misses_something_and_holds_nothing_up() {
    let window = Window::open().await;
    let mut stream = Stream::open(window.address, "").await;
    // All at once: the listener has no turn in between, and 1,024 is all that is kept for it.
    let news = 3_000;
    for _ in 0..news {
        let (id, about, at) = (EventId::lowest_at(Timestamp::EPOCH), about(), Timestamp::EPOCH);
        let id = DeliveryId { event: id, destination: crm() };
        window.receiver.metrics.feed().tell(Happening::Settled { id, about, at, end: End::Delivered });
    }
    assert_eq!(stream.next("lagged").await["missed"], news - 1_024);
    let id = window.accept(fixtures::event("e1")).await;
    loop {
        if stream.next("accepted").await["id"] == id.as_str() {
            return;
        }
    }
}

#[tokio::test]
async fn only_so_many_listen_and_a_place_is_free_again_when_one_leaves() {
    let window = Window::open().await;
    let mut streams = Vec::new();
    for _ in 0..16 {
        streams.push(Stream::open(window.address, "").await);
    }
    let answer = window.get("/api/v1/stream").await;
    assert_eq!(answer.status, 503);
    assert!(answer.text("detail").contains("too many listen"), "{answer:?}");
    drop(streams.pop());
    // What has left is noticed when something is told.
    eventually("a free place", async || {
        window.accept(fixtures::event("e")).await;
        let mut stream = TcpStream::connect(window.address).await.unwrap();
        stream.write_all(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut status = [0; 12];
        within("a head", stream.read_exact(&mut status)).await.unwrap();
        (&status == b"HTTP/1.1 200").then_some(())
    })
    .await;
}

#[tokio::test]
async fn tail_shows_what_happens_ends_well_at_ctrl_c_and_says_when_the_relay_goes_away() {
    let site = Site::prepared().await;
    let relay = site.serve().await;
    let mut tail = Tail::start(admin(&relay), "--json --type post-conversation");
    let first: Value =
        serde_json::from_str(&first_line(&mut tail, &relay, &site, "--event post-conversation").await).unwrap();
    assert_eq!(first["data"]["type"], "post-conversation");
    let mut words = Tail::start(admin(&relay), "--call CALL-words");
    let mut line = first_line(&mut words, &relay, &site, "--call CALL-words").await;
    assert!(line.contains("call CALL-words  to crm"), "{line}");
    while !line.contains("to crm: 200") {
        line = words.line().await;
    }

    words.interrupt();
    assert!(within("the end of tail", words.child.wait()).await.unwrap().success());
    relay.stop().await;
    let remark = tail.remark().await;
    assert!(remark.contains("The relay has gone away: it stops."), "{remark}");
    tail.interrupt();
    assert!(within("the end of tail", tail.child.wait()).await.unwrap().success());
}

#[tokio::test]
async fn tail_ends_when_nobody_reads_and_needs_a_relay_to_begin() {
    let site = Site::prepared().await;
    let relay = site.serve().await;
    let mut tail = Tail::start(admin(&relay), "");
    first_line(&mut tail, &relay, &site, "").await;
    let Tail { mut child, lines } = tail;
    drop(lines);
    let ended = within("the end of tail", async {
        loop {
            relay.send(&site, "").await;
            if let Some(ended) = child.try_wait().unwrap() {
                return ended;
            }
        }
    });
    assert!(ended.await.success());

    let nobody = run("tail --admin http://127.0.0.1:9").await;
    assert_eq!(nobody.status.code(), Some(69));
}
