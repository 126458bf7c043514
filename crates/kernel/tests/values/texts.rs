//! Web addresses, tags, objects, names, numbers and times: what is taken and what is refused.

use crm_kernel::{Date, Error, Money, Object, Tags, Timestamp, validation};
use serde_json::{Value, json};

/// The word of a refusal; none when the value is taken.
fn code(verdict: garde::Result) -> Option<String> {
    verdict.err().map(|error| error.message().split(':').next().unwrap_or_default().to_owned())
}

fn object(value: Value) -> Object {
    let Value::Object(map) = value else { panic!("an object") };
    Object(map)
}

#[test]
fn web_addresses_lead_to_a_host_and_carry_no_password() {
    for good in [
        "https://example.com",
        "HTTP://Example.com:8080/a?b=c#d",
        "https://münchen.example/straße",
        "https://例子.测试/路",
        "http://192.0.2.1/",
        "http://[2001:db8::1]/",
        "https://example.com/a@b?c=d@e",
        "http://localhost",
        "https://xn--mnchen-3ya.example",
    ] {
        assert_eq!(code(validation::web_address(good, &())), None, "{good}");
    }
    for bad in [
        "",
        "example.com",
        "www.example.com",
        "ftp://example.com",
        "javascript:alert(1)",
        "data:text/html,x",
        "https:example.com",
        "https:/example.com",
        "https:///example.com",
        "https://",
        "https://?",
        "https://user@example.com",
        "https://user:password@example.com",
        "https://@example.com",
        "https://:@example.com",
        "https://example.com\\@evil.example",
        "https://exa mple.com",
        " https://example.com",
        "https://example.com\n",
        "https://exam\tple.com",
        "https://example.com/\u{202e}moc",
        "https://exam\u{200b}ple.com",
        "https://example.com:99999",
        "https://[::1",
        "https://exa<mple.com",
        "https://a..b%00",
        "https://xn--.example",
        "https://256.256.256.256",
    ] {
        assert_eq!(code(validation::web_address(bad, &())).as_deref(), Some("url"), "{bad:?}");
    }
    assert_eq!(code(validation::web_address("https://example.com/\0", &())).as_deref(), Some("character"));
}

#[test]
fn tags_are_few_short_and_different() {
    let verdict = |tags: &[&str]| code(validation::tags(&Tags(tags.iter().map(ToString::to_string).collect()), &()));
    assert_eq!(verdict(&["vip", "👩‍👩‍👧‍👦", "مهم", &"é".repeat(100)]), None);
    for (tags, wanted) in [
        (&["a", "b", "a"][..], "duplicate"),
        (&["VIP", "vip"], "duplicate"),
        (&["Café", "cafe"], "duplicate"),
        (&["e\u{301}", "é"], "duplicate"),
        (&["vip", " vip "], "duplicate"),
        (&["a\tb"], "character"),
        (&["a\0"], "character"),
        (&["a\u{1b}[31m"], "character"),
        (&[""], "tag"),
        (&["  "], "tag"),
        (&["\u{200b}"], "tag"),
        (&[&"x".repeat(101)], "tag"),
    ] {
        assert_eq!(verdict(tags).as_deref(), Some(wanted), "{tags:?}");
    }
    let numbered = |count: usize| Tags((0..count).map(|number| number.to_string()).collect());
    assert_eq!(code(validation::tags(&numbered(50), &())), None);
    assert_eq!(code(validation::tags(&numbered(51), &())).as_deref(), Some("too_many"));
}

