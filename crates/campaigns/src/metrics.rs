//! What came of a campaign: how far its members came, what was sold, and what that cost. Formulas are in the README.
//!
//! Must stay true: no float; a rate is rounded once (half to even), when it is shown; what would be divided by zero is null. What is
//! counted of members goes by the times that they have, not by their status: who clicked has opened.

use bigdecimal::{BigDecimal, RoundingMode, Zero};
use crm_kernel::{CampaignId, Money, Result, currency};
use crm_tenancy::{Entity, Expect, Tx};
use diesel::{
    AggregateExpressionMethods, BoolExpressionMethods, ExpressionMethods, JoinOnDsl, NullableExpressionMethods, QueryDsl,
    dsl::{count, count_star, sum},
};
use diesel_async::RunQueryDsl;
use serde::Serialize;

use crate::{
    member::MemberStatus,
    member_store::MEMBER,
    model::Campaign,
    schema::{q_campaign_contacts as q_members, q_deals, q_pipeline_stages as stages},
    store,
};

const DEAL: Entity = Entity { name: "deal", table: "crm_deals" };

/// Digits of a rate behind the point.
const RATE_DIGITS: i64 = 4;

/// What came of a campaign. Rates are decimals of one, with four digits: `"0.2500"` is a quarter.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct CampaignMetrics {
    /// The campaign.
    pub campaign_id: CampaignId,
    /// How many members it has.
    pub members: i64,
    /// How many members have each status now.
    pub by_status: MembersByStatus,
    /// To how many it was sent, whatever became of it.
    pub sent: i64,
    /// With how many it arrived, and did not come back.
    pub delivered: i64,
    /// How many opened it.
    pub opened: i64,
    /// How many visited what it leads to.
    pub clicked: i64,
    /// From how many it came back.
    pub bounced: i64,
    /// How many of those with whom it arrived opted out afterwards, before the campaign was over.
    pub unsubscribed: i64,
    /// `delivered / sent`; null when nothing was sent.
    pub delivery_rate: Option<String>,
    /// `opened / delivered`; null when nothing arrived.
    pub open_rate: Option<String>,
    /// `clicked / delivered`; null when nothing arrived.
    pub click_rate: Option<String>,
    /// `clicked / opened`; null when nothing was opened.
    pub click_to_open_rate: Option<String>,
    /// `bounced / sent`; null when nothing was sent.
    pub bounce_rate: Option<String>,
    /// `unsubscribed / delivered`; null when nothing arrived.
    pub unsubscribe_rate: Option<String>,
    /// How many living deals name the campaign.
    pub deals: i64,
    /// How many of them are won.
    pub conversions: i64,
    /// How many won deals have an amount in another currency and no rate: they are not in `revenue`.
    pub conversions_without_rate: i64,
    /// `conversions / members`; null without members.
    pub conversion_rate: Option<String>,
    /// ISO 4217 code of every amount here: the organisation's currency.
    pub currency: String,
    /// What the won deals are worth.
    pub revenue: Money,
    /// What may be spent.
    pub budget: Option<Money>,
    /// What was spent: `actual_cost` of the campaign.
    pub cost: Option<Money>,
    /// `cost / budget`; null when one is not said, or the budget is zero.
    pub budget_used: Option<String>,
    /// `(revenue - cost) / cost`; null when the cost is not said or zero.
    pub roi: Option<String>,
    /// `cost / conversions`, rounded to the digits of the currency; null without conversions, or when the cost is not said.
    pub cost_per_conversion: Option<Money>,
}

/// How many members have each status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct MembersByStatus {
    /// Nothing was sent yet.
    pub pending: i64,
    /// It was sent.
    pub sent: i64,
    /// It arrived.
    pub delivered: i64,
    /// It was opened.
    pub opened: i64,
    /// What it leads to was visited.
    pub clicked: i64,
    /// It came back.
    pub bounced: i64,
    /// The contact opted out.
    pub unsubscribed: i64,
}

