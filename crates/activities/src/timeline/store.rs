//! The statements of a timeline: a page of lines, then the names that its sentences need.
//!
//! Must stay true: every walk through an index ends at the page's size, one for each kind of record. A fixed text, all values bound: Diesel has no words
//! for a LATERAL, and none of what is written here comes from a caller.

use std::collections::BTreeMap;

use crm_kernel::{Actor, Object, OrganizationId, Page, Position, Result, Timestamp, UserId};
use crm_tenancy::{Expect, Tx};
use diesel::{
    ExpressionMethods, QueryDsl, QueryResult, Queryable,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Array, BigInt, Bool, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{
    model::{Names, Subject, TimelineEntry, TimelineKind, TimelineQuestion},
    sentence,
};
use crate::{
    schema::{q_deals, q_members, q_pipeline_stages},
    store::ACTIVITY,
};

/// A line as the database has it, before there is a sentence.
#[derive(Debug, Queryable)]
pub(super) struct Line {
    pub(super) id: Uuid,
    pub(super) activity_type: String,
    pub(super) entity_type: String,
    pub(super) entity_id: Uuid,
    pub(super) occurred_at: Timestamp,
    pub(super) user_id: Option<UserId>,
    pub(super) actor_kind: Actor,
    pub(super) description: Option<String>,
    pub(super) fields: Vec<String>,
    pub(super) changes: Option<Object>,
    pub(super) is_deleted: bool,
}

/// What the sentences of a page need beside its lines.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// What members are called.
    pub(super) members: BTreeMap<UserId, String>,
    /// What the stages of a deal's pipeline are called, by key.
    pub(super) stages: BTreeMap<String, String>,
}

pub(crate) async fn page(tx: &mut Tx, question: &TimelineQuestion) -> Result<Page<TimelineEntry>> {
    let lines: Vec<Line> = Stream::of(tx, question)?.load(tx).await.expect_any(ACTIVITY)?;
    let mut known = Known::default();
    if question.names == Names::Shown {
        known.members = members(tx, &lines).await?;
    }
    if question.subject == Subject::Deal && lines.iter().any(|line| line.activity_type == "stage_changed") {
        known.stages = stages(tx, question.id).await?;
    }
    let entry = |line: Line| TimelineEntry {
        sentence: sentence::of(&line, &known),
        kind: TimelineKind::of(question.subject, &line.entity_type),
        user_name: line.user_id.and_then(|id| known.members.get(&id).cloned()),
        id: line.id,
        activity_type: line.activity_type,
        entity_type: line.entity_type,
        entity_id: line.entity_id,
        occurred_at: line.occurred_at,
        user_id: line.user_id,
        actor_kind: line.actor_kind,
        is_deleted: line.is_deleted,
    };
    let entries = lines.into_iter().map(entry).collect();
    let place = |entry: &TimelineEntry, _: &str| Position::new(entry.occurred_at.to_string(), entry.id);
    Ok(Page::from_rows(&question.query, entries, None, place))
}

/// What the members are called who did something here, or to whom something was given.
async fn members(tx: &mut Tx, lines: &[Line]) -> Result<BTreeMap<UserId, String>> {
    let given = lines.iter().flat_map(|line| sentence::people(line.changes.as_ref()));
    let mut ids: Vec<UserId> = lines.iter().filter_map(|line| line.user_id).chain(given).collect();
    ids.sort_unstable();
    ids.dedup();
    let rows = q_members::table
        .filter(q_members::organization_id.eq(tx.organization_id()))
        .filter(q_members::user_id.eq_any(ids))
        .select((q_members::user_id, q_members::full_name));
    let named: Vec<(UserId, String)> = rows.load(tx).await.expect_any(ACTIVITY)?;
    Ok(named.into_iter().collect())
}

/// What the stages of the pipeline in which the deal is now are called.
async fn stages(tx: &mut Tx, deal: Uuid) -> Result<BTreeMap<String, String>> {
    let pipeline = q_deals::table
        .filter(q_deals::organization_id.eq(tx.organization_id()))
        .filter(q_deals::id.eq(deal))
        .select(q_deals::pipeline_id);
    let rows = q_pipeline_stages::table
        .filter(q_pipeline_stages::organization_id.eq(tx.organization_id()))
        .filter(q_pipeline_stages::pipeline_id.eq_any(pipeline))
        .select((q_pipeline_stages::key, q_pipeline_stages::label));
    let labels: Vec<(String, String)> = rows.load(tx).await.expect_any(ACTIVITY)?;
    Ok(labels.into_iter().collect())
}

/// Up to one line more than the page holds.
#[derive(Debug)]
pub(super) struct Stream {
    organization: OrganizationId,
    subject: &'static str,
    id: Uuid,
    /// What is read from the log as it stands on the page.
    entities: Vec<&'static str>,
    /// Whether a contact's campaigns are read too.
    campaigns: bool,
    /// Whether what happened to a task is: the log has that on the page of what the task is about.
    task: bool,
    after: Option<(Timestamp, Uuid)>,
    limit: i64,
}

