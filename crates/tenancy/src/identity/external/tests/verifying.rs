//! Which tokens are taken.

use crm_testkit::issuer::{SigningKey, shared_secret_token, unsigned_token};
use serde_json::{Value, json};

use super::{BEGIN, ISSUER, Provider, SECRET, but, claims, refused};

#[tokio::test]
async fn a_right_token_says_who_somebody_is_with_every_algorithm() {
    let (rsa, p256, p384, ed25519) =
        (SigningKey::rsa("r"), SigningKey::p256("p"), SigningKey::p384("q"), SigningKey::ed25519("e"));
    let provider = Provider::publishing(&[&rsa, &p256, &p384, &ed25519]);
    let all = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];
    let tokens = provider.trusted(&json!({ "algorithms": all }));
    for algorithm in all {
        let key = match algorithm {
            "ES256" => &p256,
            "ES384" => &p384,
            "EdDSA" => &ed25519,
            _ => &rsa,
        };
        let token = key.token(algorithm, &claims());
        let verified = tokens.verify(&token).await.unwrap_or_else(|error| panic!("{algorithm}: {error}"));
        assert_eq!(
            (verified.provider.as_str(), verified.issuer.as_str(), verified.subject.as_str()),
            ("test", ISSUER, "subject")
        );
        assert_eq!((verified.second_factor, verified.once), (false, None));

        let only_this = provider.trusted(&json!({ "algorithms": [algorithm] }));
        for other in all.iter().filter(|other| **other != algorithm) {
            let other_key = match *other {
                "ES256" => &p256,
                "ES384" => &p384,
                "EdDSA" => &ed25519,
                _ => &rsa,
            };
            refused(only_this.verify(&other_key.token(other, &claims())).await, "an algorithm that is not pinned");
        }
    }
}

#[tokio::test]
async fn nothing_in_a_header_chooses_how_a_token_is_verified() {
    let (key, other) = (SigningKey::rsa("a"), SigningKey::rsa("a"));
    let p256 = SigningKey::p256("p");
    let provider = Provider::publishing(&[&key, &p256]);
    let tokens = provider.trusted(&json!({}));
    let header = |more: Value| {
        let mut header = json!({ "alg": "RS256", "kid": "a", "typ": "JWT" });
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        header
    };
    tokens.verify(&key.token_with(&header(json!({})), "RS256", &claims())).await.unwrap();
    for kind in ["jwt", "at+jwt", "application/at+jwt"] {
        tokens.verify(&key.token_with(&header(json!({ "typ": kind })), "RS256", &claims())).await.unwrap();
    }
    for (why, more) in [
        ("crit", json!({ "crit": ["exp"] })),
        ("an empty crit", json!({ "crit": null })),
        ("unencoded", json!({ "b64": false })),
        ("compressed", json!({ "zip": "DEF" })),
        ("no key is named", json!({ "kid": null })),
        ("a key of a strange type is named", json!({ "kid": 1 })),
        ("an unknown key is named", json!({ "kid": "b" })),
        ("a key of another type is named", json!({ "kid": "p" })),
        ("a token of logging out", json!({ "typ": "logout+jwt" })),
        ("a strange type", json!({ "typ": 1 })),
        ("none", json!({ "alg": "none" })),
        ("None", json!({ "alg": "None" })),
        ("no algorithm", json!({ "alg": null })),
        ("another algorithm than signed", json!({ "alg": "PS256" })),
    ] {
        refused(tokens.verify(&key.token_with(&header(more), "RS256", &claims())).await, why);
    }
    for name in ["none", "None", "nOnE", "HS256", "RS256"] {
        refused(tokens.verify(&unsigned_token(&header(json!({ "alg": name })), &claims())).await, "nobody has signed it");
    }
    // The key that a token brings along is not asked for.
    for place in ["jwk", "jku", "x5u"] {
        let brought = if place == "jwk" { other.published() } else { json!("https://evil.example.com/keys") };
        let forged = other.token_with(&header(json!({ place: brought })), "RS256", &claims());
        refused(tokens.verify(&forged).await, "a key of its own");
    }
    refused(tokens.verify(&other.token("RS256", &claims())).await, "another key of the same name");
}

#[tokio::test]
async fn a_public_key_is_no_shared_secret() {
    let key = SigningKey::rsa("a");
    let provider = Provider::publishing(&[&key]);
    let tokens = provider.trusted(&json!({}));
    let published = key.published();
    for secret in [published["n"].as_str().unwrap().to_owned(), published.to_string(), String::new()] {
        for algorithm in ["HS256", "RS256"] {
            let header = json!({ "alg": algorithm, "kid": "a" });
            let forged = shared_secret_token(secret.as_bytes(), &header, &claims());
            refused(tokens.verify(&forged).await, "signed with what everybody knows");
        }
    }
}

