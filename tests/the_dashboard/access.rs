//! Those who use no mouse, see little or hear the page.

use serde_json::Value;

use crate::{
    browser::{Browser, ENTER, ESCAPE, TAB},
    site::{CALL, Site},
    support::eventually,
};

/// What is missing for those who hear the page: names, labels, headlines in order, tables with heads, parts that can be
/// jumped to.
const UNNAMED: &str = r"
const complaints = [];
const named = (node) => (node.getAttribute('aria-label') ?? node.textContent).trim() !== '';
const all = (selector) => [...document.querySelectorAll(selector)].filter((node) => node.checkVisibility());
for (const node of all('button, a[href], summary')) if (!named(node)) complaints.push(`no name: ${node.outerHTML}`);
for (const node of all('input, select, textarea')) {
  if (!node.labels.length && !node.getAttribute('aria-label')) complaints.push(`no label: ${node.outerHTML}`);
}
for (const node of all('svg')) {
  const isHidden = node.closest('[aria-hidden]') !== null;
  if (!isHidden && !(node.getAttribute('role') === 'img' && named(node))) complaints.push(`a nameless drawing: ${node.outerHTML.slice(0, 99)}`);
}
for (const table of all('table')) {
  if (!table.caption?.textContent.trim()) complaints.push('a table without a caption');
  if (table.querySelector('th:not([scope])')) complaints.push('a head that is of no column and no row');
}
for (const dialog of all('dialog')) if (!document.getElementById(dialog.getAttribute('aria-labelledby'))) complaints.push('a nameless dialog');
const levels = all('main h1, main h2, main h3, main h4').map((node) => Number(node.tagName[1]));
if (levels.filter((level) => level === 1).length !== 1 || levels[0] !== 1) complaints.push(`headlines: ${levels}`);
if (levels.some((level, place) => place > 0 && level > levels[place - 1] + 1)) complaints.push(`a gap in the headlines: ${levels}`);
for (const part of ['header', 'nav[aria-label]', 'main', '[role=search]', '[aria-live=polite]']) {
  if (document.querySelectorAll(`body ${part}`).length === 0) complaints.push(`no ${part}`);
}
const ids = [...document.querySelectorAll('[id]')].map((node) => node.id);
for (const id of ids) if (ids.filter((other) => other === id).length > 1) complaints.push(`the id ${id} stands there twice`);
if (!document.documentElement.lang || !document.title) complaints.push('no language or title');
return complaints;";

