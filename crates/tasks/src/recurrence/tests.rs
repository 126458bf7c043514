//! Rules that people write, on the clocks that they live by.
#![allow(clippy::indexing_slicing, reason = "tests fail by panicking")]

use crm_kernel::Timestamp;

use super::{
    Due,
    coming::{after, fits},
    rule::rule,
};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// The days that a task comes on, each completed at the moment it was due.
fn days(text: &str, begins: &str, zone: &str) -> Vec<String> {
    let (mut due, mut text, mut days) = (at(begins), text.to_owned(), Vec::new());
    let mut is_from = Due::Moment(due);
    while let Some(next) = after(&text, is_from, due, zone).expect("it can be counted").filter(|_| days.len() < 4) {
        days.push(next.due_date.to_string());
        is_from = Due::Following(next.due_date, due);
        (due, text) = (next.due_date, next.recurrence);
    }
    days
}

#[test]
fn nine_in_the_morning_stays_so_when_the_clocks_change() {
    let weekly = days("FREQ=WEEKLY", "2026-03-23T08:00:00Z", "Europe/Berlin");
    assert_eq!(weekly[..2], ["2026-03-30T07:00:00Z", "2026-04-06T07:00:00Z"]);
}

#[test]
fn a_rule_that_says_how_often_or_until_when_ends() {
    assert_eq!(days("FREQ=DAILY;COUNT=3", "2026-01-01T09:00:00Z", "UTC"), ["2026-01-02T09:00:00Z", "2026-01-03T09:00:00Z"]);
    assert_eq!(days("FREQ=DAILY;UNTIL=20260103T000000Z", "2026-01-01T09:00:00Z", "UTC"), ["2026-01-02T09:00:00Z"]);
}

#[test]
fn months_without_the_day_and_years_without_it_are_passed_over() {
    let last = days("FREQ=MONTHLY;BYMONTHDAY=31", "2026-01-31T09:00:00Z", "UTC");
    assert_eq!(last[..2], ["2026-03-31T09:00:00Z", "2026-05-31T09:00:00Z"]);
    let leap = days("FREQ=YEARLY", "2024-02-29T09:00:00Z", "UTC");
    assert_eq!(leap[0], "2028-02-29T09:00:00Z");
}

#[test]
fn days_that_are_over_are_passed_over_and_counted() {
    let next = after("FREQ=DAILY;COUNT=10", Due::Moment(at("2026-01-01T09:00:00Z")), at("2026-01-05T12:00:00Z"), "UTC");
    let next = next.expect("it can be counted").expect("there are days left");
    assert_eq!((next.due_date, next.recurrence.contains("COUNT=5")), (at("2026-01-06T09:00:00Z"), true), "{next:?}");
    // A day is not over before it ends.
    let day = after("FREQ=DAILY", Due::Day(at("2026-01-01T00:00:00Z")), at("2026-01-05T12:00:00Z"), "Asia/Tokyo");
    assert_eq!(day.expect("it can be counted").expect("there is a day").due_date, at("2026-01-05T00:00:00Z"));
}

