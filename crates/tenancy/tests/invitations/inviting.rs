//! Inviting, listing, sending again, revoking.

use crm_kernel::{Error, InvitationId, ListQuery, Role, TeamId, UserId};
use crm_tenancy::identity::invitations::{Invitations, NewInvitation, default_sort};
use crm_testkit::refusals::{conflict, forbidden, invalid, not_found};

use crate::{asks, invitation, newcomer, set_up};

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_a_letter_with_a_link_and_the_secret_is_nowhere() {
    let stage = set_up().await;
    let (made, token) = stage.invite("  New@Example.COM ", Role::Member).await;
    assert_eq!((made.email.as_str(), made.role, made.status.as_str()), ("new@example.com", Role::Member, "pending"));
    let letters = stage
        .database
        .texts("SELECT concat_ws('|', kind, recipient, details ->> 'organization', details ->> 'inviter', details ->> 'role') FROM identity.letters")
        .await;
    assert_eq!(letters, ["invitation|new@example.com|Acme|Owner of Acme|member"]);
    let days = "SELECT count(*) FROM identity.letters WHERE expires_at BETWEEN now() + interval '167 hours' AND now() + interval '168 hours'";
    assert_eq!(stage.count(days).await, 1, "it expires in seven days");

    let secret = token.split_once('.').unwrap().1;
    for place in ["identity.invitations AS r", "identity.letters AS r", "crm_activity_details AS r"] {
        let told = format!("SELECT count(*) FROM {place} WHERE r::text LIKE '%{secret}%'");
        assert_eq!(stage.count(&told).await, 0, "no secret in {place}");
    }
    let hash = "SELECT count(*) FROM crm_activity_details AS d JOIN identity.invitations AS i ON d.changes::text LIKE '%' || encode(i.secret_hash, 'hex') || '%' OR d.changes::text LIKE '%' || i.secret_id || '%'";
    assert_eq!(stage.count(hash).await, 0, "nor its hash or its name in the log");
    let owner = stage.tenant.owner.user_id;
    assert_eq!(stage.logged(stage.tenant.organization_id, "invitation").await, [format!("created by {owner}")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_invite_everybody_admins_everybody_below_and_nobody_else_invites() {
    let stage = set_up().await;
    let tenant = &stage.tenant;
    for (number, role) in [Role::Viewer, Role::Member, Role::Admin, Role::Owner].into_iter().enumerate() {
        let wanted = invitation(&format!("by-owner-{number}@example.com"), role);
        stage.invitations.create(&tenant.owner, &wanted).await.unwrap();
        let wanted = invitation(&format!("by-admin-{number}@example.com"), role);
        let by_admin = stage.invitations.create(&tenant.admin, &wanted).await;
        if role == Role::Owner {
            forbidden(by_admin, "an admin makes no owner");
        } else {
            by_admin.unwrap();
        }
        for caller in [&tenant.member, &tenant.viewer] {
            let wanted = invitation(&format!("by-others-{number}@example.com"), role);
            forbidden(stage.invitations.create(caller, &wanted).await, "only owner and admin invite");
        }
    }
    let of_owner = stage.database.texts("SELECT id FROM identity.invitations WHERE role = 'owner'").await[0].clone();
    let of_owner: InvitationId = of_owner.parse().unwrap();
    forbidden(stage.invitations.resend(&tenant.admin, of_owner).await, "nor sends an owner another letter");
    forbidden(stage.invitations.revoke(&tenant.admin, of_owner).await, "nor takes it back");
    stage.invitations.get(&tenant.admin, of_owner).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_organisations_invitation_is_not_there_and_a_members_role_is_too_low() {
    let stage = set_up().await;
    let stranger = stage.database.tenant("Umbrella").await;
    let (made, _) = stage.invite("new@example.com", Role::Member).await;
    for id in [made.id, InvitationId::generate()] {
        not_found(stage.invitations.get(&stranger.owner, id).await, "not there");
        not_found(stage.invitations.resend(&stranger.owner, id).await, "not there");
        not_found(stage.invitations.revoke(&stranger.owner, id).await, "not there");
        not_found(stage.invitations.require(&stranger.viewer, id).await, "not there");
    }
    for caller in [&stage.tenant.member, &stage.tenant.viewer] {
        stage.invitations.require(caller, made.id).await.unwrap();
        forbidden(stage.invitations.get(caller, made.id).await, "there, and not for members");
        forbidden(stage.invitations.resend(caller, made.id).await, "there, and not for members");
        forbidden(stage.invitations.revoke(caller, made.id).await, "there, and not for members");
        forbidden(stage.invitations.list(caller, &ListQuery::all(default_sort())).await, "not for members");
    }
    assert_eq!(stage.invitations.list(&stranger.owner, &ListQuery::all(default_sort())).await.unwrap().data, []);
    assert_eq!(stage.status(made.id).await, "pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_goes_on_where_it_ended() {
    let stage = set_up().await;
    for number in 0..5 {
        stage.invite(&format!("new-{number}@example.com"), Role::Member).await;
    }
    let mut query = ListQuery { limit: 2, ..ListQuery::all(default_sort()) };
    let mut seen = Vec::new();
    loop {
        let page = stage.invitations.list(&stage.tenant.admin, &query).await.unwrap();
        seen.extend(page.data.iter().map(|invitation| invitation.email.clone()));
        let Some(cursor) = page.page.next_cursor else { break };
        query = query.continue_after(&cursor).unwrap();
    }
    let wanted: Vec<String> = (0..5).rev().map(|number| format!("new-{number}@example.com")).collect();
    assert_eq!(seen, wanted, "newest first, each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_and_an_invited_address_are_refused_and_an_account_elsewhere_is_not_told() {
    let stage = set_up().await;
    let elsewhere = stage.database.tenant("Umbrella").await;
    let create = async |email: &str| stage.invitations.create(&stage.tenant.owner, &invitation(email, Role::Member)).await;
    conflict(create(&stage.tenant.email("viewer")).await, "/email", "an active member needs no invitation");
    let known = create(&elsewhere.email("owner")).await.unwrap();
    let unknown = create("nobody@example.com").await.unwrap();
    let told =
        |made: crm_tenancy::identity::invitations::Invitation| (made.status, made.accepted_by_id, made.title, made.version);
    assert_eq!(told(known), told(unknown), "nothing tells one from the other");
    conflict(create("Nobody@example.com").await, "/email", "one pending invitation for each address");
    let elsewhere = stage.invitations.create(&elsewhere.owner, &invitation("nobody@example.com", Role::Member)).await;
    elsewhere.expect("and organisation");

    for (who, status) in [("member", "removed"), ("colleague", "suspended")] {
        let left = format!(
            "UPDATE memberships SET status = '{status}' WHERE user_id = (SELECT id FROM users WHERE email = '{}')",
            stage.tenant.email(who)
        );
        stage.database.execute(&left).await;
        create(&stage.tenant.email(who)).await.expect("who is no longer active may be invited again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_invitation_names_must_be_there() {
    let stage = set_up().await;
    let stranger = stage.database.tenant("Umbrella").await;
    let add_team = "INSERT INTO teams (organization_id, id, name, deleted_at) VALUES ('ORG', 'ID', 'Team', WHEN)";
    let mut teams = Vec::new();
    for (organization, deleted) in
        [(stage.tenant.organization_id, "NULL"), (stage.tenant.organization_id, "now()"), (stranger.organization_id, "NULL")]
    {
        let team = TeamId::generate();
        let sql = add_team.replace("ORG", &organization.to_string()).replace("ID", &team.to_string()).replace("WHEN", deleted);
        stage.database.execute(&sql).await;
        teams.push(team);
    }
    let with = |team_id: Option<TeamId>, manager_id: Option<UserId>| NewInvitation {
        team_id,
        manager_id,
        title: Some("Clerk".into()),
        ..invitation("new@example.com", Role::Member)
    };
    let create = async |new: NewInvitation| stage.invitations.create(&stage.tenant.owner, &new).await;
    let refused = async |new: NewInvitation, pointer: &str| {
        format!("{:?}", invalid(create(new).await, pointer, "reference", "must be there"))
    };
    let never = refused(with(Some(TeamId::generate()), None), "/team_id").await;
    for team in &teams[1..] {
        assert_eq!(refused(with(Some(*team), None), "/team_id").await, never, "deleted or another's is one that never was");
    }
    let never = refused(with(None, Some(UserId::generate())), "/manager_id").await;
    assert_eq!(
        refused(with(None, Some(stranger.owner.user_id)), "/manager_id").await,
        never,
        "another's member is one who never was"
    );
    stage.database.execute("UPDATE memberships SET status = 'suspended' WHERE role = 'viewer'").await;
    invalid(
        create(with(None, Some(stage.tenant.viewer.user_id))).await,
        "/manager_id",
        "owner_not_active",
        "nor one who is not active",
    );
    let made = create(with(Some(teams[0]), Some(stage.tenant.admin.user_id))).await.unwrap();
    assert_eq!((made.team_id, made.manager_id), (Some(teams[0]), Some(stage.tenant.admin.user_id)));

    for bad in ["", "no address", "a@b@c", "x\0@example.com"] {
        invalid(create(invitation(bad, Role::Member)).await, "/email", "email", "an address is an address");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_letter_kills_the_link_before_it() {
    let stage = set_up().await;
    let (made, first) = stage.invite("new@example.com", Role::Member).await;
    stage.database.execute("UPDATE identity.invitations SET expires_at = now() - interval '1 day'").await;
    assert_eq!(stage.status(made.id).await, "expired");
    not_found(stage.look(&asks(&first)).await, "its time is over");
    let again = stage.invitations.resend(&stage.tenant.admin, made.id).await.unwrap();
    assert_eq!((again.status.as_str(), again.invited_by_id), ("pending", stage.tenant.admin.user_id));
    let second = stage.token(made.id).await;
    not_found(stage.look(&asks(&first)).await, "the old link is dead");
    stage.look(&asks(&second)).await.expect("the new one is not");
    assert_eq!(stage.count("SELECT count(*) FROM identity.letters WHERE kind = 'invitation'").await, 2);

    stage.accept(&newcomer(&second)).await.unwrap();
    conflict(stage.invitations.resend(&stage.tenant.owner, made.id).await, "", "who is in needs no letter");
    conflict(stage.invitations.revoke(&stage.tenant.owner, made.id).await, "", "and stays in");
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_kills_the_link_and_can_be_done_twice() {
    let stage = set_up().await;
    let (made, token) = stage.invite("new@example.com", Role::Member).await;
    for _ in 0..2 {
        stage.invitations.revoke(&stage.tenant.owner, made.id).await.unwrap();
        assert_eq!(stage.status(made.id).await, "revoked");
    }
    not_found(stage.look(&asks(&token)).await, "revoked");
    not_found(stage.accept(&newcomer(&token)).await, "revoked");
    conflict(stage.invitations.resend(&stage.tenant.owner, made.id).await, "", "another invitation is another one");
    stage.invite("new@example.com", Role::Viewer).await;
    let log = stage.logged(stage.tenant.organization_id, "invitation").await;
    let kinds: Vec<&str> = log.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(kinds, ["created", "status_changed", "created"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_invitation_makes_room_for_another() {
    let stage = set_up().await;
    let (made, _) = stage.invite("new@example.com", Role::Member).await;
    stage.database.execute("UPDATE identity.invitations SET expires_at = now()").await;
    let (next, _) = stage.invite("new@example.com", Role::Member).await;
    assert_eq!((stage.status(made.id).await, stage.status(next.id).await), ("expired".into(), "pending".into()));
    conflict(stage.invitations.resend(&stage.tenant.owner, made.id).await, "", "the newer one stands for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_and_pending_invitations_are_bounded() {
    let stage = set_up().await;
    let owner = &stage.tenant.owner;
    let limited = |error: Error| assert!(matches!(error, Error::Limited { .. }), "{error:?}");
    // Whether by sending again or by revoking and inviting: five letters an hour to one address.
    let (mut made, _) = stage.invite("new@example.com", Role::Member).await;
    for _ in 0..2 {
        stage.invitations.resend(owner, made.id).await.unwrap();
    }
    for _ in 0..2 {
        stage.invitations.revoke(owner, made.id).await.unwrap();
        made = stage.invite("new@example.com", Role::Member).await.0;
    }
    limited(stage.invitations.resend(owner, made.id).await.unwrap_err());
    stage.invitations.revoke(owner, made.id).await.unwrap();
    limited(stage.invitations.create(owner, &invitation("new@example.com", Role::Member)).await.unwrap_err());
    let earlier = "UPDATE identity.invitations SET sent_at = sent_at - interval '1 hour',
                          sent_lately = ARRAY(SELECT at - interval '1 hour' FROM unnest(sent_lately) AS at)";
    stage.database.execute(earlier).await;
    stage.invite("new@example.com", Role::Member).await;
    let fill = format!(
        "INSERT INTO identity.invitations (organization_id, email, role, secret_id, secret_hash, invited_by_id, sent_at, expires_at)
         SELECT '{}', 'filled-' || number || '@example.com', 'member', app.uuid7(), sha256('x'), '{}', now() - interval '2 hours', now() + interval '1 day'
           FROM generate_series(1, 499) AS number",
        stage.tenant.organization_id, owner.user_id
    );
    stage.database.execute(&fill).await;
    conflict(stage.invitations.create(owner, &invitation("last@example.com", Role::Member)).await, "", "500 are pending");
    let all =
        "UPDATE identity.invitations SET sent_at = now(), sent_lately = ARRAY[now()], closed_as = 'revoked', closed_at = now()";
    stage.database.execute(all).await;
    limited(stage.invitations.create(owner, &invitation("last@example.com", Role::Member)).await.unwrap_err());
}

/// Ten letters an hour, and of a noisy organisation no other one learns or suffers more than a delay.
#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_gets_so_many_letters_an_hour_and_nobody_is_told_of_the_others() {
    let stage = set_up().await;
    let wanted = invitation("new@example.com", Role::Member);
    let told = |made: &crm_tenancy::identity::invitations::Invitation| (made.status, made.role, made.version);
    let waiting = "SELECT count(*) FROM identity.letters WHERE due_at > now() AND sent_at IS NULL";
    for name in ["Noise", "Racket"] {
        let noisy = stage.database.tenant(name).await.owner;
        for _ in 0..5 {
            let made = stage.invitations.create(&noisy, &wanted).await.expect("five are each organisation's own");
            stage.invitations.revoke(&noisy, made.id).await.unwrap();
        }
        let sixth = stage.invitations.create(&noisy, &wanted).await.unwrap_err();
        assert!(matches!(sixth, Error::Limited { .. }), "{sixth:?}");
    }
    assert_eq!(stage.count(waiting).await, 0, "ten are sent at once");

    let owner = &stage.tenant.owner;
    let late = stage.invitations.create(owner, &wanted).await.expect("others are no reason to refuse it");
    let free = stage.invitations.create(owner, &invitation("free@example.com", Role::Member)).await.unwrap();
    assert_eq!(told(&late), told(&free), "answered as if nothing were");
    let put_off = "SELECT count(*) FROM identity.letters
                    WHERE recipient = 'new@example.com' AND due_at BETWEEN now() + interval '50 minutes' AND now() + interval '1 hour'";
    assert_eq!((stage.count(waiting).await, stage.count(put_off).await), (1, 1), "its letter goes when there is room");
    for _ in 0..3 {
        stage.invitations.resend(owner, late.id).await.expect("as often as anybody may");
    }
    assert_eq!((stage.count(waiting).await, stage.count(put_off).await), (1, 1), "only the last one waits");
    assert_eq!(stage.count("SELECT count(*) FROM identity.claim_letters(100, 60) WHERE recipient = 'new@example.com'").await, 10);
    let hour = "UPDATE identity.letters SET due_at = due_at - interval '1 hour', created_at = created_at - interval '1 hour',
                       sent_at = CASE WHEN attempts > 0 THEN now() - interval '1 hour' END";
    stage.database.execute(hour).await;
    assert_eq!(stage.count("SELECT count(*) FROM identity.claim_letters(100, 60)").await, 1, "an hour later it goes");
    stage.look(&asks(&stage.token(late.id).await)).await.expect("and its link opens");

    stage.database.execute("UPDATE identity.letters SET sent_at = now()").await;
    let again = stage.invitations.resend(owner, late.id).await.unwrap();
    assert_eq!(stage.count(waiting).await, 1);
    stage.invitations.revoke(owner, again.id).await.unwrap();
    assert_eq!(stage.count(waiting).await, 0, "a dead link is not sent");
}
