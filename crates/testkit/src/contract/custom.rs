//! Theme: custom fields. What an organisation defines for the noun is kept as its type demands, found by it and listed in its order, one
//! record or many.

use std::sync::Arc;

use crm_kernel::{
    Condition, CustomField, CustomFields, Direction, Error, Expected, Filter, ListQuery, Moment, Object, Result, Timestamp,
    Vocabulary, filter::Known,
};
use crm_tenancy::{
    CustomFieldDefinitions, PgCustomFieldDefinitions, Tx,
    bulk::{self, Done, Key, Noun as _, Operation},
    custom_fields::NewCustomField,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Bench, Noun, draft, everything, id, version, view};

/// Names and types; all but the choices are in order.
const FIELDS: [(&str, &str); 5] =
    [("size", "integer"), ("budget", "money"), ("renewal", "date"), ("code", "text"), ("colors", "choices")];

/// A number, an amount, a day, a text and choices for the noun, as filters know them.
async fn defined<N: Noun>(bench: &Bench<N>) -> CustomFields {
    let service = PgCustomFieldDefinitions::new(bench.database.db());
    for (key, field_type) in FIELDS {
        let choices = field_type == "choices";
        let options =
            if choices { json!([{ "key": "red", "label": "Red" }, { "key": "green", "label": "Green" }]) } else { json!([]) };
        let field = json!({ "entity": N::ENTITY, "key": key, "label": key, "field_type": field_type, "indexed": !choices, "options": options });
        let field: NewCustomField = serde_json::from_value(field).expect("a definition");
        service.create(&bench.tenant.owner, field).await.expect("an owner defines custom fields of the noun");
    }
    service.known(&bench.tenant.owner, &[N::Bulk::KIND]).await.expect("everybody reads definitions")
}

/// Values of the draft with this number: ties, gaps, and no record like the one before.
fn values(number: usize) -> Value {
    let mut values =
        json!({ "size": number % 4, "budget": format!("{}.50", number % 3), "code": format!("code {}", number % 5) });
    if number % 4 == 3 {
        values = json!({ "colors": ["green"] });
    }
    if number.is_multiple_of(2) {
        values["renewal"] = json!(format!("2026-0{}-15", number % 3 + 1));
        values["colors"] = json!(["red", "green"]);
    }
    values
}

fn object(value: Value) -> Object {
    match value {
        Value::Object(map) => Object(map),
        other => panic!("{other} is no object"),
    }
}

/// One change in a transaction of its own, which is kept when nothing is refused.
async fn kept<N: Noun, T>(bench: &Bench<N>, change: impl AsyncFnOnce(&mut Tx) -> Result<T>) -> Result<T> {
    let mut tx = bench.database.db().begin(&bench.tenant.member).await?;
    let done = change(&mut tx).await?;
    tx.commit().await?;
    Ok(done)
}

async fn create<N: Noun>(bench: &Bench<N>, number: usize, custom: Value) -> Result<N::Record> {
    kept(bench, async |tx| N::Bulk::create(tx, N::new_with(draft(number), object(custom))).await).await
}

async fn change<N: Noun>(bench: &Bench<N>, id: Uuid, custom: Value) -> Result<N::Record> {
    let changes = N::customizing(object(custom));
    kept(bench, async |tx| N::Bulk::update(tx, id, &Expected::Any, &changes).await).await
}

/// Where the values at fault stand.
fn pointers<T: std::fmt::Debug>(refused: Result<T>, rule: &str) -> Vec<String> {
    match refused {
        Err(Error::Invalid(fields)) => fields.into_iter().map(|field| field.pointer).collect(),
        other => panic!("{rule}: {other:?}"),
    }
}

