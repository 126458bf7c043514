//! Sums while they are added up, and how they are shown.
//!
//! Must stay true: no float; a weighted amount is rounded (half to even, three digits) once, when it is shown.

use bigdecimal::BigDecimal;
use crm_kernel::Money;

use crate::{pipeline::StageOutcome, summary::Figures};

/// Figures still being added up; `weighted` is a hundred times too large, probabilities being percents.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sum {
    pub(crate) count: i64,
    pub(crate) amount: BigDecimal,
    pub(crate) weighted: BigDecimal,
}

impl Sum {
    pub(crate) fn new(count: i64, amount: Option<BigDecimal>, weighted: Option<BigDecimal>) -> Self {
        Self { count, amount: amount.unwrap_or_default(), weighted: weighted.unwrap_or_default() }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.amount += &other.amount;
        self.weighted += &other.weighted;
    }

    pub(crate) fn shown(&self, currency: &str) -> Figures {
        let (weighted, scale) = self.weighted.as_bigint_and_scale();
        let weighted = BigDecimal::new(weighted.into_owned(), scale + 2);
        let amount = Money::from_decimal(&self.amount).in_currency(currency);
        let weighted_amount = Money::from_decimal(&weighted).in_currency(currency);
        Figures { count: self.count, amount, weighted_amount }
    }
}

/// Sums by outcome.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sums {
    pub(crate) open: Sum,
    pub(crate) won: Sum,
    pub(crate) lost: Sum,
}

impl Sums {
    pub(crate) fn add(&mut self, outcome: StageOutcome, sum: &Sum) {
        match outcome {
            StageOutcome::Open => self.open.add(sum),
            StageOutcome::Won => self.won.add(sum),
            StageOutcome::Lost => self.lost.add(sum),
        }
    }

    pub(crate) fn add_all(&mut self, other: &Self) {
        self.open.add(&other.open);
        self.won.add(&other.won);
        self.lost.add(&other.lost);
    }

    pub(crate) fn win_rate(&self) -> Option<String> {
        win_rate(self.won.count, self.lost.count)
    }
}

/// In whole numbers: a quotient of decimals has a hundred digits before it is rounded to four, for each owner of a summary.
fn win_rate(won: i64, lost: i64) -> Option<String> {
    let (won, closed) = (i128::from(won), i128::from(won) + i128::from(lost));
    let (rate, rest) = ((won * 10_000).checked_div(closed)?, (won * 10_000).checked_rem(closed)?);
    let is_up = rest * 2 > closed || rest * 2 == closed && rate % 2 == 1;
    let rate = rate + i128::from(is_up);
    Some(format!("{}.{:04}", rate / 10_000, rate % 10_000))
}

#[cfg(test)]
mod tests {
    use bigdecimal::{BigDecimal, RoundingMode};

    use super::win_rate;

    #[test]
    fn a_rate_is_the_quotient_rounded_half_to_even() {
        let exact = |won: i64, lost: i64| {
            let quotient = BigDecimal::from(won) / BigDecimal::from(won + lost);
            quotient.with_scale_round(4, RoundingMode::HalfEven).to_plain_string()
        };
        for (won, lost) in (0..60).flat_map(|won| (0..60).map(move |lost| (won, lost))).filter(|closed| *closed != (0, 0)) {
            assert_eq!(win_rate(won, lost), Some(exact(won, lost)), "{won} of {}", won + lost);
        }
        // A half, to the even neighbour above and below.
        assert_eq!((win_rate(1, 19_999).as_deref(), win_rate(3, 19_997).as_deref()), (Some("0.0000"), Some("0.0002")));
        assert_eq!(win_rate(i64::MAX, i64::MAX).as_deref(), Some("0.5000"));
        assert_eq!(win_rate(0, 0), None);
    }
}
