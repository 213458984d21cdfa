//! Someone new installs the package and does what `docs/operations.md` says of the first hour, word by word. What they are
//! promised to see there has to be seen.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

mod house;
mod page;
#[path = "../support/mod.rs"]
mod support;

use serde_json::Value;

use self::{house::House, page::Page};
use crate::support::{
    eventually, fixtures,
    sink::{Sink, status},
};

#[tokio::test]
async fn who_does_what_the_page_says_ends_with_a_whole_call() {
    let page = Page::read("## The first hour");
    let (crm, chat) = (Sink::start().await, Sink::start().await);
    crm.reply(|got| status(if got.path == "/api/calls" { 200 } else { 404 }));
    let mut house =
        House::with_the_package([("https://crm.example.com", crm.url("")), ("https://chat.example.com", chat.url(""))]);

    house.types(&page.step(1).commands(0), fixtures::SECRET).await;
    house.writes_config(page.step(2).config());
    assert!(house.types(&page.step(3).commands(0), "").await.contains("all is well"));
    assert!(house.types(&page.step(4).commands(0), "").await.ends_with("ready\n"));
    house.types(&page.step(5).commands(0), "").await;
    crm.wait_for(1).await;
    chat.wait_for(1).await;

    house.types(&page.step(6).commands(0), "").await;
    let trouble = eventually("both dead letters", async || dead_letters(&house).await.filter(|dead| *dead == 2)).await;
    let seen = house.types(&page.step(6).commands(1), "").await;
    assert!(seen.contains("crm") && seen.matches("refused by the destination").count() == trouble, "{seen}");
    assert!(house.get("/").await.contains("<script"), "the dashboard is a page");
    let alert = eventually("the alert", async || chat.got().into_iter().find(|got| is_alert(&got.body))).await;
    assert!(String::from_utf8_lossy(&alert.body).contains("crm"), "{alert:?}");

    house.types(&page.step(7).commands(0), "").await;
    let arrived =
        eventually("all three events", async || Some(arrivals(&crm)).filter(|arrived| arrived.len() == 3)).await;
    assert_eq!(arrived, ["analytics-completed", "post-conversation", "pre-conversation"]);
    eventually("the end of the dead letters", async || dead_letters(&house).await.filter(|dead| *dead == 0)).await;

    let shown = house.types(&page.step(8).commands(0), "").await;
    for event in &arrived {
        assert!(shown.contains(event), "{event}: {shown}");
    }
    let call: Value = serde_json::from_str(&house.get("/api/v1/calls/CALL-1").await).unwrap();
    assert_eq!((&call["complete"], &call["missing"]), (&true.into(), &Value::Array(Vec::new())), "{call}");
}

/// How many dead letters of the CRM the relay shows.
async fn dead_letters(house: &House) -> Option<usize> {
    let destinations: Value = serde_json::from_str(&house.get("/api/v1/destinations").await).unwrap();
    let crm = destinations["items"].as_array().unwrap().iter().find(|destination| destination["name"] == "crm")?;
    usize::try_from(crm["dead"].as_u64()?).ok()
}

fn is_alert(body: &[u8]) -> bool {
    String::from_utf8_lossy(body).contains("dead letter")
}

/// The types of events that have reached the CRM, sorted.
fn arrivals(crm: &Sink) -> Vec<String> {
    let taken = crm.got().into_iter().filter(|got| got.path == "/api/calls");
    let mut types: Vec<String> = taken.map(|got| event_type(&got.body)).collect();
    types.sort();
    types
}

fn event_type(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap();
    body["metadata"]["eventType"].as_str().unwrap().to_owned()
}
