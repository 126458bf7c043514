//! A postman: delivers the letters that identity has queued, in a program that uses the CRM's own logins without its gateway. Its
//! own pool, its own runtime, no server beside it but PostgreSQL and, if it is to send, one for mail.

use std::sync::Arc;

use crm_mail::{Composer, Delivery, PublicUrl, Route, Sender};
use crm_tenancy::{ConnectOptions, Db, identity::letters::PgLetters, sealing::SealingKeys};
use tokio::sync::Notify;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, keys, route] = arguments.as_slice() else {
        return Err("usage: postman postgres://crm_app:...@host/database FILE_OF_SEALING_KEYS mailbox:FOLDER|smtp://HOST".into());
    };
    let keys = SealingKeys::from_text(&std::fs::read_to_string(keys)?)?;
    // Whoever queues a letter in this program announces it here, and it goes at once; those of other programs are looked for.
    let delivery = postman(url, keys, route, Arc::new(Notify::new())).await?;
    // It finishes the letters that it has begun.
    delivery.run(async { drop(tokio::signal::ctrl_c().await) }).await;
    Ok(())
}

/// Takes the letters of this database to where the route leads.
pub async fn postman(
    url: &str,
    keys: SealingKeys,
    route: &str,
    queued: Arc<Notify>,
) -> Result<Delivery, Box<dyn std::error::Error>> {
    // The role of the application, never an administrator: the seal binds nobody who owns the tables.
    let db = Db::connect(url, ConnectOptions { max_size: 2, ..ConnectOptions::default() })?;
    let faults = crm_tenancy::seal::check(&db).await?;
    assert!(faults.is_empty(), "{faults:?}");

    // The keys are those that the program gives to identity: the queue holds no secret, and each link is derived here once more.
    let public_url = PublicUrl::from_text("https://crm.example.com")?;
    let composer = Composer::new(keys, public_url, Sender::from_text("The workshop <no-reply@crm.example.com>")?);
    let mailer = Route::from_text(route)?.open()?;
    Ok(Delivery::new(Arc::new(PgLetters::new(db)), composer, mailer, queued))
}
