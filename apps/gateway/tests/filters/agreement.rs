//! The database and the evaluation in memory never disagree, and neither do the spellings: random conditions, with what depends on who
//! asks and when, over records with every edge there is.

use crm_kernel::{Condition, Field, FilterValue, Kind, Moment, Timestamp, Vocabulary, filter::fold};
use crm_tenancy::members;
use crm_testkit::{KEYS, TEXTS, Trees, verdicts};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::support::{App, Caller, world::World};

/// Conditions that one statement answers.
const AT_ONCE: usize = 50;

/// A noun, as far as this test must know it.
struct Noun {
    address: &'static str,
    view: &'static str,
    id: &'static str,
    vocabulary: Vocabulary,
    conditions: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn database_and_memory_agree_on_random_conditions() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let members = Vocabulary { fields: members::FIELDS, parents: &[] };
    let companies = fill(&world, "companies", 40, company).await;
    let contacts = fill(&world, "contacts", 40, |number| contact(number, &companies)).await;
    let campaigns = fill(&world, "campaigns", 40, campaign).await;
    let deals = fill(&world, "deals", 40, |number| deal(number, &companies, &contacts, &campaigns)).await;
    let people = [&world.tenant.owner, &world.tenant.member, &world.tenant.colleague].map(|context| context.user_id.to_string());
    fill(&world, "projects", 40, |number| project(number, &companies, &deals, &people)).await;
    fill(&world, "tasks", 40, |number| task(number, &companies, &deals)).await;
    fill(&world, "notes", 40, |number| note(number, &companies, &deals)).await;
    // Parents in the bin are parents still.
    let gone = [("companies", &companies[1]), ("contacts", &contacts[1]), ("deals", &deals[1]), ("campaigns", &campaigns[1])];
    for (noun, id) in gone {
        world.owner().delete(&format!("{noun}/{id}")).await.expect(204);
    }
    let noun = |address, view, id, vocabulary, conditions| Noun { address, view, id, vocabulary, conditions };
    let mut asked = 0;
    for (seed, noun) in [
        noun("companies?include=parent,owner,created_by&", "q_companies", "id", crm_companies::VOCABULARY, 3_000),
        noun("contacts?include=company,owner,created_by&", "q_contacts", "id", crm_contacts::VOCABULARY, 3_000),
        noun("deals?include=company,primary_contact,campaign,owner,created_by&", "q_deals", "id", crm_deals::VOCABULARY, 3_000),
        noun(
            "projects?include=company,deal,owner,project_manager,created_by&",
            "q_projects",
            "id",
            crm_projects::VOCABULARY,
            3_000,
        ),
        noun("tasks?include=assigned_to,created_by&", "q_tasks", "id", crm_tasks::VOCABULARY, 3_000),
        noun("notes?include=owner,created_by&", "q_notes", "id", crm_notes::VOCABULARY, 3_000),
        noun("campaigns?include=owner,created_by&", "q_campaigns", "id", crm_campaigns::VOCABULARY, 3_000),
        noun("activities?include=user&", "q_activities", "id", crm_activities::VOCABULARY, 1_500),
        noun("/api/v1/organizations/current/members?", "q_members", "user_id", members, 500),
    ]
    .into_iter()
    .enumerate()
    {
        let records = world.owner().get(&format!("{}limit=200", noun.address)).await.expect(200).data().to_vec();
        asked += agree(&app, &world, &noun, &records, seed as u64).await;
    }
    assert!(asked >= 10_000, "only {asked} conditions were asked");
}

