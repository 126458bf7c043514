//! The table: a line for each declared filter and order with the worst of what was asked, a line for each other question.

use std::time::Duration;

use crate::plans::questions::{About, Noun, Question};
/// What a declared filter or order may read for nothing.
pub const MOST_WASTED: f64 = 5_000.0;

/// What many conditions joined by OR may take where the bound on costs lets them through, on a machine that does nothing else.
const LONGEST: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Answered,
    Refused,
}

#[derive(Debug)]
pub struct Row {
    pub question: Question,
    pub verdict: Verdict,
    /// Of the list through its service, the estimate of the planner included.
    pub took: Duration,
    /// In the worst case, in the planner's units.
    pub cost: f64,
    /// Rows that were read for nothing.
    pub wasted: f64,
}

impl Row {
    pub fn breaks_its_promise(&self) -> bool {
        if let About::Many(_) = &self.question.about {
            return self.took > LONGEST;
        }
        let is_declared = matches!(&self.question.about, About::Filter(_) | About::Order(_));
        is_declared && (self.wasted > MOST_WASTED || self.verdict == Verdict::Refused)
    }
}

pub fn table(rows: &[Row]) -> String {
    let mut table =
        "| list | question | asked | read for nothing | worst cost | ms |\n| --- | --- | --- | --- | --- | --- |\n".to_owned();
    let mut begin = 0;
    while let Some(first) = rows.get(begin) {
        let same = rows.iter().skip(begin).take_while(|row| is_same(row, first)).count();
        let group: Vec<&Row> = rows.iter().skip(begin).take(same).collect();
        table.push_str(&line(first, &group));
        begin += same;
    }
    table
}

fn is_same(row: &Row, first: &Row) -> bool {
    (row.question.noun, &row.question.about) == (first.question.noun, &first.question.about)
        && row.question.query.sort.field.name == first.question.query.sort.field.name
}

fn line(first: &Row, group: &[&Row]) -> String {
    let largest = |of: fn(&Row) -> f64| group.iter().map(|row| of(row)).fold(0.0, f64::max);
    let question = match &first.question.about {
        About::Filter(field) => format!("`{field}=…`"),
        About::Order(field) => format!("`sort={field}`"),
        About::Language(text) => match (first.question.query.sort.field.name, first.question.noun) {
            ("created_at", _) => text.clone(),
            (sort, _) => format!("{text}, by {sort}"),
        },
        About::Many(text) => text.clone(),
        About::Numbered(number) => format!("question {number}"),
    };
    let is_refused = group.iter().any(|row| row.verdict == Verdict::Refused);
    let wasted = if is_refused { "refused".to_owned() } else { format!("{:.0}", largest(|row| row.wasted)) };
    let (cost, took) = (largest(|row| row.cost), largest(|row| row.took.as_secs_f64() * 1000.0));
    let noun: Noun = first.question.noun;
    format!("| {} | {question} | {} | {wasted} | {cost:.0} | {took:.0} |\n", noun.name(), group.len())
}
