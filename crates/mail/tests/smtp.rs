//! SMTP against a server that is really spoken to, and the folder that stands in for one.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::{
    os::unix::fs::PermissionsExt,
    sync::{Arc, Mutex},
    time::Duration,
};

use crm_mail::{Composer, Delivery, Mailer, PublicUrl, Route, Sender};
use crm_tenancy::{
    identity::letters::{Failure, Letter, PgLetters},
    sealing::SealingKeys,
};
use crm_testkit::{TestDatabase, waiting::until};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::Notify,
};
use uuid::Uuid;

/// How a server behaves.
#[derive(Clone, Copy)]
enum Manner {
    Polite,
    /// Offers STARTTLS, and talks nonsense once it should be encrypted.
    BrokenTls,
    /// Answers the recipient with this.
    Refuses(&'static str),
    /// Takes the connection and is silent.
    Silent,
    /// Hangs up in the middle of the letter.
    HangsUp,
}

struct Server {
    address: String,
    /// Every line that a client has said.
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let told = Arc::clone(&told);
                // A client that hangs up ends the conversation, and that is all.
                tokio::spawn(async move { drop(converse(stream, manner, &told).await) });
            }
        });
        Self { address, heard }
    }

    fn heard(&self) -> String {
        self.heard.lock().unwrap().join("\n")
    }
}

