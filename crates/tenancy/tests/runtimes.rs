//! The pool's connections live on the runtime that made the pool: a server's workers, each with a runtime of its own, ask for them and
//! end before the program does.
#![allow(missing_docs, reason = "Diesel's macros make items that nobody outside this test sees")]

use crm_kernel::Context;
use crm_tenancy::{ConnectOptions, Db};
use crm_testkit::TestDatabase;
use diesel::define_sql_function;
use diesel_async::RunQueryDsl;
use tokio::runtime::{Builder, Runtime};

define_sql_function! { fn pg_backend_pid() -> Integer; }

fn one() -> ConnectOptions {
    ConnectOptions { max_size: 1, ..ConnectOptions::default() }
}

async fn process(db: &Db, context: &Context) -> i32 {
    let mut tx = db.begin(context).await.expect("a transaction begins");
    let process = diesel::select(pg_backend_pid()).get_result(&mut tx).await.expect("a process can be asked");
    tx.commit().await.expect("it is committed");
    process
}

fn worker() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// What a worker asks on a thread of its own, which ends with its runtime.
async fn asked_by_a_worker(db: &Db, context: &Context) -> i32 {
    let (db, context) = (db.clone(), context.clone());
    let thread = tokio::task::spawn_blocking(move || {
        std::thread::spawn(move || worker().block_on(process(&db, &context))).join().expect("the worker ends well")
    });
    thread.await.expect("the thread ends well")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_outlives_the_worker_that_asked_for_it() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let db = Db::connect(&database.url(), one()).expect("a pool");
    let first = asked_by_a_worker(&db, &tenant.member).await;
    assert_eq!(process(&db, &tenant.member).await, first, "the connection is there when the worker is not");
    assert_eq!(asked_by_a_worker(&db, &tenant.member).await, first, "and for the next worker");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_whose_runtime_has_ended_opens_connections_where_it_is_asked() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let url = database.url();
    let made = tokio::task::spawn_blocking(move || worker().block_on(async { Db::connect(&url, one()).expect("a pool") }));
    let db = made.await.expect("the runtime ends well");
    let first = process(&db, &tenant.member).await;
    assert_eq!(process(&db, &tenant.member).await, first);
}
