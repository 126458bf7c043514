//! Adding contacts to a campaign: by their ids in one transaction, as an audience in a run of steps.
//!
//! Must stay true: with a key, each step is noted in its own transaction, so that whoever sends the request again goes on behind it, or
//! gets the answer that it had ([ADR 0041](../../../docs/adr/0041-runs-are-continued.md)); all changes of a run have one operation id in
//! the log.

use actix_web::http::StatusCode;
use crm_campaigns::{Audience, BulkCampaigns, MembersAdded, within};
use crm_kernel::{CampaignId, ContactId, Error, OperationId, Result};
use crm_tenancy::idempotent_runs::Run;
use paperclip::{
    actix::{Apiv2Schema, OperationModifier},
    v2::{models::DefaultOperationRaw, schema::Apiv2Schema},
};
use serde::{Deserialize, Serialize};

use crate::{
    answer::{Definitions, answers, define, json, reference},
    bulk::{by_filter::look, progress::Notes},
    caller::Caller,
    once::{Kept, Once, Repeatable, RequestKey, once},
    problem::Answer,
    question::asked_at,
    services::Services,
};

/// Whether it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// It is.
    Run,
    /// Only how many they are: a dry run.
    Look,
}

/// What became of those who were to be added. A dry run has `matched` alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Apiv2Schema)]
pub struct MembersAnswer {
    /// What all activities of this call carry in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_id: Option<OperationId>,
    /// How many contacts matched the filter when it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matched: Option<i64>,
    /// How many are members now that were not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub added: Option<usize>,
    /// How many were members already; they stay as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub already_members: Option<usize>,
    /// How many opted out: they are not added, and unsubscribed where they are a member from before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opted_out: Option<usize>,
    /// How many are no living contacts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_found: Option<usize>,
    /// The first ten of those that opted out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opted_out_ids: Option<Vec<ContactId>>,
    /// The first ten of those that were not found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_found_ids: Option<Vec<ContactId>>,
}

impl MembersAnswer {
    fn of(operation_id: OperationId, matched: Option<i64>, added: MembersAdded) -> Self {
        Self {
            operation_id: Some(operation_id),
            matched,
            added: Some(added.added),
            already_members: Some(added.already_members),
            opted_out: Some(added.opted_out),
            not_found: Some(added.not_found),
            opted_out_ids: Some(added.opted_out_ids),
            not_found_ids: Some(added.not_found_ids),
        }
    }
}

/// 200 with a [`MembersAnswer`].
#[derive(Debug)]
pub struct Added(MembersAnswer);

impl Repeatable for Added {
    fn kept(self) -> Result<Kept> {
        Ok(Kept { status: StatusCode::OK, etag: None, location: None, body: json(&self.0)? })
    }
}

impl Apiv2Schema for Added {}

impl OperationModifier for Added {
    fn update_response(operation: &mut DefaultOperationRaw) {
        answers(operation, "200", "What became of them", &[], Some(reference::<MembersAnswer>()));
    }
    fn update_definitions(map: &mut Definitions) {
        define::<MembersAnswer>(map);
    }
}

/// What the next step has to know.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    operation_id: OperationId,
    matched: i64,
    /// Behind which contact the next step begins; nobody before the first one.
    after: Option<ContactId>,
    added: MembersAdded,
}

/// Adds these contacts in one transaction.
///
/// # Errors
/// Those of [`within::add_contacts`] and of [`once`].
pub(crate) async fn add(
    services: &Services,
    mut caller: Caller,
    key: &RequestKey,
    campaign: CampaignId,
    contacts: &[ContactId],
) -> Answer<Once<Added>> {
    let operation_id = OperationId::generate();
    caller.context.operation_id = Some(operation_id);
    once::<BulkCampaigns, _>(key, services, &caller, async |tx| {
        let added = within::add_contacts(tx, campaign, contacts).await?;
        Ok((Added(MembersAnswer::of(operation_id, None, added)), vec![campaign.uuid()]))
    })
    .await
}

/// Adds an audience, or says how many it has.
///
/// # Errors
/// `Invalid` when it is too large, `TooCostly` when its filter would read too much; `Conflict` while the same request runs.
pub(crate) async fn run(
    services: &Services,
    mut caller: Caller,
    key: &RequestKey,
    campaign: CampaignId,
    audience: &Audience,
    wanted: Wanted,
) -> Answer<Once<Added>> {
    // What changes nothing is done again whenever it is asked.
    let request = key.request().filter(|_| wanted == Wanted::Run);
    let known = look(services.db.begin(&caller.context).await?, request.as_ref()).await?;
    let (mut notes, mut state) = match known {
        Run::Answered(answer) => return Ok(Once::again(answer)?),
        Run::Stopped(progress) => {
            let state: State = serde_json::from_value(progress.state).map_err(Error::internal)?;
            caller.context.operation_id = Some(state.operation_id);
            (Notes::new(request, Some(progress.step)), state)
        }
        Run::New => {
            let operation_id = OperationId::generate();
            caller.context.operation_id = Some(operation_id);
            let mut tx = services.db.begin(&caller.context).await?;
            let mut notes = Notes::new(request, None);
            let begun = async {
                let size =
                    within::audience_size(&mut tx, campaign, audience).await.map_err(|error| asked_at("/filter", error))?;
                notes.hold(&mut tx).await?;
                Ok(size)
            };
            let matched = match begun.await {
                Ok(matched) => matched,
                Err(error) => {
                    tx.roll_back().await;
                    return Err(Error::into(error));
                }
            };
            if wanted == Wanted::Look {
                tx.roll_back().await;
                return Ok(Once::first(Added(MembersAnswer { matched: Some(matched), ..MembersAnswer::default() }))?);
            }
            let state = State { operation_id, matched, after: None, added: MembersAdded::default() };
            notes.done(tx, &state).await?;
            (notes, state)
        }
    };
    loop {
        match step(services, &caller, &mut notes, &mut state, (campaign, audience)).await {
            Ok(Some(answer)) => return Ok(Once::first(Added(answer))?),
            Ok(None) => {}
            Err(error) => {
                notes.leave(services, &caller, &state).await;
                return Err(error.into());
            }
        }
    }
}

/// One transaction. What it has counted is in the state only when it is committed; the last one gives the answer.
async fn step(
    services: &Services,
    caller: &Caller,
    notes: &mut Notes,
    state: &mut State,
    (campaign, audience): (CampaignId, &Audience),
) -> Result<Option<MembersAnswer>> {
    let mut tx = services.db.begin(&caller.context).await?;
    let worked = async {
        notes.hold(&mut tx).await?;
        within::add_step(&mut tx, campaign, audience, state.after).await
    };
    let (more, after) = match worked.await {
        Ok(worked) => worked,
        Err(error) => {
            tx.roll_back().await;
            return Err(error);
        }
    };
    let mut added = state.added.clone();
    added.and(more);
    let done = State { operation_id: state.operation_id, matched: state.matched, after, added };
    let answer = if after.is_none() {
        let answer = MembersAnswer::of(done.operation_id, Some(done.matched), done.added.clone());
        notes.end(tx, &answer).await?;
        Some(answer)
    } else {
        notes.done(tx, &done).await?;
        None
    };
    *state = done;
    Ok(answer)
}
