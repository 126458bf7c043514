//! Places between two others: fractions between 0 and 1, as hexadecimal digits behind a point that is not written.
//!
//! Must stay true: a fraction never ends in 0, so that equal fractions are equal texts and there is always room between two others; texts
//! are compared digit by digit, as the database does (`COLLATE "C"`).

/// A short fraction between these two; without an upper one, between the lower one and 1. An empty lower one is 0.
pub(crate) fn between(lower: &str, upper: Option<&str>) -> String {
    let digit = |text: &str, place: usize| text.as_bytes().get(place).and_then(|byte| char::from(*byte).to_digit(16));
    let mut found = String::new();
    let mut upper = upper;
    loop {
        let place = found.len();
        let from = digit(lower, place).unwrap_or(0);
        let until = upper.map_or(16, |upper| digit(upper, place).unwrap_or(0));
        let middle = if until > from + 1 { from + (until - from) / 2 } else { from };
        found.extend(char::from_digit(middle, 16));
        if middle > from {
            return found;
        }
        // From here on any digit is below the upper one.
        if until > from {
            upper = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::between;

    #[test]
    fn there_is_always_room_between_two() {
        for (lower, upper) in [
            ("", None),
            ("", Some("1")),
            ("", Some("0001")),
            ("f", None),
            ("ffff", None),
            ("7", Some("8")),
            ("7", Some("79")),
            ("7f", Some("8")),
            ("7", Some("7001")),
            ("7ff9c1d2e3a4b5c68", Some("7ff9c1d2e3a4b5c69")),
        ] {
            let found = between(lower, upper);
            assert!(*lower < *found && upper.is_none_or(|upper| *found < *upper), "{lower} {found} {upper:?}");
            assert!(!found.ends_with('0'), "{lower} {found} {upper:?}");
        }
    }

    #[test]
    fn a_thousand_places_right_below_the_same_one_stay_short() {
        let mut below = "8".to_owned();
        for _ in 0..1_000 {
            let next = between("7", Some(&below));
            assert!("7" < next.as_str() && next < below, "{next} {below}");
            below = next;
        }
        assert!(below.len() < 300, "{}", below.len());
        let mut above = "7".to_owned();
        for _ in 0..1_000 {
            let next = between(&above, Some("8"));
            assert!(above < next && next.as_str() < "8", "{above} {next}");
            above = next;
        }
        assert!(above.len() < 300, "{}", above.len());
    }
}
