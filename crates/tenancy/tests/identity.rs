//! Who may come in, for how long, and that it ends at once when it ends.

use std::time::Duration;

use crm_kernel::{Actor, Context, OrganizationId, Role, SessionId};
use crm_tenancy::{
    Db, Identity, PgIdentity,
    identity::{Credentials, IdentityOptions, Origin, Tokens},
    sealing::SealingKeys,
    token::{Claims, KeyRing, Policy, Proof, TokenKey, Use},
};
use crm_testkit::{
    PASSWORD, Tenant, TestDatabase,
    refusals::{forbidden, not_found, unauthenticated},
    to,
};

struct Door {
    database: TestDatabase,
    tenant: Tenant,
    db: Db,
    keys: KeyRing,
    identity: PgIdentity,
}

async fn set_up() -> Door {
    let database = TestDatabase::create().await;
    let (tenant, db, key) = (database.tenant("Acme").await, database.db(), TokenKey::generate());
    let pem = key.to_pem().expect("a key has a PEM form");
    let same = TokenKey::from_pem(&pem).expect("a key comes back from its PEM form");
    let identity = PgIdentity::new(db.clone(), same, SealingKeys::generate().expect("a key"), IdentityOptions::default());
    Door { database, tenant, db, keys: key.into(), identity }
}

fn credentials(email: impl Into<String>, password: &str) -> Credentials {
    Credentials { email: email.into(), password: password.into(), ..Credentials::default() }
}

impl Door {
    async fn login(&self, who: &str) -> Tokens {
        let credentials = credentials(self.tenant.email(who), PASSWORD);
        self.identity.login(&credentials, &Origin::default()).await.expect("the right password opens")
    }

    /// The context that the gateway makes of an access token.
    fn context(&self, tokens: &Tokens) -> Context {
        let policy = Policy::new("allow if true").expect("a policy");
        let wanted = Use { operation: "test", entity: "test", access: "read", resource: None };
        let claims = policy.decide(&tokens.access_token, &self.keys, &wanted).expect("our own token is valid").claims;
        let Proof::Session(session_id) = claims.proof else { unreachable!("a login makes a session") };
        let session_id: Option<SessionId> = Some(session_id);
        Context { session_id, ..Context::new(claims.organization_id, claims.user_id, claims.role) }
    }

