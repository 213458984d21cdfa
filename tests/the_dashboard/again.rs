//! The past sent again: by a filter, and by today's routes.

use crate::{browser::Browser, site::Site, support::sink::status};

const SEND: &str = "[aria-label='Send the events of this filter again']";
const AGREE: &str = "dialog button[type='submit']";

#[tokio::test(flavor = "multi_thread")]
async fn the_events_of_a_filter_are_sent_again_after_it_was_said_how_many_they_are() {
    let site = Site::start().await;
    site.receive_a_call().await;
    site.settled().await;
    site.crm.reply(|_| status(200));
    let Some(browser) = site.look("events").await else { return };
    browser.read("No older ones").await;
    assert_eq!(browser.run(&format!("return document.querySelector(\"{SEND}\")")).await, serde_json::Value::Null);

    browser.open(&site.page("events?state=dead")).await;
    rehearse(&browser, "crm").await;
    browser.read("3 deliveries of 3 events will be made again (3 looked at)").await;
    assert_eq!(site.crm.got().len(), 3, "a rehearsal sends nothing");
    browser.click(AGREE).await;
    browser.read("3 deliveries will be made again, of 3 events.").await;
    site.crm.wait_for(6).await;
    browser.read("No event is like that").await;

    rehearse(&browser, "crm").await;
    browser.read("Of 3 events nothing is to be sent").await;
    assert_eq!(site.archive.got().len(), 3, "nobody chose it");
    browser.close().await;
    site.relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_route_wanted_goes_where_the_routes_of_today_want_it() {
    let site = Site::start().await;
    site.crm.reply(|_| status(200));
    site.route("events = [\"pre-conversation\"]").await;
    let ids = site.receive_a_call().await;
    site.settled().await;
    site.route("").await;
    let Some(browser) = site.look("events?state=unrouted&type=post-conversation").await else { return };

    rehearse(&browser, "archive").await;
    browser.read("1 delivery of 1 event will be made that isn’t there yet").await;
    browser.click(AGREE).await;
    browser.read("1 delivery will be made, of 1 event.").await;
    site.archive.wait_for(2).await;

    browser.open(&site.page(&format!("events/{}", ids[2]))).await;
    browser.click("[aria-label='Route it by today’s config']").await;
    browser.read("2 deliveries of 1 event will be made that aren’t there yet").await;
    browser.click(AGREE).await;
    browser
        .wait_until("its deliveries", "return document.querySelectorAll('[aria-label^=\"Delivery to \"]').length === 2")
        .await;
    site.archive.wait_for(3).await;
    site.crm.wait_for(2).await;
    browser.close().await;
    site.relay.stop().await;
}

/// Has it counted what would be sent again to this destination.
async fn rehearse(browser: &Browser, destination: &str) {
    browser.click(SEND).await;
    browser.click(&format!("input[value='{destination}']")).await;
    browser.click(AGREE).await;
}
