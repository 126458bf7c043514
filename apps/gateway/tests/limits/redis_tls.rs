//! A Redis that is spoken to by TLS: trusted by its certificate and its name, or left aside.

use std::path::{Path, PathBuf};

use tokio::process::{Child, Command};

use crate::{
    Scene,
    redis::Server,
    support::{Answer, log_in, waiting::until},
};

/// A server that speaks TLS alone, with the files of its certificate.
struct Encrypted {
    folder: PathBuf,
    port: u16,
    _child: Child,
}

impl Encrypted {
    async fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("crm-redis-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&folder).unwrap();
        let new = ["req", "-x509", "-days", "2", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
        openssl(&folder, &[&new, &["-subj", "/CN=tests", "-keyout", "ca.key", "-out", "ca.pem"][..]].concat()).await;
        let name =
            ["-subj", "/CN=redis", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"];
        let signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-keyout", "redis.key", "-out", "redis.pem"];
        openssl(&folder, &[&new, &name[..], &signed].concat()).await;
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let (number, key, certificate, ca) = (port.to_string(), file("redis.key"), file("redis.pem"), file("ca.pem"));
        let arguments = [
            ["--port", "0", "--tls-port", number.as_str(), "--tls-auth-clients", "no"],
            ["--tls-key-file", &key, "--tls-cert-file", &certificate, "--tls-ca-cert-file", &ca],
        ];
        let child = Server::launch_with(port, &arguments.concat()).await;
        Self { folder, port, _child: child }
    }

    fn authority(&self) -> String {
        self.folder.join("ca.pem").to_str().unwrap().to_owned()
    }
}

impl Drop for Encrypted {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn openssl(folder: &Path, arguments: &[&str]) {
    let made = Command::new("openssl").args(arguments).current_dir(folder).output().await.expect("needs openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// What the caller's bucket still holds.
fn remaining(answer: &Answer) -> u64 {
    answer.header("ratelimit").split("r=").nth(1).unwrap().split(';').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_count_together_in_a_redis_that_is_trusted() {
    let redis = Encrypted::start().await;
    let (url, authority) = (format!("rediss://localhost:{}", redis.port), redis.authority());
    let settings = [("CRM_REDIS_URL", url.as_str()), ("SSL_CERT_FILE", &authority), ("CRM_RATE_LIMIT_CALLER", "1000/86400")];
    let scene = Scene::start(&settings).await;
    let another = scene.another(&settings).await;
    let here = log_in(&scene.gateway.nobody(), &scene.tenant.email("member")).await;
    let there = another.welcome(&here);
    let mut last = remaining(&here.get("companies").await.expect(200));
    for caller in [&there, &here, &there] {
        let now = remaining(&caller.get("companies").await.expect(200));
        assert!(now < last, "two processes, one count: {now} after {last}");
        last = now;
    }
    for gateway in [&scene.gateway, &another] {
        assert!(!gateway.log().contains("Redis does not answer"), "{}", gateway.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_not_trusted_is_told_nothing_and_requests_go_on() {
    let redis = Encrypted::start().await;
    let authority = redis.authority();
    let named = |scheme: &str, host: &str| format!("{scheme}://:secret-word@{host}:{}", redis.port);
    for (url, trusts, why) in [
        (named("rediss", "localhost"), "", "nobody vouches for the certificate"),
        (named("rediss", "127.0.0.1"), authority.as_str(), "it is made out for another name"),
        (named("redis", "localhost"), "", "the server speaks TLS alone"),
    ] {
        let trust = [("SSL_CERT_FILE", trusts)];
        let settings = [("CRM_REDIS_URL", url.as_str()), ("CRM_RATE_LIMIT_CALLER", "1000/86400")];
        let all = [&settings[..], if trusts.is_empty() { &[] } else { &trust }].concat();
        let scene = Scene::start(&all).await;
        let member = log_in(&scene.gateway.nobody(), &scene.tenant.email("member")).await;
        member.get("companies").await.expect(200);
        until("the log tells", async || scene.gateway.log().contains("Redis does not answer")).await;
        let log = scene.gateway.log();
        assert!(!log.contains("Redis answers again") && !log.contains("secret-word"), "{why}: {log}");
    }
}
