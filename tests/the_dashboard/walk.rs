//! The way that somebody takes who has been called because something is wrong.

use crate::{
    browser::Browser,
    site::{CALL, Site},
    support::sink::status,
};

#[tokio::test(flavor = "multi_thread")]
async fn somebody_sees_what_is_wrong_sends_it_again_and_finds_the_call_complete() {
    let site = Site::start().await;
    let Some(browser) = site.look("").await else { return };
    browser.read("No events yet").await;

    site.receive_a_call().await;
    site.settled().await;
    browser.read("Send dead again").await;
    send_dead_letters_again(&site, &browser).await;
    look_at_one_event(&browser).await;
    look_at_the_call(&browser).await;
    browser.close().await;
    site.relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_holds_a_destination_back_and_lets_it_go_on() {
    let site = Site::start().await;
    let Some(browser) = site.look("").await else { return };
    browser.click("[aria-label='Pause archive']").await;
    browser.read("Pause archive?").await;
    browser.click("input[value='60']").await;
    browser.click("input[name='reason']").await;
    browser.press("moving house").await;
    browser.click("dialog button[type='submit']").await;
    browser.read("moving house; ends in 59 min").await;
    assert_eq!(site.ask("destinations").await["items"][0]["reason"], "moving house");

    site.receive_a_call().await;
    browser.click("[aria-label='Resume archive']").await;
    browser.read("(now: 3 deliveries)").await;
    browser.click("dialog button[type='submit']").await;
    site.archive.wait_for(3).await;
    browser.click("[aria-label='Pause archive']").await;
    browser.read("(now: 0 deliveries)").await;
    browser.close().await;
    site.relay.stop().await;
}

async fn send_dead_letters_again(site: &Site, browser: &Browser) {
    browser.click("[data-tab='dead']").await;
    browser.read("refused by the destination").await;
    site.crm.reply(|_| status(200));
    browser.click("[aria-label='Send all of them again']").await;
    browser.read("3 dead letters of all destinations will be sent again").await;
    browser.click("dialog button[type='submit']").await;
    browser.read("No dead letters").await;
    site.settled().await;
    let heard = "return document.getElementById('news').textContent === '3 deliveries will be made again.'";
    browser.wait_until("saying what was done", heard).await;
}

async fn look_at_one_event(browser: &Browser) {
    browser.click("[data-tab='events']").await;
    browser.read("analytics-completed").await;
    browser.click("input[name='type']").await;
    browser.press("post-conversation").await;
    browser.click(".filters button").await;
    let is_filtered = "return document.querySelectorAll('tbody tr').length === 1";
    browser.wait_until("the filter", is_filtered).await;
    browser.click("tbody [data-row]").await;
    browser.read("2 attempts, ").await;
    browser.click("[aria-labelledby='body'] button").await;
    browser.read("\"toNumber\": \"+********132\"").await;
    assert!(!browser.text().await.contains("+14155550132"));
    browser.click("[aria-labelledby='body'] button").await;
    browser.read("\"toNumber\": \"+14155550132\"").await;
}

async fn look_at_the_call(browser: &Browser) {
    browser.click("dd a[href*='calls/']").await;
    browser.read("All events are here").await;
    let text = browser.text().await;
    let places: Vec<_> =
        ["pre-conversation", "post-conversation", "analytics-completed"].map(|kind| text.find(kind)).into();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{text}");
    assert!(text.contains(CALL), "{text}");
    let tracks = browser.run("return document.querySelectorAll('.track').length").await;
    assert_eq!(tracks, 6, "one for each delivery");
}
