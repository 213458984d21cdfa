//! Who may look in: every route of the admin listener, with and without its token, under its own name and another, from its
//! own pages and from other sites. The routes are those that the listener names itself.

use std::{fs, os::unix::fs::PermissionsExt};

use atoms_relay::{admin::Guard, clock::Clock};
use serde_json::Value;

use crate::{
    site::Site,
    support::{
        receiver::Receiver,
        wire::{Answer, Request},
        within,
    },
    window::{Window, command, crm, run},
};

const TOKEN: &str = "open-sesame-0123456789";

/// A route as the listener describes it.
struct Route {
    line: String,
    is_open: bool,
}

/// Asks as a browser or a program does that has this token, calls the listener so, and comes from there.
struct Visitor {
    token: Option<&'static str>,
    host: &'static str,
    origin: Option<&'static str>,
}

impl Visitor {
    const fn with(token: Option<&'static str>) -> Self {
        Self { token, host: "localhost", origin: None }
    }

    async fn ask(&self, window: &Window, route: &Route) -> Answer {
        let mut request = Request::new(&route.line).without("Host").header("Host", self.host);
        if let Some(token) = self.token {
            request = request.header("Authorization", &format!("Bearer {token}"));
        }
        if let Some(origin) = self.origin {
            request = request.header("Origin", origin);
        }
        request.header("Content-Type", "application/json").send(window.address).await
    }
}

/// A window that asks for the token.
async fn guarded() -> Window {
    let guard = Guard::new(Some(&TOKEN.into()), Vec::new());
    Window::guarded(Receiver::start().await, Clock::system(), guard).await
}

/// All routes, each with an address that fits its pattern.
async fn routes(window: &Window) -> Vec<Route> {
    let event = window.accept_many(1).await.remove(0);
    let description = Route { line: "GET /api/v1/openapi.json HTTP/1.1".into(), is_open: false };
    let described = Visitor::with(Some(TOKEN)).ask(window, &description).await;
    let described: Value = serde_json::from_str(&described.body).unwrap();
    let mut routes = Vec::new();
    for (pattern, operations) in described["paths"].as_object().unwrap() {
        let id = if pattern.contains("deliveries") { format!("{event}.crm") } else { event.clone() };
        let path = pattern.replace("{id}", &id).replace("{name}", "crm");
        for (method, operation) in operations.as_object().unwrap() {
            let line = format!("{} {path} HTTP/1.1", method.to_uppercase());
            routes.push(Route { line, is_open: operation["security"].is_array() });
        }
    }
    routes
}

#[tokio::test]
async fn every_route_is_shut_to_those_who_should_not_come_in() {
    let window = guarded().await;
    let foreign_name = Visitor { host: "evil.example", ..Visitor::with(Some(TOKEN)) };
    let other_site = Visitor { origin: Some("http://evil.example"), ..Visitor::with(Some(TOKEN)) };
    for route in routes(&window).await {
        for (visitor, refused) in [
            (Visitor::with(None), 401),
            (Visitor::with(Some("open-sesame-0123456788")), 401),
            (Visitor { ..other_site }, 403),
        ] {
            let answer = visitor.ask(&window, &route).await;
            if route.is_open {
                assert_eq!(answer.status, 200, "{}: {answer:?}", route.line);
            } else {
                assert_eq!(answer.status, refused, "{}: {answer:?}", route.line);
                let challenge = answer.header("www-authenticate").map(|challenge| challenge.starts_with("Bearer"));
                assert_eq!(challenge, (refused == 401).then_some(true), "{answer:?}");
            }
        }
        let answer = foreign_name.ask(&window, &route).await;
        assert_eq!(answer.status, 421, "{}: {answer:?}", route.line);
    }
    assert_eq!(window.receiver.store.pause_of(&crm()), None, "somebody came in all the same");
}

#[tokio::test]
async fn every_route_is_open_to_those_who_have_the_token() {
    let window = guarded().await;
    let own_page = Visitor { origin: Some("http://localhost"), ..Visitor::with(Some(TOKEN)) };
    for route in routes(&window).await {
        for visitor in [Visitor::with(Some(TOKEN)), Visitor { ..own_page }] {
            let answer = visitor.ask(&window, &route).await;
            // A change that is asked for without a body may be too vague, but for other reasons.
            assert!(![401, 403, 421].contains(&answer.status), "{}: {answer:?}", route.line);
        }
    }
}

#[tokio::test]
async fn only_health_is_open_to_all() {
    let open: Vec<String> =
        routes(&guarded().await).await.into_iter().filter(|route| route.is_open).map(|route| route.line).collect();
    assert_eq!(open, ["GET /healthz HTTP/1.1", "GET /readyz HTTP/1.1"]);
}

#[tokio::test]
async fn commands_say_what_to_do_about_a_token_and_work_with_it() {
    let site = Site::prepared().await;
    let token = site.file("token", format!("{TOKEN}\n").as_bytes());
    site.changes(|config| config.replace("[admin]", &format!("[admin]\ntoken = {{ file = \"{}\" }}", token.display())));
    let relay = site.serve().await;
    let admin = format!("--admin http://{}", relay.address("admin_address"));

    let refused = run(&format!("{admin} status")).await;
    assert_eq!(refused.status.code(), Some(69));
    assert!(
        refused.err.contains("answers only who has its token") && refused.err.contains("--token-file FILE"),
        "{}",
        refused.err
    );
    let wrong = site.file("wrong", b"open-sesame-0123456788");
    let refused = run(&format!("{admin} --token-file {} status", wrong.display())).await.err;
    assert!(refused.contains("doesn't know the token in") && !refused.contains("0123456788"), "{refused}");

    run(&format!("{admin} --token-file {} pause crm", token.display())).await.ok();
    let mut by_variable = command(&format!("{admin} status"));
    let status = within("status", by_variable.env("ATOMS_RELAY_TOKEN_FILE", &token).output()).await.unwrap();
    assert!(String::from_utf8(status.stdout).unwrap().contains("paused"));
    assert_eq!(relay.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_relay_is_looked_after_through_a_socket_that_goes_with_it() {
    let site = Site::prepared().await;
    let socket = site.file("admin.sock~", b"").with_file_name("admin.sock");
    site.changes(|config| config.replace("[admin]\nlisten = \"127.0.0.1:0\"", "[admin]\nlisten = \"unix:admin.sock\""));
    let admin = format!("--admin unix:{}", socket.display());

    let unanswered = run(&format!("{admin} status")).await;
    assert_eq!(unanswered.status.code(), Some(69));
    assert!(
        unanswered.err.contains(&format!("no answer from the admin API at unix:{}", socket.display())),
        "{}",
        unanswered.err
    );

    let killed = site.serve().await;
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o660);
    assert!(run(&format!("{admin} status")).await.ok().contains("crm"));
    killed.kill().await;
    assert!(fs::exists(&socket).unwrap(), "a kill leaves it behind");
    let relay = site.serve().await;
    assert!(run(&format!("{admin} status")).await.ok().contains("crm"));
    assert_eq!(relay.stop().await.code(), Some(0));
    assert!(!fs::exists(&socket).unwrap());
}
