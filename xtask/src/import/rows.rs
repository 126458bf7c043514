//! From the rows of the file to the rows of the import: values, references, and everything that is wrong with each.

use crm_kernel::{FieldError, Timestamp};
use serde_json::{Map, Value, json};

use crate::import::cells;
use crate::import::columns::{Columns, Target};
use crate::import::nouns::Definition;
use crate::import::references::References;
use crate::import::table::{Record, Table};

/// Set by the import alone: the API has no such input.
const CREATED_AT: &str = "created_at";

pub struct Row {
    pub line: u64,
    /// Keys as the columns of the database are called.
    pub values: Map<String, Value>,
    pub problems: Vec<FieldError>,
}

impl Row {
    /// A line for people that names every bad field.
    pub fn complaint(&self) -> String {
        let problem = |problem: &FieldError| {
            let field = problem.pointer.trim_start_matches('/');
            let separator = if field.is_empty() { "" } else { ": " };
            // Some rules say their code in front of the sentence too.
            let message = problem.message.strip_prefix(&format!("{}: ", problem.code)).unwrap_or(&problem.message);
            format!("{field}{separator}{message} ({})", problem.code)
        };
        let problems: Vec<String> = self.problems.iter().map(problem).collect();
        format!("line {}: {}\n", self.line, problems.join("; "))
    }

    pub fn text(&self, field: &str) -> Option<&str> {
        self.values.get(field).and_then(Value::as_str)
    }
}

pub fn build(table: &Table, columns: &Columns, noun: &Definition, references: &References) -> Vec<Row> {
    table.rows.iter().map(|record| row(record, columns, noun, references)).collect()
}

fn row(record: &Record, columns: &Columns, noun: &Definition, references: &References) -> Row {
    let mut row = Row { line: record.line, values: Map::new(), problems: record.problem.iter().cloned().collect() };
    if record.problem.is_some() {
        return row;
    }
    for (target, cell) in columns.targets.iter().zip(&record.cells) {
        // An empty cell says nothing: the field takes its default.
        if !cell.is_empty()
            && let Err(problem) = fill(&mut row.values, target, cell, references)
        {
            row.problems.push(problem);
        }
    }
    check(&mut row, noun);
    row
}

fn fill(values: &mut Map<String, Value>, target: &Target, cell: &str, references: &References) -> Result<(), FieldError> {
    let field = target.field();
    match target {
        Target::Whole(whole) => {
            let value = cells::value(whole, cell)?;
            references.check_id(field, value.as_str().unwrap_or_default())?;
            values.insert(field.to_owned(), value);
        }
        Target::ByName(_) => {
            values.insert(field.to_owned(), json!(references.by_name(field, cell)?));
        }
        Target::Key(_, key) => {
            let object = values.entry(field).or_insert_with(|| json!({}));
            if let Value::Object(object) = object {
                object.insert(key.clone(), json!(cell));
            }
        }
    }
    Ok(())
}

/// The rules of the noun, for all values that could be read, so that one run names everything.
fn check(row: &mut Row, noun: &Definition) {
    for field in noun.required {
        // An empty text is refused by the noun's own rule for it, with its own words.
        row.values.entry(*field).or_insert_with(|| json!(""));
    }
    let mut input = row.values.clone();
    if let Some(created_at) = input.remove(CREATED_AT) {
        row.problems.extend(future(&created_at));
    }
    row.problems.extend((noun.check)(Value::Object(input)));
}

fn future(created_at: &Value) -> Option<FieldError> {
    let moment: Timestamp = created_at.as_str()?.parse().ok()?;
    let message = "history cannot lie in the future";
    (moment > Timestamp::now()).then(|| FieldError::new(format!("/{CREATED_AT}"), "import_from_future", message))
}
