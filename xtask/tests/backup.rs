//! A backup brings every row of every table into a new cluster, where the gateway starts on it and its log goes on.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crm_companies::{Companies, NewCompany, PgCompanies};
use crm_testkit::{OwnServer, TestDatabase};
use serde_json::json;
use uuid::Uuid;

/// A folder for the files of one test.
struct Folder(PathBuf);

impl Folder {
    fn make() -> Self {
        let folder = std::env::temp_dir().join(format!("crm-backup-{}", Uuid::now_v7()));
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // In the machine's place for what is temporary.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The real command, as an operator runs it against a database of their own.
fn xtask(command: &str, admin_url: &str, file: &Path) -> Output {
    let state = file.parent().unwrap().join("state");
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    xtask.arg(command).arg(file).env("DATABASE_URL", admin_url).env("CRM_STATE_DIR", state).output().unwrap()
}

#[track_caller]
fn done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Refused, in words that say why.
#[track_caller]
fn refused(output: &Output, why: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(why), "{said}");
}

/// Every table of ours, found without any code of the backup.
async fn tables(database: &TestDatabase) -> Vec<String> {
    let query = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
                   JOIN pg_class ON oid = format('%I.%I', schemaname, tablename)::regclass
                  WHERE schemaname IN ('public', 'identity', 'app') AND NOT relispartition ORDER BY 1";
    database.texts(query).await
}

/// Every row with all its columns, generated ones too, and without the number of the transaction, which is of one cluster.
async fn rows(database: &TestDatabase, table: &str) -> Vec<String> {
    let without = if table.contains("diesel") { "run_on" } else { "xid" };
    database.texts(&format!("SELECT (to_jsonb(row) - '{without}')::text FROM {table} AS row ORDER BY 1")).await
}

/// How many rows were the same.
async fn expect_same(source: &TestDatabase, copy: &TestDatabase) -> usize {
    let (all, mut compared) = (tables(source).await, 0);
    assert_eq!(all, tables(copy).await);
    for table in all {
        let (before, after) = (rows(source, &table).await, rows(copy, &table).await);
        assert!(before == after, "{table}: {} rows before, {} after", before.len(), after.len());
        compared += after.len();
    }
    compared
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_every_table_comes_back_in_a_new_cluster_and_the_log_goes_on() {
    let (demo, folder, own) = (support::Demo::start().await, Folder::make(), OwnServer::start().await);
    let source = demo.database();
    let file = folder.file("crm.backup");
    done(&xtask("backup", &source.admin_url(), &file));
    refused(&xtask("backup", &source.admin_url(), &file), "is there already");

    let url = own.url("postgres", "crm");
    done(&xtask("restore", &url, &file));
    let copy = TestDatabase::found_on(&own);
    let compared = expect_same(source, &copy).await;
    assert!(compared > 30_000, "the demo has deals, their log and its values: {compared} rows");
    assert_eq!(copy.number("SELECT max(xid) FROM crm_activities").await, 0, "numbers of another cluster mean nothing here");
    refused(&xtask("restore", &url, &file), "is not empty");

    let last = copy.number("SELECT max(seq) FROM crm_activities").await;
    let restored = support::Demo::on(copy).await;
    let (status, company) = restored.post("/a-crm/companies", &json!({ "name": "After the restore" })).await;
    assert_eq!(status, 201, "{company}");
    let id = company["id"].as_str().unwrap();
    let logged = format!("SELECT count(*) FROM crm_activities WHERE entity_id = '{id}' AND seq > {last} AND xid > 0");
    assert_eq!(restored.database().number(&logged).await, 1, "the log goes on after its last row");
    assert_eq!(restored.get("/a-crm/deals?limit=1&count=true").await["page"]["total"]["count"], 8800);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_of_one_moment_while_others_write() {
    let (source, folder, own) = (TestDatabase::create().await, Folder::make(), OwnServer::start().await);
    let tenant = source.tenant("Acme").await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let (stop, context, companies) = (stop.clone(), tenant.member.clone(), PgCompanies::new(source.db()));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let new = NewCompany { name: "Written meanwhile".into(), ..NewCompany::default() };
                    companies.create(&context, new).await.unwrap();
                }
            })
        })
        .collect();
    let file = folder.file("crm.backup");
    let before = source.number("SELECT count(*) FROM crm_companies").await;
    let made = tokio::task::block_in_place(|| xtask("backup", &source.admin_url(), &file));
    let after = source.number("SELECT count(*) FROM crm_companies").await;
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    done(&made);
    assert!(after > before + 10, "others must write while the backup is made");

    done(&xtask("restore", &own.url("postgres", "crm"), &file));
    let copy = TestDatabase::found_on(&own);
    let kept = copy.number("SELECT count(*) FROM crm_companies").await;
    assert!((before..=after).contains(&kept), "{before} before, {kept} kept, {after} after");
    let pairs = "SELECT count(*) FROM crm_companies JOIN crm_activities ON entity_id = crm_companies.id
                   JOIN crm_activity_details ON activity_id = crm_activities.id";
    assert_eq!(copy.number(pairs).await, kept, "each company with its activity and its values");
    assert_eq!(copy.number("SELECT count(*) FROM crm_activities WHERE entity_type = 'company'").await, kept);
    let behind = "SELECT count(*) FROM crm_activities WHERE seq > (SELECT last_value FROM crm_activities_seq)";
    assert_eq!(copy.number(behind).await, 0, "no sequence is behind the rows");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_backup_writes_nothing() {
    let (source, folder, own) = (TestDatabase::create().await, Folder::make(), OwnServer::start().await);
    source.tenant("Acme").await;
    let (file, damaged) = (folder.file("crm.backup"), folder.file("damaged.backup"));
    done(&xtask("backup", &source.admin_url(), &file));
    let whole = fs::read(&file).unwrap();
    let url = own.url("postgres", "crm");
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    for bytes in [&changed[..], &whole[..whole.len() - 1], &whole[..whole.len() / 2], b"no backup"] {
        fs::write(&damaged, bytes).unwrap();
        let output = xtask("restore", &url, &damaged);
        assert!(!output.status.success(), "{} bytes were taken for a backup", bytes.len());
    }
    let copy = TestDatabase::found_on(&own);
    assert_eq!(tables(&copy).await, Vec::<String>::new(), "the database is as empty as it was");
    done(&xtask("restore", &url, &file));
}

