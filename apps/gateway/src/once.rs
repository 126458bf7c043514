//! `Idempotency-Key`: a request that is sent again is answered again, and not done again.
//!
//! Must stay true: the answer is kept in the transaction of the change, so this is where the transaction of such a request is begun and
//! committed; what a caller may no longer see is not given again.

use std::{
    collections::HashSet,
    future::{Ready, ready},
    marker::PhantomData,
};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest, HttpResponse, Responder,
    body::BoxBody,
    dev::Payload,
    http::{
        StatusCode,
        header::{ETAG, LOCATION},
    },
};
use crm_kernel::{Error, Result};
use crm_tenancy::{
    Tx, bulk,
    idempotency::{self, Request},
};
use paperclip::{
    actix::OperationModifier,
    v2::{
        models::{DataType, DefaultOperationRaw, Either, Header, Parameter, ParameterIn},
        schema::Apiv2Schema,
    },
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    answer::{Created, Definitions, Found},
    body::BodyHash,
    caller::Caller,
    problem::{Answer, Problem},
    services::Services,
};

/// The header that carries the key.
pub const HEADER: &str = "idempotency-key";
/// The header of an answer that was given before.
const REPLAYED: &str = "Idempotency-Replayed";
/// Characters of a key at most.
const LONGEST: usize = 255;

/// The key that a request carries, if it carries one.
#[derive(Debug)]
pub struct RequestKey {
    request: HttpRequest,
    key: Option<String>,
}

impl RequestKey {
    /// Whether there is one.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.key.is_some()
    }

    /// To be asked when the body is there: its hash is a part of it.
    pub(crate) fn request(&self) -> Option<Request> {
        let key = self.key.clone()?;
        let body_hash = self.request.extensions().get::<BodyHash>().map_or_else(|| Sha256::digest([]).into(), |hash| hash.0);
        Some(Request { route: route(&self.request), key, body_hash })
    }
}

/// Method and address in one spelling, however an id was written.
fn route(request: &HttpRequest) -> String {
    let pattern = request.match_pattern().unwrap_or_else(|| request.path().to_owned());
    let named = request.match_info().iter();
    let address = named.fold(pattern, |address, (name, value)| {
        let value = value.parse::<Uuid>().map_or_else(|_| value.to_owned(), |id| id.to_string());
        address.replace(&format!("{{{name}}}"), &value)
    });
    format!("{} {address}", request.method())
}

impl FromRequest for RequestKey {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut keys = request.headers().get_all(HEADER);
        let (first, second) = (keys.next(), keys.next());
        let readable = |key: &str| (1..=LONGEST).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        let key = first.map(|key| key.to_str().ok().filter(|key| readable(key)).map(ToOwned::to_owned));
        ready(match (key, second) {
            (None, _) => Ok(Self { request: request.clone(), key: None }),
            (Some(Some(key)), None) => Ok(Self { request: request.clone(), key: Some(key) }),
            _ => {
                let message = format!("send it once, with 1 to {LONGEST} visible ASCII characters, such as a UUID");
                Err(Problem(Error::malformed("Idempotency-Key", "value", message)))
            }
        })
    }
}

impl Apiv2Schema for RequestKey {}

impl OperationModifier for RequestKey {
    fn update_parameter(operation: &mut DefaultOperationRaw) {
        let described = "Chosen by the client, once for each request: sent again within 24 hours with the same body, the request is not done \
                         again and gets its first answer.";
        operation.parameters.push(Either::Right(Parameter {
            name: "Idempotency-Key".into(),
            description: Some(described.into()),
            in_: ParameterIn::Header,
            data_type: Some(DataType::String),
            min_length: Some(1),
            max_length: u32::try_from(LONGEST).ok(),
            pattern: Some("^[!-~]+$".into()),
            ..Default::default()
        }));
    }
}

/// An answer in a form that can be kept.
#[derive(Debug)]
pub struct Kept {
    /// 200 to 299.
    pub status: StatusCode,
    /// Its entity tag.
    pub etag: Option<String>,
    /// The address of what was made.
    pub location: Option<String>,
    /// JSON.
    pub body: Vec<u8>,
}

/// An answer that may be given again.
pub trait Repeatable {
    /// As it can be kept.
    ///
    /// # Errors
    /// `Internal` when it cannot be written as JSON.
    fn kept(self) -> Result<Kept>;

    /// Whether anything was done: a refusal is not kept, and judged again when it is asked again.
    fn has_changed(&self) -> bool {
        true
    }

    /// The body that is given again, when of its records only these may still be seen.
    ///
    /// # Errors
    /// `NotFound` when nothing is left to be shown.
    fn again(body: Vec<u8>, gone: &HashSet<Uuid>, noun: &'static str) -> Result<Vec<u8>> {
        if gone.is_empty() { Ok(body) } else { Err(Error::NotFound(noun)) }
    }
}

impl<T> Repeatable for Created<T> {
    fn kept(self) -> Result<Kept> {
        let (etag, location) = (Some(self.found.tag), Some(self.location));
        Ok(Kept { status: StatusCode::CREATED, etag, location, body: self.found.body })
    }
}

impl<T> Repeatable for Found<T> {
    fn kept(self) -> Result<Kept> {
        Ok(Kept { status: StatusCode::OK, etag: Some(self.tag), location: None, body: self.body })
    }
}

