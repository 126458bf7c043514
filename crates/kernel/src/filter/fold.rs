//! Case and accents: when two texts are taken for the same one.
//!
//! The database has its own spelling of both: `lower()` in the key columns of names and addresses, and the function
//! `app.fold`, which `~` compares with. Must stay true: for every letter that the database's Unicode knows, both sides
//! agree, character by character; a letter younger than that is left as it is by the side that does not know it.

use std::iter;

use unicode_normalization::UnicodeNormalization;

/// The combining diacritical marks, as PostgreSQL's `[\u0300-\u036f]`.
const MARKS: std::ops::RangeInclusive<char> = '\u{300}'..='\u{36f}';

/// The text in lower case, each character for itself, as `lower()` does: a sigma at the end of a word is like any other.
#[must_use]
pub fn lower(text: &str) -> String {
    text.chars().map(lower_character).collect()
}

/// The text without case and accents: decomposed, without combining marks, in lower case, and letters that are a basic one
/// with a stroke or two basic ones joined become those.
#[must_use]
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfd().filter(|character| !MARKS.contains(character)).map(lower_character).flat_map(basic_letters).collect()
}

fn lower_character(character: char) -> char {
    // The only letter whose lower case is two characters is I with a dot; `lower()` makes it a plain i.
    character.to_lowercase().next().unwrap_or(character)
}

fn basic_letters(character: char) -> impl Iterator<Item = char> {
    let (first, second) = match character {
        'ł' => ('l', None),
        'ø' => ('o', None),
        'đ' => ('d', None),
        'ħ' => ('h', None),
        'ŧ' => ('t', None),
        'ı' => ('i', None),
        'ß' => ('s', Some('s')),
        'æ' => ('a', Some('e')),
        'œ' => ('o', Some('e')),
        other => (other, None),
    };
    iter::once(first).chain(second)
}

#[cfg(test)]
mod tests {
    use super::{fold, lower};

    #[test]
    fn names_are_found_however_they_are_typed() {
        for (written, typed) in [
            ("Łódź", "lodz"),
            ("Straße", "STRASSE"),
            ("Crédit Agricole", "credit agricole"),
            ("Ærø", "aero"),
            ("ΟΔΟΣ", "οδοσ"),
            ("İstanbul", "istanbul"),
            ("Cafe\u{301}", "café"),
            ("Ангстрём", "ангстрем"),
        ] {
            assert_eq!(fold(written), fold(typed), "{written} and {typed}");
        }
        assert_ne!(fold("東京"), fold("京都"));
        assert_eq!(lower("İÅΣ"), "iåσ");
    }
}
