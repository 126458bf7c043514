//! The table of roles: whole, agreed in `roles.golden.txt`, and what real requests meet.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

mod support;

use std::{collections::BTreeSet, fmt::Write, fs, time::Duration};

use crm_gateway::policy::{self, Access, OPERATIONS};
use crm_kernel::{OrganizationId, Role, SessionId, UserId};
use crm_tenancy::token::{Claims, TokenKey, Use, Verdict};
use crm_testkit::PASSWORD;
use serde_json::json;
use support::{
    Answer, App, Caller,
    document::{Document, Operation, example},
    world::{ROLES, World},
};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/roles.golden.txt");

#[test]
fn the_policy_and_the_document_know_the_same_operations_once_each() {
    let documented: Vec<String> = Document::of_the_application().operations().iter().map(Operation::name).collect();
    let listed: Vec<String> = OPERATIONS.iter().map(|known| format!("{} {}", known.method, known.path)).collect();
    let (documented_once, listed_once) = (BTreeSet::from_iter(&documented), BTreeSet::from_iter(&listed));
    assert_eq!(listed.len(), listed_once.len(), "an operation is in the policy twice");
    assert_eq!(documented_once, listed_once, "left: the document; right: the policy");
}

#[test]
fn public_is_what_the_document_says_needs_no_token_and_nothing_else() {
    let public = |operation: &&Operation| operation.is_public();
    let documented: Vec<String> =
        Document::of_the_application().operations().iter().filter(public).map(Operation::name).collect();
    assert_eq!(documented, ["POST /api/v1/auth/login", "POST /api/v1/auth/refresh"]);
    let listed = OPERATIONS.iter().filter(|known| known.access == Access::Public);
    assert_eq!(listed.map(|known| format!("{} {}", known.method, known.path)).collect::<Vec<_>>(), documented);
}

#[test]
fn the_table_of_roles_is_the_agreed_one() {
    let table = table();
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        fs::write(GOLDEN, &table).unwrap();
    }
    let golden = fs::read_to_string(GOLDEN).unwrap_or_default();
    assert_eq!(
        table, golden,
        "who may do what has changed: if that is meant, run this test with UPDATE_GOLDEN=1 and read the difference"
    );
}

/// One line for each operation: method, path, and what owner, admin, member, viewer and nobody meet.
fn table() -> String {
    let key = TokenKey::generate();
    let policy = policy::compile().unwrap();
    let mut table = String::from("# owner admin member viewer nobody: yes, 403 (known, but may not) or 401 (not known)\n");
    for known in OPERATIONS {
        let mut line = format!("{} {} {}:", known.name, known.method, known.path);
        for role in ROLES {
            let claims = Claims {
                user_id: UserId::generate(),
                organization_id: OrganizationId::generate(),
                role: role.parse::<Role>().unwrap(),
                session_id: SessionId::generate(),
            };
            let token = key.issue(&claims, Duration::from_secs(60)).unwrap();
            let entity = known.name.split(':').next().unwrap();
            let wanted = Use { operation: known.name, entity, access: known.access.word(), resource: None };
            let (_, verdict) = policy.decide(&token, &key.verifying(), &wanted).unwrap();
            line.push_str(if verdict == Verdict::Allowed { " yes" } else { " 403" });
        }
        line.push_str(if known.access == Access::Public { " yes" } else { " 401" });
        writeln!(table, "{line}").unwrap();
    }
    table
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_meet_what_the_table_says() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let golden = fs::read_to_string(GOLDEN).unwrap();
    let mut met = 0;
    for operation in Document::of_the_application().operations() {
        let line = golden
            .lines()
            .find(|line| line.split(' ').skip(1).collect::<Vec<_>>().join(" ").starts_with(&format!("{}:", operation.name())));
        let verdicts = line.unwrap_or_else(|| panic!("{} is not in the table", operation.name())).rsplit(": ").next().unwrap();
        for (who, verdict) in ROLES.into_iter().chain(["nobody"]).zip(verdicts.split(' ')) {
            let caller = match who {
                "nobody" => app.nobody(),
                // Logging out must not end the session of the requests to come.
                role if operation.path.ends_with("/logout") => app.login(&world.tenant.email(role)).await,
                role => world.caller(role).clone(),
            };
            let answer = try_it(&app, &world, &operation, &caller, &format!("{who}-{met}")).await;
            let refused = if matches!(answer.status, 401 | 403) { answer.status.to_string() } else { "yes".to_owned() };
            assert_eq!(refused, verdict, "{} by {who}: {} {}", operation.name(), answer.status, answer.text);
            met += 1;
        }
    }
    assert_eq!(met, OPERATIONS.len() * 5);
}

/// A request with which nothing is wrong but, perhaps, who calls.
async fn try_it(app: &App, world: &World, operation: &Operation, caller: &Caller, label: &str) -> Answer {
    let id = match operation.collection() {
        Some("activities") => world.owner().get("activities?limit=1").await.expect(200).ids()[0].clone(),
        Some(noun) if operation.has_id() => world.fresh(noun, &format!("policy-{label}")).await,
        _ => String::new(),
    };
    let call = caller.call(&operation.method, &operation.at(&id));
    let body = match operation.body_schema() {
        None => return call.send().await,
        Some("Credentials") => json!({ "email": world.tenant.email("owner"), "password": PASSWORD }),
        Some("RefreshRequest") => json!({ "refresh_token": app.login(&world.tenant.email("owner")).await.refresh_token }),
        Some("SwitchRequest") => json!({ "organization_id": world.tenant.organization_id }),
        Some(schema) => example(schema, &format!("tried-{label}")),
    };
    call.json(&body).send().await
}