/// The answer `T`, given for the first time or again.
#[derive(Debug)]
pub struct Once<T> {
    answer: Kept,
    replayed: bool,
    kind: PhantomData<T>,
}

impl<T: Repeatable> Once<T> {
    /// For what is not kept.
    ///
    /// # Errors
    /// `Internal` when it cannot be written as JSON.
    pub fn first(answer: T) -> Result<Self> {
        Ok(Self { answer: answer.kept()?, replayed: false, kind: PhantomData })
    }

    /// For what was kept and shows no record.
    ///
    /// # Errors
    /// `Internal` when it was not kept whole.
    pub(crate) fn again(known: idempotency::Answer) -> Result<Self> {
        let body = known.body.ok_or_else(|| Error::internal("an answer that is kept has a body"))?;
        let answer = Kept { status: status_of(known.status)?, etag: known.etag, location: known.location, body };
        Ok(Self { answer, replayed: true, kind: PhantomData })
    }
}

fn status_of(kept: i16) -> Result<StatusCode> {
    let status = u16::try_from(kept).ok().and_then(|status| StatusCode::from_u16(status).ok());
    status.ok_or_else(|| Error::internal("an answer that is kept has a status"))
}

/// Does the work in a transaction, or gives the answer that it had when it was done. `work` says which records it shows.
///
/// # Errors
/// Those of the work; `Conflict` while it is being done, `Invalid` when the key came with another body before.
pub async fn once<N: bulk::Noun, T: Repeatable>(
    key: &RequestKey,
    services: &Services,
    caller: &Caller,
    work: impl AsyncFnOnce(&mut Tx) -> Result<(T, Vec<Uuid>)>,
) -> Answer<Once<T>> {
    let mut tx = services.db.begin(&caller.context).await?;
    match answered::<N, T>(&mut tx, key.request(), services, caller, work).await {
        Ok(answer) => {
            tx.commit().await?;
            Ok(answer)
        }
        Err(refusal) => {
            // Whoever sends it again at once, perhaps mended, must not find that it is still being done.
            if key.is_there() {
                tx.roll_back().await;
            }
            Err(refusal.into())
        }
    }
}

/// The answer, which counts when the transaction is committed.
async fn answered<N: bulk::Noun, T: Repeatable>(
    tx: &mut Tx,
    request: Option<Request>,
    services: &Services,
    caller: &Caller,
    work: impl AsyncFnOnce(&mut Tx) -> Result<(T, Vec<Uuid>)>,
) -> Result<Once<T>> {
    if let Some(request) = &request
        && let Some(known) = idempotency::claim(tx, request).await?
    {
        return Ok(Once { answer: again::<N, T>(tx, services, caller, known).await?, replayed: true, kind: PhantomData });
    }
    let (done, record_ids) = work(tx).await?;
    let has_changed = done.has_changed();
    let answer = done.kept()?;
    if let Some(request) = request.as_ref().filter(|_| has_changed) {
        let known = idempotency::Answer {
            status: i16::try_from(answer.status.as_u16()).map_err(Error::internal)?,
            etag: answer.etag.clone(),
            location: answer.location.clone(),
            body: Some(answer.body.clone()),
            record_ids,
        };
        idempotency::keep(tx, request, known).await?;
    }
    Ok(Once { answer, replayed: false, kind: PhantomData })
}

async fn again<N: bulk::Noun, T: Repeatable>(
    tx: &mut Tx,
    services: &Services,
    caller: &Caller,
    known: idempotency::Answer,
) -> Result<Kept> {
    let Some(body) = known.body else {
        let message = "this was done, but its answer was too large to be kept: read the records";
        return Err(Error::Conflict(vec![crm_kernel::FieldError::new("Idempotency-Key", "answer_not_kept", message)]));
    };
    let mut gone: HashSet<Uuid> = known.record_ids.iter().copied().collect();
    for record in N::living(tx, &known.record_ids).await? {
        // It may be another token of the same person that sends the request again.
        match caller.may_read(services, N::ENTITY.name, Some(N::id(&record))) {
            Ok(()) => drop(gone.remove(&N::id(&record))),
            Err(Error::Forbidden(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let status = status_of(known.status)?;
    let (etag, location) = (known.etag, known.location);
    Ok(Kept { status, etag, location, body: T::again(body, &gone, N::ENTITY.name)? })
}

impl<T> Responder for Once<T> {
    type Body = BoxBody;
    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let mut answer = HttpResponse::build(self.answer.status);
        if let Some(etag) = self.answer.etag {
            answer.insert_header((ETAG, etag));
        }
        if let Some(location) = self.answer.location {
            answer.insert_header((LOCATION, location));
        }
        if self.replayed {
            answer.insert_header((REPLAYED, "true"));
        }
        answer.content_type("application/json").body(self.answer.body)
    }
}

impl<T: Apiv2Schema> Apiv2Schema for Once<T> {}

impl<T: OperationModifier> OperationModifier for Once<T> {
    fn update_response(operation: &mut DefaultOperationRaw) {
        T::update_response(operation);
        for answer in operation.responses.values_mut() {
            if let Either::Right(answer) = answer {
                answer.headers.insert(REPLAYED.into(), Header::default());
            }
        }
    }
    fn update_definitions(map: &mut Definitions) {
        T::update_definitions(map);
    }
}