async fn converse(stream: TcpStream, manner: Manner, heard: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    if matches!(manner, Manner::Silent) {
        return lines.next_line().await.map(drop);
    }
    writer.write_all(b"220 server ready\r\n").await?;
    let mut in_letter = false;
    while let Some(line) = lines.next_line().await? {
        heard.lock().unwrap().push(line.clone());
        let word = line.split([' ', ':']).next().unwrap_or_default().to_uppercase();
        let answer = match (in_letter, word.as_str(), manner) {
            (true, ".", _) => {
                in_letter = false;
                "250 taken"
            }
            (true, _, Manner::HangsUp) => return Ok(()),
            (true, ..) => continue,
            (_, "EHLO", Manner::BrokenTls) => "250-server\r\n250 STARTTLS",
            (_, "EHLO", _) => "250-server\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME",
            (_, "STARTTLS", _) => "220 go ahead\r\nthis is no TLS",
            (_, "AUTH", _) => "235 welcome",
            (_, "RCPT", Manner::Refuses(answer)) => answer,
            (_, "DATA", _) => {
                in_letter = true;
                "354 go on"
            }
            (_, "QUIT", _) => "221 bye",
            _ => "250 fine",
        };
        writer.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(())
}

fn composer() -> Composer {
    let sender = Sender::from_text("Zoë's CRM <no-reply@crm.example.com>").unwrap();
    Composer::new(SealingKeys::generate().unwrap(), PublicUrl::from_text("https://crm.example.com").unwrap(), sender)
}

fn message() -> lettre::Message {
    let letter = Letter {
        id: Uuid::now_v7(),
        kind: "reset_password".into(),
        recipient: "someone@example.com".into(),
        locale: "en".into(),
        secret_id: Some(Uuid::now_v7()),
        details: serde_json::json!({ "name": "Zoë 🚀" }),
        attempts: 1,
    };
    composer().compose(&letter).unwrap()
}

fn mailer(address: &str) -> Arc<dyn Mailer> {
    Route::from_text(address).unwrap().open().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_handed_over_with_the_credentials_of_the_configuration() {
    let server = Server::start(Manner::Polite).await;
    mailer(&format!("smtp://robot:secret-word@{}", server.address)).send(message()).await.unwrap();
    let heard = server.heard();
    for line in
        ["MAIL FROM:<no-reply@crm.example.com>", "RCPT TO:<someone@example.com>", "Auto-Submitted: auto-generated", "AUTH PLAIN "]
    {
        assert!(heard.contains(line), "{line} is missing from: {heard}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_encryption_that_is_asked_for_nothing_is_said() {
    let plain = Server::start(Manner::Polite).await;
    let broken = Server::start(Manner::BrokenTls).await;
    let none = format!("smtp://robot:secret-word@{}?tls=required", plain.address);
    let nonsense = format!("smtp://robot:secret-word@{}?tls=required", broken.address);
    let implicit = format!("smtps://robot:secret-word@{}", plain.address);
    for address in [none, nonsense, implicit] {
        let failure = mailer(&address).send(message()).await.unwrap_err();
        assert!(matches!(&failure, Failure::Temporary(reason) if !reason.contains("secret-word")), "{failure:?}");
    }
    for server in [plain, broken] {
        let heard = server.heard();
        assert!(!heard.contains("AUTH") && !heard.contains("RCPT") && !heard.contains("someone"), "{heard}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_says_decides_whether_it_is_tried_again() {
    for (answer, is_final) in [
        ("550 no such mailbox", true),
        ("553 no such name", true),
        ("450 later", false),
        ("535 who are you", false),
        ("554 no", false),
        ("421 closing", false),
    ] {
        let server = Server::start(Manner::Refuses(answer)).await;
        let failure = mailer(&format!("smtp://{}", server.address)).send(message()).await.unwrap_err();
        assert_eq!(matches!(failure, Failure::Permanent(_)), is_final, "{answer}: {failure:?}");
    }
    let cut = Server::start(Manner::HangsUp).await;
    let failure = mailer(&format!("smtp://{}", cut.address)).send(message()).await.unwrap_err();
    assert!(matches!(failure, Failure::Temporary(_)), "{failure:?}");
    let nobody = mailer("smtp://127.0.0.1:1").send(message()).await.unwrap_err();
    assert!(matches!(nobody, Failure::Temporary(_)), "{nobody:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_silent_is_not_waited_for_for_ever() {
    let server = Server::start(Manner::Silent).await;
    let sent = tokio::time::timeout(Duration::from_secs(40), mailer(&format!("smtp://{}", server.address)).send(message())).await;
    assert!(matches!(sent, Ok(Err(Failure::Temporary(_)))), "{sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_is_its_owners_alone() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("mailbox-{}", Uuid::now_v7()));
    mailer(&format!("mailbox:{}", folder.display())).send(message()).await.unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));
    assert!(std::fs::read_to_string(&file).unwrap().contains("To: someone@example.com"));
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let refused = Route::from_text(&format!("mailbox:{}", folder.display())).unwrap().open();
    assert!(refused.err().is_some_and(|mistake| mistake.contains("chmod 700")));
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_leave_the_queue_and_a_broken_server_keeps_them_in_it() {
    let database = TestDatabase::create().await;
    let queue = "SELECT identity.queue_letter('no_account', 'person' || number || '@example.com', NULL, NULL, NULL, now() + interval '1 day')
                   FROM generate_series(1, 20) AS number";
    database.execute(queue).await;
    let (letters, queued) = (Arc::new(PgLetters::new(database.db())), Arc::new(Notify::new()));
    let broken = Delivery::new(letters.clone(), composer(), mailer("smtp://127.0.0.1:1"), Arc::clone(&queued));
    broken.deliver_due().await.unwrap();
    let waiting = "SELECT count(*) FROM identity.letters WHERE sent_at IS NULL AND last_error IS NOT NULL AND failed_at IS NULL";
    assert_eq!(database.number(waiting).await, 8, "as many as are tried at once");

    database.execute("UPDATE identity.letters SET due_at = now()").await;
    database
        .execute("SELECT identity.queue_letter('unheard_of', 'a@example.com', NULL, NULL, NULL, now() + interval '1 day')")
        .await;
    let server = Server::start(Manner::Polite).await;
    let delivery = Delivery::new(letters, composer(), mailer(&format!("smtp://{}", server.address)), Arc::clone(&queued));
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    let running = tokio::spawn(async move { delivery.run(stopped.notified()).await });
    let sent = "SELECT count(*) FROM identity.letters WHERE sent_at IS NOT NULL";
    let reached = async |wanted: i64| {
        until("the letters are sent", async || database.number(sent).await >= wanted).await;
    };
    reached(20).await;
    database.execute(&queue.replace("20)", "1)")).await;
    queued.notify_one();
    reached(21).await;
    stop.notify_one();
    tokio::time::timeout(Duration::from_secs(40), running).await.expect("it stops when it is told to").unwrap();
    assert_eq!(
        database.number("SELECT count(*) FROM identity.letters WHERE failed_at IS NOT NULL").await,
        1,
        "nobody wrote that kind"
    );
    assert_eq!(server.heard().matches("Message-ID: ").count(), 21, "each of them once");
}
