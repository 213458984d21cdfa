//! From the engine's values to JSON and to text.
//!
//! Text is for people and other systems, so it isn't Python's: null is the empty text, booleans are `true` and `false`,
//! lists and objects are JSON. What is undefined stays an error, also inside a list.

use std::{borrow::Cow, sync::Arc};

use minijinja::{
    Error, ErrorKind, Value,
    value::{Object, ObjectRepr, ValueKind},
};
use serde_json::Value as Json;

use super::{engine::MAX_OUTPUT, flaw::Refusal};

/// What is left of [`MAX_OUTPUT`].
#[derive(Debug)]
pub(super) struct Room(usize);

impl Room {
    /// All of it.
    pub(super) fn new() -> Self {
        Self(MAX_OUTPUT)
    }

    /// Takes `bytes` of it.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.0 = self.0.checked_sub(bytes).ok_or(Refusal::TooLong)?;
        Ok(())
    }
}

/// The value of the name `omit`: a leaf of JSON that comes to it is left out, with its key.
#[derive(Debug)]
pub(super) struct Omit;

impl Object for Omit {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

/// Whether `value` is [`Omit`].
pub(super) fn is_omit(value: &Value) -> bool {
    value.downcast_object_ref::<Omit>().is_some()
}

/// Bytes that any value takes at least: a digit, or a pair of brackets, and a comma.
const LEAST: usize = 2;

/// `value` as JSON that fits into `room`. A value can be small in memory and large as JSON (`[range(9)] * 9`), so room is
/// taken before anything is copied.
pub(super) fn json_of(value: &Value, room: &mut Room) -> Result<Json, Error> {
    room.take(LEAST)?;
    match value.kind() {
        ValueKind::Undefined => Err(Error::from(ErrorKind::UndefinedError)),
        ValueKind::Seq | ValueKind::Iterable => array_of(value, room),
        ValueKind::Map => object_of(value, room),
        ValueKind::None | ValueKind::Bool | ValueKind::Number | ValueKind::String => leaf_of(value, room),
        _ if is_omit(value) => Err(Refusal::Omitted.into()),
        _ => Err(Refusal::NoJson.into()),
    }
}

fn array_of(value: &Value, room: &mut Room) -> Result<Json, Error> {
    value.try_iter()?.checked().map(|item| json_of(&item?, room)).collect::<Result<_, _>>().map(Json::Array)
}

fn object_of(value: &Value, room: &mut Room) -> Result<Json, Error> {
    let entry = |key: Result<Value, Error>| {
        let key = key?;
        let name = text_of(&key)?.into_owned();
        room.take(name.len())?;
        Ok((name, json_of(&value.get_item(&key)?, room)?))
    };
    value.try_iter()?.checked().map(entry).collect::<Result<_, _>>().map(Json::Object)
}

fn leaf_of(value: &Value, room: &mut Room) -> Result<Json, Error> {
    if let Some(text) = value.as_str() {
        room.take(text.len())?;
    }
    serde_json::to_value(value).map_err(|_| Refusal::NoJson.into())
}

/// `value` as text.
pub(super) fn text_of(value: &Value) -> Result<Cow<'_, str>, Error> {
    if let Some(text) = value.as_str() {
        return Ok(text.into());
    }
    match value.kind() {
        // What is undefined doesn't get here, but for an `if` without `else`, which stands for nothing.
        ValueKind::Undefined | ValueKind::None => Ok("".into()),
        ValueKind::Bool => Ok(if value.is_true() { "true" } else { "false" }.into()),
        ValueKind::Number => Ok(value.to_string().into()),
        _ => Ok(json_of(value, &mut Room::new())?.to_string().into()),
    }
}

/// `text` with all but RFC 3986's unreserved characters percent-encoded: it ends no path segment and no query value.
pub(super) fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.extend(['%', hex(byte >> 4), hex(byte & 15)]),
        }
    }
    encoded
}

fn hex(nibble: u8) -> char {
    char::from_digit(nibble.into(), 16).unwrap_or('0').to_ascii_uppercase()
}
