//! One database for one test: a copy of the template, gone when the value is dropped.

use crm_tenancy::{ConnectOptions, Db};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use uuid::Uuid;

use crate::{OwnServer, server};

/// A database of one's own, with the schema of the migrations and nothing in it.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    admin_url: String,
    db: Db,
    /// On the server that all tests share, where it must not stay behind.
    dropped_as: Option<String>,
}

impl TestDatabase {
    /// A fresh copy of the template.
    pub async fn create() -> Self {
        server::ready().await;
        let name = format!("crm_test_{}", Uuid::now_v7().simple());
        let mut home = server::home().await;
        server::run(&mut home, &format!("CREATE DATABASE {name} TEMPLATE {}", server::template())).await;
        // What the first migration does to its database: the rights on a database are not copied with it.
        server::run(&mut home, &format!("REVOKE TEMPORARY, CREATE ON DATABASE {name} FROM PUBLIC")).await;
        server::run(&mut home, &format!("GRANT CONNECT ON DATABASE {name} TO crm_app, crm_worker")).await;
        Self::at(server::app_url(&name), server::admin_url(&name), Some(name))
    }

    /// The one database of a server of the test's own; it ends with its server.
    pub async fn create_on(own: &OwnServer) -> Self {
        let admin_url = own.url("postgres", "crm");
        server::run(&mut server::connect(&own.url("postgres", "postgres")).await, "CREATE DATABASE crm TEMPLATE template0").await;
        crm_tenancy::migrations::run(&admin_url).await.unwrap_or_else(|error| panic!("the migrations must apply: {error}"));
        Self::at(own.url("crm_app", "crm"), admin_url, None)
    }

    /// The database `crm` of a server of the test's own that something else has made.
    #[must_use]
    pub fn found_on(own: &OwnServer) -> Self {
        Self::at(own.url("crm_app", "crm"), own.url("postgres", "crm"), None)
    }

    fn at(url: String, admin_url: String, dropped_as: Option<String>) -> Self {
        let options = ConnectOptions { max_size: 8, ..ConnectOptions::default() };
        let db = Db::connect(&url, options).unwrap();
        Self { url, admin_url, db, dropped_as }
    }

    /// The door, as the application has it. All callers share one pool of eight connections.
    #[must_use]
    pub fn db(&self) -> Db {
        self.db.clone()
    }

    /// The application's address, for a test that starts a program or makes a pool of its own.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// The administrator's address of this database.
    #[must_use]
    pub fn admin_url(&self) -> String {
        self.admin_url.clone()
    }

    /// A connection that sees everything: to look at what a test has done, never to do what is tested.
    pub async fn admin(&self) -> AsyncPgConnection {
        server::connect(&self.admin_url()).await
    }

    /// Runs SQL as the administrator.
    pub async fn execute(&self, sql: &str) {
        server::run(&mut self.admin().await, sql).await;
    }

    /// Makes a change as the administrator that is not committed yet: whoever comes now reads what was before, and waits.
    pub async fn hold(&self, change: &str) -> Held {
        let mut connection = self.admin().await;
        server::run(&mut connection, &format!("BEGIN; {change}")).await;
        Held(connection)
    }
}

/// A change that is not committed yet.
pub struct Held(AsyncPgConnection);

impl Held {
    /// Commits as soon as somebody waits for it.
    pub async fn commit_under_a_waiter(self) {
        self.change_and_commit_under_a_waiter("NULL").await;
    }

    /// The same, with a second change, in PL/pgSQL, while the other one waits.
    pub async fn change_and_commit_under_a_waiter(mut self, second: &str) {
        let block = format!(
            "DO $$
             BEGIN
                 FOR round IN 1..600 LOOP
                     PERFORM pg_stat_clear_snapshot();
                     IF EXISTS (SELECT FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))) THEN
                         {second};
                         RETURN;
                     END IF;
                     PERFORM pg_sleep(0.05);
                 END LOOP;
                 RAISE 'nobody waited';
             END
             $$;
             COMMIT"
        );
        server::run(&mut self.0, &block).await;
    }
}

impl Drop for TestDatabase {
    /// On a thread with a runtime of its own, and waits for it: the test's runtime may be ending, and after the last
    /// test so does the program.
    fn drop(&mut self) {
        let Some(name) = self.dropped_as.take() else { return };
        let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        let dropped = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
            runtime.block_on(async {
                let mut admin =
                    AsyncPgConnection::establish(&server::admin_url("postgres")).await.map_err(|error| error.to_string())?;
                admin.batch_execute(&sql).await.map_err(|error| error.to_string())
            })
        });
        if let Ok(Err(error)) = dropped.join() {
            eprintln!("the test's database stays behind: {error}");
        }
    }
}
