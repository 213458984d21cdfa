//! The config read again, as somebody sees it who has just changed the file.

use serde_json::Value;

use crate::{browser::Browser, site::Site};

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_says_what_it_did_and_a_refused_one_what_is_wrong_on_the_overview_as_well() {
    let site = Site::start().await;
    let Some(browser) = site.look("config").await else { return };
    site.relay.rewrite(|config| format!("{config}\n[destination.lake]\nurl = \"http://127.0.0.1:9/\"\n"));
    reload(&browser).await;
    browser.read("Destinations: added lake; unchanged archive, crm.").await;
    browser.read("[destination.lake]").await;

    site.relay.rewrite(|config| config.replace("\"crm\"]", "\"<img src=x>\"]"));
    reload(&browser).await;
    browser.read("The last reload failed").await;
    assert_eq!(browser.run("return document.getElementById('told')").await, Value::Null, "what the reload before did");
    let told = browser.run("return document.querySelector('pre[aria-label=\"What is wrong\"]').textContent").await;
    assert!(told.as_str().unwrap().contains("<img src=x>"), "{told}");
    assert_eq!(browser.run("return document.querySelector('img')").await, Value::Null);
    browser.click("[data-tab='']").await;
    browser.read("The config file was refused").await;
    browser.click(".notice a[href='#/config']").await;

    site.relay
        .rewrite(|config| config.replace("\"<img src=x>\"]", "\"crm\"]").replacen("127.0.0.1:0", "127.0.0.1:9", 1));
    reload(&browser).await;
    browser.read("A restart is needed for what the file says of server.listen").await;
    browser.click("[data-tab='']").await;
    browser.read("systemctl restart atoms-relay").await;
    assert!(!browser.text().await.contains("was refused"));
    let complaints = browser.complaints().await;
    assert!(complaints.iter().all(|line| line.contains("422 (Unprocessable")), "{complaints:#?}");
    browser.close().await;
    site.relay.stop().await;
}

async fn reload(browser: &Browser) {
    browser.click("[aria-label='Reload the config']").await;
    browser.read("Reload the config?").await;
    browser.click("dialog button[type='submit']").await;
}
