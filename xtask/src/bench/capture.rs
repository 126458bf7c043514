//! What an operation asks of PostgreSQL: the statements that the server wrote into its log while the gateway answered.
//!
//! Must stay true: the log is as it is without this when the capture ends, also when it failed.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use tokio::time::sleep;
use tokio_postgres::Client;

use crate::bench::client::{Connection, Server};
use crate::bench::operations::{MARK, Operation, Records};
use crate::logfile;

/// So many requests of each operation, each about other records.
pub const VARIANTS: usize = 32;

/// The first requests fill caches of the gateway, such as that of its statements' names, and ask more than usual.
const FIRST: usize = 3;

const PATIENCE: Duration = Duration::from_secs(5);

/// A statement as the server was asked it.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    pub text: String,
    /// As texts; none is NULL.
    pub parameters: Vec<Option<String>>,
}

/// Lets the server log what the application asks from its next connections on.
pub async fn begin(admin: &Client) -> Result<()> {
    end(admin).await?;
    Ok(admin.batch_execute("ALTER ROLE crm_app SET log_statement = 'all'").await?)
}

pub async fn end(admin: &Client) -> Result<()> {
    Ok(admin.batch_execute("ALTER ROLE crm_app RESET log_statement").await?)
}

/// The statements of each of several requests. The gateway does nothing else meanwhile.
pub async fn operation(
    log: &Path,
    port: u16,
    token: &str,
    operation: &Operation,
    records: &Records,
) -> Result<Vec<Vec<Statement>>> {
    let server = Server::gateway(port, token);
    let mut connection = Connection::open(&server).await?;
    let mut requests = Vec::new();
    for variant in 0..FIRST + operation.variants {
        let begun = logfile::length(log);
        let mark = drawn()?.to_string();
        for turn in 0..operation.turns {
            let request = (operation.request)(records, variant, turn, &mark);
            let answer = connection.send(&request).await?;
            let said = String::from_utf8_lossy(&answer.body);
            ensure!(answer.status == operation.status, "{}: answered {}: {said}", operation.name, answer.status);
        }
        let mut asked = finished(log, begun).await.with_context(|| operation.name)?;
        for value in asked.iter_mut().flat_map(|statement| &mut statement.parameters).flatten() {
            *value = value.replace(&mark, MARK);
        }
        requests.push(asked);
    }
    let usual = requests.last().context("nothing was asked")?.clone();
    requests.retain(|statements| is_alike(statements, &usual));
    ensure!(!usual.is_empty(), "{}: the log has none of its statements", operation.name);
    // By what differs between two, a script tells what must be new each time.
    ensure!(requests.len() > 1, "{}: no two requests asked the same statements", operation.name);
    requests.drain(..requests.len().saturating_sub(operation.variants));
    Ok(requests)
}

/// What was asked since then, when the transaction has ended: one that only read is ended behind the answer.
async fn finished(log: &Path, since: u64) -> Result<Vec<Statement>> {
    let begun = Instant::now();
    loop {
        if let Some(asked) = of_callers(&statements(&logfile::whole(log, since)?)) {
            return Ok(asked);
        }
        ensure!(begun.elapsed() < PATIENCE, "the log does not say how the transaction ended");
        sleep(Duration::from_millis(1)).await;
    }
}

/// A number that nobody had yet, most probably, and that an employee count takes.
pub fn drawn() -> Result<u32> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("the system gives no random numbers: {error}"))?;
    Ok(100_000_000 + u32::from_le_bytes(bytes) % 1_900_000_000)
}

fn is_alike(one: &[Statement], other: &[Statement]) -> bool {
    let same = |(a, b): (&Statement, &Statement)| a.text == b.text && a.parameters.len() == b.parameters.len();
    one.len() == other.len() && one.iter().zip(other).all(same)
}

/// What was asked by connections that served a caller, one connection after the other; chores run beside them and have none. None while a
/// transaction has not ended.
fn of_callers(all: &[(u32, Statement)]) -> Option<Vec<Statement>> {
    let mut callers: Vec<u32> = Vec::new();
    for (process, statement) in all {
        if statement.text.contains("app.begin_request(") && !callers.contains(process) {
            callers.push(*process);
        }
    }
    let mut asked = Vec::new();
    for caller in callers {
        let own = all.iter().filter(|(process, _)| *process == caller).map(|(_, statement)| statement);
        let mut begun = false;
        // Between transactions the same connection may be asked whether it is well.
        for statement in own {
            begun |= statement.text == "BEGIN";
            if begun {
                asked.push(statement.clone());
            }
            begun &= !(statement.text.ends_with("COMMIT") || statement.text == "ROLLBACK");
        }
        if begun {
            return None;
        }
    }
    Some(asked).filter(|asked| !asked.is_empty())
}

