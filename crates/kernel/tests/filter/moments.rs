//! Who asks and when: `me`, `now()`, `today()`, days and the caller's time zone.

use crm_kernel::{Moment, Timestamp, UserId};
use serde_json::json;

use super::parse;

fn resolved(text: &str, now: &str, zone: &str) -> String {
    let moment = Moment::new(caller(), now.parse::<Timestamp>().expect("a time"), zone).expect("a known zone");
    parse(text).resolved(&moment).expect("within the calendar").to_string()
}

fn caller() -> UserId {
    UserId("01890000-0000-7000-8000-000000000001".parse().expect("a UUID"))
}

#[test]
fn me_is_the_caller() {
    let (now, zone) = ("2026-03-29T12:00:00Z", "UTC");
    assert_eq!(resolved("owner_id IN (me, null)", now, zone), format!(r#"owner_id IN ("{}", null)"#, caller()));
}

#[test]
fn today_begins_at_the_callers_midnight() {
    let late = "2026-01-31T23:30:00Z";
    for (zone, today) in [
        ("UTC", "2026-01-31"),
        ("Europe/Berlin", "2026-02-01"),
        ("America/New_York", "2026-01-31"),
        ("Pacific/Kiritimati", "2026-02-01"),
    ] {
        assert_eq!(resolved("signed_on = today()", late, zone), format!(r#"signed_on = "{today}""#), "{zone}");
    }
    assert_eq!(resolved("signed_on < today() + 1w - 1d", late, "UTC"), r#"signed_on < "2026-02-06""#);
    assert_eq!(
        resolved("created_at >= today()", late, "Europe/Berlin"),
        r#"created_at >= "2026-01-31T23:00:00Z""#,
        "midnight in Berlin is 23:00 in UTC"
    );
}

#[test]
fn a_day_back_keeps_the_time_of_the_clock_and_24_hours_do_not() {
    // In Berlin the clock was put forward on 29 March at 2:00.
    let now = "2026-03-29T12:00:00Z";
    assert_eq!(resolved("created_at > now() - 1d", now, "Europe/Berlin"), r#"created_at > "2026-03-28T13:00:00Z""#);
    assert_eq!(resolved("created_at > now() - 24h", now, "Europe/Berlin"), r#"created_at > "2026-03-28T12:00:00Z""#);
    assert_eq!(resolved("created_at > now() - 1h - 15m + 45s", now, "UTC"), r#"created_at > "2026-03-29T10:45:45Z""#);
}

#[test]
fn an_instant_is_before_on_or_after_a_day() {
    let is = |text: &str| resolved(text, "2026-01-31T12:00:00Z", "Asia/Tokyo");
    let (begin, end) = ("2026-01-14T15:00:00Z", "2026-01-15T15:00:00Z");
    assert_eq!(is("created_at < 2026-01-15"), format!("created_at < \"{begin}\""));
    assert_eq!(is("created_at >= 2026-01-15"), format!("created_at >= \"{begin}\""));
    assert_eq!(is("created_at <= 2026-01-15"), format!("created_at < \"{end}\""));
    assert_eq!(is("created_at > 2026-01-15"), format!("created_at >= \"{end}\""));
    let on_the_day = format!("created_at >= \"{begin}\" AND created_at < \"{end}\"");
    assert_eq!(is("created_at = 2026-01-15"), on_the_day);
    assert_eq!(is("created_at != 2026-01-15"), format!("NOT ({on_the_day})"));
    assert_eq!(
        is("called_at IN (2026-01-15, null)"),
        format!("({}) OR called_at = null", on_the_day.replace("created", "called"))
    );
}

/// Where midnight does not exist on the day the clock is put forward, the day begins with its first instant.
#[test]
fn a_day_without_midnight_begins_when_it_begins() {
    let is = resolved("created_at >= 2018-11-04", "2026-01-31T12:00:00Z", "America/Sao_Paulo");
    assert_eq!(is, r#"created_at >= "2018-11-04T03:00:00Z""#);
}

#[test]
fn only_days_need_a_time_zone() {
    for text in ["created_at > now() - 24h", "owner_id = me", "signed_on > 2026-01-01", "created_at > \"2026-01-01T00:00:00Z\""] {
        assert!(!parse(text).depends_on_time_zone(), "{text}");
    }
    for text in ["NOT created_at > now() - 1d", "signed_on = today() OR pinned = true", "created_at > 2026-01-01"] {
        assert!(parse(text).depends_on_time_zone(), "{text}");
    }
}

#[test]
fn a_moment_outside_the_calendar_is_refused() {
    let moment = Moment::utc(caller(), "0050-01-01T00:00:00Z".parse().expect("a time"));
    for text in ["created_at > now() - 36500d", "signed_on > today() - 36500d"] {
        let error = parse(text).resolved(&moment).expect_err("there is no such day");
        assert_eq!((error.pointer.as_str(), error.code.as_str()), ("filter", "value"), "{text}");
    }
    let end = Moment::utc(caller(), "2026-01-01T00:00:00Z".parse().expect("a time"));
    assert!(parse("signed_on > year_start(1200) + 36525d").resolved(&end).is_ok());
    let late = Moment::utc(caller(), "9990-01-01T00:00:00Z".parse().expect("a time"));
    assert!(parse("signed_on > year_start(12)").resolved(&late).is_err());
}

/// The first and the last day of the calendar begin or end where no instant has a spelling: those that have one are on this side of it.
#[test]
fn the_first_and_the_last_day_are_whole_days_everywhere() {
    const INSTANTS: [&str; 8] = [
        "0001-01-01T00:00:00Z",
        "0001-01-01T09:59:59.999999Z",
        "0001-01-02T11:59:59Z",
        "2026-01-01T00:00:00Z",
        "9999-12-30T11:59:59Z",
        "9999-12-30T23:59:59Z",
        "9999-12-31T12:00:00Z",
        "9999-12-31T23:59:59.999999Z",
    ];
    for (zone, hours) in [
        ("UTC", 0),
        ("Etc/GMT+12", -12),
        ("America/New_York", -5),
        ("Asia/Tokyo", 9),
        ("Pacific/Kiritimati", 14),
        ("Etc/GMT-14", 14),
    ] {
        let moment = Moment::new(caller(), "2026-01-31T12:00:00Z".parse().expect("a time"), zone).expect("a known zone");
        for (day, first) in
            [("0001-01-01", -62_135_596_800_i64), ("9999-12-30", 253_402_128_000), ("9999-12-31", 253_402_214_400)]
        {
            for instant in INSTANTS {
                let second = instant.parse::<Timestamp>().expect("an instant").0.unix_timestamp() + hours * 3_600;
                // Local time was that of the sun in the year 1: within a day of the hours of today.
                let is_old = day.starts_with("0001") && instant.starts_with("0001");
                if is_old && !zone.starts_with("Etc") && zone != "UTC" {
                    continue;
                }
                for (operator, right) in [
                    ("<", second < first),
                    ("<=", second < first + 86_400),
                    (">", second >= first + 86_400),
                    (">=", second >= first),
                    ("=", (first..first + 86_400).contains(&second)),
                    ("!=", !(first..first + 86_400).contains(&second)),
                ] {
                    let text = format!("created_at {operator} {day}");
                    let resolved = parse(&text).resolved(&moment).unwrap_or_else(|error| panic!("{zone}: {text}: {error:?}"));
                    assert_eq!(resolved.holds(&json!({ "created_at": instant })), right, "{zone}: {instant}: {text}: {resolved}");
                }
            }
        }
    }
}

#[test]
fn an_unknown_time_zone_is_refused_by_name() {
    let error = Moment::new(caller(), Timestamp::now(), "Europe/Atlantis").expect_err("no such place");
    assert_eq!((error.code.as_str(), error.message.as_str()), ("time_zone", "the time zone Europe/Atlantis is not known here"));
}

#[test]
fn periods_begin_in_the_callers_calendar() {
    let is = |text: &str| resolved(text, "2026-11-22T12:00:00Z", "UTC");
    for (asked, day) in [
        ("week_start()", "2026-11-16"),
        ("week_start(1)", "2026-11-23"),
        ("month_start()", "2026-11-01"),
        ("month_start(-11)", "2025-12-01"),
        ("month_start(2)", "2027-01-01"),
        ("quarter_start()", "2026-10-01"),
        ("quarter_start(1)", "2027-01-01"),
        ("quarter_start(-4)", "2025-10-01"),
        ("year_start()", "2026-01-01"),
        ("Year_Start(-1) + 1w", "2025-01-08"),
        ("quarter_start(1) - 1d", "2026-12-31"),
    ] {
        assert_eq!(is(&format!("signed_on = {asked}")), format!("signed_on = \"{day}\""), "{asked}");
    }
    // In Berlin it is already the next year, and so the next quarter, month and week.
    let eve = "2026-12-31T23:30:00Z";
    assert_eq!(resolved("signed_on >= quarter_start()", eve, "Europe/Berlin"), r#"signed_on >= "2027-01-01""#);
    assert_eq!(resolved("signed_on >= quarter_start()", eve, "UTC"), r#"signed_on >= "2026-10-01""#);
    assert_eq!(resolved("created_at < month_start()", eve, "Europe/Berlin"), r#"created_at < "2026-12-31T23:00:00Z""#);
    assert!(parse("signed_on > week_start()").depends_on_time_zone());
    let end = Moment::utc(caller(), "2026-01-01T00:00:00Z".parse().expect("a time"));
    assert!(parse("signed_on < year_start(1200)").resolved(&end).is_ok());
    assert!(parse("signed_on > month_start(-1200) - 36525d").resolved(&end).is_ok());
}

#[test]
fn my_team_is_everybody_in_it() {
    let other = UserId("01890000-0000-7000-8000-000000000002".parse().expect("a UUID"));
    let moment = Moment::utc(caller(), Timestamp::now());
    let of = |text: &str, team: &[UserId]| {
        parse(text).resolved(&moment.clone().with_team(team.to_vec())).expect("within the calendar").to_string()
    };
    let (me, both) = (format!("\"{}\"", caller()), format!("\"{}\", \"{other}\"", caller()));
    assert_eq!(of("owner_id = my_team", &[caller(), other]), format!("owner_id IN ({both})"));
    assert_eq!(of("owner_id = my_team", &[caller()]), format!("owner_id = {me}"));
    assert_eq!(of("owner_id != my_team", &[caller(), other]), format!("NOT owner_id IN ({both})"));
    assert_eq!(of("owner_id IN (null, my_team)", &[caller(), other]), format!("owner_id IN (null, {both})"));
    let nobody = "\"00000000-0000-0000-0000-000000000000\"";
    assert_eq!(of("owner_id = my_team", &[]), format!("owner_id = {nobody}"), "whoever is in no team has no team mates");
    assert!(parse("NOT owner_id = my_team").names_team() && !parse("owner_id = me").names_team());
}
