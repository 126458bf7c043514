//! The role matrix: every table and view x four roles x four commands x own, colleague's and foreign rows, tried as the
//! application's role with raw SQL inside a tenant's transaction, as if every line of Rust were wrong.
//!
//! The answers are in `role_matrix.golden`: `yes` (rows were read or changed), `none` (no error and no row), `grant`
//! (the privilege is missing), `wall` (row-level security refused), `view` (it cannot be written through),
//! `rule:<name>` (a guard refused). What may never be is also said here: an updated golden file cannot bless it.
#![expect(clippy::disallowed_methods, reason = "raw SQL is what this test is about")]
#![expect(clippy::panic, reason = "tests fail by panicking")]

mod tables;

use std::fmt::Write;

use crm_kernel::Context;
use crm_testkit::{Tenant, TestDatabase, golden};
use diesel::{result::Error as DieselError, sql_query};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use tables::{TABLES, Table};
use uuid::Uuid;

/// A person's row in every table.
struct Row {
    organization: String,
    user: String,
    id: String,
}

impl Row {
    fn of(context: &Context) -> Self {
        Self { organization: context.organization_id.to_string(), user: context.user_id.to_string(), id: fresh() }
    }

    fn fill(&self, text: &str, spare: &str) -> String {
        let places = [("{org}", self.organization.as_str()), ("{user}", &self.user), ("{id}", &self.id), ("{spare}", spare)];
        let filled = places.iter().fold(text.to_owned(), |text, (place, value)| text.replace(place, value));
        filled.replace("{new}", &fresh())
    }
}

/// Without hyphens it also fits into slugs and keys.
fn fresh() -> String {
    Uuid::now_v7().simple().to_string()
}

