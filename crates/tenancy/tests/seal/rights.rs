//! What the application's role may be, make, read, write and call.

use crm_tenancy::{ConnectOptions, Db};
use crm_testkit::TestDatabase;
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};

use crate::{breaking, faults};

/// A role of this test's own that may log in to this database and ask, and nothing more: other tests of this server never meet
/// it, and it goes with the value.
struct Login {
    name: String,
    database: TestDatabase,
}

impl Login {
    async fn create(purpose: &str) -> Self {
        let database = TestDatabase::create().await;
        let unique = database.admin_url().rsplit('/').next().and_then(|name| name.split('?').next().map(str::to_owned));
        let name = format!("{purpose}_{}", unique.expect("an address with a database"));
        let login = Self { name, database };
        let sql = "CREATE ROLE me LOGIN PASSWORD 'only-for-tests';
                   GRANT USAGE ON SCHEMA app TO me;
                   GRANT SELECT ON __diesel_schema_migrations TO me;
                   DO $$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO me', current_database()); END $$";
        login.database.execute(&sql.replace(" me", &format!(" {}", login.name))).await;
        login
    }

    /// What the check finds for this role, in a session that begins now.
    async fn faults(&self) -> Vec<String> {
        let url = self.database.url();
        let (_, place) = url.rsplit_once('@').expect("an address with a user");
        let url = format!("postgres://{}:only-for-tests@{place}", self.name);
        faults(&Db::connect(&url, ConnectOptions::default()).expect("a pool")).await
    }
}

