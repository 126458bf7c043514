//! Names in addresses, made from names for people.

/// Longest slug made from a name: room for a suffix below the 100 characters a slug may have.
const LONGEST: usize = 80;

/// Lower case ASCII words joined by hyphens; `otherwise` when nothing of the name can be written so.
#[must_use]
pub fn slugify(name: &str, otherwise: &str) -> String {
    let plain = ::slug::slugify(name);
    let cut: String = plain.chars().take(LONGEST).collect();
    let trimmed = cut.trim_matches('-');
    if trimmed.is_empty() { otherwise.to_owned() } else { trimmed.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::slugify;

    #[test]
    fn every_name_gives_a_slug() {
        assert_eq!(slugify("Acme Corporation, Inc.", "company"), "acme-corporation-inc");
        assert_eq!(slugify("Größe & Söhne", "company"), "grosse-sohne");
        assert_eq!(slugify("\u{200b}", "company"), "company");
        assert!(slugify(&"x".repeat(300), "company").len() <= 80);
    }
}