async fn agree(app: &App, world: &World, noun: &Noun, records: &[Value], seed: u64) -> usize {
    let mut trees = Trees::new(seed, noun.vocabulary).with_relative().knowing(values(records, noun.vocabulary));
    let caller = world.tenant.owner.user_id;
    let moment = Moment::new(caller, Timestamp::now(), "Pacific/Apia").unwrap();
    let moment = moment.with_team(vec![caller, world.tenant.member.user_id]);
    let (mut asked, mut held) = (0, 0);
    while asked < noun.conditions {
        let mut conditions = Vec::new();
        while conditions.len() < AT_ONCE {
            let condition = read_again(trees.condition(), &noun.vocabulary);
            // A moment may be moved out of the calendar: such a question is refused.
            conditions.extend(condition.resolved(&moment));
        }
        let verdicts = verdicts(&app.database.db(), &world.tenant.owner, noun.view, noun.id, &conditions).await;
        for record in records {
            let id: Uuid = record[noun.id].as_str().unwrap().parse().unwrap();
            for (condition, in_database) in conditions.iter().zip(&verdicts[&id]) {
                let in_memory = condition.holds(record);
                assert_eq!(in_memory, *in_database, "left: memory; right: the database: {condition}\nof {record}");
                held += usize::from(in_memory);
            }
        }
        asked += conditions.len();
    }
    let all = asked * records.len();
    assert!(records.len() >= 5 && held * 20 > all && (all - held) * 20 > all, "{}: {held} of {all} is no test", noun.view);
    asked
}

/// The condition as its text and its JSON are read: they are the same one.
fn read_again(tree: Condition, vocabulary: &Vocabulary) -> Condition {
    let text = tree.to_string();
    if text.chars().count() <= 4_000 {
        assert_eq!(Condition::parse(&text, vocabulary).as_ref(), Ok(&tree), "{text}");
    }
    let json = tree.to_json();
    assert_eq!(Condition::from_json(&json, "", vocabulary).as_ref(), Ok(&tree), "{json}");
    tree
}

/// The values that occur in these records, of their own fields.
fn values(records: &[Value], vocabulary: Vocabulary) -> Vec<FilterValue> {
    let mut values = Vec::new();
    for record in records {
        for field in vocabulary.fields {
            values.extend(value(field, &record[field.name]));
        }
        for parent in vocabulary.parents {
            for field in parent.fields {
                values.extend(value(field, &record[parent.name][field.name]));
            }
        }
    }
    values.sort_by_key(|value| format!("{value:?}"));
    values.dedup();
    values
}

