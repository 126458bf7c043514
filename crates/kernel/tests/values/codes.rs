//! The lists of countries and currencies are those of the sources, whole.

use std::collections::{BTreeMap, BTreeSet};

use crm_kernel::{country, currency};

#[test]
fn countries_are_those_of_iso_3166() {
    let codes: BTreeSet<&str> = include_str!("../data/iso/countries.txt").lines().collect();
    assert_eq!(codes.len(), 249);
    let letters = || (b'A'..=b'Z').map(char::from);
    for code in letters().flat_map(|first| letters().map(move |second| format!("{first}{second}"))) {
        assert_eq!(country::is_known(&code), codes.contains(code.as_str()), "{code}");
    }
    for bad in ["", "us", "USA", "U", " US", "ÜS", "XX", "EU", "UK"] {
        assert!(!country::is_known(bad), "{bad:?}");
    }
}

#[test]
fn currencies_are_those_of_iso_4217_that_people_pay_with() {
    let mut reader = csv::Reader::from_reader(include_str!("../data/iso/currencies.csv").as_bytes());
    let rows: Vec<[String; 3]> = reader.deserialize().map(Result::unwrap).collect();
    // Metals, funds and test codes have no digits; CLF and UYW have four, one more than amounts are kept with.
    let in_use: BTreeMap<&str, u8> = rows
        .iter()
        .filter(|[_, _, withdrawn]| withdrawn.is_empty())
        .filter_map(|[code, digits, _]| Some((code.as_str(), digits.parse().ok().filter(|digits| *digits <= 3)?)))
        .collect();
    assert_eq!(in_use.len(), 163);
    let letters = || (b'A'..=b'Z').map(char::from);
    for first in letters() {
        for (second, third) in letters().flat_map(|second| letters().map(move |third| (second, third))) {
            let code = format!("{first}{second}{third}");
            assert_eq!(currency::digits(&code), in_use.get(code.as_str()).copied(), "{code}");
        }
    }
    for bad in ["", "usd", "US", "USDD", "XXX", "XAU", "CLF", "DEM", "BTC"] {
        assert_eq!(currency::digits(bad), None, "{bad:?}");
    }
}