/// What fits is shown in its normal form; what does not is refused with all pointers at once, on creation and on change.
pub async fn custom_fields_are_kept_as_their_type_demands<N: Noun>() {
    let bench = Bench::<N>::new().await;
    defined(&bench).await;
    let given = json!({ "size": 7, "budget": 12.5, "renewal": "2026-02-28", "code": "A", "colors": ["green", "red"] });
    let record = create(&bench, 1, given).await.expect("values that fit are accepted");
    let shown = json!({ "size": 7, "budget": "12.50", "renewal": "2026-02-28", "code": "A", "colors": ["green", "red"] });
    let mut normal = view(&record)["custom_fields"].clone();
    if let Some(colors) = normal["colors"].as_array_mut() {
        colors.sort_by_key(ToString::to_string);
    }
    assert_eq!(normal, shown, "values are shown in their normal form");
    let wrong = json!({ "size": "seven", "budget": true, "renewal": "2026-02-30", "code": 5, "colors": ["blue"], "unknown": 1 });
    let expected: Vec<String> =
        ["budget", "code", "colors", "renewal", "size", "unknown"].iter().map(|key| format!("/custom_fields/{key}")).collect();
    for refused in [create(&bench, 2, wrong.clone()).await, change(&bench, id(&record), wrong).await] {
        let mut found = pointers(refused, "values that do not fit are refused");
        found.iter_mut().for_each(|pointer| pointer.truncate(pointer.find("/colors/").map_or(pointer.len(), |at| at + 7)));
        found.sort();
        assert_eq!(found, expected, "each of them is named, all at once");
    }
    let after = bench.noun.get(&bench.tenant.owner, id(&record)).await.expect("it is there");
    assert_eq!(view(&after), view(&record), "nothing of it is written");
    let changed = change(&bench, id(&record), json!({ "size": null, "code": "B" })).await.expect("values are changed one by one");
    let custom = &view(&changed)["custom_fields"];
    assert_eq!((custom.get("size"), &custom["code"], &custom["budget"]), (None, &json!("B"), &json!("12.50")));
    assert_eq!(version(&changed), 2);
}

async fn sample<N: Noun>(bench: &Bench<N>, count: usize) -> Vec<Value> {
    let mut views = Vec::new();
    for number in 0..count {
        views.push(view(&create(bench, number, values(number)).await.expect("a sample record can be created")));
    }
    views
}

/// A comparison, and which of the numbered records fit.
type Asked = (&'static str, Box<dyn Fn(usize) -> bool>);

/// Each comparison finds exactly those whose number says so, and counts as many.
pub async fn custom_fields_filter_exactly<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let known = defined(&bench).await;
    let vocabulary = Vocabulary { fields: N::fields(), parents: &[] };
    let known = Known { vocabulary: &vocabulary, entity: N::ENTITY, custom: &known };
    let views = sample(&bench, 14).await;
    let sized = |number: usize| number % 4 != 3;
    let dated = |number: usize| number.is_multiple_of(2);
    let questions: Vec<Asked> = vec![
        ("custom_fields.size = 1", Box::new(|number| number % 4 == 1)),
        ("custom_fields.size != 1", Box::new(|number| number % 4 != 1)),
        ("custom_fields.size > 0", Box::new(move |number| sized(number) && number % 4 > 0)),
        ("custom_fields.size <= 1", Box::new(move |number| sized(number) && number % 4 <= 1)),
        ("custom_fields.size IN (0, 2)", Box::new(|number| number % 4 == 0 || number % 4 == 2)),
        ("custom_fields.size = null", Box::new(|number| number % 4 == 3)),
        ("NOT custom_fields.size > 0", Box::new(|number| number % 4 == 0 || number % 4 == 3)),
        ("custom_fields.budget >= 1.5", Box::new(move |number| sized(number) && number % 3 >= 1)),
        ("custom_fields.renewal < \"2026-03-01\"", Box::new(move |number| dated(number) && number % 3 + 1 < 3)),
        ("custom_fields.renewal != null", Box::new(dated)),
        ("custom_fields.code ~ \"CODE 2\"", Box::new(move |number| sized(number) && number % 5 == 2)),
        ("custom_fields.colors : \"red\"", Box::new(dated)),
        ("custom_fields.colors : (\"red\", \"green\")", Box::new(move |number| dated(number) || number % 4 == 3)),
        ("custom_fields.size = 2 AND custom_fields.budget = 0.5", Box::new(|number| number % 4 == 2 && number % 3 == 0)),
    ];
    let moment = Moment::utc(bench.tenant.member.user_id, Timestamp::now());
    for (text, fits) in questions {
        let condition = Condition::parse_with(text, &known).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        let filter = Filter::default().and(condition, &moment).expect("nothing leaves the calendar");
        let query = ListQuery { filter, limit: 5, ..everything::<N>() };
        let mut found: Vec<String> =
            bench.walk(&bench.tenant.member, &query).await.iter().map(|view| view["id"].to_string()).collect();
        found.sort();
        let mut right: Vec<String> =
            views.iter().enumerate().filter(|(number, _)| fits(*number)).map(|(_, view)| view["id"].to_string()).collect();
        right.sort();
        assert!(!right.is_empty() && right.len() < views.len(), "{text} must tell records apart");
        assert_eq!(found, right, "{text}");
    }
}

