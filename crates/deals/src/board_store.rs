//! Every SQL statement about the board: cards in their order, and the places of cards. Private to this crate.
//!
//! Diesel knows no more columns of deals than it has already, hence the fixed pieces of SQL; no part of them comes from a caller.
//! Must stay true: each statement names the organisation, and narrows deals exactly as lists do.

use std::collections::HashMap;

use crm_kernel::{DealId, Deleted, Filter, PipelineId, Result, Timestamp};
use crm_tenancy::{Expect, Tx};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper,
    dsl::{min, sql},
    expression::SqlLiteral,
    pg::Pg,
    sql_types::{Array, BigInt, Bool, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;

use crate::{
    model::Deal,
    schema::{board_places as places, q_deals},
    store::{DEAL, narrowed, own_currency, shown},
};

type Rows<'a> = q_deals::BoxedQuery<'a, Pg>;

/// The stage of a pipeline.
pub(crate) type Place<'a> = (PipelineId, &'a str);

/// A deal, since when it stands in its stage, and its place there.
pub(crate) type Card = (Deal, Timestamp, String);

/// Deals of a stage that match with their places, the top one first: from the top, or behind this place and id.
pub(crate) async fn after(
    tx: &mut Tx,
    filter: &Filter,
    stage: Place<'_>,
    after: Option<(String, DealId)>,
    most: i64,
) -> Result<Vec<Card>> {
    let mut rows = in_stage(tx, filter, stage);
    if let Some((place, id)) = after {
        rows = rows.filter(position().gt(place.clone()).or(position().eq(place).and(q_deals::id.gt(id))));
    }
    let ordered = rows.order((position(), q_deals::id)).limit(most);
    let columns = (Deal::as_select(), own_currency(tx.organization_id()), entered_at(), position());
    let found: Vec<Found> = ordered.select(columns).load(tx).await.expect_any(DEAL)?;
    Ok(found.into_iter().map(card).collect())
}

/// The top deals of each of these stages of a pipeline, where nothing else is asked, each stage's in their order. One statement, because to
/// plan one for each stage takes longer than to read the cards.
pub(crate) async fn top_of_each(
    tx: &mut Tx,
    pipeline: PipelineId,
    stages: Vec<String>,
    most: i64,
) -> Result<HashMap<String, Vec<Card>>> {
    let organization = tx.organization_id();
    let among = sql::<Bool>("q_deals.id IN (SELECT top.id FROM unnest(")
        .bind::<Array<Text>, _>(stages)
        .sql("::text[]) AS wanted (stage) CROSS JOIN LATERAL (SELECT standing.id FROM q_deals AS standing WHERE standing.organization_id = ")
        .bind::<SqlUuid, _>(organization)
        .sql(" AND standing.pipeline_id = ")
        .bind::<SqlUuid, _>(pipeline)
        .sql(" AND standing.stage = wanted.stage AND standing.deleted_at IS NULL ORDER BY standing.board_position, standing.id LIMIT ")
        .bind::<BigInt, _>(most)
        .sql(") AS top)");
    let top = q_deals::table.filter(q_deals::organization_id.eq(organization)).filter(among);
    let columns = (Deal::as_select(), own_currency(organization), entered_at(), position());
    let mut found: Vec<Found> = top.select(columns).load(tx).await.expect_any(DEAL)?;
    found.sort_by(|(a, .., above), (b, .., below)| above.cmp(below).then_with(|| a.id.cmp(&b.id)));
    let mut by_stage: HashMap<String, Vec<Card>> = HashMap::new();
    for row in found {
        by_stage.entry(row.0.stage.clone()).or_default().push(card(row));
    }
    Ok(by_stage)
}

type Found = (Deal, Option<String>, Timestamp, String);

fn card((deal, currency, entered_at, place): Found) -> Card {
    (shown((deal, currency)), entered_at, place)
}

fn position() -> SqlLiteral<Text> {
    sql("q_deals.board_position")
}

fn entered_at() -> SqlLiteral<Timestamptz> {
    sql("q_deals.stage_entered_at")
}

fn in_stage<'a>(tx: &Tx, filter: &Filter, (pipeline, stage): Place<'_>) -> Rows<'a> {
    let own = q_deals::table.filter(q_deals::organization_id.eq(tx.organization_id())).into_boxed();
    let rows = narrowed(tx, own, Deleted::Exclude, filter);
    rows.filter(q_deals::pipeline_id.eq(pipeline)).filter(q_deals::stage.eq(stage.to_owned()))
}

/// Where a living deal of this stage stands.
pub(crate) async fn place_of(tx: &mut Tx, stage: Place<'_>, id: DealId) -> Result<Option<String>> {
    let this = standing(tx, stage).filter(places::id.eq(id));
    this.select(places::board_position).first(tx).await.optional().expect_any(DEAL)
}

/// The place of whatever comes next below this place, or of the top one, other than this deal.
pub(crate) async fn next_place(tx: &mut Tx, stage: Place<'_>, above: &str, other_than: DealId) -> Result<Option<String>> {
    let lower = standing(tx, stage).filter(places::board_position.gt(above.to_owned())).filter(places::id.ne(other_than));
    lower.select(min(places::board_position)).first(tx).await.expect_any(DEAL)
}

fn standing<'a>(tx: &Tx, (pipeline, stage): Place<'_>) -> places::BoxedQuery<'a, Pg> {
    let own = places::table.filter(places::organization_id.eq(tx.organization_id())).filter(places::deleted_at.is_null());
    own.filter(places::pipeline_id.eq(pipeline)).filter(places::stage.eq(stage.to_owned())).into_boxed()
}
