//! Access tokens: how often a token endpoint is asked, and what is said when it has none.

use tokio::{
    sync::{Mutex, mpsc},
    task::yield_now,
    time::timeout,
};

use super::*;

const ISSUED: &str = r#"{"access_token":"hush","token_type":"Bearer","expires_in":3600,"instance_url":"https://acme"}"#;

fn grant(endpoint: &Server) -> Grant {
    Grant {
        token_url: format!("http://{}/token", endpoint.address).parse().unwrap(),
        client_id: "relay".into(),
        client_secret: "hush-hush".into(),
        scope: None,
        audience: None,
        capture: vec!["instance_url".into()],
        default_ttl: Duration::from_secs(1800),
    }
}

fn client_of(endpoint: &Server, timeouts: Timeouts) -> Client {
    Client::new(Settings { grant: Some(grant(endpoint)), ..settings(timeouts) }).unwrap()
}

/// A token endpoint that answers each request, in its own connection, when it is told to.
struct Endpoint {
    server: Server,
    asked: mpsc::Receiver<String>,
    answers: mpsc::Sender<String>,
}

impl Endpoint {
    async fn new() -> Self {
        let (ask, asked) = mpsc::channel(100);
        let (answers, answer) = mpsc::channel::<String>(100);
        let answer = Arc::new(Mutex::new(answer));
        let server = Server::new(move |mut stream| {
            let (ask, answer) = (ask.clone(), answer.clone());
            async move {
                ask.send(form(&mut stream).await).await.unwrap();
                if let Some(answer) = answer.lock().await.recv().await {
                    write(&mut stream, &answer).await;
                }
            }
        })
        .await;
        Self { server, asked, answers }
    }

    /// Lets everybody who waits come to rest, then answers the one request that there is.
    async fn answer(&mut self, status: &str, body: &str) -> String {
        let request = timeout(2 * PATIENT.total, self.asked.recv()).await.expect("a token request in time").unwrap();
        for _ in 0..100 {
            yield_now().await;
        }
        self.answers.send(answer(status, body)).await.unwrap();
        request
    }

    fn requests(&self) -> usize {
        self.server.connections.load(Ordering::SeqCst)
    }
}

/// Reads a token request, whose form ends with the secret.
async fn form(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"hush-hush") {
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0);
    }
    String::from_utf8(bytes).unwrap()
}

/// Asks ten times at once, with `ask`.
fn ten<F>(client: &Client, ask: impl Fn(Client) -> F) -> JoinSet<Result<Credentials, Failure>>
where
    F: Future<Output = Result<Credentials, Failure>> + Send + 'static,
{
    (0..10).map(|_| ask(client.clone())).collect()
}

async fn current(client: Client) -> Result<Credentials, Failure> {
    client.credentials().await
}

/// The only thing that all of them said.
async fn unanimous(answers: JoinSet<Result<Credentials, Failure>>) -> Result<Credentials, Failure> {
    let mut answers = answers.join_all().await;
    let words: Vec<_> = answers.iter().map(|answer| format!("{answer:?}")).collect();
    assert!(words.iter().all(|said| *said == words[0]), "{words:?}");
    answers.pop().unwrap()
}

#[tokio::test]
async fn many_who_need_a_token_at_once_cause_one_request_and_share_what_it_brings() {
    let mut endpoint = Endpoint::new().await;
    let client = client_of(&endpoint.server, PATIENT);
    let waiting = ten(&client, current);
    endpoint.answer("200 OK", ISSUED).await;
    let credentials = unanimous(waiting).await.unwrap();
    assert_eq!(credentials.authorization().unwrap(), "Bearer hush");
    assert_eq!(credentials.captured()["instance_url"], "https://acme");
    client.credentials().await.unwrap();
    assert_eq!(endpoint.requests(), 1);
}

