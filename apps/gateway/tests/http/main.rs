//! What HTTP promises, the same for every noun.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod bin;
mod bodies;
mod contacts;
mod contract;
mod lists;
mod notes;
mod order;
mod routes;
mod shapes;
#[path = "../support/mod.rs"]
mod support;
mod tasks;
mod versions;

use serde_json::{Value, json};
use support::document::example;

/// A noun, as far as these tests must know it.
#[derive(Clone, Copy)]
struct Noun {
    path: &'static str,
    new: &'static str,
    changes: &'static str,
    /// Required text.
    name: &'static str,
    /// Text that may be null.
    note: &'static str,
    /// Text that lists are sorted by.
    sort: &'static str,
    /// The person whose record it is, as relations call them.
    person: &'static str,
    /// Unique among living records, with a value it may have.
    unique: Option<(&'static str, &'static str)>,
}

const NOUNS: [Noun; 6] = [
    Noun {
        path: "companies",
        new: "NewCompany",
        changes: "CompanyChanges",
        name: "name",
        note: "industry",
        sort: "name",
        person: "owner",
        unique: Some(("slug", "taken")),
    },
    Noun {
        path: "contacts",
        new: "NewContact",
        changes: "ContactChanges",
        name: "first_name",
        note: "title",
        sort: "last_name",
        person: "owner",
        unique: Some(("email", "taken@example.com")),
    },
    Noun {
        path: "deals",
        new: "NewDeal",
        changes: "DealChanges",
        name: "name",
        note: "deal_source",
        sort: "name",
        person: "owner",
        unique: None,
    },
    Noun {
        path: "projects",
        new: "NewProject",
        changes: "ProjectChanges",
        name: "name",
        note: "description",
        sort: "name",
        person: "owner",
        unique: None,
    },
    Noun {
        path: "tasks",
        new: "NewTask",
        changes: "TaskChanges",
        name: "title",
        note: "description",
        sort: "title",
        person: "assigned_to",
        unique: None,
    },
    Noun {
        path: "campaigns",
        new: "NewCampaign",
        changes: "CampaignChanges",
        name: "name",
        note: "description",
        sort: "name",
        person: "owner",
        unique: None,
    },
];

impl Noun {
    /// The field with the id of the person whose record it is.
    fn person_id(&self) -> String {
        format!("{}_id", self.person)
    }

    /// A body with which nothing is wrong.
    fn body(&self, label: &str) -> Value {
        example(self.new, label)
    }

    /// One field and nothing else.
    fn patch(field: &str, value: impl Into<Value>) -> Value {
        let mut body = json!({});
        body[field] = value.into();
        body
    }
}