#[tokio::test]
async fn claims_that_are_missing_wrong_or_of_another_type_are_refused() {
    let key = SigningKey::ed25519("a");
    let provider = Provider::publishing(&[&key]);
    let tokens = provider.trusted(&json!({}));
    for (name, value) in [
        ("iss", json!(null)),
        ("iss", json!("https://id.example.com/")),
        ("iss", json!("https://ID.example.com")),
        ("iss", json!([ISSUER])),
        ("aud", json!(null)),
        ("aud", json!("other")),
        ("aud", json!("CRM")),
        ("aud", json!([])),
        ("aud", json!(["other"])),
        ("aud", json!(["crm", "other"])),
        ("aud", json!({ "crm": true })),
        ("azp", json!("other")),
        ("azp", json!(1)),
        ("sub", json!(null)),
        ("sub", json!("")),
        ("sub", json!(7)),
        ("sub", json!("a\0b")),
        ("sub", json!("x".repeat(256))),
        ("exp", json!(null)),
        ("exp", json!("2100-01-01")),
        ("exp", json!((BEGIN + 600).to_string())),
        ("nbf", json!("now")),
        ("iat", json!("now")),
        ("exp", json!(-1)),
    ] {
        refused(tokens.verify(&key.token("EdDSA", &but(name, value.clone()))).await, &format!("{name}: {value}"));
    }
    for (name, value) in [
        ("aud", json!(["crm"])),
        ("azp", json!("crm")),
        ("iat", json!(null)),
        ("sub", json!("x".repeat(255))),
        ("exp", json!(BEGIN as f64 + 0.5)),
    ] {
        tokens
            .verify(&key.token("EdDSA", &but(name, value.clone())))
            .await
            .unwrap_or_else(|error| panic!("{name}: {value}: {error}"));
    }
    let mut several = but("aud", json!(["other", "crm"]));
    several["azp"] = json!("crm");
    tokens.verify(&key.token("EdDSA", &several)).await.expect("one of several audiences, and the one that asked");
    several["azp"] = json!("other");
    refused(tokens.verify(&key.token("EdDSA", &several)).await, "somebody else asked");
    let by_others = provider.trusted(&json!({ "authorized_party": "other" }));
    by_others.verify(&key.token("EdDSA", &several)).await.expect("that is whom we let ask");
}

#[tokio::test]
async fn clocks_may_differ_by_the_skew_and_no_second_more() {
    let key = SigningKey::ed25519("a");
    let provider = Provider::publishing(&[&key]);
    for skew in [0, 60, 300] {
        let tokens = provider.trusted(&json!({ "clock_skew_seconds": skew }));
        let verify =
            async |name: &str, seconds: i64| tokens.verify(&key.token("EdDSA", &but(name, json!(BEGIN + seconds)))).await;
        verify("exp", 1 - skew).await.expect("still good");
        refused(verify("exp", -skew).await, "expired");
        for name in ["nbf", "iat"] {
            verify(name, skew).await.expect("good already");
            refused(verify(name, skew + 1).await, "not yet");
        }
    }
}

#[tokio::test]
async fn garbage_is_refused_like_all_else() {
    let key = SigningKey::ed25519("a");
    let tokens = Provider::publishing(&[&key]).trusted(&json!({}));
    let good = key.token("EdDSA", &claims());
    let parts: Vec<&str> = good.split('.').collect();
    for text in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "eyJ.eyJ.x",
        "é.ü.ö",
        &format!("{good}."),
        &format!(".{good}"),
        &format!("{good}="),
        &format!(" {good}"),
    ] {
        refused(tokens.verify(text).await, text);
    }
    refused(tokens.verify(&parts[..2].join(".")).await, "no signature");
    refused(tokens.verify(&format!("{}.{}.", parts[0], parts[1])).await, "an empty signature");
    let large = key.token("EdDSA", &but("more", json!("x".repeat(13_000))));
    refused(tokens.verify(&large).await, "more than 16 KiB");
    tokens.verify(&key.token("EdDSA", &but("more", json!("x".repeat(10_000))))).await.expect("and less");
    for (index, _) in parts[2].char_indices().step_by(7) {
        let mut bytes = good.clone().into_bytes();
        let at = good.len() - parts[2].len() + index;
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        refused(tokens.verify(&String::from_utf8(bytes).unwrap()).await, "a changed signature");
    }
}

