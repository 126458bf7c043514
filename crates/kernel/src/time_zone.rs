//! The time zones of the IANA database, from memory: whoever names one asks no server.
//!
//! Must stay true: every zone that is known here is known to PostgreSQL, which checks names again when they are stored.

use jiff::tz;

/// The names, in no order that means anything.
#[must_use]
pub fn names() -> Vec<String> {
    tz::db().available().map(|name| name.to_string()).filter(|name| is_known(name)).collect()
}

/// Whether this is the name of a zone, in the one spelling that PostgreSQL knows it by.
#[must_use]
pub fn is_known(name: &str) -> bool {
    // Found in every mixture of cases; `Etc/Unknown` stands for none.
    name != "Etc/Unknown" && tz::TimeZone::get(name).is_ok_and(|zone| zone.iana_name() == Some(name))
}

#[cfg(test)]
mod tests {
    use super::{is_known, names};

    #[test]
    fn zones_are_known_in_their_one_spelling() {
        assert!(
            ["UTC", "Europe/Vienna", "America/Argentina/Buenos_Aires", "Asia/Kolkata", "Etc/GMT+5"].into_iter().all(is_known)
        );
        let others = [
            "",
            "europe/vienna",
            "utc",
            "Mars/Base",
            "Europe/Vienna ",
            "Europe/Atlantis\0",
            "+01:00",
            "Etc/Unknown",
            "CET-1CEST",
        ];
        assert!(!others.into_iter().any(is_known));
        assert!(names().len() > 400);
    }
}
