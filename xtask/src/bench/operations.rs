//! What is asked, and what an answer must look like to count.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::bench::client::Request;

/// Some of the organisation's records, from all over it.
pub struct Records {
    pub contacts: Vec<String>,
    pub companies: Vec<String>,
    pub open_deals: Vec<String>,
    pub surnames: Vec<String>,
}

/// As many of each as make no cache of one record.
const SOME: i64 = 1_000;

impl Records {
    pub async fn find(admin: &Client, organization: &str) -> Result<Self> {
        let some = async |column: &str, table: &str, condition: &str| -> Result<Vec<String>> {
            let query = format!(
                "SELECT {column}::text FROM (SELECT * FROM {table} WHERE organization_id = $1::text::uuid AND deleted_at IS NULL {condition}
                                              ORDER BY md5(id::text) LIMIT $2) AS some"
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
            surnames: some("last_name", "crm_contacts", "").await?,
        })
    }
}

pub struct Operation {
    pub name: &'static str,
    pub status: u16,
    /// By the connection's number and the request's.
    pub request: fn(&Records, usize, usize) -> Request,
    pub check: fn(&[u8]) -> Result<()>,
}

pub const ALL: &[Operation] = &[
    Operation {
        name: "get a contact",
        status: 200,
        request: |it, c, n| get(format!("/a-crm/contacts/{}", nth(&it.contacts, c, n))),
        check: record,
    },
    Operation {
        name: "newest 50 contacts",
        status: 200,
        request: |_, _, _| get("/a-crm/contacts?limit=50".into()),
        check: fifty,
    },
    Operation {
        name: "50 active contacts by name",
        status: 200,
        request: |_, _, _| get("/a-crm/contacts?limit=50&sort=last_name&contact_status=active".into()),
        check: fifty,
    },
    Operation {
        name: "companies by name's beginning",
        status: 200,
        request: |it, c, n| get(format!("/a-crm/companies?limit=50&sort=name&name={}*", nth(&it.surnames, c, n))),
        check: list,
    },
    Operation {
        name: "companies by a custom field",
        status: 200,
        request: |_, c, n| {
            get(format!("/a-crm/companies?limit=50&filter=custom_fields.year_established%20%3D%20{}", 1950 + (c * 31 + n) % 76))
        },
        check: list,
    },
    Operation { name: "board", status: 200, request: |_, _, _| get("/a-crm/deals/board".into()), check: object },
    Operation { name: "pipeline", status: 200, request: |_, _, _| get("/a-crm/deals/pipeline".into()), check: object },
    Operation {
        name: "a company's activities",
        status: 200,
        request: |it, c, n| get(format!("/a-crm/companies/{}/activities", nth(&it.companies, c, n))),
        check: list,
    },
    Operation { name: "my tasks", status: 200, request: |_, _, _| get("/a-crm/tasks/my-tasks".into()), check: object },
    Operation {
        name: "create a contact",
        status: 201,
        request: |it, c, n| {
            let email = format!("bench-{}@mail.example", Uuid::now_v7());
            post("/a-crm/contacts".into(), &json!({ "first_name": "Ada", "last_name": nth(&it.surnames, c, n), "email": email }))
        },
        check: record,
    },
    Operation {
        name: "change a company",
        status: 200,
        request: |it, c, n| Request {
            method: "PATCH",
            path: format!("/a-crm/companies/{}", nth(&it.companies, c, n)),
            body: Some(json!({ "employee_count": 100 + n }).to_string()),
        },
        check: record,
    },
    Operation {
        name: "move a deal",
        status: 200,
        request: |it, c, n| Request {
            method: "PUT",
            path: format!("/a-crm/deals/{}/stage", nth(&it.open_deals, c, n)),
            // All of them to the one, then all of them back.
            body: Some(
                json!({ "stage": if (n / it.open_deals.len()).is_multiple_of(2) { "negotiation" } else { "proposal" } })
                    .to_string(),
            ),
        },
        check: record,
    },
    Operation {
        name: "1,000 contacts in a call",
        status: 200,
        request: |it, c, n| {
            let make = |number: usize| {
                let email = format!("bulk-{}@mail.example", Uuid::now_v7());
                json!({ "op": "create", "data": { "first_name": "Ada", "last_name": nth(&it.surnames, c, n + number), "email": email } })
            };
            post("/a-crm/contacts/bulk".into(), &json!({ "operations": (0..1_000).map(make).collect::<Vec<_>>() }))
        },
        check: object,
    },
];

fn get(path: String) -> Request {
    Request { method: "GET", path, body: None }
}

fn post(path: String, body: &Value) -> Request {
    Request { method: "POST", path, body: Some(body.to_string()) }
}

/// Two connections ask for different ones, for as long as there are enough.
fn nth(all: &[String], connection: usize, turn: usize) -> &str {
    all.get((connection * 131 + turn) % all.len().max(1)).map(String::as_str).unwrap_or_default()
}

fn parsed(body: &[u8]) -> Result<Value> {
    Ok(serde_json::from_slice(body)?)
}

fn record(body: &[u8]) -> Result<()> {
    ensure!(parsed(body)?.get("id").is_some(), "a record has an id");
    Ok(())
}

fn object(body: &[u8]) -> Result<()> {
    ensure!(parsed(body)?.is_object(), "an object was asked for");
    Ok(())
}

fn list(body: &[u8]) -> Result<()> {
    ensure!(parsed(body)?.get("data").is_some_and(Value::is_array), "a list was asked for");
    Ok(())
}

fn fifty(body: &[u8]) -> Result<()> {
    let records = parsed(body)?.get("data").and_then(Value::as_array).map_or(0, Vec::len);
    ensure!(records == 50, "50 records were asked for and {records} came");
    Ok(())
}
