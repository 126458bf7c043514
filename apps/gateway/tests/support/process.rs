//! The gateway as a program of its own: started, spoken to, listened to, killed.

use std::{
    path::PathBuf,
    process::{Output, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use crm_testkit::TestDatabase;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::oneshot,
    time::timeout,
};

use super::{Caller, client};

/// Nothing here takes longer on a busy machine; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Files with a key that signs tokens and one that seals, gone with the value.
pub struct KeyFile(pub PathBuf, PathBuf);

impl KeyFile {
    /// A name for one; the program makes it.
    pub fn unused() -> Self {
        let file = std::env::temp_dir().join(format!("crm-gateway-{}.pem", uuid::Uuid::now_v7()));
        let sealing = file.with_extension("sealing");
        Self(file, sealing)
    }

    pub async fn generate() -> Self {
        let file = Self::unused();
        for (what, path) in [("generate-key", &file.0), ("generate-sealing-key", &file.1)] {
            let made = run(command(&[]).arg(what).arg(path)).await;
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        file
    }

    pub fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    pub fn sealing(&self) -> &str {
        self.1.to_str().unwrap()
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        // A key that was never made is no key left behind.
        let _ = std::fs::remove_file(&self.0);
        let _ = std::fs::remove_file(&self.1);
    }
}

/// Where the program is.
pub fn program() -> &'static str {
    env!("CARGO_BIN_EXE_crm-gateway")
}

/// The program with this environment and nothing else of ours.
pub fn command(environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program());
    // Tests ask more than a person does, and wait for nobody; those of limits say their own.
    let patient = [
        ("CRM_RATE_LIMIT_ADDRESS", "off"),
        ("CRM_RATE_LIMIT_CALLER", "off"),
        ("CRM_RATE_LIMIT_ORGANIZATION", "off"),
        ("CRM_DRAIN_SECONDS", "0"),
    ];
    command.env_clear().envs(patient).envs(environment.iter().copied()).kill_on_drop(true).stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub async fn run(command: &mut Command) -> Output {
    timeout(PATIENCE, command.output()).await.expect("the program must end by itself").unwrap()
}

/// A gateway that serves.
pub struct Gateway {
    child: Child,
    pub base: String,
    log: Arc<Mutex<String>>,
}

impl Gateway {
    /// On this database, with these keys, and with these settings beside the needed ones.
    pub async fn on(database: &TestDatabase, keys: &KeyFile, more: &[(&str, &str)]) -> Self {
        let url = database.url();
        let needed =
            [("CRM_DATABASE_URL", url.as_str()), ("CRM_TOKEN_KEY_FILE", keys.path()), ("CRM_SEALING_KEY_FILE", keys.sealing())];
        Self::start(&[&needed, more].concat()).await
    }

    /// Starts it and waits until it says that it listens.
    pub async fn start(environment: &[(&str, &str)]) -> Self {
        // The program is told a port, so one is looked for; another program may take it in between.
        for _ in 0..5 {
            let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().to_string();
            if let Some(gateway) = Self::start_at(&free, environment).await {
                return gateway;
            }
        }
        panic!("the gateway must start");
    }

    async fn start_at(address: &str, environment: &[(&str, &str)]) -> Option<Self> {
        let mut child = command(environment).env("CRM_BIND", address).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (listening, listens) = oneshot::channel();
        let log = Arc::new(Mutex::new(String::new()));
        let shared = log.clone();
        tokio::spawn(async move {
            let mut listening = Some(listening);
            while let Ok(Some(line)) = lines.next_line().await {
                if line.contains("listening") {
                    listening.take().map(|listening| listening.send(()));
                }
                let mut log = shared.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let listens = timeout(PATIENCE, listens).await.expect("the gateway must start or end");
        if listens.is_err() {
            let log = log.lock().unwrap();
            assert!(log.contains("cannot listen"), "the gateway did not start: {log}");
            return None;
        }
        Some(Self { child, base: format!("http://{address}"), log })
    }

    /// Someone without a token.
    pub fn nobody(&self) -> Caller {
        Caller { http: client(), base: self.base.clone(), token: None, refresh_token: String::new() }
    }

    /// The same person at this gateway.
    pub fn welcome(&self, caller: &Caller) -> Caller {
        Caller { http: client(), base: self.base.clone(), ..caller.clone() }
    }

    /// Sends a signal by its name.
    pub async fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().await.unwrap();
        assert!(sent.success(), "the gateway must be there for {name}");
    }

    /// SIGTERM, and waits until it has ended.
    pub async fn end(self) {
        self.signal("TERM").await;
        self.ended().await;
    }

    /// Waits until it has ended.
    pub async fn ended(mut self) {
        timeout(PATIENCE, self.child.wait()).await.expect("the gateway must end").unwrap();
    }

    /// kill -9, and waits until it is gone.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }
}
