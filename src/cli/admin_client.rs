//! Talks to the admin API of a running relay: plain HTTP/1.1, one connection for each question.
//!
//! Not for the internet: the admin listener stands on loopback or on a Unix socket, or at the end of a tunnel. Requests to
//! receivers of events go through [`crate::send`].

use std::{
    fmt, fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_util::either::Either;
use url::{Position, Url};

use super::{
    failure::{Exit, Failure},
    text::harmless_lines,
};
use crate::admin::view::{PageView, ProblemView, ReadinessView};

/// How long to wait for a connection: on loopback it stands at once or never.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// How long an answer may take. Replaying all dead letters of a bad week takes minutes.
const ANSWER_DEADLINE: Duration = Duration::from_secs(600);
/// The largest answer that is read, in bytes; far above the largest event body that a relay takes by default (8 MiB).
const MAX_ANSWER: usize = 256 * 1024 * 1024;
/// Items that a page may have at most.
const MAX_PAGE: usize = 500;

/// Where an admin API is: `http://127.0.0.1:9090`, or `unix:/run/atoms-relay/admin.sock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AdminAddress {
    Network(Url),
    Socket(PathBuf),
}

impl FromStr for AdminAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some("") => Err("give the path of the socket: unix:/run/atoms-relay/admin.sock".to_owned()),
            Some(path) => Ok(Self::Socket(path.into())),
            None => network(text).map(Self::Network),
        }
    }
}

fn network(text: &str) -> Result<Url, String> {
    let forms = "write it like http://127.0.0.1:9090 or unix:/run/atoms-relay/admin.sock";
    let url: Url = text.parse().map_err(|error| format!("{error}: {forms}"))?;
    if url.scheme() != "http" || !url.has_host() {
        return Err(format!("{forms}: there is no TLS on the way to the admin API, from afar use an SSH tunnel"));
    }
    if url.path() != "/" || url.query().is_some() {
        return Err("give host and port only: the rest is the same for every relay".to_owned());
    }
    Ok(url)
}

impl AdminAddress {
    /// What the `Host` header says.
    fn host(&self) -> &str {
        match self {
            Self::Network(url) => &url[Position::BeforeHost..Position::AfterPort],
            Self::Socket(_) => "localhost",
        }
    }

    async fn connect(&self) -> io::Result<Stream> {
        match self {
            Self::Network(url) => {
                let addresses: Vec<SocketAddr> = url.socket_addrs(|| None)?;
                TcpStream::connect(addresses.as_slice()).await.map(Either::Left)
            }
            Self::Socket(path) => UnixStream::connect(path).await.map(Either::Right),
        }
    }
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(url) => f.write_str(url.as_str().trim_end_matches('/')),
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
        }
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

    /// Path and query.
    fn target(&self) -> Result<String, url::ParseError> {
        let mut url = Url::parse("http://localhost")?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(&self.segments);
        }
        if !self.parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.parameters);
        }
        Ok(url[Position::BeforePath..Position::AfterQuery].to_owned())
    }
}

/// What the system says of an error, without its number, which helps nobody.
fn without_number(why: &str) -> &str {
    why.split_once(" (os error").map_or(why, |(words, _)| words)
}

