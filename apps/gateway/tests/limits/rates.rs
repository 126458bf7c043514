//! Rates: by address, by caller, by organisation; what answers say of them.

use serde_json::json;

use crate::{
    Scene,
    support::{Answer, log_in},
};

/// What the answer says remains in this bucket.
fn remains(answer: &Answer, bucket: &str) -> u64 {
    let header = answer.header("ratelimit").to_owned();
    let item = header.split(", ").find(|item| item.starts_with(&format!("\"{bucket}\""))).unwrap_or_else(|| panic!("{header}"));
    item.split(';').find_map(|part| part.strip_prefix("r=")).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_and_an_organisation_have_so_much_and_no_more_and_others_notice_nothing() {
    let limits = [("CRM_RATE_LIMIT_CALLER", "5/3600"), ("CRM_RATE_LIMIT_ORGANIZATION", "9/3600")];
    let scene = Scene::start(&limits).await;
    let nobody = scene.gateway.nobody();
    let other = scene.database.tenant("Other").await;
    let (member, owner) =
        (log_in(&nobody, &scene.tenant.email("member")).await, log_in(&nobody, &scene.tenant.email("owner")).await);
    let stranger = log_in(&nobody, &other.email("member")).await;

    for left in [4, 3, 2, 1] {
        let answer = member.get("companies").await.expect(200);
        assert_eq!((remains(&answer, "caller"), remains(&answer, "organization")), (left, left + 4));
        let policy = "\"caller\";q=5;w=3600, \"organization\";q=9;w=3600";
        assert_eq!(answer.header("ratelimit-policy"), policy);
    }
    // A request that is refused for another reason is a request.
    assert_eq!(remains(&member.post("companies", &json!({ "nonsense": 1 })).await.expect(400), "caller"), 0);
    let refused = member.get("companies").await.problem(429, "limited");
    assert_eq!((remains(&refused, "caller"), remains(&refused, "organization")), (0, 4));
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=720).contains(&seconds), "one of five in an hour is free again after 12 minutes: {seconds}");

    // A person's own ways in count for the session that asks; programs count together; all else belongs to the organisation.
    let body = json!({ "name": "Robot", "expires_at": time_in_an_hour(), "password": crm_testkit::PASSWORD });
    let token = owner.post("/api/v1/auth/tokens", &body).await.expect(201);
    assert_eq!((remains(&token, "caller"), token.header("ratelimit").contains("organization")), (4, false));
    let robot = crate::support::Caller { token: Some(token.body["token"].as_str().unwrap().to_owned()), ..owner.clone() };
    let answer = robot.get("companies").await.expect(200);
    assert_eq!((remains(&answer, "caller"), remains(&answer, "organization")), (4, 3));
    for _ in 0..3 {
        robot.get("companies").await.expect(200);
    }
    let refused = robot.get("companies").await.problem(429, "limited");
    assert_eq!((remains(&refused, "caller"), remains(&refused, "organization")), (1, 0), "the organisation has no more");
    owner.get("companies").await.problem(429, "limited");
    // Whoever has used up all of it keeps nobody from ending sessions and tokens.
    let robots = owner.get("/api/v1/auth/tokens").await.expect(200).data()[0]["id"].as_str().unwrap().to_owned();
    let robots = format!("/api/v1/auth/tokens/{robots}");
    owner.delete(&robots).await.expect(204);
    member.get("/api/v1/auth/sessions").await.expect(200);

    assert_eq!(remains(&stranger.get("companies").await.expect(200), "organization"), 8, "another one notices nothing");
    for _ in 0..20 {
        nobody.get("/healthz").await.expect(200);
        nobody.get("/readyz").await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_put_out_takes_nothing_from_the_organisation() {
    let scene = Scene::start(&[("CRM_RATE_LIMIT_CALLER", "100/3600"), ("CRM_RATE_LIMIT_ORGANIZATION", "30/3600")]).await;
    let nobody = scene.gateway.nobody();
    let (owner, leaving) =
        (log_in(&nobody, &scene.tenant.email("owner")).await, log_in(&nobody, &scene.tenant.email("member")).await);
    let mut programs = Vec::new();
    for name in ["One", "Two"] {
        let body = json!({ "name": name, "expires_at": time_in_an_hour(), "password": crm_testkit::PASSWORD });
        let token = leaving.post("/api/v1/auth/tokens", &body).await.expect(201).body;
        programs.push(crate::support::Caller { token: Some(token["token"].as_str().unwrap().to_owned()), ..leaving.clone() });
    }
    let member = format!("/api/v1/organizations/current/members/{}", scene.tenant.member.user_id);
    let removed = owner.delete(&member).await.expect(200);
    let left = remains(&removed, "organization");
    // Also where the token alone decides and no record is asked for.
    for _ in 0..40 {
        for program in &programs {
            program.get("companies").await.problem(401, "unauthenticated");
            program.get("/api/v1/auth/sessions").await.problem(401, "unauthenticated");
        }
    }
    // What was found to be in lately counts for some seconds, and comes in no more.
    leaving.get("activities/fields").await.problem(401, "unauthenticated");
    let now = remains(&owner.get("companies").await.expect(200), "organization");
    assert!(now + 2 >= left, "80 requests took nothing: {left} before, {now} now");
}

/// Far enough in the future for a token.
fn time_in_an_hour() -> String {
    let moment = time::OffsetDateTime::now_utc() + time::Duration::hours(1);
    moment.format(&time::format_description::well_known::Rfc3339).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_so_much_whoever_calls_from_it() {
    let scene = Scene::start(&[("CRM_RATE_LIMIT_ADDRESS", "3/3600")]).await;
    let nobody = scene.gateway.nobody();
    let from = async |address: &str, path: &str| nobody.call("GET", path).header("x-forwarded-for", address).send().await;
    for left in [2, 1, 0] {
        let answer = from("192.0.2.1", "companies").await.problem(401, "unauthenticated");
        assert_eq!(remains(&answer, "address"), left, "a bad token is a request, too");
    }
    let refused = from("192.0.2.1", "/api/v1/openapi.json").await.problem(429, "limited");
    assert_eq!(refused.header("ratelimit-policy"), "\"address\";q=3;w=3600");
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(refused.header("x-content-type-options"), "nosniff", "an answer like every other");
    from("192.0.2.2", "companies").await.problem(401, "unauthenticated");
    from("192.0.2.1", "/healthz").await.expect(200);
    from("192.0.2.1", "/readyz").await.expect(200);

    for number in 1..=3 {
        from(&format!("2001:db8:1:2::{number}"), "companies").await.problem(401, "unauthenticated");
    }
    from("2001:db8:1:2:ffff::1", "companies").await.problem(429, "limited");
    from("2001:db8:1:3::1", "companies").await.problem(401, "unauthenticated");
}
