//! TLS against servers whose certificates are made here, good and bad ones.

use std::net::Ipv4Addr;

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};
use tokio_rustls::TlsAcceptor;

use super::*;

/// An authority of our own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
struct Certified {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn certifies(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Certified {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Certified { certificate: certificate.der().clone(), key }
    }

    /// As a client believes it.
    fn trusted(&self) -> Trust {
        Trust::Only(Authorities::from_pem(pem("CERTIFICATE", self.0.der()).as_bytes()).unwrap())
    }

    fn store(&self) -> RootCertStore {
        let mut store = RootCertStore::empty();
        store.add(self.0.der().clone()).unwrap();
        store
    }
}

impl Certified {
    fn identity(&self) -> Identity {
        let (certificate, key) = (pem("CERTIFICATE", &self.certificate), pem("PRIVATE KEY", self.key.serialized_der()));
        Identity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap()
    }

    /// A server with this certificate, which wants one from clients when there are `clients`.
    async fn serves(&self, clients: Option<&Authority>) -> Server {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
        let config = match clients {
            Some(clients) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(clients.store()), provider);
                config.with_client_cert_verifier(verifier.build().unwrap())
            }
            None => config.with_no_client_auth(),
        };
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let config = config.with_single_cert(vec![self.certificate.clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Server::new(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                if !request(&mut stream).await.is_empty() {
                    write(&mut stream, &answer("200 OK", "")).await;
                }
                drop(stream.shutdown().await);
            }
        })
        .await
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

/// What a client with these certificates meets at `https://localhost`.
async fn meets(server: &Server, trust: Trust, identity: Option<Identity>) -> Sent {
    let lookup = |_| Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))]);
    let guard = Guard::over(Policy::AllowPrivate, lookup);
    let client = Client::guarded(Settings { trust, identity, ..settings(PATIENT) }, guard).unwrap();
    let url = format!("https://crm.example:{}/hook", server.address.port()).parse().unwrap();
    sent(&client, OutboundRequest { url, ..server.request() }).await
}

/// The words of a failure to connect.
fn words(sent: Sent) -> String {
    let Failure { kind, detail } = sent.unwrap_err();
    assert_eq!(kind, FailureKind::Connect, "{detail}");
    detail
}

#[tokio::test]
async fn an_authority_of_ones_own_is_believed_and_no_other() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let server = ours.certifies("crm.example", |_| ()).serves(None).await;
    assert_eq!(meets(&server, ours.trusted(), None).await.unwrap().status, 200);
    let refused =
        "TLS: its certificate is from an authority that isn't trusted; `tls = { ca = \"FILE\" }` names one that is";
    assert_eq!(words(meets(&server, theirs.trusted(), None).await), refused);
    let of_the_same_name = Authority::new("ours");
    assert_eq!(words(meets(&server, of_the_same_name.trusted(), None).await), refused);
}

#[tokio::test]
async fn a_certificate_that_vouches_for_itself_can_be_named_as_its_own_authority() {
    let authority = Authority::new("ours");
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["crm.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    let server = Certified { certificate: certificate.der().clone(), key }.serves(None).await;
    let itself = Authorities::from_pem(pem("CERTIFICATE", certificate.der()).as_bytes()).unwrap();
    assert_eq!(meets(&server, Trust::Only(itself), None).await.unwrap().status, 200);
    assert!(words(meets(&server, authority.trusted(), None).await).contains("isn't trusted"));
}

#[tokio::test]
async fn what_is_wrong_with_its_certificate_is_said_in_words() {
    let authority = Authority::new("ours");
    let told =
        async |certified: Certified| words(meets(&certified.serves(None).await, authority.trusted(), None).await);
    let expired = authority.certifies("crm.example", |params| params.not_after = date_time_ymd(2001, 2, 3));
    assert_eq!(told(expired).await, "TLS: its certificate has expired");
    let early = authority.certifies("crm.example", |params| params.not_before = date_time_ymd(2999, 2, 3));
    assert_eq!(told(early).await, "TLS: its certificate isn't valid yet, or this machine's clock is wrong");
    let of_another = authority.certifies("www.example", |_| ());
    assert_eq!(told(of_another).await, "TLS: its certificate is for another host name than the one in `url`");
}

#[tokio::test]
async fn a_destination_that_wants_a_certificate_gets_ours() {
    let authority = Authority::new("ours");
    let relay = authority.certifies("relay.example", |_| ());
    let server = authority.certifies("crm.example", |_| ()).serves(Some(&authority)).await;
    assert_eq!(meets(&server, authority.trusted(), Some(relay.identity())).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_destination_that_gets_no_certificate_or_a_wrong_one_is_told_from_a_broken_one() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("theirs"));
    let server = authority.certifies("crm.example", |_| ()).serves(Some(&authority)).await;
    assert_eq!(
        words(meets(&server, authority.trusted(), None).await),
        "TLS: it wants a certificate from us; `tls = { cert = \"FILE\", key = … }` gives one"
    );
    let wrong = stranger.certifies("relay.example", |_| ()).identity();
    assert_eq!(
        words(meets(&server, authority.trusted(), Some(wrong)).await),
        "TLS: it doesn't take our certificate, or wants one"
    );
}

#[tokio::test]
async fn a_server_without_tls_is_told_so() {
    let server =
        Server::new(|mut stream| async move { assert!(write(&mut stream, "HTTP/1.1 200 OK\r\n\r\n").await) }).await;
    let told = words(meets(&server, Authority::new("ours").trusted(), None).await);
    assert_eq!(told, "TLS: what it says is no TLS, perhaps `http://` is right");
}