#[test]
fn objects_of_the_callers_choice_are_bounded() {
    let verdict = |value: Value| code(validation::object(&object(value), &()));
    let keys = |count: usize| Value::Object((0..count).map(|number| (format!("key {number}"), json!(1))).collect());
    let nested = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }));
    assert_eq!(verdict(keys(200)), None);
    assert_eq!(verdict(keys(201)).as_deref(), Some("too_many"));
    assert_eq!(verdict(nested(16)), None);
    assert_eq!(verdict(nested(17)).as_deref(), Some("depth"));
    assert_eq!(verdict(json!({ "a": "x".repeat(65_000) })), None);
    assert_eq!(verdict(json!({ "a": "x".repeat(65_536) })).as_deref(), Some("length"));
    assert_eq!(verdict(json!({ "größe": 1, "a.b": [null, true, -0.5], "🦀": {} })), None);
    for bad in ["", " ", "a\nb", "\u{1b}", &"k".repeat(101)] {
        assert_eq!(verdict(json!({ bad: 1 })).as_deref(), Some("key"), "{bad:?}");
        assert_eq!(verdict(json!({ "a": [{ bad: 1 }] })).as_deref(), Some("key"), "{bad:?}, further in");
    }
    assert_eq!(verdict(json!({ "a\0": 1 })).as_deref(), Some("character"));
    assert_eq!(verdict(json!({ "a": ["\0"] })).as_deref(), Some("character"));
    assert_eq!(verdict(json!({ "a": "\\u0000" })), None, "a backslash and six letters are no U+0000");
}

#[derive(garde::Validate)]
struct Described {
    #[garde(custom(validation::object))]
    about: Object,
    #[garde(custom(validation::readable))]
    name: String,
}

#[test]
fn a_complaint_about_an_object_names_the_key_or_the_text_within_it() {
    let named = |about: Value| match validation::check(&Described { about: object(about), name: "good".into() }) {
        Err(Error::Invalid(faults)) => faults.into_iter().map(|fault| format!("{} {}", fault.pointer, fault.code)).collect(),
        other => panic!("{other:?}"),
    };
    let cases: [(Value, &str); 6] = [
        (json!({ "good": 1, "a\0b": 1 }), "/about/a\0b character"),
        (json!({ "a": [{}, { "b/c~d": "\0" }] }), "/about/a/1/b~1c~0d character"),
        (json!({ "a": [0, ["x", "\0"]] }), "/about/a/1/1 character"),
        (json!({ "a": { "x\ny": 1 } }), "/about/a/x\ny key"),
        (json!({ "key: of": { "": 1 } }), "/about/key: of/ key"),
        (json!({ "\u{1f}": 1 }), "/about/\u{1f} key"),
    ];
    for (about, wanted) in cases {
        let found: Vec<String> = named(about.clone());
        assert_eq!(found, [wanted], "{about}");
    }
    let blank = Described { about: Object::default(), name: "\0".into() };
    let Err(Error::Invalid(faults)) = validation::check(&blank) else { panic!("U+0000 is no name") };
    assert_eq!((faults[0].pointer.as_str(), faults[0].code.as_str()), ("/name", "character"), "and not: blank");
}

#[test]
fn addresses_name_their_country_by_its_code() {
    let verdict = |value: Value| code(validation::address(&object(value), &()));
    assert_eq!(
        verdict(
            json!({ "street": "1 Main St\n2nd floor", "city": "København", "region": null, "postal_code": "1050", "country": "DK" })
        ),
        None
    );
    for good in ["SW1A 1AA", "01310-100", "D02 AF30", "100-0001", "K1A 0B1", "AD500", ""] {
        assert_eq!(verdict(json!({ "postal_code": good })), None, "{good}");
    }
    for (bad, wanted) in [
        (json!({ "country": "Denmark" }), "country"),
        (json!({ "country": "dk" }), "country"),
        (json!({ "country": "XX" }), "country"),
        (json!({ "postal_code": "DROP TABLE;" }), "postal_code"),
        (json!({ "postal_code": "1".repeat(21) }), "postal_code"),
        (json!({ "postal_code": "--" }), "postal_code"),
        (json!({ "postal_code": 1050 }), "address"),
        (json!({ "street": "x".repeat(256) }), "address"),
        (json!({ "planet": "Mars" }), "unknown"),
        (json!({ "city": "\0" }), "character"),
    ] {
        assert_eq!(verdict(bad.clone()).as_deref(), Some(wanted), "{bad}");
    }
}

