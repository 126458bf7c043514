//! Who calls: from the bearer token and nothing else, as a [`Context`].
//!
//! [`Caller`] refuses at once what the policy denies. [`RecordCaller`] is for changes of one record: there the promised
//! order is 404 before 403, so the refusal waits until the record has been looked for.
//! What an answer brings along beside what was asked for, embedded records and the log of others, is asked of the token as well:
//! [`Caller::may_read`].
//! Must stay true: no tenant, user or role is ever taken from a header, a query or a body.

use std::{future::Future, pin::Pin};

use actix_web::{FromRequest, HttpRequest, dev::Payload, web::Data};
use crm_kernel::{Context, Error, Result};
use crm_tenancy::token::{Proof, Reach, Use, Verdict};
use paperclip::v2::schema::Apiv2Schema;
use uuid::Uuid;

use crate::{
    current,
    limits::Errand,
    policy::{self, Access, Operation},
    problem::Problem,
    services::Services,
};

/// A caller who may do this.
#[derive(Debug)]
pub struct Caller {
    /// Pass it to the services.
    pub context: Context,
    reach: Reach,
}

impl Caller {
    /// Whether this caller may also read a record of this kind, or all of them when no id is named. A token as it was issued at a
    /// login may read what its role may, which the services know; only others are asked.
    ///
    /// # Errors
    /// `Forbidden` when the token does not allow it; `Unavailable` when a limit of its evaluation tripped.
    pub fn may_read(&self, services: &Services, entity: &str, id: Option<Uuid>) -> Result<()> {
        if matches!(self.reach, Reach::Whole) {
            return Ok(());
        }
        if reaches(&self.reach, services, entity, "get", Access::Read, id)? {
            return Ok(());
        }
        Err(Error::forbidden(format!("this token may not read {entity} records, which the answer would contain")))
    }

    /// How far the token reaches.
    #[must_use]
    pub fn reach(&self) -> &Reach {
        &self.reach
    }
}

/// A caller who may or may not change the record.
#[derive(Debug)]
pub struct RecordCaller {
    /// For looking the record up; for the change itself use what [`RecordCaller::allowed`] returns.
    pub context: Context,
    verdict: Verdict,
    reach: Reach,
}

impl RecordCaller {
    /// The context if the policy allows the change; otherwise `look` decides between 404 and 403. A future does nothing
    /// before it is awaited, so an allowed caller pays nothing for it.
    ///
    /// # Errors
    /// `NotFound` when the record is not there for this caller, `Forbidden` when it is.
    pub async fn allowed<T>(&self, look: impl Future<Output = Result<T>>) -> Result<&Context> {
        if self.verdict == Verdict::Denied {
            look.await?;
            return Err(refusal(&self.context));
        }
        Ok(&self.context)
    }

    /// Whether the token may also do this to records of another kind, of which the change takes some along. A token as it was issued at
    /// a login may do what its role may, which the services know; only others are asked.
    ///
    /// # Errors
    /// `Forbidden` when the token does not allow it; `Unavailable` when a limit of its evaluation tripped.
    pub fn may_also(&self, services: &Services, entity: &str, action: &str, access: Access) -> Result<()> {
        if matches!(self.reach, Reach::Whole) || reaches(&self.reach, services, entity, action, access, None)? {
            return Ok(());
        }
        Err(Error::forbidden(format!("this token may not do {entity}:{action}, which this would")))
    }

    /// For understanding what is asked, which comes before whether it may be done.
    #[must_use]
    pub fn asking(self) -> (Caller, Asked) {
        (Caller { context: self.context, reach: self.reach }, Asked(self.verdict))
    }

    /// The same for an answer that may embed other records: the caller, who is asked about those too.
    ///
    /// # Errors
    /// As [`RecordCaller::allowed`].
    pub async fn admitted<T>(self, look: impl Future<Output = Result<T>>) -> Result<Caller> {
        self.allowed(look).await?;
        Ok(Caller { context: self.context, reach: self.reach })
    }
}

/// What a caller asks for, and has not been allowed yet.
#[derive(Debug)]
pub struct Asked(Verdict);

impl Asked {
    /// Whether the policy allows it; otherwise `look` decides between 404 and 403.
    ///
    /// # Errors
    /// As [`RecordCaller::allowed`].
    pub async fn allowed<T>(self, caller: &Caller, look: impl Future<Output = Result<T>>) -> Result<()> {
        if self.0 == Verdict::Denied {
            look.await?;
            return Err(refusal(&caller.context));
        }
        Ok(())
    }
}

/// A caller of an operation that consists of others: each is asked of the token as if it came alone.
#[derive(Debug)]
pub struct PartsCaller(pub Caller);

impl PartsCaller {
    /// Whether something may be done to a record of this kind, or whether one may be made.
    ///
    /// # Errors
    /// `Forbidden` when token or role do not allow it; `Unavailable` when a limit of the evaluation tripped.
    pub fn permits(&self, services: &Services, entity: &str, action: &str, access: Access, id: Option<Uuid>) -> Result<()> {
        if reaches(&self.0.reach, services, entity, action, access, id)? { Ok(()) } else { Err(refusal(&self.0.context)) }
    }

    /// Whether the token is less than what a login gave.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        !matches!(self.0.reach, Reach::Whole)
    }
}

