//! Identities: of events, and of deliveries.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Name, Timestamp};

/// The identity of an event in this relay: a UUID version 7 (RFC 9562), so ids sort by the time of receipt.
///
/// Not the `id` inside the body, which names a delivery of Atoms and may be absent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId([u8; 16]);

impl EventId {
    /// The id of an event received at `at`, made unique by 74 of the 80 bits of `dice`.
    #[must_use]
    pub fn new(at: Timestamp, dice: [u8; 10]) -> Self {
        Self(*uuid::Builder::from_unix_timestamp_millis(at.as_millis(), &dice).as_uuid().as_bytes())
    }

    /// The lowest id of the millisecond `at`: where a search by time starts.
    #[must_use]
    pub fn lowest_at(at: Timestamp) -> Self {
        Self::new(at, [0; 10])
    }

    /// An id from its 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes; their order is the order of ids.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// When the event was received, to the millisecond.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        let high = u128::from_be_bytes(self.0) >> (128 - 48);
        Timestamp::from_millis(u64::try_from(high).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(uuid::Uuid::from_bytes_ref(&self.0), f)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for EventId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        uuid::Uuid::try_parse(text).map(|id| Self(id.into_bytes())).map_err(|_| ParseIdError::Event)
    }
}

impl Serialize for EventId {
    /// Text for people's formats (JSON), 16 bytes for our own (the journal).
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return <[u8; 16]>::deserialize(deserializer).map(Self);
        }
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The identity of a delivery: one event on its way to one destination. Shown as `<event id>.<destination>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId {
    /// The event.
    pub event: EventId,
    /// The destination's name.
    pub destination: Name,
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.event, self.destination)
    }
}

impl fmt::Debug for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for DeliveryId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let (event, destination) = text.split_once('.').ok_or(ParseIdError::Delivery)?;
        let event = event.parse()?;
        let destination = Name::new(destination).map_err(|_| ParseIdError::Delivery)?;
        Ok(Self { event, destination })
    }
}

impl Serialize for DeliveryId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DeliveryId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Why a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseIdError {
    /// Not an [`EventId`].
    #[error("an event id looks like 0198c5f0-7d5e-7c3a-9f00-1a2b3c4d5e6f")]
    Event,
    /// Not a [`DeliveryId`].
    #[error("a delivery id is an event id, a dot and the name of a destination")]
    Delivery,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_of_receipt() {
        let (early, late) = (Timestamp::from_millis(1_000), Timestamp::from_millis(1_001));
        assert!(EventId::new(early, [0xff; 10]) < EventId::new(late, [0; 10]));
        assert!(EventId::lowest_at(late) <= EventId::new(late, [0; 10]));
        assert_eq!(EventId::new(late, [7; 10]).timestamp(), late);
    }

    #[test]
    fn a_delivery_id_reads_back() {
        let id =
            DeliveryId { event: EventId::lowest_at(Timestamp::from_millis(9)), destination: Name::new("crm").unwrap() };
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("nonsense".parse::<DeliveryId>(), Err(ParseIdError::Delivery));
    }
}