#[test]
fn names_take_every_script_and_must_show_something() {
    for good in [
        "🦄",
        "👩‍👩‍👧‍👦",
        "محمد",
        "\u{202b}שלום\u{202c}",
        "e\u{301}",
        &format!("e{}", "\u{301}".repeat(200)),
        "O'Neil\"; DROP TABLE",
        "می‌خواهم",
    ] {
        assert_eq!(code(validation::readable(good, &())), None, "{good}");
    }
    for blank in ["", " ", "\t\n", "\u{200b}", "\u{feff}\u{2060}", "\u{3000}", "\u{3164}", "\u{202e}", "\u{ad}"] {
        assert_eq!(code(validation::readable(blank, &())).as_deref(), Some("required"), "{blank:?}");
    }
    assert_eq!(code(validation::readable("a\0b", &())).as_deref(), Some("character"));
    for surrogate in [r#""\ud800""#, r#""\udc00\ud800""#, r#""a\udfffb""#] {
        assert!(serde_json::from_str::<String>(surrogate).is_err(), "{surrogate}");
    }
}

#[test]
fn numbers_beyond_every_range_are_refused_and_zero_has_no_sign() {
    let money = |text: &str| serde_json::from_str::<Money>(text).map(|money| money.to_string()).ok();
    for bad in [
        "1e400",
        "-1e400",
        "\"1e400\"",
        "\"1e2\"",
        "1e16",
        "\"Infinity\"",
        "\"NaN\"",
        "\"0x10\"",
        "\"١٢\"",
        "1234567890123456",
        "\"1234567890123456\"",
        "0.0001",
        "\"0.0001\"",
    ] {
        assert_eq!(money(bad), None, "{bad}");
    }
    for zero in ["-0", "-0.0", "0", "\"-0\"", "\"-0.00\"", "\"000\"", "0e0"] {
        assert_eq!(money(zero).as_deref(), Some("0.00"), "{zero}");
    }
    assert_eq!(money("1e2").as_deref(), Some("100.00"), "a JSON number may have an exponent");
    let amount: Money = "1054.125".parse().unwrap();
    for (code, digits) in [("JPY", 0), ("USD", 2), ("BHD", 3)] {
        assert_eq!(amount.decimal_digits() <= i64::from(crm_kernel::currency::digits(code).unwrap()), digits == 3, "{code}");
    }
}

#[test]
fn dates_and_times_are_those_of_the_calendar() {
    for bad in [
        "0000-02-30",
        "2023-02-29",
        "2023-00-10",
        "2023-13-01",
        "2023-01-32",
        "1900-02-29",
        "+12023-01-01",
        "-0001-01-01",
        "10000-01-01",
        "2023-1-1",
        "2023-01-01T00:00:00Z",
        "",
    ] {
        assert!(bad.parse::<Date>().is_err(), "{bad}");
    }
    assert_eq!("2024-02-29".parse::<Date>().unwrap().to_string(), "2024-02-29");
    for bad in [
        "2024-02-30T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:60:00Z",
        "2024-01-01",
        "2024-01-01T00:00:00",
        "2024-01-01T00:00:00+25:00",
        "2024-01-01T12:00:60Z",
        "2024-01-01T12:00:61Z",
        "now",
    ] {
        assert!(bad.parse::<Timestamp>().is_err(), "{bad}: {:?}", bad.parse::<Timestamp>());
    }
    let time = |text: &str| text.parse::<Timestamp>().unwrap().to_string();
    assert_eq!(time("2024-06-30T23:30:00+05:30"), "2024-06-30T18:00:00Z");
    assert_eq!(time("2024-01-01T00:00:00-00:00"), "2024-01-01T00:00:00Z");
    assert_eq!(time("2016-12-31T23:59:60Z"), "2016-12-31T23:59:59.999999Z", "a leap second is the last moment of its day");
}