/// Texts with too little contrast to what is behind them (WCAG 2.2, 1.4.3: 4.5, for large ones 3).
const FAINT: &str = r"
const channels = (colour) => {
  const [r, g, b, a = 1] = colour.match(/[\d.]+(e-?\d+)?/g).map(Number);
  return colour.startsWith('rgb') ? [r / 255, g / 255, b / 255, a] : [r, g, b, a];
};
const over = ([r, g, b, a], below) => [r, g, b].map((value, place) => value * a + below[place] * (1 - a));
const ground = (node) => {
  if (!node) return [1, 1, 1];
  const colour = channels(getComputedStyle(node).backgroundColor);
  return colour[3] === 1 ? colour.slice(0, 3) : over(colour, ground(node.parentElement));
};
const luminance = (colour) => {
  const [r, g, b] = colour.map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const faint = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
let count = 0;
while (walker.nextNode()) {
  const node = walker.currentNode.parentElement;
  if (!walker.currentNode.textContent.trim() || !node.checkVisibility() || node.closest('.unseen, .skip, :disabled, title, option, noscript, style, script')) continue;
  const style = getComputedStyle(node);
  const behind = ground(node);
  const colour = over(channels(node.closest('svg') ? style.fill : style.color), behind);
  const [lighter, darker] = [luminance(colour), luminance(behind)].sort((one, other) => other - one);
  const ratio = (lighter + 0.05) / (darker + 0.05);
  const isLarge = parseFloat(style.fontSize) >= 24;
  count += 1;
  if (ratio < (isLarge ? 3 : 4.5)) faint.push(`${ratio.toFixed(2)}: ${walker.currentNode.textContent.trim().slice(0, 40)} (${node.className})`);
}
return count > 10 ? faint : ['hardly any text was looked at'];";

const FOCUS_IS_SEEN: &str = "
const style = getComputedStyle(document.activeElement);
return document.activeElement === document.body || (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2);";

async fn check(browser: &Browser, place: &str) {
    let nothing = Value::Array(Vec::new());
    assert_eq!(browser.run(UNNAMED).await, nothing, "{place}");
    for theme in ["light", "dark"] {
        browser.run(&format!("document.documentElement.dataset.theme = '{theme}'")).await;
        // Colours change in a tenth of a second.
        browser.wait_until("the end of all transitions", "return document.getAnimations().length === 0").await;
        assert_eq!(browser.run(FAINT).await, nothing, "{place}, {theme}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_has_a_name_and_texts_stand_out_in_light_and_in_dark() {
    let site = Site::start().await;
    let ids = site.receive_a_call().await;
    site.settled().await;
    let Some(browser) = site.look("").await else { return };
    site.receive(b"no json".to_vec()).await;
    browser.read("Send dead again").await;
    check(&browser, "the overview").await;
    browser.click("[aria-label='Pause archive']").await;
    check(&browser, "the pause").await;
    browser.press(ESCAPE).await;
    browser.open(&site.page("events?state=dead")).await;
    browser.click("[aria-label='Send the events of this filter again']").await;
    browser.read("By today’s routes").await;
    check(&browser, "what to send again").await;
    browser.press(ESCAPE).await;
    let quarantined = site.ask("events?state=quarantined").await["items"][0]["id"].as_str().unwrap().to_owned();
    for (hash, words) in [
        ("events", "Received"),
        ("events?state=expired", "No event is like that"),
        ("dead", "Given up"),
        ("config", "read "),
        ("audit", "Names are what people said"),
        (&*format!("events/{}", ids[1]), "Attempt"),
        (&*format!("events/{quarantined}"), "Kept, but not read"),
        (&*format!("calls/{CALL}"), "Where it stands"),
    ] {
        browser.open("about:blank").await;
        browser.open(&site.page(hash)).await;
        browser.read(words).await;
        if hash.starts_with("events/") {
            browser.click("[aria-labelledby='body'] button").await;
            browser.wait_until("the body", "return document.querySelector('pre') !== null").await;
        }
        check(&browser, hash).await;
    }
    browser.close().await;
    site.relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_it_can_be_done_with_the_keyboard_and_the_focus_is_seen() {
    let site = Site::start().await;
    site.receive_a_call().await;
    site.settled().await;
    let Some(browser) = site.look("").await else { return };
    browser.read("Latest events").await;

    tab_to(&browser, "Pause archive").await;
    browser.press(ENTER).await;
    browser.read("Pause archive?").await;
    browser.press(&format!("{TAB}moving house{ENTER}")).await;
    browser.read("moving house").await;

    browser.press("?").await;
    browser.read("Keyboard shortcuts").await;
    browser.press(ESCAPE).await;
    browser.wait_until("closing the list", "return document.querySelector('dialog') === null").await;

    browser.press("e").await;
    browser.wait_until("the list", "return document.querySelectorAll('tbody tr').length === 3").await;
    browser.press("jj").await;
    assert_eq!(browser.run(FOCUS_IS_SEEN).await, true);
    browser.press(ENTER).await;
    browser.read("Sender’s id").await;
    let is_told = "return document.title.startsWith('Event ') && document.activeElement.tagName === 'H1'";
    browser.wait_until("telling what page it is", is_told).await;

    browser.press(&format!("/{CALL}{ENTER}")).await;
    browser.read("All events are here").await;
    browser.press("o").await;
    browser.read("Latest events").await;
    browser.close().await;
    site.relay.stop().await;
}

/// Goes from one thing to the next until the one with this name, and sees on the way that each shows where the focus is.
async fn tab_to(browser: &Browser, name: &str) {
    eventually(&format!("coming to {name}"), async || {
        browser.press(TAB).await;
        assert_eq!(
            browser.run(FOCUS_IS_SEEN).await,
            true,
            "{}",
            browser.run("return document.activeElement.outerHTML").await
        );
        let reached = browser.run("return document.activeElement.getAttribute('aria-label')").await;
        (reached.as_str() == Some(name)).then_some(())
    })
    .await;
}
