//! Limits in Redis: shared by processes, and of no harm when it is slow, gone or new.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use crm_gateway::limits::{Errand, Limits, Policies};
use crm_kernel::{Context, Error, OrganizationId, Role, UserId};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

use crate::{
    Scene,
    support::{log_in, waiting::until},
};

/// A server of its own, without a file.
pub struct Server {
    child: Child,
    port: u16,
}

impl Server {
    async fn start() -> Self {
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        Self { child: Self::launch(port).await, port }
    }

    async fn launch(port: u16) -> Child {
        Self::launch_with(port, &["--port", &port.to_string()]).await
    }

    /// A program that listens on this port, as these arguments say.
    pub async fn launch_with(port: u16, arguments: &[&str]) -> Child {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]).args(arguments);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).spawn();
        let child = child.expect("needs redis-server: `cargo xtask doctor` says how to get it");
        until("the server listens", async || TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
        child
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    async fn restart(&mut self) {
        self.child = Self::launch(self.port).await;
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

fn policies(caller: &str) -> Policies {
    Policies { caller: caller.parse().unwrap(), ..Policies::OFF }
}

async fn is_in() -> crm_kernel::Result<()> {
    Ok(())
}

fn somebody() -> Context {
    Context::new(OrganizationId::generate(), UserId::generate(), Role::Member)
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_count_together_and_alike_in_redis() {
    let server = Server::start().await;
    let here = Limits::in_redis(policies("4/3600"), &server.url()).await.unwrap();
    let there = Limits::in_redis(policies("4/3600"), &server.url()).await.unwrap();
    let alone = Limits::new(policies("4/3600"));
    let (caller, other) = (somebody(), somebody());
    for limits in [&here, &there, &here, &there] {
        limits.admit_caller(&caller, Errand::Work, is_in()).await.unwrap();
        alone.admit_caller(&caller, Errand::Work, is_in()).await.unwrap();
    }
    for limits in [&here, &there, &alone] {
        let Err(Error::Limited { retry_after_seconds }) = limits.admit_caller(&caller, Errand::Work, is_in()).await else {
            panic!("one too many")
        };
        assert!((898..=900).contains(&retry_after_seconds), "one of four in an hour: {retry_after_seconds}");
        limits.admit_caller(&other, Errand::Work, is_in()).await.unwrap();
    }
    assert_eq!((here.is_shared(), alone.is_shared()), (Some(true), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_in_redis_refills_and_is_forgotten_when_it_is_full() {
    let server = Server::start().await;
    let limits = Limits::in_redis(policies("2/1"), &server.url()).await.unwrap();
    let caller = somebody();
    for _ in 0..2 {
        limits.admit_caller(&caller, Errand::Work, is_in()).await.unwrap();
    }
    limits.admit_caller(&caller, Errand::Work, is_in()).await.unwrap_err();
    until("half a second gives one back", async || limits.admit_caller(&caller, Errand::Work, is_in()).await.is_ok()).await;
    until("nothing is kept of a full bucket", async || {
        let output = Command::new("redis-cli").args(["-p", &server.port.to_string(), "DBSIZE"]).output().await.unwrap();
        output.stdout == b"0\n"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_requests_go_on_and_with_it_they_count_together_again() {
    let mut server = Server::start().await;
    let limits = Limits::in_redis(policies("3/3600"), &server.url()).await.unwrap();
    let caller = somebody();
    for _ in 0..3 {
        limits.admit_caller(&caller, Errand::Work, is_in()).await.unwrap();
    }
    server.kill().await;
    for _ in 0..3 {
        let began = Instant::now();
        limits.admit_caller(&caller, Errand::Work, is_in()).await.expect("counted here, from the beginning");
        assert!(began.elapsed() < Duration::from_millis(500), "nobody waits for what is gone: {:?}", began.elapsed());
    }
    limits.admit_caller(&caller, Errand::Work, is_in()).await.expect_err("there is a limit here, too");
    assert_eq!(limits.is_shared(), Some(false));
    server.restart().await;
    let stranger = somebody();
    until("it is found again", async || {
        let _ = limits.admit_caller(&stranger, Errand::Work, is_in()).await;
        limits.is_shared() == Some(true)
    })
    .await;
    limits.admit_caller(&caller, Errand::Work, is_in()).await.expect("the new server knows of nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_does_not_answer_slows_nobody() {
    let server = Server::start().await;
    let limits = Limits::in_redis(policies("100000/60"), &server.url()).await.unwrap();
    let caller = somebody();
    limits.admit_caller(&caller, Errand::Work, is_in()).await.unwrap();
    server.signal(Signal::STOP);
    let (began, mut slow) = (Instant::now(), 0);
    for _ in 0..500 {
        let one = Instant::now();
        limits.admit_caller(&caller, Errand::Work, is_in()).await.unwrap();
        slow += u32::from(one.elapsed() > Duration::from_millis(25));
    }
    let took = began.elapsed();
    println!("500 requests while Redis hangs: {took:?}, {slow} of them slow");
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(limits.is_shared(), Some(false));
    server.signal(Signal::CONT);
    until("it answers again", async || {
        limits.admit_caller(&caller, Errand::Work, is_in()).await.unwrap();
        limits.is_shared() == Some(true)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_says_once_that_redis_is_gone_and_once_that_it_is_back() {
    let mut server = Server::start().await;
    let url = server.url();
    let settings = [("CRM_REDIS_URL", url.as_str()), ("CRM_RATE_LIMIT_CALLER", "1000/86400")];
    let scene = Scene::start(&settings).await;
    let another = scene.another(&settings).await;
    let here = log_in(&scene.gateway.nobody(), &scene.tenant.email("member")).await;
    let there = another.welcome(&here);
    let remaining = async |caller: &crate::support::Caller| {
        let answer = caller.get("companies").await.expect(200);
        let header = answer.header("ratelimit");
        header.split("r=").nth(1).unwrap().split(';').next().unwrap().parse::<u64>().unwrap()
    };
    let first = remaining(&here).await;
    assert!(remaining(&there).await < first, "two processes, one count");
    server.kill().await;
    for _ in 0..20 {
        here.get("companies").await.expect(200);
    }
    let said = |text: &str| scene.gateway.log().matches(text).count();
    until("the log tells", async || said("Redis does not answer") == 1).await;
    server.restart().await;
    until("it is back", async || {
        here.get("companies").await.expect(200);
        said("Redis answers again") == 1
    })
    .await;
    assert_eq!(said("Redis does not answer"), 1, "{}", scene.gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_not_there_at_the_start_keeps_nobody_from_starting() {
    let scene =
        Scene::start(&[("CRM_REDIS_URL", "redis://:secret-word@127.0.0.1:1"), ("CRM_RATE_LIMIT_CALLER", "1000/86400")]).await;
    let member = log_in(&scene.gateway.nobody(), &scene.tenant.email("member")).await;
    member.get("companies").await.expect(200);
    let log = scene.gateway.log();
    assert!(log.contains("Redis does not answer") && !log.contains("secret-word"), "{log}");
}
