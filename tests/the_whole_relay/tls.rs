//! The relay speaks https itself.

use std::{fs, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    everything_to,
    support::{fixtures, relay::WholeRelay, sink::Sink, wire::Request, within},
};

const NAME: &str = "relay.example";

/// A certificate in a folder, with its key, and what stands of them in the config.
fn certificate() -> (TempDir, CertificateDer<'static>, String) {
    let folder = TempDir::new().unwrap();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([NAME.to_owned()]).unwrap();
    let pem = |label, der| format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der));
    let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    fs::write(&chain, pem("CERTIFICATE", cert.der().as_ref())).unwrap();
    fs::write(&key, pem("PRIVATE KEY", signing_key.serialized_der())).unwrap();
    let config = format!("[server.tls]\ncert = \"{}\"\nkey = \"{}\"\n", chain.display(), key.display());
    (folder, cert.der().clone(), config)
}

async fn connect(relay: &WholeRelay, trusted: CertificateDer<'static>) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(relay.public).await.unwrap();
    let name = ServerName::try_from(NAME).unwrap();
    within("a handshake", TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_certificate_the_relay_takes_events_over_https() {
    let sink = Sink::start().await;
    let (_folder, trusted, tls) = certificate();
    let relay = WholeRelay::start(&(everything_to(&sink) + &tls)).await;
    // One who says nothing keeps nobody out.
    let _silent = TcpStream::connect(relay.public).await.unwrap();

    let mut stream = connect(&relay, trusted).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]), "HTTP/2 is not spoken");
    let request = Request::signed(fixtures::event("secure")).header("Connection", "close");
    stream.write_all(&request.bytes()).await.unwrap();
    let mut answer = String::new();
    within("an answer", stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("accepted"), "{answer}");
    assert_eq!(sink.wait_for(1).await[0].body, fixtures::event("secure"));

    let metrics = Request::new("GET /metrics HTTP/1.1").without("Host").header("Host", "localhost");
    let metrics = metrics.send(relay.admin).await.body;
    let expiry = metrics.lines().find(|line| line.starts_with("atoms_relay_tls_certificate_expiry_timestamp_seconds"));
    assert!(expiry.is_some(), "{metrics}");
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_speaks_no_tls_to_it_gets_no_answer_and_stores_nothing() {
    let sink = Sink::start().await;
    let (_folder, _, tls) = certificate();
    let relay = WholeRelay::start(&(everything_to(&sink) + &tls)).await;
    let mut stream = TcpStream::connect(relay.public).await.unwrap();
    stream.write_all(&Request::signed(fixtures::event("plain")).bytes()).await.unwrap();
    let mut answer = Vec::new();
    drop(within("the end", stream.read_to_end(&mut answer)).await);
    assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
    let status = Request::new("GET /api/v1/status HTTP/1.1").without("Host").header("Host", "localhost");
    let status: serde_json::Value = serde_json::from_str(&status.send(relay.admin).await.body).unwrap();
    assert_eq!(status["queue"]["events"], 0, "{status}");
    relay.stop().await;
}
