//! The certificate of the public listener.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    metrics::gauge::Gauge,
    registry::{Registry, Unit},
};

use crate::model::Timestamp;

/// Where it is noted until when the certificate is valid.
#[derive(Debug, Clone, Default)]
pub struct CertificateMetrics {
    expiry: Gauge<f64, AtomicU64>,
}

impl CertificateMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "When the certificate of the public listener expires, since the beginning of 1970";
        registry.register_with_unit("tls_certificate_expiry_timestamp", help, Unit::Seconds, self.expiry.clone());
    }

    /// Notes the end of its validity.
    pub fn expires(&self, at: Timestamp) {
        #[expect(clippy::cast_precision_loss, reason = "2^53 ms are far beyond the year 9999")]
        self.expiry.set(at.as_millis() as f64 / 1e3);
    }
}
