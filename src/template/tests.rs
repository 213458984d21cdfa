//! The language as people meet it, and what nothing in an event can do.

use bytes::Bytes;
use proptest::{prelude::*, sample::select};
use serde_json::{Value as Json, json};
use url::Url;

use super::*;
use crate::model::{Event, EventId, Name, Normalized, OriginalHeaders, Reading, Timestamp};

/// What templates of these tests see; `note` is what an event says.
fn scope(note: &Json) -> Scope {
    let call = json!({
        "id": "CALL-1", "status": "completed", "duration_seconds": 252.4, "from": "+14155550132",
        "ended_at": "2026-09-22T09:14:38.143Z", "recording_url": null, "note": note,
    });
    Scope::default()
        .with("call", &call)
        .with("analytics", &json!({ "escalated": true, "metrics": [1, 2] }))
        .with_trusted("vars", [("base", "https://eu.example:8443/api"), ("key", "k/1")])
}

fn holds(source: &str) -> Result<bool, String> {
    Expression::compile(source).unwrap().holds(&scope(&json!("hi"))).map_err(|error| error.to_string())
}

fn flaw(source: &str) -> (String, String) {
    let flaw = Expression::compile(source).unwrap_err();
    let place = flaw.range.and_then(|range| source.get(range));
    (place.unwrap_or_default().to_owned(), flaw.message)
}

fn render(source: &str, note: &Json) -> Result<String, String> {
    Template::compile(source).unwrap().render(&scope(note)).map_err(|error| error.to_string())
}

fn text(source: &str) -> String {
    render(source, &json!("hi")).unwrap()
}

fn error(source: &str) -> String {
    render(source, &json!("hi")).unwrap_err()
}

fn url(source: &str, note: &str) -> Result<String, String> {
    Template::compile_url(source).unwrap().render(&scope(&json!(note))).map_err(|error| error.to_string())
}

fn leaf(source: &str, note: &Json) -> Result<Json, String> {
    let leaf = JsonTemplate::Leaf(Leaf::compile(source).unwrap());
    leaf.render(&scope(note)).map_err(|error| error.to_string())
}

#[test]
fn a_condition_is_true_or_false_or_says_why_not() {
    assert_eq!(holds("call.status == 'completed' and call.duration_seconds > 30"), Ok(true));
    assert_eq!(holds("analytics.escalated and 3 in analytics.metrics"), Ok(false));
    assert_eq!(holds("call.recording_url is none"), Ok(true));
    assert_eq!(holds("call.status"), Err("`call.status` is neither true nor false but a value of type string".into()));
    assert_eq!(holds("call.id + 1 == 2"), Err("`call.id + 1`: invalid operation".into()));
}

#[test]
fn what_is_undefined_is_an_error_unless_it_is_asked_for() {
    for source in ["call.typo == 'x'", "not call.typo", "call.typo", "call.typo in [1]", "call.typo or true"] {
        assert_eq!(holds(source), Err("`call.typo` is undefined".into()), "{source}");
    }
    assert_eq!(holds("cal.id == 'x'"), Err("`cal` is undefined".into()));
    assert_eq!(holds("call.typo is defined"), Ok(false));
    assert_eq!(holds("call.typo | default(true)"), Ok(true));
    assert_eq!(error("{{ call.typo }}"), "`call.typo` is undefined");
    assert_eq!(error("{% if call.typo %}x{% endif %}"), "`call.typo` is undefined");
    assert_eq!(error("{{ call.typo | mask }}"), "`mask`: undefined value");
    assert_eq!(error("{{ [call.typo] }}"), "`[call.typo]`: undefined value");
    assert_eq!(leaf("{{ call.typo }}", &json!(1)), Err("`call.typo` is undefined".into()));
}

