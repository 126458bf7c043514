//! Custom fields of every type: the database and the evaluation in memory agree, whatever is stored; and what the database makes of a
//! value in a conversion is what the kernel takes.

use crm_kernel::{Condition, CustomFields, FieldType, filter::Known};
use crm_tenancy::custom_fields::RecordKind;
use crm_testkit::verdicts;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{App, world::World};

const CONDITIONS: usize = 3_000;
const AT_ONCE: usize = 50;
const COMPANIES: usize = 80;

/// Numbers that look like chance and are the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn one_of<'t, T>(&mut self, items: &'t [T]) -> &'t T {
        &items[self.below(items.len())]
    }
}

/// What a filter may say of a type, as it is spelled there. What is stored is made of the same texts, and of [`anything`].
fn values(field_type: FieldType, members: &[String]) -> Vec<String> {
    let quoted = |texts: &[&str]| texts.iter().map(|text| json!(text).to_string()).collect::<Vec<String>>();
    let bare = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<String>>();
    match field_type {
        FieldType::Text | FieldType::LongText | FieldType::Url => {
            quoted(&["a", "A", "Łódź", "https://example.com", "", "10", "%"])
        }
        FieldType::Email => quoted(&["a@x.com", "A@X.com", "b@x.com"]),
        FieldType::Integer => bare(&["0", "10", "-10", "9007199254740991", "-9007199254740991", "9223372036854775807", "9"]),
        FieldType::Decimal | FieldType::Money => {
            bare(&["0", "0.00", "10", "10.5", "-10.125", "999999999999999.999", "-999999999999999.999", "0.001"])
        }
        FieldType::Date => quoted(&["0001-01-01", "9999-12-31", "2024-02-29", "2026-02-28", "1969-12-31"]),
        FieldType::Time => quoted(&[
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999999Z",
            "2026-01-31T10:00:00Z",
            "2026-01-31T11:00:00+01:00",
            "1969-12-31T23:59:59.999999Z",
            "2026-01-31",
        ]),
        FieldType::Boolean => bare(&["true", "false"]),
        FieldType::Choice | FieldType::Choices => quoted(&["red", "green", "blue"]),
        FieldType::Member | FieldType::Company | FieldType::Contact | FieldType::Deal => {
            members.iter().map(|id| json!(id).to_string()).collect()
        }
    }
}

/// What depends on who asks and when, as a filter spells it.
fn relative(field_type: FieldType) -> &'static [&'static str] {
    match field_type {
        FieldType::Date => &["today()", "today() - 400d", "quarter_start()", "week_start(-1) + 3d", "year_start(1)"],
        FieldType::Time => &["now()", "now() - 30d", "today()", "month_start()", "year_start(-300)"],
        FieldType::Member => &["me", "my_team"],
        _ => &[],
    }
}

/// What may be stored from before there was a definition.
fn anything() -> Vec<Value> {
    vec![
        json!(null),
        json!(10),
        json!(10.0),
        json!(10.5),
        json!(9_007_199_254_740_993_i64),
        json!(1e300),
        json!(-0.0),
        json!(true),
        json!([]),
        json!(["red"]),
        json!(["red", "green"]),
        json!([10]),
        json!({ "a": 1 }),
        json!("10"),
        json!("10.00"),
        json!("10.5"),
        json!("10.50"),
        json!("-0.00"),
        json!("-0.001"),
        json!("010.00"),
        json!("1000000000000000.00"),
        json!("2026-02-30"),
        json!("2023-02-29"),
        json!("2024-02-29"),
        json!("0000-01-01"),
        json!("2026-1-1"),
        json!("2026-01-31T10:00:00Z"),
        json!("2026-01-31T10:00:00.10Z"),
        json!("2026-01-31T10:00:00.1Z"),
        json!("2026-01-31T24:00:00Z"),
        json!("2026-01-31T23:59:60Z"),
        json!("2026-01-31t10:00:00z"),
        json!("2026-01-31T10:00:00+00:00"),
        json!("2026-02-30T10:00:00Z"),
        json!("red"),
        json!("A@X.COM"),
        json!(" "),
    ]
}

