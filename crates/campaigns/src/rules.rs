//! What a campaign must keep when it is made or changed, where one value depends on another or on the organisation. All faults at once.
//!
//! Must stay true: it goes forward only, as [`CampaignStatus::may_become`] says; it ends no earlier than it begins; its amounts have no
//! more digits than the organisation's currency.

use crm_kernel::{Error, FieldError, Money, Result, currency, validation};
use crm_tenancy::Tx;

use crate::{
    model::{CampaignChanges, NewCampaign},
    store::{self, Held},
};

/// Judges new campaigns; with each come the faults of its custom fields. The currency is asked for once for all of them, and only when
/// one needs it.
pub(crate) async fn completed(tx: &mut Tx, all: Vec<(NewCampaign, Vec<FieldError>)>) -> Result<Vec<NewCampaign>> {
    let has_amount = all.iter().any(|(new, _)| new.budget.is_some() || new.actual_cost.is_some());
    let own_currency = own_currency(tx, has_amount).await?;
    let judged = |(new, faults): (NewCampaign, Vec<FieldError>)| {
        judge(&CampaignChanges::from(new.clone()), None, own_currency.as_deref(), faults)?;
        Ok(new)
    };
    all.into_iter().map(judged).collect()
}

/// Judges the changes of a campaign that is held; `faults` are those of custom fields.
pub(crate) async fn settled(tx: &mut Tx, held: &Held, changes: &CampaignChanges, faults: Vec<FieldError>) -> Result<()> {
    let has_amount = changes.budget.iter().chain(&changes.actual_cost).any(Option::is_some);
    let own_currency = own_currency(tx, has_amount).await?;
    judge(changes, Some(held), own_currency.as_deref(), faults)
}

async fn own_currency(tx: &mut Tx, is_needed: bool) -> Result<Option<String>> {
    if is_needed { store::currency(tx).await.map(Some) } else { Ok(None) }
}

/// `held` is what the campaign was before; a new one was nothing.
fn judge(changes: &CampaignChanges, held: Option<&Held>, own_currency: Option<&str>, faults: Vec<FieldError>) -> Result<()> {
    let mut faults = match validation::check_with(changes, faults) {
        Err(Error::Invalid(faults)) => faults,
        other => other.map(|()| Vec::new())?,
    };
    let mut fault = |broken: bool, pointer: &str, code: &str, message: String| {
        if broken && !faults.iter().any(|known: &FieldError| known.pointer == pointer) {
            faults.push(FieldError::new(pointer, code, message));
        }
    };
    for (pointer, amount) in [("/budget", &changes.budget), ("/actual_cost", &changes.actual_cost)] {
        let amount = amount.as_ref().and_then(Option::as_ref);
        if let Some((code, digits)) = own_currency.and_then(|code| too_many_digits(amount, code)) {
            fault(true, pointer, "digits", format!("{code} has {digits} digits after the point"));
        }
    }

    let begins = changes.start_date.unwrap_or(held.and_then(|held| held.start_date));
    let ends = changes.end_date.unwrap_or(held.and_then(|held| held.end_date));
    let reversed = begins.zip(ends).is_some_and(|(begins, ends)| ends < begins);
    // Who moves the beginning alone is told so there.
    let moved = if changes.end_date.is_some() { "/end_date" } else { "/start_date" };
    fault(reversed, moved, "order", "it would end before it begins".into());

    if let (Some(held), Some(next)) = (held, changes.status) {
        let message = format!("a campaign that is {} does not become {next}", held.status);
        fault(!held.status.may_become(next), "/status", "campaign_status_order", message);
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
}

fn too_many_digits<'c>(amount: Option<&Money>, code: &'c str) -> Option<(&'c str, u32)> {
    let digits = currency::digits(code)?;
    amount.is_some_and(|amount| amount.decimal_digits() > i64::from(digits)).then_some((code, u32::from(digits)))
}