/// Agents have different metrics: a condition on one of them isn't true for the events of an agent that doesn't have it, and no
/// mistake either.
#[test]
fn metrics_and_variables_that_an_agent_does_not_have_are_null() {
    let body = include_bytes!("../../tests/fixtures/atoms/03-analytics-outbound.json");
    let event = Event {
        id: EventId::new(Timestamp::EPOCH, [7; 10]),
        source: Name::new("atoms").unwrap(),
        received_at: Timestamp::EPOCH,
        reading: Reading::of(body),
        headers: OriginalHeaders::default(),
        body: Bytes::from_static(body),
    };
    let scope = Scope::of_document(&Normalized::of(&event));
    let holds = |source: &str| Expression::compile(source).unwrap().holds(&scope).unwrap();
    assert!(holds("analytics.disposition.escalation_needed == true"));
    for absent in ["analytics.disposition.nothing_like_it", "analytics.success['x']", "variables.nothing_like_it"] {
        assert!(holds(&format!("{absent} is none")) && !holds(&format!("{absent} == true")), "{absent}");
    }
    let leaf = JsonTemplate::Leaf(Leaf::compile("{{ analytics.disposition }}").unwrap());
    let expected = json!({
        "appointment_confirmed": true, "escalation_needed": true, "reschedule_count": 1, "caller_mood": "friendly",
    });
    assert_eq!(leaf.render(&scope).unwrap(), expected);
}

#[test]
fn what_is_omitted_leaves_no_key_and_no_item() {
    let leaf = |source| JsonTemplate::Leaf(Leaf::compile(source).unwrap());
    let absent = || leaf("{{ call.recording_url | default(omit) }}");
    let tree = JsonTemplate::Object(vec![
        ("from".into(), leaf("{{ call.from | default(omit) }}")),
        ("recording".into(), absent()),
        ("list".into(), JsonTemplate::Array(vec![absent(), leaf("{{ 1 }}"), absent()])),
        ("nested".into(), JsonTemplate::Object(vec![("recording".into(), absent())])),
    ]);
    let rendered = tree.render(&scope(&json!("hi"))).unwrap();
    assert_eq!(rendered, json!({ "from": "+14155550132", "list": [1], "nested": {} }));
    assert_eq!(absent().render(&scope(&json!("hi"))).unwrap(), Json::Null);
    for inside in ["{{ [omit] }}", "{{ {'a': omit} }}"] {
        assert!(leaf(inside).render(&scope(&json!("hi"))).unwrap_err().to_string().contains("`omit`"), "{inside}");
    }
    assert!(error("x{{ omit }}").contains("`omit`"));
}

/// minijinja 3.1 compiles `a == 'x' && false` and gives true: it drops what follows a character that it doesn't know.
#[test]
fn nothing_behind_an_illegal_character_is_overlooked() {
    for source in ["call.id == 'x' && false", "call.id == 'x' ; 1", "call.id == 'x' & true", "call.id == 'x' ? 1"] {
        let (place, _) = flaw(source);
        assert!(source.ends_with(&place) || ["'x'", "&&"].contains(&&*place), "{source}: {place}");
    }
}

#[test]
fn a_flaw_says_what_and_where() {
    assert_eq!(flaw("a == 'x'\n and b c"), ("c".into(), "unexpected input after expression".into()));
    assert_eq!(flaw("a = 'x'"), ("=".into(), "unexpected input after expression".into()));
    assert_eq!(flaw("a) or (b"), (")".into(), "unexpected input after expression".into()));
    assert_eq!(flaw("").1, "unexpected end of input, expected expression");
    assert!(flaw("{{ a }}").1.contains("without `{{`"));
    let flaw = Template::compile("é {{ a b }}").unwrap_err();
    assert_eq!((flaw.range, &*flaw.message), (Some(8..9), "unexpected identifier, expected end of variable block"));
}

#[test]
fn there_is_no_way_to_another_template() {
    for source in ["{% include 'x' %}", "{% import 'x' as x %}", "{% extends 'x' %}", "{% macro x() %}{% endmacro %}"] {
        assert!(Template::compile(source).unwrap_err().message.starts_with("unknown statement"), "{source}");
    }
    for source in ["{{ call.note | safe }}", "{{ debug() }}", "{{ namespace() }}", "{{ debug }}"] {
        assert!(Template::compile(source).is_err() || render(source, &json!("hi")).is_err(), "{source}");
    }
}

