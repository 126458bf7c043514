//! `/a-crm/notes`.

use actix_web::{
    HttpRequest,
    web::{Data, Path},
};
use async_trait::async_trait;
use crm_activities::Activity;
use crm_kernel::{Context, Field, ListQuery, NoteId, Page, Result, Sort, Vocabulary, validation};
use crm_notes::{BulkNotes, NewNote, Note, NoteChanges, NoteHtml, within};
use crm_tenancy::custom_fields::RecordKind;
use paperclip::actix::{api_v2_operation, web};
use uuid::Uuid;

use super::activities::ActivityNoun;
use crate::{
    answer::{Created, Empty, Found, Listed, Plain, Record, if_match},
    body::{Body, EitherBody, Input},
    bulk::{self, BulkRequest, Bulked},
    caller::{Caller, PartsCaller, RecordCaller},
    external_ids::{self, ExternalIdList, Upserted},
    once::{Once, RequestKey, once},
    problem::Answer,
    question::{FieldList, Noun, Question, SearchRequest, Show, in_where},
    related::{Relation, Target},
    services::Services,
    shape::created,
};

const COLLECTION: &str = "/api/v1/a-crm/notes";

/// The routes of this file.
#[must_use]
pub fn scope() -> web::Scope {
    web::scope("/notes")
        .route("", web::get().to(list))
        .route("", web::post().to(create))
        .route("/fields", web::get().to(fields))
        .route("/search", web::post().to(search))
        .route("/bulk", web::post().to(change_many))
        .route("/by-external-id/{source}/{external_id}", web::get().to(get_by_external_id))
        .route("/by-external-id/{source}/{external_id}", web::put().to(upsert_by_external_id))
        .route("/{id}", web::get().to(get))
        .route("/{id}", web::put().to(replace))
        .route("/{id}", web::patch().to(update))
        .route("/{id}", web::delete().to(delete))
        .route("/{id}/restore", web::post().to(restore))
        .route("/{id}/external-ids", web::get().to(list_external_ids))
        .route("/{id}/external-ids/{source}/{external_id}", web::put().to(attach_external_id))
        .route("/{id}/external-ids/{source}/{external_id}", web::delete().to(detach_external_id))
        .route("/{id}/html", web::get().to(get_html))
        .route("/{id}/activities", web::get().to(list_activities))
}

/// Notes, as a noun of questions.
#[derive(Debug)]
pub struct NoteNoun;

impl Noun for NoteNoun {
    const NAME: &'static str = "note";

    fn fields() -> &'static [Field] {
        crm_notes::FIELDS
    }
    fn vocabulary() -> Vocabulary {
        crm_notes::VOCABULARY
    }
    fn default_sort() -> Sort {
        crm_notes::default_sort()
    }
    const RELATIONS: &'static [Relation] = &[
        Relation { name: "owner", key: "owner_id", target: Target::Member },
        Relation { name: "created_by", key: "created_by_id", target: Target::Member },
    ];
    const BIN: bool = true;
    const CUSTOM: Option<RecordKind> = Some(RecordKind::Note);
}

#[async_trait]
impl bulk::Noun for NoteNoun {
    type Bulk = BulkNotes;

    const COLLECTION: &'static str = COLLECTION;

    async fn list(services: &Services, context: &Context, query: &ListQuery) -> Result<Page<Note>> {
        services.notes.list(context, query).await
    }
}

impl Record for Note {
    fn id(&self) -> Uuid {
        self.id.uuid()
    }
    fn version(&self) -> i32 {
        self.version
    }
}

impl Input for NewNote {
    fn check(&self) -> Result<()> {
        validation::check(&NoteChanges::from(self.clone()))
    }
}

