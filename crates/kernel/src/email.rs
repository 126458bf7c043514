//! E-mail addresses: what the CRM takes for one.
//!
//! The local part is a dot-atom or a quoted string of RFC 5321, with letters of every script as RFC 6531 allows; the domain is one of
//! names, in letters of every script too. What isemail says of its 164 addresses, and where this differs on purpose, is in
//! docs/VALUES.md and in this crate's tests.
//! Must stay true: whatever is taken here can stand in one line of a letter's head and in one line of a log.

/// Bytes of an address, by the path of RFC 5321 without its angle brackets.
const LONGEST: usize = 254;
/// Bytes of the part before the `@`.
const LONGEST_LOCAL: usize = 64;

/// Whether this has the form of an e-mail address. That somebody reads what is sent there, only a letter can find out.
#[must_use]
pub fn is_address(text: &str) -> bool {
    // A quoted local part may contain an `@`, a domain none.
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    text.len() <= LONGEST && local.len() <= LONGEST_LOCAL && (is_dot_atom(local) || is_quoted(local)) && is_domain(domain)
}

fn is_dot_atom(local: &str) -> bool {
    local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_of_an_atom))
}

fn is_of_an_atom(letter: char) -> bool {
    if letter.is_ascii() {
        return letter.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(letter);
    }
    !crate::text::is_invisible(letter) && !letter.is_whitespace()
}

/// Printable ASCII in quotes; a quote and a backslash with a backslash before them.
fn is_quoted(local: &str) -> bool {
    let Some(inside) = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return false };
    let mut letters = inside.chars();
    while let Some(letter) = letters.next() {
        let taken = match letter {
            '\\' => letters.next(),
            '"' => None,
            plain => Some(plain),
        };
        if !taken.is_some_and(|letter| letter == ' ' || letter.is_ascii_graphic()) {
            return false;
        }
    }
    local.len() > 1
}

/// Labels of letters, digits and hyphens, or what IDNA makes into such; the last one not a number, which would be a part of an
/// IP address. IDNA leaves invisible characters away, and then two spellings look the same.
fn is_domain(domain: &str) -> bool {
    if domain.chars().any(crate::text::is_invisible) {
        return false;
    }
    idna::domain_to_ascii_strict(domain)
        .is_ok_and(|plain| plain.rsplit('.').next().is_some_and(|last| !last.bytes().all(|byte| byte.is_ascii_digit())))
}
