//! What a deal consists of: its lines as they are shown and sent, and the rules of what is sent. No SQL here.
//!
//! Must stay true: a line keeps its own name and price, whatever becomes of the product; its amount is exact, rounded once to the digits
//! of the deal's currency; a deal with lines is worth their sum.

use std::collections::{HashMap, HashSet};

use bigdecimal::{BigDecimal, RoundingMode};
use crm_kernel::{DealId, FieldError, LineItemId, Money, ProductId, currency, validation};
use diesel::{Insertable, Queryable, Selectable};
use serde::{Deserialize, Serialize};

use crate::schema::{crm_deal_line_items, q_products};

/// Lines of a deal at most.
const MOST_LINES: usize = 200;

/// The lines of a deal, in their order.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct LineItemList {
    /// The deal.
    pub deal_id: DealId,
    /// The version of the deal, which counts changes of its lines too; see If-Match.
    pub version: i32,
    /// ISO 4217 code of every amount: the deal's currency.
    pub currency: String,
    /// The sum of the lines; null if there are none. It is the deal's `amount`.
    pub total: Option<Money>,
    /// The lines, at most 200.
    pub data: Vec<LineItem>,
}

/// One line of a deal.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Insertable, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = crm_deal_line_items, check_for_backend(diesel::pg::Pg))]
pub struct LineItem {
    /// Its id.
    pub id: LineItemId,
    /// The product it is of; null for a line of its own.
    pub product_id: Option<ProductId>,
    /// What is sold, as it was called when the line was written.
    pub name: String,
    /// How many.
    pub quantity: Money,
    /// The price of one.
    pub unit_price: Money,
    /// What is taken off, in percent: 0 to 100.
    pub discount_percent: Money,
    /// `quantity` times `unit_price` without the discount, rounded half up to the digits of the currency.
    pub amount: Money,
}

impl LineItem {
    /// With its amount in the digits of the currency; the price of one may have more.
    pub(crate) fn shown(mut self, code: &str) -> Self {
        self.unit_price = self.unit_price.in_currency(code);
        self.amount = self.amount.in_currency(code);
        self
    }
}

/// All lines of a deal, in their order.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct LineItemsRequest {
    /// The lines, at most 200. Those that are there and are missing here are removed.
    #[garde(custom(bounded), dive)]
    pub data: Vec<NewLineItem>,
}

/// A line as it is sent.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct NewLineItem {
    /// The line of this deal that is changed; absent or null for a new one.
    pub id: Option<LineItemId>,
    /// The product it is of. A line keeps it.
    pub product_id: Option<ProductId>,
    /// What is sold; the product's name when absent.
    #[garde(length(chars, max = 255), inner(custom(validation::readable)))]
    pub name: Option<String>,
    /// How many: more than 0, 1 when absent.
    #[garde(inner(custom(positive)))]
    pub quantity: Option<Money>,
    /// The price of one in the deal's currency; the product's when absent, if that is in the same currency.
    #[garde(inner(custom(validation::not_negative)))]
    pub unit_price: Option<Money>,
    /// What is taken off, in percent: 0 to 100, 0 when absent.
    #[garde(inner(custom(percent)))]
    pub discount_percent: Option<Money>,
}

/// What a line takes from its product.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = q_products, check_for_backend(diesel::pg::Pg))]
pub(crate) struct Offered {
    pub(crate) id: ProductId,
    name: String,
    unit_price: Option<Money>,
    currency: String,
}

/// What becomes of the lines.
#[derive(Debug, Default)]
pub(crate) struct LinePlan {
    /// New ones and changed ones, each with its place.
    pub(crate) written: Vec<(i32, LineItem)>,
    /// Those that go.
    pub(crate) removed: Vec<LineItemId>,
    /// What the deal is worth afterwards; absent when there are no lines.
    pub(crate) total: Option<Money>,
}

impl LinePlan {
    pub(crate) fn is_empty(&self) -> bool {
        self.written.is_empty() && self.removed.is_empty()
    }
}

fn bounded(lines: &[NewLineItem], (): &()) -> garde::Result {
    if lines.len() > MOST_LINES { Err(garde::Error::new(format!("too_many: at most {MOST_LINES} lines"))) } else { Ok(()) }
}

fn positive(quantity: &Money, (): &()) -> garde::Result {
    if *quantity > Money::zero() { Ok(()) } else { Err(garde::Error::new("range: must be more than 0")) }
}

fn percent(share: &Money, (): &()) -> garde::Result {
    let hundred = BigDecimal::from(100);
    if share.is_negative() || *share.decimal() > hundred {
        return Err(garde::Error::new("range: must be from 0 to 100"));
    }
    Ok(())
}

