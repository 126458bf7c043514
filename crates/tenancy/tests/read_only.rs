//! A transaction that may only read stays one, whatever is said in it: raw SQL as the application's role, as if every line of Rust were
//! wrong.
#![allow(clippy::panic, clippy::expect_used, reason = "tests fail by panicking")]

use crm_testkit::TestDatabase;
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};

/// Ways back to writing, and what PostgreSQL says to them, or to the write behind them.
const WAYS_BACK: [(&str, &str); 8] = [
    ("SELECT 1", "read-only transaction"),
    ("SET TRANSACTION READ WRITE", "must be set before any query"),
    ("SET LOCAL transaction_read_only = off", "must be set before any query"),
    ("SELECT set_config('transaction_read_only', 'off', true)", "must be set before any query"),
    ("RESET transaction_read_only", "cannot be reset"),
    ("SAVEPOINT a; SET TRANSACTION READ WRITE", "inside a read-only transaction"),
    ("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "read-only transaction"),
    ("RESET ALL", "read-only transaction"),
];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_said_in_it_lets_it_write() {
    let database = TestDatabase::create().await;
    let owner = database.tenant("Acme").await.owner;
    let (organization, user) = (owner.organization_id, owner.user_id);
    let begin = |access: bool| {
        format!(
            "BEGIN; SELECT app.begin_request('{organization}', '{user}', NULL, NULL, 'user', {access}, NULL, NULL, NULL, NULL)"
        )
    };
    let write = "INSERT INTO crm_companies (name, slug) VALUES ('Written', 'written')";
    let mut connection = AsyncPgConnection::establish(&database.url()).await.expect("the application's role connects");
    for (way, refusal) in WAYS_BACK {
        // As one message, and as two: a message of its own has a snapshot of its own.
        for statements in [vec![format!("{way}; {write}")], vec![way.to_owned(), write.to_owned()]] {
            connection.batch_execute(&begin(true)).await.expect("a transaction begins");
            let mut said = String::new();
            for statement in statements {
                if let Err(error) = connection.batch_execute(&statement).await {
                    said = error.to_string();
                    break;
                }
            }
            assert!(said.contains(refusal), "{way}: {said}");
            connection.batch_execute("COMMIT").await.expect("it ends");
        }
    }
    // The next transaction of the chain has the same mode, and no caller.
    connection.batch_execute(&begin(true)).await.expect("a transaction begins");
    let chained = connection.batch_execute(&format!("COMMIT AND CHAIN; {write}")).await.expect_err("nobody writes").to_string();
    assert!(chained.contains("read-only transaction"), "{chained}");
    connection.batch_execute("ROLLBACK").await.expect("it ends");
    let written = "SELECT count(*) FROM crm_companies";
    assert_eq!(database.number(written).await, 0);
    connection
        .batch_execute(&format!("{}; {write}; COMMIT", begin(false)))
        .await
        .expect("the same statement, where it may write");
    assert_eq!(database.number(written).await, 1);
}
