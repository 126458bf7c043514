//! Answers: what a handler returns, with its status and headers, and how the document of the API describes it.

use std::marker::PhantomData;

use actix_web::{
    HttpRequest, HttpResponse, Responder,
    body::BoxBody,
    http::{
        StatusCode,
        header::{ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION},
    },
};
use crm_kernel::{Error, Expected, Page, PageInfo, Result};
use paperclip::{
    actix::OperationModifier,
    v2::{
        models::{DataType, DefaultOperationRaw, DefaultSchemaRaw, Either, Header, Response},
        schema::Apiv2Schema,
    },
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A record with an address, a version and so an entity tag.
pub trait Record: Serialize {
    /// Its id.
    fn id(&self) -> Uuid;
    /// Its version.
    fn version(&self) -> i32;
}

/// 200 with a page of `T`.
#[derive(Debug)]
pub struct Listed<T> {
    body: Vec<u8>,
    kind: PhantomData<T>,
}

/// 200 with a record of `T` and its ETag, or 304 when the client has it.
#[derive(Debug)]
pub struct Found<T> {
    pub(crate) body: Vec<u8>,
    pub(crate) tag: String,
    kind: PhantomData<T>,
}

/// 201 with a record of `T`, its ETag and its address.
#[derive(Debug)]
pub struct Created<T> {
    pub(crate) found: Found<T>,
    pub(crate) location: String,
}

/// 201 with a `T` that has no version, and its address.
#[derive(Debug)]
pub struct Placed<T> {
    body: Vec<u8>,
    location: String,
    kind: PhantomData<T>,
}

/// 200 with a `T` that has no version.
#[derive(Debug)]
pub struct Plain<T>(pub T);

/// 201 with a `T` that has no address.
#[derive(Debug)]
pub struct Made<T>(pub T);

/// 202 with a `T`: something will be done.
#[derive(Debug)]
pub struct Promised<T>(pub T);

/// 204.
#[derive(Debug)]
pub struct Empty;

impl<T> Listed<T> {
    /// From a page whose records may already be in another shape than `T`.
    ///
    /// # Errors
    /// `Internal` when it cannot be written as JSON.
    pub fn new<U: Serialize>(page: &Page<U>) -> Result<Self> {
        Ok(Self { body: json(page)?, kind: PhantomData })
    }
}

impl<T: Record> Found<T> {
    /// The whole record behind a change of it: `If-Match` looks at the version alone.
    ///
    /// # Errors
    /// `Internal` when it cannot be written as JSON.
    pub fn plain(record: &T) -> Result<Self> {
        Ok(Self { body: json(record)?, tag: format!("\"{}\"", record.version()), kind: PhantomData })
    }

    /// What a read shows, the record itself, a part of it, or more than it: the tag must differ from that of other shapes, and change when an
    /// embedded record does or a field that is no part of the version, so it carries a digest of the body.
    ///
    /// # Errors
    /// `Internal` when it cannot be written as JSON.
    pub fn shaped<U: Serialize>(version: i32, record: &U) -> Result<Self> {
        let body = json(record)?;
        let digest: String = Sha256::digest(&body).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { body, tag: format!("\"{version}-{digest}\""), kind: PhantomData })
    }
}

impl<T: Record> Created<T> {
    /// The whole record at its address.
    ///
    /// # Errors
    /// `Internal` when it cannot be written as JSON.
    pub fn new(location: String, record: &T) -> Result<Self> {
        Ok(Self { found: Found::plain(record)?, location })
    }
}

impl<T: Serialize> Placed<T> {
    /// The whole of it, at its address.
    ///
    /// # Errors
    /// `Internal` when it cannot be written as JSON.
    pub fn new(location: String, made: &T) -> Result<Self> {
        Ok(Self { body: json(made)?, location, kind: PhantomData })
    }
}

/// Which versions `If-Match` accepts; `*` accepts every one of a record that is there, and stands alone: [`crate::contract`] sees to it. Tags carry the version before any digest; weak tags and tags of others match
/// nothing, as RFC 9110 says.
#[must_use]
pub fn if_match(request: &HttpRequest) -> Expected {
    let mut versions = Vec::new();
    let mut any_header = false;
    for header in request.headers().get_all(IF_MATCH) {
        any_header = true;
        for tag in entity_tags(header.to_str().unwrap_or_default()) {
            if tag == "*" {
                return Expected::Present;
            }
            versions.extend(version_of(tag));
        }
    }
    if any_header { Expected::OneOf(versions) } else { Expected::Any }
}

/// The tags of a list of them. A comma within quotes is part of a tag.
pub(crate) fn entity_tags(list: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let parts = list.split(move |letter: char| {
        quoted ^= letter == '"';
        letter == ',' && !quoted
    });
    parts.map(str::trim).filter(|tag| !tag.is_empty())
}

fn version_of(tag: &str) -> Option<i32> {
    let inside = tag.strip_prefix('"')?.strip_suffix('"')?;
    let (version, digest) = inside.split_once('-').map_or((inside, None), |(version, digest)| (version, Some(digest)));
    let number: i32 = version.parse().ok()?;
    // Only as it was written: `+1` and `01` are tags of somebody else.
    let ours = number.to_string() == version && digest.is_none_or(|digest| digest.len() == 16);
    ours.then_some(number)
}