impl Stream {
    pub(super) fn of(tx: &Tx, question: &TimelineQuestion) -> Result<Self> {
        let after = match &question.query.after {
            Some(after) => {
                let moment = after.key::<Timestamp>()?;
                Some((moment, after.id))
            }
            None => None,
        };
        let campaigns = question.subject == Subject::Contact && question.entities.contains(&"campaign_contact");
        let task = question.subject == Subject::Task && question.entities.contains(&"task");
        let on_page = |entity: &&&'static str| question.subject != Subject::Task || **entity != "task";
        Ok(Self {
            organization: tx.organization_id(),
            subject: question.subject.name(),
            id: question.id,
            entities: question.entities.iter().filter(on_page).copied().collect(),
            campaigns,
            task,
            after,
            limit: i64::from(question.query.limit) + 1,
        })
    }

    /// Behind the last line that was seen, then in order, and no further than the page.
    fn walk<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>, moment: &str) -> QueryResult<()> {
        if let Some((seen_at, seen)) = &self.after {
            out.push_sql(&format!(" AND ({moment}, id) < ("));
            out.push_bind_param::<Timestamptz, _>(seen_at)?;
            out.push_sql(", ");
            out.push_bind_param::<SqlUuid, _>(seen)?;
            out.push_sql(")");
        }
        out.push_sql(&format!(" ORDER BY {moment} DESC, id DESC LIMIT "));
        out.push_bind_param::<BigInt, _>(&self.limit)
    }
}

impl QueryFragment<Pg> for Stream {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        // The bin is looked into by primary key, for the lines of the page alone.
        out.push_sql(
            "SELECT line.id, line.activity_type, line.entity_type, line.entity_id, line.occurred_at, line.user_id, line.actor_kind,
                    line.description, line.fields, line.changes,
                    CASE line.entity_type
                        WHEN 'note' THEN coalesce((SELECT deleted_at IS NOT NULL FROM q_notes WHERE organization_id = ",
        );
        out.push_bind_param::<SqlUuid, _>(&self.organization)?;
        out.push_sql(
            " AND id = line.entity_id), true)
                        WHEN 'task' THEN coalesce((SELECT deleted_at IS NOT NULL FROM q_tasks WHERE organization_id = ",
        );
        out.push_bind_param::<SqlUuid, _>(&self.organization)?;
        out.push_sql(
            " AND id = line.entity_id), true)
                        ELSE false END
               FROM ((SELECT logged.* FROM unnest(",
        );
        out.push_bind_param::<Array<Text>, _>(&self.entities)?;
        out.push_sql(
            "::text[]) AS wanted (entity)
              CROSS JOIN LATERAL (
                    SELECT id, activity_type::text, entity_type::text, entity_id, occurred_at, user_id, actor_kind::text, description,
                           fields, changes
                      FROM q_activities
                     WHERE entity_type = wanted.entity AND organization_id = ",
        );
        out.push_bind_param::<SqlUuid, _>(&self.organization)?;
        out.push_sql(" AND subject_id = ");
        out.push_bind_param::<SqlUuid, _>(&self.id)?;
        out.push_sql(" AND subject_type = ");
        out.push_bind_param::<Text, _>(self.subject)?;
        self.walk(&mut out, "occurred_at")?;
        out.push_sql(") AS logged)");
        if self.task {
            // The kind is not bound: it is what the index is of.
            out.push_sql(
                " UNION ALL (
                    SELECT id, activity_type::text, entity_type::text, entity_id, occurred_at, user_id, actor_kind::text, description,
                           fields, changes
                      FROM q_activities
                     WHERE entity_type = 'task' AND organization_id = ",
            );
            out.push_bind_param::<SqlUuid, _>(&self.organization)?;
            out.push_sql(" AND entity_id = ");
            out.push_bind_param::<SqlUuid, _>(&self.id)?;
            self.walk(&mut out, "occurred_at")?;
            out.push_sql(")");
        }
        if self.campaigns {
            out.push_sql(
                " UNION ALL (
                    SELECT joined.id, 'created', 'campaign_contact', joined.id, joined.created_at, NULL, 'system', campaign.name,
                           '{}'::text[], jsonb_build_object('status', jsonb_build_array(NULL, joined.status))
                      FROM (SELECT id, campaign_id, created_at, status FROM q_campaign_contacts WHERE organization_id = ",
            );
            out.push_bind_param::<SqlUuid, _>(&self.organization)?;
            out.push_sql(" AND contact_id = ");
            out.push_bind_param::<SqlUuid, _>(&self.id)?;
            self.walk(&mut out, "created_at")?;
            out.push_sql(") AS joined LEFT JOIN q_campaigns AS campaign ON campaign.id = joined.campaign_id AND campaign.deleted_at IS NULL AND campaign.organization_id = ");
            out.push_bind_param::<SqlUuid, _>(&self.organization)?;
            out.push_sql(")");
        }
        out.push_sql(") AS line ORDER BY line.occurred_at DESC, line.id DESC LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)
    }
}

impl Query for Stream {
    type SqlType =
        (SqlUuid, Text, Text, SqlUuid, Timestamptz, Nullable<SqlUuid>, Text, Nullable<Text>, Array<Text>, Nullable<Jsonb>, Bool);
}

impl QueryId for Stream {
    type QueryId = ();
    // The first page, later ones, those with campaigns and those of tasks are different texts.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C> diesel::RunQueryDsl<C> for Stream {}