/// As on a managed service: the administrator is no superuser, and nobody is above row-level security.
#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_who_is_no_superuser_backs_up_and_restores_all_rows() {
    let (source, folder, own) = (TestDatabase::create().await, Folder::make(), OwnServer::start().await);
    source.tenant("Acme").await;
    own.execute("CREATE ROLE installer LOGIN CREATEDB CREATEROLE").await;
    own.execute("GRANT SET ON PARAMETER session_replication_role TO installer").await;
    let (first, second, url) = (folder.file("first.backup"), folder.file("second.backup"), own.url("installer", "crm"));
    done(&xtask("backup", &source.admin_url(), &first));
    done(&xtask("restore", &url, &first));
    let copy = TestDatabase::found_on(&own);
    assert_eq!(copy.number("SELECT count(*) FROM pg_roles WHERE rolname = 'crm_definer' AND rolbypassrls").await, 0);
    expect_same(&source, &copy).await;
    let open = "SELECT count(*) FROM pg_class WHERE relrowsecurity AND NOT relforcerowsecurity";
    assert_eq!(copy.number(open).await, 0, "row-level security is forced again");
    assert_eq!(crm_tenancy::seal::check(&copy.db()).await.unwrap(), []);

    done(&xtask("backup", &url, &second));
    let third = own.url("installer", "again");
    done(&xtask("restore", &third, &second));
    assert_eq!(rows_of(&own, "again").await, rows_of(&own, "crm").await);
}

/// Rows of people and of the log, which the policies hide from whoever did not ask for them.
async fn rows_of(own: &OwnServer, database: &str) -> Vec<i64> {
    let mut counts = Vec::new();
    for table in ["users", "identity.credentials", "crm_activities", "crm_activity_details"] {
        counts.push(own.number(database, &format!("SELECT count(*) FROM {table}")).await);
    }
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_an_older_schema_is_restored_and_then_migrated() {
    let (own, folder) = (OwnServer::start().await, Folder::make());
    let source = TestDatabase::create_on(&own).await;
    source.tenant("Acme").await;
    crm_tenancy::migrations::revert_last(&source.admin_url()).await.unwrap();
    let file = folder.file("crm.backup");
    done(&xtask("backup", &source.admin_url(), &file));
    let newer = own.url("postgres", "newer");
    done(&xtask("restore", &newer, &file));
    let pending = crm_tenancy::migrations::status(&newer).await.unwrap().into_iter().filter(|state| !state.applied).count();
    assert_eq!(pending, 0);
    assert_eq!(own.number("newer", "SELECT count(*) FROM organizations").await, 1);
}