const TYPES: [(FieldType, bool); 16] = [
    (FieldType::Text, true),
    (FieldType::LongText, false),
    (FieldType::Integer, true),
    (FieldType::Decimal, true),
    (FieldType::Money, true),
    (FieldType::Date, true),
    (FieldType::Time, true),
    (FieldType::Boolean, false),
    (FieldType::Choice, true),
    (FieldType::Choices, false),
    (FieldType::Url, true),
    (FieldType::Email, true),
    (FieldType::Member, false),
    (FieldType::Company, false),
    (FieldType::Contact, false),
    (FieldType::Deal, false),
];

/// Fields of every type, those that can be indexed once so and once not; companies with values that fit them and values that do not.
async fn fill(app: &App, world: &World, chance: &mut Chance, members: &[String]) -> CustomFields {
    let (organization, user) = (world.tenant.organization_id, world.tenant.owner.user_id);
    let strange = anything();
    for number in 0..COMPANIES {
        let mut object = serde_json::Map::new();
        for (field_type, _) in TYPES {
            for copy in ["kept", "plain"] {
                let written = values(field_type, members);
                let fitting = serde_json::from_str::<Value>(chance.one_of(&written).as_str()).unwrap_or_default();
                let options = ["red".to_owned(), "green".to_owned(), "blue".to_owned()];
                let fitting = if field_type == FieldType::Choices { json!([fitting]) } else { fitting };
                let normal = field_type.normal(&options, &fitting).ok().flatten().unwrap_or(fitting);
                match chance.below(3) {
                    0 => object.insert(format!("{copy}_{field_type}"), normal),
                    1 => object.insert(format!("{copy}_{field_type}"), chance.one_of(&strange).clone()),
                    _ => None,
                };
            }
        }
        let object = Value::Object(object).to_string().replace('\'', "''");
        let row = format!("'{organization}', '{user}', '{user}', 'C {number}', 'c-{number}', '{object}'");
        let columns = "organization_id, owner_id, created_by_id, name, slug, custom_fields";
        app.database.execute(&format!("INSERT INTO crm_companies ({columns}) VALUES ({row})")).await;
    }
    for (field_type, can_be_indexed) in TYPES {
        let options: Vec<Value> = ["red", "green", "blue"].iter().map(|key| json!({ "key": key, "label": key })).collect();
        for (copy, indexed) in [("kept", can_be_indexed), ("plain", false)] {
            let options = if field_type.has_options() { json!(options) } else { json!([]) };
            let field = json!({ "entity": "company", "key": format!("{copy}_{field_type}"), "label": "L", "field_type": field_type.as_str(),
                                "indexed": indexed, "options": options });
            world.owner().post("custom-fields", &field).await.expect(201);
        }
    }
    app.services().custom_fields.known(&world.tenant.owner, &[RecordKind::Company]).await.unwrap()
}

