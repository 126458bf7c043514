//! The question as a body, for programs that build questions: `POST /{noun}/search`.
//!
//! Must stay true: it means what the same words in a query string mean, and every bad part is named by its pointer.

use crm_kernel::{Condition, Error, FieldError, ListQuery, Object, Result};
use paperclip::actix::Apiv2Schema;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Noun, counted,
    custom::{self, Defined},
    every, included, limit, narrowed, picked, sort,
};
use crate::{body::Input, caller::Caller, services::Services, shape::Shape};

/// A question to a list.
#[derive(Debug, Clone, Default, Deserialize, Apiv2Schema)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    /// What the records must be like; all of them when absent.
    #[serde(default, rename = "where")]
    pub condition: Option<Object>,
    /// One key; a leading `-` turns the order round.
    #[serde(default)]
    pub sort: Option<String>,
    /// Records per page.
    #[serde(default)]
    pub limit: Option<i64>,
    /// Where to go on: `page.next_cursor` of the page before, with the same condition and sort.
    #[serde(default)]
    pub cursor: Option<String>,
    /// Only these fields.
    #[serde(default)]
    pub fields: Option<Vec<String>>,
    /// Embed these related records.
    #[serde(default)]
    pub include: Option<Vec<String>>,
    /// Whether to count what matches, up to a bound.
    #[serde(default)]
    pub count: Option<bool>,
}

impl Input for SearchRequest {
    /// What the words mean depends on the noun: see [`SearchRequest::read`].
    fn check(&self) -> Result<()> {
        let limit = self.limit.map_or(Ok(1), |wanted| limit(&wanted.to_string()));
        limit.map(|_| ()).map_err(|error| Error::Invalid(vec![in_body(error)]))
    }
}

impl SearchRequest {
    /// Whether it could be about custom fields.
    fn mentions_custom_fields(&self) -> bool {
        let condition =
            self.condition.as_ref().is_some_and(|Object(asked)| Value::Object(asked.clone()).to_string().contains(custom::FIELD));
        condition || self.sort.as_ref().is_some_and(|sort| sort.contains(custom::FIELD))
    }

    /// Understands it for this caller.
    ///
    /// # Errors
    /// `Malformed` with every bad part.
    pub async fn read<N: Noun>(&self, services: &Services, caller: &Caller) -> Result<(ListQuery, Shape)> {
        let (mut query, mut shape, mut errors) = (every::<N>(), Shape::default(), Vec::new());
        let mut condition = None;
        let defined = Defined::of::<N>(services, caller, self.mentions_custom_fields()).await?;
        let vocabulary = N::vocabulary();
        if let Some(Object(asked)) = &self.condition {
            match Condition::from_json_with(&Value::Object(asked.clone()), "/where", &defined.known(&vocabulary)) {
                Ok(understood) => condition = Some(understood),
                Err(error) => errors.push(error),
            }
        }
        let mut note = |understood: Result<(), FieldError>| errors.extend(understood.err().map(in_body));
        if let Some(wanted) = self.limit {
            note(limit(&wanted.to_string()).map(|limit| query.limit = limit));
        }
        if let Some(wanted) = &self.sort {
            note(sort::<N>(&mut query, wanted, &defined));
        }
        if let Some(wanted) = &self.fields {
            note(picked::<N>(wanted.iter().map(String::as_str)).map(|fields| shape.fields = Some(fields)));
        }
        if let Some(wanted) = &self.include {
            note(included::<N>(wanted.iter().map(String::as_str)).map(|relations| shape.include = relations));
        }
        query.count = counted(self.count == Some(true));
        if !errors.is_empty() {
            return Err(Error::Malformed(errors));
        }
        query.filter = narrowed(services, caller, query.filter, condition).await.map_err(in_where)?;
        let query = match &self.cursor {
            Some(cursor) => query.continue_after(cursor).map_err(all_in_body)?,
            None => query,
        };
        Ok((query, shape))
    }
}

/// The same complaint about a part of a body.
fn in_body(error: FieldError) -> FieldError {
    FieldError { pointer: format!("/{}", error.pointer), ..error }
}

fn all_in_body(error: Error) -> Error {
    match error {
        Error::Malformed(errors) => Error::Malformed(errors.into_iter().map(in_body).collect()),
        other => other,
    }
}

/// What turns out to be wrong only for this caller and moment, or only in this organisation, has no pointer of its own.
pub(crate) fn in_where(error: Error) -> Error {
    asked_at("/where", error)
}

/// The same complaint about a question that stands at this place of a body.
pub(crate) fn asked_at(pointer: &str, error: Error) -> Error {
    let moved =
        |errors: Vec<FieldError>| errors.into_iter().map(|error| FieldError { pointer: pointer.to_owned(), ..error }).collect();
    match error {
        Error::Malformed(errors) => Error::Malformed(moved(errors)),
        Error::TooCostly(errors) => Error::TooCostly(moved(errors)),
        other => other,
    }
}
