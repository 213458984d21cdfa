//! How a destination and the relay know each other: credentials, certificates, and addresses that are refused.

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::ExposeSecret;

use super::*;
use crate::address::Policy;

const TOKEN_URL: &str = "token_url = \"https://login.example/token\"";
const CLIENT: &str = "client_id = \"relay\", client_secret = { env = \"CRM_TOKEN\" }";

/// [`MINIMAL`] with a line more in its destination.
fn with(line: &str) -> String {
    minimal_with_line("[destination.crm]", line)
}

/// The least of `oauth2`, and something more.
fn oauth2(more: &str) -> String {
    with(&format!("auth = {{ oauth2 = {{ {TOKEN_URL}, {CLIENT}{more} }} }}"))
}

#[test]
fn client_credentials_are_read_with_what_is_optional() {
    let bare = valid(&oauth2("")).destinations[0].grant.clone().unwrap();
    assert_eq!(bare.token_url.as_str(), "https://login.example/token");
    assert_eq!((&*bare.client_id, bare.client_secret.expose_secret()), ("relay", "crm-token-0123456789"));
    assert_eq!((bare.scope, bare.audience, bare.capture.len()), (None, None, 0));
    assert_eq!(bare.default_ttl.as_secs(), 1800);

    let more = oauth2(
        ", scope = \"a b\", audience = { env = \"CRM_URL\" }, capture = [\"instance_url\"], default_ttl = \"9m\"",
    );
    let full = valid(&more).destinations[0].grant.clone().unwrap();
    assert_eq!(full.scope.as_deref(), Some("a b"));
    assert_eq!(full.audience.as_deref(), Some("https://crm.internal.example/api/calls"));
    assert_eq!((full.capture, full.default_ttl.as_secs()), (vec!["instance_url".to_owned()], 540));
}

#[test]
fn a_header_of_ones_own_is_a_credential_too() {
    let config = valid(&with("auth = { header = { name = \"X-Api-Key\", value = { env = \"CRM_TOKEN\" } } }"));
    let value = &config.destinations[0].target.headers["x-api-key"];
    assert_eq!(value, "crm-token-0123456789");
    assert!(value.is_sensitive());
}

/// Base64, as Standard Webhooks has its keys.
const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The headers by which a destination with this `auth` gets signatures.
fn signed_by(auth: &str) -> Vec<String> {
    let environment = environment().with_variable("KEY", KEY);
    let config = Config::parse("relay.toml", &with(&format!("auth = {auth}")), &environment);
    let signer = config.unwrap().destinations[0].target.signing.clone().unwrap();
    signer.headers().iter().map(ToString::to_string).collect()
}

#[test]
fn requests_can_be_signed_beside_a_credential() {
    assert_eq!(signed_by("{ hmac = { secret = { env = \"KEY\" } } }"), ["x-signature"]);
    let elsewhere = "{ bearer = { env = \"CRM_TOKEN\" }, hmac = { secret = { env = \"KEY\" }, header = \"X-Hmac\" } }";
    assert_eq!(signed_by(elsewhere), ["x-hmac"]);
    let standard = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    assert_eq!(signed_by("{ standard_webhooks = { keys = [{ env = \"KEY\" }, { env = \"KEY\" }] } }"), standard);
}

#[test]
fn signatures_that_cannot_be_are_told_why() {
    let token = "{ env = \"CRM_TOKEN\" }";
    for (auth, message) in [
        (
            format!("{{ hmac = {{ secret = {token} }}, standard_webhooks = {{}} }}"),
            "`auth` takes one of `hmac`, `standard_webhooks`",
        ),
        ("{ hmac = {} }".to_owned(), "`hmac` of `auth` of [destination.crm] has no `secret`"),
        (
            format!("{{ hmac = {{ secret = {token}, header = \"Host\" }} }}"),
            "is not a header that could carry a signature",
        ),
        (
            format!("{{ hmac = {{ secret = {token}, header = \"X-Relay-Event\" }} }}"),
            "is not a header that could carry",
        ),
        ("{ standard_webhooks = { keys = [] } }".to_owned(), "there is no key in it"),
        (format!("{{ standard_webhooks = {{ keys = {token} }} }}"), "`keys` has to be a list"),
        (
            format!("{{ standard_webhooks = {{ keys = [{token}] }} }}"),
            "a key of Standard Webhooks is base64, with or without",
        ),
    ] {
        let told = only_problem(&with(&format!("auth = {auth}")));
        assert!(told.contains(message), "{told}");
    }
    let twice =
        format!("auth = {{ hmac = {{ secret = {token}, header = \"X-Team\" }} }}\nheaders = {{ X-Team = \"voice\" }}");
    assert!(only_problem(&with(&twice)).contains("`auth` makes the header `x-team`, and `headers` has it, too"));
}

