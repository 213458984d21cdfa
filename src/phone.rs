//! Where in a text is a phone number, and what is shown in its place?
//!
//! It errs on the side of hiding: digits that could be a phone number are taken for one. Dates, decimal numbers, times in
//! milliseconds and the digits of ids are not. A number that is spelled out ("four one five …") is not recognised.

/// The digits of a phone number: what people dial within a town, up to what E.164 allows.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
/// How many digits a number has at least that neither begins with a plus nor is written in groups.
const LEAST_PLAIN_DIGITS: usize = 8;
/// Digits of a time in milliseconds since 1970, which begins with 1 until 2033. Phone numbers with the country code 1 have 11.
const TIME_DIGITS: usize = 13;

/// How many letters and digits of a long number stay to be seen.
const UNMASKED: usize = 4;

/// `number` so that it tells a person which it is, and nobody what it is: all but its last letters and digits become `*`. A
/// third of them stays at most.
#[must_use]
pub fn masked(number: &str) -> String {
    let count = number.chars().filter(|char| char.is_alphanumeric()).count();
    let mut hidden = count - UNMASKED.min(count / 3);
    let hide = |char: char| {
        let must_hide = char.is_alphanumeric() && hidden > 0;
        hidden -= usize::from(must_hide);
        if must_hide { '*' } else { char }
    };
    number.chars().map(hide).collect()
}

/// `text` with every phone number in it masked. It may be JSON, with escapes in its strings.
#[must_use]
pub fn masked_within(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let (mut rest, mut before) = (text, Before::default());
    while let Some(char) = rest.chars().next() {
        let number = if before.is_in_word() { None } else { Number::at(rest) };
        let (taken, left) = rest.split_at(number.map_or(char.len_utf8(), |number| number.length));
        if number.is_some() {
            shown.push_str(&masked_with_prefix(taken));
        } else {
            shown.push(char);
        }
        before = before.and(taken);
        rest = left;
    }
    shown
}

fn masked_with_prefix(number: &str) -> String {
    let (plus, digits) = number.split_at(plus_length(number));
    format!("{plus}{}", masked(digits))
}

/// A plus, also as JSON escapes it where a serializer is careful.
fn plus_length(text: &str) -> usize {
    ["+", r"\u002B", r"\u002b"].into_iter().find(|plus| text.starts_with(plus)).map_or(0, str::len)
}

/// The two characters before a place in a text.
#[derive(Debug, Clone, Copy, Default)]
struct Before {
    second: Option<char>,
    last: Option<char>,
}

impl Before {
    /// Whether what follows goes on with a word, such as an id, and is no number of its own.
    fn is_in_word(self) -> bool {
        let is_of_word = |char: Option<char>| char.is_some_and(is_of_word);
        match self.last {
            Some('n' | 'r' | 't' | 'f' | 'b') if self.second == Some('\\') => false,
            Some('-' | '.') => is_of_word(self.second),
            last => is_of_word(last),
        }
    }

    fn and(self, taken: &str) -> Self {
        let mut backwards = taken.chars().rev();
        let last = backwards.next();
        Self { second: backwards.next().or(self.last), last }
    }
}

fn is_of_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// What people put between the digits of a phone number.
fn is_separator(char: char) -> bool {
    matches!(char, ' ' | '\u{a0}' | '-' | '\u{2010}'..='\u{2013}' | '.' | '/' | '(' | ')')
}

/// A phone number at the start of a text.
#[derive(Debug, Clone, Copy, Default)]
struct Number {
    /// In bytes.
    length: usize,
    digits: usize,
    /// Separators between the digits, and how many of them are dots.
    separators: usize,
    dots: usize,
}

impl Number {
    fn at(text: &str) -> Option<Self> {
        if !text.starts_with(|char: char| char.is_numeric() || matches!(char, '+' | '(' | '\\')) {
            return None;
        }
        let (plus, body) = text.split_at(plus_length(text));
        let found = Self::measured(body)?;
        let is_number = if plus.is_empty() { found.could_be_plain(body) } else { DIGITS.contains(&found.digits) };
        let length = plus.len() + found.length;
        (is_number && !goes_on(text.split_at(length).1)).then_some(Self { length, ..found })
    }

