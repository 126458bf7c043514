//! The shape of an answer: which fields are picked, which related records are embedded.

use crm_kernel::{Page, Result};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    answer::{Created, Found, Listed, Record},
    caller::Caller,
    related::{self, Relation},
    services::Services,
};

/// What the client wants to see of each record.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    /// Only these fields; all when none.
    pub fields: Option<Vec<&'static str>>,
    /// Embed these.
    pub include: Vec<&'static Relation>,
}

impl Shape {
    fn is_plain(&self) -> bool {
        self.fields.is_none() && self.include.is_empty()
    }

    /// A page of records in this shape.
    ///
    /// # Errors
    /// Those of the services that hold the related records.
    pub async fn page<T: Serialize>(&self, services: &Services, caller: &Caller, page: Page<T>) -> Result<Listed<T>> {
        if self.is_plain() {
            return Listed::new(&page);
        }
        let info = page.page;
        let mut records = page.data.iter().map(object).collect::<Result<Vec<_>>>()?;
        self.apply(services, caller, &mut records).await?;
        Listed::new(&Page { data: records, page: info })
    }

    /// One record in this shape.
    ///
    /// # Errors
    /// Those of the services that hold the related records.
    pub async fn record<T: Record>(&self, services: &Services, caller: &Caller, record: T) -> Result<Found<T>> {
        if self.is_plain() {
            // Not by its version alone: a call about a deal, or a day that passes, changes what is shown of it and not its version.
            return Found::shaped(record.version(), &record);
        }
        let mut records = vec![object(&record)?];
        self.apply(services, caller, &mut records).await?;
        Found::shaped(record.version(), &records.pop().unwrap_or_default())
    }

    async fn apply(&self, services: &Services, caller: &Caller, records: &mut [Map<String, Value>]) -> Result<()> {
        // Embedding comes first: it reads the ids, which the client may not have picked.
        let mut embedded: Vec<&str> = Vec::new();
        for relation in &self.include {
            related::embed(services, caller, relation, records).await?;
            embedded.push(relation.name);
        }
        if let Some(fields) = &self.fields {
            for record in records {
                record.retain(|name, _| fields.contains(&name.as_str()) || embedded.contains(&name.as_str()));
            }
        }
        Ok(())
    }
}

/// A new record: always whole, because the client has not seen what the server added.
///
/// # Errors
/// `Internal` when it cannot be written as JSON.
pub fn created<T: Record>(collection: &str, record: &T) -> Result<Created<T>> {
    Created::new(format!("{collection}/{}", record.id()), record)
}

fn object<T: Serialize>(record: &T) -> Result<Map<String, Value>> {
    match serde_json::to_value(record).map_err(crm_kernel::Error::internal)? {
        Value::Object(map) => Ok(map),
        other => Err(crm_kernel::Error::internal(format!("a record must be an object, not {other}"))),
    }
}
