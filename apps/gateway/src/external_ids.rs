//! Records by what other systems call them: found, made or changed, and named so.

use crm_kernel::{Error, Expected, Result};
use crm_tenancy::{
    bulk::{self, Done, Key, Noun as _},
    external_ids::{self, ExternalId, NamedElsewhere},
};
use paperclip::{
    actix::{Apiv2Schema, OperationModifier},
    v2::{models::DefaultOperationRaw, schema::Apiv2Schema},
};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    answer::{Created, Definitions, Empty, Found, answers, define, reference},
    body::EitherBody,
    bulk::{ChangesOf, NewOf, Noun, RecordOf, external_id, permitted},
    caller::{Caller, PartsCaller},
    policy::Access,
    problem::Answer,
    services::Services,
    shape::created,
};

/// What other systems call a record; the first thousand names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Apiv2Schema)]
pub struct ExternalIdList {
    /// Its names, oldest first.
    pub data: Vec<NamedElsewhere>,
}

/// 201 with a record that was made, or 200 with one that was changed.
#[derive(Debug)]
pub enum Upserted<T> {
    /// It was not there.
    Created(Created<T>),
    /// It was.
    Updated(Found<T>),
}

const fn name_of<N: Noun>() -> &'static str {
    <N::Bulk as bulk::Noun>::ENTITY.name
}

/// The living record with this name.
///
/// # Errors
/// `NotFound` when there is none; `Forbidden` when the token does not reach it.
pub async fn get<N: Noun>(services: &Services, caller: &PartsCaller, source: String, id: String) -> Answer<Found<RecordOf<N>>> {
    // What cannot be a name is none.
    let name = external_id(source, id).map_err(|_| Error::NotFound(name_of::<N>()))?;
    let mut tx = services.db.begin(&caller.0.context).await?;
    let id = external_ids::find(&mut tx, name_of::<N>(), &name).await?.ok_or(Error::NotFound(name_of::<N>()))?;
    let record = N::Bulk::living(&mut tx, &[id]).await?.pop().ok_or(Error::NotFound(name_of::<N>()))?;
    caller.permits(services, name_of::<N>(), "get", Access::Read, Some(id))?;
    Ok(Found::plain(&record)?)
}

/// Changes the record with this name, or makes it.
///
/// # Errors
/// Those of creating and changing; `Conflict` when the record lies in the bin.
pub async fn upsert<N: Noun>(
    services: &Services,
    caller: &PartsCaller,
    name: (String, String),
    expected: &Expected,
    body: EitherBody<NewOf<N>, ChangesOf<N>>,
) -> Answer<Upserted<RecordOf<N>>> {
    let key = Key::External(external_id(name.0, name.1)?);
    let permit = |action: bulk::Action, id: Option<Uuid>| permitted::<N>(services, caller, action, id);
    let mut tx = services.db.begin(&caller.0.context).await?;
    let done = bulk::upsert::<N::Bulk>(&mut tx, key, expected, body.new, &body.changes, &permit).await?;
    tx.commit().await?;
    match done {
        Done::Created(record) => Ok(Upserted::Created(created(N::COLLECTION, &record)?)),
        Done::Updated(record) => Ok(Upserted::Updated(Found::plain(&record)?)),
        Done::Deleted => Err(Error::internal("an upsert deletes nothing").into()),
    }
}

/// The names of a living record.
///
/// # Errors
/// `NotFound` when it is not there.
pub async fn list<N: Noun>(services: &Services, caller: &Caller, id: Uuid) -> Result<ExternalIdList> {
    let mut tx = services.db.begin(&caller.context).await?;
    N::Bulk::living(&mut tx, &[id]).await?.pop().ok_or(Error::NotFound(name_of::<N>()))?;
    Ok(ExternalIdList { data: external_ids::of(&mut tx, name_of::<N>(), id).await? })
}

/// Gives a living record a name.
///
/// # Errors
/// `NotFound` when it is not there; `Conflict` when another one has the name.
pub async fn attach<N: Noun>(
    services: &Services,
    context: &crm_kernel::Context,
    id: Uuid,
    name: (String, String),
) -> Result<Empty> {
    let name: ExternalId = external_id(name.0, name.1)?;
    let mut tx = services.db.begin(context).await?;
    N::Bulk::living(&mut tx, &[id]).await?.pop().ok_or(Error::NotFound(name_of::<N>()))?;
    external_ids::attach(&mut tx, name_of::<N>(), id, &name).await?;
    tx.commit().await?;
    Ok(Empty)
}

/// Takes a name from a record, from one in the bin too.
///
/// # Errors
/// `NotFound` when it does not have it.
pub async fn detach<N: Noun>(
    services: &Services,
    context: &crm_kernel::Context,
    id: Uuid,
    name: (String, String),
) -> Result<Empty> {
    let name = ExternalId { source: name.0, external_id: name.1 };
    let mut tx = services.db.begin(context).await?;
    external_ids::detach(&mut tx, name_of::<N>(), id, &name).await?;
    tx.commit().await?;
    Ok(Empty)
}

impl<T: Apiv2Schema> Apiv2Schema for Upserted<T> {}

impl<T: Apiv2Schema> OperationModifier for Upserted<T> {
    fn update_response(operation: &mut DefaultOperationRaw) {
        answers(operation, "201", "Created", &["ETag", "Location"], Some(reference::<T>()));
        answers(operation, "200", "Changed", &["ETag"], Some(reference::<T>()));
    }
    fn update_definitions(map: &mut Definitions) {
        define::<T>(map);
    }
}

impl<T> actix_web::Responder for Upserted<T> {
    type Body = actix_web::body::BoxBody;
    fn respond_to(self, request: &actix_web::HttpRequest) -> actix_web::HttpResponse {
        match self {
            Self::Created(answer) => answer.respond_to(request),
            Self::Updated(answer) => answer.respond_to(request),
        }
    }
}
