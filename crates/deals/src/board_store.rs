//! Every SQL statement about the board: cards in their order, and the places of cards. Private to this crate.
//!
//! Diesel knows no more columns of deals than it has already, hence the fixed pieces of SQL; no part of them comes from a caller.
//! Must stay true: each statement names the organisation, and narrows deals exactly as lists do.

use crm_kernel::{DealId, Deleted, Filter, PipelineId, Result, Timestamp};
use crm_tenancy::{Expect, Tx};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper,
    dsl::{min, sql},
    pg::Pg,
    sql_types::Text,
};
use diesel_async::RunQueryDsl;

use crate::{
    model::Deal,
    schema::{board_places as places, q_deal_stage_history as stays, q_deals},
    store::{DEAL, narrowed, own_currency, shown},
};

type Rows<'a> = q_deals::BoxedQuery<'a, Pg>;

/// The stage of a pipeline.
pub(crate) type Place<'a> = (PipelineId, &'a str);

/// Deals of a stage that match with their places, the top one first: from the top, or behind this place and id.
pub(crate) async fn after(
    tx: &mut Tx,
    filter: &Filter,
    stage: Place<'_>,
    after: Option<(String, DealId)>,
    most: i64,
) -> Result<Vec<(Deal, String)>> {
    let position = || sql::<Text>("q_deals.board_position");
    let mut rows = in_stage(tx, filter, stage);
    if let Some((place, id)) = after {
        rows = rows.filter(position().gt(place.clone()).or(position().eq(place).and(q_deals::id.gt(id))));
    }
    let ordered = rows.order((position(), q_deals::id)).limit(most);
    let columns = (Deal::as_select(), own_currency(tx.organization_id()), position());
    let found: Vec<(Deal, Option<String>, String)> = ordered.select(columns).load(tx).await.expect_any(DEAL)?;
    Ok(found.into_iter().map(|(deal, currency, place)| (shown((deal, currency)), place)).collect())
}

fn in_stage<'a>(tx: &Tx, filter: &Filter, (pipeline, stage): Place<'_>) -> Rows<'a> {
    let own = q_deals::table.filter(q_deals::organization_id.eq(tx.organization_id())).into_boxed();
    let rows = narrowed(tx, own, Deleted::Exclude, filter);
    rows.filter(q_deals::pipeline_id.eq(pipeline)).filter(q_deals::stage.eq(stage.to_owned()))
}

/// Since when these deals stand where they stand.
pub(crate) async fn entered(tx: &mut Tx, ids: &[DealId]) -> Result<Vec<(DealId, Timestamp)>> {
    let own = stays::table.filter(stays::organization_id.eq(tx.organization_id())).filter(stays::deal_id.eq_any(ids));
    own.filter(stays::left_at.is_null()).select((stays::deal_id, stays::entered_at)).load(tx).await.expect_any(DEAL)
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
