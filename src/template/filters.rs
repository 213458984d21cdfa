//! The filters that a relay of calls needs beside Jinja's own. Null passes through all of them (but `default`): absent
//! parts of an event are null, and one template serves every type of event.
//!
//! What a filter can't take is an error, which makes a dead letter: a wrong number is worse than none.

use std::time::Duration;

use minijinja::{Environment, Error, ErrorKind, State, Value, value::Kwargs};

use super::{
    flaw::Refusal,
    value::{Room, json_of, percent_encode, text_of},
};
use crate::{model::Timestamp, phone};

pub(super) fn add_to(engine: &mut Environment<'_>) {
    engine.add_filter("date", date);
    engine.add_filter("default", default);
    engine.add_filter("d", default);
    engine.add_filter("duration", duration);
    engine.add_filter("e164", e164);
    engine.add_filter("mask", mask);
    engine.add_filter("tojson", to_json);
    engine.add_filter("truncate", truncate);
    engine.add_filter("urlencode", url_encode);
}

/// `value`, or `other` where it is undefined or null. (Jinja's own takes null for a value.) With `also_false`, which stands
/// in the place where Jinja has it, also where it is false or empty.
fn default(value: &Value, other: Option<Value>, also_false: Option<bool>) -> Value {
    let is_absent = value.is_undefined() || value.is_none() || (also_false == Some(true) && !value.is_true());
    if is_absent { other.unwrap_or_else(|| "".into()) } else { value.clone() }
}

/// What `convert` makes of a value; null of null.
fn unless_null(value: &Value, convert: impl FnOnce() -> Result<Value, Error>) -> Result<Value, Error> {
    if value.is_undefined() {
        return Err(ErrorKind::UndefinedError.into());
    }
    if value.is_none() { Ok(value.clone()) } else { convert() }
}

/// A point in time as people read it, or in the form that `form` names.
fn date(value: &Value, form: Option<&str>) -> Result<Value, Error> {
    unless_null(value, || {
        let wrong =
            Refusal::Argument("date", "a time such as `2026-09-22T09:14:06Z`, or seconds or milliseconds since 1970");
        let at = timestamp_of(value).ok_or(wrong)?;
        let iso = at.to_string(); // 2026-09-22T09:14:06.413Z
        let (day, time) = iso.split_once('T').unwrap_or((&iso, ""));
        let minute = time.get(..5).unwrap_or(time);
        match form.unwrap_or("datetime") {
            "datetime" => Ok(format!("{day} {minute} UTC").into()),
            "date" => Ok(day.into()),
            "time" => Ok(minute.into()),
            "iso" => Ok(iso.into()),
            "s" => Ok((at.as_millis() / 1000).into()),
            "ms" => Ok(at.as_millis().into()),
            _ => Err(Refusal::Argument("date", "one of the forms datetime, date, time, iso, s, ms").into()),
        }
    })
}

/// The smallest number that is taken for milliseconds: as such it is in 1973, as seconds in the year 5138.
const LEAST_MILLIS: f64 = 1e11;

fn timestamp_of(value: &Value) -> Option<Timestamp> {
    if let Some(text) = value.as_str() {
        return Timestamp::parse(text);
    }
    let number = number_of(value).filter(|number| *number >= 0.0)?;
    let seconds = if number < LEAST_MILLIS { number } else { number / 1000.0 };
    Some(Timestamp::EPOCH.plus(Duration::try_from_secs_f64(seconds).ok()?))
}

/// A number of seconds as people say it: `4 min 12 s`.
fn duration(value: &Value) -> Result<Value, Error> {
    unless_null(value, || {
        let length = number_of(value).and_then(|seconds| Duration::try_from_secs_f64(seconds.round()).ok());
        let seconds = length.ok_or(Refusal::Argument("duration", "a number of seconds"))?.as_secs();
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        Ok(match (hours, minutes) {
            (0, 0) => format!("{seconds} s"),
            (0, _) => format!("{minutes} min {seconds} s"),
            _ => format!("{hours} h {minutes} min {seconds} s"),
        }
        .into())
    })
}

/// A number, also one in a text: the platform's API gives some so.
fn number_of(value: &Value) -> Option<f64> {
    let is_number = value.is_number() || value.as_str().is_some();
    is_number.then(|| value.to_string().parse().ok()).flatten().filter(|number: &f64| number.is_finite())
}

/// A phone number as `+` and 8 to 15 digits (E.164 allows 15), without the spaces and signs that people put between them.
fn e164(value: &Value) -> Result<Value, Error> {
    unless_null(value, || {
        let text = text_of(value)?;
        let bare: String =
            text.chars().filter(|char| !matches!(char, ' ' | '\u{a0}' | '-' | '.' | '/' | '(' | ')')).collect();
        let digits = bare.strip_prefix('+').or_else(|| bare.strip_prefix("00"));
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let digits = digits.filter(|digits| (8..=15).contains(&digits.len()) && !digits.starts_with('0'));
        let wrong = Refusal::Argument("e164", "a phone number with its country code, such as `+14155550132`");
        Ok(format!("+{}", digits.ok_or(wrong)?).into())
    })
}

/// A phone number that tells a person which it is, and nobody what it is.
fn mask(value: &Value) -> Result<Value, Error> {
    unless_null(value, || Ok(phone::masked(&text_of(value)?).into()))
}

/// How much fuel 1 byte of JSON takes: a quarter, as with minijinja's own filter.
const JSON_BYTES_PER_FUEL: usize = 4;

/// A value as JSON, in one line.
fn to_json(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    let text = json_of(value, &mut Room::new())?.to_string();
    state.consume_fuel((text.len() / JSON_BYTES_PER_FUEL) as u64)?;
    Ok(text.into())
}

