//! The document as a judge: whether an answer is one that it promises.

use std::{cell::RefCell, collections::BTreeSet};

use crm_testkit::schemas::Schemas;
use serde_json::{Value, json};

use super::{
    Answer,
    document::{Document, Operation},
};

/// Compares answers with the document, and remembers what it has seen.
pub struct Judge {
    pub document: Document,
    schemas: Schemas,
    seen: RefCell<BTreeSet<(String, u16)>>,
    found: RefCell<Vec<String>>,
}

impl Judge {
    pub fn new() -> Self {
        let document = Document::of_the_application();
        let schemas = Schemas::of(&document.value["components"]);
        Self { document, schemas, seen: RefCell::default(), found: RefCell::default() }
    }

    /// Notes an answer to this operation, which must have one of these statuses and be promised by the document.
    pub fn judge(&self, operation: &Operation, answer: &Answer, statuses: &[u16]) {
        let mut faults = self.faults(operation, answer);
        if !statuses.contains(&answer.status) {
            faults.push(format!("{statuses:?} was expected"));
        }
        self.seen.borrow_mut().insert((operation.name(), answer.status));
        let text: String = answer.text.chars().take(400).collect();
        let named = faults.into_iter().map(|fault| format!("{}: {} {fault}\n    in {text}", operation.name(), answer.status));
        self.found.borrow_mut().extend(named);
    }

    /// What was found so far.
    pub fn found(&self) -> Vec<String> {
        self.found.borrow().clone()
    }

    /// Whether the operation was seen to answer with this status.
    pub fn has_seen(&self, operation: &Operation, status: u16) -> bool {
        self.seen.borrow().contains(&(operation.name(), status))
    }

    fn faults(&self, operation: &Operation, answer: &Answer) -> Vec<String> {
        let Some(response) = operation.value["responses"].get(answer.status.to_string()) else {
            return vec!["the document does not know this status".into()];
        };
        let response = self.document.resolve(response);
        let mut faults = self.header_faults(response, answer);
        let Some(content) = response["content"].as_object() else {
            faults.extend((!answer.text.is_empty()).then(|| "there is a body, and the document has none".to_owned()));
            return faults;
        };
        match content.get(answer.header("content-type")) {
            None => faults.push(format!("its type is {}", answer.header("content-type"))),
            Some(media) => faults.extend(self.value_faults(&media["schema"], &answer.body)),
        }
        faults
    }

    fn header_faults(&self, response: &Value, answer: &Answer) -> Vec<String> {
        let promised = response["headers"].as_object();
        let promised: Vec<_> =
            promised.into_iter().flatten().map(|(name, header)| (name, self.document.resolve(header))).collect();
        let mut faults = Vec::new();
        for (name, header) in &promised {
            match answer.headers.get(name.as_str()).and_then(|value| value.to_str().ok()) {
                None => faults.extend((header["required"] == true).then(|| format!("the header {name} is not there"))),
                Some(text) => faults.extend(
                    self.value_faults(&header["schema"], &json!(text))
                        .into_iter()
                        .map(|fault| format!("the header {name}: {fault}")),
                ),
            }
        }
        for name in
            ["etag", "location", "retry-after", "www-authenticate", "ratelimit", "ratelimit-policy", "idempotency-replayed"]
        {
            if answer.headers.contains_key(name) && !promised.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                faults.push(format!("the document does not know its header {name}"));
            }
        }
        faults
    }

    /// What is wrong with a value by a schema of the document.
    pub fn value_faults(&self, schema: &Value, value: &Value) -> Vec<String> {
        self.schemas.faults(schema, value)
    }
}
