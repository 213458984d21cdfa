//! Destinations that want access tokens, with a pretended token endpoint beside them.

use atoms_relay::auth::Grant;

use super::{
    support::{relay::WholeRelay, wire::Request, within},
    *,
};

/// A token endpoint whose n-th token, from 0, is `tN`. What it knows besides is `more`.
async fn endpoint(expires_in: u32, more: &str) -> Scripted {
    let more = more.to_owned();
    Scripted::with(move |n, _| issued(&format!(r#""t{n}","expires_in":{expires_in}{more}"#))).await
}

fn issued(token: &str) -> Behaviour {
    Behaviour::AnswersWith(200, String::new(), format!(r#"{{"access_token":{token},"token_type":"Bearer"}}"#))
}

/// The destination, with tokens of this endpoint.
fn with_tokens(destination: Destination, endpoint: &Scripted) -> Destination {
    let grant = Grant {
        token_url: endpoint.url("/token").parse().unwrap(),
        client_id: "relay".into(),
        client_secret: "hush".into(),
        scope: None,
        audience: None,
        capture: Vec::new(),
        default_ttl: Duration::from_secs(1800),
    };
    Destination { client: client(Settings { grant: Some(grant), ..settings() }), ..destination }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_events_at_once_need_one_token() {
    let (endpoint, destination) = (endpoint(3600, "").await, Scripted::always(Behaviour::Answers(200)).await);
    let sender = Sender::start(vec![with_tokens(to("crm", &destination.url("/")), &endpoint)]);
    sender.accept_many(50, &["crm"]).await;
    let got = destination.wait_for(50).await;
    assert!(got.iter().all(|got| got.header("authorization") == "Bearer t0"));
    let asked = endpoint.got();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].body, "grant_type=client_credentials&client_id=relay&client_secret=hush");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_replaced_when_its_time_is_over() {
    let (endpoint, destination) = (endpoint(1, "").await, Scripted::always(Behaviour::Answers(200)).await);
    let sender = Sender::start(vec![with_tokens(to("crm", &destination.url("/")), &endpoint)]);
    let until_replaced = async {
        for n in 1.. {
            sender.accept(fixtures::event(&n.to_string()), &["crm"]).await;
            if destination.wait_for(n).await[n - 1].header("authorization") == "Bearer t1" {
                break;
            }
        }
    };
    within("replacing a token", until_replaced).await;
    assert_eq!(destination.got()[0].header("authorization"), "Bearer t0");
    assert!(sender.dispatch.handle().conditions().values().all(|condition| *condition == Condition::Flowing));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_endpoint_that_is_down_delays_and_one_that_refuses_the_credentials_stops() {
    let tokens = [
        Behaviour::Answers(503),
        Behaviour::HangsUp,
        Behaviour::AnswersWith(401, String::new(), r#"{"error":"invalid_client"}"#.into()),
        issued("\"t\""),
    ];
    let (endpoint, destination) = (Scripted::sequence(tokens).await, Scripted::always(Behaviour::Answers(200)).await);
    let sender = Sender::start(vec![with_tokens(to("crm", &destination.url("/")), &endpoint)]);
    let event = sender.accept(fixtures::event("1"), &["crm"]).await;
    let stopped = sender.wait_for_condition("crm", |condition| matches!(condition, Condition::Stopped { .. })).await;
    assert!(format!("{stopped:?}").contains("the token endpoint refuses the credentials"), "{stopped:?}");
    assert_eq!(destination.count(), 0);

    sender.dispatch.handle().resume(&name("crm"));
    let (_, attempts) = sender.wait_until(event, "crm", is_delivered).await;
    assert_eq!(failures(&attempts), [FailureKind::Token, FailureKind::Token, FailureKind::Credentials]);
    assert!(attempts[0].outcome.to_string().ends_with("the token endpoint at 127.0.0.1 answered 503"));
    assert_eq!(destination.got()[0].header("authorization"), "Bearer t");
}

/// As with Salesforce, which says where it is only in the token's answer.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_with_a_token_can_lead_to_the_destination() {
    let destination = Scripted::always(Behaviour::Answers(200)).await;
    let endpoint = endpoint(3600, &format!(r#","instance_url":"{}""#, destination.url(""))).await;
    let relay = WholeRelay::start(&format!(
        r#"
[destination.crm]
url = "{{{{ auth.instance_url }}}}/services/data"

[destination.crm.auth.oauth2]
token_url = "{}"
client_id = "relay"
client_secret = "hush"
capture = ["instance_url"]

[[route]]
to = ["crm"]
"#,
        endpoint.url("/token")
    ))
    .await;
    let answer = Request::signed(fixtures::event("1")).send(relay.public).await;
    let got = destination.wait_for(1).await;
    assert_eq!(got[0].header("x-relay-event"), answer.text("id"));
    assert_eq!(got[0].header("authorization"), "Bearer t0");
    relay.stop().await;
}