#[test]
fn credentials_that_cannot_be_are_told_why() {
    for (auth, message) in [
        ("{ header = { name = \"Host\", value = { env = \"CRM_TOKEN\" } } }", "can't be set here: the relay sets it"),
        (
            "{ header = { name = \"X-Signature\", value = { env = \"CRM_TOKEN\" } } }",
            "events carry their signature in it",
        ),
        ("{ header = { name = \"a b\", value = { env = \"CRM_TOKEN\" } } }", "`name` is not the name of a header"),
        ("{ header = { name = \"X-Api-Key\" } }", "`header` of `auth` of [destination.crm] has no `value`"),
        ("{ oauth2 = \"x\" }", "`oauth2` of `auth` of [destination.crm] has to be a section or a table, not a text"),
    ] {
        let told = only_problem(&with(&format!("auth = {auth}")));
        assert!(told.contains(message), "{told}");
    }
    for (more, message) in [
        (", scope = \"\"", "`scope` is empty"),
        (", default_ttl = \"0s\"", "`default_ttl` has to be between 1s and 1d"),
        (", capture = \"instance_url\"", "`capture` has to be a list, not a text"),
        (", secret = \"hunter2\"", "has no key `secret`"),
    ] {
        let told = only_problem(&oauth2(more));
        assert!(told.contains(message) && !told.contains("hunter2"), "{told}");
    }
}

#[test]
fn a_client_secret_that_goes_out_in_the_open_is_warned_about_except_on_this_machine() {
    let to = |url: &str| oauth2("").replace("https://login.example", url);
    assert!(
        only_problem(&to("http://login.example"))
            .starts_with("warning: \"http://login.example/token\" | the client's secret")
    );
    for url in ["http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080"] {
        assert!(valid(&to(url)).warnings.is_empty(), "{url}");
    }
}

#[test]
fn an_access_token_and_a_header_of_the_same_name_are_one_too_many() {
    let twice = oauth2("") + "";
    let twice = twice.replace("auth =", "headers = { authorization = { env = \"CRM_TOKEN\" } }\nauth =");
    assert!(only_problem(&twice).contains("`auth` makes the header `authorization`, and `headers` has it, too"));
}

#[test]
fn an_address_that_is_never_called_is_no_destination_and_no_token_endpoint() {
    let never =
        "is a link-local address, where clouds keep their metadata, it is never called | write the address of a server";
    let destination = MINIMAL.replace("https://crm.internal.example", "http://[::ffff:169.254.169.254]");
    assert!(only_problem(&destination).contains(never));
    let endpoint = oauth2("").replace("login.example", "169.254.169.254");
    assert!(only_problem(&endpoint).contains(never));
}

#[test]
fn private_addresses_are_allowed_until_they_are_not() {
    let private = MINIMAL.replace("crm.internal.example", "10.1.2.3");
    assert_eq!(valid(&private).destinations[0].policy, Policy::AllowPrivate);
    let public = |text: &str| text.replace("[destination.crm]", "[destination.crm]\nallow_private = false");
    assert_eq!(valid(&public(MINIMAL)).destinations[0].policy, Policy::PublicOnly);
    let told = only_problem(&public(&private));
    assert!(told.contains("10.1.2.3 is a private address, `allow_private = false` forbids it"), "{told}");
    assert!(only_problem(&with("allow_private = \"no\"")).contains("has to be true or false, without quotes"));
}

