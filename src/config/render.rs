//! How problems look to people: like the Rust compiler's, with the offending text underlined. The only user of
//! annotate-snippets.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::problem::{Problem, Problems, Severity, Span};

/// Whether text for people may hold colours (ANSI escape sequences).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// It goes to a file or a pipe.
    Plain,
    /// It goes to a terminal.
    Ansi,
}

impl Problems {
    /// All problems, one after another, then a line with their number. Empty when there are none.
    #[must_use]
    pub fn render(&self, colour: Colour) -> String {
        if self.is_empty() {
            return String::new();
        }
        let renderer = match colour {
            Colour::Plain => Renderer::plain(),
            Colour::Ansi => Renderer::styled(),
        };
        let mut text = String::new();
        for problem in self {
            for line in renderer.render(&[self.picture(problem)]).lines() {
                text += line.trim_end(); // Where a comment was blanked.
                text.push('\n');
            }
            text.push('\n');
        }
        text + &self.tally()
    }

    fn picture<'a>(&'a self, problem: &'a Problem) -> Group<'a> {
        let level = match problem.severity() {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(problem.message());
        let group = match problem.span() {
            Some(span) => title.element(self.snippet(problem, span)),
            None => title.element(Origin::path(self.file_name())),
        };
        match problem.advice() {
            Some(help) => group.element(Level::HELP.message(help)),
            None => group,
        }
    }

    fn snippet<'a>(&'a self, problem: &'a Problem, span: &Span) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let text = self.masked_text();
        let snippet = Snippet::source(text)
            .path(self.file_name())
            .annotation(AnnotationKind::Primary.span(whole_characters(text, span)));
        match problem.other_place() {
            Some((other, label)) => {
                snippet.annotation(AnnotationKind::Context.span(whole_characters(text, other)).label(label))
            }
            None => snippet,
        }
    }

    fn tally(&self) -> String {
        let counts = [(Severity::Error, "error"), (Severity::Warning, "warning")].map(|(severity, word)| {
            match self.count(severity) {
                0 => None,
                1 => Some(format!("1 {word}")),
                count => Some(format!("{count} {word}s")),
            }
        });
        let counts: Vec<String> = counts.into_iter().flatten().collect();
        format!("{}: {}\n", self.file_name(), counts.join(", "))
    }
}

/// The span within the text, widened to whole characters.
fn whole_characters(text: &str, span: &Span) -> Span {
    let mut start = span.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = span.end.clamp(start, text.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    start..end
}
