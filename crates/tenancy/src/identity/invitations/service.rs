//! The use cases of invitations.

use std::sync::Arc;

use async_trait::async_trait;
use crm_kernel::{Context, Error, InvitationId, ListQuery, OrganizationId, Page, Result, Role, Total, query::Count, validation};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    model::{AcceptRequest, Invitation, InvitationPreview, InvitationTokenRequest, JoinRequest, NewInvitation},
    store::{self, Acceptance, Found, Link},
};
use crate::{
    Db, PgIdentity, Tx,
    expect::UNPROVED,
    identity::{
        external::{ExternalTokens, find_person},
        model::{Origin, Tokens},
        password_proof,
        password_rules::judge_password,
        second_factor::Proved,
        secrets::{link_secret, parse_link_token},
        service::new_secret,
        store::{Birth, Opened, Refused, session_of},
        throttle::{Attempt, Bucket, Purpose},
    },
    passwords::Subject,
    sealing::SealingKeys,
};

/// What the secrets of invitations are derived for, and the kind of their letters.
const PURPOSE: &str = "invitation";
/// How long a letter's link can be used: seven days.
const LIFETIME_SECONDS: i32 = 7 * 24 * 60 * 60;

/// Asking people into an organisation, and coming in.
#[async_trait]
pub trait Invitations: Send + Sync {
    /// Invites an address by letter. `Conflict` when it is a member's, or invited already.
    async fn create(&self, context: &Context, new: &NewInvitation) -> Result<Invitation>;

    /// A page of invitations, newest first.
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Invitation>>;

    /// One invitation.
    async fn get(&self, context: &Context, id: InvitationId) -> Result<Invitation>;

    /// `NotFound` unless there is one of this id, also for callers who may not see it.
    async fn require(&self, context: &Context, id: InvitationId) -> Result<()>;

    /// Sends another letter, whose link is the only one that works from then on.
    async fn resend(&self, context: &Context, id: InvitationId) -> Result<Invitation>;

    /// Takes it back; the link is dead.
    async fn revoke(&self, context: &Context, id: InvitationId) -> Result<()>;

    /// What a link is for; `NotFound` when it is for nothing, whatever the reason.
    async fn look(&self, request: &InvitationTokenRequest, origin: &Origin) -> Result<InvitationPreview>;

    /// Comes in without a session: as a new person, or as one who shows the account's password or external identity, and its second
    /// factor where it has one. `SecondFactorMissing` when that is asked for; nothing has happened then.
    async fn accept(&self, request: &AcceptRequest, origin: &Origin) -> Result<Tokens>;

    /// Comes in as the person of the session, whose login moves to the new organisation as with [`Identity::switch`](crate::Identity::switch): the refresh token is
    /// spent, and nothing has happened when it is refused.
    async fn join(&self, context: &Context, request: &JoinRequest, origin: &Origin) -> Result<Tokens>;
}

/// Invitations kept in PostgreSQL.
#[derive(Debug)]
pub struct PgInvitations {
    db: Db,
    identity: Arc<PgIdentity>,
    sealing_keys: SealingKeys,
    external: Arc<ExternalTokens>,
    letters_queued: Arc<Notify>,
}

impl PgInvitations {
    /// On this database, with links derived from these keys. `letters_queued` is told whenever a letter waits.
    #[must_use]
    pub fn new(
        db: Db,
        identity: Arc<PgIdentity>,
        sealing_keys: SealingKeys,
        external: Arc<ExternalTokens>,
        letters_queued: Arc<Notify>,
    ) -> Self {
        Self { db, identity, sealing_keys, external, letters_queued }
    }

    fn new_link(&self) -> Result<Link> {
        let id = Uuid::now_v7();
        let (_, hash) = link_secret(&self.sealing_keys, PURPOSE, id)?;
        Ok(Link { id, hash })
    }

    /// A password that is tried with a link.
    async fn prove_password(&self, link: &Link, found: &Found, password: &str, origin: &Origin) -> Result<()> {
        // The place comes first: who is turned away for want of one has not tried anything.
        let place = self.db.queue([Subject::address(origin.ip)])?;
        // Counted before it is judged: tries at the same moment cannot outrun the count.
        if !store::count_proof(&mut *self.db.connection().await?, link).await? {
            return Err(unproved());
        }
        if place.verify(password.to_owned(), found.password_hash.clone()).await? {
            return Ok(());
        }
        if let Some(user) = found.user_id {
            self.identity.tell_refused(user, Refused::Password, origin);
        }
        Err(unproved())
    }

