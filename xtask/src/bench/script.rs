//! A script of pgbench that asks what the gateway asked: the same statements in the same transaction, with the values of several requests.
//!
//! Where the requests had different values, the script takes those of the request that `r` says. What must be new each time (an address,
//! the id of a record that is made, a number that changes a record) is drawn. What must stay true: the text of a statement is the
//! gateway's but for its parameters, and these keep their types.

use std::collections::HashMap;
use std::fmt::Write;

use anyhow::{Context, Result};
use tokio_postgres::Client;

use crate::bench::capture::Statement;
use crate::bench::operations::MARK;

/// How values come into the statements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// Statements are prepared once for each connection.
    Prepared,
    /// Texts are sent each time: where there are more values than pgbench prepares.
    Simple,
}

impl Mode {
    pub fn name(self) -> &'static str {
        if self == Self::Prepared { "prepared" } else { "simple" }
    }
}

/// The so-many-th id that nobody has: of a day in November 2026, and drawn from 2^72.
fn new_id(number: usize) -> String {
    format!(
        "('01a1f000-0000-7' || lpad(to_hex((:x)::int4), 3, '0') || '-8' || lpad(to_hex((:y)::int4), 3, '0') || '-' \
         || lpad(to_hex((:z)::int8 + {number}), 12, '0'))::uuid"
    )
}

/// One script for all requests.
pub async fn of(admin: &Client, requests: &[Vec<Statement>], by_connection: Drawn) -> Result<String> {
    let first = requests.first().context("nothing was asked")?;
    let mut script = match by_connection {
        Drawn::AtRandom => format!("\\set r random(1, {})\n", requests.len()),
        Drawn::OwnOfConnection => format!("\\set r :client_id % {} + 1\n", requests.len()),
    };
    script.push_str("\\set n random(1, 2000000000)\n\\set m random(1, 2000000000)\n");
    script.push_str("\\set x random(0, 4095)\n\\set y random(0, 4095)\n\\set z random(0, 281474976700000)\n");
    let mut made = HashMap::new();
    for (number, statement) in first.iter().enumerate() {
        let types = match statement.parameters.is_empty() {
            true => Vec::new(),
            false => types(admin, &statement.text).await?,
        };
        let values: Vec<String> = (0..statement.parameters.len())
            .map(|parameter| {
                let of_requests: Vec<Option<&str>> = requests
                    .iter()
                    .map(|request| request.get(number).and_then(|it| it.parameters.get(parameter)?.as_deref()))
                    .collect();
                let of_type = types.get(parameter).map_or("text", String::as_str);
                value(&of_requests, of_type, statement.text.starts_with("INSERT"), &mut made)
            })
            .collect();
        writeln!(script, "{};", filled(&statement.text, &values))?;
    }
    Ok(script)
}

/// Which of the requests a script repeats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Drawn {
    AtRandom,
    /// Two connections that change one record wait for each other, and those of the gateway do not.
    OwnOfConnection,
}

async fn types(admin: &Client, text: &str) -> Result<Vec<String>> {
    let prepared = admin.prepare(text).await.with_context(|| format!("the server does not know {text}"))?;
    Ok(prepared.params().iter().map(|of| format!("\"{}\".\"{}\"", of.schema(), of.name())).collect())
}

fn value(requests: &[Option<&str>], of_type: &str, inserts: bool, made: &mut HashMap<String, usize>) -> String {
    let first = requests.first().copied().flatten();
    let is_id = of_type.ends_with("\"uuid\"");
    let differs = requests.iter().any(|value| *value != first);
    if let Some(id) = first.filter(|id| is_id && (differs && inserts || made.contains_key(*id))) {
        let next = made.len();
        return new_id(*made.entry(id.to_owned()).or_insert(next));
    }
    if !differs {
        return literal(first, of_type);
    }
    let mut cases = "CASE (:r)::int4".to_owned();
    for (number, value) in requests.iter().enumerate() {
        let _ = write!(cases, " WHEN {} THEN {}", number + 1, literal(*value, of_type));
    }
    cases.push_str(" END");
    format!("({cases})")
}

/// Colons are written by their number, because pgbench takes what follows one for a variable.
fn literal(value: Option<&str>, of_type: &str) -> String {
    let Some(value) = value else { return format!("NULL::{of_type}") };
    if value == MARK {
        return format!("(:n)::{of_type}");
    }
    let quoted = |text: &str| {
        let text = text.replace('\\', "\\\\").replace('\'', "''").replace(':', "\\x3a").replace('\n', "\\n");
        format!("E'{text}'")
    };
    if value.contains(MARK) {
        let parts: Vec<String> = value.split(MARK).map(quoted).collect();
        return format!("({})::{of_type}", parts.join(" || (:n)::text || '-' || (:m)::text || "));
    }
    format!("{}::{of_type}", quoted(value))
}

/// The text with its parameters filled in; what stands in quotes is none.
fn filled(text: &str, values: &[String]) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['\'', '"', '$']) {
        let (before, from) = rest.split_at(at);
        filled.push_str(before);
        let Some(behind) = from.strip_prefix('$') else {
            let quote = if from.starts_with('"') { '"' } else { '\'' };
            let mut parts = from.splitn(3, quote).skip(1);
            let _ = write!(filled, "{quote}{}{quote}", parts.next().unwrap_or_default());
            rest = parts.next().unwrap_or_default();
            continue;
        };
        let (digits, after) = behind.split_at(behind.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(behind.len()));
        match digits.parse::<usize>().ok().and_then(|number| values.get(number.checked_sub(1)?)) {
            Some(value) => filled.push_str(value),
            None => {
                let _ = write!(filled, "${digits}");
            }
        }
        rest = after;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{filled, literal, value};

    #[test]
    fn parameters_are_filled_in_and_quotes_are_left_alone() {
        let values = ["'a'".to_owned(), "2".to_owned()];
        assert_eq!(filled("SELECT $1, $2, '$1' AS \"$2\", $3", &values), "SELECT 'a', 2, '$1' AS \"$2\", $3");
    }

    #[test]
    fn values_are_those_of_the_requests_or_drawn() {
        let mut made = HashMap::new();
        let mut of = |requests: &[Option<&str>], of_type: &str, inserts: bool| value(requests, of_type, inserts, &mut made);
        assert_eq!(of(&[Some("12:30"), Some("12:30")], "\"t\"", false), "E'12\\x3a30'::\"t\"");
        assert_eq!(
            of(&[Some("a"), None], "\"t\"", false),
            "(CASE (:r)::int4 WHEN 1 THEN E'a'::\"t\" WHEN 2 THEN NULL::\"t\" END)"
        );
        assert!(of(&[Some("one"), Some("two")], "\"pg_catalog\".\"uuid\"", true).contains(":z"), "a new record has a new id");
        assert!(of(&[Some("one"), Some("two")], "\"pg_catalog\".\"uuid\"", false).contains(":z"), "which is asked for then");
        assert_eq!(literal(Some("777000777"), "\"int4\""), "(:n)::\"int4\"");
        assert_eq!(literal(Some("a-777000777"), "\"t\""), "(E'a-' || (:n)::text || '-' || (:m)::text || E'')::\"t\"");
    }
}
