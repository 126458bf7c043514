//! Who calls: from the bearer token and nothing else, as a [`Context`].
//!
//! [`Caller`] refuses at once what the policy denies. [`RecordCaller`] is for changes of one record: there the promised
//! order is 404 before 403, so the refusal waits until the record has been looked for.
//! Must stay true: no tenant, user or role is ever taken from a header, a query or a body.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload, web::Data};
use crm_kernel::{Context, Error, Result};
use crm_tenancy::token::{Use, Verdict};
use paperclip::v2::schema::Apiv2Schema;
use uuid::Uuid;

use crate::{
    current,
    policy::{self, Access},
    problem::Problem,
    services::Services,
};

/// A caller who may do this.
#[derive(Debug)]
pub struct Caller {
    /// Pass it to the services.
    pub context: Context,
}

/// A caller who may or may not change the record.
#[derive(Debug)]
pub struct RecordCaller {
    /// For looking the record up; for the change itself use what [`RecordCaller::allowed`] returns.
    pub context: Context,
    verdict: Verdict,
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
}

fn refusal(context: &Context) -> Error {
    Error::forbidden(format!("the role {} or this token may not do this", context.role))
}

fn identify(request: &HttpRequest) -> Result<(Context, Verdict)> {
    let services = request.app_data::<Data<Services>>().ok_or_else(|| Error::internal("the services are not wired"))?;
    let pattern = request.match_pattern().unwrap_or_default();
    let operation = policy::find(request.method(), &pattern);
    let token = bearer(request)?;
    let name = operation.map_or("unknown", |operation| operation.name);
    // One spelling: a check on the record must hold however the address writes its id.
    let resource =
        request.match_info().get("id").map(|id| id.parse::<Uuid>().map_or_else(|_| id.to_owned(), |id| id.to_string()));
    let wanted = Use {
        operation: name,
        entity: name.split(':').next().unwrap_or_default(),
        access: operation.map_or("none", |operation| operation.access.word()),
        resource: resource.as_deref(),
    };
    let (claims, verdict) = services.policy.decide(token, &services.key, &wanted)?;
    current::note_caller(&claims.organization_id.to_string(), &claims.user_id.to_string());
    let mut context = Context::new(claims.organization_id, claims.user_id, claims.role);
    context.session_id = Some(claims.session_id);
    context.request_id = current::id();
    context.ip = request.peer_addr().map(|address| address.ip());
    context.user_agent = request.headers().get("user-agent").map(|agent| String::from_utf8_lossy(agent.as_bytes()).into_owned());
    if operation.is_some_and(|operation| operation.access == Access::Read) {
        context.access = crm_kernel::Access::ReadOnly;
    }
    Ok((context, verdict))
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

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = identify(request).and_then(|(context, verdict)| match verdict {
            Verdict::Allowed => Ok(Self { context }),
            Verdict::Denied => Err(refusal(&context)),
        });
        ready(caller.map_err(Problem))
    }
}

impl FromRequest for RecordCaller {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(identify(request).map(|(context, verdict)| Self { context, verdict }).map_err(Problem))
    }
}

// Security is described in one place, `openapi::finish`, from the policy's list.
impl Apiv2Schema for Caller {}
impl Apiv2Schema for RecordCaller {}
impl paperclip::actix::OperationModifier for Caller {}
impl paperclip::actix::OperationModifier for RecordCaller {}
