//! An address with parts from the event: `https://crm.example/calls/{{ call.id }}?from={{ call.from }}`.
//!
//! Whom the relay calls is never up to an event:
//!
//! - Scheme and host are written out, or the text begins with `{{ vars.NAME }}` or `{{ auth.NAME }}` (what came with the
//!   credentials, as Salesforce's `instance_url` does) and goes on with `/` or `?`. This is checked when the template is
//!   compiled, and once more for each address that it makes.
//! - What an event puts behind the host is percent-encoded, `/` and `?` included: it stays in its part of the path or in its
//!   value of the query. The room `template` does that.
//! - A part of the path that is empty, or dots only, would make another path of it: then no request is made.

use std::fmt;

use url::{Origin, Url};

use super::{Unsendable, Vars, address, rendering::Rendering};
use crate::template::{Flaw, Template};

/// Why a template of an address is refused.
const HOST_IS_FIXED: &str = "an event could decide whom the relay calls; begin with `https://HOST/`, `{{ vars.NAME }}/` or \
                             `{{ auth.NAME }}/`";

/// Stands for an address that isn't known yet. There is no such host: RFC 2606.
const UNKNOWN: &str = "https://unknown.invalid/";

/// A compiled address.
#[derive(Clone)]
pub(super) struct UrlTemplate {
    template: Template,
    start: Start,
    /// What its text says of the path: from the slash behind the host to the query.
    path: String,
    /// Scheme and host as far as they are known, or [`UNKNOWN`].
    sample: Url,
}

/// What decides whom the relay calls.
#[derive(Clone)]
enum Start {
    /// What is written before the first `{{`, or the value of `{{ vars.NAME }}`: an address by itself.
    Known(Url),
    /// `{{ auth.NAME }}`.
    Captured(String),
}

impl UrlTemplate {
    pub(super) fn compile(source: &str, vars: &Vars) -> Result<Self, Flaw> {
        let template = Template::compile_url(source)?;
        let (start, rest) = Start::of(source, vars)?;
        let path = rest.split('?').next().unwrap_or_default().to_owned();
        let sample = match &start {
            Start::Known(url) => url.clone(),
            Start::Captured(_) => parse(UNKNOWN).map_err(flaw)?,
        };
        Ok(Self { template, start, path, sample })
    }

    /// The names that it uses.
    pub(super) fn names(&self) -> Vec<String> {
        self.template.names()
    }

    /// Scheme and host, as far as they are known.
    pub(super) fn shown_start(&self) -> String {
        self.start.to_string()
    }

    /// What its addresses are like.
    pub(super) fn sample(&self) -> &Url {
        &self.sample
    }

    /// The address for one attempt.
    pub(super) fn render(&self, rendering: &Rendering<'_>) -> Result<Url, Unsendable> {
        let start = self.start.origin(rendering)?;
        let text = self.template.render(rendering.scope());
        let text = text.map_err(|error| Unsendable::template("`url`", error))?;
        let url = parse(&text).map_err(Unsendable::address)?;
        if url.origin() != start {
            return Err(Unsendable::address("it would lead to another host"));
        }
        if self.has_lost_part(url.path()) {
            return Err(Unsendable::address("a part of its path would be empty"));
        }
        Ok(url)
    }

    /// Whether nothing stands where the text has something.
    fn has_lost_part(&self, rendered: &str) -> bool {
        let gains = |has: fn(&str) -> bool| has(rendered) && !has(&self.path);
        gains(|path| path.contains("//")) || (!self.path.is_empty() && gains(|path| path.ends_with('/')))
    }
}

impl Start {
    /// How `source` starts, and what follows scheme and host, or the value that brings them.
    fn of<'s>(source: &'s str, vars: &Vars) -> Result<(Self, &'s str), Flaw> {
        let before_markup =
            ["{{", "{%", "{#"].iter().filter_map(|mark| source.find(mark)).min().unwrap_or(source.len());
        match source.split_at_checked(before_markup) {
            Some(("", markup)) => Self::of_value(markup, vars),
            Some((written, _)) => Self::of_text(written, source),
            None => Err(flaw(HOST_IS_FIXED)),
        }
    }

    fn of_value<'s>(source: &'s str, vars: &Vars) -> Result<(Self, &'s str), Flaw> {
        let parts = source.strip_prefix("{{").and_then(|rest| rest.split_once("}}"));
        let (value, rest) = parts.ok_or_else(|| flaw(HOST_IS_FIXED))?;
        let start = match value.trim().split_once('.') {
            Some(("vars", name)) if is_name(name) => Self::of_var(name, vars)?,
            Some(("auth", name)) if is_name(name) => Self::Captured(name.to_owned()),
            _ => return Err(flaw(HOST_IS_FIXED)),
        };
        let goes_on = rest.is_empty() || rest.starts_with(['/', '?']);
        if goes_on { Ok((start, rest)) } else { Err(flaw("what follows it has to begin with `/` or `?`")) }
    }

    fn of_var(name: &str, vars: &Vars) -> Result<Self, Flaw> {
        let value = vars.get(name).ok_or_else(|| flaw(&format!("nothing is called `vars.{name}` here")))?;
        let reason = |reason| flaw(&format!("`vars.{name}` stands for the host: {reason}"));
        parse(value).map(Self::Known).map_err(reason)
    }

    fn of_text<'s>(written: &str, source: &'s str) -> Result<(Self, &'s str), Flaw> {
        let host_start = written.find("://").map(|at| at + "://".len());
        let host_len = host_start.and_then(|at| written.get(at..)?.find(['/', '?']));
        let host_end = host_start.zip(host_len).map(|(start, len)| start + len);
        let rest = host_end.and_then(|end| source.get(end..)).ok_or_else(|| flaw(HOST_IS_FIXED))?;
        let url = parse(written).map_err(flaw)?;
        Ok((Self::Known(url), rest))
    }

    /// Scheme, host and port.
    fn origin(&self, rendering: &Rendering<'_>) -> Result<Origin, Unsendable> {
        match self {
            Self::Known(url) => Ok(url.origin()),
            Self::Captured(name) => {
                let value = rendering.captured(name);
                let value =
                    value.ok_or_else(|| Unsendable::address(format!("no `{name}` came with the credentials")))?;
                parse(value).map(|url| url.origin()).map_err(Unsendable::address)
            }
        }
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(url) => f.write_str(&address::origin(url)),
            Self::Captured(name) => write!(f, "{{{{ auth.{name} }}}}"),
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn flaw(message: &str) -> Flaw {
    Flaw { message: message.to_owned(), range: None, remedy: None }
}

/// An address that the relay can call, or what is wrong with it.
fn parse(text: &str) -> Result<Url, &'static str> {
    match Url::parse(text) {
        Err(_) => Err("it would be no address"),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => Err("it would be no address of `http` or `https`"),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => Err("it would hold a user name"),
        Ok(url) if url.fragment().is_some() => Err("it would hold a `#`, and what follows that is never sent"),
        Ok(url) => Ok(url),
    }
}
