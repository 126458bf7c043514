//! Naughty strings in every text field: what is accepted comes back as it was sent, all else is a 4xx, never a 5xx.
//! Driven by the document of the API, so that a new text field is covered by itself.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use support::{
    Answer, App, Caller,
    document::Document,
    world::{NOUNS, World},
};

/// Requests under way at the same time: a few for each of the pool's connections.
const AT_ONCE: usize = 16;

fn strings() -> Vec<String> {
    let mut strings: Vec<String> = serde_json::from_str(include_str!("data/blns.json")).unwrap();
    assert!(strings.len() > 500, "the list must be whole");
    // What the list lacks: U+0000, no characters, the ends of planes, lone marks, what lower case makes longer.
    let more = [
        "\0",
        "a\0b",
        "\u{fffe}\u{ffff}",
        "\u{10ffff}",
        "\u{301}",
        "\u{feff}x",
        "ẞ ǅ Σς Æ",
        "a\u{200d}b",
        "\r\n\t\u{b}\u{85}\u{2028}",
    ];
    strings.extend(more.map(ToOwned::to_owned));
    strings
}

/// What a field holds, as far as a text can be put into it.
#[derive(Clone, Copy, Debug)]
enum Place {
    Text,
    Tags,
    Address,
    Object,
}

impl Place {
    fn filled(self, text: &str) -> Value {
        match self {
            Self::Text => json!(text),
            Self::Tags => json!([text, "second"]),
            Self::Address => json!({ "city": text, "street": text }),
            Self::Object => json!({ "plain": text, "list": [text], text: { text: text } }),
        }
    }
}

/// Every field of a body of this schema that can hold a text.
fn places(document: &Document, schema: &str) -> BTreeMap<String, Place> {
    let mut places = BTreeMap::new();
    for (field, schema) in document.value["components"]["schemas"][schema]["properties"].as_object().unwrap() {
        // Money has more than one type, and is no text.
        let place = match schema["type"].as_str().unwrap_or("any of several") {
            "string" if schema.get("format").is_none() && schema.get("enum").is_none() => Place::Text,
            "array" => Place::Tags,
            "object" if field.ends_with("_address") => Place::Address,
            "object" => Place::Object,
            _ => continue,
        };
        places.insert(field.clone(), place);
    }
    // A stage decides what all else may be: it has a test of its own.
    places.remove("stage");
    assert!(places.len() > 3, "{schema} must have texts: {places:?}");
    places
}

/// What a field shows for what it took: money has one spelling, all else is as it was sent.
fn shown(field: &str, sent: &Value) -> Value {
    match (field, sent.as_str()) {
        ("amount" | "annual_revenue", Some(text)) => {
            text.parse::<crm_kernel::Money>().map_or_else(|_| sent.clone(), |amount| json!(amount))
        }
        _ => sent.clone(),
    }
}

/// Sends the text in all places, and again without those that were refused by name, until it is taken. Returns the
/// answer and the fields that were refused.
async fn taken(
    call: impl AsyncFn(&Value) -> Answer,
    base: &Value,
    places: &BTreeMap<String, Place>,
    text: &str,
) -> (Answer, BTreeSet<String>) {
    let mut refused = BTreeSet::new();
    let mut collisions = 0;
    loop {
        let mut body = base.clone();
        for (field, place) in places.iter().filter(|(field, _)| !refused.contains(*field)) {
            body[field] = place.filled(text);
        }
        let answer = call(&body).await;
        match answer.status {
            200 | 201 => return (answer, refused),
            // Another text was made into the same slug, and is gone in a moment.
            409 if collisions < 500 => collisions += 1,
            400 | 422 => {
                let before = refused.len();
                let fields = answer.pointers().into_iter().map(|pointer| pointer.split('/').nth(1).unwrap().to_owned());
                refused.extend(fields.filter(|field| places.contains_key(field)));
                assert!(refused.len() > before, "{text:?}: a refusal names a field that was sent: {body}: {}", answer.text);
            }
            status => panic!("{text:?} in {body}: {status} {}", answer.text),
        }
    }
}

