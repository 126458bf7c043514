//! Tokens that their holder has narrowed: less, never more, and never a whole one again.

use std::time::{Duration, SystemTime};

use biscuit_auth::{
    UnverifiedBiscuit,
    builder::{BlockBuilder, Term, fact},
    macros::block,
};
use serde_json::json;

use crate::{
    MINUTE, is_turned_away, narrowed, session,
    support::{App, Caller, claims, world::World},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_narrowed_token_does_less_and_never_more() {
    let app = App::start().await;
    let (world, umbrella) = (World::create(&app, "Acme").await, app.database.tenant("Umbrella").await);
    let body = json!({ "name": "Never" });
    let (admin, other) = (world.tenant.admin.user_id.to_string(), umbrella.organization_id.to_string());
    let forgeries = [
        block!(r#"role("owner")"#),
        block!(r#"role("owner"); user({admin})"#),
        block!("organization({other})"),
        block!(r#"role("owner") <- user($user); role("admin"); access("own"); access("read"); operation("session:me")"#),
    ];
    for block in forgeries {
        let forger = app.holder(narrowed(world.caller("viewer"), block));
        is_turned_away(forger.post("companies", &body).await, "a forged fact");
        is_turned_away(forger.get("/api/v1/auth/me").await, "a forged fact");
        is_turned_away(forger.get("companies").await, "a forged fact");
    }
    let reader = app.holder(narrowed(world.owner(), block!(r#"check if access("read")"#)));
    reader.get("companies").await.expect(200);
    reader.post("companies", &body).await.problem(403, "forbidden");
    reader.delete(&format!("companies/{}", world.first("companies"))).await.problem(403, "forbidden");
    let contacts_only = app.holder(narrowed(world.owner(), block!(r#"check if entity("contact")"#)));
    contacts_only.get("contacts").await.expect(200);
    contacts_only.get("companies").await.problem(403, "forbidden");
    let (first, address) = (world.first("companies"), format!("companies/{}", world.first("companies")));
    let one_record = app.holder(narrowed(world.owner(), block!("check if resource({plain})", plain = first.clone())));
    one_record.get(&address).await.expect(200);
    one_record.get("companies").await.problem(403, "forbidden");
    let all_but_one =
        app.holder(narrowed(world.owner(), block!("check if resource($id), $id != {plain}", plain = first.clone())));
    let plain = first;
    for spelling in
        [plain.clone(), plain.to_uppercase(), plain.replace('-', ""), format!("urn:uuid:{plain}"), format!("%7B{plain}%7D")]
    {
        let answer = all_but_one.get(&format!("companies/{spelling}")).await;
        assert!([403, 404].contains(&answer.status), "{spelling} must not get around a check on the record: {}", answer.status);
    }
    let past = SystemTime::now() - MINUTE;
    let over = app.holder(narrowed(world.owner(), block!("check if time($time), $time < {past}")));
    assert!([401, 403].contains(&over.get("companies").await.status), "an earlier expiry counts");
    let expired =
        app.key().issue(&claims(&world.tenant.owner, session(&app, &world.tenant.owner).await), Duration::ZERO).unwrap();
    let forged_time = Caller { token: Some(expired), ..app.nobody() };
    is_turned_away(
        app.holder(narrowed(&forged_time, block!("time(2001-01-01T00:00:00Z)"))).get("companies").await,
        "a forged clock",
    );
}

/// What a token may not read it may not find out either, by asking for records whose parent is such and such.
#[tokio::test(flavor = "multi_thread")]
async fn a_narrowed_token_asks_only_through_parents_it_may_read() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let contacts_only = app.holder(narrowed(world.owner(), block!(r#"check if entity("contact")"#)));
    let asked = async |filter: &str| contacts_only.call("GET", "contacts").query(&[("filter", filter)]).send().await;
    asked("last_name ~ \"a\"").await.expect(200);
    asked("company.name ~ \"a\"").await.problem(403, "forbidden");
    asked("last_name ~ \"a\" OR NOT owner.email:*").await.problem(403, "forbidden");
    let body = json!({ "where": { "field": "company.name", "op": "~", "value": "a" } });
    contacts_only.post("contacts/search", &body).await.problem(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrowed_token_cannot_be_exchanged_for_a_whole_one() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let target = json!({ "organization_id": world.tenant.organization_id, "refresh_token": world.owner().refresh_token });
    let later = SystemTime::now() + MINUTE;
    for block in
        [block!("check if time($time), $time < {later}"), block!(r#"check if entity("session") or access("read")"#), block!("")]
    {
        let narrowed = app.holder(narrowed(world.owner(), block));
        narrowed.get("/api/v1/auth/me").await.expect(200);
        narrowed.post("/api/v1/auth/switch", &target).await.problem(403, "forbidden");
    }
    let forged = app.holder(narrowed(world.owner(), block!(r#"token("whole")"#)));
    is_turned_away(forged.post("/api/v1/auth/switch", &target).await, "a forged wholeness");
    world.owner().post("/api/v1/auth/switch", &target).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_holder_adds_cannot_keep_the_server_busy() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let facts: String = (0..60).map(|number| format!("f({number}); ")).collect();
    let join = "f($a), f($b), f($c), f($d), $a + $b + $c + $d > 10000000";
    let many = format!("[{}]", (0..60).map(|number| number.to_string()).collect::<Vec<_>>().join(", "));
    let nested =
        format!("check if {many}.any($a -> {many}.any($b -> {many}.any($c -> {many}.any($d -> $a + $b + $c + $d > 1000))))");
    let bombs = [
        format!("{facts} r($a) <- {join};"),
        format!("{facts} check if {join};"),
        nested,
        format!("check if entity(\"{}\")", "x".repeat(2000)),
        r#"check if "a".matches("\\w{60}") || "a".matches("\\w{60}")"#.to_owned(),
    ];
    // Facts that print as checks.
    let rows = ["check if f", "reject if f"].map(|name| {
        let row = |number| fact(name, &[Term::Integer(number)]);
        (0..4).fold(BlockBuilder::new(), |block, number| block.fact(row(number)).unwrap())
    });
    for block in bombs.into_iter().map(|bomb| BlockBuilder::new().code(bomb).unwrap()).chain(rows) {
        let holder = app.holder(narrowed(world.owner(), block));
        is_turned_away(holder.get("companies").await, "a block that takes time");
    }
    let mut token = world.owner().token.clone().unwrap();
    for _ in 0..5 {
        token = UnverifiedBiscuit::from_base64(&token)
            .unwrap()
            .append(block!(r#"check if access("read")"#))
            .unwrap()
            .to_base64()
            .unwrap();
    }
    is_turned_away(app.holder(token).get("companies").await, "a long chain of blocks");
}
