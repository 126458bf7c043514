//! Every address of isemail's table gets the verdict of the table, but for the deviations that are listed here.

use std::collections::BTreeSet;

use crm_kernel::email::is_address;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    id: u32,
    address: String,
    category: String,
    diagnosis: String,
}

/// isemail's own line between yes and no: what a mail server takes as it is. `DNSWARN` is about what the name servers said in 2011.
const GOOD: &[&str] = &["ISEMAIL_VALID_CATEGORY", "ISEMAIL_DNSWARN", "ISEMAIL_RFC5321"];

/// Addresses that a mail server may take and a CRM does not, by diagnosis, with the reason. There are none the other way round.
const DEVIATIONS: &[(&str, &str)] = &[
    (
        "ISEMAIL_RFC5321_ADDRESSLITERAL",
        "a mailbox at the number of a machine: nobody's address in business, and a way to ask inner machines",
    ),
    ("ISEMAIL_RFC5321_TLDNUMERIC", "no top-level domain is a number, so it is an IP address in the wrong form, or a slip"),
];

fn cases() -> Vec<Case> {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../data/isemail/tests.json")).unwrap();
    assert_eq!(cases.len(), 164);
    cases
}

#[test]
fn every_address_of_isemail_has_its_verdict() {
    let mut used = BTreeSet::new();
    let mut faults = Vec::new();
    for case in cases() {
        let deviates = DEVIATIONS.iter().find(|(diagnosis, _)| *diagnosis == case.diagnosis);
        used.extend(deviates.map(|(diagnosis, _)| *diagnosis));
        let wanted = GOOD.contains(&case.category.as_str()) && deviates.is_none();
        if is_address(&case.address) != wanted {
            faults.push(format!("{} {:?} {}: wanted {wanted}", case.id, case.address, case.diagnosis));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(used.len(), DEVIATIONS.len(), "every deviation is needed");
}

#[test]
fn addresses_are_written_in_every_script() {
    for good in [
        "ada@example.com",
        "ADA.Lovelace+crm@Mail.Example.CO.UK",
        "o'neil@example.com",
        "jörg@müller.example",
        "用户@例子.公司",
        "अजय@डाटा.भारत",
        "ada@xn--mller-kva.example",
        "\"ada lovelace\"@example.com",
        "ada@example",
    ] {
        assert!(is_address(good), "{good}");
    }
}

#[test]
fn what_could_break_a_line_or_look_like_another_is_no_address() {
    for bad in [
        "ada@example.com\n",
        "ada@example.com\r\nBcc: all@example.com",
        "ada\0@example.com",
        " ada@example.com",
        "Ada <ada@example.com>",
        "ada@example.com,bob@example.com",
        "ada\u{200b}@example.com",
        "ada@exam\u{202e}ple.com",
        "a\u{202e}da@example.com",
        "ada@example.com\u{feff}",
        "ada@exa mple.com",
        "ada@example..com",
        "ada@example.com.",
        "ada@xn--.example",
        "ada@exa_mple.com",
        "ada@-example.com",
        "\"ada\"b@example.com",
        "\"ada\u{7f}\"@example.com",
        "\"@example.com",
        "ada@",
        "@",
        "",
    ] {
        assert!(!is_address(bad), "{bad:?}");
    }
    assert!(!is_address(&format!("{}@example.com", "a".repeat(65))));
    assert!(!is_address(&format!("ada@{}.com", "a".repeat(64))));
    assert!(!is_address(&format!("{}@example.com", "ä".repeat(33))), "bytes count, not letters");
    assert!(!is_address(&format!("ada@{}com", "label.".repeat(200_000))), "long ones are refused before they are read");
}
