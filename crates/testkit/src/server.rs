//! The throw-away server the tests run on: its address, the template that test databases are copies of, and the
//! password of the application's role.
//!
//! Must stay true: several test programs start at once, so what they share is made under one advisory lock, once.

use diesel::{QueryableByName, sql_query, sql_types::Bool};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use tokio::sync::OnceCell;

/// The password that testkit gives to crm_app on this server.
const APP_PASSWORD: &str = "only-for-tests";

/// Serialises the making of the template; any number will do, as long as all test programs take the same one.
const LOCK: i64 = 4_172_600_551;

static READY: OnceCell<()> = OnceCell::const_new();

/// Where something is: an address of PostgreSQL, taken apart as far as tests need it.
struct Address {
    user: String,
    place: String,
    parameters: String,
}

/// The template's name. A change of any migration changes it.
pub(crate) fn template() -> String {
    format!("crm_template_{}", env!("CRM_MIGRATIONS_HASH"))
}

/// The administrator's address of this database of the server.
pub(crate) fn admin_url(database: &str) -> String {
    let Address { user, place, parameters } = address();
    format!("postgres://{user}@{place}/{database}{parameters}")
}

/// The address of the same database for the application's role, which may lead through a pooler.
pub(crate) fn app_url(database: &str) -> String {
    let Address { place, parameters, .. } = address();
    let place = given("CRM_TEST_APPLICATION_PLACE").unwrap_or(place);
    format!("postgres://crm_app:{APP_PASSWORD}@{place}/{database}{parameters}")
}

/// The database in which databases are made and dropped.
pub(crate) async fn home() -> AsyncPgConnection {
    connect(&given_url()).await
}

pub(crate) async fn connect(url: &str) -> AsyncPgConnection {
    AsyncPgConnection::establish(url).await.unwrap_or_else(|error| panic!("the test server must answer: {error}"))
}

/// The template exists and crm_app can log in; asked by every test, done by the first.
pub(crate) async fn ready() {
    READY
        .get_or_init(|| async {
            let mut home = home().await;
            run(&mut home, &format!("SELECT pg_advisory_lock({LOCK})")).await;
            make_template(&mut home).await;
            open_for_app(&mut home).await;
            run(&mut home, &format!("SELECT pg_advisory_unlock({LOCK})")).await;
        })
        .await;
}

pub(crate) async fn run(connection: &mut AsyncPgConnection, sql: &str) {
    connection.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn make_template(home: &mut AsyncPgConnection) {
    let template = template();
    if exists(home, &template).await {
        return;
    }
    // Under another name until it is whole: a test program that dies half way must not leave half a template.
    let unfinished = format!("{template}_unfinished");
    run(home, &format!("DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)")).await;
    run(home, &format!("CREATE DATABASE {unfinished} TEMPLATE template0")).await;
    crm_tenancy::migrations::run(&admin_url(&unfinished))
        .await
        .unwrap_or_else(|error| panic!("the migrations must apply: {error}"));
    run(home, &format!("ALTER DATABASE {unfinished} RENAME TO {template}")).await;
    // Nobody may be connected to a template while it is copied.
    run(home, &format!("ALTER DATABASE {template} WITH ALLOW_CONNECTIONS false IS_TEMPLATE true")).await;
}

/// Migrations give roles no password. Changed only when it is not this one: two programs that alter a role at the same
/// moment make one of them fail.
async fn open_for_app(home: &mut AsyncPgConnection) {
    let Address { place, parameters, .. } = address();
    let url = format!("postgres://crm_app:{APP_PASSWORD}@{place}/postgres{parameters}");
    let entered = AsyncPgConnection::establish(&url).await;
    if entered.is_err() {
        run(home, &format!("ALTER ROLE crm_app LOGIN PASSWORD '{APP_PASSWORD}'")).await;
    }
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Bool)]
    found: bool,
}

#[expect(clippy::disallowed_methods, reason = "a fixed text over pg_database, once for each test program")]
async fn exists(home: &mut AsyncPgConnection, database: &str) -> bool {
    let query = sql_query(format!("SELECT EXISTS (SELECT FROM pg_database WHERE datname = '{database}') AS found"));
    query.get_result::<Found>(home).await.unwrap().found
}

fn address() -> Address {
    let url = given_url();
    let parts = url.split_once("://").and_then(|(_, rest)| {
        let (user, rest) = rest.rsplit_once('@')?;
        let (place, rest) = rest.split_once('/')?;
        let parameters = rest.split_once('?').map_or(String::new(), |(_, parameters)| format!("?{parameters}"));
        Some(Address { user: user.into(), place: place.into(), parameters })
    });
    parts.unwrap_or_else(|| panic!("CRM_TEST_ADMIN_URL must look like postgres://user:password@host:port/postgres"))
}

fn given_url() -> String {
    given("CRM_TEST_ADMIN_URL").unwrap_or_else(|| {
        panic!("CRM_TEST_ADMIN_URL is not set: run the tests with `cargo xtask test`, which starts a throw-away PostgreSQL and sets it")
    })
}

#[expect(clippy::disallowed_methods, reason = "testkit is the tests' own program: the server is given by the environment")]
fn given(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
