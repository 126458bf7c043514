//! What HTTP promises, the same for every noun.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod bin;
mod bodies;
mod contract;
mod lists;
mod order;
mod routes;
mod shapes;
#[path = "../support/mod.rs"]
mod support;
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
    /// Unique among living records, with a value it may have.
    unique: Option<(&'static str, &'static str)>,
}

const NOUNS: [Noun; 4] = [
    Noun {
        path: "companies",
        new: "NewCompany",
        changes: "CompanyChanges",
        name: "name",
        note: "industry",
        unique: Some(("slug", "taken")),
    },
    Noun {
        path: "contacts",
        new: "NewContact",
        changes: "ContactChanges",
        name: "first_name",
        note: "title",
        unique: Some(("email", "taken@example.com")),
    },
    Noun { path: "deals", new: "NewDeal", changes: "DealChanges", name: "name", note: "deal_source", unique: None },
    Noun { path: "projects", new: "NewProject", changes: "ProjectChanges", name: "name", note: "description", unique: None },
];

impl Noun {
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
