//! Figures of deals, and the board: what narrows them is the filter of lists. Their addresses are among those of deals.

use actix_web::web::{Data, Path};
use crm_deals::{Board, CardList, CardsQuestion, Forecast, PipelineSummary, WinLoss};
use crm_kernel::{Condition, Error, Filter, Result};
use paperclip::actix::api_v2_operation;

use super::deals::DealNoun;
use crate::{
    answer::Plain,
    caller::Caller,
    problem::Answer,
    question::{Narrowing, Paged, Periods},
    services::Services,
};

/// The filter of figures. Asked narrowly enough, they are those of one deal: whoever may not read deals gets them of all or of none.
async fn narrowed(caller: &Caller, services: &Services, narrowing: &Narrowing<DealNoun>) -> Result<Filter> {
    let filter = narrowing.read(services, caller).await?;
    permitted(caller, services, &filter)?;
    Ok(filter)
}

fn permitted(caller: &Caller, services: &Services, filter: &Filter) -> Result<()> {
    if filter.condition() != Condition::default() {
        caller.may_read(services, "deal", None)?;
    }
    Ok(())
}

/// Count and sum deals by stage, owner, team and month
#[api_v2_operation(operation_id = "getPipeline", tags("Deals"))]
pub(super) async fn pipeline(
    caller: Caller,
    narrowing: Narrowing<DealNoun>,
    services: Data<Services>,
) -> Answer<Plain<PipelineSummary>> {
    let filter = narrowed(&caller, &services, &narrowing).await?;
    let mut summary = services.pipelines.summary(&caller.context, &filter).await?;
    match caller.may_read(&services, "member", None) {
        // Whose deals they are the token may know, as from the deals themselves; not who that is.
        Err(Error::Forbidden(_)) => summary.hide_names(),
        allowed => allowed?,
    }
    Ok(Plain(summary))
}

/// Show the board of a pipeline: its stages with counts, sums and their first cards. A filter by pipeline_id names the pipeline
#[api_v2_operation(operation_id = "getBoard", tags("Deals"))]
pub(super) async fn board(caller: Caller, narrowing: Narrowing<DealNoun>, services: Data<Services>) -> Answer<Plain<Board>> {
    let filter = narrowing.read(&services, &caller).await?;
    caller.may_read(&services, "deal", None)?;
    Ok(Plain(services.pipelines.board(&caller.context, &filter).await?))
}

/// Count and sum what was won and what was lost, by reason, source, owner, team and month; a filter by actual_close_date is a period
#[api_v2_operation(operation_id = "getWinLoss", tags("Deals"))]
pub(super) async fn win_loss(caller: Caller, narrowing: Narrowing<DealNoun>, services: Data<Services>) -> Answer<Plain<WinLoss>> {
    let filter = narrowed(&caller, &services, &narrowing).await?;
    let mut win_loss = services.pipelines.win_loss(&caller.context, &filter).await?;
    match caller.may_read(&services, "member", None) {
        Err(Error::Forbidden(_)) => win_loss.hide_names(),
        allowed => allowed?,
    }
    Ok(Plain(win_loss))
}

/// List the cards of a stage, from the top or where a board or a page of them ended. A filter by pipeline_id names the pipeline
#[api_v2_operation(operation_id = "listCards", tags("Deals"))]
pub(super) async fn cards(
    caller: Caller,
    stage: Path<String>,
    paged: Paged<DealNoun>,
    services: Data<Services>,
) -> Answer<Plain<CardList>> {
    let (filter, limit, cursor) = paged.read(&services, &caller).await?;
    caller.may_read(&services, "deal", None)?;
    let mut question = CardsQuestion::new(&stage, filter, limit)?;
    if let Some(cursor) = cursor {
        question = question.continue_after(cursor)?;
    }
    Ok(Plain(services.pipelines.cards(&caller.context, &question).await?))
}

/// Forecast what will be sold in the running month or quarter and those after it, by period, month, owner and team
#[api_v2_operation(operation_id = "getForecast", tags("Deals"))]
pub(super) async fn forecast(caller: Caller, periods: Periods<DealNoun>, services: Data<Services>) -> Answer<Plain<Forecast>> {
    let (filter, periods) = periods.read(&services, &caller).await?;
    permitted(&caller, &services, &filter)?;
    let mut forecast = services.pipelines.forecast(&caller.context, &filter, periods).await?;
    match caller.may_read(&services, "member", None) {
        Err(Error::Forbidden(_)) => forecast.hide_names(),
        allowed => allowed?,
    }
    Ok(Plain(forecast))
}
