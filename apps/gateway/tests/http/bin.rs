//! Deleting, the bin, restoring, and what the log says of it.

use serde_json::{Value, json};

use crate::{
    NOUNS,
    support::{App, world::World},
};

#[tokio::test(flavor = "multi_thread")]
async fn deleting_moves_to_the_bin_and_restoring_brings_back() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for noun in NOUNS {
        let created = world.member().post(noun.path, &noun.body("binned")).await.expect(201);
        let (id, record) = (created.id(), format!("{}/{}", noun.path, created.id()));
        let gone = world.member().delete(&record).await.expect(204);
        assert_eq!(gone.text, "", "{}: 204 has no body", noun.path);
        for caller in [world.member(), world.owner()] {
            caller.get(&record).await.problem(404, "not_found");
            caller.delete(&record).await.problem(404, "not_found");
            caller.patch(&record, &json!({})).await.problem(404, "not_found");
            assert!(!caller.get(&format!("{}?limit=200", noun.path)).await.expect(200).ids().contains(&id));
        }
        for who in ["owner", "admin"] {
            let shown = world.caller(who).get(&format!("{record}?deleted=include")).await.expect(200);
            assert!(shown.body["deleted_at"].is_string(), "{}: the bin shows when", noun.path);
            let bin = world.caller(who).get(&format!("{}?deleted=only", noun.path)).await.expect(200);
            assert!(bin.ids().contains(&id) && bin.data().iter().all(|record| record["deleted_at"].is_string()));
        }
        for who in ["member", "viewer"] {
            world.caller(who).get(&format!("{record}?deleted=include")).await.problem(403, "forbidden");
            world.caller(who).get(&format!("{}?deleted=only", noun.path)).await.problem(403, "forbidden");
        }
        let restored = world.member().call("POST", &format!("{record}/restore")).send().await.expect(200);
        assert_eq!((&restored.body["deleted_at"], restored.etag()), (&Value::Null, "\"3\""));
        assert_eq!(world.member().get(&record).await.expect(200).body, restored.body);
        let log = world.owner().get(&format!("{record}/activities")).await.expect(200);
        let kinds: Vec<&Value> = log.data().iter().map(|activity| &activity["activity_type"]).collect();
        assert_eq!(kinds, ["restored", "deleted", "created"], "{}: newest first", noun.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_comes_back_only_into_a_free_place() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for noun in NOUNS {
        let Some((unique, value)) = noun.unique else { continue };
        let mut body = noun.body("first");
        body[unique] = json!(value);
        let first = world.member().post(noun.path, &body).await.expect(201).id();
        world.member().delete(&format!("{}/{first}", noun.path)).await.expect(204);
        world.member().post(noun.path, &body).await.expect(201);
        let back = world.owner().call("POST", &format!("{}/{first}/restore", noun.path)).send().await;
        back.problem(409, "conflict").names(&[&format!("/{unique}")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_member_deleted_is_not_ones_own_to_restore() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let colleague = app.login(&world.tenant.email("colleague")).await;
    for noun in NOUNS {
        let record = format!("{}/{}", noun.path, world.fresh(noun.path, "deleted-by-admin").await);
        world.caller("admin").delete(&record).await.expect(204);
        colleague.call("POST", &format!("{record}/restore")).send().await.problem(403, "forbidden");
        world.caller("admin").call("POST", &format!("{record}/restore")).send().await.expect(200);
    }
}
