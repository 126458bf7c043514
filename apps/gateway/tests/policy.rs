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

use biscuit_auth::{UnverifiedBiscuit, macros::block};
use crm_gateway::policy::{self, Access, OPERATIONS};
use crm_kernel::{Actor, OrganizationId, Role, SessionId, UserId};
use crm_tenancy::token::{Claims, KeyRing, Proof, TokenKey, Use, Verdict};
use support::{
    App,
    document::{Document, Operation},
    requests::{Person, REFUSED},
    roles::{Agreed, COLUMNS, GOLDEN},
    world::{ROLES, World},
};

/// The policy's entry for an operation of the document.
fn known(operation: &Operation) -> &'static policy::Operation {
    let entry = OPERATIONS.iter().find(|known| format!("{} {}", known.method, known.path) == operation.name());
    entry.unwrap_or_else(|| {
        panic!(
            "{} has no entry, so nobody may call it. Say in apps/gateway/src/policy.rs what it takes: \
             operation(\"{}\", \"{}\", \"<entity>:<verb>\", Access::<what it takes>), then run this test with UPDATE_GOLDEN=1",
            operation.name(),
            operation.method,
            operation.path
        )
    })
}

#[test]
fn every_operation_of_the_document_has_an_entry_in_the_policy() {
    let operations = Document::of_the_application().operations();
    let named = operations.iter().filter(|operation| known(operation).name.split(':').count() == 2).count();
    assert_eq!(named, operations.len(), "an entry is called <entity>:<verb>");
}

#[test]
fn every_entry_of_the_policy_is_an_operation_of_the_document_and_there_once() {
    let documented: BTreeSet<String> = Document::of_the_application().operations().iter().map(Operation::name).collect();
    let mut listed = BTreeSet::new();
    for entry in OPERATIONS {
        let name = format!("{} {}", entry.method, entry.path);
        assert!(documented.contains(&name), "the policy knows {name}, which no route serves");
        assert!(listed.insert(name), "{} {} is in the policy twice", entry.method, entry.path);
    }
}

#[test]
fn public_is_what_the_document_says_needs_no_token_and_nothing_else() {
    for operation in Document::of_the_application().operations() {
        assert_eq!(operation.is_public(), known(&operation).access == Access::Public, "{}", operation.name());
    }
}

#[test]
fn the_table_of_roles_is_the_agreed_one() {
    let table = table();
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        fs::write(GOLDEN, &table).unwrap();
    }
    assert_eq!(
        table,
        Agreed::read().text(),
        "who may do what has changed: if that is meant, run this test with UPDATE_GOLDEN=1 and read the difference"
    );
}

/// A line for each operation of the document, a word for each column.
fn table() -> String {
    let keys = KeyRing::from(TokenKey::generate());
    let policy = policy::compile().unwrap();
    let mut table = String::from(
        "# method, path: owner, admin, member, viewer, an owner's token that has been narrowed, nobody\n\
         # yes, 403 (known, but may not) or 401 (not known)\n",
    );
    for operation in Document::of_the_application().operations() {
        let known = known(&operation);
        let wanted = Use { operation: known.name, entity: known.entity(), access: known.access.word(), resource: None };
        let verdicts = COLUMNS.map(|column| match column {
            "nobody" => {
                if known.access == Access::Public {
                    "yes"
                } else {
                    "401"
                }
            }
            column => match policy.decide(&token(&keys, column), &keys, &wanted).unwrap().verdict {
                Verdict::Allowed => "yes",
                Verdict::Denied => "403",
            },
        });
        writeln!(table, "{}: {}", operation.name(), verdicts.join(" ")).unwrap();
    }
    table
}

fn token(keys: &KeyRing, column: &str) -> String {
    let role = if column == "narrowed" { Role::Owner } else { column.parse().unwrap() };
    let claims = Claims {
        user_id: UserId::generate(),
        organization_id: OrganizationId::generate(),
        role,
        actor: Actor::User,
        proof: Proof::Session(SessionId::generate()),
    };
    let token = keys.issue(&claims, Duration::from_secs(60)).unwrap();
    if column == "narrowed" { narrowed(&token) } else { token }
}

/// A token with one more check, which every request passes.
fn narrowed(token: &str) -> String {
    let token = UnverifiedBiscuit::from_base64(token).unwrap();
    token.append(block!("check if operation($operation)")).unwrap().to_base64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_meet_what_the_table_says() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let (agreed, operations) = (Agreed::read(), Document::of_the_application().operations());
    let mut met = 0;
    for (number, operation) in operations.iter().enumerate() {
        for column in COLUMNS {
            let label = format!("tried-{number}-{column}");
            let person = caller(&app, &world, operation, column, &label).await;
            let answer = world.request(&app, operation, &person, &label).await.send().await;
            let what = format!("{} by {column}: {} {}", operation.name(), answer.status, answer.text);
            match agreed.verdict(operation, column) {
                "yes" => {
                    // A request that fails for another reason proves nothing.
                    let refused = REFUSED.iter().find(|(name, ..)| *name == operation.name());
                    let expected = refused.map_or(answer.status < 300, |(_, status, _)| answer.status == *status);
                    assert!(expected, "{what}");
                }
                verdict => assert_eq!(answer.status.to_string(), verdict, "{what}"),
            }
            met += 1;
        }
    }
    assert_eq!(met, operations.len() * COLUMNS.len());
}

/// The caller of this column. What is about oneself or the organisation is done by someone who is there for nothing else.
async fn caller(app: &App, world: &World, operation: &Operation, column: &str, label: &str) -> Person {
    let role = if ROLES.contains(&column) { column } else { "owner" };
    let mut person = match operation.collection() {
        None if operation.method != "GET" => world.newcomer(app, role.parse().unwrap(), label).await,
        _ => world.person(role),
    };
    person.caller.token = match column {
        "nobody" => None,
        "narrowed" => person.caller.token.as_deref().map(narrowed),
        _ => person.caller.token,
    };
    person
}