/// A certificate for tests of files, and its key, as PEM.
pub(super) fn certified() -> (String, String) {
    let pair = rcgen::generate_simple_self_signed(["crm.example".to_owned()]).unwrap();
    (pem("CERTIFICATE", pair.cert.der()), pem("PRIVATE KEY", pair.signing_key.serialized_der()))
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

/// [`MINIMAL`] with this `tls`, in an environment with these files.
fn with_tls(tls: &str, files: &[(&str, &str)]) -> Result<Config, Problems> {
    let files = files.iter().fold(environment(), |all, (path, content)| all.with_file(*path, content.as_bytes()));
    Config::parse("/etc/relay.toml", &with(&format!("tls = {tls}")), &files)
}

#[test]
fn certificates_are_read_from_files_beside_the_config() {
    let (certificate, key) = certified();
    let files = [("/etc/ca.pem", &*certificate), ("/srv/relay.pem", &*certificate), ("/srv/relay.key", &*key)];
    let tls = "{ ca = \"ca.pem\", cert = \"/srv/relay.pem\", key = \"/srv/relay.key\" }";
    let read = with_tls(tls, &files).unwrap().destinations[0].tls.clone();
    assert_eq!(read.authorities.unwrap().as_der().count(), 1);
    assert_eq!(*read.identity.unwrap().pem().expose_secret(), format!("{certificate}{key}"));
    let as_secret = tls.replace("\"/srv/relay.key\"", "{ file = \"/srv/relay.key\" }");
    assert!(with_tls(&as_secret, &files).unwrap().destinations[0].tls.identity.is_some());
}

#[test]
fn files_of_certificates_that_cannot_be_used_are_told_with_what_to_do() {
    let (certificate, key) = certified();
    let another = certified().1;
    let files =
        [("/ca.pem", &*certificate), ("/key.pem", &*key), ("/another.pem", &*another), ("/words.pem", "no PEM\n")];
    for (tls, problem) in [
        ("{ ca = \"/gone.pem\" }", "the file /gone.pem can't be read: entity not found | the user that runs the relay"),
        ("{ ca = \"/words.pem\" }", "the file of `ca` holds no certificate | PEM has `-----BEGIN CERTIFICATE-----`"),
        ("{ ca = \"/key.pem\" }", "the file of `ca` holds a private key and no certificate | give the file with"),
        ("{ ca = 1 }", "`ca` has to be a text in quotes, not a number"),
        ("{ cert = \"/ca.pem\" }", "`tls` of [destination.crm] has no `key` | write `key = \"/etc/"),
        ("{ key = \"/key.pem\" }", "`tls` of [destination.crm] has no `cert` | write `cert = \"/etc/"),
        ("{ cert = \"/ca.pem\", key = \"/gone.pem\" }", "the secret file /gone.pem can't be read"),
        ("{ cert = \"/ca.pem\", key = \"/ca.pem\" }", "the file of `key` holds no private key | PEM has"),
        ("{ cert = \"/key.pem\", key = \"/key.pem\" }", "the file of `cert` holds a private key and no certificate"),
        (
            "{ cert = \"/ca.pem\", key = \"/another.pem\" }",
            "the file of `key` holds a private key that belongs to another",
        ),
        ("{ certs = \"/ca.pem\" }", "`tls` of [destination.crm] has no key `certs` | did you mean `cert`?"),
    ] {
        let text = with(&format!("tls = {tls}"));
        let problems = with_tls(tls, &files).unwrap_err();
        let told: Vec<_> = problems.iter().map(|problem| show(&text, problem)).collect();
        assert!(told.len() == 1 && told[0].contains(problem), "{tls}: {told:#?}");
    }
}

#[test]
fn a_key_that_stands_in_the_config_is_refused_and_not_shown() {
    let (certificate, key) = certified();
    let tls = format!("{{ cert = \"/ca.pem\", key = \"\"\"\n{key}\"\"\" }}");
    let problems = with_tls(&tls, &[("/ca.pem", &*certificate)]).unwrap_err().to_string();
    assert!(problems.contains("`key` has to be a name, not the secret itself"), "{problems}");
    assert!(key.lines().all(|line| !problems.contains(line)), "{problems}");
}
