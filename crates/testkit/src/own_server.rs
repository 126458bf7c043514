//! A PostgreSQL server of one test's own, for tests that restart it, kill it or fill its disk.
//!
//! Its programs are those of the server that all tests share, which says itself where they lie; it runs under the account of
//! that one, because PostgreSQL refuses root. Must stay true: it is as careful with its data as production is (the shared one
//! is not), since what it must not lose is what is tested.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use diesel::{
    QueryableByName, sql_query,
    sql_types::{BigInt, Text},
};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use rustix::process::{Pid, Signal, kill_process};
use uuid::Uuid;

use crate::server;

const PATIENCE: Duration = Duration::from_secs(60);

/// How a server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Connections are told and closed, everything is written: an ordinary restart.
    Fast,
    /// Connections are cut, nothing is written: the next start recovers.
    Immediate,
    /// kill -9 of its first process.
    Killed,
}

/// A running server, or one between two runs. Dropped, it is killed and its folder removed.
#[derive(Debug)]
pub struct OwnServer {
    folder: PathBuf,
    programs: PathBuf,
    account: (u32, u32),
    port: u16,
    settings: Vec<String>,
    environment: Vec<(String, String)>,
    child: Option<Child>,
}

#[derive(QueryableByName)]
struct Shared {
    #[diesel(sql_type = Text)]
    programs: String,
    #[diesel(sql_type = Text)]
    data: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

impl OwnServer {
    /// A new cluster in a folder of its own.
    pub async fn start() -> Self {
        Self::start_in(std::env::temp_dir().join(format!("crm-own-server-{}", Uuid::now_v7())), &[]).await
    }

    /// A new cluster in this folder, which may be the place where a small disk is mounted, with these settings.
    pub async fn start_in(folder: PathBuf, settings: &[&str]) -> Self {
        Self::start_with(folder, settings, &[]).await
    }

    /// The same for a server that is started with these environment variables.
    #[expect(clippy::disallowed_methods, reason = "a fixed text, once for each server")]
    pub async fn start_with(folder: PathBuf, settings: &[&str], environment: &[(&str, &str)]) -> Self {
        let query = "SELECT setting AS programs, current_setting('data_directory') AS data FROM pg_config WHERE name = 'BINDIR'";
        let shared: Shared = sql_query(query).get_result(&mut server::home().await).await.unwrap();
        let owner = fs::metadata(&shared.data).unwrap_or_else(|error| panic!("the test server must be on this machine: {error}"));
        let account = (owner.uid(), owner.gid());
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::chown(&folder, Some(account.0), Some(account.1)).unwrap();
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut own = Self { folder, programs: shared.programs.into(), account, port, settings, environment, child: None };
        own.initdb();
        own.start_again().await;
        own
    }

    fn initdb(&self) {
        let mut command = self.command("initdb");
        command.arg("--pgdata").arg(self.data());
        command.args([
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--auth=trust",
            "--no-sync",
            "--wal-segsize=1",
        ]);
        let made = command.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    fn command(&self, program: &str) -> Command {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(self.programs.join(program));
        if rustix::process::getuid().is_root() {
            command.uid(self.account.0).gid(self.account.1);
        }
        command.env_remove("DATABASE_URL").current_dir("/").stdin(Stdio::null());
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The folder that was given or made.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The address of a database of it for a role. Nobody needs a password.
    #[must_use]
    pub fn url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}:none@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs SQL as the administrator of the whole server.
    pub async fn execute(&self, sql: &str) {
        server::run(&mut server::connect(&self.url("postgres", "postgres")).await, sql).await;
    }

    /// The number a query of the administrator's gives.
    #[expect(clippy::disallowed_methods, reason = "texts that the tests themselves write, run once each")]
    pub async fn number(&self, database: &str, query: &str) -> i64 {
        let query = sql_query(format!("SELECT ({query})::bigint AS number"));
        let row: Count = query.get_result(&mut server::connect(&self.url("postgres", database)).await).await.unwrap();
        row.number
    }

    /// Where it listens, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it and waits until it has.
    pub fn end(&mut self, ending: Ending) {
        let Some(mut child) = self.child.take() else { return };
        let signal = match ending {
            Ending::Fast => Signal::INT,
            Ending::Immediate => Signal::QUIT,
            Ending::Killed => Signal::KILL,
        };
        // It may have ended by itself, on a full disk: then nobody is there to be told.
        let _ = kill_process(Pid::from_child(&child), signal);
        child.wait().unwrap();
    }

    /// Whether its first process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    /// Starts it and returns when it takes connections. After a kill -9 its helpers may still be ending, and it refuses to start
    /// until they have: so it is tried again.
    pub async fn start_again(&mut self) {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            self.child = Some(self.spawn());
            while !self.has_ended() {
                if AsyncPgConnection::establish(&self.url("postgres", "postgres")).await.is_ok() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        panic!("the server must start: {}", fs::read_to_string(self.folder.join("log")).unwrap_or_default());
    }

    fn spawn(&self) -> Child {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.folder.join("log")).unwrap();
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data());
        let own = [format!("port={}", self.port), "listen_addresses=127.0.0.1".into(), "unix_socket_directories=".into()];
        for setting in own.iter().chain(&self.settings) {
            command.arg("-c").arg(setting);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.end(Ending::Immediate);
        // Its helpers may write a last time; the folder is in the machine's place for what is temporary.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