/// The fields that need not be there take every text by itself; returns how often it was taken and how often refused.
async fn tried(
    caller: &Caller,
    noun: &str,
    number: usize,
    text: &str,
    new: &BTreeMap<String, Place>,
    changes: &BTreeMap<String, Place>,
) -> (usize, usize) {
    let base = match noun {
        "contacts" => json!({ "first_name": "F", "last_name": format!("L{number}") }),
        "deals" => json!({ "name": format!("N{number}"), "stage": "closed_lost", "lost_reason": "too naughty" }),
        "tasks" => json!({ "title": format!("T{number}") }),
        "notes" => json!({ "content": format!("N{number}") }),
        _ => json!({ "name": format!("N{number}") }),
    };
    let (created, refused) = taken(async |body| caller.post(noun, body).await, &base, new, text).await;
    let address = created.header("location").to_owned();
    compare(&caller.get(&address).await.expect(200), new, &refused, text);
    // Emptied first, so that what comes back is from the PATCH.
    let mut emptied = base;
    emptied.as_object_mut().unwrap().retain(|field, _| !["stage", "lost_reason"].contains(&field.as_str()));
    caller.put(&address, &emptied).await.expect(200);
    let (_, refused_by_patch) = taken(async |body| caller.patch(&address, body).await, &json!({}), changes, text).await;
    compare(&caller.get(&address).await.expect(200), changes, &refused_by_patch, text);
    for field in changes.keys() {
        assert_eq!(
            refused.contains(field),
            refused_by_patch.contains(field),
            "{noun}.{field}: POST and PATCH judge {text:?} alike"
        );
    }
    caller.delete(&address).await.expect(204);
    (new.len() - refused.len(), refused.len())
}

#[track_caller]
fn compare(read: &Answer, places: &BTreeMap<String, Place>, refused: &BTreeSet<String>, text: &str) {
    for (field, place) in places.iter().filter(|(field, _)| !refused.contains(*field)) {
        assert_eq!(read.body[field], shown(field, &place.filled(text)), "{}: {field} with {text:?}", read.name);
    }
}

