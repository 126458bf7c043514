//! Numbers of every country are read, and kept in one form.

use crm_kernel::phone::{names_its_country, normalised};

#[test]
fn every_example_of_every_territory_is_a_number() {
    let mut reader = csv::Reader::from_reader(include_str!("../data/libphonenumber/examples.csv").as_bytes());
    let (mut read, mut faults) = (0, Vec::new());
    for [region, calling_code, kind, number] in reader.deserialize::<[String; 4]>().map(Result::unwrap) {
        read += 1;
        let wanted = format!("+{calling_code}{number}");
        let mut expect = |found: Result<String, &'static str>, how: &str| {
            if found.as_deref() != Ok(&wanted) {
                faults.push(format!("{region} {kind} {number} {how}: {found:?}"));
            }
        };
        expect(normalised(&wanted, None), "with its country");
        // 001 is no country: numbers of the whole world.
        if region != "001" {
            expect(normalised(&number, Some(&region)), "as it is written there");
        }
    }
    assert_eq!(read, 1144);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn numbers_are_read_as_people_write_them_and_kept_in_one_form() {
    for (written, country, kept) in [
        ("044 668 18 00", Some("CH"), "+41446681800"),
        ("+41 (0)44 668 18 00", None, "+41446681800"),
        ("tel:+41-44-668-18-00;ext=12", None, "+41446681800;ext=12"),
        ("+1 415-555-2671 ext. 089", None, "+14155552671;ext=089"),
        ("415.555.2671 x 89", Some("US"), "+14155552671;ext=89"),
        ("1-800-FLOWERS", Some("US"), "+18003569377"),
        ("0044 20 7946 0000", Some("DE"), "+442079460000"),
        ("011 39 06 698 12345", Some("US"), "+390669812345"),
        ("8 (800) 123-45-67", Some("RU"), "+78001234567"),
        ("+7 800 123 45 67", Some("CH"), "+78001234567"),
        ("＋４１ ４４ ６６８ １８ ００", None, "+41446681800"),
        ("+1 415 555 0100", None, "+14155550100"),
    ] {
        assert_eq!(normalised(written, country).as_deref(), Ok(kept), "{written}");
        assert_eq!(normalised(kept, None).as_deref(), Ok(kept), "what is kept is read as itself");
        assert_eq!(normalised(kept, Some("BR")).as_deref(), Ok(kept), "wherever it is read");
    }
}

#[test]
fn what_nobody_could_dial_is_refused() {
    for bad in [
        "",
        " ",
        "+",
        "+41",
        "112",
        "12345",
        "phone",
        "none",
        "+4144668180",
        "+414466818001",
        "+41446681800abc",
        "+999 123 456 789",
        "+41446681800;ext=123456789012345678901",
        "+41446681800\n",
        "+414466\u{0}81800",
        "+dwPAA;phone-context=AA",
        "0xd2dc00a30027c9d5",
        "  2 22#:",
        "+49 30 1234567890123456",
        "+41 44 668 18 00, +41 44 668 18 01 and more",
        "' OR 1=1 --",
    ] {
        assert!(normalised(bad, Some("CH")).is_err(), "{bad:?}: {:?}", normalised(bad, Some("CH")));
    }
    assert!(normalised("044 668 18 00", None).is_err(), "no country says what it means");
    assert!(normalised("044 668 18 00", Some("XX")).is_err());
    assert!(normalised(&"+4".repeat(100_000), None).is_err());
    assert!(names_its_country("+41 44 668 18 00") && !names_its_country("044 668 18 00"));
}