/// By every kind of value, both ways: those without a value last, ties by id in the same direction, each record once.
pub async fn lists_are_in_the_order_of_a_custom_field<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let known = defined(&bench).await;
    let views = sample(&bench, 14).await;
    let deleted = create(&bench, 20, values(1)).await.expect("one more");
    bench.noun.delete(&bench.tenant.owner, id(&deleted), &Expected::Any).await.expect("the owner deletes");
    for (key, _) in FIELDS.iter().filter(|(_, field_type)| *field_type != "choices") {
        let field: Arc<CustomField> = known.find(N::ENTITY, key).cloned().expect("it is defined");
        assert!(field.ordered.is_some(), "a small organisation has its values in order at once");
        for direction in [Direction::Ascending, Direction::Descending] {
            let mut right = views.clone();
            right.sort_by(|left, right| {
                let keys = [left, right].map(|view| view["custom_fields"][key].clone());
                let [nulls, order] = [keys[0].is_null().cmp(&keys[1].is_null()), keys[0].to_string().cmp(&keys[1].to_string())];
                let order = order.then_with(|| left["id"].as_str().cmp(&right["id"].as_str()));
                nulls.then(if direction == Direction::Ascending { order } else { order.reverse() })
            });
            for limit in [3, 200] {
                let mut query = ListQuery { custom_sort: Some(Arc::clone(&field)), limit, ..everything::<N>() };
                query.sort.direction = direction;
                let found = bench.walk(&bench.tenant.member, &query).await;
                let ids = |views: &[Value]| views.iter().map(|view| view["id"].to_string()).collect::<Vec<_>>();
                assert_eq!(ids(&found), ids(&right), "by {key}, {direction:?}, {limit} on a page");
            }
        }
    }
}

/// Many at once are judged as if each had come alone, in a run of creations and one by one.
pub async fn custom_fields_are_judged_in_bulk<N: Noun>() {
    let bench = Bench::<N>::new().await;
    defined(&bench).await;
    let own = create(&bench, 1, json!({ "size": 1 })).await.expect("a member creates");
    let new =
        |number: usize, size: Value| Operation::Create(Box::new(N::new_with(draft(number), object(json!({ "size": size })))));
    let changed = |size: Value| {
        let changes = N::customizing(object(json!({ "size": size })));
        Operation::Update(Key::Id(id(&own)), Expected::Any, Box::new(changes))
    };
    let operations = vec![new(10, json!(10)), new(11, json!("x")), new(12, json!(12)), changed(json!(true)), changed(json!(2))];
    let mut tx = bench.database.db().begin(&bench.tenant.member).await.expect("a transaction");
    let results = bulk::each::<N::Bulk>(&mut tx, operations, &bulk::everything).await;
    tx.commit().await.expect("refused operations do not fail the commit");
    let mut sizes = Vec::new();
    for (place, result) in results.into_iter().enumerate() {
        match result {
            Ok(Done::Created(record) | Done::Updated(record)) => {
                sizes.push((place, view(&record)["custom_fields"]["size"].clone()));
            }
            refused => assert_eq!(pointers(refused.map(|_| ()), "what does not fit is refused"), ["/custom_fields/size"]),
        }
    }
    assert_eq!(sizes, [(0, json!(10)), (2, json!(12)), (4, json!(2))], "and harms no other");
}