pub(crate) fn json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(Error::internal)
}

fn with_json(status: StatusCode, body: Vec<u8>) -> HttpResponse {
    HttpResponse::build(status).content_type("application/json").body(body)
}

impl<T> Responder for Listed<T> {
    type Body = BoxBody;
    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        with_json(StatusCode::OK, self.body)
    }
}

impl<T> Responder for Found<T> {
    type Body = BoxBody;
    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let known = request.headers().get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
        let mut known = known.flat_map(entity_tags);
        let is_read = request.method() == actix_web::http::Method::GET;
        if is_read && known.any(|tag| tag == "*" || tag.trim_start_matches("W/") == self.tag) {
            return HttpResponse::NotModified().insert_header((ETAG, self.tag)).finish();
        }
        HttpResponse::Ok().insert_header((ETAG, self.tag)).content_type("application/json").body(self.body)
    }
}

impl<T> Responder for Created<T> {
    type Body = BoxBody;
    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let mut answer = HttpResponse::Created();
        answer.insert_header((ETAG, self.found.tag)).insert_header((LOCATION, self.location));
        answer.content_type("application/json").body(self.found.body)
    }
}

/// A value as the body of an answer of this status.
fn value<T: Serialize>(status: StatusCode, value: &T) -> HttpResponse {
    match json(value) {
        Ok(body) => with_json(status, body),
        Err(error) => HttpResponse::from_error(crate::problem::Problem(error)),
    }
}

impl<T> Responder for Placed<T> {
    type Body = BoxBody;
    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let mut answer = HttpResponse::Created();
        answer.insert_header((LOCATION, self.location)).content_type("application/json").body(self.body)
    }
}

impl<T: Serialize> Responder for Plain<T> {
    type Body = BoxBody;
    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        value(StatusCode::OK, &self.0)
    }
}

impl<T: Serialize> Responder for Made<T> {
    type Body = BoxBody;
    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        value(StatusCode::CREATED, &self.0)
    }
}

impl<T: Serialize> Responder for Promised<T> {
    type Body = BoxBody;
    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        value(StatusCode::ACCEPTED, &self.0)
    }
}

impl Responder for Empty {
    type Body = BoxBody;
    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::NoContent().finish()
    }
}

/// A reference to the definition of `T`.
pub(crate) fn reference<T: Apiv2Schema>() -> DefaultSchemaRaw {
    let mut schema = T::schema_with_ref();
    schema.retain_ref();
    schema
}

fn page_of<T: Apiv2Schema>() -> DefaultSchemaRaw {
    let list =
        DefaultSchemaRaw { data_type: Some(DataType::Array), items: Some(Box::new(reference::<T>())), ..Default::default() };
    let mut page = DefaultSchemaRaw { data_type: Some(DataType::Object), ..Default::default() };
    page.properties.insert("data".into(), Box::new(list));
    page.properties.insert("page".into(), Box::new(reference::<PageInfo>()));
    page.required.extend(["data".to_owned(), "page".to_owned()]);
    page
}

pub(crate) fn answers(
    operation: &mut DefaultOperationRaw,
    status: &str,
    description: &str,
    headers: &[&str],
    schema: Option<DefaultSchemaRaw>,
) {
    // What each header is, `openapi` says.
    let headers = headers.iter().map(|name| ((*name).to_owned(), Header::default())).collect();
    let response = Response { description: Some(description.into()), schema, headers };
    operation.responses.insert(status.into(), Either::Right(response));
}

pub(crate) type Definitions = std::collections::BTreeMap<String, DefaultSchemaRaw>;

pub(crate) fn define<T: Apiv2Schema>(map: &mut Definitions) {
    <actix_web::web::Json<T> as OperationModifier>::update_definitions(map);
}

macro_rules! documented {
    ($name:ident, $status:literal, $description:literal, $headers:expr, $schema:ident) => {
        impl<T: Apiv2Schema> Apiv2Schema for $name<T> {}

        impl<T: Apiv2Schema> OperationModifier for $name<T> {
            fn update_response(operation: &mut DefaultOperationRaw) {
                answers(operation, $status, $description, &$headers, Some($schema::<T>()));
            }
            fn update_definitions(map: &mut Definitions) {
                define::<T>(map);
                define::<PageInfo>(map);
            }
        }
    };
}
documented!(Listed, "200", "A page", [], page_of);
documented!(Found, "200", "The record", ["ETag"], reference);
documented!(Created, "201", "Created", ["ETag", "Location"], reference);
documented!(Placed, "201", "Created", ["Location"], reference);
documented!(Plain, "200", "OK", [], reference);
documented!(Made, "201", "Made", [], reference);
documented!(Promised, "202", "Will be done", [], reference);

impl Apiv2Schema for Empty {}

impl OperationModifier for Empty {
    fn update_response(operation: &mut DefaultOperationRaw) {
        answers(operation, "204", "Done", &[], None);
    }
}