impl Input for NoteChanges {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

/// List notes
#[api_v2_operation(operation_id = "listNotes", tags("Notes"))]
async fn list(caller: Caller, question: Question<NoteNoun>, services: Data<Services>) -> Answer<Listed<Note>> {
    let (query, shape) = question.read(&services, &caller).await?;
    let page = services.notes.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// What can be asked about notes
#[api_v2_operation(operation_id = "listNoteFields", tags("Notes"))]
async fn fields(caller: Caller, services: Data<Services>) -> Answer<Plain<FieldList>> {
    Ok(Plain(FieldList::of::<NoteNoun>(&services, &caller).await?))
}

/// Search notes: the question as a body
#[api_v2_operation(operation_id = "searchNotes", tags("Notes"))]
async fn search(caller: Caller, services: Data<Services>, body: Body<SearchRequest>) -> Answer<Listed<Note>> {
    let (query, shape) = body.0.read::<NoteNoun>(&services, &caller).await?;
    let page = services.notes.list(&caller.context, &query).await.map_err(in_where)?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// Create a note
#[api_v2_operation(operation_id = "createNote", tags("Notes"))]
async fn create(caller: Caller, key: RequestKey, services: Data<Services>, body: Body<NewNote>) -> Answer<Once<Created<Note>>> {
    once::<BulkNotes, _>(&key, &services, &caller, async |tx| {
        let note = within::create(tx, body.0).await?;
        Ok((created(COLLECTION, &note)?, vec![note.id.uuid()]))
    })
    .await
}

/// Create, change, delete and upsert many notes at once, or change all that match a filter
#[api_v2_operation(operation_id = "bulkNotes", tags("Notes"))]
async fn change_many(
    caller: PartsCaller,
    key: RequestKey,
    services: Data<Services>,
    body: Body<BulkRequest>,
) -> Answer<Once<Bulked<Note>>> {
    bulk::run::<NoteNoun>(&services, caller, &key, body.0).await
}

/// Get a note by what another system calls it
#[api_v2_operation(operation_id = "getNoteByExternalId", tags("Notes"))]
async fn get_by_external_id(caller: PartsCaller, name: Path<(String, String)>, services: Data<Services>) -> Answer<Found<Note>> {
    let (source, id) = name.into_inner();
    external_ids::get::<NoteNoun>(&services, &caller, source, id).await
}

/// Change the note that another system calls so, or create it: what the body does not say stays
#[api_v2_operation(operation_id = "upsertNoteByExternalId", tags("Notes"))]
async fn upsert_by_external_id(
    caller: PartsCaller,
    request: HttpRequest,
    name: Path<(String, String)>,
    services: Data<Services>,
    body: EitherBody<NewNote, NoteChanges>,
) -> Answer<Upserted<Note>> {
    external_ids::upsert::<NoteNoun>(&services, &caller, name.into_inner(), &if_match(&request), body).await
}

/// Get a note
#[api_v2_operation(operation_id = "getNote", tags("Notes"))]
async fn get(caller: Caller, id: Path<NoteId>, show: Show<NoteNoun>, services: Data<Services>) -> Answer<Found<Note>> {
    let shown = show.read()?;
    let note = match shown.from_bin {
        true => services.notes.get_with_deleted(&caller.context, *id).await?,
        false => services.notes.get(&caller.context, *id).await?,
    };
    Ok(shown.shape.record(&services, &caller, note).await?)
}

/// Replace a note: what the body does not say becomes empty
#[api_v2_operation(operation_id = "replaceNote", tags("Notes"))]
async fn replace(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<NoteId>,
    services: Data<Services>,
    body: Body<NewNote>,
) -> Answer<Found<Note>> {
    let context = caller.allowed(services.notes.get(&caller.context, *id)).await?;
    let note = services.notes.replace(context, *id, &if_match(&request), body.0).await?;
    Ok(Found::plain(&note)?)
}

/// Change a note: a JSON Merge Patch
#[api_v2_operation(operation_id = "updateNote", tags("Notes"))]
async fn update(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<NoteId>,
    services: Data<Services>,
    body: Body<NoteChanges>,
) -> Answer<Found<Note>> {
    let context = caller.allowed(services.notes.get(&caller.context, *id)).await?;
    let note = services.notes.update(context, *id, &if_match(&request), &body.0).await?;
    Ok(Found::plain(&note)?)
}

/// Move a note to the bin
#[api_v2_operation(operation_id = "deleteNote", tags("Notes"))]
async fn delete(caller: RecordCaller, request: HttpRequest, id: Path<NoteId>, services: Data<Services>) -> Answer<Empty> {
    let context = caller.allowed(services.notes.get(&caller.context, *id)).await?;
    services.notes.delete(context, *id, &if_match(&request)).await?;
    Ok(Empty)
}

/// Bring a note back from the bin
#[api_v2_operation(operation_id = "restoreNote", tags("Notes"))]
async fn restore(caller: RecordCaller, key: RequestKey, id: Path<NoteId>, services: Data<Services>) -> Answer<Once<Found<Note>>> {
    let context = caller.context.clone();
    let caller = caller.admitted(services.notes.get(&context, *id)).await?;
    once::<BulkNotes, _>(&key, &services, &caller, async |tx| {
        let note = within::restore(tx, *id).await?;
        Ok((Found::plain(&note)?, vec![note.id.uuid()]))
    })
    .await
}

/// List what other systems call a note
#[api_v2_operation(operation_id = "listNoteExternalIds", tags("Notes"))]
async fn list_external_ids(caller: Caller, id: Path<NoteId>, services: Data<Services>) -> Answer<Plain<ExternalIdList>> {
    Ok(Plain(external_ids::list::<NoteNoun>(&services, &caller, id.uuid()).await?))
}

/// Say that another system calls a note so
#[api_v2_operation(operation_id = "attachNoteExternalId", tags("Notes"))]
async fn attach_external_id(
    caller: RecordCaller,
    name: Path<(NoteId, String, String)>,
    services: Data<Services>,
) -> Answer<Empty> {
    let (id, source, external_id) = name.into_inner();
    let context = caller.allowed(services.notes.get(&caller.context, id)).await?;
    Ok(external_ids::attach::<NoteNoun>(&services, context, id.uuid(), (source, external_id)).await?)
}

/// Say that another system calls a note so no more
#[api_v2_operation(operation_id = "detachNoteExternalId", tags("Notes"))]
async fn detach_external_id(
    caller: RecordCaller,
    name: Path<(NoteId, String, String)>,
    services: Data<Services>,
) -> Answer<Empty> {
    let (id, source, external_id) = name.into_inner();
    let context = caller.allowed(services.notes.get(&caller.context, id)).await?;
    Ok(external_ids::detach::<NoteNoun>(&services, context, id.uuid(), (source, external_id)).await?)
}

/// Get a note as HTML that is safe to show
#[api_v2_operation(operation_id = "getNoteHtml", tags("Notes"))]
async fn get_html(caller: Caller, id: Path<NoteId>, services: Data<Services>) -> Answer<Plain<NoteHtml>> {
    Ok(Plain(services.notes.html(&caller.context, *id).await?))
}

/// List what happened to a note
#[api_v2_operation(operation_id = "listNoteActivities", tags("Notes"))]
async fn list_activities(
    caller: Caller,
    id: Path<NoteId>,
    question: Question<ActivityNoun>,
    services: Data<Services>,
) -> Answer<Listed<Activity>> {
    let (query, shape) = question.read_within(&services, &caller, "entity_id", id.uuid()).await?;
    services.notes.get(&caller.context, *id).await?;
    caller.may_read(&services, "note", Some(id.uuid()))?;
    let page = services.activities.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}
