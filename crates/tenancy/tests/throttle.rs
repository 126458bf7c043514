//! How often somebody may be wrong: shared by all nodes, without telling who exists and without keeping the owner out.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod entrance;

use crm_kernel::{Error, Result};
use crm_tenancy::{
    ConnectOptions, Db, Identity, PgIdentity,
    identity::{Credentials, IdentityOptions, Origin, Tokens},
    token::TokenKey,
};
use crm_testkit::{PASSWORD, refusals::unauthenticated};
use entrance::{Entrance, elsewhere, from};
use futures_util::future::join_all;

/// Tries of an account at once, as the module says.
const ACCOUNT: usize = 10;
/// Tries of an address at once.
const ADDRESS: usize = 60;

fn is_limited<T>(answer: &Result<T>) -> bool {
    matches!(answer, Err(Error::Limited { retry_after_seconds }) if *retry_after_seconds > 0)
}

impl Entrance {
    /// Wrong passwords from here until the account is turned away; how many were judged.
    async fn drain(&self, email: &str, origin: impl Fn(u32) -> Origin) -> usize {
        for number in 0..200 {
            let answer = self.with_password(email, "wrong", &origin(number)).await;
            if is_limited(&answer) {
                return number as usize;
            }
            unauthenticated(answer, "a wrong password");
        }
        panic!("two hundred wrong passwords were judged");
    }