fn comparison(chance: &mut Chance, known: &CustomFields, members: &[String]) -> String {
    let fields: Vec<_> = known.of("company").collect();
    let field = *chance.one_of(&fields);
    let name = format!("custom_fields.{}", field.key);
    let mut written = values(field.field_type, members);
    written.extend(relative(field.field_type).iter().map(|text| (*text).to_owned()));
    match chance.below(8) {
        0 => format!("{name} = null"),
        1 => format!("{name} != null"),
        _ => {
            let operator = chance.one_of(field.field_type.operators()).as_str();
            let value = match operator {
                "in" => format!("({}, {})", chance.one_of(&written), chance.one_of(&written)),
                _ => chance.one_of(&written).clone(),
            };
            let not = if chance.below(4) == 0 { "NOT " } else { "" };
            format!("{not}{name} {operator} {value}")
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn database_and_memory_agree_on_custom_fields_whatever_is_stored() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let members: Vec<String> =
        [&world.tenant.owner, &world.tenant.member].iter().map(|member| member.user_id.to_string()).collect();
    let mut chance = Chance(20_261_122);
    let known = fill(&app, &world, &mut chance, &members).await;
    let kept = known.of("company").filter(|field| field.ordered.is_some()).count();
    assert_eq!(kept, 9, "a small organisation has its values in order at once");
    let vocabulary = crm_companies::VOCABULARY;
    let known_here = Known { vocabulary: &vocabulary, entity: "company", custom: &known };
    let records = world.owner().get("companies?limit=200").await.expect(200).data().to_vec();
    let moment = crm_kernel::Moment::utc(world.tenant.owner.user_id, crm_kernel::Timestamp::now())
        .with_team(vec![world.tenant.owner.user_id, world.tenant.member.user_id]);
    let (mut asked, mut held) = (0, 0);
    while asked < CONDITIONS {
        let mut conditions = Vec::new();
        for _ in 0..AT_ONCE {
            let joint = *chance.one_of(&[" AND ", " OR "]);
            let parts: Vec<String> = (0..=chance.below(2)).map(|_| comparison(&mut chance, &known, &members)).collect();
            let text = parts.join(joint);
            let condition = Condition::parse_with(&text, &known_here).unwrap_or_else(|error| panic!("{text}: {error:?}"));
            let printed = Condition::parse_with(&condition.to_string(), &known_here).unwrap();
            assert_eq!(printed, condition, "what was printed is read as the same");
            let json = Condition::from_json_with(&condition.to_json(), "", &known_here).unwrap();
            assert_eq!(json, condition, "and so is the JSON form");
            conditions.push(condition.resolved(&moment).unwrap());
        }
        let verdicts = verdicts(&app.database.db(), &world.tenant.owner, "q_companies", "id", &conditions).await;
        for record in &records {
            let id: Uuid = record["id"].as_str().unwrap().parse().unwrap();
            for (condition, in_database) in conditions.iter().zip(&verdicts[&id]) {
                let in_memory = condition.holds(record);
                assert_eq!(
                    in_memory, *in_database,
                    "left: memory; right: the database: {condition}\nof {}",
                    record["custom_fields"]
                );
                held += usize::from(in_memory);
            }
        }
        asked += conditions.len();
    }
    let all = asked * records.len();
    assert!(held * 20 > all && (all - held) * 20 > all, "{held} of {all} is no test");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_converts_is_in_the_kernels_normal_form() {
    let app = App::start().await;
    let options = json!([{ "key": "red", "label": "Rot" }, { "key": "green", "label": "Green" }]);
    let keys = ["red".to_owned(), "green".to_owned()];
    let mut given = anything();
    let more =
        ["+7", " 12 ", "1e3", "1.2500", "yes", "NO", "rot", "GREEN", "Jo@Example.com", ".a@b.c", "a@b", "https://a b", "ftp://x"];
    given.extend(more.iter().map(|text| json!(text)));
    given.extend(
        TYPES.iter().flat_map(|(field_type, _)| values(*field_type, &[])).filter_map(|text| serde_json::from_str(&text).ok()),
    );
    let mut fitted = 0;
    for (field_type, _) in TYPES {
        let list = Value::Array(given.clone()).to_string().replace('\'', "''");
        let query = format!(
            "SELECT coalesce(app.custom_value_as('{field_type}', '{options}', value), 'null') FROM jsonb_array_elements('{list}') AS value"
        );
        let converted = app.database.texts(&query).await;
        assert_eq!(converted.len(), given.len());
        for (value, text) in given.iter().zip(converted) {
            let found: Value = serde_json::from_str(&text).unwrap();
            if found.is_null() {
                continue;
            }
            assert_eq!(field_type.normal(&keys, &found), Ok(Some(found)), "{value} as {field_type}");
            fitted += 1;
        }
    }
    assert!(fitted > 150, "only {fitted} values fitted");
}
