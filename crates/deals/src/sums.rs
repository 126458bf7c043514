//! Sums while they are added up, and how they are shown.
//!
//! Must stay true: no float; a weighted amount is rounded (half to even, three digits) once, when it is shown.

use bigdecimal::{BigDecimal, RoundingMode};
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
        let hundredth = BigDecimal::new(1.into(), 2);
        let amount = Money::from_decimal(&self.amount).in_currency(currency);
        let weighted_amount = Money::from_decimal(&(&self.weighted * hundredth)).in_currency(currency);
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
        let closed = self.won.count + self.lost.count;
        let rate = || BigDecimal::from(self.won.count) / BigDecimal::from(closed);
        (closed > 0).then(|| rate().with_scale_round(4, RoundingMode::HalfEven).to_plain_string())
    }
}
