//! The question for a timeline: where to go on, how much, and which kinds of lines.
//!
//! Must stay true: a kind that is asked for and that the token may not read is refused; one that is not asked for is left out.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use crm_activities::timeline::{self, Names, Subject, TimelineKind, TimelineQuestion};
use crm_kernel::{
    Error, FieldError, Result,
    filter::bounds::MOST_VALUES,
    query::{DEFAULT_LIMIT, LARGEST_LIMIT},
};
use paperclip::{
    actix::OperationModifier,
    v2::{
        models::{CollectionFormat, DataType, DefaultOperationRaw, Either, Items},
        schema::Apiv2Schema,
    },
};
use uuid::Uuid;

use super::{described::parameter, limit, pairs, repeated};
use crate::{caller::Caller, problem::Problem, services::Services};

/// The parameters of a timeline, not yet understood.
#[derive(Debug)]
pub struct TimelineParameters {
    pairs: Vec<(String, String)>,
}

impl TimelineParameters {
    /// Understands them for this caller and this record.
    ///
    /// # Errors
    /// `Malformed` with every bad parameter, `Forbidden` when a kind was asked for that the token may not read.
    pub fn read(&self, services: &Services, caller: &Caller, subject: Subject, id: Uuid) -> Result<TimelineQuestion> {
        let (mut query, mut cursor) = (timeline::question(id), None);
        let mut errors = repeated(&self.pairs, &["limit", "cursor"]);
        for (name, value) in &self.pairs {
            let understood = match name.as_str() {
                "limit" => limit(value).map(|limit| query.limit = limit),
                "cursor" => {
                    cursor = Some(value);
                    Ok(())
                }
                "kind" => query.filter.add(&caller.context, &timeline::KIND, value),
                name => Err(FieldError::new(name, "unknown", "allowed here: limit, cursor, kind")),
            };
            errors.extend(understood.err());
        }
        if !errors.is_empty() {
            return Err(Error::Malformed(errors));
        }
        if let Some(cursor) = cursor {
            query = query.continue_after(cursor)?;
        }
        let asked = query.filter.texts(timeline::KIND.name);
        let mut entities = Vec::new();
        for entity in subject.shows() {
            let kind = TimelineKind::of(subject, entity).as_str();
            if asked.as_ref().is_some_and(|asked| !asked.iter().any(|asked| asked == kind)) {
                continue;
            }
            match may_read(services, caller, subject, id, entity) {
                Ok(()) => entities.push(*entity),
                Err(Error::Forbidden(_)) if asked.is_none() => {}
                Err(error) => return Err(error),
            }
        }
        let names = match caller.may_read(services, "member", None) {
            Ok(()) => Names::Shown,
            Err(Error::Forbidden(_)) => Names::Hidden,
            Err(error) => return Err(error),
        };
        Ok(TimelineQuestion { subject, id, entities, names, query })
    }
}

/// The record itself by its id; whatever else shows on its page only to those who may read all of that kind.
fn may_read(services: &Services, caller: &Caller, subject: Subject, id: Uuid, entity: &str) -> Result<()> {
    if entity == subject.name() {
        return caller.may_read(services, entity, Some(id));
    }
    // A contact's line says what the campaign is called.
    if entity == "campaign_contact" {
        caller.may_read(services, "campaign", None)?;
    }
    caller.may_read(services, entity, None)
}

impl FromRequest for TimelineParameters {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(pairs(request).map(|pairs| Self { pairs }))
    }
}

impl Apiv2Schema for TimelineParameters {}

impl OperationModifier for TimelineParameters {
    fn update_parameter(operation: &mut DefaultOperationRaw) {
        let mut size = parameter("limit", &format!("Lines per page, 1 to {LARGEST_LIMIT}."), DataType::Integer);
        (size.minimum, size.maximum, size.default) = (Some(1.0), Some(f32::from(LARGEST_LIMIT)), Some(DEFAULT_LIMIT.into()));
        let cursor = "Where to go on: `page.next_cursor` of the page before, with the same kinds.";
        let mut kind = parameter("kind", "Only lines of these kinds.", DataType::Array);
        let words = TimelineKind::WORDS.iter().map(|word| (*word).into()).collect();
        kind.items = Some(Items { data_type: Some(DataType::String), enum_: words, ..Default::default() });
        kind.max_items = u32::try_from(MOST_VALUES).ok();
        kind.collection_format = Some(CollectionFormat::Multi);
        for parameter in [size, parameter("cursor", cursor, DataType::String), kind] {
            operation.parameters.push(Either::Right(parameter));
        }
    }
}
