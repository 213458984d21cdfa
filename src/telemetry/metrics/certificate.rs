//! The certificate of the public listener.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    metrics::gauge::Gauge,
    registry::{Registry, Unit},
};

use crate::model::Timestamp;

/// Where it is noted until when the certificate is valid.
#[derive(Debug, Clone)]
pub struct CertificateMetrics {
    expiry: Gauge<f64, AtomicU64>,
}

impl CertificateMetrics {
    /// What never expires, until something else is noted: rules need no exception for relays behind a proxy.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self { expiry: Gauge::default() };
        metrics.expiry.set(f64::INFINITY);
        let help =
            "When the certificate of the public listener expires, since the beginning of 1970. Infinite without one";
        registry.register_with_unit("tls_certificate_expiry_timestamp", help, Unit::Seconds, metrics.expiry.clone());
        metrics
    }

    /// Notes the end of its validity.
    pub fn expires(&self, at: Timestamp) {
        #[expect(clippy::cast_precision_loss, reason = "2^53 ms are far beyond the year 9999")]
        self.expiry.set(at.as_millis() as f64 / 1e3);
    }
}
