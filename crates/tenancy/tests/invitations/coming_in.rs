//! Looking at an invitation and accepting it.

use std::time::{Duration, SystemTime};

use crm_kernel::{Context, Error, Role};
use crm_tenancy::identity::{
    Credentials, Identity, Origin,
    invitations::{AcceptRequest, Invitations, JoinRequest},
};
use crm_testkit::{
    PASSWORD,
    refusals::{conflict, forbidden, invalid, not_found, unauthenticated},
};
use futures_util::future::join_all;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

use crate::{PROVIDER_SECRET, Stage, accepts, asks, newcomer, set_up};

pub(crate) fn external(subject: &str) -> String {
    external_at("aal1", subject)
}

/// With or without a second factor, as the provider says.
pub(crate) fn external_at(level: &str, subject: &str) -> String {
    let exp = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() + Duration::from_secs(600);
    // The address in it is somebody's, and means nothing.
    let claims = json!({ "iss": "https://id.example.com", "aud": "crm", "sub": subject, "exp": exp.as_secs(), "aal": level, "email": "owner@acme.example.com" });
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(PROVIDER_SECRET.as_bytes())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_person_comes_in_with_a_name_and_a_password() {
    let stage = set_up().await;
    let (made, token) = stage.invite("new@example.com", Role::Member).await;
    let look = stage.look(&asks(&token)).await.unwrap();
    assert_eq!((look.organization_name.as_str(), look.email.as_str(), look.role), ("Acme", "new@example.com", Role::Member));
    assert_eq!((look.invited_by.as_str(), look.has_account, look.chooses_password), ("Owner of Acme", false, true));
    invalid(stage.accept(&accepts(&token)).await, "/full_name", "required", "a new person has a name");
    invalid(
        stage.accept(&AcceptRequest { full_name: Some("New".into()), ..accepts(&token) }).await,
        "/password",
        "required",
        "and a password",
    );
    let blank = AcceptRequest { full_name: Some(" ".into()), ..newcomer(&token) };
    invalid(stage.accept(&blank).await, "/full_name", "required", "a name can be read");

    let tokens = stage.accept(&newcomer(&token)).await.unwrap();
    assert_eq!((tokens.organization_id, tokens.role), (stage.tenant.organization_id, Role::Member));
    let context = stage.context(&tokens).await;
    let me = stage.identity.me(&context).await.unwrap();
    assert_eq!((me.user.email.as_str(), me.user.full_name.as_str()), ("new@example.com", "New Person"));
    stage.session("new@example.com").await;
    let done = stage.invitations.get(&stage.tenant.owner, made.id).await.unwrap();
    assert_eq!((done.status.as_str(), done.accepted_by_id), ("accepted", Some(tokens.user_id)));

    let by = format!("by {}", tokens.user_id);
    let log = stage.logged(stage.tenant.organization_id, "invitation").await;
    assert_eq!(log[1], format!("status_changed {by}"));
    assert_eq!(stage.logged(stage.tenant.organization_id, "member").await.last().unwrap(), &format!("created {by}"));
    assert_eq!(stage.logged(stage.tenant.organization_id, "credential").await, [format!("created {by}")]);
    assert_eq!(stage.count("SELECT count(*) FROM identity.sessions WHERE method = 'invitation'").await, 1);

    not_found(stage.look(&asks(&token)).await, "it works once");
    not_found(stage.accept(&newcomer(&token)).await, "it works once");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_dead_link_has_one_answer() {
    let stage = set_up().await;
    // An organisation has an active owner, so that the one who invites can be suspended.
    stage.database.add_member(stage.tenant.organization_id, "second@example.com", Role::Owner).await;
    let answer = async |token: &str| {
        let look = not_found(stage.look(&asks(token)).await, "dead").to_string();
        let accept = not_found(stage.accept(&newcomer(token)).await, "dead").to_string();
        let join = not_found(stage.join(&stage.tenant.email("viewer"), token).await, "dead").to_string();
        assert_eq!((&look, &look), (&accept, &join));
        look
    };
    let never = answer("no token at all").await;
    let (made, token) = stage.invite("new@example.com", Role::Member).await;
    let (id, secret) = token.split_once('.').unwrap();
    let other = format!("{id}.{}", secret.chars().rev().collect::<String>());
    assert_eq!(answer(&other).await, never, "a wrong secret");
    for (death, life) in [
        (
            "UPDATE identity.invitations SET expires_at = now() - interval '1 s'",
            "UPDATE identity.invitations SET expires_at = now() + interval '1 day'",
        ),
        ("UPDATE organizations SET deleted_at = now()", "UPDATE organizations SET deleted_at = NULL"),
        (
            "UPDATE memberships SET status = 'suspended' WHERE user_id = 'OWNER'",
            "UPDATE memberships SET status = 'active' WHERE user_id = 'OWNER'",
        ),
        (
            "UPDATE memberships SET role = 'member' WHERE user_id = 'OWNER'",
            "UPDATE memberships SET role = 'owner' WHERE user_id = 'OWNER'",
        ),
        ("UPDATE users SET deleted_at = now() WHERE id = 'OWNER'", "UPDATE users SET deleted_at = NULL"),
    ] {
        let owner = stage.tenant.owner.user_id.to_string();
        stage.database.execute(&death.replace("OWNER", &owner)).await;
        let look = not_found(stage.look(&asks(&token)).await, death).to_string();
        assert_eq!((look, not_found(stage.accept(&newcomer(&token)).await, death).to_string()), (never.clone(), never.clone()));
        stage.database.execute(&life.replace("OWNER", &owner)).await;
        stage.look(&asks(&token)).await.expect("alive again");
    }
    stage.invitations.revoke(&stage.tenant.owner, made.id).await.unwrap();
    assert_eq!(answer(&token).await, never, "revoked");
    assert_eq!(stage.count("SELECT count(*) FROM users WHERE email = 'new@example.com'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_of_a_removed_admin_is_sent_again_by_another() {
    let stage = set_up().await;
    let new = crate::invitation("new@example.com", Role::Member);
    let made = stage.invitations.create(&stage.tenant.admin, &new).await.unwrap();
    let token = stage.token(made.id).await;
    stage.database.execute("UPDATE memberships SET status = 'removed' WHERE role = 'admin'").await;
    assert_eq!(stage.status(made.id).await, "expired", "nobody answers for it any more");
    not_found(stage.accept(&newcomer(&token)).await, "nobody answers for it any more");
    stage.invitations.resend(&stage.tenant.owner, made.id).await.unwrap();
    stage.accept(&newcomer(&stage.token(made.id).await)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_an_account_proves_to_be_its_owner() {
    let stage = set_up().await;
    let elsewhere = stage.database.tenant("Umbrella").await;
    let (_, token) = stage.invite(&elsewhere.email("member"), Role::Admin).await;
    let look = stage.look(&asks(&token)).await.unwrap();
    assert_eq!((look.has_account, look.chooses_password), (true, false));
    let said = |error: Error| error.to_string();
    let without = said(unauthenticated(stage.accept(&accepts(&token)).await, "no proof"));
    let wrong = AcceptRequest { password: Some("something else".into()), ..newcomer(&token) };
    assert_eq!(said(unauthenticated(stage.accept(&wrong).await, "a wrong password")), without);
    let stranger = AcceptRequest { external_token: Some(external("somebody")), ..accepts(&token) };
    assert_eq!(said(unauthenticated(stage.accept(&stranger).await, "an identity of nobody")), without);
    let both = AcceptRequest { password: Some(PASSWORD.into()), ..stranger };
    invalid(stage.accept(&both).await, "/external_token", "exclusive", "one proof");
    assert_eq!(stage.count("SELECT count(*) FROM memberships WHERE role = 'admin'").await, 2, "nobody came in");

    let tokens = stage.accept(&AcceptRequest { password: Some(PASSWORD.into()), ..accepts(&token) }).await.unwrap();
    assert_eq!(
        (tokens.user_id, tokens.organization_id, tokens.role),
        (elsewhere.member.user_id, stage.tenant.organization_id, Role::Admin)
    );
    let me = stage.identity.me(&stage.context(&tokens).await).await.unwrap();
    assert_eq!(me.organizations.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_was_changed_meanwhile_opens_nothing() {
    let stage = set_up().await;
    let elsewhere = stage.database.tenant("Umbrella").await;
    let email = elsewhere.email("member");
    let (made, token) = stage.invite(&email, Role::Admin).await;
    let hash = crm_tenancy::passwords::hash("another passphrase".into()).await.unwrap();
    let change =
        format!("UPDATE identity.credentials SET password_hash = '{hash}' WHERE user_id = '{}'", elsewhere.member.user_id);
    let request = AcceptRequest { password: Some(PASSWORD.into()), ..accepts(&token) };
    let held = stage.database.hold(&change).await;
    let (raced, ()) = tokio::join!(stage.accept(&request), held.commit_under_a_waiter());
    unauthenticated(raced, "the password is no longer the one that was compared");

    let link = format!(
        "INSERT INTO identity.external_identities (user_id, provider, issuer, subject)
         VALUES ('{}', 'test', 'https://id.example.com', 'somebody')",
        elsewhere.member.user_id
    );
    stage.database.execute(&link).await;
    let request = AcceptRequest { external_token: Some(external("somebody")), ..accepts(&token) };
    let unlink = "DELETE FROM identity.external_identities WHERE subject = 'somebody'";
    let held = stage.database.hold(unlink).await;
    let (raced, ()) = tokio::join!(stage.accept(&request), held.commit_under_a_waiter());
    unauthenticated(raced, "the identity is no longer the person's");
    assert_eq!(stage.status(made.id).await, "pending");
    assert_eq!(stage.count("SELECT count(*) FROM memberships WHERE role = 'admin'").await, 2, "nobody came in");
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_not_guessed_with_a_link() {
    let stage = set_up().await;
    let elsewhere = stage.database.tenant("Umbrella").await;
    let (_, token) = stage.invite(&elsewhere.email("member"), Role::Viewer).await;
    let tries = |password: &str| AcceptRequest { password: Some(password.into()), ..accepts(&token) };
    for _ in 0..10 {
        unauthenticated(stage.accept(&tries("something else")).await, "a wrong password");
    }
    unauthenticated(
        stage.accept(&tries(PASSWORD)).await,
        "after ten wrong ones a link takes no password, not even the right one",
    );
    stage.join(&elsewhere.email("member"), &token).await.expect("but a session of the person");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_is_judged() {
    let stage = set_up().await;
    let (_, token) = stage.invite("somebody.new@example.com", Role::Member).await;
    let with = |password: &str| AcceptRequest { password: Some(password.into()), ..newcomer(&token) };
    invalid(stage.accept(&with("short")).await, "/password", "length", "not short");
    invalid(stage.accept(&with("1234567890")).await, "/password", "common", "not everybody's");
    invalid(stage.accept(&with("somebody.new@example.com")).await, "/password", "personal", "not the address");
    stage.accept(&newcomer(&token)).await.expect("a refusal uses nothing up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_the_person_joins_and_anybody_elses_does_not() {
    let stage = set_up().await;
    let elsewhere = stage.database.tenant("Umbrella").await;
    let (_, token) = stage.invite(&elsewhere.email("member"), Role::Viewer).await;
    let join = async |email: &str| stage.join(email, &token).await;
    forbidden(join(&elsewhere.email("owner")).await, "the invitation is for an address");
    forbidden(join(&stage.tenant.email("viewer")).await, "the invitation is for an address");
    let tokens = join(&elsewhere.email("member")).await.unwrap();
    assert_eq!(
        (tokens.user_id, tokens.organization_id, tokens.role),
        (elsewhere.member.user_id, stage.tenant.organization_id, Role::Viewer)
    );
    stage.identity.me(&stage.context(&tokens).await).await.unwrap();
    let by = format!("created by {}", elsewhere.member.user_id);
    assert_eq!(stage.logged(stage.tenant.organization_id, "member").await.last(), Some(&by));
    not_found(join(&elsewhere.email("member")).await, "it works once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_joins_moves_the_login_and_a_refused_refresh_token_joins_nothing() {
    let stage = set_up().await;
    let elsewhere = stage.database.tenant("Umbrella").await;
    let (made, link) = stage.invite(&elsewhere.email("member"), Role::Viewer).await;
    let login = async |who: &str| {
        let credentials = Credentials { email: elsewhere.email(who), password: PASSWORD.into(), ..Credentials::default() };
        let tokens = stage.identity.login(&credentials, &Origin::default()).await.unwrap();
        let context = stage.context(&tokens).await;
        (tokens.refresh_token, context)
    };
    let join = async |context: &Context, refresh_token: &str| {
        let request = JoinRequest { token: link.clone(), refresh_token: refresh_token.into() };
        stage.invitations.join(context, &request, &Origin::default()).await
    };
    let ((token, context), (another, _), (foreign, _)) = (login("member").await, login("member").await, login("owner").await);
    for wrong in ["", "guess", &another, &foreign] {
        unauthenticated(join(&context, wrong).await, "not of this session");
    }
    let refreshed = stage.identity.refresh(&token).await.unwrap();
    unauthenticated(join(&context, &token).await, "it was spent");
    unauthenticated(stage.identity.refresh(&refreshed.refresh_token).await, "and shown again it ended the login");
    unauthenticated(join(&context, &refreshed.refresh_token).await, "which joins nothing any more");
    let members = format!(
        "SELECT count(*) FROM memberships WHERE user_id = '{}' AND organization_id = '{}'",
        context.user_id, stage.tenant.organization_id
    );
    assert_eq!((stage.count(&members).await, stage.status(made.id).await.as_str()), (0, "pending"), "nothing has happened");

    let (token, context) = login("member").await;
    let joined = join(&context, &token).await.expect("a refusal has used nothing up");
    assert_eq!((stage.count(&members).await, stage.status(made.id).await.as_str()), (1, "accepted"));
    unauthenticated(stage.identity.me(&context).await, "the login has moved");
    let there = stage.context(&joined).await;
    stage.identity.me(&there).await.expect("to the organisation that was joined");
    unauthenticated(join(&context, &token).await, "who shows the token again is one of two");
    unauthenticated(stage.identity.me(&there).await, "and the login ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_accept_at_once_one_comes_in() {
    let stage = set_up().await;
    for round in 0..4 {
        let email = format!("new-{round}@example.com");
        let (_, token) = stage.invite(&email, Role::Member).await;
        let request = newcomer(&token);
        let answers = join_all((0..4).map(|_| stage.accept(&request))).await;
        let (came_in, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!(came_in.len(), 1, "one wins");
        for answer in refused {
            not_found(answer, "the others find it closed");
        }
        let people = format!("SELECT count(*) FROM memberships JOIN users ON users.id = user_id WHERE email = '{email}'");
        assert_eq!(stage.count(&people).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_left_comes_back_with_the_new_role() {
    let stage = set_up().await;
    stage.database.execute("UPDATE memberships SET status = 'removed', title = 'Old' WHERE role = 'admin'").await;
    stage.database.execute("UPDATE memberships SET status = 'suspended' WHERE role = 'viewer'").await;
    for (who, role) in [("admin", Role::Viewer), ("viewer", Role::Admin)] {
        let (_, token) = stage.invite(&stage.tenant.email(who), role).await;
        let tokens = stage.accept(&AcceptRequest { password: Some(PASSWORD.into()), ..accepts(&token) }).await.unwrap();
        assert_eq!(tokens.role, role);
    }
    assert_eq!(stage.count("SELECT count(*) FROM memberships WHERE title = 'Old' AND status = 'active'").await, 1);
    let log = stage.logged(stage.tenant.organization_id, "member").await;
    let came_back = format!("status_changed by {}", stage.tenant.viewer.user_id);
    assert!(log.contains(&came_back), "{log:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_owner_is_an_owners_to_call_back() {
    let stage = set_up().await;
    let second = stage.database.add_member(stage.tenant.organization_id, "second@example.com", Role::Owner).await;
    let suspend = format!("UPDATE memberships SET status = 'suspended' WHERE user_id = '{}'", second.user_id);
    stage.database.execute(&suspend).await;
    let wanted = crate::invitation("second@example.com", Role::Viewer);
    forbidden(stage.invitations.create(&stage.tenant.admin, &wanted).await, "not an admin's to demote");
    stage.database.execute("UPDATE memberships SET role = 'member' WHERE status = 'suspended'").await;
    let made = stage.invitations.create(&stage.tenant.admin, &wanted).await.unwrap();
    stage.database.execute("UPDATE memberships SET role = 'owner' WHERE status = 'suspended'").await;
    let request = AcceptRequest { password: Some(PASSWORD.into()), ..accepts(&stage.token(made.id).await) };
    not_found(stage.accept(&request).await, "nor when the invitation is older than the suspension");
    stage.invitations.create(&stage.tenant.owner, &crate::invitation("third@example.com", Role::Owner)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_became_a_member_meanwhile_is_in_already() {
    let stage = set_up().await;
    let (made, token) = stage.invite("new@example.com", Role::Member).await;
    stage.database.add_member(stage.tenant.organization_id, "new@example.com", Role::Viewer).await;
    let request = AcceptRequest { password: Some(PASSWORD.into()), ..accepts(&token) };
    conflict(stage.accept(&request).await, "/email", "in already, and the role stays");
    conflict(stage.invitations.resend(&stage.tenant.owner, made.id).await, "/email", "in already");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_left_the_organisation_meanwhile_is_left_out() {
    let stage = set_up().await;
    let organization = stage.tenant.organization_id;
    let team = crm_kernel::TeamId::generate();
    stage
        .database
        .execute(&format!("INSERT INTO teams (organization_id, id, name) VALUES ('{organization}', '{team}', 'Team')"))
        .await;
    let new = crm_tenancy::identity::invitations::NewInvitation {
        team_id: Some(team),
        manager_id: Some(stage.tenant.member.user_id),
        ..crate::invitation("new@example.com", Role::Member)
    };
    let made = stage.invitations.create(&stage.tenant.owner, &new).await.unwrap();
    stage.database.execute("UPDATE teams SET deleted_at = now()").await;
    let left = format!("UPDATE memberships SET status = 'removed' WHERE user_id = '{}'", stage.tenant.member.user_id);
    stage.database.execute(&left).await;
    stage.accept(&newcomer(&stage.token(made.id).await)).await.unwrap();
    let plain = "SELECT count(*) FROM memberships JOIN users ON users.id = user_id
                  WHERE email = 'new@example.com' AND team_id IS NULL AND manager_id IS NULL AND status = 'active'";
    assert_eq!(stage.count(plain).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_person_is_not_invited_back_to_life() {
    let stage = set_up().await;
    let elsewhere = stage.database.tenant("Umbrella").await;
    let (_, token) = stage.invite(&elsewhere.email("viewer"), Role::Member).await;
    stage.database.execute(&format!("UPDATE users SET deleted_at = now() WHERE id = '{}'", elsewhere.viewer.user_id)).await;
    not_found(stage.look(&asks(&token)).await, "nobody");
    not_found(stage.accept(&newcomer(&token)).await, "nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_without_any_way_in_chooses_a_password() {
    let stage = set_up().await;
    let add = format!(
        "SELECT app.add_member('{}', 'idle@example.com', 'Idle', 'member', NULL, NULL, NULL, NULL)",
        stage.database.tenant("Umbrella").await.organization_id
    );
    stage.database.execute(&add).await;
    let (_, token) = stage.invite("idle@example.com", Role::Member).await;
    let look = stage.look(&asks(&token)).await.unwrap();
    assert_eq!((look.has_account, look.chooses_password), (true, true));
    let tokens = stage.accept(&AcceptRequest { password: Some(PASSWORD.into()), ..accepts(&token) }).await.unwrap();
    let me = stage.identity.me(&stage.context(&tokens).await).await.unwrap();
    assert_eq!(me.user.full_name, "Idle", "the name stays");
    stage.session("idle@example.com").await;
}

/// Accepts as somebody whom a provider has proved.
async fn accept_as(stage: &Stage, token: &str, subject: &str) -> crm_kernel::Result<crm_tenancy::identity::Tokens> {
    let request = AcceptRequest { full_name: Some("Somebody".into()), external_token: Some(external(subject)), ..accepts(token) };
    stage.accept(&request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_person_comes_in_with_an_external_identity_and_it_is_linked() {
    let stage = set_up().await;
    let (_, token) = stage.invite("new@example.com", Role::Member).await;
    let forged = AcceptRequest { full_name: Some("X".into()), external_token: Some(external("s") + "x"), ..accepts(&token) };
    unauthenticated(stage.accept(&forged).await, "a token that is not right");
    let tokens = accept_as(&stage, &token, "subject-1").await.unwrap();
    let linked = format!(
        "SELECT count(*) FROM identity.external_identities WHERE subject = 'subject-1' AND user_id = '{}'",
        tokens.user_id
    );
    assert_eq!(stage.count(&linked).await, 1);
    assert_eq!(stage.count("SELECT count(*) FROM users WHERE full_name = 'Somebody' AND email = 'new@example.com'").await, 1);
    assert_eq!(stage.logged(stage.tenant.organization_id, "external_identity").await, [format!("created by {}", tokens.user_id)]);

    // The same identity proves the same person elsewhere, and is nobody else's.
    let elsewhere = stage.database.tenant("Umbrella").await;
    let create = async |email: &str| {
        let made = stage.invitations.create(&elsewhere.owner, &crate::invitation(email, Role::Viewer)).await.unwrap();
        stage.token(made.id).await
    };
    let another = create("another@example.com").await;
    conflict(accept_as(&stage, &another, "subject-1").await, "", "the identity is somebody else's");
    assert_eq!(stage.count("SELECT count(*) FROM users WHERE email = 'another@example.com'").await, 0, "nothing was made");
    let same = create("new@example.com").await;
    assert!(!stage.look(&asks(&same)).await.unwrap().chooses_password);
    unauthenticated(accept_as(&stage, &same, "subject-2").await, "another identity proves nothing");
    unauthenticated(stage.accept(&newcomer(&same)).await, "and nobody sets a password so");
    assert_eq!(accept_as(&stage, &same, "subject-1").await.unwrap().user_id, tokens.user_id);
}
