//! Every operation, called in good and in bad ways: what comes back is what the document says, and what the document says can come.

use biscuit_auth::{UnverifiedBiscuit, macros::block};
use crm_gateway::policy::{self, Access};
use crm_kernel::Role;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::support::{
    App, Call, Caller,
    document::{Operation, example},
    judge::Judge,
    requests::{Person, REFUSED},
    world::World,
};

/// Answers that no single request surely brings about: a slow body, a collision, a broken rule that only the database knows, a limit, a
/// fault.
const NOT_BY_ONE_REQUEST: [u16; 6] = [408, 409, 422, 429, 500, 503];

/// More than an address may have.
const LONG_ADDRESS: usize = 16 * 1024 + 1;
/// More than all headers together may have.
const LARGE_HEADER: usize = 32 * 1024 + 1;
/// More than a body may have that says many records, and so more than any.
const LARGE_BODY: usize = 8 * 1024 * 1024;

/// Answers that need another server or another history, and the tests that bring them about.
const ELSEWHERE: [(&str, u16, &str); 5] = [
    ("POST /api/v1/auth/switch", 404, "a right refresh token, and an organisation of others: tests/tokens/sessions.rs"),
    ("POST /api/v1/auth/register", 201, "only where sign-up is open: tests/accounts.rs"),
    ("POST /api/v1/auth/register", 403, "only where sign-up is closed: tests/accounts.rs"),
    ("POST /api/v1/auth/exchange", 403, "an identity that is linked to nobody: tests/external.rs"),
    ("POST /api/v1/auth/invitations/accept", 401, "an address that has an account: tests/invitations.rs"),
];

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_what_the_document_says() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for step in ["closed_won", "prospecting"] {
        let address = format!("deals/{}/stage", world.first("deals"));
        world.member().put(&address, &json!({ "stage": step })).await.expect(200);
    }
    let judge = Judge::new();
    let mut missing = Vec::new();
    for (number, operation) in judge.document.operations().into_iter().enumerate() {
        let trial = Trial::prepare(&app, &world, &judge, operation, &format!("truth-{number}")).await;
        trial.by_the_wrong_people().await;
        trial.at_the_wrong_address().await;
        trial.with_bad_questions().await;
        trial.with_too_much_of_a_head().await;
        trial.with_bad_bodies().await;
        trial.with_secrets_that_open_nothing().await;
        trial.with_parts_at_fault().await;
        trial.with_a_key_that_comes_again().await;
        trial.as_it_should_be().await;
        missing.extend(trial.never_seen());
    }
    let found = judge.found();
    assert!(found.is_empty(), "the document does not promise what came:\n{}", found.join("\n"));
    assert!(missing.is_empty(), "the document promises what did not come:\n{}", missing.join("\n"));
}

/// One operation on trial.
struct Trial<'a> {
    app: &'a App,
    world: &'a World,
    judge: &'a Judge,
    operation: Operation,
    person: Person,
    address: String,
    label: String,
}

impl<'a> Trial<'a> {
    async fn prepare(app: &'a App, world: &'a World, judge: &'a Judge, operation: Operation, label: &str) -> Self {
        let person = match operation.collection() {
            None if operation.method != "GET" => world.newcomer(app, Role::Owner, label).await,
            _ => world.person("owner"),
        };
        let id = match operation.thing() {
            Some(kind) => world.thing(app, kind, &person, label).await,
            None if operation.is_about_an_external_id() => label.to_owned(),
            None => String::new(),
        };
        world.known_elsewhere(&operation, &id, label).await;
        let address = operation.at(&id);
        Self { app, world, judge, operation, person, address, label: label.into() }
    }

    fn access(&self) -> Access {
        policy::OPERATIONS
            .iter()
            .find(|known| known.path == self.operation.path && known.method == self.operation.method)
            .map(|known| known.access)
            .unwrap()
    }

    /// A body that cannot be understood, for requests that are refused before anybody reads it.
    async fn send(&self, caller: &Caller, address: &str, status: u16) {
        let call = caller.call(&self.operation.method, address);
        let call = if self.operation.body_schema().is_some() { call.json(&json!({})) } else { call };
        self.judge.judge(&self.operation, &call.send().await, &[status]);
    }

    async fn by_the_wrong_people(&self) {
        if self.operation.is_public() {
            return;
        }
        self.send(&self.app.nobody(), &self.address, 401).await;
        self.send(&self.app.holder("this is no token"), &self.address, 401).await;
        let nothing = UnverifiedBiscuit::from_base64(self.person.caller.token.as_deref().unwrap()).unwrap();
        let nothing = nothing.append(block!("check if operation(\"nothing\")")).unwrap();
        let nothing = self.app.holder(nothing.to_base64().unwrap());
        // Of many changes each is judged for itself, and what is not there is not there for anybody.
        let status = if self.operation.body_schema() == Some("BulkRequest") { 207 } else { 403 };
        self.refused(&nothing, "nobody", status).await;
        if matches!(self.access(), Access::Write | Access::Manage | Access::Administer | Access::Govern) {
            self.refused(self.world.caller("viewer"), "viewer", 403).await;
        }
    }