    /// Counts a use of a link as a try, unless its outcome is that nothing was guessed.
    async fn counted<T>(&self, origin: &Origin, outcome: impl Future<Output = Result<T>>) -> Result<T> {
        let buckets = [Bucket::address(Purpose::Invitation, origin.ip)];
        let attempt = Attempt::begin(&mut *self.db.connection().await?, buckets).await?;
        let outcome = outcome.await;
        if !matches!(outcome, Err(Error::NotFound(_) | Error::Unauthenticated(_))) {
            attempt.succeeded(&mut *self.db.connection().await?).await?;
        }
        outcome
    }

    async fn find(&self, link: &Link) -> Result<Found> {
        store::find(&mut *self.db.connection().await?, link).await?.ok_or(Error::NotFound("invitation"))
    }

    async fn come_in(&self, link: &Link, request: &AcceptRequest, origin: &Origin) -> Result<Tokens> {
        let found = self.find(link).await?;
        let external = match (&request.external_token, &request.password) {
            (Some(_), Some(_)) => return Err(Error::invalid("/external_token", "exclusive", "send this or a password")),
            (Some(token), None) => Some(self.external.verify(token).await?),
            (None, _) => None,
        };
        let mut acceptance = Acceptance {
            proved: None,
            full_name: "",
            password_hash: None,
            external: external.as_ref(),
            second_factor: Proved::default(),
        };
        if found.has_no_way_in() {
            if found.user_id.is_none() {
                acceptance.full_name = request.full_name.as_deref().map(str::trim).ok_or_else(|| missing("/full_name"))?;
            }
            if external.is_none() {
                let password = request.password.clone().ok_or_else(|| missing("/password"))?;
                let about = [found.email.as_str(), acceptance.full_name];
                if let Some(fault) = judge_password("/password", &password, &about) {
                    return Err(Error::Invalid(vec![fault]));
                }
                acceptance.password_hash = Some(self.db.queue([Subject::address(origin.ip)])?.hash(password).await?);
            }
        } else if let Some(token) = &external {
            acceptance.proved = find_person(&mut *self.db.connection().await?, token).await?;
            if acceptance.proved != found.user_id {
                return Err(unproved());
            }
        } else {
            self.prove_password(link, &found, request.password.as_ref().ok_or_else(unproved)?, origin).await?;
            acceptance.proved = found.user_id;
            acceptance.password_hash.clone_from(&found.password_hash);
        }
        let (refresh_token, hash) = new_secret()?;
        let mut connection = self.db.connection().await?;
        let whose = (found.user_id, request.code.as_deref());
        // The word of a provider that nobody has linked yet says nothing about the account.
        let is_trusted = !found.has_no_way_in() && external.as_ref().is_some_and(|token| token.second_factor);
        if let Some(person) = found.user_id.filter(|_| !is_trusted) {
            let proved = self.identity.prove_second_factor(&mut connection, person, request.code.as_deref()).await;
            acceptance.second_factor = self.identity.told(proved, whose, origin)?;
        }
        let accepted = store::accept(&mut connection, link, acceptance, &hash, self.identity.lifetimes(), origin).await;
        let accepted = self.identity.told(accepted, whose, origin)?;
        // An identity that was linked, or a recovery code that was used, is told by letter.
        self.letters_queued.notify_one();
        let (user_id, organization_id, opened) = accepted;
        self.identity.tokens(user_id, organization_id, opened, refresh_token)
    }
}

impl PgInvitations {
    async fn try_join(&self, context: &Context, request: &JoinRequest, birth: Birth<'_>) -> Result<(Tx, OrganizationId, Opened)> {
        let (link, session) = (link(&request.token)?, session_of(context)?);
        let mut tx = self.db.begin(context).await?;
        let known_hash = Sha256::digest(&request.refresh_token);
        let (organization_id, opened) = store::join(&mut tx, &link, (session, &known_hash), birth).await?;
        Ok((tx, organization_id, opened))
    }
}