    async fn count(&self, query: &str) -> i64 {
        self.database.number(query).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_password_opens_and_the_token_says_who() {
    let door = set_up().await;
    let tokens = door.login("member").await;
    let member = &door.tenant.member;
    assert_eq!((tokens.user_id, tokens.organization_id, tokens.role), (member.user_id, member.organization_id, Role::Member));
    let context = door.context(&tokens);
    assert_eq!((context.user_id, context.organization_id, context.role), (member.user_id, member.organization_id, Role::Member));
    assert_eq!(door.db.begin(&context).await.expect("the session is alive").role(), Role::Member);
    let me = door.identity.me(&context).await.expect("who am I");
    assert_eq!((me.user.email, me.role, me.organizations.len()), (door.tenant.email("member"), Role::Member, 1));

    let shouted = credentials(format!("  {} ", door.tenant.email("member").to_uppercase()), PASSWORD);
    door.identity.login(&shouted, &Origin::default()).await.expect("the case of an address does not matter");
    let stored = "SELECT count(*) FROM identity.refresh_tokens WHERE encode(token_hash, 'escape') LIKE '%' || $$TOKEN$$ || '%'";
    assert_eq!(door.count(&stored.replace("TOKEN", &tokens.refresh_token)).await, 0, "a refresh token is stored as its hash");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_an_unknown_address_and_a_foreign_organisation_are_one_answer() {
    let door = set_up().await;
    let stranger = door.database.tenant("Umbrella").await;
    let login = async |credentials: Credentials| {
        let refused = door.identity.login(&credentials, &Origin::default()).await;
        format!("{:?}", unauthenticated(refused, "who cannot prove it does not come in"))
    };
    let wrong = login(credentials(door.tenant.email("member"), "wrong")).await;
    assert_eq!(
        login(credentials("nobody@example.com", PASSWORD)).await,
        wrong,
        "an unknown address is answered like a wrong password"
    );
    let elsewhere =
        Credentials { organization: Some(stranger.slug.clone()), ..credentials(door.tenant.email("member"), PASSWORD) };
    assert_eq!(login(elsewhere).await, wrong, "another's organisation is answered like a wrong password");
    let nowhere =
        Credentials { organization: Some("no-such-place".into()), ..credentials(door.tenant.email("member"), PASSWORD) };
    assert_eq!(login(nowhere).await, wrong, "an unknown organisation is answered like a wrong password");

    door.database.execute("UPDATE memberships SET status = 'suspended' WHERE role = 'viewer'").await;
    assert_eq!(login(credentials(door.tenant.email("viewer"), PASSWORD)).await, wrong, "a suspended member is answered likewise");
    door.database.execute("UPDATE users SET deleted_at = now() WHERE email LIKE 'admin@%'").await;
    assert_eq!(login(credentials(door.tenant.email("admin"), PASSWORD)).await, wrong, "a deleted person is answered likewise");
    assert_eq!(door.count("SELECT count(*) FROM identity.sessions").await, 0, "no session was started");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_works_once_and_using_it_again_ends_the_session() {
    let door = set_up().await;
    let first = door.login("member").await;
    let context = door.context(&first);
    let second = door.identity.refresh(&first.refresh_token).await.expect("a fresh token is exchanged");
    assert_eq!(door.context(&second).session_id, context.session_id, "a refresh stays in its session");
    door.db.begin(&context).await.expect("the older access token is of the same session");

    unauthenticated(door.identity.refresh(&first.refresh_token).await, "a used token is refused");
    unauthenticated(
        door.identity.refresh(&second.refresh_token).await,
        "and its whole session has ended, for one of the two holders is a thief",
    );
    unauthenticated(door.db.begin(&context).await, "access tokens of the session have ended too");
    assert_eq!(door.count("SELECT count(*) FROM identity.sessions WHERE ended_reason = 'refresh_reused'").await, 1);
    unauthenticated(door.identity.refresh("no such token").await, "an unknown token is refused");
    door.login("member").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_refreshes_at_once_one_wins() {
    let door = set_up().await;
    for _ in 0..5 {
        let tokens = door.login("member").await;
        let (one, other) =
            tokio::join!(door.identity.refresh(&tokens.refresh_token), door.identity.refresh(&tokens.refresh_token));
        assert!(one.is_ok() != other.is_ok(), "exactly one of two exchanges of a token may win: {one:?} {other:?}");
        unauthenticated(door.db.begin(&door.context(&tokens)).await, "the other counts as reuse and ends the session");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_and_refresh_tokens_expire() {
    let door = set_up().await;
    let tokens = door.login("member").await;
    door.database.execute("UPDATE identity.refresh_tokens SET expires_at = now()").await;
    unauthenticated(door.identity.refresh(&tokens.refresh_token).await, "an expired refresh token is refused");
    door.db.begin(&door.context(&tokens)).await.expect("its session lives on");
    door.database.execute("UPDATE identity.sessions SET expires_at = now()").await;
    unauthenticated(door.db.begin(&door.context(&tokens)).await, "an expired session is refused");

    let claims = Claims {
        user_id: tokens.user_id,
        organization_id: tokens.organization_id,
        role: Role::Owner,
        actor: Actor::User,
        proof: Proof::Session(SessionId::generate()),
    };
    let policy = Policy::new("allow if true").expect("a policy");
    let wanted = Use { operation: "test", entity: "test", access: "read", resource: None };
    let expired = door.keys.issue(&claims, Duration::ZERO).expect("a token");
    unauthenticated(policy.decide(&expired, &door.keys, &wanted), "an expired access token is refused");
    let forged = KeyRing::from(TokenKey::generate()).issue(&claims, Duration::from_secs(60)).expect("a token");
    unauthenticated(policy.decide(&forged, &door.keys, &wanted), "a token of another key is refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_takes_effect_at_once() {
    let door = set_up().await;
    let (tokens, other) = (door.login("member").await, door.login("member").await);
    let context = door.context(&tokens);
    let open = door.db.begin(&context).await.expect("the session is alive");
    door.identity.logout(&context).await.expect("a session can be ended");
    drop(open);
    unauthenticated(door.db.begin(&context).await, "the access token has ended with the session");
    unauthenticated(door.identity.refresh(&tokens.refresh_token).await, "the refresh token has ended with the session");
    door.db.begin(&door.context(&other)).await.expect("other sessions of the person live on");
    forbidden(door.identity.logout(&door.tenant.member).await, "without a session there is nothing to end");

    let stolen = Context { session_id: door.context(&other).session_id, ..door.tenant.colleague.clone() };
    unauthenticated(door.db.begin(&stolen).await, "a session is its person's alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_ends_a_session_of_somebody_else_whatever_the_gateway_thinks() {
    let door = set_up().await;
    let (owner, member) = (door.login("owner").await, door.login("member").await);
    let mixed = Context { session_id: door.context(&owner).session_id, ..door.context(&member) };
    door.identity.logout(&mixed).await.expect("there is nothing to end");
    door.db.begin(&door.context(&owner)).await.expect("the other's session goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn switching_needs_a_membership_and_gives_a_session_of_its_own() {
    let door = set_up().await;
    let (second, foreign) = (door.database.tenant("Second").await, door.database.tenant("Umbrella").await);
    door.database.add_member(second.organization_id, &door.tenant.email("member"), Role::Viewer).await;
    let tokens = door.login("member").await;
    let context = door.context(&tokens);
    let never = door.identity.switch(&context, &to(&tokens, OrganizationId::generate()), &Origin::default()).await;
    let never = not_found(never, "an unknown organisation is not there");
    let theirs = not_found(
        door.identity.switch(&context, &to(&tokens, foreign.organization_id), &Origin::default()).await,
        "a foreign organisation is not there",
    );
    assert_eq!(format!("{theirs:?}"), format!("{never:?}"), "a foreign organisation is refused exactly like an unknown one");
    let switched = door
        .identity
        .switch(&context, &to(&tokens, second.organization_id), &Origin::default())
        .await
        .expect("a member may switch");
    assert_eq!(
        (switched.organization_id, switched.role, switched.user_id),
        (second.organization_id, Role::Viewer, tokens.user_id)
    );
    let there = door.context(&switched);
    assert_ne!(there.session_id, context.session_id, "another organisation is another session");
    assert_eq!(door.db.begin(&there).await.expect("the new session is alive").role(), Role::Viewer);
    let mixed = Context { organization_id: second.organization_id, ..context.clone() };
    unauthenticated(door.db.begin(&mixed).await, "a session opens its own organisation alone");

    unauthenticated(door.db.begin(&context).await, "the first session has ended with that");
    door.identity.logout(&context).await.expect("an access token of it still says which login is meant");
    unauthenticated(door.db.begin(&there).await, "it is one login");
    unauthenticated(
        door.identity.switch(&there, &to(&switched, second.organization_id), &Origin::default()).await,
        "an ended session cannot make another",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_removed_is_out_with_the_next_request() {
    let door = set_up().await;
    for change in [
        "UPDATE memberships SET status = 'removed' WHERE user_id = '{user}'",
        "UPDATE memberships SET status = 'suspended' WHERE user_id = '{user}'",
        "UPDATE users SET deleted_at = now() WHERE id = '{user}'",
        "UPDATE organizations SET deleted_at = now() WHERE id = '{organization}'",
    ] {
        let tenant = door.database.tenant(&format!("Acme {}", SessionId::generate())).await;
        let login = credentials(tenant.email("member"), PASSWORD);
        let tokens = door.identity.login(&login, &Origin::default()).await.expect("the right password opens");
        let context = door.context(&tokens);
        door.db.begin(&context).await.expect("the member is in");
        let user = change.replace("{user}", &context.user_id.to_string());
        door.database.execute(&user.replace("{organization}", &context.organization_id.to_string())).await;
        unauthenticated(door.db.begin(&context).await, &format!("after {change} the member is out"));
        unauthenticated(door.db.begin(&tenant.member).await, &format!("after {change} it is out without a session too"));
        unauthenticated(door.identity.refresh(&tokens.refresh_token).await, &format!("after {change} there is no refresh"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_is_what_memberships_says_now() {
    let door = set_up().await;
    let context = door.context(&door.login("admin").await);
    for role in [Role::Viewer, Role::Member, Role::Owner] {
        door.database.execute(&format!("UPDATE memberships SET role = '{role}' WHERE user_id = '{}'", context.user_id)).await;
        let tx = door.db.begin(&context).await.expect("a member comes in");
        assert_eq!((tx.role(), context.role), (role, Role::Admin), "the role in the token is a hint, memberships is the truth");
    }
    let nobody = Context { user_id: door.database.tenant("Umbrella").await.owner.user_id, ..context };
    unauthenticated(door.db.begin(&nobody).await, "a person of another organisation is not a member here");
}
