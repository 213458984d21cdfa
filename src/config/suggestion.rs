//! "Did you mean …?"

/// How many letters of three may be wrong in a word that is still recognised.
const LETTERS_PER_SLIP: usize = 3;

/// How many letters two words have to share at their beginnings for one to be taken for a longer form of the other.
const LETTERS_OF_A_STEM: usize = 4;

/// The candidate that `word` most probably was meant to be; `None` when it looks like none of them.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word = folded(word);
    let slips_allowed = (word.chars().count() / LETTERS_PER_SLIP).max(1);
    candidates
        .into_iter()
        .map(|candidate| (slips(&word, &folded(candidate)), candidate))
        .filter(|(slips, _)| *slips <= slips_allowed)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

/// How far two words are apart. People also say more than they have to, or less: `timeout_seconds`, `give_up`.
fn slips(word: &str, candidate: &str) -> usize {
    let (short, long) = if word.len() < candidate.len() { (word, candidate) } else { (candidate, word) };
    let is_longer_form = short.len() >= LETTERS_OF_A_STEM && long.starts_with(short) && long != short;
    if is_longer_form { 1 } else { strsim::damerau_levenshtein(word, candidate) }
}

/// The words in code quotes, with commas.
pub(super) fn list<'c>(words: impl IntoIterator<Item = &'c (impl AsRef<str> + 'c + ?Sized)>) -> String {
    words.into_iter().map(|word| format!("`{}`", word.as_ref())).collect::<Vec<_>>().join(", ")
}

/// People mix up cases, and where a `-` or a `_` belongs.
fn folded(word: &str) -> String {
    word.to_lowercase().replace(['-', '_'], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 3] = ["listen", "max_body", "timeout"];

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        for (word, meant) in [("listne", "listen"), ("Max-Body", "max_body"), ("time_out", "timeout")] {
            assert_eq!(nearest(word, KEYS), Some(meant));
        }
    }

    #[test]
    fn a_longer_or_shorter_form_is_understood() {
        for (word, meant) in [("timeout_seconds", "timeout"), ("max_body_size", "max_body"), ("time", "timeout")] {
            assert_eq!(nearest(word, KEYS), Some(meant));
        }
        assert_eq!(nearest("max", KEYS), None, "too little to go by");
    }

    #[test]
    fn what_resembles_nothing_is_not_guessed() {
        assert_eq!(nearest("webhooks", KEYS), None);
        assert_eq!(nearest("", KEYS), None);
    }
}
