//! Who asks and when, against a model that is not ours: people and teams as they were dealt out, the calendar of PostgreSQL in the zones of the
//! world.

use crm_deals::VOCABULARY;
use crm_kernel::{Comparison, Condition, FilterValue, Moment, Timestamp, UserId};
use serde_json::json;
use uuid::Uuid;

use crate::support::{App, world::World};

const ZONES: [&str; 16] = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Sao_Paulo",
    "America/St_Johns",
    "America/Los_Angeles",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Tokyo",
    "Asia/Tehran",
    "Australia/Adelaide",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
];

/// The same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(self.0 >> 33).unwrap() % end
    }

    fn between(&mut self, first: i64, last: i64) -> i64 {
        first + self.below(last - first + 1)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn me_and_my_team_are_whoever_they_are() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let tenant = &world.tenant;
    let callers = [("owner", &tenant.owner), ("admin", &tenant.admin), ("member", &tenant.member), ("viewer", &tenant.viewer)];
    let people: Vec<Uuid> =
        callers.iter().map(|(_, context)| context.user_id.uuid()).chain([tenant.colleague.user_id.uuid()]).collect();
    let mut teams = Vec::new();
    for name in ["West", "East"] {
        teams.push(world.owner().post("/api/v1/organizations/current/teams", &json!({ "name": name })).await.expect(201).id());
    }
    for noun in ["companies", "contacts", "deals"] {
        app.database.execute(&format!("UPDATE crm_{noun} SET deleted_at = now() WHERE deleted_at IS NULL")).await;
    }
    let mut owned: Vec<(String, Option<Uuid>)> = Vec::new();
    for number in 0..12 {
        let owner = people.get(number % (people.len() + 1)).copied();
        let body = json!({ "name": format!("Company {number}"), "owner_id": owner });
        let id = world.owner().post("companies", &body).await.expect(201).id();
        let unowned = format!("UPDATE crm_companies SET owner_id = NULL WHERE id = '{id}'");
        if owner.is_none() {
            app.database.execute(&unowned).await;
        }
        owned.push((id, owner));
    }
    let mut numbers = Numbers(5);
    let mut found_some = 0;
    for _ in 0..8 {
        let mut of_person = Vec::new();
        for person in &people {
            let team = usize::try_from(numbers.below(3)).unwrap();
            let value = teams.get(team).map_or("NULL".to_owned(), |id| format!("'{id}'"));
            app.database.execute(&format!("UPDATE memberships SET team_id = {value} WHERE user_id = '{person}'")).await;
            of_person.push((*person, teams.get(team)));
        }
        for (role, context) in callers {
            let me = context.user_id.uuid();
            let mine = of_person.iter().find(|(person, _)| *person == me).unwrap().1;
            let is_mate =
                |person: &Uuid| mine.is_some() && of_person.iter().any(|(other, team)| other == person && *team == mine);
            type Model<'m> = Box<dyn Fn(Option<Uuid>) -> bool + 'm>;
            let model: [(&str, Model<'_>); 6] = [
                ("owner_id = me", Box::new(|owner| owner == Some(me))),
                ("owner_id != me", Box::new(|owner| owner != Some(me))),
                ("owner_id = my_team", Box::new(|owner| owner.is_some_and(|owner| is_mate(&owner)))),
                ("owner_id != my_team", Box::new(|owner| !owner.is_some_and(|owner| is_mate(&owner)))),
                ("NOT owner_id IN (my_team, null)", Box::new(|owner| owner.is_some_and(|owner| !is_mate(&owner)))),
                ("owner_id IN (me, my_team)", Box::new(|owner| owner.is_some_and(|owner| owner == me || is_mate(&owner)))),
            ];
            for (filter, right) in &model {
                let query = [("filter", *filter), ("sort", "created_at"), ("limit", "100")];
                let found = world.caller(role).call("GET", "companies").query(&query).send().await.expect(200).ids();
                let expected: Vec<&String> = owned.iter().filter(|(_, owner)| right(*owner)).map(|(id, _)| id).collect();
                assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter}, asked by {role}: {of_person:?}");
                found_some += usize::from(!found.is_empty());
            }
        }
    }
    assert!(found_some > 100, "only {found_some} questions found something");
}

/// A question, and what PostgreSQL makes of it: the instant or the day that it is compared with.
struct Case {
    zone: &'static str,
    now: i64,
    text: String,
    model: String,
}