#[test]
fn a_filter_a_test_or_a_function_that_does_not_exist_is_a_flaw() {
    assert_eq!(flaw("call.note | nosuch == 'x'"), ("nosuch".into(), "there is no filter `nosuch`".into()));
    assert_eq!(flaw("call.note is not nosuch"), ("nosuch".into(), "there is no test `nosuch`".into()));
    assert_eq!(flaw("not (true) and nosuch(1)"), ("nosuch".into(), "there is no function `nosuch`".into()));
    for source in
        ["é {{ 'a' | nosuch }}", "é {% filter nosuch %}{% endfilter %}", "{% for a in b if a is nosuch %}{% endfor %}"]
    {
        let flaw = Template::compile(source).unwrap_err();
        assert_eq!(source.get(flaw.range.unwrap()), Some("nosuch"), "{source}");
    }
    for source in [
        "{% for a in range(3) recursive %}{{ loop(a) }}{% endfor %}",
        "{{ a.nosuch(1) }}",
        "{{ '| nosuch' }}",
        "{% if (a) %}{% elif (b) %}{% endif %}",
        "{% set x = (1) %}{% with y = (2) %}{% endwith %}",
        "{% raw %}{{ a | nosuch }}{% endraw %}",
        "{{ a is divisibleby(3) and b is in (1, 2) }}",
        "{{ (a if b else (c)) | default((1)) | d }}",
    ] {
        assert_eq!(Template::compile(source).err(), None, "{source}");
    }
}

#[test]
fn parts_say_which_of_them_is_false() {
    let condition =
        Expression::compile("call.status == 'failed' and call.duration_seconds > 30 and call.typo").unwrap();
    let parts = condition.parts(&scope(&json!(null)));
    let parts: Vec<_> = parts.iter().map(|part| (&*part.source, part.value.as_ref().ok())).collect();
    let expected =
        [("call.status == 'failed'", Some(&false)), ("call.duration_seconds > 30", Some(&true)), ("call.typo", None)];
    assert_eq!(parts, expected);
}

#[test]
fn the_part_that_cannot_be_decided_is_named() {
    assert_eq!(holds("call.status == 'completed' and call.typo"), Err("`call.typo` is undefined".into()));
    assert_eq!(
        holds("true and call.status and call.typo"),
        Err("`call.status` is neither true nor false but a value of type string".into())
    );
}

#[test]
fn names_are_those_that_are_used() {
    assert_eq!(Expression::compile("call.id == x and range(3)").unwrap().names(), ["call.id", "range", "x"]);
    let template = Template::compile("{% for m in transcript %}{{ m.role }}{{ call.from }}{% endfor %}").unwrap();
    assert_eq!(template.names(), ["call.from", "transcript"]);
}

#[test]
fn text_is_for_other_systems_than_python() {
    assert_eq!(text("{{ call.recording_url }}|{{ true }}|{{ analytics.metrics }}|{{ 'x' if false }}"), "|true|[1,2]|");
    assert_eq!(text("a\n  {% if true %}\nb\n  {% endif %}\nc\n"), "a\nb\nc\n");
}

#[test]
fn a_template_without_markup_is_constant() {
    let constant = Template::compile("a } b %}\n").unwrap();
    assert_eq!(
        (constant.constant(), constant.render(&Scope::default()).unwrap().as_str()),
        (Some("a } b %}\n"), "a } b %}\n")
    );
    assert_eq!(Template::compile("{# nothing #}").unwrap().constant(), None);
}

#[test]
fn a_leaf_that_is_one_value_keeps_its_type() {
    for note in [json!(null), json!(true), json!(31.5), json!(9_007_199_254_740_993_u64), json!({ "a": [1, "x"] })] {
        assert_eq!(leaf("{{ call.note }}", &note), Ok(note.clone()));
        assert_eq!(leaf("{{- call.note -}}", &note), Ok(note));
    }
    assert_eq!(leaf("{{ call.note }} ", &json!(7)), Ok(json!("7 ")));
    assert_eq!(leaf("{{ call.note }}{{ call.note }}", &json!(7)), Ok(json!("77")));
    assert_eq!(leaf("{{ '}}' }}", &json!(7)), Ok(json!("}}")));
}

