//! The door leaks nothing: whatever becomes of a transaction, its connection comes back clean or not at all.
#![allow(missing_docs, reason = "Diesel's macros make items that nobody outside this test sees")]

use std::{
    collections::BTreeSet,
    future::Future,
    pin::Pin,
    task::{Context as Polling, Poll},
};

use crm_kernel::{Context, Error, OrganizationId, Result, UserId};
use crm_tenancy::{Db, Pool, Tx};
use crm_testkit::{Tenant, TestDatabase, refusals::unauthenticated};
use diesel::{
    ExpressionMethods, QueryDsl, define_sql_function,
    sql_types::{Bool, Text, Uuid as SqlUuid},
};
use diesel_async::{
    AsyncPgConnection, RunQueryDsl,
    pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod, deadpool},
};
use uuid::Uuid;

diesel::table! {
    crm_companies (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        name -> Text,
        slug -> Text,
    }
}

define_sql_function! { #[sql_name = "app.org_id"] fn org_id() -> SqlUuid; }
define_sql_function! { #[sql_name = "app.user_id"] fn user_id() -> SqlUuid; }
define_sql_function! { fn pg_backend_pid() -> Integer; }
define_sql_function! { fn current_setting(name: Text, missing_ok: Bool) -> Nullable<Text>; }

/// Connections of the pool under test.
const POOL: usize = 4;
/// Tasks that use it at once: more than connections, so that some wait at the door when they are cancelled.
const TASKS: u64 = 10;
/// Futures that each task starts, one after the other.
const TURNS: u64 = 100;

/// Everything that begin_request sets.
const SETTINGS: [&str; 10] = [
    "app.org_id",
    "app.user_id",
    "app.role",
    "app.session_id",
    "app.token_id",
    "app.actor_kind",
    "app.ip",
    "app.user_agent",
    "app.request_id",
    "app.operation_id",
];

/// As `Db::connect` makes it. A pool that tests each connection with a query loses it when it is cut off in the test.
fn pool(database: &TestDatabase, size: usize) -> Pool {
    let mut config = ManagerConfig::default();
    config.recycling_method = RecyclingMethod::Fast;
    let manager = AsyncDieselConnectionManager::<AsyncPgConnection>::new_with_config(database.url(), config);
    Pool::builder(manager).max_size(size).build().expect("a pool can be built")
}

#[expect(clippy::disallowed_methods, reason = "looks at the bare connections that the door hides")]
async fn bare(pool: &Pool) -> deadpool::Object<AsyncPgConnection> {
    pool.get().await.expect("the pool gives a connection")
}

/// A future that is dropped when it has been polled so many times: what a client that goes away does to a request.
struct CutOff<F> {
    future: Pin<Box<F>>,
    polls_left: u32,
}

impl<F: Future> Future for CutOff<F> {
    type Output = Option<F::Output>;
    fn poll(mut self: Pin<&mut Self>, polling: &mut Polling<'_>) -> Poll<Self::Output> {
        let polled = self.future.as_mut().poll(polling);
        self.polls_left = self.polls_left.saturating_sub(1);
        match polled {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.polls_left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// The same chance in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

async fn add_company(tx: &mut Tx, id: Uuid) -> diesel::QueryResult<usize> {
    let values = (crm_companies::id.eq(id), crm_companies::name.eq("Acme"), crm_companies::slug.eq(id.to_string()));
    diesel::insert_into(crm_companies::table).values(values).execute(tx).await
}

/// One request: who am I, a write, a read, commit. Answers the id that it wrote.
async fn request(db: Db, context: Context, id: Uuid) -> Result<Uuid> {
    let mut tx = db.begin(&context).await?;
    let caller: (OrganizationId, UserId) =
        diesel::select((org_id(), user_id())).get_result(&mut tx).await.map_err(Error::internal)?;
    assert_eq!(caller, (context.organization_id, context.user_id), "a transaction is its own caller's");
    add_company(&mut tx, id).await.map_err(Error::internal)?;
    let owners: Vec<OrganizationId> =
        crm_companies::table.select(crm_companies::organization_id).distinct().load(&mut tx).await.map_err(Error::internal)?;
    assert_eq!(owners, [context.organization_id], "a transaction sees its own organisation");
    tx.commit().await?;
    Ok(id)
}

/// What became of the requests of one task.
#[derive(Default)]
struct Tally {
    kept: Vec<Uuid>,
    cut_off: usize,
}

async fn requests(db: Db, [one, other]: [Context; 2], seed: u64) -> Tally {
    let (mut tally, mut chance) = (Tally::default(), Chance(seed));
    for turn in 0..TURNS {
        let context = if turn % 2 == 0 { one.clone() } else { other.clone() };
        let future = Box::pin(request(db.clone(), context, Uuid::now_v7()));
        let polls_left = 1 + u32::try_from(chance.below(12)).expect("a small number");
        match (CutOff { future, polls_left }).await {
            Some(id) => tally.kept.push(id.expect("a request that nobody cuts off succeeds")),
            None => tally.cut_off += 1,
        }
    }
    tally
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_requests_cut_off_anywhere_leave_nothing_behind() {
    let database = TestDatabase::create().await;
    let (tenant, stranger) = (database.tenant("Acme").await, database.tenant("Umbrella").await);
    let pool = pool(&database, POOL);
    let db = Db::new(pool.clone());
    let backends = processes(&mut all_connections(&pool).await).await;
    let start =
        |seed| tokio::spawn(requests(db.clone(), [tenant.owner.clone(), stranger.member.clone()], 0x9e37_79b9_7f4a_7c15 ^ seed));
    let tasks: Vec<_> = (1..=TASKS).map(start).collect();
    let (mut kept, mut cut_off) = (Vec::new(), 0);
    for task in tasks {
        let tally = task.await.expect("no request panics");
        kept.extend(tally.kept);
        cut_off += tally.cut_off;
    }
    assert!(
        kept.len() > 50 && cut_off > 300,
        "the seeds must cut off many and let many through: {} kept, {cut_off} cut off",
        kept.len()
    );

    nothing_is_left(&database, &pool).await;
    assert_eq!(processes(&mut all_connections(&pool).await).await, backends, "a request that is cut off costs no connection");
    let stored = database.texts("SELECT id FROM crm_companies").await;
    assert!(kept.iter().all(|id| stored.contains(&id.to_string())), "what was reported as saved is saved");
    let crossed = "SELECT count(*) FROM crm_companies WHERE (organization_id, created_by_id) NOT IN (SELECT organization_id, user_id FROM memberships)";
    assert_eq!(database.number(crossed).await, 0, "nothing was written in another's name");
    for _ in 0..2 * POOL {
        request(db.clone(), tenant.admin.clone(), Uuid::now_v7()).await.expect("the pool still works");
    }
}

/// All connections at once: holding every one proves that every rollback is over.
async fn nothing_is_left(database: &TestDatabase, pool: &Pool) {
    let mut all = all_connections(pool).await;
    for connection in &mut all {
        knows_nothing(connection).await;
    }
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'crm_app'
                   AND (xact_start IS NOT NULL OR state <> 'idle')";
    assert_eq!(database.number(open).await, 0, "no transaction is left open");
    let locks = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
                  WHERE datname = current_database() AND usename = 'crm_app'";
    assert_eq!(database.number(locks).await, 0, "no lock is left");
    assert_eq!(pool.status().size, POOL, "the pool counts its connections right");
}

async fn all_connections(pool: &Pool) -> Vec<deadpool::Object<AsyncPgConnection>> {
    let mut all = Vec::new();
    for _ in 0..POOL {
        all.push(bare(pool).await);
    }
    all
}

/// Which processes of the server serve these connections.
async fn processes(connections: &mut [deadpool::Object<AsyncPgConnection>]) -> BTreeSet<i32> {
    let mut processes = BTreeSet::new();
    for connection in connections {
        processes.insert(diesel::select(pg_backend_pid()).get_result(connection).await.expect("a process can be asked"));
    }
    processes
}

/// Outside a transaction a connection has no caller and sees no record.
async fn knows_nothing(connection: &mut AsyncPgConnection) {
    for name in SETTINGS {
        let value: Option<String> =
            diesel::select(current_setting(name, true)).get_result(connection).await.expect("a setting can be asked");
        assert_eq!(value.unwrap_or_default(), "", "{name} must not outlive its transaction");
    }
    let seen: i64 = crm_companies::table.count().get_result(connection).await.expect("a count is allowed");
    assert_eq!(seen, 0, "without a caller no record is seen");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_connection_knows_nothing_of_its_last_user() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let pool = pool(&database, 1);
    let db = Db::new(pool.clone());
    let context =
        Context { ip: Some([192, 0, 2, 1].into()), user_agent: Some("it's me; SET x = 1".into()), ..tenant.owner.clone() };

    request(db.clone(), context.clone(), Uuid::now_v7()).await.expect("a request");
    knows_nothing(&mut *bare(&pool).await).await;
    let mut dropped = db.begin(&context).await.expect("a transaction");
    add_company(&mut dropped, Uuid::now_v7()).await.expect("a write");
    drop(dropped);
    knows_nothing(&mut *bare(&pool).await).await;
    unauthenticated(db.begin(&Context { user_id: UserId::generate(), ..context }).await, "a stranger does not come in");
    knows_nothing(&mut *bare(&pool).await).await;
    assert_eq!(database.number("SELECT count(*) FROM crm_companies").await, 1, "what was not committed is not stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swallowed_failure_fails_the_commit() {
    let database = TestDatabase::create().await;
    let tenant: Tenant = database.tenant("Acme").await;
    let (pool, id) = (pool(&database, 1), Uuid::now_v7());
    let db = Db::new(pool.clone());
    let mut tx = db.begin(&tenant.owner).await.expect("a transaction");
    add_company(&mut tx, id).await.expect("the first is accepted");
    add_company(&mut tx, id).await.expect_err("the same id again is refused");
    tx.commit().await.expect_err("a commit after a swallowed failure must not look like success");
    assert_eq!(database.number("SELECT count(*) FROM crm_companies").await, 0, "nothing of it is stored");
    knows_nothing(&mut *bare(&pool).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_attempt_undoes_itself_and_nothing_else() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let db = Db::new(pool(&database, 1));
    let [first, tried, inner, last] = std::array::from_fn(|_| Uuid::now_v7());
    let mut tx = db.begin(&tenant.owner).await.expect("a transaction");
    add_company(&mut tx, first).await.expect("a write");
    let failed: Result<()> = tx
        .attempt(async |tx| {
            add_company(tx, tried).await.map_err(Error::internal)?;
            add_company(tx, first).await.map(|_| ()).map_err(Error::internal)
        })
        .await;
    failed.expect_err("the same id again is refused");
    let kept = tx
        .attempt(async |tx| {
            let lost: Result<()> = tx
                .attempt(async |tx| {
                    add_company(tx, inner).await.map_err(Error::internal)?;
                    Err(Error::NotFound("company"))
                })
                .await;
            lost.expect_err("what the work answers comes through");
            add_company(tx, last).await.map_err(Error::internal)
        })
        .await;
    assert_eq!(kept.expect("an attempt goes on after one within it failed"), 1);
    tx.commit().await.expect("a failed attempt does not fail the commit");
    let mut wanted = [first.to_string(), last.to_string()];
    wanted.sort();
    assert_eq!(database.texts("SELECT id FROM crm_companies ORDER BY id").await, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_swallows_a_failure_fails() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let db = Db::new(pool(&database, 1));
    let (kept, swallowed) = (Uuid::now_v7(), Uuid::now_v7());
    let mut tx = db.begin(&tenant.owner).await.expect("a transaction");
    add_company(&mut tx, kept).await.expect("a write");
    let attempt = tx
        .attempt(async |tx| {
            add_company(tx, swallowed).await.map_err(Error::internal)?;
            add_company(tx, kept).await.expect_err("the same id again is refused");
            Ok(())
        })
        .await;
    attempt.expect_err("what was not done must not look like success");
    tx.commit().await.expect("the rest is whole");
    assert_eq!(database.texts("SELECT id FROM crm_companies").await, [kept.to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_is_cut_off_forbids_the_commit() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let pool = pool(&database, 1);
    let db = Db::new(pool.clone());
    let mut tx = db.begin(&tenant.owner).await.expect("a transaction");
    let savepoint = Box::pin(tx.attempt(async |tx| add_company(tx, Uuid::now_v7()).await.map_err(Error::internal)));
    assert!((CutOff { future: savepoint, polls_left: 1 }).await.is_none(), "the database has not answered yet");
    tx.commit().await.expect_err("nobody knows what was done");
    knows_nothing(&mut *bare(&pool).await).await;

    let mut tx = db.begin(&tenant.owner).await.expect("a transaction");
    cut_off_after_writing(&mut tx).await;
    tx.commit().await.expect_err("nobody knows what was done");
    knows_nothing(&mut *bare(&pool).await).await;

    let mut tx = db.begin(&tenant.owner).await.expect("a transaction");
    let around: Result<()> = tx
        .attempt(async |tx| {
            cut_off_after_writing(tx).await;
            Ok(())
        })
        .await;
    around.expect_err("the attempt around it knows that one was cut off");
    tx.commit().await.expect("the attempt around it undid both");
    assert_eq!(database.number("SELECT count(*) FROM crm_companies").await, 0, "nothing of it is stored");
}

/// An attempt that has written and is dropped before it comes to an end.
async fn cut_off_after_writing(tx: &mut Tx) {
    let (written, wait) = tokio::sync::oneshot::channel();
    let attempt = tx.attempt(async move |tx| {
        add_company(tx, Uuid::now_v7()).await.map_err(Error::internal)?;
        written.send(()).expect("somebody waits");
        std::future::pending::<Result<()>>().await
    });
    tokio::select! {
        ended = attempt => panic!("it would never have come to an end: {ended:?}"),
        written = wait => written.expect("it writes"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_rolls_back() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let pool = pool(&database, 1);
    let db = Db::new(pool.clone());
    let context = tenant.owner.clone();
    let task = tokio::spawn(async move {
        let mut tx = db.begin(&context).await.expect("a transaction");
        add_company(&mut tx, Uuid::now_v7()).await.expect("a write");
        panic!("as a bug would");
    });
    assert!(task.await.expect_err("it panics").is_panic());
    knows_nothing(&mut *bare(&pool).await).await;
    assert_eq!(database.number("SELECT count(*) FROM crm_companies").await, 0, "a panic stores nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_connections_are_replaced() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let db = Db::new(pool(&database, POOL));
    let open: Vec<Tx> =
        futures_util::future::try_join_all((0..POOL).map(|_| db.begin(&tenant.owner))).await.expect("every connection opens");
    for tx in open {
        tx.commit().await.expect("an empty transaction commits");
    }
    let end = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'crm_app'";
    assert_eq!(usize::try_from(database.number(end).await), Ok(POOL), "as a restart of the server does");
    for _ in 0..2 * POOL {
        request(db.clone(), tenant.owner.clone(), Uuid::now_v7())
            .await
            .expect("a dead connection is replaced before anyone notices");
    }
}