#[async_trait]
impl Invitations for PgInvitations {
    async fn create(&self, context: &Context, new: &NewInvitation) -> Result<Invitation> {
        // No transaction waits for a password.
        let role = {
            let tx = self.db.begin(context).await?;
            tx.require(Role::is_manager, "invite")?;
            tx.role()
        };
        if new.role == Role::Owner && role != Role::Owner {
            return Err(Error::forbidden("only an owner may invite an owner, or change such an invitation"));
        }
        let new = NewInvitation { email: new.email.trim().to_lowercase(), ..new.clone() };
        validation::check(&new)?;
        if new.role.is_manager() {
            password_proof::require_in_session(&self.db, context, new.password.as_deref()).await?;
        }
        let mut tx = self.db.begin(context).await?;
        tx.require(Role::is_manager, "invite")?;
        let (id, link) = (InvitationId::generate(), self.new_link()?);
        store::insert(&mut tx, id, &new, &link, LIFETIME_SECONDS).await?;
        let invitation = store::get(&mut tx, id).await?;
        tx.commit().await?;
        self.letters_queued.notify_one();
        Ok(invitation)
    }

    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Invitation>> {
        let mut tx = self.db.begin(context).await?;
        tx.require(Role::is_manager, "see invitations")?;
        let rows = store::list(&mut tx, query).await?;
        let total = if query.count == Count::Bounded { Some(Total::bounded(store::count(&mut tx, query).await?)) } else { None };
        Ok(Page::from_rows(query, rows, total, store::position))
    }

    async fn get(&self, context: &Context, id: InvitationId) -> Result<Invitation> {
        let mut tx = self.db.begin(context).await?;
        store::require(&mut tx, id).await?;
        tx.require(Role::is_manager, "see invitations")?;
        store::get(&mut tx, id).await
    }

    async fn require(&self, context: &Context, id: InvitationId) -> Result<()> {
        store::require(&mut self.db.begin(context).await?, id).await
    }

    async fn resend(&self, context: &Context, id: InvitationId) -> Result<Invitation> {
        let mut tx = self.db.begin(context).await?;
        store::require(&mut tx, id).await?;
        tx.require(Role::is_manager, "invite")?;
        store::resend(&mut tx, id, &self.new_link()?, LIFETIME_SECONDS).await?;
        let invitation = store::get(&mut tx, id).await?;
        tx.commit().await?;
        self.letters_queued.notify_one();
        Ok(invitation)
    }

    async fn revoke(&self, context: &Context, id: InvitationId) -> Result<()> {
        let mut tx = self.db.begin(context).await?;
        store::require(&mut tx, id).await?;
        tx.require(Role::is_manager, "revoke invitations")?;
        store::revoke(&mut tx, id).await?;
        tx.commit().await
    }

    async fn look(&self, request: &InvitationTokenRequest, origin: &Origin) -> Result<InvitationPreview> {
        validation::check(request)?;
        let link = link(&request.token)?;
        let found = self.counted(origin, self.find(&link)).await?;
        Ok(InvitationPreview {
            organization_name: found.organization_name.clone(),
            email: found.email.clone(),
            role: found.role.parse().map_err(|error: String| Error::internal(error))?,
            invited_by: found.inviter_name.clone(),
            has_account: found.user_id.is_some(),
            chooses_password: found.has_no_way_in(),
        })
    }

    async fn accept(&self, request: &AcceptRequest, origin: &Origin) -> Result<Tokens> {
        validation::check(request)?;
        let link = link(&request.token)?;
        self.counted(origin, self.come_in(&link, request, origin)).await
    }

    async fn join(&self, context: &Context, request: &JoinRequest, origin: &Origin) -> Result<Tokens> {
        validation::check(request)?;
        let (refresh_token, hash) = new_secret()?;
        let birth = Birth { refresh_hash: &hash, lifetimes: self.identity.lifetimes(), origin };
        let joined = self.try_join(context, request, birth).await;
        let (tx, organization_id, opened) = self.identity.judged(joined, &request.refresh_token).await?;
        tx.commit().await?;
        self.identity.tokens(context.user_id, organization_id, opened, refresh_token)
    }
}

impl Found {
    /// Nobody can prove to be this person, so the letter is proof enough.
    fn has_no_way_in(&self) -> bool {
        self.password_hash.is_none() && !self.has_identity
    }
}

/// Text that no link ever carried is answered like a link that is dead.
fn link(token: &str) -> Result<Link> {
    let (id, hash) = parse_link_token(token).ok_or(Error::NotFound("invitation"))?;
    Ok(Link { id, hash })
}

fn unproved() -> Error {
    Error::unauthenticated(UNPROVED)
}

fn missing(pointer: &str) -> Error {
    Error::invalid(pointer, "required", "is required for a new account")
}
