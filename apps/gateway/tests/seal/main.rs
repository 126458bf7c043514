//! The seal, seen from outside: with a token of one organisation, whatever belongs to another gets the status and the
//! body of what never existed. Driven by the document of the API, so that a new operation is covered or fails by name.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod bodies;
mod probe;
mod questions;
#[path = "../support/mod.rs"]
mod support;

use futures_util::future::join_all;
use probe::{Asked, Bench, never, understood};
use serde_json::{Value, json};
use support::{
    document::{Operation, example},
    roles::Agreed,
    world::{ROLES, id},
};

/// What else is said in a request that names an id: nothing of it may be judged before the id is.
fn variants(operation: &Operation) -> Vec<(&'static str, Option<&'static str>, Option<Value>)> {
    let body = operation.body_schema().map(|schema| example(schema, "sealed"));
    let mut variants =
        vec![("plain", None, body.clone()), ("stale", Some("\"999\""), body.clone()), ("fresh", Some("\"1\""), body.clone())];
    if let Some(mut bad) = body.filter(|body| body.get("name").or(body.get("first_name")).is_some()) {
        bad["tags"] = json!([" "]);
        variants.push(("bad value", None, Some(bad.clone())));
        bad["no_such_field"] = json!(1);
        variants.push(("unknown field", None, Some(bad)));
    }
    variants
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_in_an_address() {
    let bench = Bench::new().await;
    let (_, operations) = understood();
    let mut compared = 0;
    for operation in operations.iter().filter(|operation| operation.has_id()) {
        let noun = operation.thing().unwrap();
        let foreign = |(kind, id): (&&'static str, &String)| ((*kind).to_owned(), id.clone());
        let mut ids: Vec<(String, String)> = bench.foreign.iter().map(foreign).collect();
        if let Some(records) = bench.umbrella.records.get(noun) {
            ids.push(("in the bin".to_owned(), id(records.last().unwrap())));
        }
        for (kind, foreign) in ids {
            for (variant, if_match, body) in
                variants(operation).into_iter().filter(|(variant, ..)| kind == noun || *variant == "plain")
            {
                let of_roles = ROLES.map(|role| {
                    let (bench, kind, foreign, body) = (&bench, &kind, &foreign, &body);
                    async move {
                        let (never, what) = (never(), format!("{} by {role}, {kind}, {variant}", operation.name()));
                        let ask = async |id: &str| {
                            let call = bench.acme.caller(role).call(&operation.method, &operation.at(id));
                            let call = if_match.into_iter().fold(call, |call, tag| call.header("if-match", tag));
                            let call = body.iter().fold(call, |call, body| call.json(body));
                            Asked::new(call.send().await, &[id])
                        };
                        bench.alike(&what, &ask(foreign).await, &ask(&never).await);
                    }
                });
                compared += join_all(of_roles).await.len();
            }
        }
    }
    assert!(compared > 1000, "only {compared} comparisons");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_address_names_is_not_there() {
    let bench = Bench::new().await;
    let (agreed, (_, operations)) = (Agreed::read(), understood());
    for operation in operations.iter().filter(|operation| operation.has_id()) {
        let id = &bench.foreign[operation.thing().unwrap()];
        for role in ROLES {
            let call = bench.acme.caller(role).call(&operation.method, &operation.at(id));
            let body = operation.body_schema().map(|schema| example(schema, "sealed"));
            let answer = body.iter().fold(call, |call, body| call.json(body)).send().await;
            // Who may not know that there are such things hears 403, whatever the id.
            if answer.status == 403 && operation.collection().is_none() && !agreed.may(operation, role) {
                continue;
            }
            answer.problem(404, "not_found");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_contains_a_value_of_another_tenant() {
    let bench = Bench::new().await;
    let (_, operations) = understood();
    let (agreed, mut seen) = (Agreed::read(), 0);
    for operation in operations.iter().filter(|operation| operation.method == "GET") {
        let mut shapes = vec![String::new()];
        if operation.takes("limit") {
            let counted = if operation.takes("count") { "&count=true" } else { "" };
            shapes = vec![format!("?limit=200{counted}")];
        }
        if let Some(relations) = relations(operation) {
            shapes.push(format!("?include={relations}"));
        }
        for role in ROLES.into_iter().filter(|role| agreed.may(operation, role)) {
            let caller = bench.acme.caller(role);
            for id in bench.own(operation, role).await {
                for shape in &shapes {
                    let answer = caller.get(&format!("{}{shape}", operation.at(&id))).await.expect(200);
                    bench.seal_holds(&format!("{} by {role}{shape}", operation.name()), &Asked::new(answer, &[]));
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 200, "only {seen} answers");
}

/// What the operation can embed, as its description says.
fn relations(operation: &Operation) -> Option<String> {
    let include = operation.query().into_iter().find(|parameter| parameter["name"] == "include")?;
    let (_, names) = include["description"].as_str()?.split_once(": ").unwrap();
    Some(names.trim_end_matches('.').replace(", ", ","))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_organisation_comes_from_the_token_alone() {
    let bench = Bench::new().await;
    let theirs = bench.umbrella.tenant.organization_id.to_string();
    let plain = bench.acme.owner().get("companies").await.expect(200);
    for name in ["x-organization-id", "x-tenant-id", "organization_id", "x-org-id", "x-user-id", "x-role"] {
        let answer = bench.acme.owner().call("GET", "companies").header(name, &theirs).send().await.expect(200);
        assert_eq!(answer.body, plain.body, "{name} must mean nothing");
    }
    bench
        .acme
        .owner()
        .get(&format!("companies?organization_id={theirs}"))
        .await
        .problem(400, "malformed")
        .names(&["organization_id"]);
    let body = json!({ "name": "Smuggled", "organization_id": theirs });
    bench.acme.owner().post("companies", &body).await.problem(400, "malformed").names(&["/organization_id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_into_another_organisation_is_one_into_none() {
    let bench = Bench::new().await;
    let enter = async |slug: &str, password: &str| {
        let body = json!({ "email": bench.acme.tenant.email("owner"), "password": password, "organization": slug });
        Asked::new(bench.app.nobody().post("/api/v1/auth/login", &body).await.expect(401), &[slug])
    };
    let theirs = enter(&bench.umbrella.tenant.slug, crm_testkit::PASSWORD).await;
    bench.alike("their organisation", &theirs, &enter("never", crm_testkit::PASSWORD).await);
    bench.alike("a wrong password", &enter(&bench.acme.tenant.slug, "wrong password").await, &theirs);
}

impl Bench {
    /// Ids of Acme that the operation's address can name; one empty word when it names none.
    pub async fn own(&self, operation: &Operation, role: &str) -> Vec<String> {
        match operation.thing() {
            None if operation.is_about_an_external_id() => {
                let name = never();
                self.acme.known_elsewhere(operation, &name, &name).await;
                vec![name]
            }
            None => vec![String::new()],
            Some("activities") => self.acme.owner().get("activities?limit=5").await.expect(200).ids(),
            // A member of a campaign is there only where one was made.
            Some(kind) => match self.acme.records.get(kind).filter(|_| !operation.path.contains("{contact_id}")) {
                Some(records) => records.iter().take(3).map(id).collect(),
                None => vec![self.acme.thing(&self.app, kind, &self.acme.person(role), &never()).await],
            },
        }
    }
}
