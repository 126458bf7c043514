//! What a new password may be: the one rule of sign-up, reset, change and invitation.
//!
//! After NIST SP 800-63B: length counts, what everybody uses and what names the person is refused, and nobody is made to put a
//! digit or a sign in. Does not live here: hashing (`passwords`).
//! Must stay true: an old password is never judged by these rules, so making them stricter locks nobody out.

use std::{collections::HashSet, sync::LazyLock};

use crm_kernel::FieldError;

/// Characters at least.
const SHORTEST: usize = 10;
/// Bytes at most: more than anyone types, and little enough to hash.
const LONGEST: usize = 1024;
/// Letters that what is left of a password without its digits and signs needs to be judged by itself.
const SHORTEST_WORD: usize = 4;

/// In small letters, sorted; see data/SOURCE.txt.
static COMMON: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("../../data/common_passwords.txt").lines().collect());

/// What is wrong with a new password, if anything. `about` is what others know of the person: address and name.
#[must_use]
pub fn judge_password(pointer: &str, password: &str, about: &[&str]) -> Option<FieldError> {
    let fault = |code: &str, message: &str| Some(FieldError::new(pointer, code, message));
    if password.chars().count() < SHORTEST {
        return fault("length", "at least 10 characters; a few words in a row are easy to remember");
    }
    if password.len() > LONGEST {
        return fault("length", "at most 1024 bytes");
    }
    let plain = password.to_lowercase();
    if about.iter().any(|known| names(&plain, known)) {
        return fault("personal", "must not be your name or address");
    }
    if is_common(&plain) {
        return fault("common", "is among the first that anyone would try");
    }
    None
}

/// Whether the password is nothing but what is known: the address, the part before its @, or the name.
fn names(password: &str, known: &str) -> bool {
    let known = known.trim().to_lowercase();
    let local = known.split('@').next().unwrap_or_default();
    let word = |text: &str| text.chars().filter(|letter| letter.is_alphanumeric()).collect::<String>();
    let stem = word(without_ends(password));
    let is_it = |text: &str| {
        let text = word(text);
        text.chars().count() >= SHORTEST_WORD && (text == word(password) || text == stem)
    };
    is_it(&known) || is_it(local)
}

fn is_common(password: &str) -> bool {
    let stem = without_ends(password);
    let common = |text: &str| text.chars().count() >= SHORTEST_WORD && COMMON.contains(text);
    common(password) || common(stem) || is_repeated(password) || is_sequence(password)
}

/// Without the digits and signs in front of it and after it, which people add to a word when they are asked to.
fn without_ends(text: &str) -> &str {
    text.trim_matches(|letter: char| !letter.is_alphabetic())
}

/// A few characters over and over: `abcabcabcabc`.
fn is_repeated(text: &str) -> bool {
    let letters: Vec<char> = text.chars().collect();
    (1..=letters.len() / 2).any(|length| {
        let unit = letters.get(..length).unwrap_or_default();
        (length <= 4 || letters.len().is_multiple_of(length)) && letters.chunks(length).all(|chunk| unit.starts_with(chunk))
    })
}

/// Each character follows the one before it, upwards or downwards: `abcdefghijkl`.
fn is_sequence(text: &str) -> bool {
    let codes: Vec<u32> = text.chars().map(u32::from).collect();
    let steps = |step: u32| codes.iter().zip(codes.iter().skip(1)).all(|(one, next)| next.wrapping_sub(*one) == step);
    steps(1) || steps(u32::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    const ABOUT: &[&str] = &["alexandra.meyer@example.com", "Alexandra Meyer 🚀"];

    fn code(password: &str) -> Option<String> {
        judge_password("/password", password, ABOUT).map(|fault| {
            assert_eq!(fault.pointer, "/password");
            fault.code
        })
    }

    #[test]
    fn length_is_what_counts() {
        for good in [
            "correct horse battery staple",
            "demo-password-please-change",
            "ünïcødé ßtraße",
            "🐎🔋📎✅🐎🔌📐🎈🎉🪁",
            "kT9w#mZ2qP",
        ] {
            assert_eq!(code(good), None, "{good}");
        }
        assert_eq!(code(&"word and other ".repeat(68)[..1019]).as_deref(), None);
        for (bad, reason) in [("", "length"), ("short", "length"), ("nine char", "length"), ("🐎🔋📎✅🐎🔌📐🎈🎉", "length")]
        {
            assert_eq!(code(bad).as_deref(), Some(reason), "{bad}");
        }
        assert_eq!(code(&"a long one, ".repeat(100)).as_deref(), Some("length"));
    }

    #[test]
    fn what_everybody_uses_is_refused() {
        for bad in [
            "qwertyuiop",
            "QWERTYuiop",
            "password123",
            "Password2026!",
            "!!!!welcome!!!!",
            "1234567890",
            "aaaaaaaaaaaa",
            "abcabcabcabcab",
            "passwordpassword",
            "abcdefghijkl",
            "9876543210",
            "manchester",
        ] {
            assert_eq!(code(bad).as_deref(), Some("common"), "{bad}");
        }
    }

    #[test]
    fn what_names_the_person_is_refused() {
        for bad in
            ["alexandra.meyer@example.com", "Alexandra.Meyer", "alexandra meyer", "AlexandraMeyer1990", "Alexandra Meyer 🚀"]
        {
            assert_eq!(code(bad).as_deref(), Some("personal"), "{bad}");
        }
        assert_eq!(code("alexandra meyer likes long walks"), None);
        assert_eq!(
            judge_password("/password", "kT9w#mZ2qP", &["", "@", "a@b"]),
            None,
            "little is known: nothing is refused for it"
        );
    }
}
