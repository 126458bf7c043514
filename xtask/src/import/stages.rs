//! The stages of the organisation's pipelines, and what a deal must be to stand in one: the rules of new deals, which need more
//! than the deal itself.
//!
//! Must stay true: what is bad here has the codes of the API. One rule is stricter: the API takes today for a closing date that is not
//! told, and history was not closed today.

use std::collections::HashMap;

use anyhow::{Context, Result};
use crm_deals::{StageOutcome, StageStep};
use crm_kernel::{Date, Error, FieldError, Money, currency, validation};
use serde_json::json;
use tokio_postgres::Client;

use crate::import::rows::Row;

pub struct Stages {
    default_pipeline: String,
    default_currency: String,
    /// In the organisation's time zone.
    today: Date,
    /// By pipeline, in their order.
    of_pipeline: HashMap<String, Vec<Stage>>,
}

struct Stage {
    key: String,
    probability: i32,
    outcome: StageOutcome,
}

impl Stages {
    pub async fn load(admin: &Client, organization_id: &str) -> Result<Self> {
        let query = "SELECT crm_pipelines.id::text, default_currency, (now() AT TIME ZONE time_zone)::date::text
                       FROM crm_pipelines JOIN organizations ON organizations.id = organization_id
                      WHERE organization_id = $1::text::uuid AND is_default AND crm_pipelines.deleted_at IS NULL";
        let row = admin.query_opt(query, &[&organization_id]).await?.context("the organisation has no pipeline")?;
        let today = read(&row, 2)?;
        let mut of_pipeline: HashMap<String, Vec<Stage>> = HashMap::new();
        let query = "SELECT pipeline_id::text, key, probability, outcome
                       FROM crm_pipeline_stages AS stage
                       JOIN crm_pipelines AS pipeline USING (organization_id)
                      WHERE organization_id = $1::text::uuid AND pipeline.id = pipeline_id AND deleted_at IS NULL
                      ORDER BY stage.position, key";
        for row in admin.query(query, &[&organization_id]).await? {
            let stage = Stage { key: row.try_get(1)?, probability: row.try_get(2)?, outcome: read(&row, 3)? };
            of_pipeline.entry(row.try_get(0)?).or_default().push(stage);
        }
        Ok(Self { default_pipeline: row.try_get(0)?, default_currency: row.try_get(1)?, today, of_pipeline })
    }

    /// Names what does not fit, and fills what the organisation and the stage decide.
    pub fn settle(&self, rows: &mut [Row]) {
        for row in rows.iter_mut().filter(|row| !row.values.is_empty()) {
            row.values.entry("currency").or_insert_with(|| json!(self.default_currency));
            let problems = match self.stage_of(row) {
                Ok(stage) => {
                    row.values.insert("stage".into(), json!(stage.key));
                    row.values.entry("probability").or_insert_with(|| json!(stage.probability));
                    problems(row, stage.outcome, self.today)
                }
                Err(problem) => vec![problem],
            };
            row.problems.extend(problems);
        }
    }

    /// The stage the row names, or the first one of its pipeline.
    fn stage_of(&self, row: &Row) -> Result<&Stage, FieldError> {
        let pipeline = row.text("pipeline_id").unwrap_or(&self.default_pipeline);
        let stages = self.of_pipeline.get(pipeline);
        let stages = stages.ok_or_else(|| FieldError::new("/pipeline_id", "reference", "no such record"))?;
        let wanted = row.text("stage");
        let found = stages.iter().find(|stage| wanted.is_none_or(|wanted| stage.key == wanted));
        found.ok_or_else(|| {
            let keys: Vec<&str> = stages.iter().map(|stage| stage.key.as_str()).collect();
            FieldError::new("/stage", "reference", format!("the pipeline has the stages {}", keys.join(", ")))
        })
    }
}

