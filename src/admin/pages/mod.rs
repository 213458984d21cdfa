//! The dashboard: files that are part of the program, as a browser gets them.
//!
//! They are written by hand and served as they are; nothing is built and nothing is fetched from elsewhere. They hold no
//! data: what a page shows it asks the API for, under the same checks as everybody, so the files themselves need no token.
//! The browser is told to run and load only these, to send nothing elsewhere, and to let no other page frame them.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use sha2::{Digest, Sha256};

use super::answer::{Answer, Problem, typed};

/// A file of the dashboard.
struct File {
    path: &'static str,
    content_type: &'static str,
    content: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const DRAWING: &str = "image/svg+xml";

/// All of them.
const FILES: &[File] = &[
    File { path: "/", content_type: HTML, content: include_str!("index.html") },
    File { path: "/assets/icon.svg", content_type: DRAWING, content: include_str!("icon.svg") },
    File { path: "/assets/style.css", content_type: STYLE, content: include_str!("style.css") },
    File { path: "/assets/theme.css", content_type: STYLE, content: include_str!("theme.css") },
    File { path: "/assets/api.js", content_type: SCRIPT, content: include_str!("api.js") },
    File { path: "/assets/app.js", content_type: SCRIPT, content: include_str!("app.js") },
    File { path: "/assets/audit.js", content_type: SCRIPT, content: include_str!("audit.js") },
    File { path: "/assets/call.js", content_type: SCRIPT, content: include_str!("call.js") },
    File { path: "/assets/changes.js", content_type: SCRIPT, content: include_str!("changes.js") },
    File { path: "/assets/charts.js", content_type: SCRIPT, content: include_str!("charts.js") },
    File { path: "/assets/config.js", content_type: SCRIPT, content: include_str!("config.js") },
    File { path: "/assets/dead.js", content_type: SCRIPT, content: include_str!("dead.js") },
    File { path: "/assets/dialogs.js", content_type: SCRIPT, content: include_str!("dialogs.js") },
    File { path: "/assets/dom.js", content_type: SCRIPT, content: include_str!("dom.js") },
    File { path: "/assets/event.js", content_type: SCRIPT, content: include_str!("event.js") },
    File { path: "/assets/events.js", content_type: SCRIPT, content: include_str!("events.js") },
    File { path: "/assets/json.js", content_type: SCRIPT, content: include_str!("json.js") },
    File { path: "/assets/live.js", content_type: SCRIPT, content: include_str!("live.js") },
    File { path: "/assets/notices.js", content_type: SCRIPT, content: include_str!("notices.js") },
    File { path: "/assets/overview.js", content_type: SCRIPT, content: include_str!("overview.js") },
    File { path: "/assets/pace.js", content_type: SCRIPT, content: include_str!("pace.js") },
    File { path: "/assets/parts.js", content_type: SCRIPT, content: include_str!("parts.js") },
    File { path: "/assets/person.js", content_type: SCRIPT, content: include_str!("person.js") },
    File { path: "/assets/resend.js", content_type: SCRIPT, content: include_str!("resend.js") },
    File { path: "/assets/theme.js", content_type: SCRIPT, content: include_str!("theme.js") },
    File { path: "/assets/words.js", content_type: SCRIPT, content: include_str!("words.js") },
];

/// What a page may do: run and show what comes from here, and ask here.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

/// What all files come with, beside what every answer has. A browser may keep them, and asks each time whether they are still
/// the same: after an upgrade nobody sees an old page over a new API.
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

/// What a request for a file is answered; `None` when the path is none of a file.
pub(super) fn answer(method: &Method, path: &str, headers: &HeaderMap) -> Option<Result<Answer, Problem>> {
    let file = FILES.iter().find(|file| file.path == path)?;
    let is_read = [Method::GET, Method::HEAD].contains(method);
    Some(if is_read { Ok(file.answer(headers)) } else { Err(Problem::method_not_allowed("GET, HEAD")) })
}

impl File {
    fn answer(&self, headers: &HeaderMap) -> Answer {
        let tag = self.tag();
        let is_kept = headers.get_all(header::IF_NONE_MATCH).iter().any(|kept| names(kept, &tag));
        let (status, content) = if is_kept { (StatusCode::NOT_MODIFIED, "") } else { (StatusCode::OK, self.content) };
        let mut answer =
            typed(status, HeaderValue::from_static(self.content_type), Bytes::from_static(content.as_bytes()));
        for (name, value) in HEADERS {
            answer.headers_mut().insert(name, value);
        }
        if let Ok(tag) = HeaderValue::try_from(tag) {
            answer.headers_mut().insert(header::ETAG, tag);
        }
        answer
    }