/// A text of at most `length` characters (255 where it isn't given), `end` included, which stands for what was cut off. It
/// is cut between words, where the last one isn't half of it.
#[expect(clippy::needless_pass_by_value, reason = "minijinja knows keyword arguments only by value")]
fn truncate(value: &Value, length: Option<usize>, options: Kwargs) -> Result<Value, Error> {
    let end = options.get::<Option<&str>>("end")?.unwrap_or("…");
    options.assert_all_used()?;
    unless_null(value, || {
        let (text, length) = (text_of(value)?, length.unwrap_or(255));
        if text.chars().count() <= length {
            return Ok(text.into());
        }
        let kept: String = text.chars().take(length.saturating_sub(end.chars().count())).collect();
        let whole_words = kept.rfind(char::is_whitespace).filter(|at| *at > kept.len() / 2);
        let kept = whole_words.and_then(|at| kept.get(..at)).unwrap_or(&kept);
        Ok(format!("{}{end}", kept.trim_end()).chars().take(length).collect::<String>().into())
    })
}

/// A text as a part of an address: all but letters, digits and `-._~` percent-encoded.
fn url_encode(value: &Value) -> Result<Value, Error> {
    unless_null(value, || Ok(Value::from_safe_string(percent_encode(&text_of(value)?))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::template::{Scope, Template};

    fn filtered(value: &serde_json::Value, filter: &str) -> Result<String, String> {
        let template = Template::compile(&format!("{{{{ value | {filter} }}}}")).unwrap();
        template.render(&Scope::default().with("value", value)).map_err(|error| error.to_string())
    }

    /// Checks what `filter` makes of values.
    fn check<const N: usize>(filter: &str, cases: [(serde_json::Value, &str); N]) {
        for (value, expected) in cases {
            assert_eq!(filtered(&value, filter).as_deref(), Ok(expected), "{value} | {filter}");
        }
    }

    fn check_refused<const N: usize>(filter: &str, cases: [serde_json::Value; N]) {
        for value in cases {
            let refused = filtered(&value, filter).unwrap_err();
            assert!(refused.contains("` takes "), "{value} | {filter}: {refused}");
            assert!(["yesterday", "long", "anonymous"].iter().all(|content| !refused.contains(content)), "{refused}");
        }
    }

    #[test]
    fn null_passes_through() {
        for filter in ["date", "duration", "e164", "mask", "truncate(3)", "urlencode"] {
            check(filter, [(json!(null), "")]);
        }
        check("tojson", [(json!(null), "null")]);
        check("default('none')", [(json!(null), "none"), (json!(""), ""), (json!(0), "0"), (json!(false), "false")]);
        check("default('none', true)", [(json!(""), "none"), (json!(0), "none"), (json!("x"), "x")]);
    }

    #[test]
    fn a_date_is_read_by_people_or_by_machines() {
        let at = json!("2026-09-22T09:14:06.413Z");
        check("date", [(at.clone(), "2026-09-22 09:14 UTC"), (json!(1_790_068_446_413_u64), "2026-09-22 09:14 UTC")]);
        check("date", [(json!(1_790_068_446), "2026-09-22 09:14 UTC"), (json!("2026-09-22"), "2026-09-22 00:00 UTC")]);
        for (form, expected) in [
            ("date", "2026-09-22"),
            ("time", "09:14"),
            ("iso", "2026-09-22T09:14:06.413Z"),
            ("s", "1790068446"),
            ("ms", "1790068446413"),
        ] {
            check(&format!("date('{form}')"), [(at.clone(), expected)]);
        }
        check_refused("date", [json!("yesterday"), json!(""), json!(-1), json!(true), json!([1]), json!(1e300)]);
        check_refused("date('%Y')", [at]);
    }

    #[test]
    fn a_duration_is_said_as_people_say_it() {
        check(
            "duration",
            [(json!(0), "0 s"), (json!(31.73), "32 s"), (json!(252.4), "4 min 12 s"), (json!(59.9), "1 min 0 s")],
        );
        check("duration", [(json!(3600), "1 h 0 min 0 s"), (json!("90"), "1 min 30 s")]);
        check_refused("duration", [json!(-5), json!("long"), json!(true), json!([]), json!(1e300)]);
    }

    #[test]
    fn e164_takes_what_stands_between_digits_away_and_no_number_for_granted() {
        check("e164", [(json!("+14155550132"), "+14155550132"), (json!("+49 (30) 90-18.20"), "+4930901820")]);
        check("e164", [(json!("0049 30 901820"), "+4930901820")]);
        check_refused(
            "e164",
            [json!("4155550132"), json!("+1"), json!("+1234567890123456"), json!("anonymous"), json!("+0123456789")],
        );
        check_refused("e164", [json!("+1415555٠132"), json!(""), json!({})]);
    }

    #[test]
    fn mask_shows_the_end_and_never_more_than_a_third() {
        check("mask", [(json!("+14155550132"), "+********132"), (json!("+1 415 555-0132"), "+* *** ***-*132")]);
        check("mask", [(json!("123456"), "****56"), (json!("12"), "**"), (json!(""), ""), (json!("Zoë Ä"), "*** Ä")]);
    }

    #[test]
    fn a_text_is_cut_between_words_and_never_too_long() {
        check(
            "truncate(12)",
            [
                (json!("short"), "short"),
                (json!("the caller moved"), "the caller…"),
                (json!("abcdefghijklmnop"), "abcdefghijk…"),
            ],
        );
        check("truncate(3, end='...')", [(json!("abcdef"), "...")]);
        check("truncate(2, end='...')", [(json!("abcdef"), "..")]);
        check("truncate(5)", [(json!("नमस्ते आप"), "नमस्…"), (json!("😀😀😀😀😀😀"), "😀😀😀😀…")]);
    }
}