#[test]
fn what_cannot_be_kept_is_refused() {
    for text in
        ["", "weekly", "FREQ=HOURLY", "FREQ=SECONDLY", "FREQ=DAILY\nRDATE:20260101T000000Z", "FREQ=DAILY;BYMONTH=13;BYDAY=XX"]
    {
        assert!(rule(text, &()).is_err(), "{text}");
    }
    for (text, part) in [
        ("FREQ=DAILY;BYHOUR=9", "BYHOUR"),
        ("FREQ=YEARLY;BYMINUTE=0", "BYMINUTE"),
        ("FREQ=WEEKLY;BYSECOND=0,1", "BYSECOND"),
        ("FREQ=DAILY;COUNT=0", "COUNT"),
        ("FREQ=DAILY;COUNT=10001", "COUNT"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL"),
        ("FREQ=DAILY;UNTIL=soon", "UNTIL"),
        ("FREQ=MONTHLY;BYMONTHDAY=40", "BYMONTHDAY"),
        ("FREQ=DAILY;COUNT=2;COUNT=3", "twice"),
    ] {
        let refused = rule(text, &()).expect_err(text).to_string();
        assert!(refused.contains(part), "{text}: {refused}");
    }
    let begins = Due::Moment(at("2026-01-01T09:00:00Z"));
    for never in ["FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "FREQ=DAILY;UNTIL=20251231"] {
        assert!(rule(never, &()).is_ok() && !fits(never, begins), "{never}: no year has it, and the search ends");
        assert_eq!(after(never, begins, at("2026-01-01T09:00:00Z"), "UTC").expect("it can be counted"), None, "{never}");
    }
    assert!(after("FREQ=DAILY", begins, at("2026-01-01T09:00:00Z"), "Mars/Olympus").is_err(), "that is no end of the rule");
}

#[test]
fn a_rule_stays_as_it_was_written() {
    for (text, coming) in [
        ("FREQ=MONTHLY;BYDAY=1MO", "2027-02-01T09:00:00Z"),
        ("FREQ=MONTHLY;BYDAY=+1FR", "2027-02-05T09:00:00Z"),
        ("FREQ=YEARLY;BYDAY=1MO", "2028-01-03T09:00:00Z"),
        ("FREQ=MONTHLY;BYDAY=2MO", "2027-01-11T09:00:00Z"),
        ("FREQ=MONTHLY;BYDAY=-1FR", "2027-01-29T09:00:00Z"),
        ("FREQ=MONTHLY;BYMONTHDAY=-1", "2027-01-31T09:00:00Z"),
        ("freq=weekly;wkst=SU", "2027-01-11T09:00:00Z"),
    ] {
        let due = if text.contains("FR") { at("2027-01-08T09:00:00Z") } else { at("2027-01-04T09:00:00Z") };
        let next = after(text, Due::Moment(due), due, "UTC").expect("it can be counted").expect(text);
        assert_eq!((next.due_date, next.recurrence.as_str()), (at(coming), text));
    }
    let due = at("2027-01-04T09:00:00Z");
    let next = after("FREQ=MONTHLY;COUNT=5;BYDAY=1MO", Due::Moment(due), due, "UTC").expect("it can be counted");
    assert_eq!(next.expect("four are left").recurrence, "FREQ=MONTHLY;COUNT=4;BYDAY=1MO");
}

#[test]
fn clocks_that_change_end_no_series_and_move_none() {
    // The hour that is there twice.
    let autumn = days("FREQ=DAILY", "2027-10-31T00:30:00Z", "Europe/Berlin");
    assert_eq!(autumn[..2], ["2027-11-01T01:30:00Z", "2027-11-02T01:30:00Z"]);
    let second = days("FREQ=DAILY", "2027-10-31T01:30:00Z", "Europe/Berlin");
    assert_eq!(second[0], "2027-11-01T01:30:00Z");
    // The hour that is left out: 02:30, 03:30 that day, 02:30.
    let spring = days("FREQ=DAILY", "2027-03-27T01:30:00Z", "Europe/Berlin");
    assert_eq!(spring[..3], ["2027-03-28T01:30:00Z", "2027-03-29T00:30:00Z", "2027-03-30T00:30:00Z"]);
}

#[test]
fn a_last_day_is_one_of_the_person() {
    // Until five in the morning of the next day in UTC it is still that day in New York.
    let days = days("FREQ=DAILY;UNTIL=20270103", "2027-01-02T02:00:00Z", "America/New_York");
    assert_eq!(days, ["2027-01-03T02:00:00Z", "2027-01-04T02:00:00Z"]);
}

#[test]
fn what_was_left_for_centuries_comes_next_in_the_order_of_its_rule() {
    for (text, begins, coming) in [
        ("FREQ=DAILY;INTERVAL=2", "1901-01-01T09:00:00Z", "2027-01-06T09:00:00Z"),
        ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "1901-01-01T09:00:00Z", "2027-01-05T09:00:00Z"),
        ("FREQ=MONTHLY", "1901-01-31T09:00:00Z", "2027-01-31T09:00:00Z"),
        ("FREQ=YEARLY", "1904-02-29T09:00:00Z", "2028-02-29T09:00:00Z"),
        ("FREQ=YEARLY;INTERVAL=3", "1901-03-01T09:00:00Z", "2027-03-01T09:00:00Z"),
    ] {
        let next = after(text, Due::Moment(at(begins)), at("2027-01-04T12:00:00Z"), "UTC").expect("it can be counted");
        assert_eq!(next.expect(text).due_date, at(coming), "{text}");
    }
}

/// With one thread whoever comes second is first, unless that thread counts the days.
#[tokio::test]
async fn whoever_counts_days_keeps_nobody_waiting() {
    let (never, begins) = ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", Due::Moment(at("2026-01-01T09:00:00Z")));
    let order = std::cell::RefCell::new(Vec::new());
    let judging = async {
        let has_day = super::fits(never, begins).await.expect("the library answers");
        order.borrow_mut().push(if has_day { "a day" } else { "no day" });
    };
    let coming = async {
        let next = super::after(never, begins, at("2026-01-01T09:00:00Z"), "UTC").await.expect("the library answers");
        order.borrow_mut().push(if next.is_some() { "a next one" } else { "no next one" });
    };
    tokio::join!(biased; judging, coming, async { order.borrow_mut().push("somebody else") });
    let mut order = order.into_inner();
    assert_eq!(order.remove(0), "somebody else");
    order.sort_unstable();
    assert_eq!(order, ["no day", "no next one"]);
}
