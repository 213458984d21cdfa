//! What happens on the stage: the events of one call, one of them twice, and a forged one.

use std::time::Duration;

use http::{HeaderName, StatusCode};
use serde::Deserialize;
use tokio::time::{sleep, timeout};
use url::Url;

use super::{
    DESTINATIONS, DemoArgs,
    story::{Scene, Story},
};
use crate::{
    admin::view::{DeliveryStateName, EventView, PageView, StatusView},
    cli::{
        Session,
        admin_client::{AdminClient, Question},
        console::{Format, say},
        failure::{Exit, Failure},
        sample::{self, SampleType},
        send::post,
        table::{Cell, Side, Table, Tone},
        text::{count, harmless},
    },
    clock::{Clock, random_bytes},
    outcome::Reply,
    relay::Relay,
    verify::Verifier,
};

/// The variable with the secret of the demo's source, in its config and for visitors.
pub(super) const SECRET_VARIABLE: &str = "DEMO_SECRET";

/// The events of the call, in order.
const CALL: [SampleType; 3] =
    [SampleType::PreConversation, SampleType::PostConversation, SampleType::AnalyticsCompleted];
/// Between two scenes: slow enough to read along.
const PAUSE: Duration = Duration::from_millis(500);
/// By when everything has to have arrived.
const DEADLINE: Duration = Duration::from_secs(30);
/// How often to look whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The stage: a relay that runs, and what it takes to talk to it.
pub(super) struct Play {
    webhook: Url,
    admin: AdminClient,
    admin_url: String,
    verifier: Verifier,
    secret: String,
    clock: Clock,
    story: Story,
}

impl Play {
    /// A play around `relay`, whose source signs with `verifier`.
    pub(super) fn new(
        relay: &Relay,
        verifier: Verifier,
        secret: String,
        story: Story,
        session: &Session,
    ) -> Result<Self, Failure> {
        let bug = |error: String| Failure::new(Exit::Software, error);
        let webhook = format!("http://{}/webhook", relay.public_address());
        let admin_url = relay.admin_address().url();
        let admin = AdminClient::new(admin_url.parse().map_err(bug)?, None);
        let webhook = webhook.parse().map_err(|error: url::ParseError| bug(error.to_string()))?;
        Ok(Self { webhook, admin, admin_url, verifier, secret, clock: session.clock.clone(), story })
    }

    /// Performs it, and stays for visitors when it was not asked for once only.
    pub(super) async fn perform(&self, args: &DemoArgs) -> Result<(), Failure> {
        self.announce().await?;
        self.send_call().await?;
        let arrived = timeout(DEADLINE, self.everything_arrived()).await;
        arrived.map_err(|_| Failure::new(Exit::Unavailable, "not everything was delivered within 30 s"))??;
        self.sum_up().await?;
        if args.once {
            return Ok(());
        }
        self.invite()?;
        std::future::pending().await
    }

    async fn announce(&self) -> Result<(), Failure> {
        self.aside("One call of a voice agent: three signed events, three destinations, and one of those is down.\n")?;
        self.story.floor().await.tell(&scene("relay", &format!("listens on {}", self.webhook), ""))
    }

    async fn send_call(&self) -> Result<(), Failure> {
        let call = sample::call_id(self.clock.now(), dice()?);
        let mut latest = Vec::new();
        for event_type in CALL {
            latest = sample::body(event_type, sample::AGENT, &call, self.clock.now(), dice()?);
            self.send(&format!("sends {}", event_type.name()), latest.clone()).await?;
            sleep(PAUSE).await;
        }
        self.send("sends the last one once more", latest.clone()).await?;
        sleep(PAUSE).await;
        self.forge(latest).await
    }

    async fn send(&self, what: &str, body: Vec<u8>) -> Result<(), Failure> {
        let floor = self.story.floor().await;
        let reply = post(&self.webhook, &self.verifier, body).await?;
        let end = match (reply.status, answered(&reply).as_str()) {
            (StatusCode::OK, "accepted") => "200 accepted, it is on disk",
            (StatusCode::OK, "duplicate") => "200 duplicate, nobody gets it twice",
            _ => return Err(Failure::new(Exit::Software, format_args!("the relay answered {}", reply.status))),
        };
        floor.tell(&scene("atoms", what, end))
    }