    /// The entity tag: the beginning of the content's hash.
    fn tag(&self) -> String {
        let hash: [u8; 32] = Sha256::digest(self.content).into();
        format!("\"{:032x}\"", u128::from_be_bytes(hash.first_chunk().copied().unwrap_or_default()))
    }
}

/// Whether an `If-None-Match` names this entity tag, be it as a weak one.
fn names(kept: &HeaderValue, tag: &str) -> bool {
    let mut kept = kept.to_str().unwrap_or_default().split(',').map(str::trim);
    kept.any(|kept| kept == "*" || kept.trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;

    fn get(path: &str, headers: &[(HeaderName, &str)]) -> Answer {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        answer(&Method::GET, path, &headers).unwrap().unwrap()
    }

    fn of_type(content_type: &str) -> impl Iterator<Item = &'static File> {
        FILES.iter().filter(move |file| file.content_type == content_type)
    }

    #[test]
    fn every_file_in_the_folder_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/admin/pages");
        let there = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let there: BTreeSet<String> = there.filter(|name| name != "mod.rs").collect();
        let name = |file: &File| if file.path == "/" { "index.html" } else { file.path.trim_start_matches("/assets/") };
        assert_eq!(FILES.iter().map(|file| name(file).to_owned()).collect::<BTreeSet<_>>(), there);
    }

    #[test]
    fn no_script_reads_markup_from_a_text_or_runs_one() {
        let ways = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "DOMParser",
            "createContextualFragment",
            "setHTMLUnsafe",
            "srcdoc",
            "eval(",
            "new Function",
            "javascript:",
        ];
        for file in FILES {
            for way in ways {
                assert!(!file.content.contains(way), "{} uses {way}: build elements with dom.js", file.path);
            }
        }
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        for file in FILES {
            let content = file.content.replace("http://www.w3.org/2000/svg", "");
            assert!(!content.contains("://") && !content.contains("url("), "{} names another place", file.path);
        }
    }

    #[test]
    fn what_a_script_imports_is_there_and_used() {
        for file in of_type(SCRIPT) {
            for line in file.content.lines().filter(|line| line.starts_with("import ")) {
                let from = line.split('\'').nth(1).unwrap().replace("./", "/assets/");
                let imported = FILES.iter().find(|other| other.path == from);
                let imported = imported.unwrap_or_else(|| panic!("{} imports {from}", file.path));
                let names = line.split(['{', '}']).nth(1).unwrap().split(',').map(str::trim);
                for name in names {
                    let is_there = ["function", "class", "const", "async function"]
                        .iter()
                        .any(|kind| imported.content.contains(&format!("export {kind} {name}")));
                    assert!(is_there, "{} imports {name}, which {from} doesn't export", file.path);
                    let uses = file.content.split(|char: char| !char.is_alphanumeric() && char != '_');
                    assert!(uses.filter(|word| *word == name).count() > 1, "{} doesn't use {name}", file.path);
                }
            }
        }
    }

    #[test]
    fn scripts_say_what_they_are_for_and_can_be_read_at_one_sitting() {
        for file in of_type(SCRIPT) {
            assert!(file.content.starts_with("// "), "{}: open it with what it owns", file.path);
            assert!(file.content.lines().count() <= 250, "{} is long", file.path);
        }
    }

    #[test]
    fn a_browser_is_told_what_a_page_may_do() {
        for file in FILES {
            let headers = get(file.path, &[]).headers().clone();
            assert_eq!(headers["content-security-policy"], POLICY, "{}", file.path);
            assert_eq!(headers["x-content-type-options"], "nosniff", "{}", file.path);
            assert_eq!(headers["cache-control"], "no-cache", "{}", file.path);
        }
    }

    #[test]
    fn what_a_browser_has_is_not_sent_again() {
        let tag = get("/", &[]).headers()["etag"].to_str().unwrap().to_owned();
        let weak = format!("\"other\", W/{tag}");
        for kept in [&*tag, &*weak, "*"] {
            assert_eq!(get("/", &[(header::IF_NONE_MATCH, kept)]).status(), StatusCode::NOT_MODIFIED, "{kept}");
        }
        assert_eq!(get("/assets/app.js", &[(header::IF_NONE_MATCH, &tag)]).status(), StatusCode::OK);
    }

    #[test]
    fn files_are_only_read() {
        assert!(answer(&Method::GET, "/assets/", &HeaderMap::new()).is_none());
        let refused = answer(&Method::POST, "/", &HeaderMap::new()).unwrap().unwrap_err();
        assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED);
    }
}