fn value(field: &Field, found: &Value) -> Vec<FilterValue> {
    match (field.kind, found) {
        (Kind::Text | Kind::Caseless | Kind::Choice(_), Value::String(text)) => vec![FilterValue::Text(text.clone())],
        (Kind::Integer, Value::Number(number)) => vec![FilterValue::Integer(number.as_i64().unwrap())],
        (Kind::Decimal, Value::String(text)) => vec![FilterValue::Decimal(text.parse().unwrap())],
        (Kind::Date, Value::String(text)) => vec![FilterValue::Date(text.parse().unwrap())],
        (Kind::Timestamp, Value::String(text)) => vec![FilterValue::Timestamp(text.parse().unwrap())],
        (Kind::Id | Kind::Member, Value::String(text)) => vec![FilterValue::Id(text.parse().unwrap())],
        (Kind::Tags, Value::Array(tags)) => {
            tags.iter().filter_map(Value::as_str).map(|tag| FilterValue::Text(tag.into())).collect()
        }
        (Kind::Object, Value::Object(map)) => map
            .values()
            .filter_map(|value| match value {
                Value::String(text) => Some(FilterValue::Text(text.clone())),
                Value::Number(number) => number.to_string().parse().ok().map(FilterValue::Number),
                Value::Bool(boolean) => Some(FilterValue::Boolean(*boolean)),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// So many records, each with what the noun accepts of what it is given; their ids.
async fn fill(world: &World, noun: &str, count: usize, body: impl Fn(usize) -> Value) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        ids.push(made(world.owner(), noun, body(number)).await);
    }
    ids
}

async fn made(caller: &Caller, noun: &str, mut body: Value) -> String {
    for _ in 0..10 {
        let answer = caller.post(noun, &body).await;
        if answer.status == 201 {
            return answer.id();
        }
        for pointer in answer.pointers() {
            body.as_object_mut().unwrap().remove(pointer.split('/').nth(1).unwrap());
        }
        for (required, value) in [("name", "N"), ("title", "T"), ("content", "C"), ("first_name", "F"), ("last_name", "L")] {
            let belongs = match noun {
                "contacts" => ["first_name", "last_name"].contains(&required),
                "tasks" => required == "title",
                "notes" => required == "content",
                _ => required == "name",
            };
            if belongs && body.get(required).is_none() {
                body[required] = json!(value);
            }
        }
    }
    panic!("{noun} must take something of {body}");
}

fn text(number: usize) -> &'static str {
    TEXTS[number % TEXTS.len()]
}

fn one_of(words: &[&'static str], number: usize) -> &'static str {
    words[number % words.len()]
}

fn or_null<T: Into<Value>>(number: usize, value: T) -> Value {
    if number % 5 == 4 { Value::Null } else { value.into() }
}

fn tags(number: usize) -> Value {
    json!((0..number % 4).map(|tag| text(number * 3 + tag)).collect::<Vec<_>>())
}

/// Under every key something else: texts, numbers at the edge of what is exact, words that are no texts, lists.
fn object(number: usize) -> Value {
    let edges = [
        json!(0),
        json!(-0.5),
        json!(0.1),
        json!(9_007_199_254_740_993_i64),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e-7),
        json!(10.0),
        json!(true),
        json!(false),
        Value::Null,
        json!([text(number)]),
        json!({ "region": text(number) }),
        json!([]),
    ];
    let mut map = Map::new();
    for (place, key) in KEYS.iter().enumerate() {
        let turn = number * 7 + place * 3;
        match turn % 3 {
            0 => map.insert((*key).to_owned(), json!(text(turn))),
            1 => map.insert((*key).to_owned(), edges[turn % edges.len()].clone()),
            _ => None,
        };
    }
    Value::Object(map)
}

fn company(number: usize) -> Value {
    let revenue = ["0", "0.001", "999999999999999.999", "1000000", "12.5"];
    let employees = [0, 1, 7, i64::from(i32::MAX)];
    json!({
        "name": text(number + 5), "industry": or_null(number, text(number)), "website": or_null(number + 1, text(number + 9)),
        "company_size": or_null(number + 2, ["startup", "small", "medium", "enterprise"][number % 4]),
        "company_status": one_of(&["lead", "prospect", "customer", "churned"], number),
        "annual_revenue": or_null(number + 3, revenue[number % 5]), "employee_count": or_null(number, employees[number % 4]),
        "owner_id": or_null(number, Value::Null), "tags": tags(number), "custom_fields": object(number),
        "billing_address": or_null(number + 1, object(number + 1)),
    })
}

fn contact(number: usize, companies: &[String]) -> Value {
    json!({
        "first_name": text(number), "last_name": text(number + 7), "email": or_null(number, format!("P{number}@Example.com")),
        "company_id": or_null(number + 1, companies[number % 4].as_str()), "title": or_null(number + 2, text(number + 11)),
        "lead_source": or_null(number + 3, text(number + 13)), "lead_score": or_null(number, number * 3 % 101), "tags": tags(number + 1),
        "custom_fields": object(number + 2), "preferences": object(number + 3),
        "contact_status": one_of(&["active", "inactive", "bounced"], number),
    })
}

fn deal(number: usize, companies: &[String], contacts: &[String], campaigns: &[String]) -> Value {
    let dates = ["0001-01-01", "9999-12-31", "2024-02-29", "2026-11-22"];
    json!({
        "name": text(number + 3), "company_id": or_null(number, companies[number % 4].as_str()),
        "primary_contact_id": or_null(number + 2, contacts[number % 4].as_str()),
        "campaign_id": or_null(number + 3, campaigns[number % 4].as_str()),
        "amount": or_null(number + 1, ["0", "0.01", "999999999999999.99", "1000"][number % 4]),
        "expected_close_date": or_null(number + 3, dates[number % 4]), "deal_source": or_null(number, text(number + 17)),
        "tags": tags(number + 2), "custom_fields": object(number + 5),
    })
}

fn note(number: usize, companies: &[String], deals: &[String]) -> Value {
    let (kind, id) = match number % 3 {
        0 => (json!("company"), json!(companies[number % 4])),
        1 => (json!("deal"), json!(deals[number % 4])),
        _ => (Value::Null, Value::Null),
    };
    json!({
        "content": text(number + 3), "related_to_type": kind, "related_to_id": id, "is_pinned": number.is_multiple_of(4), "tags": tags(number + 2),
        "custom_fields": object(number + 5),
    })
}

fn task(number: usize, companies: &[String], deals: &[String]) -> Value {
    let times = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2024-02-29T12:00:00Z", "2026-11-22T00:00:00.000001Z"];
    let (kind, id) = match number % 3 {
        0 => (json!("company"), json!(companies[number % 4])),
        1 => (json!("deal"), json!(deals[number % 4])),
        _ => (Value::Null, Value::Null),
    };
    json!({
        "title": text(number + 3), "description": or_null(number + 1, text(number + 19)), "related_to_type": kind, "related_to_id": id,
        "task_type": one_of(&["call", "email", "meeting", "todo", "follow_up", "demo"], number),
        "status": one_of(&["pending", "in_progress", "completed", "cancelled"], number),
        "priority": one_of(&["low", "medium", "high", "urgent"], number + 1), "due_date": or_null(number + 3, times[number % 4]),
        "remind_at": or_null(number, times[(number + 1) % 4]), "tags": tags(number + 2), "custom_fields": object(number + 5),
    })
}

fn campaign(number: usize) -> Value {
    let dates = ["0001-01-01", "9999-12-31", "2024-02-29", "2026-11-22"];
    json!({
        "name": text(number + 5), "description": or_null(number + 1, text(number + 23)),
        "campaign_type": one_of(&["email", "social", "webinar", "event", "content", "other"], number),
        "status": one_of(&["planning", "active", "paused", "completed", "cancelled"], number + 1),
        "start_date": or_null(number, dates[0]), "end_date": or_null(number + 3, dates[number % 4]),
        "budget": or_null(number + 1, ["0", "0.01", "999999999999999", "12.50"][number % 4]),
        "goals": object(number + 7), "tags": tags(number + 2), "custom_fields": object(number + 5),
    })
}

fn project(number: usize, companies: &[String], deals: &[String], people: &[String]) -> Value {
    let dates = ["0001-01-01", "9999-12-31", "2024-02-29", "2026-11-22"];
    json!({
        "name": text(number + 3), "description": or_null(number + 1, text(number + 19)),
        "company_id": or_null(number, companies[number % 4].as_str()), "deal_id": or_null(number + 2, deals[number % 4].as_str()),
        "project_manager_id": or_null(number + 1, people[number % 3].as_str()),
        "project_status": one_of(&["planning", "in_progress", "on_hold", "completed", "cancelled"], number),
        "priority": one_of(&["low", "medium", "high", "urgent"], number),
        "due_date": or_null(number + 3, dates[number % 4]), "start_date": or_null(number + 1, dates[0]),
        "estimated_hours": or_null(number + 1, ["0", "0.001", "1000000", "12.5"][number % 4]),
        "tags": tags(number + 2), "custom_fields": object(number + 5),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn database_and_memory_fold_every_letter_alike() {
    let app = App::start().await;
    let letters = (1..=0x2_ffff_u32).filter_map(char::from_u32);
    let folded: Vec<String> = letters.clone().map(|letter| fold(&letter.to_string())).collect();
    let texts = app
        .database
        .texts("SELECT app.fold(chr(code)) FROM generate_series(1, 196607) AS code WHERE code NOT BETWEEN 55296 AND 57343 ORDER BY code")
        .await;
    assert_eq!(texts.len(), folded.len());
    let differ: Vec<char> =
        letters.zip(texts.iter().zip(&folded)).filter(|(_, (left, right))| left != right).map(|(letter, _)| letter).collect();
    // Letters that one of the two does not know yet stay as they are there.
    assert!(differ.len() < 200, "{} letters differ: {differ:?}", differ.len());
}
