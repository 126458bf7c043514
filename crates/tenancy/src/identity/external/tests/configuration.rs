//! Which configurations are taken.

use serde_json::{Value, json};

use super::{
    super::{Providers, providers::is_trusted_address},
    SECRET,
};

fn mistakes(providers: &Value) -> Vec<String> {
    let read = |file: &str| match file {
        "short" => Ok("short\n".to_owned()),
        "secret" => Ok(format!("{SECRET}\n")),
        other => Err(format!("{other}: no such file")),
    };
    Providers::from_json(&json!({ "providers": providers }).to_string(), &read).err().unwrap_or_default()
}

fn oidc(changes: &Value) -> Value {
    let mut provider =
        json!({ "name": "one", "issuer": "https://one.example.com", "audience": "crm", "kind": "oidc", "algorithms": ["RS256"] });
    provider.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    provider.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    provider
}

fn gotrue(changes: &Value) -> Value {
    let mut provider = oidc(
        &json!({ "name": "two", "issuer": "https://two.example.com/auth/v1", "kind": "gotrue", "algorithms": null, "secret_file": "secret" }),
    );
    provider.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    provider.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    provider
}

#[test]
fn what_is_right_is_taken() {
    for right in [
        json!([]),
        json!([oidc(&json!({})), gotrue(&json!({}))]),
        json!([oidc(&json!({ "issuer": "http://localhost:9000/realms/crm", "jwks_uri": "http://127.0.0.1:9000/keys" }))]),
        json!([oidc(&json!({ "clock_skew_seconds": 0, "second_factor": "never", "one_time": true, "authorized_party": "web" }))]),
        json!([oidc(
            &json!({ "clock_skew_seconds": 300, "second_factor": "trusted_when_amr_mfa", "algorithms": ["PS512", "ES384", "EdDSA"] })
        )]),
    ] {
        assert_eq!(mistakes(&right), Vec::<String>::new(), "{right}");
    }
}

#[test]
fn every_mistake_is_named_with_its_provider() {
    for (wrong, said) in [
        (oidc(&json!({ "name": "" })), "provider 1: name"),
        (oidc(&json!({ "name": "With Space" })), "provider 1: name"),
        (oidc(&json!({ "issuer": "http://one.example.com" })), "provider 1: issuer"),
        (oidc(&json!({ "issuer": "https://one.example.com?tenant=1" })), "provider 1: issuer"),
        (oidc(&json!({ "audience": "" })), "provider 1: audience"),
        (oidc(&json!({ "audience": null })), "missing field `audience`"),
        (oidc(&json!({ "kind": "saml" })), "provider 1: kind"),
        (oidc(&json!({ "algorithms": null })), "provider 1: algorithms"),
        (oidc(&json!({ "algorithms": [] })), "provider 1: algorithms"),
        (oidc(&json!({ "algorithms": ["RS256", "HS256"] })), "provider 1: algorithms"),
        (oidc(&json!({ "algorithms": ["none"] })), "provider 1: algorithms"),
        (oidc(&json!({ "jwks_uri": "http://one.example.com/keys" })), "provider 1: jwks_uri"),
        (oidc(&json!({ "secret_file": "secret" })), "provider 1: secret_file: only"),
        (oidc(&json!({ "clock_skew_seconds": 301 })), "provider 1: clock_skew_seconds"),
        (oidc(&json!({ "clock_skew_seconds": -1 })), "provider 1: clock_skew_seconds"),
        (oidc(&json!({ "second_factor": "always" })), "always"),
        (oidc(&json!({ "one_time": "yes" })), "provider 1"),
        (oidc(&json!({ "colour": "red" })), "unknown field `colour`"),
        (gotrue(&json!({ "secret_file": null })), "provider 1: secret_file: is required"),
        (gotrue(&json!({ "secret_file": "short" })), "less than 32 bytes"),
        (gotrue(&json!({ "secret_file": "nowhere" })), "nowhere: no such file"),
        (gotrue(&json!({ "algorithms": ["RS256"] })), "provider 1: algorithms: only"),
        (gotrue(&json!({ "jwks_uri": "https://two.example.com/keys" })), "provider 1: jwks_uri: only"),
    ] {
        let found = mistakes(&json!([wrong]));
        assert!(found.iter().any(|mistake| mistake.contains(said)), "{said}: {found:?}");
        assert!(!found.concat().contains(SECRET), "no secret is told");
    }
    let found = mistakes(&json!([
        oidc(&json!({ "name": "", "audience": "" })),
        gotrue(&json!({ "kind": "x", "clock_skew_seconds": 999 }))
    ]));
    assert_eq!(found.len(), 4, "all at once: {found:?}");
    let twice = mistakes(&json!([oidc(&json!({})), oidc(&json!({}))]));
    assert_eq!(twice.len(), 2, "a name and an issuer are there once: {twice:?}");
    assert!(
        !format!(
            "{:?}",
            Providers::from_json(&json!({ "providers": [gotrue(&json!({}))] }).to_string(), &|_| Ok(SECRET.into())).unwrap()
        )
        .contains(SECRET)
    );
    for text in ["", "[]", "{}", "{\"providers\": 1}"] {
        assert!(Providers::from_json(text, &|_| Err(String::new())).is_err(), "{text}");
    }
}

#[test]
fn plain_http_does_not_leave_this_machine() {
    for trusted in [
        "https://a.example.com",
        "https://a.example.com:8443/x?y#z",
        "http://localhost",
        "http://127.0.0.1:1/x",
        "http://[::1]:1/x",
        "http://[::1]",
    ] {
        assert!(is_trusted_address(trusted), "{trusted}");
    }
    for not in [
        "",
        "a.example.com",
        "ftp://a.example.com",
        "http://a.example.com",
        "http://localhost.example.com",
        "http://localhost@a.example.com",
        "http://localhost:1@a.example.com",
        "http://127.0.0.1.example.com",
        "https://",
        "https:///x",
        "https://a@b.example.com",
        "http:// localhost",
        "https://a.example.com\\@b",
        "https://a.example.com/é",
        "http://localhost:a.example.com",
    ] {
        assert!(!is_trusted_address(not), "{not}");
    }
}
