//! Until when is a certificate valid, and is it time to renew it?
//!
//! Reads the one field of X.509 (RFC 5280 section 4.1) that people have to be warned of, and skips what is before it. It
//! checks nothing: whether the certificate is one is known before.

use std::{fmt, time::Duration};

use crate::model::Timestamp;

/// Who renews certificates of 90 days does it 30 days before their end. With half of that left it hasn't worked.
const SOON: Duration = Duration::from_secs(15 * 24 * 60 * 60);

/// Shorter certificates are renewed later: the last part of their time that this divides it into is soon.
const PARTS: u32 = 4;

/// From when until when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Not before.
    pub from: Timestamp,
    /// Not after.
    pub until: Timestamp,
}

/// What is to be said of a certificate's validity at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern {
    /// It has ended.
    Expired(Timestamp),
    /// It ends soon, and should have been renewed.
    ExpiresSoon(Timestamp),
    /// It hasn't begun.
    NotYet(Timestamp),
}

impl Validity {
    /// What ought to worry people at `now`; nothing in the best case.
    #[must_use]
    pub fn concern(self, now: Timestamp) -> Option<Concern> {
        let soon = SOON.min(self.until.since(self.from) / PARTS);
        match () {
            () if now > self.until => Some(Concern::Expired(self.until)),
            () if now < self.from => Some(Concern::NotYet(self.from)),
            () if self.until.since(now) < soon => Some(Concern::ExpiresSoon(self.until)),
            () => None,
        }
    }
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired(at) => write!(f, "has expired at {at}: nobody who checks it will send anything"),
            Self::ExpiresSoon(at) => write!(f, "expires at {at}, and should have been renewed by now"),
            Self::NotYet(at) => write!(f, "isn't valid before {at}, or this machine's clock is wrong"),
        }
    }
}

/// Tags of DER (X.690 section 8).
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Of a length's first byte: its other bits count the bytes that hold the length.
const LONG_LENGTH: u8 = 0x80;

/// The validity of a certificate in DER; `None` when there is none to be found.
pub(super) fn of(certificate: &[u8]) -> Option<Validity> {
    let (certificate, _) = take(certificate, SEQUENCE)?;
    let (mut fields, _) = take(certificate, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        fields = skip(fields)?;
    }
    // Serial number, algorithm of the signature, issuer.
    for _ in 0..3 {
        fields = skip(fields)?;
    }
    let (validity, _) = take(fields, SEQUENCE)?;
    Some(Validity { from: time(validity)?, until: time(skip(validity)?)? })
}

fn skip(bytes: &[u8]) -> Option<&[u8]> {
    take(bytes, *bytes.first()?).map(|(_, rest)| rest)
}

/// The content of the value with this tag at the start of `bytes`, and what follows it.
fn take(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if first & LONG_LENGTH == 0 {
        (usize::from(*first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & !LONG_LENGTH))?;
        (length_in(digits)?, rest)
    };
    (*found == tag).then(|| rest.split_at_checked(length))?
}

fn length_in(digits: &[u8]) -> Option<usize> {
    digits.iter().try_fold(0_usize, |length, digit| length.checked_mul(256)?.checked_add(usize::from(*digit)))
}

/// `YYMMDDhhmmssZ` until 2049, `YYYYMMDDhhmmssZ` from then on (RFC 5280 section 4.1.2.5).
fn time(bytes: &[u8]) -> Option<Timestamp> {
    let (text, century) = match *bytes.first()? {
        UTC_TIME => {
            let (text, _) = take(bytes, UTC_TIME)?;
            (text, if *text.first()? < b'5' { "20" } else { "19" })
        }
        _ => (take(bytes, GENERALIZED_TIME)?.0, ""),
    };
    let digits: String = century.chars().chain(text.iter().map(|byte| char::from(*byte))).collect();
    let (year, rest) = digits.strip_suffix('Z')?.split_at_checked(4)?;
    let pairs: Vec<_> = rest.as_bytes().chunks(2).map(std::str::from_utf8).collect::<Result<_, _>>().ok()?;
    let [month, day, hour, minute, second] = pairs.as_slice() else { return None };
    Timestamp::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn valid(from: (i32, u8, u8), until: (i32, u8, u8)) -> Vec<u8> {
        let mut params = CertificateParams::new(["relay.example".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(until.0, until.1, until.2);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn day(date: &str) -> Timestamp {
        Timestamp::parse(date).unwrap()
    }

    #[test]
    fn both_ends_are_read_in_both_forms() {
        let validity = |from, until| of(&valid(from, until)).unwrap();
        let old = validity((1999, 6, 1), (2049, 12, 31));
        assert_eq!(old, Validity { from: day("1999-06-01"), until: day("2049-12-31") });
        let new = validity((2026, 2, 3), (2050, 1, 1));
        assert_eq!(new, Validity { from: day("2026-02-03"), until: day("2050-01-01") });
    }

    #[test]
    fn it_is_time_when_renewing_has_failed_for_a_while() {
        let quarter = Validity { from: day("2026-01-01"), until: day("2026-04-01") };
        let until = quarter.until;
        for (now, concern) in [
            ("2025-12-31", Some(Concern::NotYet(quarter.from))),
            ("2026-01-01", None),
            ("2026-03-17", None),
            ("2026-03-18", Some(Concern::ExpiresSoon(until))),
            ("2026-04-02", Some(Concern::Expired(until))),
        ] {
            assert_eq!(quarter.concern(day(now)), concern, "{now}");
        }
        let week = Validity { from: day("2026-01-01"), until: day("2026-01-08") };
        assert_eq!(week.concern(day("2026-01-06")), None);
        assert_eq!(week.concern(day("2026-01-07")), Some(Concern::ExpiresSoon(week.until)));
    }

    proptest! {
        #[test]
        fn whatever_it_is_given_it_comes_to_an_end(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            cut in any::<prop::sample::Index>(),
        ) {
            let _some_or_none = of(&bytes);
            let certificate = valid((2026, 1, 1), (2030, 1, 1));
            prop_assert!(of(&certificate).is_some());
            // The validity stands in the first half, so little is left of it there.
            prop_assert_eq!(of(&certificate[..cut.index(40)]), None);
        }
    }
}
