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

/// A place right above this one, as `app.position_above` finds it: who comes later, by the clock, still stands above it.
pub(crate) fn above(place: &str) -> String {
    const DIGITS: usize = 15;
    let digits = place.trim_start_matches('0');
    let zeros = place.len() - digits.len();
    let number = digits.chars().chain(std::iter::repeat('0')).take(DIGITS);
    let number = number.fold(0_u64, |number, digit| number * 16 + u64::from(digit.to_digit(16).unwrap_or(0)));
    format!("{}{:015x}8", "0".repeat(zeros), number.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::{above, between};

    #[test]
    fn right_above_a_place_is_another_however_often() {
        for place in ["8", "1", "0001", "7ff9c1d2e3a4b5c68", "00000000000000000001", "1000000000000008", "f"] {
            let mut last = place.to_owned();
            for _ in 0..1_000 {
                let next = above(&last);
                assert!(next < last && !next.ends_with('0'), "{next} {last}");
                last = next;
            }
            assert!(last.len() <= place.len() + 32, "{last}");
        }
    }

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