/// What is to be done so that the deal has these lines, or everything that is wrong with them.
pub(crate) fn plan(
    current: &[(i32, LineItem)],
    wanted: &[NewLineItem],
    products: &[Offered],
    code: &str,
) -> Result<LinePlan, Vec<FieldError>> {
    let before: HashMap<LineItemId, &(i32, LineItem)> = current.iter().map(|place| (place.1.id, place)).collect();
    let products: HashMap<ProductId, &Offered> = products.iter().map(|product| (product.id, product)).collect();
    let (mut plan, mut faults, mut seen) = (LinePlan::default(), Vec::new(), HashSet::new());
    let mut total = BigDecimal::from(0);
    for (index, sent) in wanted.iter().enumerate() {
        let mut fault = |field: &str, code: &str, message: &str| {
            faults.push(FieldError::new(format!("/data/{index}/{field}"), code, message));
        };
        let there = sent.id.and_then(|id| before.get(&id).copied());
        if sent.id.is_some() && there.is_none() {
            fault("id", "reference", "the deal has no such line");
            continue;
        }
        if sent.id.is_some_and(|id| !seen.insert(id)) {
            fault("id", "duplicate", "another line has this id");
            continue;
        }
        let Some(line) = completed(sent, there.map(|(_, line)| line), &products, code, &mut fault) else { continue };
        total += line.amount.decimal();
        if fits(line.amount.decimal()) && fits(&total) {
            let place = i32::try_from(index).unwrap_or(i32::MAX);
            if there != Some(&(place, line.clone())) {
                plan.written.push((place, line));
            }
        } else {
            fault("quantity", "range", "this comes to more than 15 digits");
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    plan.removed = current.iter().map(|(_, line)| line.id).filter(|id| !seen.contains(id)).collect();
    plan.total = (!wanted.is_empty()).then(|| Money::from_decimal(&total));
    Ok(plan)
}

/// The line with what it takes from its product; absent when it lacks something, which is a fault then.
fn completed(
    sent: &NewLineItem,
    there: Option<&LineItem>,
    products: &HashMap<ProductId, &Offered>,
    code: &str,
    fault: &mut impl FnMut(&str, &str, &str),
) -> Option<LineItem> {
    if there.is_some_and(|line| line.product_id != sent.product_id) {
        fault("product_id", "fixed", "a line keeps its product: add another line");
        return None;
    }
    let product = sent.product_id.and_then(|id| products.get(&id).copied());
    if sent.product_id.is_some() && product.is_none() && there.is_none() {
        fault("product_id", "reference", "no such record");
        return None;
    }
    let own_name = sent.name.clone().or_else(|| there.map(|line| line.name.clone()));
    let own_price = sent.unit_price.clone().or_else(|| there.map(|line| line.unit_price.clone()));
    let name = own_name.or_else(|| product.map(|product| product.name.clone()));
    let listed = product.filter(|product| product.currency == code).and_then(|product| product.unit_price.clone());
    let unit_price = own_price.or(listed);
    if name.is_none() {
        fault("name", "required", "is required");
    }
    if unit_price.is_none() {
        fault("unit_price", "required", "is required, unless the product has a price in the currency of the deal");
    }
    let (name, unit_price) = (name?, unit_price?);
    let quantity = sent.quantity.clone().unwrap_or_else(|| Money::from_decimal(&BigDecimal::from(1)));
    let discount_percent = sent.discount_percent.clone().unwrap_or_else(Money::zero);
    let amount = amount(&quantity, &unit_price, &discount_percent, code);
    let id = sent.id.unwrap_or_else(LineItemId::generate);
    Some(LineItem { id, product_id: sent.product_id, name, quantity, unit_price, discount_percent, amount })
}

/// Rounded as invoices are: half up, to the digits of the currency.
fn amount(quantity: &Money, unit_price: &Money, discount_percent: &Money, code: &str) -> Money {
    let share = BigDecimal::from(100) - discount_percent.decimal();
    let exact = quantity.decimal() * unit_price.decimal() * share * BigDecimal::new(1.into(), 2);
    let digits = i64::from(currency::digits(code).unwrap_or(2));
    Money::from_decimal(&exact.with_scale_round(digits, RoundingMode::HalfUp))
}

/// Whether `numeric(18,3)` holds it.
fn fits(amount: &BigDecimal) -> bool {
    *amount < BigDecimal::new(1.into(), -15)
}

#[cfg(test)]
mod tests {
    use super::amount;

    #[test]
    fn amounts_are_rounded_half_up_to_the_digits_of_the_currency() {
        let of = |quantity: &str, price: &str, discount: &str, code: &str| {
            let number = |text: &str| text.parse().expect("a number");
            amount(&number(quantity), &number(price), &number(discount), code).to_string()
        };
        assert_eq!(of("3", "19.99", "0", "USD"), "59.97");
        assert_eq!(of("3", "19.99", "12.5", "USD"), "52.47");
        assert_eq!(of("1", "0.125", "0", "EUR"), "0.13");
        assert_eq!(of("0.5", "1", "0", "JPY"), "1.00");
        assert_eq!(of("1.333", "0.333", "0", "KWD"), "0.444");
        assert_eq!(of("7", "100", "100", "USD"), "0.00");
        assert_eq!(of("999999.999", "999999.99", "33.333", "USD"), "666669992666.63");
    }
}