impl MembersByStatus {
    fn of(&mut self, status: MemberStatus) -> &mut i64 {
        match status {
            MemberStatus::Pending => &mut self.pending,
            MemberStatus::Sent => &mut self.sent,
            MemberStatus::Delivered => &mut self.delivered,
            MemberStatus::Opened => &mut self.opened,
            MemberStatus::Clicked => &mut self.clicked,
            MemberStatus::Bounced => &mut self.bounced,
            MemberStatus::Unsubscribed => &mut self.unsubscribed,
        }
    }
}

/// Members that came so far, whatever became of them afterwards.
#[derive(Debug, Clone, Copy, Default)]
struct Reached {
    members: i64,
    sent: i64,
    delivered: i64,
    opened: i64,
    clicked: i64,
    bounced: i64,
    unsubscribed: i64,
}

/// What was sold.
#[derive(Debug, Clone, Default)]
struct Sold {
    deals: i64,
    won: i64,
    won_without_rate: i64,
    revenue: BigDecimal,
}

/// The metrics of a living campaign.
pub(crate) async fn of(tx: &mut Tx, id: CampaignId) -> Result<CampaignMetrics> {
    let campaign = store::get(tx, id).await?;
    let currency = store::currency(tx).await?;
    let (by_status, reached) = reached(tx, &campaign).await?;
    let sold = sold(tx, id).await?;
    Ok(told(campaign, currency, by_status, reached, &sold))
}

async fn reached(tx: &mut Tx, campaign: &Campaign) -> Result<(MembersByStatus, Reached)> {
    let arrived = || q_members::delivered_at.is_not_null().and(q_members::bounced_at.is_null());
    let ended_at = campaign.completed_at.or(campaign.cancelled_at);
    let in_time = q_members::unsubscribed_at.le(ended_at).assume_not_null();
    let own = q_members::table
        .filter(q_members::organization_id.eq(tx.organization_id()))
        .filter(q_members::campaign_id.eq(campaign.id));
    let all = own.group_by(q_members::status).select((
        q_members::status,
        count_star(),
        count(q_members::sent_at),
        count(q_members::delivered_at).aggregate_filter(q_members::bounced_at.is_null()),
        count(q_members::opened_at),
        count(q_members::clicked_at),
        count(q_members::bounced_at),
        count(q_members::unsubscribed_at).aggregate_filter(arrived()),
        count(q_members::unsubscribed_at).aggregate_filter(arrived().and(in_time)),
    ));
    type Row = (MemberStatus, i64, i64, i64, i64, i64, i64, i64, i64);
    let rows: Vec<Row> = all.load(tx).await.expect_any(MEMBER)?;

    let (mut by_status, mut reached) = (MembersByStatus::default(), Reached::default());
    for (status, members, sent, delivered, opened, clicked, bounced, ever, before_the_end) in rows {
        *by_status.of(status) += members;
        reached.members += members;
        reached.sent += sent;
        reached.delivered += delivered;
        reached.opened += opened;
        reached.clicked += clicked;
        reached.bounced += bounced;
        reached.unsubscribed += if ended_at.is_some() { before_the_end } else { ever };
    }
    Ok((by_status, reached))
}

async fn sold(tx: &mut Tx, id: CampaignId) -> Result<Sold> {
    let of_deal = stages::organization_id
        .eq(q_deals::organization_id)
        .and(stages::pipeline_id.eq(q_deals::pipeline_id))
        .and(stages::key.eq(q_deals::stage));
    let own = q_deals::table
        .inner_join(stages::table.on(of_deal))
        .filter(q_deals::organization_id.eq(tx.organization_id()))
        .filter(q_deals::campaign_id.eq(id))
        .filter(q_deals::deleted_at.is_null());
    let by_outcome = own.group_by(stages::outcome).select((
        stages::outcome,
        count_star(),
        count(q_deals::amount).aggregate_filter(q_deals::base_amount.is_null()),
        sum(q_deals::base_amount),
    ));
    let rows: Vec<(String, i64, i64, Option<BigDecimal>)> = by_outcome.load(tx).await.expect_any(DEAL)?;
    let mut sold = Sold::default();
    for (outcome, deals, without_rate, amount) in rows {
        sold.deals += deals;
        if outcome == "won" {
            sold.won += deals;
            sold.won_without_rate += without_rate;
            sold.revenue += amount.unwrap_or_default();
        }
    }
    Ok(sold)
}