/// Every rule that the row breaks in a stage of this outcome.
fn problems(row: &Row, outcome: StageOutcome, today: Date) -> Vec<FieldError> {
    let date: Option<Date> = parsed(row, "actual_close_date");
    let amount: Option<Money> = parsed(row, "amount");
    let has_reason = row.text("lost_reason").is_some_and(|reason| !reason.trim().is_empty());
    let (open, won, lost) = (outcome == StageOutcome::Open, outcome == StageOutcome::Won, outcome == StageOutcome::Lost);
    let probability = row.values.get("probability").and_then(serde_json::Value::as_i64);
    let settled = match outcome {
        StageOutcome::Open => probability,
        StageOutcome::Won => Some(100),
        StageOutcome::Lost => Some(0),
    };
    let digits = row.text("currency").and_then(currency::digits).map(i64::from);
    let too_precise = amount.as_ref().zip(digits).is_some_and(|(amount, digits)| amount.decimal_digits() > digits);
    let rules = [
        (won && amount.is_none(), "amount", "required_to_win", "a won deal has an amount"),
        (open && date.is_some(), "actual_close_date", "only_when_closed", "an open deal has no date of closing"),
        (!open && date.is_none(), "actual_close_date", "required_when_closed", "say when it was closed"),
        (!open && date > Some(today), "actual_close_date", "future", "must not lie in the future"),
        (lost && !has_reason, "lost_reason", "required_when_lost", "say why it was lost"),
        (!lost && has_reason, "lost_reason", "only_when_lost", "only a lost deal has a reason"),
        (probability != settled, "probability", "deal_closed", "a won deal has 100, a lost one 0"),
        (too_precise, "amount", "digits", "more digits after the point than the currency has"),
    ];
    let broken = rules.into_iter().filter(|(broken, ..)| *broken);
    let mut problems: Vec<FieldError> =
        broken.map(|(_, field, code, message)| FieldError::new(format!("/{field}"), code, message)).collect();
    problems.extend(problems_of_reason(row));
    problems
}

/// What can be said about the reason alone sits on the step that closes a deal.
fn problems_of_reason(row: &Row) -> Vec<FieldError> {
    let step = StageStep { lost_reason: row.text("lost_reason").map(str::to_owned), ..StageStep::default() };
    match validation::check(&step) {
        Err(Error::Invalid(problems)) => problems,
        _ => Vec::new(),
    }
}

/// A value that was read before, and is only missing when it was bad.
fn parsed<T: std::str::FromStr>(row: &Row, field: &str) -> Option<T> {
    row.text(field)?.parse().ok()
}

fn read<T: std::str::FromStr<Err = String>>(row: &tokio_postgres::Row, column: usize) -> Result<T> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|error: String| anyhow::anyhow!("the database holds {text}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use crm_deals::StageOutcome::{Lost, Open, Won};
    use serde_json::{Value, json};

    use super::{Stage, Stages};
    use crate::import::rows::Row;

    fn settled(values: &Value) -> Row {
        let stage = |key: &str, probability, outcome| Stage { key: key.into(), probability, outcome };
        let known = vec![stage("prospecting", 10, Open), stage("closed_won", 100, Won), stage("closed_lost", 0, Lost)];
        let stages = Stages {
            default_pipeline: "p".into(),
            default_currency: "JPY".into(),
            today: "2026-01-31".parse().expect("a date"),
            of_pipeline: HashMap::from([("p".to_owned(), known)]),
        };
        let mut rows = [Row { line: 2, values: values.as_object().expect("an object").clone(), problems: Vec::new() }];
        stages.settle(&mut rows);
        let [row] = rows;
        row
    }

    fn codes(values: &Value) -> Vec<String> {
        settled(values).problems.into_iter().map(|problem| problem.code).collect()
    }

    #[test]
    fn what_the_stage_decides_is_filled_and_what_is_given_stays() {
        let row = settled(&json!({"name": "x"}));
        assert_eq!(Value::Object(row.values), json!({"name": "x", "currency": "JPY", "stage": "prospecting", "probability": 10}));
        assert_eq!(settled(&json!({"name": "x", "probability": 33})).values.get("probability"), Some(&json!(33)));
    }

    #[test]
    fn every_broken_rule_of_closing_is_named() {
        assert_eq!(codes(&json!({"stage": "closed_won"})), ["required_to_win", "required_when_closed"]);
        let won = json!({"stage": "closed_won", "amount": "1.5", "actual_close_date": "2026-02-01", "probability": 50, "lost_reason": "x"});
        assert_eq!(codes(&won), ["future", "only_when_lost", "deal_closed", "digits"]);
        assert_eq!(codes(&json!({"stage": "closed_lost", "actual_close_date": "2026-01-31"})), ["required_when_lost"]);
        assert_eq!(codes(&json!({"stage": "prospecting", "actual_close_date": "2026-01-31"})), ["only_when_closed"]);
        assert_eq!(codes(&json!({"stage": "won"})), ["reference"]);
        assert_eq!(codes(&json!({"pipeline_id": "q"})), ["reference"]);
    }

    #[test]
    fn a_closed_deal_that_keeps_the_rules_is_taken() {
        assert!(codes(&json!({"stage": "closed_won", "amount": "5", "actual_close_date": "2026-01-31"})).is_empty());
        assert!(codes(&json!({"stage": "closed_lost", "actual_close_date": "2017-01-31", "lost_reason": "price"})).is_empty());
    }
}