/// The statements in a log with the usual prefix of time and process.
fn statements(log: &str) -> Vec<(u32, Statement)> {
    let mut found: Vec<(u32, Statement)> = Vec::new();
    for entry in entries(log) {
        let Some((head, rest)) = entry.split_once("] ") else { continue };
        let Some(process) = head.rsplit_once('[').and_then(|(_, number)| number.parse().ok()) else { continue };
        if let Some(text) = rest.strip_prefix("LOG:  statement: ") {
            found.push((process, Statement { text: text.to_owned(), parameters: Vec::new() }));
        } else if let Some((_, text)) = rest.strip_prefix("LOG:  execute ").and_then(|rest| rest.split_once(": ")) {
            found.push((process, Statement { text: text.to_owned(), parameters: Vec::new() }));
        } else if let Some(list) = rest.strip_prefix("DETAIL:  ").and_then(|rest| rest.split_once("arameters: ")) {
            let last = found.iter_mut().rev().find(|(of, _)| *of == process);
            if let Some((_, statement)) = last {
                statement.parameters = parameters(list.1);
            }
        }
    }
    found
}

/// Lines that begin with a tabulator go on with the entry before them.
fn entries(log: &str) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    for line in log.lines() {
        match (line.strip_prefix('\t'), entries.last_mut()) {
            (Some(more), Some(entry)) => {
                entry.push('\n');
                entry.push_str(more);
            }
            _ => entries.push(line.to_owned()),
        }
    }
    entries
}

/// Of `$1 = 'it''s', $2 = NULL`.
fn parameters(list: &str) -> Vec<Option<String>> {
    let mut found = Vec::new();
    let mut rest = list;
    while let Some((_, value)) = rest.split_once(" = ") {
        let Some(quoted) = value.strip_prefix('\'') else {
            found.push(None);
            rest = value;
            continue;
        };
        let (text, behind) = unquoted(quoted);
        found.push(Some(text));
        rest = behind;
    }
    found
}

/// The text up to the quote that ends it, and what is behind.
fn unquoted(quoted: &str) -> (String, &str) {
    let mut text = String::new();
    let mut rest = quoted;
    while let Some((before, behind)) = rest.split_once('\'') {
        text.push_str(before);
        let Some(more) = behind.strip_prefix('\'') else { return (text, behind) };
        text.push('\'');
        rest = more;
    }
    text.push_str(rest);
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::{Statement, of_callers, statements};

    #[test]
    fn what_a_connection_is_asked_between_transactions_is_none_of_it() {
        let all = |texts: &[&str]| -> Vec<(u32, Statement)> {
            let statement = |text: &&str| (7, Statement { text: (*text).to_owned(), parameters: Vec::new() });
            texts.iter().map(statement).collect()
        };
        let texts = ["SELECT 1", "BEGIN", "SELECT app.begin_request($1)", "SELECT 2", "ROLLBACK", "SELECT 1"];
        assert_eq!(of_callers(&all(&texts)).map(|asked| asked.len()), Some(4));
        assert_eq!(of_callers(&all(&texts[..4])), None, "it has not ended");
        assert_eq!(of_callers(&all(&texts[..2])), None, "nobody called");
    }

    #[test]
    fn a_log_tells_statements_and_their_values() {
        let log = "2026-11-24 03:00:00.000 UTC [7] LOG:  statement: BEGIN\n\
                   2026-11-24 03:00:00.000 UTC [7] LOG:  execute s1: SELECT $1,\n\
                   \t       $2, $3\n\
                   2026-11-24 03:00:00.000 UTC [8] LOG:  checkpoint starting: time\n\
                   2026-11-24 03:00:00.000 UTC [7] DETAIL:  Parameters: $1 = 'it''s = a ''test''', $2 = NULL, $3 = ''\n";
        let of = |text: &str, parameters: &[Option<&str>]| {
            let parameters = parameters.iter().map(|value| value.map(ToOwned::to_owned)).collect();
            (7, Statement { text: text.to_owned(), parameters })
        };
        let select = of("SELECT $1,\n       $2, $3", &[Some("it's = a 'test'"), None, Some("")]);
        assert_eq!(statements(log), [of("BEGIN", &[]), select]);
    }
}
