//! Who is let in: through a browser that other sites use as well, and with a token.

use serde_json::Value;
use tokio::net::TcpListener;

use crate::{
    browser::{Browser, ENTER},
    site::Site,
    support::wire::Request,
};

const TOKEN: &str = "correct-horse-battery-staple";

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_token_is_asked_for_it_once_in_a_tab_and_nobody_else_sees_anything() {
    let site = Site::start_guarded(TOKEN).await;
    let Some(browser) = site.look("").await else { return };
    browser.read("Token needed").await;
    assert!(!browser.text().await.contains("archive"));
    browser.press(&format!("a guess{ENTER}")).await;
    browser.read("This token isn’t the relay’s").await;
    browser.press(&format!("{TOKEN}{ENTER}")).await;
    browser.read("archive").await;

    browser.run("location.reload()").await;
    browser.read("archive").await;
    assert!(!browser.text().await.contains("Token needed"));
    let kept = browser.run("return [document.cookie, ...Object.values(localStorage)].join()").await;
    assert!(!kept.as_str().unwrap().contains(TOKEN), "{kept}");

    browser.click("[aria-label='Pause archive']").await;
    browser.click("dialog button[type='submit']").await;
    browser.read("Paused").await;
    let refusals = browser.complaints().await;
    assert!(refusals.iter().all(|line| line.contains("401 (Unauthorized)")), "{refusals:#?}");
    browser.close().await;
    site.relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_the_dashboard_need_no_token_but_one_of_our_names() {
    let site = Site::start_guarded(TOKEN).await;
    let get = async |path: &str, host: &str| {
        let request = Request::new(&format!("GET {path} HTTP/1.1")).without("Host").header("Host", host);
        request.send(site.relay.admin).await
    };
    for path in ["/", "/assets/app.js", "/assets/style.css"] {
        assert_eq!(get(path, "localhost").await.status, 200, "{path}");
        assert_eq!(get(path, "evil.example").await.status, 421, "{path}");
    }
    assert_eq!(get("/assets/../mod.rs", "localhost").await.status, 404);
    assert_eq!(get("/api/v1/status", "localhost").await.status, 401);
    let page = get("/", "localhost").await;
    let tag = page.header("etag").unwrap();
    let again = Request::new("GET / HTTP/1.1").without("Host").header("Host", "localhost").header("If-None-Match", tag);
    assert_eq!(again.send(site.relay.admin).await.status, 304);
    site.relay.stop().await;
}

/// Another site that the person has open in the same browser.
struct Stranger {
    origin: String,
    _serving: tokio::task::JoinSet<()>,
}

impl Stranger {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let mut serving = tokio::task::JoinSet::new();
        serving.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                use tokio::io::{AsyncReadExt, AsyncWriteExt};
                drop(stream.read(&mut [0; 4096]).await);
                let page =
                    "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi";
                drop(stream.write_all(page.as_bytes()).await);
            }
        });
        Self { origin, _serving: serving }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_site_in_the_same_browser_can_neither_read_nor_change_nor_frame_anything() {
    let (site, stranger) = (Site::start().await, Stranger::open().await);
    let Some(browser) = Browser::start().await else { return };
    browser.open(&stranger.origin).await;
    browser.read("hi").await;
    let admin = format!("http://{}", site.relay.admin);

    let attempts = format!(
        "const change = (options) => fetch('{admin}/api/v1/destinations/archive/pause', {{ method: 'POST', ...options }});
         const json = {{ headers: {{ 'Content-Type': 'application/json' }}, body: '{{}}' }};
         const frame = document.createElement('iframe');
         frame.src = '{admin}/';
         const shown = new Promise((resolve) => {{ frame.onload = () => resolve('loaded'); }});
         document.body.append(frame);
         window.results = Promise.allSettled([
           fetch('{admin}/api/v1/status').then((answer) => answer.text()),
           change(json),
           change({{ mode: 'no-cors', body: '{{}}' }}),
           change({{ mode: 'no-cors', headers: {{ 'Content-Type': 'text/plain' }}, body: '{{}}' }}),
         ]).then(async (all) => {{
           await shown;
           let framed = null;
           try {{ framed = frame.contentDocument; }} catch {{ framed = null; }}
           return [...all.map((one) => one.status === 'rejected' ? 'rejected' : one.value.type ?? 'read'), framed === null ? 'closed' : 'open'];
         }});
         return window.results;"
    );
    let results = browser.run(&attempts).await;
    // The browser sends what needs no leave, but shows the answer to nobody; the relay refuses it.
    assert_eq!(results, serde_json::json!(["rejected", "rejected", "opaque", "opaque", "closed"]));
    assert_eq!(site.ask("destinations").await["items"][0]["condition"], "flowing");
    let complaints = browser.complaints().await.join("\n");
    assert!(complaints.contains("frame-ancestors 'none'"), "{complaints}");
    assert!(site.ask("audit?limit=1").await["items"].as_array().is_none_or(Vec::is_empty));
    browser.close().await;
    site.relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_gone_is_told_of() {
    let site = Site::start().await;
    let Some(browser) = site.look("").await else { return };
    browser.read("No events yet").await;
    site.relay.stop().await;
    browser.read("Not reachable").await;
    browser.read("can’t be reached").await;
    let complaints: Value = browser.complaints().await.into();
    assert!(complaints.as_array().unwrap().iter().all(|line| line.as_str().unwrap().contains("ERR_")), "{complaints}");
    drop(browser);
}
