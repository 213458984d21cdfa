//! The two text formats, and which one is wanted.
//!
//! The library writes `OpenMetrics` 1.0. Whoever doesn't ask for it (`curl`, a browser, an old scraper) gets the older format
//! of Prometheus, which has no examples, no units and no `info`.

/// A format for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `OpenMetrics` 1.0, with examples.
    OpenMetrics,
    /// Prometheus' own, version 0.0.4.
    Prometheus,
}

impl Format {
    /// The better one for a client that sent this `Accept` header; no header is an empty one.
    #[must_use]
    pub fn wanted_by(accept: &str) -> Self {
        let quality = |is_it: fn(&str) -> bool| {
            let ranges = accept.split(',').filter_map(media_range).filter(|(range, _)| is_it(range));
            ranges.map(|(_, quality)| quality).fold(0.0, f32::max)
        };
        let open_metrics = quality(|range| range == "application/openmetrics-text");
        let plain = quality(|range| matches!(range, "text/plain" | "text/*"));
        if open_metrics > 0.0 && open_metrics >= plain { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The `Content-Type` of an answer.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    pub(super) fn of_open_metrics(self, text: String) -> String {
        match self {
            Self::OpenMetrics => text,
            Self::Prometheus => in_the_older_format(&text),
        }
    }
}

/// The type of a media range in lower case, and its quality; `None` for what can't be read.
fn media_range(range: &str) -> Option<(String, f32)> {
    let mut parts = range.split(';').map(str::trim);
    let media_type = parts.next()?.to_ascii_lowercase();
    let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |quality| quality.parse().ok())?;
    Some((media_type, quality))
}

fn in_the_older_format(text: &str) -> String {
    let mut older = String::with_capacity(text.len());
    let mut help = "";
    for line in text.lines() {
        let mut comment = line.strip_prefix("# ").map(|comment| comment.splitn(3, ' '));
        let mut next = || comment.as_mut().and_then(Iterator::next);
        match (next(), next(), next()) {
            (Some("HELP"), Some(_), Some(words)) => help = words,
            (Some("TYPE"), Some(name), Some(kind)) => {
                let (name, kind) = named_in_the_older_format(name, kind);
                older.extend(["# HELP ", &name, " ", help, "\n# TYPE ", &name, " ", kind, "\n"]);
            }
            (Some(_), ..) => {}
            // No value of a label holds this: names don't, and the rest are our words.
            (None, ..) => older.extend([line.split(" # {").next().unwrap_or(line), "\n"]),
        }
    }
    older
}

fn named_in_the_older_format<'a>(name: &str, kind: &'a str) -> (String, &'a str) {
    match kind {
        "info" => (format!("{name}_info"), "gauge"),
        "counter" => (format!("{name}_total"), "counter"),
        _ => (name.to_owned(), kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_follows_what_is_accepted() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(Format::wanted_by(prometheus), Format::OpenMetrics);
        for older in ["", "*/*", "text/html, */*;q=0.8", "text/plain;version=0.0.4", "application/openmetrics-text;q=0"]
        {
            assert_eq!(Format::wanted_by(older), Format::Prometheus, "{older}");
        }
        let preferred = "Application/OpenMetrics-Text; version=1.0.0; q=0.3, text/plain; q=0.5";
        assert_eq!(Format::wanted_by(preferred), Format::Prometheus);
    }

    #[test]
    fn the_older_format_has_no_examples_units_or_info() {
        let text = "# HELP a_seconds Help.\n# TYPE a_seconds histogram\n# UNIT a_seconds seconds\n\
                    a_seconds_bucket{le=\"1.0\"} 1 # {trace_id=\"7\"} 0.5\n\
                    # HELP b Help.\n# TYPE b counter\nb_total{c=\"# d\"} 2\n\
                    # HELP e Help.\n# TYPE e info\ne_info{v=\"1\"} 1\n# EOF\n";
        let older = "# HELP a_seconds Help.\n# TYPE a_seconds histogram\na_seconds_bucket{le=\"1.0\"} 1\n\
                     # HELP b_total Help.\n# TYPE b_total counter\nb_total{c=\"# d\"} 2\n\
                     # HELP e_info Help.\n# TYPE e_info gauge\ne_info{v=\"1\"} 1\n";
        assert_eq!(Format::Prometheus.of_open_metrics(text.to_owned()), older);
    }
}