    /// The digits at the start of `text`, and what is between them; `None` when there are more than a phone number has.
    fn measured(text: &str) -> Option<Self> {
        let (mut found, mut gap, mut gap_dots) = (Self::default(), 0, 0);
        for (place, char) in text.char_indices() {
            if char.is_numeric() {
                let (separators, dots) = (found.separators + gap, found.dots + gap_dots);
                found = Self { length: place + char.len_utf8(), digits: found.digits + 1, separators, dots };
                (gap, gap_dots) = (0, 0);
            } else if is_separator(char) && gap < 2 {
                gap += 1;
                gap_dots += usize::from(char == '.');
            } else {
                break;
            }
            if found.digits > *DIGITS.end() {
                return None;
            }
        }
        Some(found)
    }

    /// Whether digits without a plus could be a phone number.
    fn could_be_plain(self, text: &str) -> bool {
        let is_time = self.separators == 0 && self.digits == TIME_DIGITS && text.starts_with('1');
        let is_decimal = self.separators == 1 && self.dots == 1;
        let least = if self.separators > 0 { *DIGITS.start() } else { LEAST_PLAIN_DIGITS };
        (least..=*DIGITS.end()).contains(&self.digits) && !is_time && !is_decimal && !is_date(text)
    }
}

/// Whether `rest` goes on with the word that digits before it belong to.
fn goes_on(rest: &str) -> bool {
    let mut chars = rest.chars();
    match chars.next() {
        Some('-') => chars.next().is_some_and(is_of_word),
        next => next.is_some_and(is_of_word),
    }
}

/// Whether `text` begins with a date such as `2026-09-22`.
fn is_date(text: &str) -> bool {
    let mut chars = text.chars();
    "dddd-dd-dd".chars().all(|wanted| {
        chars.next().is_some_and(|char| if wanted == 'd' { char.is_ascii_digit() } else { char == wanted })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_number_stays_and_never_more_than_a_third() {
        for (number, shown) in [("+14155550132", "+********132"), ("+1 415 555-0132", "+* *** ***-*132"), ("12", "**")]
        {
            assert_eq!(masked(number), shown);
        }
    }

    #[test]
    fn numbers_are_found_however_they_are_written() {
        for (text, shown) in [
            (r#"{"toNumber":"+14155550132"}"#, r#"{"toNumber":"+********132"}"#),
            (r#"{"to":"\u002B14155550132"}"#, r#"{"to":"\u002B********132"}"#),
            ("call +1 (415) 555-0132, please", "call +* (***) ***-*132, please"),
            ("(415) 555-0132", "(***) ***-*132"),
            (r#""my number\n415-555-0132""#, r#""my number\n***-***-*132""#),
            ("tel:00491511234567.", "tel:**********4567."),
            ("4155550132", "*******132"),
            ("415.555.0132", "***.***.*132"),
            ("555-0132", "***-**32"),
            ("मेरा नंबर ९८७६५४३२१०", "मेरा नंबर *******२१०"),
            ("+14155550132 +14155550133", "+********132 +********133"),
        ] {
            assert_eq!(masked_within(text), shown);
        }
    }

    #[test]
    fn what_is_no_phone_number_stays_as_it_is() {
        for text in [
            "CALL-1790012345678-a1b2c3",
            "68c1f0aa41d2b7e5903c11a4",
            "01234567-89ab-7c3a-9f00-1a2b3c4d5e6f",
            "12345678-a9ab-7c3a-9f00-112233445566",
            "2026-09-22T09:14:06.413Z",
            "2026-09-22 09:14:06",
            "31.730118",
            "-122.41941234",
            "1790012345678",
            "APT-20917, 184.50, 1234567",
            "12345678901234567890",
            "snake_4155550132",
            "",
            "+",
            "((((((((((",
        ] {
            assert_eq!(masked_within(text), text);
        }
    }

    #[test]
    fn a_long_text_takes_no_longer_than_its_length() {
        for piece in ["1", "(", "+", "1-", "\\u002b", "é"] {
            let text = piece.repeat(200_000);
            assert_eq!(masked_within(&text).len(), text.len());
        }
    }
}