#[tokio::test]
async fn many_who_wait_share_a_failure_too_and_whoever_comes_later_asks_again() {
    let mut endpoint = Endpoint::new().await;
    let client = client_of(&endpoint.server, PATIENT);
    let waiting = ten(&client, current);
    endpoint.answer("503 Busy", "").await;
    let told = unanimous(waiting).await.unwrap_err();
    assert_eq!(told, failure(FailureKind::Token, "the token endpoint at 127.0.0.1 answered 503"));
    assert_eq!(endpoint.requests(), 1);

    let later = ten(&client, current);
    endpoint.answer("200 OK", ISSUED).await;
    unanimous(later).await.unwrap();
    assert_eq!(endpoint.requests(), 2);
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once_for_all_who_had_it() {
    let mut endpoint = Endpoint::new().await;
    let client = client_of(&endpoint.server, PATIENT);
    let first = ten(&client, current);
    endpoint.answer("200 OK", ISSUED).await;
    let old = unanimous(first).await.unwrap();

    let refused = old.clone();
    let waiting = ten(&client, move |client| {
        let refused = refused.clone();
        async move { client.refresh(&refused).await }
    });
    endpoint.answer("200 OK", &ISSUED.replace("hush", "fresh")).await;
    assert_eq!(unanimous(waiting).await.unwrap().authorization().unwrap(), "Bearer fresh");
    // Who comes late with the old one gets the new one, and nobody is asked.
    assert_eq!(client.refresh(&old).await.unwrap().authorization().unwrap(), "Bearer fresh");
    assert_eq!(client.credentials().await.unwrap().authorization().unwrap(), "Bearer fresh");
    assert_eq!(endpoint.requests(), 2);
}

/// It would otherwise be fetched by all who wait, one after another.
#[tokio::test]
async fn a_token_that_ends_at_once_serves_those_who_waited_for_it_and_nobody_else() {
    let mut endpoint = Endpoint::new().await;
    let client = client_of(&endpoint.server, PATIENT);
    for requests in [1, 2] {
        let waiting = ten(&client, current);
        endpoint.answer("200 OK", &ISSUED.replace("3600", "0")).await;
        unanimous(waiting).await.unwrap();
        assert_eq!(endpoint.requests(), requests);
    }
}

#[tokio::test]
async fn who_gives_up_waiting_leaves_the_next_one_a_free_way() {
    let mut endpoint = Endpoint::new().await;
    let client = client_of(&endpoint.server, PATIENT);
    let mut given_up = ten(&client, current);
    endpoint.asked.recv().await.unwrap();
    given_up.shutdown().await;
    endpoint.answers.send(String::new()).await.unwrap(); // For the one that has gone.
    let next = ten(&client, current);
    endpoint.answer("200 OK", ISSUED).await;
    unanimous(next).await.unwrap();
}

#[tokio::test]
async fn a_token_request_says_who_asks_and_for_what() {
    let mut endpoint = Endpoint::new().await;
    let client = client_of(&endpoint.server, PATIENT);
    let waiting = ten(&client, current);
    let request = endpoint.answer("200 OK", ISSUED).await;
    unanimous(waiting).await.unwrap();
    for part in [
        "POST /token HTTP/1.1\r\n",
        "content-type: application/x-www-form-urlencoded\r\n",
        "accept: application/json\r\n",
        "user-agent: atoms-relay/",
        "\r\n\r\ngrant_type=client_credentials&client_id=relay&client_secret=hush-hush",
    ] {
        assert!(request.contains(part), "{part} is not in {request}");
    }
}

#[tokio::test]
async fn a_token_goes_where_a_constant_credential_would() {
    let mut endpoint = Endpoint::new().await;
    let client = client_of(&endpoint.server, PATIENT);
    let waiting = ten(&client, current);
    endpoint.answer("200 OK", ISSUED).await;
    let credentials = unanimous(waiting).await.unwrap();
    let constant = |request: &mut OutboundRequest| drop(request.headers.insert("authorization", "x".parse().unwrap()));
    let seen = seen(&client, &credentials, constant).await;
    assert_eq!(seen.matches("authorization:").count(), 1);
    assert!(seen.contains("authorization: Bearer hush\r\n"), "{seen}");
}

/// What a failure to get a token says.
async fn told(endpoint: &Server, timeouts: Timeouts) -> (FailureKind, String) {
    let Failure { kind, detail } = client_of(endpoint, timeouts).credentials().await.unwrap_err();
    (kind, detail.strip_prefix("the token endpoint at 127.0.0.1 ").unwrap().to_owned())
}

#[tokio::test]
async fn whatever_is_wrong_with_a_token_endpoint_is_said_to_be_about_the_token() {
    let answering = async |status: &str, body: &str| {
        let answer = answer(status, body);
        let server = Server::new(move |mut stream| {
            let answer = answer.clone();
            async move {
                form(&mut stream).await;
                write(&mut stream, &answer).await;
            }
        });
        told(&server.await, PATIENT).await
    };
    let refused = answering("401 Unauthorized", r#"{"error":"invalid_client","error_description":"hush"}"#).await;
    assert_eq!(refused, (FailureKind::Credentials, "answered 401 (invalid_client)".into()));
    let redirect = answering("302 Found", "").await;
    assert_eq!(redirect, (FailureKind::Credentials, "answered 302".into()));
    let without = answering("200 OK", r#"{"access_token":"hush"}"#).await;
    assert_eq!(without, (FailureKind::Token, "gave an answer without `instance_url`, which `capture` asks for".into()));
    let endless = answering("200 OK", &"x".repeat(70_000)).await;
    let unreadable = "gave an answer that can't be read: it breaks off, or has no end";
    assert_eq!(endless, (FailureKind::Token, unreadable.into()));
}

#[tokio::test]
async fn a_token_endpoint_that_cannot_be_reached_is_told_from_the_destination() {
    let silent = Server::new(|mut stream| async move { while !request(&mut stream).await.is_empty() {} }).await;
    assert_eq!(
        told(&silent, HASTY).await,
        (FailureKind::Token, "can't be asked: timed out: no whole answer within 300ms".into())
    );
    let mut gone = Server::answering(String::new()).await;
    gone.address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(
        told(&gone, PATIENT).await,
        (FailureKind::Token, "can't be asked: no connection: Connection refused".into())
    );
}

#[tokio::test]
async fn the_guard_holds_for_token_endpoints_too() {
    let endpoint = Endpoint::new().await;
    let policy = Policy::PublicOnly;
    let client = Client::new(Settings { policy, grant: Some(grant(&endpoint.server)), ..settings(PATIENT) }).unwrap();
    assert_eq!(client.credentials().await.unwrap_err().kind, FailureKind::Forbidden);
    assert_eq!(endpoint.requests(), 0);
}

#[tokio::test]
async fn nobody_is_shown_a_token_or_the_secret_behind_it() {
    let mut endpoint = Endpoint::new().await;
    let client = client_of(&endpoint.server, PATIENT);
    let waiting = ten(&client, current);
    endpoint.answer("200 OK", ISSUED).await;
    let credentials = unanimous(waiting).await.unwrap();
    let shown = format!("{client:?} {credentials:?}");
    assert!(!shown.contains("hush"), "{shown}");
}

#[tokio::test]
async fn constant_credentials_cost_nothing_and_cannot_be_refreshed() {
    let client = client(PATIENT);
    assert!(!client.can_refresh());
    assert_eq!(client.longest_attempt(), PATIENT.total);
    let credentials = client.credentials().await.unwrap();
    assert!(client.refresh(&credentials).await.unwrap().authorization().is_none());
}
