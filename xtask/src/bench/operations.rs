//! What is asked, and what an answer must look like to count.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::bench::capture::VARIANTS;
use crate::bench::client::Request;
use crate::bench::script::{Drawn, Mode};

/// Some of the organisation's records, from all over it.
pub struct Records {
    pub contacts: Vec<String>,
    pub companies: Vec<String>,
    pub open_deals: Vec<String>,
    pub surnames: Vec<String>,
}

/// Stands for what must be new each time when an operation is asked to see its statements. It is a number too, so that it can be one.
pub const MARK: &str = "777000777";

/// As many of each as make no cache of one record.
const SOME: i64 = 1_000;

impl Records {
    pub async fn find(admin: &Client, organization: &str) -> Result<Self> {
        let some = async |column: &str, table: &str, condition: &str| -> Result<Vec<String>> {
            let query = format!(
                "SELECT {column}::text FROM (SELECT * FROM {table} WHERE organization_id = $1::text::uuid AND deleted_at IS NULL {condition}
                                              ORDER BY md5(id::text) LIMIT $2) AS chosen"
            );
            let rows = admin.query(&query, &[&organization, &SOME]).await?;
            let found: Vec<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
            ensure!(!found.is_empty(), "there is nothing in {table} to ask for");
            Ok(found)
        };
        Ok(Self {
            contacts: some("id", "crm_contacts", "").await?,
            companies: some("id", "crm_companies", "").await?,
            open_deals: some("id", "crm_deals", "AND stage IN ('prospecting', 'qualification')").await?,
            surnames: some("last_name", "crm_contacts", "AND last_name ~ '^[A-Za-z]+$'").await?,
        })
    }
}

pub struct Operation {
    pub name: &'static str,
    pub status: u16,
    /// By the connection's number and the request's, and with what must be new.
    pub request: fn(&Records, usize, usize, &str) -> Request,
    pub check: fn(&[u8]) -> Result<()>,
    /// How many requests are looked at, to see their statements.
    pub variants: usize,
    /// So many requests bring a record back to where it was.
    pub turns: usize,
    pub drawn: Drawn,
    pub mode: Mode,
}

/// What most operations are: they read, whatever comes to mind.
const READ: Operation = Operation {
    name: "",
    status: 200,
    request: |_, _, _, _| get(String::new()),
    check: object,
    variants: VARIANTS,
    turns: 1,
    drawn: Drawn::AtRandom,
    mode: Mode::Prepared,
};

