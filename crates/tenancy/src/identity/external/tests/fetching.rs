//! How often keys are fetched, and what happens when they cannot be.

use std::time::Duration;

use crm_testkit::issuer::SigningKey;
use futures_util::future::join_all;
use serde_json::json;

use super::{BEGIN, Provider, claims, refused, unavailable};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

fn lasting(key: &SigningKey) -> String {
    let mut claims = claims();
    claims["exp"] = json!(BEGIN + 1000 * HOUR);
    key.token("EdDSA", &claims)
}

#[tokio::test]
async fn keys_are_fetched_once_however_many_ask() {
    let key = SigningKey::ed25519("a");
    let provider = Provider::publishing(&[&key]);
    let tokens = provider.trusted(&json!({}));
    let token = lasting(&key);
    for answer in join_all((0..50).map(|_| tokens.verify(&token))).await {
        answer.unwrap();
    }
    assert_eq!(provider.fetched(), 1);
    provider.pass(5 * MINUTE - 1);
    tokens.verify(&token).await.unwrap();
    assert_eq!(provider.fetched(), 1, "at least five minutes");
    provider.pass(1);
    for answer in join_all((0..50).map(|_| tokens.verify(&token))).await {
        answer.unwrap();
    }
    assert_eq!(provider.fetched(), 2, "and then once more");
}

#[tokio::test]
async fn a_provider_says_how_long_its_keys_may_be_kept_within_bounds() {
    let key = SigningKey::ed25519("a");
    let token = lasting(&key);
    for (said, kept) in [(1, 5 * MINUTE), (HOUR, HOUR), (100 * HOUR, 24 * HOUR)] {
        let provider = Provider::publishing(&[&key]);
        *provider.max_age.lock().unwrap() = Some(Duration::from_secs(said.unsigned_abs()));
        let tokens = provider.trusted(&json!({}));
        tokens.verify(&token).await.unwrap();
        provider.pass(kept - 1);
        tokens.verify(&token).await.unwrap();
        assert_eq!(provider.fetched(), 1, "{said}");
        provider.pass(1);
        tokens.verify(&token).await.unwrap();
        assert_eq!(provider.fetched(), 2, "{said}");
    }
}

#[tokio::test]
async fn a_new_key_is_found_and_an_old_one_is_forgotten() {
    let (old, new) = (SigningKey::ed25519("old"), SigningKey::ed25519("new"));
    let provider = Provider::publishing(&[&old]);
    let tokens = provider.trusted(&json!({}));
    tokens.verify(&lasting(&old)).await.unwrap();
    provider.publish(&[&new]);
    refused(tokens.verify(&lasting(&new)).await, "within a minute nobody asks again");
    provider.pass(MINUTE);
    tokens.verify(&lasting(&new)).await.expect("a key that is not known is asked for");
    refused(tokens.verify(&lasting(&old)).await, "what is published no more is good for nothing");
    assert_eq!(provider.fetched(), 2);
}

#[tokio::test]
async fn unknown_keys_cannot_make_us_ask_more_than_once_a_minute() {
    let key = SigningKey::ed25519("a");
    let provider = Provider::publishing(&[&key]);
    let tokens = provider.trusted(&json!({}));
    for number in 0..100 {
        let unknown = SigningKey::ed25519(&format!("unknown-{number}"));
        refused(tokens.verify(&lasting(&unknown)).await, "no such key");
        provider.pass(1);
    }
    assert_eq!(provider.fetched(), 2, "in a hundred seconds");
}

#[tokio::test]
async fn while_a_provider_is_down_its_keys_are_good_for_a_day() {
    let key = SigningKey::ed25519("a");
    let provider = Provider::publishing(&[&key]);
    let tokens = provider.trusted(&json!({}));
    tokens.verify(&lasting(&key)).await.unwrap();
    provider.break_down();
    for _ in 0..24 {
        provider.pass(HOUR);
        tokens.verify(&lasting(&key)).await.expect("a provider that is down has not withdrawn its keys");
    }
    let unknown = SigningKey::ed25519("b");
    unavailable(&tokens.verify(&lasting(&unknown)).await, "nobody can say whether it has another one");
    let fetched = provider.fetched();
    tokens.verify(&lasting(&key)).await.unwrap();
    assert_eq!(provider.fetched(), fetched, "and is not asked all the time");
    provider.pass(5 * MINUTE);
    unavailable(&tokens.verify(&lasting(&key)).await, "and then no more");
    provider.publish(&[&key]);
    provider.pass(MINUTE);
    tokens.verify(&lasting(&key)).await.expect("until it is back");
}

#[tokio::test]
async fn a_provider_that_never_answered_is_asked_again_soon() {
    let key = SigningKey::ed25519("a");
    let provider = Provider::publishing(&[&key]);
    provider.break_down();
    let tokens = provider.trusted(&json!({}));
    for _ in 0..5 {
        unavailable(&tokens.verify(&lasting(&key)).await, "down");
    }
    assert_eq!(provider.fetched(), 1);
    provider.publish(&[&key]);
    provider.pass(5);
    tokens.verify(&lasting(&key)).await.unwrap();
}

#[tokio::test]
async fn documents_that_are_not_a_providers_are_not_taken() {
    let key = SigningKey::ed25519("a");
    let token = lasting(&key);
    let many: Vec<_> = (0..51).map(|_| key.published()).collect();
    let mut for_encryption = key.published();
    for_encryption["use"] = json!("enc");
    let mut to_sign = key.published();
    to_sign["key_ops"] = json!(["sign"]);
    let mut nameless = key.published();
    nameless.as_object_mut().unwrap().remove("kid");
    let mut symmetric = json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "a" });
    symmetric["alg"] = json!("HS256");
    let short = json!({ "kty": "RSA", "kid": "a", "e": "AQAB", "n": "x".repeat(171) });
    for published in
        [vec![], many, vec![for_encryption], vec![to_sign], vec![nameless], vec![symmetric], vec![short], vec![json!(1)]]
    {
        let provider = Provider::publishing(&[]);
        provider.publish_values(published.clone());
        unavailable(&provider.trusted(&json!({})).verify(&token).await, &format!("{published:?}"));
    }
    let mut of_another_algorithm = key.published();
    of_another_algorithm["alg"] = json!("ES256");
    let provider = Provider::publishing(&[]);
    provider.publish_values(vec![of_another_algorithm]);
    refused(provider.trusted(&json!({})).verify(&token).await, "a key is for what it says");
    let provider = Provider::publishing(&[]);
    provider.publish_values(vec![json!({ "kty": "strange" }), key.published()]);
    provider.trusted(&json!({})).verify(&token).await.expect("what is not understood is left out");
}

#[tokio::test]
async fn a_description_of_another_issuer_is_not_taken() {
    let key = SigningKey::ed25519("a");
    let provider = Provider::publishing(&[&key]);
    *provider.issuer.lock().unwrap() = "https://evil.example.com".into();
    unavailable(&provider.trusted(&json!({})).verify(&lasting(&key)).await, "it calls itself otherwise");
    assert_eq!(provider.fetched(), 0);
    let given = provider.trusted(&json!({ "jwks_uri": format!("{}/keys", super::ISSUER) }));
    given.verify(&lasting(&key)).await.expect("an address that is given needs no description");
}