/// The `Authorization` of who has the token in a file. White space around it doesn't count.
fn authorization(token_file: &Path) -> Result<HeaderValue, Failure> {
    let wrong = |exit, why: &str| {
        let (file, why) = (token_file.display(), without_number(why));
        Failure::new(exit, format_args!("the token file {file} can't be used: {why}"))
    };
    let text = fs::read_to_string(token_file).map_err(|error| wrong(Exit::Io, &error.to_string()))?;
    let value = HeaderValue::try_from(format!("Bearer {}", text.trim())).ok();
    let value = value.filter(|_| !text.trim().is_empty());
    let mut value = value.ok_or_else(|| wrong(Exit::Data, "it has to hold the token on one line, and nothing else"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// An admin API.
#[derive(Debug, Clone)]
pub(super) struct AdminClient {
    address: AdminAddress,
    token_file: Option<PathBuf>,
    user: Option<HeaderValue>,
}

impl AdminClient {
    /// The API at an address, whose token is in a file where it wants one. Nothing is read or sent yet.
    pub(super) fn new(address: AdminAddress, token_file: Option<PathBuf>) -> Self {
        Self { address, token_file, user: None }
    }

    /// The same for somebody who says who they are, which stands in the audit trail then.
    pub(super) fn on_behalf_of(self, name: Option<String>) -> Self {
        Self { user: name.and_then(|name| HeaderValue::try_from(name).ok()), ..self }
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

    /// A request as the admin API takes it.
    pub(super) fn request(
        &self,
        method: Method,
        question: &Question,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let target = question.target().map_err(|error| Failure::new(Exit::Software, error))?;
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header(header::HOST, self.address.host())
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(file) = &self.token_file {
            request = request.header(header::AUTHORIZATION, authorization(file)?);
        }
        if let Some(user) = &self.user {
            request = request.header("X-Relay-User", user);
        }
        request.body(Full::new(body)).map_err(|error| Failure::new(Exit::Software, error))
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

    /// A connection to it.
    pub(super) async fn connect(&self) -> Result<Stream, Failure> {
        let connected = timeout(CONNECT_DEADLINE, self.address.connect()).await;
        connected
            .map_err(|_| self.unavailable("no connection in time"))?
            .map_err(|error| self.unavailable(&error.to_string()))
    }

    /// That it doesn't answer, and what to do.
    pub(super) fn unavailable(&self, why: &str) -> Failure {
        let address = &self.address;
        let why = without_number(why);
        Failure::new(
            Exit::Unavailable,
            format_args!(
                "no answer from the admin API at {address}: {why}\n\
                 Is the relay running? `atoms-relay serve` starts it; if its `admin.listen` is another address, give it \
                 with `--admin`."
            ),
        )
    }

    fn locked_out(&self) -> Failure {
        let address = &self.address;
        let words = match &self.token_file {
            Some(file) => format!(
                "the admin API at {address} doesn't know the token in {}: compare it with `token` under [admin] in the \
                 relay's configuration",
                file.display()
            ),
            None => format!(
                "the admin API at {address} answers only who has its token\n\
                 Give the file that holds it with `--token-file FILE`, or in the variable ATOMS_RELAY_TOKEN_FILE."
            ),
        };
        Failure::new(Exit::Unavailable, words)
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> Failure {
        let exit = match status {
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => Exit::Data,
            StatusCode::INTERNAL_SERVER_ERROR => Exit::Software,
            StatusCode::UNPROCESSABLE_ENTITY => Exit::Config,
            _ => Exit::Unavailable,
        };
        match serde_json::from_slice::<ProblemView>(body) {
            Ok(_) if status == StatusCode::UNAUTHORIZED => self.locked_out(),
            Ok(problem) => Failure::new(exit, harmless_lines(&problem.detail)),
            Err(_) => self.unavailable(&format!("{status}, and not in the words of a relay")),
        }
    }
}

/// Sends a request and reads the whole answer. The connection is driven beside it and ends with it.
#[expect(clippy::disallowed_methods, reason = "the answer is limited here, the one place of this room that reads one")]
async fn exchange(stream: Stream, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), BoxError> {
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

/// A connection of either kind.
pub(super) type Stream = Either<TcpStream, UnixStream>;

/// Whatever goes wrong on the way.
pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

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
    fn an_admin_address_is_host_and_port_or_a_socket() {
        for (text, shown) in [
            ("http://127.0.0.1:9090", "http://127.0.0.1:9090"),
            ("http://[::1]:9090/", "http://[::1]:9090"),
            ("unix:/run/atoms-relay/admin.sock", "unix:/run/atoms-relay/admin.sock"),
        ] {
            assert_eq!(text.parse::<AdminAddress>().unwrap().to_string(), shown);
        }
        for wrong in ["127.0.0.1:9090", "https://localhost", "http://localhost/api", "http://localhost/?a=b", "unix:"] {
            assert!(wrong.parse::<AdminAddress>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn values_in_a_question_are_escaped() {
        let client = AdminClient::new("http://localhost:9090".parse().unwrap(), None);
        let question = Question::new(["events", "a/b"]).with("agent", Some("x&y=z")).with("call", None::<&str>);
        let request = client.request(Method::GET, &question, Bytes::new()).unwrap();
        assert_eq!(request.uri(), "/api/v1/events/a%2Fb?agent=x%26y%3Dz");
        assert_eq!(request.headers()[header::HOST], "localhost:9090");
        assert!(!request.headers().contains_key(header::AUTHORIZATION));
    }

    #[test]
    fn a_token_stands_alone_in_its_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = |text: &str| {
            fs::write(file.path(), text).unwrap();
            authorization(file.path())
        };
        let value = read("open-sesame\n").unwrap();
        assert_eq!(value, "Bearer open-sesame");
        assert!(!format!("{value:?}").contains("sesame"));
        for wrong in ["", "\n", "open\nsesame"] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
