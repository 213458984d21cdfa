//! The pictures in `docs/dashboard`. They are taken when `RELAY_TEST_PICTURES` is set, and otherwise the page is only looked at.

use std::{fs, path::PathBuf, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::{
    browser::Browser,
    site::{CALL, Site},
    support::{fixtures, forward::Forward, sink::status},
};

/// Pictures larger than this would make the repository heavy, in bytes.
const LARGEST: usize = 200 * 1024;
/// What is below that shows only more of the same, in pixels.
const TALLEST: f64 = 820.0;

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_fit_into_windows_wide_and_narrow() {
    let time = Forward::default();
    let site = Site::start_by(time.clock()).await;
    let Some(browser) = site.look("").await else { return };
    an_hour(&site, &time).await;
    let event = a_bad_minute(&site).await;
    for theme in ["light", "dark"] {
        browser.run(&format!("localStorage.setItem('theme', '{theme}')")).await;
        for (name, hash, words) in [
            ("overview", "", "Latest events"),
            ("events", "events?within=60", "Older →"),
            ("event", &*format!("events/{event}"), "Attempt"),
            ("call", &*format!("calls/{CALL}"), "Where it stands"),
        ] {
            browser.open("about:blank").await;
            browser.open(&site.page(hash)).await;
            browser.read(words).await;
            fits(&browser, name, 400).await;
            fits(&browser, name, 1280).await;
            take(&browser, &format!("{name}-{theme}")).await;
        }
    }
    browser.close().await;
    site.relay.stop().await;
}

/// An hour of a few calls a minute, in which one destination is down for a while.
async fn an_hour(site: &Site, time: &Forward) {
    site.crm.reply(|_| status(200));
    let mut count = 0;
    for minute in 0..59 {
        match minute {
            22 => site.crm.reply(|_| status(503)),
            33 => {
                site.crm.reply(|_| status(200));
                site.change("destinations/crm/resume", &json!({})).await;
            }
            _ => {}
        }
        let calls = 2 + 7 * minute % 5 + minute / 20;
        site.receive_together((0..calls).map(|call| format!("{minute}-{call}"))).await;
        count += calls;
        site.archive.wait_for(count).await;
        // What fails now may be due in minutes, which begin when the clock is put forward.
        if minute < 22 {
            site.settled().await;
        }
        // The hour notes what has happened whenever somebody asks for it.
        site.ask("history").await;
        time.by(Duration::from_secs(60));
    }
}

/// A call that arrived at one destination, and at the other only after somebody helped; further events that wait.
async fn a_bad_minute(site: &Site) -> String {
    site.crm.reply(|_| status(422));
    let before = site.crm.got().len();
    let ids = site.receive_a_call().await;
    site.settled().await;
    site.crm.reply(|_| status(200));
    site.change("replays", &json!({ "deliveries": [format!("{}.crm", ids[1])] })).await;
    site.settled().await;
    site.crm.reply(|_| status(503));
    for file in ["04-pre-inbound.json", "05-post-inbound-hindi.json", "07-post-no-answer.json", "12-not-json.bin"] {
        site.receive(fixtures::body(file)).await;
    }
    site.crm.wait_for(before + 7).await;
    let pause = json!({ "reason": "moves to another data centre until noon", "until": null });
    site.change("destinations/archive/pause", &pause).await;
    ids[1].clone()
}

async fn fits(browser: &Browser, name: &str, width: u32) {
    browser.resize(width, 900).await;
    let widest = browser.run("return document.documentElement.scrollWidth").await;
    assert!(widest.as_u64().unwrap() <= width.into(), "{name} is {widest} px wide in a window of {width} px");
}

async fn take(browser: &Browser, name: &str) {
    #[expect(clippy::disallowed_methods, reason = "a switch of this test, not of the relay")]
    if std::env::var_os("RELAY_TEST_PICTURES").is_none() {
        return;
    }
    browser.resize(1280, 480).await;
    let size = browser.devtools("Page.getLayoutMetrics", json!({})).await["cssContentSize"].clone();
    let height = size["height"].as_f64().unwrap().min(TALLEST);
    let clip = json!({ "x": 0, "y": 0, "width": 1280, "height": height, "scale": 1 });
    let wanted = json!({ "format": "png", "optimizeForSpeed": false, "captureBeyondViewport": true, "clip": clip });
    let picture = browser.devtools("Page.captureScreenshot", wanted).await;
    let picture = STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
    assert!(picture.len() < LARGEST, "{name} takes {} bytes", picture.len());
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "docs/dashboard"].iter().collect();
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{name}.png")), picture).unwrap();
}
