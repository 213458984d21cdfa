//! The certificate of the public listener: shown, measured and renewed.
//!
//! Whoever renews a certificate writes two files and tells nobody, so both are read again every minute. What doesn't fit
//! together is left alone, for it may be half of a renewal: the old certificate is shown on until the new one is whole.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{task, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    auth::Identity,
    clock::Clock,
    config::{IdentityError, ProcessEnvironment, ServerTls},
    ingest::Certificate,
    telemetry::{CertificateMetrics, Metrics},
};

const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How often people are told of a certificate that has to be renewed.
const REMIND_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// What the public listener is known by.
pub(super) struct PublicCertificate {
    shown: Arc<Certificate>,
    metrics: CertificateMetrics,
    tls: Mutex<ServerTls>,
}

impl PublicCertificate {
    pub(super) fn new(tls: ServerTls, metrics: &Metrics) -> Arc<Self> {
        let (shown, metrics) = (Certificate::new(&tls.identity), metrics.certificate());
        let certificate = Self { shown, metrics, tls: Mutex::new(tls) };
        certificate.measure();
        Arc::new(certificate)
    }

    /// For the listener.
    pub(super) fn shown(&self) -> Arc<Certificate> {
        Arc::clone(&self.shown)
    }

    /// Shows what `tls` says from now on.
    pub(super) fn renew(&self, tls: ServerTls) {
        {
            let mut current = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
            if *current == tls {
                return;
            }
            self.shown.renew(&tls.identity);
            *current = tls;
        }
        self.measure();
        tracing::info!(until = self.until(), "a renewed certificate is shown from now on");
    }

    /// Looks after it until `stop`.
    pub(super) async fn watch(self: Arc<Self>, clock: Clock, stop: CancellationToken) {
        let (mut remind_at, mut told) = (clock.now(), String::new());
        loop {
            if clock.now() >= remind_at {
                self.remind(&clock);
                remind_at = clock.now().plus(REMIND_EVERY);
            }
            if stop.run_until_cancelled(sleep(LOOK_EVERY)).await.is_none() {
                return;
            }
            let flaw = self.look().await.err().map(|error| error.to_string()).unwrap_or_default();
            if !flaw.is_empty() && flaw != told {
                tracing::warn!("the certificate was changed and can't be used, the old one is shown on: {flaw}");
            }
            told = flaw;
        }
    }

    /// Reads the files again, if there are any, and shows what is in them.
    async fn look(&self) -> Result<(), IdentityError> {
        let Some(files) = self.tls.lock().unwrap_or_else(PoisonError::into_inner).files.clone() else { return Ok(()) };
        let reading = files.clone();
        match task::spawn_blocking(move || reading.read(&ProcessEnvironment)).await {
            Ok(identity) => {
                self.renew(ServerTls { identity: identity?, files: Some(files) });
                Ok(())
            }
            // It panicked or the process ends: there is no news of the files.
            Err(_) => Ok(()),
        }
    }

    fn remind(&self, clock: &Clock) {
        if let Some(concern) = self.identity().validity().and_then(|validity| validity.concern(clock.now())) {
            tracing::warn!("the certificate of `server.tls` {concern}");
        }
    }

    fn measure(&self) {
        if let Some(validity) = self.identity().validity() {
            self.metrics.expires(validity.until);
        }
    }

    fn until(&self) -> Option<String> {
        self.identity().validity().map(|validity| validity.until.to_string())
    }

    fn identity(&self) -> Identity {
        self.tls.lock().unwrap_or_else(PoisonError::into_inner).identity.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use base64::{Engine, engine::general_purpose::STANDARD};
    use rcgen::{CertifiedKey, generate_simple_self_signed};

    use super::*;
    use crate::{
        config::{Config, FixedEnvironment},
        model::Timestamp,
    };

    fn pem(label: &str, der: &[u8]) -> String {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
    }

    /// A certificate and its key.
    fn pair() -> (String, String) {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["relay.example".to_owned()]).unwrap();
        (pem("CERTIFICATE", cert.der()), pem("PRIVATE KEY", signing_key.serialized_der()))
    }

    fn configured(cert: &Path, key: &Path) -> ServerTls {
        let text = format!(
            "server.tls = {{ cert = {cert:?}, key = {key:?} }}\nsource.a = {{ path = \"/a\", secrets = [\"s\"] }}\n",
        );
        let (chain, secret) = (fs::read(cert).unwrap(), fs::read(key).unwrap());
        let environment = FixedEnvironment::default().with_file(cert, &chain).with_file(key, &secret);
        Config::parse("relay.toml", &text, &environment).unwrap().server.tls.unwrap()
    }

    /// A renewal writes two files, and whoever looks in between sees one of each.
    #[tokio::test]
    async fn a_renewed_certificate_is_shown_when_both_files_are_there_and_the_old_one_until_then() {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
        let (old, new) = (pair(), pair());
        fs::write(&cert, &old.0).unwrap();
        fs::write(&key, &old.1).unwrap();
        let tls = configured(&cert, &key);
        let before = tls.identity.clone();
        let certificate = PublicCertificate::new(tls, &Metrics::new(Timestamp::EPOCH));
        certificate.look().await.unwrap();
        assert_eq!(certificate.identity(), before);

        fs::write(&cert, &new.0).unwrap();
        let error = certificate.look().await.unwrap_err().to_string();
        assert!(error.contains("key.pem holds a private key that belongs to another certificate"), "{error}");
        assert_eq!(certificate.identity(), before);

        fs::write(&key, &new.1).unwrap();
        certificate.look().await.unwrap();
        assert_eq!(certificate.identity(), Identity::from_pem(new.0.as_bytes(), new.1.as_bytes()).unwrap());
    }
}
