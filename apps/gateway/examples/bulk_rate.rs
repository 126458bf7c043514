//! How many contacts come in per second through `POST /contacts/bulk`, and how many are changed: the real application on a port, a database
//! of its own, clients that send calls of a thousand creations each, then of a thousand changes.
//!
//!     CRM_TEST_ADMIN_URL=postgres://… cargo run --release -p crm-gateway --example bulk_rate -- [calls] [clients]
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measurement, not a part of the program"
)]

use std::time::Instant;

use actix_web::{HttpServer, web::Data};
use crm_gateway::{
    app,
    services::{Secrets, Services},
};
use crm_tenancy::{
    sealing::SealingKeys,
    token::{KeyRing, TokenKey},
};
use crm_testkit::{PASSWORD, TestDatabase};
use futures_util::future::join_all;
use serde_json::{Value, json};

const OPERATIONS: usize = 1_000;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).map(|number| number.parse::<usize>().unwrap());
    let (calls, clients) = (arguments.next().unwrap_or(20), arguments.next().unwrap_or(1));
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let keys = KeyRing::from(TokenKey::generate());
    let secrets = Secrets { token_keys: keys, sealing_keys: SealingKeys::generate().unwrap() };
    let services = Data::new(Services::new(&database.db(), secrets).unwrap());
    let document = Data::new(app::document());
    let server = HttpServer::new(move || app::app(services.clone(), document.clone())).workers(2).disable_signals();
    let server = server.bind(("127.0.0.1", 0)).unwrap();
    let base = format!("http://{}/api/v1", server.addrs()[0]);
    tokio::spawn(server.run());

    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let login = json!({ "email": tenant.email("member"), "password": PASSWORD });
    let answer = http.post(format!("{base}/auth/login")).json(&login).send().await.unwrap();
    let token = answer.json::<Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned();
    let send = async |body: Value| {
        let request = http.post(format!("{base}/a-crm/contacts/bulk")).bearer_auth(&token).json(&body);
        let answer = request.send().await.unwrap();
        let (status, bytes) = (answer.status(), answer.bytes().await.unwrap());
        assert_eq!(status.as_u16(), 200, "{}", String::from_utf8_lossy(&bytes));
        bytes
    };
    // One set of records for each client to change; making them warms up what makes the others.
    let mut own = Vec::new();
    for client in 0..clients {
        own.push(ids(&send(creations(calls * clients + client)).await));
    }
    let begin = Instant::now();
    let create = async |client: usize| {
        for call in 0..calls {
            send(creations(client * calls + call)).await;
        }
    };
    join_all((0..clients).map(create)).await;
    tell("created", calls * clients * OPERATIONS, clients, begin);
    let stored = database.number("SELECT count(*) FROM crm_contacts").await;
    assert_eq!(usize::try_from(stored).unwrap(), (calls + 1) * clients * OPERATIONS);

    let begin = Instant::now();
    let change = async |own: &Vec<String>| {
        for call in 0..calls {
            send(changes(own, call)).await;
        }
    };
    join_all(own.iter().map(change)).await;
    tell("changed", calls * clients * OPERATIONS, clients, begin);
    let logged =
        database.number("SELECT count(*) FROM crm_activities WHERE entity_type = 'contact' AND activity_type = 'updated'").await;
    assert_eq!(usize::try_from(logged).unwrap(), calls * clients * OPERATIONS, "one activity for each change");
}

fn tell(done: &str, contacts: usize, clients: usize, begin: Instant) {
    let seconds = begin.elapsed().as_secs_f64();
    #[allow(clippy::cast_precision_loss, reason = "a rate")]
    let rate = contacts as f64 / seconds;
    println!("{contacts} contacts {done} in {seconds:.1} s by {clients} clients: {rate:.0} a second");
}

fn ids(answer: &[u8]) -> Vec<String> {
    let answer: Value = serde_json::from_slice(answer).unwrap();
    answer["results"].as_array().unwrap().iter().map(|result| result["record"]["id"].as_str().unwrap().to_owned()).collect()
}

/// Another title for each.
fn changes(ids: &[String], call: usize) -> Value {
    let change = |id: &String| json!({ "op": "update", "id": id, "data": { "title": format!("Title {call}") } });
    json!({ "operations": ids.iter().map(change).collect::<Vec<_>>() })
}

/// As a synchronisation sends them: nine fields of their own each.
fn creations(call: usize) -> Value {
    let new = |number: usize| {
        json!({ "op": "create", "data": {
            "first_name": "Zoë",
            "last_name": format!("Müller {call} {number}"),
            "email": format!("person.{call}.{number}@example.com"),
            "phone": format!("+41 61 000 {number:04}"),
            "title": "Head of Purchasing",
            "lead_source": "Trade fair",
            "lead_score": number % 100,
            "tags": ["fair", "east"],
            "custom_fields": { "region": "EU", "number": number },
        }})
    };
    json!({ "operations": (0..OPERATIONS).map(new).collect::<Vec<_>>() })
}