    async fn right(&self, who: &str, origin: &Origin) -> Result<Tokens> {
        self.identity.login(&self.credentials(who), origin).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_so_many_tries_whether_or_not_it_exists() {
    let entrance = Entrance::open().await;
    let known = entrance.tenant.email("member");
    // Somebody has come in from here: the attacker at the same address is told nothing by that either.
    entrance.right("owner", &from("192.0.2.1")).await.unwrap();
    for (email, origin) in [
        (known.as_str(), from("192.0.2.1")),
        ("nobody@example.com", from("192.0.2.2")),
        (&entrance.tenant.email("owner"), from("192.0.2.1")),
        ("no-one@example.com", from("2001:db8::1")),
    ] {
        assert_eq!(entrance.drain(email, |_| origin.clone()).await, ACCOUNT, "{email}");
    }
    let refused = |answer: Result<Tokens>| format!("{:?}", answer.expect_err("turned away"));
    let away = from("192.0.2.77");
    let known = refused(entrance.with_password(&known.to_uppercase(), "wrong", &away).await);
    let unknown = refused(entrance.with_password("nobody@example.com", "wrong", &away).await);
    let about = |text: &str| text.starts_with("Limited");
    assert!(about(&known) && about(&unknown), "{known} {unknown}");
    assert!(is_limited(&entrance.right("member", &away).await), "the right password is not judged either");
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_at_the_same_moment_on_two_nodes_cannot_outrun_the_count() {
    let entrance = Entrance::open().await;
    let options = ConnectOptions { max_size: 8, ..ConnectOptions::default() };
    let other_db = Db::connect(&entrance.database.url(), options).unwrap();
    let other = PgIdentity::new(other_db, TokenKey::generate(), entrance.keys.clone(), IdentityOptions::default());
    let email = entrance.tenant.email("member");
    let wrong = Credentials { email, password: "wrong".into(), ..Credentials::default() };
    let tries = (0..40).map(|number| {
        let (node, origin) = (if number % 2 == 0 { &entrance.identity } else { &other }, elsewhere(number));
        let wrong = &wrong;
        async move { node.login(wrong, &origin).await }
    });
    let answers = join_all(tries).await;
    let judged = answers.iter().filter(|answer| matches!(answer, Err(Error::Unauthenticated(_)))).count();
    let limited = answers.iter().filter(|answer| is_limited(answer)).count();
    assert!(judged <= ACCOUNT && judged + limited == 40, "{judged} judged, {limited} turned away");
    entrance.database.forget_no_tries().await;
    assert_eq!(
        entrance.drain(&entrance.tenant.email("member"), elsewhere).await,
        ACCOUNT - judged,
        "who was turned away is not counted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_right_is_not_counted() {
    let entrance = Entrance::open().await;
    for _ in 0..3 * ACCOUNT {
        entrance.right("member", &from("192.0.2.1")).await.unwrap();
    }
    let tokens = entrance.login("member").await;
    let mut refresh_token = tokens.refresh_token;
    for _ in 0..ADDRESS + 5 {
        refresh_token = entrance.identity.refresh(&refresh_token).await.unwrap().refresh_token;
    }
    let used = entrance.database.number("SELECT count(*) FROM identity.throttles WHERE used > 0.01").await;
    assert_eq!(used, 0, "nothing counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attacker_elsewhere_does_not_keep_the_person_out() {
    let entrance = Entrance::open().await;
    let (email, home) = (entrance.tenant.email("owner"), from("198.51.100.7"));
    let tokens = entrance.right("owner", &home).await.unwrap();
    let device = tokens.device_token.expect("a login gives a token for the device");
    assert_eq!(entrance.drain(&email, elsewhere).await, ACCOUNT, "many addresses, one account");

    for place in [&elsewhere(1000), &home] {
        assert!(is_limited(&entrance.right("owner", place).await), "without the device the account is closed, also at home");
    }
    let with = |device: &str| Credentials { device_token: Some(device.to_owned()), ..entrance.credentials("owner") };
    let anywhere = elsewhere(1001);
    let next = entrance.identity.login(&with(&device), &anywhere).await.expect("a known device comes in from everywhere");
    let next = next.device_token.unwrap();
    assert_ne!(next, device, "and gets another token");
    assert!(is_limited(&entrance.identity.login(&with(&device), &elsewhere(1002)).await), "the old one is worth nothing");
    entrance.identity.login(&with(&next), &elsewhere(1003)).await.expect("the new one is");
    assert!(is_limited(&entrance.right("owner", &elsewhere(1004)).await), "the attacker's count stays");
}

/// From the desk beside the owner's: the account's count and that of the address are drained from the address that the owner uses.
#[tokio::test(flavor = "multi_thread")]
async fn an_attacker_at_the_same_address_does_not_keep_the_person_out() {
    let entrance = Entrance::open().await;
    let (email, office) = (entrance.tenant.email("owner"), from("198.51.100.7"));
    let device = entrance.right("owner", &office).await.unwrap().device_token;
    assert_eq!(entrance.drain(&email, |_| office.clone()).await, ACCOUNT, "as many as everywhere");
    let known = Credentials { device_token: device, ..entrance.credentials("owner") };
    let next = entrance.identity.login(&known, &office).await.expect("the owner's own client comes in").device_token;
    let mut others = 0;
    while !is_limited(&entrance.with_password(&format!("guess-{others}@example.com"), "wrong", &office).await) {
        others += 1;
    }
    let known = Credentials { device_token: next, ..entrance.credentials("owner") };
    entrance.identity.login(&known, &office).await.expect("also when the whole address is closed");
    assert!(is_limited(&entrance.right("owner", &office).await), "the attacker is told nothing by that");
    let places = "SELECT count(*) FROM identity.known_devices";
    assert_eq!(entrance.database.number(places).await, 1, "the device is remembered, and no address");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_bound_to_its_person_has_few_tries_and_is_forgotten() {
    let entrance = Entrance::open().await;
    let device = entrance.right("member", &elsewhere(1)).await.unwrap().device_token.unwrap();
    let stored = format!("SELECT count(*) FROM identity.known_devices WHERE encode(key_hash, 'escape') LIKE '%{device}%'");
    assert_eq!(entrance.database.number(&stored).await, 0, "its token is stored as its hash");
    entrance.drain(&entrance.tenant.email("colleague"), elsewhere).await;
    let foreign = Credentials { device_token: Some(device.clone()), ..entrance.credentials("colleague") };
    assert!(is_limited(&entrance.identity.login(&foreign, &elsewhere(900)).await), "another's device opens nothing");

    let wrong = Credentials { password: "wrong".into(), device_token: Some(device.clone()), ..entrance.credentials("member") };
    for number in 0..ACCOUNT {
        unauthenticated(entrance.identity.login(&wrong, &elsewhere(1000 + number as u32)).await, "a wrong password");
    }
    assert!(is_limited(&entrance.identity.login(&wrong, &elsewhere(1100)).await), "a stolen device has few tries");
    entrance.right("member", &elsewhere(1101)).await.expect("and does not close the account");

    entrance.database.execute("UPDATE identity.known_devices SET expires_at = now()").await;
    entrance.drain(&entrance.tenant.email("member"), |number| elsewhere(2000 + number)).await;
    let late = Credentials { device_token: Some(device), ..entrance.credentials("member") };
    assert!(is_limited(&entrance.identity.login(&late, &elsewhere(1)).await), "what has expired is not known");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_so_many_tries_and_a_known_device_is_not_counted_there() {
    let entrance = Entrance::open().await;
    let office = from("2001:db8:1:2::1");
    let device = entrance.right("member", &office).await.unwrap().device_token;
    let neighbour = |number: u32| from(&format!("2001:db8:1:2::{:x}", number + 2));
    let mut judged = 0;
    while !is_limited(&entrance.with_password(&format!("guess-{judged}@example.com"), "wrong", &neighbour(judged)).await) {
        judged += 1;
    }
    // One more for each six seconds that this took.
    assert!((ADDRESS as u32..ADDRESS as u32 + 30).contains(&judged), "{judged} tries");
    entrance.database.forget_no_tries().await;
    for who in ["member", "owner"] {
        assert!(is_limited(&entrance.right(who, &office).await), "the network is one address, also for {who}, who is known here");
    }
    let known = Credentials { device_token: device, ..entrance.credentials("member") };
    entrance.identity.login(&known, &office).await.expect("a known device is not counted with its address");
    entrance.right("owner", &from("2001:db8:1:3::1")).await.expect("the next network is another");
}

/// As many as would fill the queue: all are of one person, and everybody else comes in beside them.
#[tokio::test(flavor = "multi_thread")]
async fn many_right_logins_of_one_person_do_not_turn_others_away() {
    let entrance = Entrance::open().await;
    let crowd = join_all((0..200).map(|_| async { entrance.right("member", &from("192.0.2.1")).await }));
    let others = async {
        let mut refused = Vec::new();
        for _ in 0..5 {
            for (who, address) in [("owner", "192.0.2.1"), ("admin", "192.0.2.2"), ("colleague", "2001:db8::1")] {
                refused.extend(entrance.right(who, &from(address)).await.err());
            }
        }
        refused
    };
    let (crowd, refused) = tokio::join!(crowd, others);
    assert!(refused.is_empty(), "{refused:?}");
    let (entered, limited) =
        (crowd.iter().filter(|answer| answer.is_ok()).count(), crowd.iter().filter(|answer| is_limited(answer)).count());
    assert!(entered >= 4 && entered + limited == 200, "{entered} came in, {limited} come back later");
    let counted = entrance.database.number("SELECT count(*) FROM identity.throttles WHERE used > 0.01").await;
    assert_eq!(counted, 0, "nobody was wrong");
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_tokens_are_not_counted_so_nobody_keeps_an_office_from_going_on() {
    let entrance = Entrance::open().await;
    let good = entrance.login("viewer").await.refresh_token;
    for number in 0..2 * ADDRESS {
        let answer = entrance.identity.refresh(&format!("guess {number}")).await;
        unauthenticated(answer, "no such token");
    }
    entrance.identity.refresh(&good).await.expect("who has one goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_count_goes_down_with_time_and_its_rows_go_away() {
    let entrance = Entrance::open().await;
    let email = entrance.tenant.email("member");
    entrance.drain(&email, elsewhere).await;
    let answer = entrance.with_password(&email, PASSWORD, &elsewhere(500)).await;
    assert!(matches!(answer, Err(Error::Limited { retry_after_seconds: 1..=60 })), "a minute for each try: {answer:?}");
    // As if a minute had gone by.
    entrance.database.execute("UPDATE identity.throttles SET counted_at = counted_at - interval '61 seconds'").await;
    unauthenticated(entrance.with_password(&email, "wrong", &elsewhere(501)).await, "one more try");
    assert!(is_limited(&entrance.with_password(&email, "wrong", &elsewhere(502)).await), "and not two");

    let rows = "SELECT count(*) FROM identity.throttles";
    assert!(entrance.database.number(rows).await > 10);
    entrance.database.execute("UPDATE identity.throttles SET empty_at = now()").await;
    assert_eq!(entrance.database.number("SELECT identity.sweep_throttles(5)").await, 5, "no more than it was told to");
    entrance.database.number("SELECT identity.sweep_throttles(1000)").await;
    assert_eq!(entrance.database.number(rows).await, 0);
    // Guesses clean up as they go: rows that count no more are taken away although nobody asks for it.
    let old = "INSERT INTO identity.throttles SELECT sha256(number::text::bytea), 1, now(), now() FROM generate_series(1, 1000) AS number";
    entrance.database.execute(old).await;
    let tries = "SELECT count(identity.take_attempt(ARRAY[sha256(number::text::bytea || 'x')], ARRAY[10], ARRAY[1])) FROM generate_series(1, 3000) AS number";
    entrance.database.number(tries).await;
    let left = "SELECT count(*) FROM identity.throttles WHERE key_hash IN (SELECT sha256(number::text::bytea) FROM generate_series(1, 1000) AS number)";
    assert_eq!(entrance.database.number(left).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_reset_by_mail_is_a_way_in_however_many_tries_others_make() {
    let entrance = Entrance::open().await;
    let (email, user) = (entrance.tenant.email("owner"), entrance.tenant.owner.user_id);
    entrance.drain(&email, elsewhere).await;
    let home = from("2001:db8:7:7::1");
    assert!(is_limited(&entrance.right("owner", &home).await), "nobody knows this place");
    let link = uuid::Uuid::now_v7();
    let made = format!(
        "INSERT INTO identity.links (id, purpose, user_id, email, secret_hash, expires_at)
         VALUES ('{link}', 'reset_password', '{user}', '{email}', sha256('secret'), now() + interval '1 hour')"
    );
    entrance.database.execute(&made).await;
    let password = "an altogether new password";
    let hash = crm_tenancy::passwords::hash(password.to_owned()).await.unwrap();
    let reset =
        format!("SELECT identity.reset_password('{link}', sha256('secret'), '{hash}', sha256('device'), NULL, NULL, NULL)::text");
    assert_eq!(entrance.database.texts(&reset).await, ["true"]);
    let closed = entrance.with_password(&email, password, &home).await;
    assert!(is_limited(&closed), "a stranger sees nothing of it, not even at the address from which it was done");
    let known = Credentials { email, password: password.into(), device_token: Some("device".into()), ..Credentials::default() };
    entrance.identity.login(&known, &home).await.expect("the client that has set it comes in");
}
