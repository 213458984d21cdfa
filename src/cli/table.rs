//! Aligned columns, with colours that don't disturb the alignment.

use crate::config::Colour;

/// What a text wants to say by its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// Nothing.
    Plain,
    /// This is the main thing.
    Strong,
    /// This is beside the point.
    Faint,
    /// All is well.
    Good,
    /// Something waits.
    Warning,
    /// Something is wrong.
    Bad,
}

impl Tone {
    /// `text` in this tone.
    pub(super) fn paint(self, text: &str, colour: Colour) -> String {
        let code = match (colour, self) {
            (Colour::Plain, _) | (Colour::Ansi, Self::Plain) => return text.to_owned(),
            (Colour::Ansi, Self::Strong) => "1",
            (Colour::Ansi, Self::Faint) => "2",
            (Colour::Ansi, Self::Good) => "32",
            (Colour::Ansi, Self::Warning) => "33",
            (Colour::Ansi, Self::Bad) => "31",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// A text in a tone. Its text has to be harmless already.
#[derive(Debug, Clone)]
pub(super) struct Cell(pub(super) Tone, pub(super) String);

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self(Tone::Plain, text.into())
    }
}

/// On which side of its column a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows under headings.
pub(super) struct Table {
    columns: Vec<(&'static str, Side)>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub(super) fn new(columns: impl Into<Vec<(&'static str, Side)>>) -> Self {
        Self { columns: columns.into(), rows: Vec::new() }
    }

    /// Adds a row with one cell for each column.
    pub(super) fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        self.rows.push(cells.into());
    }

    /// Whether it has no rows.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines, each with its end.
    pub(super) fn render(&self, colour: Colour) -> String {
        let headings: Vec<Cell> =
            self.columns.iter().map(|(heading, _)| Cell(Tone::Faint, (*heading).to_owned())).collect();
        let widths = self.widths();
        let mut text = self.line(&headings, &widths, colour);
        for row in &self.rows {
            text += &self.line(row, &widths, colour);
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let widest = |(index, (heading, _)): (usize, &(&'static str, Side))| {
            let cells = self.rows.iter().filter_map(|row| row.get(index)).map(|cell| width(&cell.1));
            cells.chain([width(heading)]).max().unwrap_or(0)
        };
        self.columns.iter().enumerate().map(widest).collect()
    }

    fn line(&self, cells: &[Cell], widths: &[usize], colour: Colour) -> String {
        let mut line = String::new();
        for ((Cell(tone, text), (_, side)), target) in cells.iter().zip(&self.columns).zip(widths) {
            let padding = " ".repeat(target.saturating_sub(width(text)));
            let painted = tone.paint(text, colour);
            line += &match side {
                Side::Left => painted + &padding,
                Side::Right => padding + &painted,
            };
            line += "  ";
        }
        line.truncate(line.trim_end().len());
        line + "\n"
    }
}

/// Columns that `text` takes on a terminal, counted as one for each character: enough for ids and names.
fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_have_no_trailing_space() {
        let mut table = Table::new([("NAME", Side::Left), ("N", Side::Right), ("NOTE", Side::Left)]);
        table.row(["a".into(), "1,200".into(), "".into()]);
        table.row(["längst".into(), "7".into(), Cell(Tone::Bad, "no".into())]);
        let plain = "NAME        N  NOTE\na       1,200\nlängst      7  no\n";
        assert_eq!(table.render(Colour::Plain), plain);
        let coloured = table.render(Colour::Ansi);
        assert!(coloured.contains("      7  \u{1b}[31mno\u{1b}[0m\n"), "{coloured:?}");
    }
}
