//! Talks to the admin API of a running relay: plain HTTP/1.1, one connection for each question.
//!
//! Not for the internet: the admin listener stands on loopback, or at the end of a tunnel. Requests to receivers of
//! events go through [`crate::send`].

use std::{net::SocketAddr, str::FromStr, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{net::TcpStream, time::timeout};
use url::{Position, Url};

use super::{
    failure::{Exit, Failure},
    text::harmless,
};
use crate::admin::view::{PageView, ReadinessView};

/// How long to wait for a connection: on loopback it stands at once or never.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// How long an answer may take. Replaying all dead letters of a bad week takes minutes.
const ANSWER_DEADLINE: Duration = Duration::from_secs(600);
/// The largest answer that is read, in bytes; far above the largest event body that a relay takes by default (8 MiB).
const MAX_ANSWER: usize = 256 * 1024 * 1024;
/// Items that a page may have at most.
const MAX_PAGE: usize = 500;

/// Where an admin API is: `http://127.0.0.1:9090`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AdminAddress(Url);

impl FromStr for AdminAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url: Url = text.parse().map_err(|error| format!("{error}: write it like http://127.0.0.1:9090"))?;
        if url.scheme() != "http" || !url.has_host() {
            return Err("it has to begin with http://: the admin API is on loopback, without TLS".to_owned());
        }
        if url.path() != "/" || url.query().is_some() {
            return Err("give host and port only: the rest is the same for every relay".to_owned());
        }
        Ok(Self(url))
    }
}

/// A question to the admin API: which address, with which parameters.
#[derive(Debug, Clone)]
pub(super) struct Question {
    segments: Vec<String>,
    parameters: Vec<(&'static str, String)>,
}

impl Question {
    /// A question to an address below `/api/v1`, given by its segments.
    pub(super) fn new<const N: usize>(segments: [&str; N]) -> Self {
        Self::outside_the_api(["api", "v1"].into_iter().chain(segments))
    }

    /// A question to an address above that.
    fn outside_the_api<'a>(segments: impl IntoIterator<Item = &'a str>) -> Self {
        Self { segments: segments.into_iter().map(str::to_owned).collect(), parameters: Vec::new() }
    }

    /// With a parameter, if there is a value for it.
    pub(super) fn with(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.parameters.extend(value.map(|value| (name, value.to_string())));
        self
    }
}

/// An admin API.
#[derive(Debug, Clone)]
pub(super) struct AdminClient {
    address: AdminAddress,
}

impl AdminClient {
    /// The API at an address. Nothing is sent yet.
    pub(super) fn new(address: AdminAddress) -> Self {
        Self { address }
    }

    /// Asks for something and reads the answer.
    pub(super) async fn get<T: DeserializeOwned>(&self, question: Question) -> Result<T, Failure> {
        read(&self.get_bytes(question).await?)
    }

    /// Asks for something and takes the answer as it is.
    pub(super) async fn get_bytes(&self, question: Question) -> Result<Bytes, Failure> {
        let request = self.request(Method::GET, &question, Bytes::new())?;
        self.ask(request).await
    }

    /// Asks whether the relay takes events.
    pub(super) async fn readiness(&self) -> Result<ReadinessView, Failure> {
        let request = self.request(Method::GET, &Question::outside_the_api(["readyz"]), Bytes::new())?;
        match self.exchange(request).await? {
            (StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE, body) => read(&body),
            (status, body) => Err(self.refused(status, &body)),
        }
    }

    /// Asks for up to `limit` items of a list, page by page, and for the cursor of what follows.
    pub(super) async fn get_list<T: DeserializeOwned>(
        &self,
        question: Question,
        limit: usize,
    ) -> Result<PageView<T>, Failure> {
        let mut found = PageView { items: Vec::new(), next: None };
        loop {
            let wanted = (limit - found.items.len()).min(MAX_PAGE);
            let page = question.clone().with("limit", Some(wanted)).with("cursor", found.next.take());
            let page: PageView<T> = self.get(page).await?;
            found.items.extend(page.items);
            found.next = page.next;
            if found.next.is_none() || found.items.len() >= limit {
                return Ok(found);
            }
        }
    }

