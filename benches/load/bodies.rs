//! Events like those of real calls, each with an id of its own that says when it was sent.

use std::{path::PathBuf, sync::OnceLock, time::Instant};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What the requests are signed with.
pub(crate) const SECRET: &str = "a secret of the benchmark, known to everybody";

/// Ten calls: each a short, a medium and another medium event; every third call is long. 6 kB on average.
const CALLS: usize = 10;
const PRE: &str = "01-pre-outbound.json";
const POST: &str = "02-post-outbound.json";
const LONG_POST: &str = "10-post-long-transcript.json";
const ANALYTICS: &str = "03-analytics-outbound.json";

const ID_FIELD: &str = r#""id":""#;
/// Hex digits of an id, as Atoms has them.
const ID_LEN: usize = 24;

/// The bodies, in the order of sending.
#[derive(Clone)]
pub(crate) struct Bodies(Vec<Template>);

#[derive(Clone)]
struct Template {
    body: Vec<u8>,
    /// Where the id stands.
    id_at: usize,
    /// The signature as far as the id.
    signed_prefix: Hmac<Sha256>,
}

impl Bodies {
    pub(crate) fn load() -> Self {
        let call = |n: usize| [PRE, if n.is_multiple_of(3) { LONG_POST } else { POST }, ANALYTICS];
        Self((0..CALLS).flat_map(call).map(Template::load).collect())
    }

    /// Writes the `n`th request, sent now, into `request`.
    pub(crate) fn write_request(&self, n: u64, request: &mut Vec<u8>) {
        let template = &self.0[usize::try_from(n).unwrap() % self.0.len()];
        let id = format!("{n:012x}{:012x}", micros_now());
        let (prefix, rest) = template.body.split_at(template.id_at);
        let mut mac = template.signed_prefix.clone();
        mac.update(id.as_bytes());
        mac.update(&rest[ID_LEN..]);
        request.clear();
        request.extend_from_slice(b"POST /webhook HTTP/1.1\r\nHost: relay\r\nContent-Type: application/json\r\n");
        request.extend_from_slice(b"X-Signature: ");
        request.extend(mac.finalize().into_bytes().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
        request.extend_from_slice(format!("\r\nContent-Length: {}\r\n\r\n", template.body.len()).as_bytes());
        request.extend_from_slice(prefix);
        request.extend_from_slice(id.as_bytes());
        request.extend_from_slice(&rest[ID_LEN..]);
    }

    /// How many microseconds ago a body was written. Bodies are told apart by their lengths.
    pub(crate) fn age_micros(&self, body: &[u8]) -> u64 {
        let template = self.0.iter().find(|template| template.body.len() == body.len()).expect("a body of ours");
        let sent_at = &body[template.id_at + ID_LEN / 2..template.id_at + ID_LEN];
        let sent_at = u64::from_str_radix(std::str::from_utf8(sent_at).unwrap(), 16).expect("an id of ours");
        micros_now().saturating_sub(sent_at)
    }
}

impl Template {
    fn load(file: &str) -> Self {
        let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/fixtures/atoms", file].iter().collect();
        let body = std::fs::read_to_string(path).unwrap();
        let id_at = body.find(ID_FIELD).unwrap() + ID_FIELD.len();
        let body = body.into_bytes();
        assert_eq!(body[id_at + ID_LEN], b'"', "the id of {file} is longer or shorter");
        let signed_prefix = Hmac::new_from_slice(SECRET.as_bytes()).unwrap().chain_update(&body[..id_at]);
        Self { body, id_at, signed_prefix }
    }
}

fn digit(nibble: u8) -> u8 {
    b"0123456789abcdef"[usize::from(nibble)]
}

/// Since the first call.
fn micros_now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_micros()).unwrap()
}