pub const ALL: &[Operation] = &[
    Operation {
        name: "get a contact",
        request: |it, c, n, _| get(format!("/a-crm/contacts/{}", nth(&it.contacts, c, n))),
        check: record,
        ..READ
    },
    Operation { name: "newest 50 contacts", request: |_, _, _, _| get("/a-crm/contacts?limit=50".into()), check: fifty, ..READ },
    Operation {
        name: "50 active contacts by name",
        request: |_, _, _, _| get("/a-crm/contacts?limit=50&sort=last_name&contact_status=active".into()),
        check: fifty,
        ..READ
    },
    Operation {
        name: "companies by name's beginning",
        request: |it, c, n, _| get(format!("/a-crm/companies?limit=50&sort=name&name={}*", nth(&it.surnames, c, n))),
        check: list,
        ..READ
    },
    Operation {
        name: "companies by a custom field",
        request: |_, c, n, _| {
            get(format!("/a-crm/companies?limit=50&filter=custom_fields.year_established%20%3D%20{}", 1950 + (c * 31 + n) % 76))
        },
        check: list,
        ..READ
    },
    Operation { name: "board", request: |_, _, _, _| get("/a-crm/deals/board".into()), ..READ },
    Operation { name: "pipeline", request: |_, _, _, _| get("/a-crm/deals/pipeline".into()), ..READ },
    Operation {
        name: "board, filtered",
        request: |_, _, n, _| get(format!("/a-crm/deals/board?filter=amount%20%3E%20{}", 1_000 + n)),
        ..READ
    },
    Operation {
        name: "pipeline, filtered",
        request: |_, _, n, _| get(format!("/a-crm/deals/pipeline?filter=amount%20%3E%20{}", 1_000 + n)),
        ..READ
    },
    Operation {
        name: "a company's contacts",
        request: |it, c, n, _| get(format!("/a-crm/companies/{}/contacts", nth(&it.companies, c, n))),
        check: list,
        ..READ
    },
    Operation {
        name: "a company's timeline",
        request: |it, c, n, _| get(format!("/a-crm/companies/{}/timeline", nth(&it.companies, c, n))),
        check: list,
        ..READ
    },
    Operation { name: "my tasks", request: |_, _, _, _| get("/a-crm/tasks/my-tasks".into()), ..READ },
    Operation {
        name: "create a contact",
        status: 201,
        request: |it, c, n, new| {
            let email = format!("bench-{new}@mail.example");
            post("/a-crm/contacts".into(), &json!({ "first_name": "Ada", "last_name": nth(&it.surnames, c, n), "email": email }))
        },
        check: record,
        ..READ
    },
    Operation {
        name: "change a company",
        request: |it, c, _, new| Request {
            method: "PATCH".into(),
            path: format!("/a-crm/companies/{}", nth(&it.companies, c, 0)),
            body: Some(format!("{{\"employee_count\":{new}}}")),
        },
        check: record,
        drawn: Drawn::OwnOfConnection,
        ..READ
    },
    Operation {
        name: "move a deal",
        request: |it, c, n, _| Request {
            method: "PUT".into(),
            path: format!("/a-crm/deals/{}/stage", nth(&it.open_deals, c, 0)),
            body: Some(json!({ "stage": if n.is_multiple_of(2) { "negotiation" } else { "proposal" } }).to_string()),
        },
        check: record,
        turns: 2,
        drawn: Drawn::OwnOfConnection,
        ..READ
    },
    Operation {
        name: "1,000 contacts in a call",
        request: |it, c, n, new| {
            let make = |number: usize| {
                let email = format!("bulk-{new}-{number}@mail.example");
                json!({ "op": "create", "data": { "first_name": "Ada", "last_name": nth(&it.surnames, c, n + number), "email": email } })
            };
            post("/a-crm/contacts/bulk".into(), &json!({ "operations": (0..1_000).map(make).collect::<Vec<_>>() }))
        },
        check: made,
        variants: 2,
        mode: Mode::Simple,
        ..READ
    },
];

fn get(path: String) -> Request {
    Request { method: "GET".into(), path, body: None }
}

fn post(path: String, body: &Value) -> Request {
    Request { method: "POST".into(), path, body: Some(body.to_string()) }
}

/// Two connections ask for different ones, for as long as there are enough.
pub fn nth(all: &[String], connection: usize, turn: usize) -> &str {
    all.get((connection * 131 + turn) % all.len().max(1)).map(String::as_str).unwrap_or_default()
}

/// Answers are looked through and not parsed, because the client shares the processors with what it measures. Names of fields stand in
/// answers with their quotes, and within a text these are escaped.
fn times(body: &[u8], what: &str) -> usize {
    body.windows(what.len()).filter(|window| *window == what.as_bytes()).count()
}

fn is_object(body: &[u8]) -> bool {
    body.first() == Some(&b'{') && body.last() == Some(&b'}')
}

fn record(body: &[u8]) -> Result<()> {
    ensure!(is_object(body) && times(body, "\"id\":") >= 1, "a record has an id");
    Ok(())
}

fn object(body: &[u8]) -> Result<()> {
    ensure!(is_object(body), "an object was asked for");
    Ok(())
}

fn list(body: &[u8]) -> Result<()> {
    ensure!(is_object(body) && body.starts_with(b"{\"data\":["), "a list was asked for");
    Ok(())
}

fn fifty(body: &[u8]) -> Result<()> {
    list(body)?;
    let records = times(body, "\"version\":");
    ensure!(records == 50, "50 records were asked for and {records} came");
    Ok(())
}

fn made(body: &[u8]) -> Result<()> {
    let records = times(body, "\"status\":201");
    ensure!(is_object(body) && records == 1_000, "1,000 records were to be made and {records} were");
    Ok(())
}
