//! What strangers put into fields: it is shown as text, and nothing else comes of it.

use http::{Response, StatusCode};
use serde_json::json;

use crate::{browser::Browser, site::Site};

/// Markup, the end of a script, a direction of writing that turns what follows around, control characters, quotes.
const NASTY: &str =
    "<script>window.owned=1</script><img src=x onerror=\"window.owned=2\">\u{202e}txet\u{7}\u{1b}[31m\u{0}'\"`{{7*7}}";

/// What would show that something of it was taken for more than text.
const OWNED: &str =
    "return window.owned !== undefined || document.querySelector('img, iframe, base, object, main script') !== null
    || document.scripts.length !== 2";
/// Nothing pushes the page apart, and nothing turns the text around it.
const IN_PLACE: &str = "return document.documentElement.scrollWidth <= window.innerWidth && !/[\\u202e\\u0007]/.test(document.body.textContent)";

/// An event with nasty content wherever there is room for some.
fn nasty(id: &str, filling: &str) -> Vec<u8> {
    let event = json!({
        "id": format!("{id}{filling}"), "event": format!("68c1f0aa41d2b7e5903c11a4.{filling}"),
        "metadata": { "agentId": filling, "callId": filling, "eventType": filling, "callData": { "fromNumber": filling } },
        filling: [filling, { filling: filling }],
    });
    event.to_string().into_bytes()
}

async fn look_at(browser: &Browser, site: &Site, hash: &str, words: &str) {
    browser.open("about:blank").await;
    browser.open(&site.page(hash)).await;
    browser.read(words).await;
    assert_eq!(browser.run(OWNED).await, false, "{hash}");
    assert_eq!(browser.run(IN_PLACE).await, true, "{hash}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_strangers_send_is_shown_as_text() {
    let site = Site::start().await;
    site.crm.reply(|_| {
        let mut answer = Response::new(NASTY.replace('\0', "").into_bytes().into());
        *answer.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
        answer
    });
    let Some(browser) = site.look("").await else { return };
    let id = site.receive(nasty("one", NASTY)).await;
    let long = site.receive(nasty("two", &"<b>long</b>".repeat(70_000))).await;
    let unreadable = site.receive(NASTY.as_bytes()).await;
    site.settled().await;
    let pause = json!({ "reason": NASTY.replace('\0', ""), "until": null });
    site.change("destinations/archive/pause", &pause).await;

    look_at(&browser, &site, "", "<script>window.owned=1</script>").await;
    look_at(&browser, &site, "events", "<script>window.owned=1</script>").await;
    look_at(&browser, &site, "dead", "<script>window.owned=1</script>").await;
    for (id, words) in
        [(&id, "<script>window.owned=1"), (&long, "longer than 256 bytes"), (&unreadable, "Kept, but not read")]
    {
        look_at(&browser, &site, &format!("events/{id}"), words).await;
        browser.click("[aria-labelledby='body'] button").await;
        browser.wait_until("the body", "return document.querySelector('pre') !== null").await;
        assert_eq!((browser.run(OWNED).await, browser.run(IN_PLACE).await), (false.into(), true.into()), "{id}");
    }
    browser.open(&site.page(&format!("events/{id}"))).await;
    browser.click("dd a[href*='calls/']").await;
    browser.read("Where it stands").await;
    assert_eq!((browser.run(OWNED).await, browser.run(IN_PLACE).await), (false.into(), true.into()), "the call");
    browser.close().await;
    site.relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_somebody_made_up_lead_to_no_harm() {
    let site = Site::start().await;
    let Some(browser) = site.look("").await else { return };
    for hash in [
        "constructor",
        "__proto__/x",
        "%",
        "%3Cscript%3Ewindow.owned=1%3C/script%3E",
        "javascript:alert(1)",
        "events/..%2F..%2Fstatus",
        "events?state=%3Cb%3E&cursor=x",
        "calls/%00",
    ] {
        browser.open("about:blank").await;
        browser.open(&site.page(hash)).await;
        browser
            .wait_until("a headline or a problem", "return document.querySelector('main h1, main .notice') !== null")
            .await;
        browser.wait_until("the bar", "return document.querySelectorAll('#nav a').length > 2").await;
        assert_eq!(browser.run(OWNED).await, false, "{hash}");
    }
    // The last page would go on asking, and complain while the browser is closed.
    browser.open("about:blank").await;
    let complaints = browser.complaints().await;
    let is_expected = |line: &String| line.contains("(Not Found)") || line.contains("(Bad Request)");
    assert!(complaints.iter().all(is_expected), "{complaints:#?}");
    browser.close().await;
    site.relay.stop().await;
}