    /// Asks for a change and reads what was done.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        question: Question,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let body = serde_json::to_vec(body).map_err(|error| Failure::new(Exit::Software, error))?;
        let request = self.request(Method::POST, &question, body.into())?;
        read(&self.ask(request).await?)
    }

    fn request(&self, method: Method, question: &Question, body: Bytes) -> Result<Request<Full<Bytes>>, Failure> {
        let mut url = self.address.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(&question.segments);
        }
        if !question.parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(&question.parameters);
        }
        let request = Request::builder()
            .method(method)
            .uri(&url[Position::BeforePath..Position::AfterQuery])
            .header(header::HOST, &url[Position::BeforeHost..Position::AfterPort])
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(Full::new(body));
        request.map_err(|error| Failure::new(Exit::Software, error))
    }

    async fn ask(&self, request: Request<Full<Bytes>>) -> Result<Bytes, Failure> {
        let (status, body) = self.exchange(request).await?;
        if status.is_success() { Ok(body) } else { Err(self.refused(status, &body)) }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), Failure> {
        let stream = self.connect().await?;
        let answered = timeout(ANSWER_DEADLINE, exchange(stream, request)).await;
        answered
            .map_err(|_| self.unavailable("it took too long to answer"))?
            .map_err(|error| self.unavailable(&error.to_string()))
    }

    async fn connect(&self) -> Result<TcpStream, Failure> {
        let addresses: Vec<SocketAddr> =
            self.address.0.socket_addrs(|| None).map_err(|error| self.unavailable(&error.to_string()))?;
        let connected = timeout(CONNECT_DEADLINE, TcpStream::connect(addresses.as_slice())).await;
        connected
            .map_err(|_| self.unavailable("no connection in time"))?
            .map_err(|error| self.unavailable(&error.to_string()))
    }

    fn unavailable(&self, why: &str) -> Failure {
        let address = self.address.0.as_str().trim_end_matches('/');
        // The number of an operating system's error helps nobody.
        let why = why.split_once(" (os error").map_or(why, |(words, _)| words);
        Failure::new(
            Exit::Unavailable,
            format_args!(
                "no answer from the admin API at {address}: {why}\n\
                 Is the relay running? `atoms-relay serve` starts it; if its `admin.listen` is another address, give it \
                 with `--admin http://HOST:PORT`."
            ),
        )
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> Failure {
        #[derive(Deserialize)]
        struct Problem {
            detail: String,
        }
        let exit = match status {
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => Exit::Data,
            StatusCode::INTERNAL_SERVER_ERROR => Exit::Software,
            _ => Exit::Unavailable,
        };
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) => Failure::new(exit, harmless(&problem.detail)),
            Err(_) => self.unavailable(&format!("{status}, and not in the words of a relay")),
        }
    }
}

/// Sends a request and reads the whole answer. The connection is driven beside it and ends with it.
#[expect(clippy::disallowed_methods, reason = "the answer is limited here, the one place of this room that reads one")]
async fn exchange(stream: TcpStream, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), BoxError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answer = async move {
        let answer: Response<_> = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await?;
        Ok((status, body.to_bytes()))
    };
    let (answer, _ended) = tokio::join!(answer, connection);
    answer
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

fn read<T: DeserializeOwned>(answer: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(answer).map_err(|error| {
        Failure::new(
            Exit::Unavailable,
            format_args!("the answer is not what this version of atoms-relay understands: {error}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_address_is_host_and_port() {
        assert!("http://127.0.0.1:9090".parse::<AdminAddress>().is_ok());
        assert!("http://[::1]:9090/".parse::<AdminAddress>().is_ok());
        for wrong in ["127.0.0.1:9090", "https://localhost", "http://localhost/api", "http://localhost/?a=b", "unix:/x"]
        {
            assert!(wrong.parse::<AdminAddress>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn values_in_a_question_are_escaped() {
        let client = AdminClient::new("http://localhost:9090".parse().unwrap());
        let question = Question::new(["events", "a/b"]).with("agent", Some("x&y=z")).with("call", None::<&str>);
        let request = client.request(Method::GET, &question, Bytes::new()).unwrap();
        assert_eq!(request.uri(), "/api/v1/events/a%2Fb?agent=x%26y%3Dz");
        assert_eq!(request.headers()[header::HOST], "localhost:9090");
    }
}