    async fn refused(&self, caller: &Caller, who: &str, status: u16) {
        let call = self.call(caller, &self.address, who);
        self.judge.judge(&self.operation, &call.send().await, &[status]);
    }

    /// A request that can be understood; what its body names need not be there, because it is refused for something else.
    fn call(&self, caller: &Caller, address: &str, label: &str) -> Call {
        let call = caller.call(&self.operation.method, address);
        match self.operation.body_schema() {
            Some(schema) => call.json(&example(schema, &format!("{}-{label}", self.label))),
            None => call,
        }
    }

    async fn at_the_wrong_address(&self) {
        if self.operation.is_about_an_external_id() && !self.operation.has_id() {
            let makes = self.operation.method == "PUT";
            let call = self.call(&self.person.caller, &self.operation.at(&format!("{}-unknown", self.label)), "unknown");
            self.judge.judge(&self.operation, &call.send().await, &[if makes { 201 } else { 404 }]);
        }
        if self.operation.path.contains("{stage}") {
            let address = self.address.replace("prospecting", "no_such_stage");
            self.send(&self.person.caller, &address, 404).await;
        }
        if self.operation.has_id() {
            for id in [Uuid::now_v7().to_string(), "no-id".to_owned()] {
                let call = self.call(&self.person.caller, &self.operation.at(&id), &id);
                self.judge.judge(&self.operation, &call.send().await, &[404]);
            }
        }
    }

    async fn with_bad_questions(&self) {
        self.send(&self.person.caller, &format!("{}?colour=red", self.address), 400).await;
        for parameter in self.operation.query() {
            let (name, bad) = (parameter["name"].as_str().unwrap(), "%00%22(");
            // What must be repeated by hand can be understood, and is wrong.
            let status = if name == "confirm" { 422 } else { 400 };
            let call = self.person.caller.call(&self.operation.method, &format!("{}?{name}={bad}", self.address));
            self.judge.judge(&self.operation, &call.send().await, &[status]);
        }
        if self.operation.honours("If-Match") {
            let call = self.call(&self.person.caller, &self.stale_address(), "stale");
            self.judge.judge(&self.operation, &call.header("if-match", "\"0\"").send().await, &[412]);
        }
    }

    async fn with_too_much_of_a_head(&self) {
        let long = format!("{}?colour={}", self.address, "a".repeat(LONG_ADDRESS));
        self.send(&self.person.caller, &long, 414).await;
        let large = self.person.caller.call(&self.operation.method, &self.address).header("x-large", &"a".repeat(LARGE_HEADER));
        self.judge.judge(&self.operation, &large.send().await, &[431]);
    }

    /// Where there is something that must be said besides.
    fn stale_address(&self) -> String {
        match self.operation.takes("confirm") {
            true => format!("{}?confirm={}", self.address, self.world.tenant.slug),
            false => self.address.clone(),
        }
    }

    async fn with_bad_bodies(&self) {
        let Some(schema) = self.operation.body_schema() else { return };
        let schema = &self.judge.document.value["components"]["schemas"][schema];
        let fields = || schema["properties"].as_object().unwrap().iter();
        let wrong: Map<String, Value> = fields().map(|(name, _)| (name.clone(), json!([[]]))).collect();
        let long: Map<String, Value> = fields()
            .filter_map(|(name, property)| Some((name.clone(), json!("é".repeat(property["maxLength"].as_u64()? as usize + 1)))))
            .collect();
        let cases = [
            ("", vec![400]),
            ("{", vec![400]),
            ("[]", vec![400]),
            ("null", vec![400]),
            ("{\"colour\":1}", vec![400]),
            ("{}", vec![200, 201, 202, 204, 400, 422]),
            (&Value::Object(wrong).to_string(), vec![400]),
            (&Value::Object(long).to_string(), vec![200, 400, 422]),
        ];
        // Where nothing is required, an empty body is a right one, and what it does cannot be done twice.
        let is_wrong = |body: &str| body != "{}" || schema.get("required").is_some();
        for (body, statuses) in cases.into_iter().filter(|(body, _)| is_wrong(body)) {
            let call = self.person.caller.call(&self.operation.method, &self.address);
            let call = call.header("content-type", "application/json").text(body.to_owned());
            self.judge.judge(&self.operation, &call.send().await, &statuses);
        }
        let text = self.person.caller.call(&self.operation.method, &self.address).header("content-type", "text/plain").text("{}");
        self.judge.judge(&self.operation, &text.send().await, &[415]);
        let large = json!({ "colour": "a".repeat(LARGE_BODY) });
        let large = self.person.caller.call(&self.operation.method, &self.address).json(&large);
        self.judge.judge(&self.operation, &large.send().await, &[413]);
    }

