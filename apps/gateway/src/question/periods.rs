//! What a forecast of `N` is narrowed to, and which periods it has: filters, `period` and `periods`.

use std::marker::PhantomData;

use crm_deals::{ForecastPeriods, PeriodLength};
use crm_kernel::{Error, FieldError, Filter, Result};
use paperclip::{
    actix::OperationModifier,
    v2::models::{DataType, DefaultOperationRaw, Either},
};

use super::{Narrowing, Noun, described::parameter, read_filter};
use crate::{caller::Caller, services::Services};

/// Filters and periods, not yet understood.
#[derive(Debug)]
pub struct Periods<N> {
    pub(super) pairs: Vec<(String, String)>,
    pub(super) noun: PhantomData<N>,
}

impl<N: Noun> Periods<N> {
    /// Understands it for this caller.
    ///
    /// # Errors
    /// `Malformed` with every bad parameter.
    pub async fn read(&self, services: &Services, caller: &Caller) -> Result<(Filter, ForecastPeriods)> {
        let mut length = ForecastPeriods::default().length;
        let named = |wanted: &str| self.pairs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let one =
            |name: &str, value: &str| match name {
                "period" => Some(value.parse().map(|known| length = known).map_err(|_| {
                    FieldError::new("period", "value", format!("expected one of {}", PeriodLength::WORDS.join(", ")))
                })),
                "periods" => Some(Ok(())),
                _ => None,
            };
        let filter = read_filter::<N>(services, caller, &self.pairs, &["period", "periods"], one).await?;
        let count = match named("periods") {
            // As long as the four quarters that are shown to whoever says nothing.
            None => 12 / length.months(),
            Some(text) => {
                let count = text.parse().ok().filter(|count| (1..=length.most()).contains(count));
                let message = format!("expected 1 to {} of a {}", length.most(), length.as_str());
                count.ok_or_else(|| Error::malformed("periods", "value", message))?
            }
        };
        Ok((filter, ForecastPeriods { length, count }))
    }
}

impl<N: Noun> OperationModifier for Periods<N> {
    fn update_parameter(operation: &mut DefaultOperationRaw) {
        let mut length = parameter("period", "How long each period is; `quarter` when absent.", DataType::String);
        length.enum_ = PeriodLength::WORDS.iter().map(|word| (*word).into()).collect();
        let most = PeriodLength::Month.most();
        let about = format!(
            "How many periods, the running one included: 1 to {most} months or 1 to {} quarters. A year of them when absent.",
            PeriodLength::Quarter.most()
        );
        let mut count = parameter("periods", &about, DataType::Integer);
        (count.minimum, count.maximum) = (Some(1.0), Some(f32::from(most)));
        for parameter in [length, count] {
            operation.parameters.push(Either::Right(parameter));
        }
        Narrowing::<N>::update_parameter(operation);
    }
}