async fn in_every_place(noun: &str, schema: &str) {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let document = Document::of_the_application();
    let (new, changes) = (places(&document, schema), places(&document, &format!("{}Changes", schema.trim_start_matches("New"))));
    let texts: Vec<(usize, String)> = strings().into_iter().enumerate().collect();
    let tries = stream::iter(&texts).map(|(number, text)| tried(world.member(), noun, *number, text, &new, &changes));
    let tallies: Vec<(usize, usize)> = tries.buffer_unordered(AT_ONCE).collect().await;
    let (accepted, refused) = tallies.iter().fold((0, 0), |sum, tally| (sum.0 + tally.0, sum.1 + tally.1));
    assert_eq!(accepted + refused, texts.len() * new.len());
    // A noun of four texts refuses fewer than one of twelve.
    assert!(accepted > refused && refused > texts.len() / 10, "{noun}: {accepted} accepted, {refused} refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_every_text_of_companies() {
    in_every_place(NOUNS[0].0, NOUNS[0].1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_every_text_of_contacts() {
    in_every_place(NOUNS[1].0, NOUNS[1].1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_every_text_of_deals() {
    in_every_place(NOUNS[2].0, NOUNS[2].1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_every_text_of_projects() {
    in_every_place(NOUNS[3].0, NOUNS[3].1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_every_text_of_tasks() {
    in_every_place(NOUNS[4].0, NOUNS[4].1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_every_text_of_notes() {
    in_every_place(NOUNS[5].0, NOUNS[5].1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_every_text_of_campaigns() {
    in_every_place(NOUNS[6].0, NOUNS[6].1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_is_one_of_its_pipeline_and_no_other_text() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let address = format!("deals/{}/stage", world.first("deals"));
    let texts = strings();
    let tries = stream::iter(&texts).map(async |text| {
        world.member().post("deals", &json!({ "name": "N", "stage": text })).await.problem(422, "invalid").names(&["/stage"]);
        world.member().put(&address, &json!({ "stage": text })).await.problem(422, "invalid").names(&["/stage"]);
    });
    let tried: Vec<()> = tries.buffer_unordered(AT_ONCE).collect().await;
    assert_eq!(tried.len(), texts.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn in_every_parameter_of_every_list() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let mut questions = Vec::new();
    for operation in Document::of_the_application().operations().iter().filter(|operation| operation.method == "GET") {
        let id = operation.collection().and_then(|noun| world.records.get(noun)).map(|records| support::world::id(&records[0]));
        if operation.has_id() && id.is_none() || operation.is_about_an_external_id() {
            continue;
        }
        let address = operation.at(&id.unwrap_or_default());
        let names = operation.query().into_iter().map(|parameter| parameter["name"].as_str().unwrap().to_owned());
        for name in names.chain(["no_such_parameter".to_owned()]) {
            questions.push((address.clone(), name));
        }
    }
    let texts = strings();
    // Each text takes its turn at a part of the questions.
    let turns = questions.iter().enumerate().flat_map(|(turn, question)| {
        let is_text = ["name", "email", "slug", "tags", "industry", "title"].contains(&question.1.as_str());
        texts
            .iter()
            .enumerate()
            .filter(move |(number, _)| (is_text && number % 4 == turn % 4) || number % 16 == turn % 16)
            .map(move |(_, text)| (question, text))
    });
    let owner = world.owner();
    let asked = stream::iter(turns).map(async |((address, name), text)| {
        let answer = owner.call("GET", address).query(&[(name.as_str(), text.as_str())]).send().await;
        let what = format!("{address}?{name}={text:?}");
        assert!([200, 400].contains(&answer.status), "{what}: {} {}", answer.status, answer.text);
    });
    let asked: Vec<()> = asked.buffer_unordered(AT_ONCE).collect().await;
    assert!(asked.len() > 2000, "only {} questions", asked.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_found_by_the_text_it_has() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let owner = world.owner();
    let tries = strings().into_iter().map(async |text| {
        let made = owner.post("companies", &json!({ "name": text, "industry": text, "tags": [text] })).await;
        if made.status != 201 {
            return 0;
        }
        for filter in ["name", "industry", "tags"] {
            let found =
                owner.call("GET", "companies").query(&[(filter, text.as_str()), ("id", &made.id())]).send().await.expect(200);
            assert_eq!(found.ids(), [made.id()], "{text:?} by {filter}");
        }
        let condition = |(field, op)| json!({ "field": field, "op": op, "value": text });
        let fields = [("name", "="), ("name", "~"), ("industry", "="), ("industry", "~"), ("tags", ":")].map(condition);
        let own = json!({ "field": "id", "op": "=", "value": made.id() });
        let question = json!({ "where": { "and": [own, { "and": fields }] } });
        assert_eq!(owner.post("companies/search", &question).await.expect(200).ids(), [made.id()], "{text:?} by its JSON form");
        1
    });
    let found: usize = stream::iter(tries).buffer_unordered(AT_ONCE).fold(0, async |sum, one| sum + one).await;
    assert!(found > 350, "only {found} texts were taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_found_by_its_own_spelling_in_every_alphabet() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for name in ["ΝΙΚΟΣ", "İstanbul Lojistik"] {
        let made = world.owner().post("companies", &json!({ "name": name })).await.expect(201).id();
        let found = world.owner().call("GET", "companies").query(&[("name", name)]).send().await.expect(200);
        assert_eq!(found.ids(), [made], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_addresses_headers_and_logins() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let owner = world.owner();
    let texts = strings();
    let tries = stream::iter(texts.iter().enumerate()).map(async |(number, text)| {
        let mut url = reqwest::Url::parse(&owner.base).unwrap();
        url.path_segments_mut().unwrap().extend(["api", "v1", "a-crm", "companies", text]);
        let answer = owner.get(url.path()).await;
        // A client takes dots out of an address by itself.
        let expected = if [".", ".."].contains(&text.as_str()) { [200, 404] } else { [404; 2] };
        assert!(expected.contains(&answer.status), "in an address {text:?}: {} {}", answer.status, answer.text);
        if let Ok(value) = reqwest::header::HeaderValue::from_bytes(text.as_bytes()) {
            let mut request = owner
                .http
                .get(format!("{}/api/v1/a-crm/companies?limit=1", owner.base))
                .bearer_auth(owner.token.as_deref().unwrap());
            for name in ["x-request-id", "user-agent", "if-none-match", "if-range", "accept-language", "referer"] {
                request = request.header(name, value.clone());
            }
            let answer = request.send().await.unwrap();
            assert!(answer.status().is_success(), "in headers {text:?}: {}", answer.status());
        }
        let body = json!({ "email": text, "password": "x", "organization": text });
        // Each from an address of its own: so many wrong logins from one are turned away unread.
        let address = number.to_be_bytes().map(|byte| byte.to_string())[4..].join(".");
        let login = app.nobody().call("POST", "/api/v1/auth/login").header("x-forwarded-for", &address).json(&body).send().await;
        assert!([401, 422].contains(&login.status), "as an e-mail {text:?}: {} {}", login.status, login.text);
    });
    let tried: Vec<()> = tries.buffer_unordered(AT_ONCE).collect().await;
    assert_eq!(tried.len(), texts.len());
}
