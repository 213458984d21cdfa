//! What is said when TLS fails: the library's errors are for those who know TLS, these words for those who run a relay.

use std::{error::Error, io};

use rustls::{AlertDescription, CertificateError};

/// What a failure of TLS is about, if it is one.
pub(super) fn words(error: &(dyn Error + 'static)) -> Option<String> {
    let mut link = Some(error);
    while let Some(error) = link {
        if let Some(failed) = failure_in(error) {
            return Some(told(failed));
        }
        link = error.source();
    }
    None
}

/// `io::Error` hides the error that it holds from the chain of sources, and there is one in another sometimes.
fn failure_in<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    match error.downcast_ref::<io::Error>() {
        Some(outer) => failure_in(outer.get_ref()?),
        None => error.downcast_ref(),
    }
}

fn told(failed: &rustls::Error) -> String {
    match failed {
        rustls::Error::InvalidCertificate(flaw) => format!("TLS: {}", of_its_certificate(flaw)),
        rustls::Error::AlertReceived(alert) => format!("TLS: {}", of_ours(*alert)),
        rustls::Error::InvalidMessage(_) => "TLS: what it says is no TLS, perhaps `http://` is right".to_owned(),
        other => format!("TLS: {other}"),
    }
}

fn of_its_certificate(flaw: &CertificateError) -> String {
    match flaw {
        // The second comes from an authority that has the name of one that is trusted.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is from an authority that isn't trusted; `tls = { ca = \"FILE\" }` names one that is"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate isn't valid yet, or this machine's clock is wrong"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another host name than the one in `url`"
        }
        CertificateError::Revoked => "its certificate was revoked",
        other => return format!("its certificate is refused: {other}"),
    }
    .to_owned()
}

/// What the other side says about our certificate, or that we have none.
fn of_ours(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => {
            "it wants a certificate from us; `tls = { cert = \"FILE\", key = … }` gives one"
        }
        AlertDescription::UnknownCA | AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => {
            "it doesn't take our certificate, or wants one"
        }
        AlertDescription::CertificateExpired => "it says that our certificate has expired",
        AlertDescription::CertificateRevoked => "it says that our certificate was revoked",
        AlertDescription::AccessDenied => "it denies our certificate the access",
        AlertDescription::UnrecognisedName => "it doesn't know the host name in `url`",
        AlertDescription::ProtocolVersion => "it speaks no TLS from 1.2 on",
        other => return format!("it ended the handshake ({other:?})"),
    }
    .to_owned()
}
