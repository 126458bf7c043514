//! Ending: what is under way is finished, and where another process takes over nobody notices.

use std::{
    net::TcpListener,
    os::fd::OwnedFd,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use diesel_async::SimpleAsyncConnection;
use serde_json::json;
use tokio::{process::Child, task::JoinSet, time::timeout};

use crate::{
    Place,
    support::{
        Caller, client, log_in,
        process::{command, program},
        waiting::until,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn told_to_end_it_is_not_ready_first_and_finishes_what_is_under_way() {
    let place = Place::create().await;
    let gateway = place.start(&[("CRM_DRAIN_SECONDS", "2")]).await;
    let nobody = gateway.nobody();
    let owner = log_in(&nobody, &place.tenant.email("owner")).await;
    let company = owner.post("companies", &json!({ "name": "Slow" })).await.expect(201).id();
    let mut admin = place.database.admin().await;
    admin.batch_execute(&format!("BEGIN; SELECT FROM crm_companies WHERE id = '{company}' FOR UPDATE")).await.unwrap();
    let path = format!("companies/{company}");
    let slow = tokio::spawn({
        let (owner, path) = (owner.clone(), path.clone());
        async move { owner.patch(&path, &json!({ "industry": "done" })).await }
    });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until("the change waits for the lock", async || place.database.number(waits).await == 1).await;

    assert_eq!(nobody.get("/readyz").await.expect(200).header("connection"), "");
    gateway.signal("TERM").await;
    until("it is not ready", async || nobody.get("/readyz").await.status == 503).await;
    // It is still there, for whoever has not noticed yet, and sends them elsewhere.
    let fresh = Caller { http: client(), ..owner.clone() };
    let answer = fresh.get(&path).await.expect(200);
    assert_eq!(answer.header("connection"), "close");
    let gone = async || Caller { http: client(), ..nobody.clone() }.call("GET", "/healthz").try_send().await.is_err();
    until("it no longer listens", gone).await;
    assert!(!slow.is_finished(), "the change is still under way");
    admin.batch_execute("ROLLBACK").await.unwrap();
    slow.await.unwrap().expect(200);
    gateway.ended().await;
    let kept = "SELECT count(*) FROM crm_companies WHERE industry = 'done'";
    assert_eq!(place.database.number(kept).await, 1);
}

/// A gateway that is handed its socket as systemd does it: as the third file, with its own process id.
async fn launch(place: &Place, listener: &TcpListener, drain: &str) -> Child {
    let settings = place.settings(&[("CRM_DRAIN_SECONDS", drain), ("CRM_LOG", "warn")]);
    let socket = OwnedFd::from(listener.try_clone().unwrap());
    let script = "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\"";
    let ours = command(&settings);
    let mut shell = tokio::process::Command::new("/bin/sh");
    shell.args(["-c", script, program()]).stdin(Stdio::from(socket)).kill_on_drop(true).env_clear();
    shell.envs(ours.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_is_replaced_and_no_request_fails() {
    let place = Place::create().await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let nobody = Caller { http: client(), base, token: None, refresh_token: String::new() };
    let mut serving = launch(&place, &listener, "1").await;
    // The socket is there before the process is: whoever comes early waits in it.
    let owner = log_in(&nobody, &place.tenant.email("owner")).await;
    let company = owner.post("companies", &json!({ "name": "Always" })).await.expect(201).id();

    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clients = JoinSet::new();
    for number in 0..8 {
        // Some keep their connection, some come anew each time.
        let keeps = number % 2 == 0;
        let (owner, company, stop, answered) = (owner.clone(), company.clone(), Arc::clone(&stop), Arc::clone(&answered));
        clients.spawn(async move {
            let mut caller = Caller { http: client(), ..owner.clone() };
            while !stop.load(Ordering::Relaxed) {
                if !keeps {
                    caller = Caller { http: client(), ..owner.clone() };
                }
                caller.get(&format!("companies/{company}")).await.expect(200);
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for _ in 0..3 {
        let before = answered.load(Ordering::Relaxed);
        until("requests are answered", async || answered.load(Ordering::Relaxed) > before + 50).await;
        let next = launch(&place, &listener, "1").await;
        let pid = serving.id().unwrap().to_string();
        let sent = tokio::process::Command::new("sh").args(["-c", &format!("kill -TERM {pid}")]).status().await.unwrap();
        assert!(sent.success());
        let ended = timeout(Duration::from_secs(60), serving.wait()).await.expect("it must end").unwrap();
        assert!(ended.success(), "it ended in order");
        serving = next;
    }
    let before = answered.load(Ordering::Relaxed);
    until("the last one answers", async || answered.load(Ordering::Relaxed) > before + 50).await;
    stop.store(true, Ordering::Relaxed);
    clients.join_all().await;
}