#[test]
fn json_keeps_what_is_no_text() {
    let template = JsonTemplate::Object(vec![
        ("a".into(), JsonTemplate::Array(vec![JsonTemplate::Null, JsonTemplate::Bool(true)])),
        ("b".into(), JsonTemplate::Number(7.into())),
        ("{{ c }}".into(), JsonTemplate::Leaf(Leaf::compile("x").unwrap())),
    ]);
    assert_eq!(template.render(&Scope::default()), Ok(json!({ "a": [null, true], "b": 7, "{{ c }}": "x" })));
}

#[test]
fn what_runs_away_is_stopped() {
    let too_much = "it takes more work than an event is worth";
    let loops = "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}";
    assert_eq!(error(loops), too_much);
    assert_eq!(holds("('x' * 99999999) == 'y'"), Err(too_much.into()));
    // Small in memory, large as text: a list that holds the same list again and again.
    let too_long = "the result is longer than 2 MiB";
    assert_eq!(error("{{ [range(9999)] * 999 }}"), too_long);
    assert_eq!(error("{{ ([range(9999)] * 999) | tojson }}"), too_long);
    assert_eq!(leaf("{{ [range(9999)] * 999 }}", &json!(null)), Err(format!("`[range(9999)] * 999`: {too_long}")));
    let long = json!("x".repeat(1_500_000));
    assert_eq!(render("{{ call.note }}{{ call.note }}", &long), Err(too_long.into()));
    let twice = JsonTemplate::Array(vec![JsonTemplate::Leaf(Leaf::compile("{{ call.note }}").unwrap()); 2]);
    assert_eq!(twice.render(&scope(&long)).unwrap_err().to_string(), format!("`call.note`: {too_long}"));
    let deep = format!("{}1{}", "[".repeat(120), "]".repeat(120));
    let deep: Json = serde_json::from_str(&deep).unwrap();
    let walk = "{% for a in call.note recursive %}{{ loop(a) if a is sequence else a }}{% endfor %}";
    assert_eq!(render(walk, &deep), Ok("1".into()));
}

/// What Jinja offers for making much of little. minijinja's own `sum` added up a list of 10,000 lists of 1,000 for minutes,
/// and fuel didn't stop it: so there is none.
#[test]
fn what_makes_much_of_little_is_stopped_or_stays_small() {
    let note = json!("x".repeat(1_000_000));
    for source in [
        "{{ ([[1] * 1000] * 10000) | sum(start=[]) }}",
        "{{ [1] | batch(100000000, 'x') }}",
        "{{ [1] | slice(100000000) }}",
        "{{ 'a\nb' | indent(1000000000) }}",
        "{{ '%1000000000d' | format(1) }}",
        "{{ ('a' * 1000) | replace('', 'x' * 100000) }}",
        "{{ ([1] * 100000) | join('x' * 10000) }}",
        "{{ range(100000) | sort(reverse=true) | first }}",
        "{{ 2 ** 1000000 }}",
        "{{ call.note | replace('x', call.note) }}",
        "{{ call.note | urlencode | urlencode | urlencode | urlencode }}{{ call.note | mask | list }}",
    ] {
        let rendered = Template::compile(source).map(|template| template.render(&scope(&note)));
        assert!(rendered.is_err() || rendered.is_ok_and(|rendered| rendered.is_err()), "{source}");
    }
}

#[test]
fn an_address_takes_content_as_one_part_and_trusted_texts_as_they_are() {
    assert_eq!(
        url("{{ vars.base }}/calls/{{ call.note }}?q={{ call.note }}", "a/b?c=é&d").as_deref(),
        Ok("https://eu.example:8443/api/calls/a%2Fb%3Fc%3D%C3%A9%26d?q=a%2Fb%3Fc%3D%C3%A9%26d")
    );
    assert_eq!(url("{{ call.note | urlencode }}", "a b").as_deref(), Ok("a%20b"));
    for source in ["https://x/{{ call.note }}/y", "https://x/.{{ call.note }}", "https://x/{{ '.' }}{{ call.note }}/y"]
    {
        assert!(url(source, ".").is_err_and(|error| error.contains("`..`")) || url(source, "..").is_err(), "{source}");
    }
    assert_eq!(url("https://x/a?{{ call.note }}", "..").as_deref(), Ok("https://x/a?.."));
}