#[tokio::test]
async fn gotrue_signs_with_a_shared_secret_and_nothing_else() {
    let key = SigningKey::rsa("a");
    let provider = Provider::publishing(&[&key]);
    let tokens = provider.trusted(
        &json!({ "kind": "gotrue", "secret_file": "secret", "algorithms": null, "second_factor": "trusted_when_amr_mfa" }),
    );
    let header = json!({ "alg": "HS256", "typ": "JWT" });
    let token = |secret: &str, claims: &Value| shared_secret_token(secret.as_bytes(), &header, claims);
    let verified = tokens.verify(&token(SECRET, &claims())).await.unwrap();
    assert_eq!((verified.subject.as_str(), verified.second_factor), ("subject", false));
    refused(tokens.verify(&token("a secret that is long enough for any hasH", &claims())).await, "another secret");
    refused(tokens.verify(&token("", &claims())).await, "no secret");
    for algorithm in ["HS384", "HS512", "none", "RS256"] {
        let forged = shared_secret_token(SECRET.as_bytes(), &json!({ "alg": algorithm }), &claims());
        refused(tokens.verify(&forged).await, algorithm);
    }
    refused(tokens.verify(&key.token("RS256", &claims())).await, "a key that nobody published for it");
    refused(tokens.verify(&token(SECRET, &but("aud", json!("other")))).await, "another audience");
    for (name, value, given) in [
        ("aal", json!("aal2"), true),
        ("aal", json!("aal1"), false),
        ("amr", json!([{ "method": "totp", "timestamp": 1 }]), false),
    ] {
        assert_eq!(tokens.verify(&token(SECRET, &but(name, value))).await.unwrap().second_factor, given);
    }
    assert_eq!(provider.fetched(), 0, "it has no keys to fetch");
}

#[tokio::test]
async fn a_second_factor_counts_where_the_configuration_says_so() {
    let key = SigningKey::ed25519("a");
    let provider = Provider::publishing(&[&key]);
    for (trust, amr, counts) in [
        ("trusted_when_amr_mfa", json!(["pwd", "mfa"]), true),
        ("trusted_when_amr_mfa", json!(["pwd"]), false),
        ("trusted_when_amr_mfa", json!("mfa"), false),
        ("trusted_when_amr_mfa", json!(null), false),
        ("never", json!(["mfa"]), false),
    ] {
        let tokens = provider.trusted(&json!({ "second_factor": trust }));
        let verified = tokens.verify(&key.token("EdDSA", &but("amr", amr.clone()))).await.unwrap();
        assert_eq!(verified.second_factor, counts, "{trust} {amr}");
    }
    let tokens = provider.trusted(&json!({ "second_factor": "trusted_when_amr_mfa" }));
    assert!(!tokens.verify(&key.token("EdDSA", &but("aal", json!("aal2")))).await.unwrap().second_factor, "a word of GoTrue's");
}

#[tokio::test]
async fn a_token_for_one_use_has_an_id_and_does_not_live_long() {
    let key = SigningKey::ed25519("a");
    let tokens = Provider::publishing(&[&key]).trusted(&json!({ "one_time": true }));
    refused(tokens.verify(&key.token("EdDSA", &claims())).await, "no id");
    refused(tokens.verify(&key.token("EdDSA", &but("jti", json!("")))).await, "an empty one");
    refused(tokens.verify(&key.token("EdDSA", &but("jti", json!("x".repeat(257))))).await, "a long one");
    let once = tokens.verify(&key.token("EdDSA", &but("jti", json!("1")))).await.unwrap().once.unwrap();
    assert_eq!((once.hash.len(), once.expires_at.unix_timestamp()), (32, BEGIN + 660));
    let mut long = but("jti", json!("1"));
    long["exp"] = json!(BEGIN + 24 * 60 * 60 + 1);
    refused(tokens.verify(&key.token("EdDSA", &long)).await, "it would have to be remembered for ever");
}

#[tokio::test]
async fn an_issuer_that_is_not_configured_is_nobody() {
    let key = SigningKey::ed25519("a");
    let provider = Provider::publishing(&[&key]);
    let tokens = provider.trusted(&json!({}));
    refused(tokens.verify(&key.token("EdDSA", &but("iss", json!("https://other.example.com")))).await, "not configured");
    assert_eq!(provider.fetched(), 0, "and nobody is asked");
}
