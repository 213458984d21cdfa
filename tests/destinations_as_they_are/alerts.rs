//! What the relay tells of itself, in the shape of each vendor that people read.

use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    pagerduty,
    presets::{ask, numbers},
    slack,
    support::{
        eventually, fixtures,
        forward::Forward,
        relay::WholeRelay,
        sink::{Sink, status},
        wire::Request,
    },
    teams,
    vendor::BadDays,
    zendesk,
};

/// Calls to `crm`, alerts to all others. What the machine's disk is like doesn't count.
const CONFIG: &str = r#"
[destination.crm]
url = "CRM_URL"

[destination.slack]
preset = "slack"
url = "SLACK_URL"

[destination.slack-api]
preset = "slack-api"
url = "SLACK_API_URL"
auth = { bearer = "xoxb-4711-a-bot-of-the-tests" }
vars = { channel = "C0123456789" }

[destination.teams]
preset = "teams"
url = "TEAMS_URL"

[destination.zendesk]
preset = "zendesk"
url = "ZENDESK_URL"
auth = { basic = { user = "agent@example.com/token", password = "zendesk-token-of-the-tests" } }
retry = { give_up_after = "2h" }

[destination.pagerduty]
preset = "pagerduty"
url = "PAGERDUTY_URL"
vars = { routing_key = "R0UT1NGKEY0FTHETESTS000000000000" }

[destination.internal]
preset = "generic"
url = "INTERNAL_URL"

[[route]]
to = ["crm"]

[alerts]
to = ["slack", "slack-api", "teams", "zendesk", "pagerduty", "internal"]
name = "relay <eu> & friends"
gather = "0s"
disk_free = "0B"
disk_full_in = "1s"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn every_vendor_that_people_read_gets_alerts_in_its_own_shape() {
    let webhook = slack::webhook(BadDays::default()).await;
    let api = slack::api(BadDays::default()).await;
    let teams = teams::start(BadDays::default()).await;
    let zendesk = zendesk::start(BadDays::default()).await;
    let pagerduty = pagerduty::start(BadDays::default()).await;
    let (crm, internal, time) = (Sink::start().await, Sink::start().await, Forward::default());
    crm.reply(|_| status(401));
    let config = CONFIG
        .replace("CRM_URL", &crm.url("/calls"))
        .replace("SLACK_API_URL", &api.sink.url("/api/chat.postMessage"))
        .replace("SLACK_URL", &webhook.sink.url("/services/T0/B0/hook"))
        .replace("TEAMS_URL", &teams.sink.url("/workflows/1/triggers/manual"))
        .replace("ZENDESK_URL", &zendesk.sink.url("/api/v2/tickets.json"))
        .replace("PAGERDUTY_URL", &pagerduty.sink.url("/v2/enqueue"))
        .replace("INTERNAL_URL", &internal.url("/alerts"));
    let relay = WholeRelay::start_by(time.clock(), TempDir::new().unwrap(), &config).await;
    assert_eq!(Request::signed(fixtures::body("02-post-outbound.json")).send(relay.public).await.status, 200);

    internal.wait_for(1).await;
    crm.reply(|_| status(200));
    let resumed = ask(&relay, "POST /api/v1/destinations/crm/resume HTTP/1.1").await;
    assert_eq!(resumed.status, 200, "{resumed:?}");
    eventually("going on", async || (numbers(&relay, "crm").await["waiting"] == 0).then_some(())).await;
    eventually("closing the incident", async || {
        time.by(Duration::from_secs(10));
        pagerduty.with(|pagerduty| (!pagerduty.resolved.is_empty()).then_some(()))
    })
    .await;

    pagerduty.with(|pagerduty| {
        let (key, alert) = pagerduty.alerts.first_key_value().unwrap();
        assert_eq!((pagerduty.alerts.len(), key.as_str()), (1, "relay <eu> & friends"));
        assert_eq!(pagerduty.resolved, [key.as_str()]);
        assert_eq!(alert["summary"], "relay <eu> & friends: crm is stopped");
        assert_eq!(alert["severity"], "critical");
    });
    for slack in [&webhook, &api] {
        let posted = eventually("posting", async || slack.with(|slack| slack.posted.first().cloned())).await;
        assert!(
            posted.starts_with("*relay &lt;eu&gt; &amp; friends: crm is stopped*\ncrm is stopped. Since"),
            "{posted}"
        );
        assert!(posted.ends_with("then `atoms-relay resume crm`."), "{posted}");
    }
    let card = eventually("a card", async || teams.with(|teams| teams.cards.first().cloned())).await;
    assert_eq!(card["body"][0]["text"], "relay <eu> & friends: crm is stopped");
    let ticket = eventually("a ticket", async || zendesk.with(|zendesk| zendesk.tickets.first().cloned())).await;
    assert_eq!(ticket["subject"], "relay <eu> & friends: crm is stopped");
    let plain: Value = serde_json::from_slice(&internal.got()[0].body).unwrap();
    assert_eq!(plain["alert"]["news"][0]["trouble"]["kind"], "stopped");
    assert!(plain["text"].as_str().unwrap().starts_with("relay <eu> & friends: crm is stopped\ncrm is stopped."));
    relay.stop().await;
}