/// What event content could try to be.
fn content() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "{{ 7*7 }}",
        "{{",
        "}}",
        "{% for i in range(9) %}",
        "{%",
        "%}",
        "{#",
        "#}",
        "\"",
        "\\",
        "\\u0000",
        "\n",
        "\r\n",
        "\0",
        "/",
        "..",
        "%2e",
        "?",
        "#",
        "@",
        ":",
        "&",
        "=",
        ";",
        "<",
        "'",
        "é",
        "\u{2028}",
        "😀",
        "a",
        " ",
        "vars.key",
        "%s",
    ];
    proptest::collection::vec(prop_oneof![select(PIECES).prop_map(str::to_owned), ".{0,3}"], 0..8)
        .prop_map(|all| all.concat())
}

proptest! {
    #[test]
    fn content_is_never_compiled(content in content()) {
        let note = json!(content);
        prop_assert_eq!(render("<{{ call.note }}>", &note).unwrap(), format!("<{content}>"));
        prop_assert_eq!(render("{% set x = call.note %}{{ x ~ '' }}", &note).unwrap(), content.clone());
        prop_assert_eq!(leaf("{{ call.note }}", &note).unwrap(), note.clone());
        prop_assert_eq!(leaf("<{{ call.note }}>", &note).unwrap(), json!(format!("<{content}>")));
        prop_assert!(Expression::compile("call.note == 'x'").unwrap().holds(&scope(&note)).is_ok());
    }

    #[test]
    fn whatever_a_leaf_says_the_result_is_json(content in content(), key in content()) {
        let note = json!({ key.clone(): [content.clone()] });
        let values = JsonTemplate::Array(
            ["{{ call.note }}", "\"{{ call.note }}", "{{ call.note | tojson }}"].map(|leaf| JsonTemplate::Leaf(Leaf::compile(leaf).unwrap())).into(),
        );
        let rendered = values.render(&scope(&note)).unwrap();
        let back: Json = serde_json::from_str(&rendered.to_string()).unwrap();
        prop_assert_eq!(&back[0], &note);
        prop_assert_eq!(serde_json::from_str::<Json>(back[2].as_str().unwrap()).unwrap(), note);
    }

    #[test]
    fn no_content_leads_an_address_elsewhere(content in content(), template in select(&[
        "https://host.example/a/{{ call.note }}/b?x={{ call.note }}",
        "https://host.example/a/x{{ vars.key ~ call.note }}/b?x={{ call.note ~ vars.key }}",
        "https://host.example/a/{% autoescape false %}x{{ call.note }}{% endautoescape %}/b?x=1",
        "https://host.example/a/{% set x %}{{ call.note }}{% endset %}x{{ x }}/b?x=1",
        "https://host.example/a/x{{ [vars.key, call.note] | join('-') }}/b?x=1",
        "https://host.example/a/x{{ vars.key | replace('1', call.note) }}/b?x=1",
        "https://host.example/a/x{{ vars.key + call.note | upper | trim }}/b?x=1",
        "https://host.example/a/x{{ call.note | urlencode }}/b?x={{ call.note | urlencode }}",
    ][..])) {
        let Ok(rendered) = url(template, &content) else { return Ok(()) }; // It would have been `..`.
        let (url, harmless) = (Url::parse(&rendered).unwrap(), Url::parse(&self::url(template, "n").unwrap()).unwrap());
        prop_assert_eq!(url.origin(), harmless.origin());
        prop_assert_eq!(url.path_segments().unwrap().count(), harmless.path_segments().unwrap().count(), "{}", &rendered);
        prop_assert!(url.path().starts_with("/a/") && url.path().ends_with("/b"), "{}", &rendered);
        prop_assert_eq!(url.query_pairs().count(), 1, "{}", &rendered);
        prop_assert!(url.fragment().is_none());
    }

    #[test]
    fn no_source_makes_the_compiler_panic(source in content()) {
        for flaw in [Expression::compile(&source).err(), Template::compile(&source).err(), Leaf::compile(&source).err()] {
            if let Some(range) = flaw.and_then(|flaw| flaw.range) {
                prop_assert!(source.get(range).is_some());
            }
        }
    }
}