impl Drop for Login {
    /// While its database is still there; on a thread with a runtime of its own, as the test's may be ending.
    fn drop(&mut self) {
        let sql = format!("DROP OWNED BY {0}; DROP ROLE {0}", self.name);
        let url = self.database.admin_url();
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let mut admin = AsyncPgConnection::establish(&url).await.expect("the test server answers");
                admin.batch_execute(&sql).await.expect("the role can be dropped");
            });
        });
        if dropped.join().is_err() {
            eprintln!("the test's role stays behind: {}", self.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_may_create_nothing() {
    let everybody = "DO $$ BEGIN EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO PUBLIC', current_database()); END $$";
    breaking(everybody, "crm_app", "temporary objects").await;
    breaking("GRANT CREATE ON SCHEMA public TO crm_app", "crm_app", "create functions").await;
    // An owner can do more than that, and the check says so too.
    let database = TestDatabase::create().await;
    database.execute("ALTER TABLE crm_products OWNER TO crm_app").await;
    let found = faults(&database.db()).await.join("\n");
    assert!(found.contains("crm_app: owns tables"), "the check must say that the role owns tables: {found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_may_create_in_no_schema() {
    let schema = "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO crm_app', current_database()); END $$";
    breaking(schema, "crm_app", "may create schemas").await;
    breaking("GRANT CREATE ON SCHEMA app TO PUBLIC", "crm_app", "may create functions in schema app").await;
    breaking("GRANT CREATE ON SCHEMA identity TO crm_app", "crm_app", "in schema identity").await;
    breaking("CREATE SCHEMA side; GRANT CREATE ON SCHEMA side TO crm_app", "crm_app", "in schema side").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_keeps_no_large_objects() {
    let database = TestDatabase::create().await;
    let mut connection = AsyncPgConnection::establish(&database.url()).await.expect("the application's role connects");
    for called in [
        "lo_creat(-1)",
        "lo_create(0)",
        "lo_from_bytea(0, 'x')",
        "lo_put(1, 0, 'x')",
        "lo_get(1)",
        "lo_get(1, 0, 1)",
        "lo_open(1, 131072)",
        "lowrite(0, 'x')",
        "loread(0, 1)",
        "lo_truncate(0, 0)",
        "lo_truncate64(0, 0)",
        "lo_unlink(1)",
        "lo_import('/etc/hostname')",
        "lo_import('/etc/hostname', 1)",
        "lo_export(1, '/tmp/none')",
    ] {
        let refused = connection.batch_execute(&format!("SELECT {called}")).await.expect_err(called).to_string();
        assert!(refused.contains("permission denied for function"), "{called}: {refused}");
    }
    let everybody = "GRANT EXECUTE ON FUNCTION lo_from_bytea(oid, bytea) TO PUBLIC";
    let made = "DO $$ BEGIN PERFORM lo_from_bytea(4711, 'x'); ALTER LARGE OBJECT 4711 OWNER TO crm_app; END $$";
    breaking(&format!("{everybody}; {made}"), "crm_app", "owns large objects").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_is_a_member_of_no_role() {
    let login = Login::create("member").await;
    assert_eq!(login.faults().await, Vec::<String>::new(), "a role that can do nothing has no fault");
    login.database.execute(&format!("GRANT crm_app, pg_read_all_settings TO {}", login.name)).await;
    let found = login.faults().await;
    for role in ["crm_app", "pg_read_all_settings"] {
        let fault = format!("{}: is a member of {role}:", login.name);
        assert!(found.iter().any(|found| found.starts_with(&fault)), "the check must name {role}: {found:#?}");
    }
    assert_eq!(found.len(), 2, "and nothing else: {found:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_fire_in_the_sessions_of_the_application() {
    let reason = "session_replication_role";
    let set = "SET session_replication_role = replica";
    let here = format!("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I {set}', current_database()); END $$");
    breaking(&here, "crm_app", reason).await;
    let role = format!("DO $$ BEGIN EXECUTE format('ALTER ROLE crm_app IN DATABASE %I {set}', current_database()); END $$");
    breaking(&role, "crm_app", reason).await;

    let login = Login::create("replica").await;
    login.database.execute(&format!("ALTER ROLE {} {set}", login.name)).await;
    let found = login.faults().await;
    assert!(found.iter().any(|fault| fault.contains("has sessions with session_replication_role")), "its session: {found:#?}");
    assert!(found.iter().any(|fault| fault.contains("is given session_replication_role")), "its setting: {found:#?}");

    let login = Login::create("setter").await;
    login.database.execute(&format!("GRANT SET ON PARAMETER session_replication_role TO {}", login.name)).await;
    let found = login.faults().await;
    assert!(found.len() == 1 && found[0].contains("may set session_replication_role"), "its right to set it: {found:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_writes_no_log() {
    for (table, privilege, named) in [
        ("crm_activities", "INSERT", "INSERT"),
        ("crm_activities", "UPDATE (position)", "UPDATE"),
        ("crm_activities_default", "INSERT", "INSERT"),
        ("crm_activity_details", "DELETE", "DELETE"),
        ("crm_activity_details", "UPDATE (changes)", "UPDATE"),
        ("crm_deal_stage_history", "INSERT (deal_id)", "INSERT"),
        ("crm_deal_stage_history", "TRUNCATE", "TRUNCATE"),
        ("crm_companies", "TRUNCATE", "TRUNCATE"),
        ("users", "UPDATE (email)", "UPDATE"),
        ("__diesel_schema_migrations", "INSERT", "INSERT"),
    ] {
        let grant = format!("GRANT {privilege} ON {table} TO crm_app");
        breaking(&grant, &format!("public.{table}"), &format!("the application may {named} it")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_reads_no_people_and_no_values_of_the_log() {
    let reason = "the application may read it";
    breaking("GRANT SELECT ON crm_activity_details TO crm_app", "public.crm_activity_details", reason).await;
    breaking("GRANT SELECT (ip) ON crm_activity_details TO PUBLIC", "public.crm_activity_details", reason).await;
    breaking("GRANT SELECT ON crm_activities_default TO crm_app", "public.crm_activities_default", reason).await;
    breaking("GRANT SELECT ON users TO crm_app", "public.users", reason).await;
    breaking("GRANT SELECT (email) ON users TO crm_app", "public.users", reason).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_has_no_right_on_tables_outside_public() {
    let reason = "outside public it may have no right";
    let secret = "GRANT SELECT (password_hash) ON identity.credentials TO crm_app";
    breaking(secret, "identity.credentials", reason).await;
    breaking("GRANT INSERT, UPDATE, DELETE ON identity.sessions TO crm_app", "identity.sessions", reason).await;
    let side = "CREATE SCHEMA side; CREATE TABLE side.copy AS TABLE crm_companies;";
    for privilege in ["SELECT", "INSERT (name)", "DELETE", "REFERENCES"] {
        breaking(&format!("{side} GRANT {privilege} ON side.copy TO crm_app"), "side.copy", reason).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_with_the_rights_of_others_are_listed() {
    let reason = "not on the list";
    // PUBLIC may call what nobody has sealed.
    let unsealed = "CREATE FUNCTION app.peek(a uuid, b text) RETURNS bigint LANGUAGE sql SECURITY DEFINER
                    AS 'SELECT count(*) FROM public.crm_deals'";
    breaking(unsealed, "app.peek(uuid, text)", reason).await;
    let elsewhere = "CREATE SCHEMA side; CREATE FUNCTION side.peek() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'";
    breaking(elsewhere, "side.peek()", reason).await;
    breaking("GRANT EXECUTE ON FUNCTION app.add_team(uuid, text, uuid) TO crm_app", "app.add_team", reason).await;
}