    /// Where it is the body that says who calls, or what is asked for.
    async fn with_secrets_that_open_nothing(&self) {
        let says = |status: &str| self.operation.value["responses"].get(status).is_some();
        let is_account = self.operation.collection().is_none();
        if is_account && (self.operation.is_public() && says("401") || !self.operation.has_id() && says("404")) {
            let answer = self.call(&self.person.caller, &self.address, "stranger").send().await;
            self.judge.judge(&self.operation, &answer, &[401, 404]);
        }
    }

    /// Where one request says many changes, of which some cannot be done.
    async fn with_parts_at_fault(&self) {
        if self.operation.body_schema() != Some("BulkRequest") {
            return;
        }
        let noun = self.operation.collection().unwrap();
        let known = self.world.fresh(noun, &format!("{}-part", self.label)).await;
        let delete = |id: &str, version: Option<i32>| json!([{ "op": "delete", "id": id, "version": version }]);
        let unknown = Uuid::now_v7().to_string();
        let cases = [
            (json!({ "operations": delete(&unknown, None) }), 207),
            (json!({ "operations": delete(&unknown, None), "atomic": true }), 404),
            (json!({ "operations": delete(&known, Some(99)), "atomic": true }), 412),
            (json!({ "filter": "created_at > now() + 1d", "delete": true, "dry_run": true }), 200),
            (json!({ "filter": "created_at > now() + 1d", "delete": true }), 200),
        ];
        for (body, status) in cases {
            let call = self.person.caller.call(&self.operation.method, &self.address).json(&body);
            self.judge.judge(&self.operation, &call.send().await, &[status]);
        }
    }

    /// Where something is made once: it is answered again, and not when it is gone.
    async fn with_a_key_that_comes_again(&self) {
        let is_made = self.operation.takes_header("Idempotency-Key") && !self.operation.has_id();
        if !is_made || self.operation.body_schema() == Some("BulkRequest") {
            return;
        }
        let schema = self.operation.body_schema().unwrap();
        let body = example(schema, &format!("{}-again", self.label));
        let call = || self.person.caller.call("POST", &self.address).header("idempotency-key", &self.label).json(&body);
        self.judge.judge(&self.operation, &call().send().await, &[201]);
        let again = call().send().await;
        assert_eq!(again.header("idempotency-replayed"), "true", "{}", again.text);
        self.judge.judge(&self.operation, &again, &[201]);
        self.person.caller.call("DELETE", again.header("location")).send().await.expect(204);
        self.judge.judge(&self.operation, &call().send().await, &[404]);
        let other = self.person.caller.call("POST", &self.address).header("idempotency-key", &self.label);
        let other = other.json(&example(schema, &format!("{}-other", self.label)));
        self.judge.judge(&self.operation, &other.send().await, &[422]);
    }

    async fn as_it_should_be(&self) {
        let mut addresses = vec![self.address.clone()];
        if let (Some(kind), "GET") = (self.operation.collection(), self.operation.method.as_str())
            && self.operation.thing() == Some(kind)
            // A member of a campaign is there only where one was made.
            && !self.operation.path.contains("{contact_id}")
            && let Some(records) = self.world.records.get(kind)
        {
            addresses.extend(records.iter().take(3).map(|record| self.operation.at(record["id"].as_str().unwrap())));
        }
        if self.operation.takes("count") {
            addresses.push(format!("{}?count=true&limit=2", self.address));
        }
        for (number, address) in addresses.iter().enumerate() {
            let label = format!("{}-good-{number}", self.label);
            let call = self.world.request_at(self.app, &self.operation, &self.person, address, &label).await;
            let answer = call.header("x-request-id", &label).send().await;
            let refused = REFUSED.iter().find(|(name, ..)| *name == self.operation.name()).map(|(_, status, _)| *status);
            let expected = refused.map_or_else(|| vec![200, 201, 202, 204], |status| vec![status]);
            self.judge.judge(&self.operation, &answer, &expected);
            assert_eq!(answer.header("x-request-id"), label, "{}", answer.name);
        }
        if self.operation.value["responses"].get("304").is_some() {
            let known = self.person.caller.call("GET", &self.address).header("if-none-match", "*");
            self.judge.judge(&self.operation, &known.send().await, &[304]);
        }
    }

    /// What the document promises and none of this brought about.
    fn never_seen(&self) -> Vec<String> {
        let statuses = self.operation.value["responses"].as_object().unwrap().keys().map(|status| status.parse::<u16>().unwrap());
        let refused = REFUSED.iter().any(|(name, ..)| *name == self.operation.name());
        statuses
            .filter(|status| !(NOT_BY_ONE_REQUEST.contains(status) || refused && *status < 300))
            .filter(|status| !ELSEWHERE.iter().any(|(name, known, _)| *name == self.operation.name() && known == status))
            .filter(|status| !self.judge.has_seen(&self.operation, *status))
            .map(|status| format!("{} {status}", self.operation.name()))
            .collect()
    }
}