fn told(campaign: Campaign, currency: String, by_status: MembersByStatus, reached: Reached, sold: &Sold) -> CampaignMetrics {
    let whole = |number: i64| BigDecimal::from(number);
    let cost = campaign.actual_cost.as_ref().map(|cost| cost.decimal().clone());
    let budget = campaign.budget.as_ref().map(|budget| budget.decimal().clone());
    let digits = i64::from(currency::digits(&currency).unwrap_or(2));
    let per_conversion = cost.clone().and_then(|cost| divided(cost, whole(sold.won), digits));
    let per_conversion = per_conversion.map(|cost| Money::from_decimal(&cost).in_currency(&currency));
    CampaignMetrics {
        campaign_id: campaign.id,
        members: reached.members,
        by_status,
        sent: reached.sent,
        delivered: reached.delivered,
        opened: reached.opened,
        clicked: reached.clicked,
        bounced: reached.bounced,
        unsubscribed: reached.unsubscribed,
        delivery_rate: rate(whole(reached.delivered), whole(reached.sent)),
        open_rate: rate(whole(reached.opened), whole(reached.delivered)),
        click_rate: rate(whole(reached.clicked), whole(reached.delivered)),
        click_to_open_rate: rate(whole(reached.clicked), whole(reached.opened)),
        bounce_rate: rate(whole(reached.bounced), whole(reached.sent)),
        unsubscribe_rate: rate(whole(reached.unsubscribed), whole(reached.delivered)),
        deals: sold.deals,
        conversions: sold.won,
        conversions_without_rate: sold.won_without_rate,
        conversion_rate: rate(whole(sold.won), whole(reached.members)),
        revenue: Money::from_decimal(&sold.revenue).in_currency(&currency),
        budget_used: cost.clone().zip(budget).and_then(|(cost, budget)| rate(cost, budget)),
        roi: cost.and_then(|cost| rate(&sold.revenue - &cost, cost)),
        cost_per_conversion: per_conversion,
        budget: campaign.budget,
        cost: campaign.actual_cost,
        currency,
    }
}

fn rate(part: BigDecimal, whole: BigDecimal) -> Option<String> {
    divided(part, whole, RATE_DIGITS).map(|rate| rate.to_plain_string())
}

fn divided(part: BigDecimal, whole: BigDecimal, digits: i64) -> Option<BigDecimal> {
    (!whole.is_zero()).then(|| (part / whole).with_scale_round(digits, RoundingMode::HalfEven))
}

#[cfg(test)]
mod tests {
    use super::{BigDecimal, RATE_DIGITS, divided, rate};

    #[test]
    fn a_rate_is_rounded_once_and_half_to_even() {
        let number = |text: &str| text.parse::<BigDecimal>().expect("a decimal");
        assert_eq!(rate(number("1"), number("3")).as_deref(), Some("0.3333"));
        assert_eq!(rate(number("1"), number("1")).as_deref(), Some("1.0000"));
        assert_eq!(rate(number("0"), number("7")).as_deref(), Some("0.0000"));
        assert_eq!(rate(number("-250.5"), number("1000")).as_deref(), Some("-0.2505"));
        assert_eq!(rate(number("0.00005"), number("1")).as_deref(), Some("0.0000"));
        assert_eq!(rate(number("0.00015"), number("1")).as_deref(), Some("0.0002"));
        assert_eq!(divided(number("1"), number("0.000"), RATE_DIGITS), None);
    }
}
