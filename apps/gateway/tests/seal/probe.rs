//! Two tenants, and the comparison: what one of them is told about the other's things and about things that never were.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;
use uuid::Uuid;

use crate::support::{
    Answer, App,
    document::{Document, Operation},
    requests::THINGS,
    world::World,
};

/// What every text of the other tenant contains.
pub const MARK: &str = "umbrella";

/// Acme asks, Umbrella must not exist.
pub struct Bench {
    pub app: App,
    pub acme: World,
    pub umbrella: World,
    /// One id of every kind of thing that Umbrella has.
    pub foreign: BTreeMap<&'static str, String>,
    /// Every id in every table of Umbrella that is not Acme's too.
    forbidden: HashSet<String>,
}

impl Bench {
    pub async fn new() -> Self {
        let app = App::start().await;
        let (acme, umbrella) = (World::create(&app, "Acme").await, World::create(&app, "Umbrella").await);
        // Someone who belongs to both.
        for tenant in [&acme.tenant, &umbrella.tenant] {
            app.database.add_member(tenant.organization_id, "both@example.com", crm_kernel::Role::Member).await;
        }
        let foreign = one_of_each(&app, &umbrella).await;
        let (own, theirs) = (all_ids(&app, &acme).await, all_ids(&app, &umbrella).await);
        let forbidden: HashSet<String> = theirs.difference(&own).cloned().collect();
        assert!(forbidden.len() > 30, "the other tenant must have something to hide: {}", forbidden.len());
        Self { app, acme, umbrella, foreign, forbidden }
    }

    /// Both answers are the same, apart from what was asked for, and neither contains anything of Umbrella.
    #[track_caller]
    pub fn alike(&self, what: &str, foreign: &Asked, never: &Asked) {
        self.seal_holds(what, foreign);
        self.seal_holds(what, never);
        let (left, right) = (foreign.normalized(), never.normalized());
        assert_eq!(left, right, "{what}: left: the other tenant's; right: one that never existed");
        assert!(foreign.answer.status < 500, "{what}: {}", foreign.answer.text);
    }

    /// The answer contains no id and no text of Umbrella but what was asked for.
    #[track_caller]
    pub fn seal_holds(&self, what: &str, asked: &Asked) {
        let text = asked.blank(&format!("{:?} {}", asked.answer.headers, asked.answer.text));
        assert!(!text.to_lowercase().contains(MARK), "{what} shows a value of the other tenant: {text}");
        for word in text.split(|letter: char| !letter.is_ascii_hexdigit() && letter != '-').filter(|word| word.len() == 36) {
            assert!(!self.forbidden.contains(word), "{what} shows the other tenant's id {word}: {text}");
        }
    }
}

/// An answer, and the words of its question that it may repeat.
pub struct Asked {
    pub answer: Answer,
    pub words: Vec<String>,
}

impl Asked {
    pub fn new(answer: Answer, words: &[&str]) -> Self {
        Self { answer, words: words.iter().map(|word| (*word).to_owned()).collect() }
    }

    fn blank(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (number, word) in self.words.iter().enumerate().filter(|(_, word)| !word.is_empty()) {
            text = text.replace(word.as_str(), &format!("<{number}>"));
        }
        text
    }

    /// Status, headers and body without what differs from request to request.
    fn normalized(&self) -> (u16, Vec<(String, String)>, Value) {
        let varying = ["date", "x-request-id", "content-length"];
        let headers = self.answer.headers.iter().filter(|(name, _)| !varying.contains(&name.as_str()));
        let mut headers: Vec<_> = headers.map(|(name, value)| (name.to_string(), self.blank(value.to_str().unwrap()))).collect();
        headers.sort();
        let mut body = serde_json::from_str(&self.blank(&self.answer.text)).unwrap_or(Value::Null);
        forget_times(&mut body);
        (self.answer.status, headers, body)
    }
}

fn forget_times(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(forget_times),
        Value::Object(map) => {
            for (name, value) in map {
                match name.as_str() {
                    "request_id" | "created_at" | "updated_at" | "last_activity_at" => *value = Value::Null,
                    _ => forget_times(value),
                }
            }
        }
        _ => {}
    }
}

/// Every value of every uuid column in the rows of this organisation.
async fn all_ids(app: &App, world: &World) -> HashSet<String> {
    let organization = world.tenant.organization_id;
    let columns = format!(
        "SELECT format('SELECT %I::text FROM %I.%I WHERE organization_id = ''{organization}''', uuids.column_name, uuids.table_schema, uuids.table_name)
           FROM information_schema.columns AS uuids
           JOIN information_schema.columns AS tenants USING (table_schema, table_name)
           JOIN information_schema.tables USING (table_schema, table_name)
          WHERE table_schema IN ('public', 'identity') AND table_type = 'BASE TABLE'
            AND uuids.udt_name = 'uuid' AND tenants.column_name = 'organization_id'"
    );
    let queries = app.database.texts(&columns).await;
    assert!(queries.len() > 20, "tables with tenants must be found: {queries:?}");
    let ids = app.database.texts(&queries.join(" UNION ")).await;
    ids.into_iter().filter(|id| !id.is_empty()).collect()
}

async fn one_of_each(app: &App, world: &World) -> BTreeMap<&'static str, String> {
    let mut ids = BTreeMap::new();
    for &kind in THINGS {
        let id = match world.records.contains_key(kind) {
            true => world.first(kind),
            false => world.thing(app, kind, &world.person("owner"), &format!("{MARK}-{kind}")).await,
        };
        ids.insert(kind, id);
    }
    ids
}

/// An id that never was.
pub fn never() -> String {
    Uuid::now_v7().to_string()
}

/// Operations whose parameters these tests understand; a new kind of parameter fails here by its name.
pub fn understood() -> (Document, Vec<Operation>) {
    let document = Document::of_the_application();
    let operations = document.operations();
    for operation in &operations {
        let known = operation.thing().is_none_or(|kind| THINGS.contains(&kind));
        assert!(known, "say in tests/support/requests.rs how there is what {} names", operation.name());
        // Those that operations share are headers of every noun's, and name no record.
        let own =
            operation.value["parameters"].as_array().into_iter().flatten().filter(|parameter| parameter.get("$ref").is_none());
        for parameter in own {
            let (name, place) = (parameter["name"].as_str().unwrap(), parameter["in"].as_str().unwrap());
            let known = match place {
                // What another system calls a record is the caller's own word: tests/bulk tries those of others. So is a stage.
                "path" => ["id", "contact_id", "source", "external_id", "stage"].contains(&name),
                "header" => ["If-Match", "Idempotency-Key"].contains(&name),
                _ => {
                    ["filter", "limit", "cursor", "sort", "count", "deleted", "fields", "include"].contains(&name)
                        || ["confirm", "reassign_to", "occurred_from", "occurred_until", "period", "periods"].contains(&name)
                        // Another organisation's pipeline is tried in crates/deals/tests/stages_that_go.rs.
                        || name == "move_deals_to"
                        // A kind of record: a word, no id.
                        || name == "entity"
                        || parameter["schema"]["type"] == "array"
                }
            };
            assert!(known, "teach tests/seal what {place} parameter {name} of {} is", operation.name());
        }
    }
    (document, operations)
}
