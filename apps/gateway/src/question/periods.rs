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
        let named = |wanted: &str| self.pairs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let (length, count) = (length(named("period")), count(named("period"), named("periods")));
        let one = |name: &str, _: &str| match name {
            "period" => Some(length.clone().map(|_| ())),
            "periods" => Some(count.clone().map(|_| ())),
            _ => None,
        };
        let filter = read_filter::<N>(services, caller, &self.pairs, &["period", "periods"], one).await?;
        let bad = |error: FieldError| Error::Malformed(vec![error]);
        let (length, count) = (length.map_err(bad)?, count.map_err(bad)?);
        Ok((filter, ForecastPeriods { length, count }))
    }
}

fn length(word: Option<&str>) -> Result<PeriodLength, FieldError> {
    let Some(word) = word else { return Ok(ForecastPeriods::default().length) };
    word.parse().map_err(|_| FieldError::new("period", "value", format!("expected one of {}", PeriodLength::WORDS.join(", "))))
}

/// How many there may be depends on their length; where that is not understood, as many as of the shortest.
fn count(word: Option<&str>, number: Option<&str>) -> Result<u8, FieldError> {
    let length = length(word).unwrap_or(PeriodLength::Month);
    // As long as the four quarters that are shown to whoever says nothing.
    let Some(number) = number else { return Ok(12 / length.months()) };
    let count = number.parse().ok().filter(|count| (1..=length.most()).contains(count));
    count.ok_or_else(|| FieldError::new("periods", "value", format!("expected 1 to {} of a {}", length.most(), length.as_str())))
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