/// `local` is the time on the caller's clock.
fn case(numbers: &mut Numbers) -> Case {
    let zone = ZONES[usize::try_from(numbers.below(16)).unwrap()];
    // From 1996 to 2030: rules of later years may differ between two versions of the same collection.
    let now = numbers.between(820_454_400, 1_893_456_000);
    let (weeks, days) = (numbers.between(-60, 60), numbers.between(-400, 400));
    let (hours, minutes, seconds) = (numbers.between(-100, 100), numbers.between(-90, 90), numbers.between(-90, 90));
    let sign = |number: i64, unit: &str| format!("{} {}{unit}", if number < 0 { "-" } else { "+" }, number.abs());
    let local = format!("(to_timestamp({now}) AT TIME ZONE '{zone}')");
    let (text, model) = match numbers.below(4) {
        0 => (
            format!("created_at > now() {} {}", sign(hours, "h"), sign(minutes, "m")),
            format!("(to_timestamp({now}) + make_interval(hours => {hours}, mins => {minutes})) AT TIME ZONE 'UTC'"),
        ),
        1 => (
            format!("created_at > now() {} {} {} {}", sign(weeks, "w"), sign(days, "d"), sign(hours, "h"), sign(seconds, "s")),
            format!(
                "((({local} + make_interval(days => {})) AT TIME ZONE '{zone}') + make_interval(hours => {hours}, secs => {seconds})) AT TIME ZONE 'UTC'",
                weeks * 7 + days
            ),
        ),
        2 => (
            format!("{{day}} today() {} {}", sign(weeks, "w"), sign(days, "d")),
            format!("({local}::date + {})::timestamp", weeks * 7 + days),
        ),
        _ => {
            let period = ["week", "month", "quarter", "year"][usize::try_from(numbers.below(4)).unwrap()];
            let (offset, months) = (numbers.between(-20, 20), [0, 1, 3, 12]);
            let place = ["week", "month", "quarter", "year"].iter().position(|name| *name == period).unwrap();
            let step = if period == "week" { offset * 7 } else { 0 };
            (
                format!("{{day}} {period}_start({offset}) {}", sign(days, "d")),
                format!(
                    "date_trunc('{period}', {local}) + make_interval(months => {}, days => {step}) + make_interval(days => {days})",
                    offset * months[place]
                ),
            )
        }
    };
    // A day is asked of a date, and of an instant by when it begins.
    if text.starts_with("{day}") && numbers.below(2) == 0 {
        return Case {
            zone,
            now,
            text: text.replace("{day}", "created_at >="),
            model: format!("(({model}) AT TIME ZONE '{zone}') AT TIME ZONE 'UTC'"),
        };
    }
    Case { zone, now, text: text.replace("{day}", "expected_close_date ="), model }
}

/// Whether this place on the clock comes twice: there two calendars may differ, and do. Half an hour is what Lord Howe's clock is put back by.
fn comes_twice(model: &str, zone: &str) -> String {
    let again = |minutes: i64| {
        format!(
            "EXISTS (SELECT FROM (VALUES (({model}) AT TIME ZONE 'UTC')) AS at (instant)
              WHERE instant AT TIME ZONE '{zone}' = (instant + interval '{minutes} minutes') AT TIME ZONE '{zone}')"
        )
    };
    [-60, -30, 30, 60].map(again).join(" OR ")
}

#[tokio::test(flavor = "multi_thread")]
async fn moments_are_those_of_another_calendar() {
    let app = App::start().await;
    let caller = UserId(Uuid::from_u128(7));
    let mut numbers = Numbers(11);
    let (mut asked, mut left_out) = (0, 0);
    for _ in 0..40 {
        let cases: Vec<Case> = (0..100).map(|_| case(&mut numbers)).collect();
        let model = |case: &Case| {
            let Case { zone, model, .. } = case;
            format!(
                "(SELECT CASE WHEN {} THEN 'twice' ELSE to_char({model}, 'YYYY-MM-DD HH24:MI:SS') END)",
                comes_twice(model, zone)
            )
        };
        let all: Vec<String> = cases.iter().map(model).collect();
        let right = app.database.texts(&format!("SELECT unnest(ARRAY[{}])", all.join(", "))).await;
        for (case, right) in cases.iter().zip(right) {
            if right == "twice" {
                left_out += 1;
                continue;
            }
            let now = Timestamp(time::OffsetDateTime::from_unix_timestamp(case.now).unwrap());
            let moment = Moment::new(caller, now, case.zone).unwrap();
            let condition = Condition::parse(&case.text, &VOCABULARY).unwrap_or_else(|error| panic!("{}: {error:?}", case.text));
            let resolved = condition.resolved(&moment).unwrap();
            let Condition::Compare(Comparison { values, .. }) = &resolved else { panic!("{resolved}") };
            let ours = match values.as_slice() {
                [FilterValue::Timestamp(instant)] => instant.to_string().replace('T', " ").trim_end_matches('Z').to_owned(),
                [FilterValue::Date(date)] => format!("{date} 00:00:00"),
                others => panic!("{others:?}"),
            };
            assert_eq!(ours, right, "{}, in {}, at {now}", case.text, case.zone);
            asked += 1;
        }
    }
    assert!(asked > 3_900, "{left_out} of 4000 were left out");
}