/// Everybody's rows.
struct Scene {
    database: TestDatabase,
    people: Vec<(&'static str, Context, Row)>,
    colleague: Row,
    foreign: Row,
    spare: Row,
}

async fn set_up() -> Scene {
    let database = TestDatabase::create().await;
    let Tenant { owner, admin, member, colleague, viewer, .. } = database.tenant("Acme").await;
    let stranger = database.tenant("Umbrella").await;
    let (foreign, colleague, spare) = (Row::of(&stranger.owner), Row::of(&colleague), Row::of(&owner));
    let people = [("owner", owner), ("admin", admin), ("member", member), ("viewer", viewer)];
    let people: Vec<_> = people.into_iter().map(|(role, context)| (role, context.clone(), Row::of(&context))).collect();
    let everybody = people.iter().map(|(_, _, row)| row).chain([&colleague, &foreign, &spare]);
    let mut seed = String::new();
    for row in everybody {
        for table in TABLES.iter().filter(|table| !table.seed.is_empty()) {
            writeln!(seed, "{};", row.fill(table.seed, &spare.id)).expect("a string can be written to");
        }
    }
    TestDatabase::execute(&database, &seed).await;
    Scene { database, people, colleague, foreign, spare }
}

/// A transaction of the caller, as `Db::begin` opens it, but with a connection that runs any SQL.
async fn enter(database: &TestDatabase, caller: &Context) -> AsyncPgConnection {
    let mut connection = AsyncPgConnection::establish(&database.url()).await.expect("the application's role connects");
    connection.batch_execute("BEGIN").await.expect("a transaction begins");
    let begin = format!(
        "SELECT app.begin_request('{}', '{}', NULL, NULL, 'user', false, NULL, NULL, NULL, NULL)",
        caller.organization_id, caller.user_id
    );
    connection.batch_execute(&begin).await.expect("a member comes in");
    connection
}

async fn attempt(connection: &mut AsyncPgConnection, sql: &str) -> String {
    connection.batch_execute("SAVEPOINT attempt").await.expect("a savepoint");
    let answer = match sql_query(sql).execute(connection).await {
        Ok(0) => "none".to_owned(),
        Ok(_) => "yes".to_owned(),
        Err(error) => refusal(&error, sql),
    };
    connection.batch_execute("ROLLBACK TO SAVEPOINT attempt").await.expect("the attempt is undone");
    answer
}

fn refusal(error: &DieselError, sql: &str) -> String {
    let DieselError::DatabaseError(_, information) = error else { panic!("{sql}: {error}") };
    match information.message() {
        message if message.contains("permission denied") => "grant".to_owned(),
        message if message.contains("row-level security") => "wall".to_owned(),
        message if message.contains(" view \"q_") => "view".to_owned(),
        _ => information.constraint_name().map_or_else(|| panic!("{sql}: {error}"), |rule| format!("rule:{rule}")),
    }
}

/// The answers to SELECT, INSERT, UPDATE and DELETE.
async fn cell(connection: &mut AsyncPgConnection, table: &Table, row: &Row, is_foreign: bool, spare: &str) -> [String; 4] {
    let (name, key, (columns, values)) = (table.name, table.key, table.insert);
    let (columns, values) = match table.organization.filter(|_| is_foreign) {
        Some(organization) => (format!("{organization}, {columns}"), format!("'{{org}}', {values}")),
        None => (columns.to_owned(), values.to_owned()),
    };
    let statements = [
        format!("SELECT FROM {name} WHERE {key}"),
        format!("INSERT INTO {name} ({columns}) VALUES ({values})"),
        format!("UPDATE {name} SET {} WHERE {key}", table.update),
        format!("DELETE FROM {name} WHERE {key}"),
    ];
    let mut answers = Vec::new();
    for statement in statements {
        answers.push(attempt(connection, &row.fill(&statement, spare)).await);
    }
    <[String; 4]>::try_from(answers).expect("four statements have four answers")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_does_to_every_table_what_the_golden_file_says() {
    let scene = set_up().await;
    let mut matrix = format!("{:<10}{:<12}{:<28}{:<28}{:<28}DELETE\n", "role", "row", "SELECT", "INSERT", "UPDATE");
    for table in TABLES {
        writeln!(matrix, "\n{}", table.name).expect("a string can be written to");
        for (role, caller, own) in &scene.people {
            let mut connection = enter(&scene.database, caller).await;
            for (kind, row) in [("own", own), ("colleague's", &scene.colleague), ("foreign", &scene.foreign)] {
                let answers = cell(&mut connection, table, row, kind == "foreign", &scene.spare.id).await;
                never(table, role, kind, &answers);
                let [select, insert, update, delete] = answers;
                writeln!(matrix, "{role:<10}{kind:<12}{select:<28}{insert:<28}{update:<28}{delete}")
                    .expect("a string can be written to");
            }
        }
    }
    golden(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/role_matrix.golden"), &matrix);
}

/// What no golden file may allow.
fn never(table: &Table, role: &str, kind: &str, [select, insert, update, delete]: &[String; 4]) {
    let said = format!("{role} on a {kind} row of {}: {select}, {insert}, {update}, {delete}", table.name);
    let writes = [insert, update, delete];
    let nothing_written = writes.iter().all(|answer| *answer != "yes");
    let nothing_told = |answer: &String| ["none", "grant", "wall", "view"].contains(&answer.as_str());
    if kind == "foreign" {
        let read = table.name == "public.__diesel_schema_migrations" || nothing_told(select);
        assert!(
            read && writes.into_iter().all(nothing_told),
            "a foreign row is neither read, nor written, nor told about: {said}"
        );
    }
    assert!(role != "viewer" || nothing_written, "a viewer writes nothing: {said}");
    let closed =
        table.name.starts_with("identity.") || table.name == "public.users" || table.name == "public.crm_activity_details";
    assert!(!closed || [select, insert, update, delete].iter().all(|answer| *answer == "grant"), "nobody reaches this: {said}");
    let derived = table.name.starts_with("public.q_")
        || table.name.contains("activit")
        || table.name.contains("history")
        || table.name.contains("times");
    assert!(!derived || nothing_written, "nobody writes what is derived: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_and_view_is_in_the_matrix() {
    let database = TestDatabase::create().await;
    let all = "SELECT format('%s.%s', nspname, relname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
                WHERE nspname IN ('public', 'identity', 'app') AND relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT relispartition
                  AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
                ORDER BY 1";
    let mut known: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
    known.sort_unstable();
    let mut there = database.texts(all).await;
    there.sort_unstable();
    assert_eq!(there, known, "every table and view has an entry in tests/role_matrix/tables.rs");
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_reached_through_their_table_alone() {
    let database = TestDatabase::create().await;
    let open = "SELECT relname FROM pg_class
                 WHERE relispartition AND relkind IN ('r', 'p')
                   AND (has_table_privilege('crm_app', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
                        OR has_any_column_privilege('crm_app', oid, 'SELECT, INSERT, UPDATE, REFERENCES'))";
    assert_eq!(
        database.texts(open).await,
        Vec::<String>::new(),
        "row-level security is not inherited: no partition is granted to crm_app"
    );
    let partitions = database.number("SELECT count(*) FROM pg_class WHERE relispartition AND relkind = 'r'").await;
    assert!(partitions > 20, "the log has partitions: {partitions}");
}
