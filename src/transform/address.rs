//! Where a destination is: an address that never changes, or one with parts from the event.
//!
//! People are shown addresses, but neither their queries nor what is secret about them.

use std::fmt;

use url::Url;

use super::{Unsendable, Vars, rendering::Rendering, url_template::UrlTemplate};
use crate::template::Flaw;

/// Where a destination is. Its `Debug` shows what people may see.
#[derive(Clone)]
pub struct Address {
    form: Form,
    shown: String,
    is_secret: bool,
}

#[derive(Clone)]
enum Form {
    Fixed(Url),
    Template(UrlTemplate),
}

impl Address {
    /// An `http` or `https` address that never changes.
    #[must_use]
    pub fn fixed(url: Url) -> Self {
        Self { shown: shown(&url), form: Form::Fixed(url), is_secret: false }
    }

    /// The address that `source`, a template, makes of each event. `vars` are the constants of its destination.
    ///
    /// # Errors
    /// [`Flaw`] when it is none, or when an event could decide whom the relay calls.
    pub fn compile(source: &str, vars: &Vars) -> Result<Self, Flaw> {
        let template = UrlTemplate::compile(source, vars)?;
        let shown = source.split_once('?').map_or_else(|| source.to_owned(), |(path, _)| format!("{path}?…"));
        Ok(Self { form: Form::Template(template), shown, is_secret: false })
    }

    /// The same, with a path that is a secret, as Slack's are: nobody is shown more of it than the host.
    #[must_use]
    pub fn hidden(self) -> Self {
        let host = match &self.form {
            Form::Fixed(url) => origin(url),
            Form::Template(template) => template.shown_start(),
        };
        Self { shown: format!("{host}/…"), is_secret: true, ..self }
    }

    /// What people may see of it: no query, and no secret. Of a template, its text.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Whether nobody may be shown more of it than the host.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.is_secret
    }

    /// The names that a template uses, each with its parts: `call.id`.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        match &self.form {
            Form::Fixed(_) => Vec::new(),
            Form::Template(template) => template.names(),
        }
    }

    /// An address of the same scheme, for what has to be ready before there is an event.
    #[must_use]
    pub fn sample(&self) -> Url {
        match &self.form {
            Form::Fixed(url) => url.clone(),
            Form::Template(template) => template.sample().clone(),
        }
    }

    /// The address for one attempt, and what people may see of it.
    pub(super) fn resolve(&self, rendering: &Rendering<'_>) -> Result<(Url, String), Unsendable> {
        match &self.form {
            Form::Fixed(url) => Ok((url.clone(), self.shown.clone())),
            Form::Template(template) => {
                let url = template.render(rendering)?;
                let shown = if self.is_secret { format!("{}/…", origin(&url)) } else { shown(&url) };
                Ok((url, shown))
            }
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Without credentials, query and fragment.
fn shown(url: &Url) -> String {
    let query = if url.query().is_some() { "?…" } else { "" };
    format!("{}{}{query}", origin(url), url.path())
}

/// Scheme, host and port.
pub(super) fn origin(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}