    async fn forge(&self, body: Vec<u8>) -> Result<(), Failure> {
        let header = HeaderName::from_static("x-signature");
        let forger = Verifier::new(header, ["a guess"]).map_err(|error| Failure::new(Exit::Software, error))?;
        let floor = self.story.floor().await;
        let reply = post(&self.webhook, &forger, body).await?;
        if reply.status != StatusCode::UNAUTHORIZED {
            return Err(Failure::new(Exit::Software, format_args!("a forged event was answered {}", reply.status)));
        }
        floor.tell(&scene("stranger", "sends a forged event", "401 refused"))
    }

    async fn everything_arrived(&self) -> Result<(), Failure> {
        loop {
            let status: StatusView = self.admin.get(Question::new(["status"])).await?;
            if status.queue.waiting == 0 {
                return Ok(());
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn sum_up(&self) -> Result<(), Failure> {
        let mut page: PageView<EventView> = self.admin.get_list(Question::new(["events"]), CALL.len()).await?;
        page.items.reverse();
        let undelivered = page.items.iter().flat_map(|event| &event.deliveries);
        let undelivered = undelivered.filter(|delivery| delivery.state != DeliveryStateName::Delivered).count();
        if page.items.len() != CALL.len() || undelivered > 0 {
            return Err(Failure::new(Exit::Software, format_args!("{undelivered} deliveries did not arrive")));
        }
        let console = self.story.console();
        self.aside("\nEverything has arrived everywhere, byte for byte, under Atoms' own signature:\n")?;
        console.show_list(&page.items, |events, colour| summary(events).render(colour))
    }

    fn invite(&self) -> Result<(), Failure> {
        let Self { webhook, admin_url, secret, .. } = self;
        let program = std::env::args().next().map_or_else(|| "atoms-relay".to_owned(), |program| harmless(&program));
        self.aside(&format!(
            "\nThe relay still runs. Look at its dashboard in a browser:\n\n  \
             {admin_url}\n\n\
             Or try, in another terminal:\n\n  \
             {program} --admin {admin_url} status\n  \
             {program} --admin {admin_url} events\n  \
             {SECRET_VARIABLE}={secret} {program} send --to {webhook} --secret-env {SECRET_VARIABLE}\n  \
             curl {admin_url}/api/v1/events\n\n\
             Ctrl-C ends it and clears everything away."
        ))
    }

    /// Something for people only.
    fn aside(&self, text: &str) -> Result<(), Failure> {
        if self.story.console().format() == Format::Text { say(text) } else { Ok(()) }
    }
}

fn scene(who: &str, what: &str, end: &str) -> Scene {
    Scene { who: who.to_owned(), what: what.to_owned(), end: end.to_owned(), tone: Tone::Good }
}

/// What the relay says that it did.
fn answered(reply: &Reply) -> String {
    #[derive(Deserialize)]
    struct Answer {
        status: String,
    }
    serde_json::from_slice(&reply.body).map(|answer: Answer| answer.status).unwrap_or_default()
}

fn dice() -> Result<[u8; 10], Failure> {
    random_bytes().map_err(|error| Failure::new(Exit::Io, format_args!("no random numbers: {error}")))
}

fn summary(events: &[EventView]) -> Table {
    let names = DESTINATIONS.map(|(name, _)| (name, Side::Left));
    let mut table = Table::new([&[("EVENT", Side::Left)][..], &names].concat());
    for event in events {
        let mut row: Vec<Cell> = vec![event.event_type.clone().unwrap_or_default().into()];
        row.extend(DESTINATIONS.map(|(name, _)| attempts_to(name, event)));
        table.row(row);
    }
    table
}

fn attempts_to(name: &str, event: &EventView) -> Cell {
    let delivery = event.deliveries.iter().find(|delivery| delivery.destination.as_str() == name);
    let attempts = delivery.map_or(0, |delivery| delivery.attempt_count);
    let tone = if attempts == 1 { Tone::Good } else { Tone::Warning };
    Cell(tone, count(attempts.into(), "attempt", "attempts"))
}