/// Whether a token reaches as far as this, asked as if it came alone.
fn reaches(reach: &Reach, services: &Services, entity: &str, action: &str, access: Access, id: Option<Uuid>) -> Result<bool> {
    let (operation, resource) = (format!("{entity}:{action}"), id.map(|id| id.to_string()));
    let wanted = Use { operation: &operation, entity, access: access.word(), resource: resource.as_deref() };
    reach.allows(&services.policy, &wanted)
}

fn refusal(context: &Context) -> Error {
    Error::forbidden(format!("the role {} or this token may not do this", context.role))
}

fn identify(request: &HttpRequest) -> Result<(Context, Verdict, Reach)> {
    let services = request.app_data::<Data<Services>>().ok_or_else(|| Error::internal("the services are not wired"))?;
    let operation = operation(request);
    let token = bearer(request)?;
    // One spelling: a check on the record must hold however the address writes its id.
    let resource = operation.filter(|operation| operation.is_about_the_addressed()).and(request.match_info().get("id"));
    let resource = resource.map(|id| id.parse::<Uuid>().map_or_else(|_| id.to_owned(), |id| id.to_string()));
    let wanted = Use {
        operation: operation.map_or("unknown", |operation| operation.name),
        entity: operation.map_or("unknown", Operation::entity),
        access: operation.map_or("none", |operation| operation.access.word()),
        resource: resource.as_deref(),
    };
    let decision = services.policy.decide(token, &services.token_keys, &wanted)?;
    let claims = decision.claims;
    current::note_caller(&claims.organization_id.to_string(), &claims.user_id.to_string());
    let mut context = Context::new(claims.organization_id, claims.user_id, claims.role);
    match claims.proof {
        Proof::Session(session) => context.session_id = Some(session),
        Proof::ApiToken(token) => (context.token_id, context.token_hash) = (Some(token), decision.token_hash),
    }
    context.actor = claims.actor;
    context.request_id = current::id();
    context.ip = current::address();
    context.user_agent = request.headers().get("user-agent").map(|agent| String::from_utf8_lossy(agent.as_bytes()).into_owned());
    if operation.is_some_and(|operation| operation.access == Access::Read) {
        context.access = crm_kernel::Access::ReadOnly;
    }
    Ok((context, decision.verdict, decision.reach))
}

/// What the request asks for, as the table of operations has it.
fn operation(request: &HttpRequest) -> Option<&'static Operation> {
    policy::find(request.method(), &request.match_pattern().unwrap_or_default())
}

/// Whether there is a token that is worth an answer: what else is wrong with a request is for those who have one.
pub(crate) fn proof(request: &HttpRequest) -> Result<()> {
    identify(request).map(drop)
}

fn bearer(request: &HttpRequest) -> Result<&str> {
    let missing = || Error::unauthenticated("send the access token as: Authorization: Bearer <token>");
    let mut values = request.headers().get_all("authorization");
    let value = values.next().and_then(|value| value.to_str().ok()).ok_or_else(missing)?;
    if values.next().is_some() {
        return Err(Error::unauthenticated("more than one Authorization header"));
    }
    let (scheme, token) = value.split_once(' ').ok_or_else(missing)?;
    // A narrowed token grows with every block; beyond this it is not one that a person or program made in earnest.
    if !scheme.eq_ignore_ascii_case("bearer") || token.len() > 8192 { Err(missing()) } else { Ok(token.trim()) }
}

/// Who calls, counted: whoever has made too many requests is refused before anything else is looked at.
async fn admit(request: &HttpRequest) -> Result<(Context, Verdict, Reach)> {
    let (context, verdict, reach) = identify(request)?;
    let services = request.app_data::<Data<Services>>().ok_or_else(|| Error::internal("the services are not wired"))?;
    // A narrowed token of the same session, which may do none of that, must not use up what the session has for it.
    let is_sessions = operation(request).is_some_and(|operation| operation.access == Access::Session);
    let errand = if is_sessions && matches!(verdict, Verdict::Allowed) { Errand::WaysIn } else { Errand::Work };
    services.limits.admit_caller(&context, errand, async { services.db.begin(&context).await.map(drop) }).await?;
    services.api_tokens.note_use(&context);
    Ok((context, verdict, reach))
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let (context, verdict, reach) = admit(&request).await?;
            match verdict {
                Verdict::Allowed => Ok(Self { context, reach }),
                Verdict::Denied => Err(refusal(&context).into()),
            }
        })
    }
}

impl FromRequest for RecordCaller {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let (context, verdict, reach) = admit(&request).await?;
            Ok(Self { context, verdict, reach })
        })
    }
}

impl FromRequest for PartsCaller {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let (context, verdict, reach) = admit(&request).await?;
            match (verdict, &reach) {
                // Of a whole token the role alone decides, and it decides the same for every part.
                (Verdict::Denied, Reach::Whole) => Err(refusal(&context).into()),
                _ => Ok(Self(Caller { context, reach })),
            }
        })
    }
}

// Security is described in one place, `openapi::finish`, from the policy's list.
impl Apiv2Schema for Caller {}
impl Apiv2Schema for RecordCaller {}
impl Apiv2Schema for PartsCaller {}
impl paperclip::actix::OperationModifier for Caller {}
impl paperclip::actix::OperationModifier for RecordCaller {}
impl paperclip::actix::OperationModifier for PartsCaller {}
