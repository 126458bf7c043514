//! What an operation takes at all: query parameters, headers and a body that it does not know are refused by name.
//!
//! Made of the document of the API, so that a new route has it by itself. Does not live here: what the values mean. Operations that
//! take query parameters read them with the extractors of [`crate::question`], which refuse the others together with bad values.
//! Must stay true: nothing that a client sent to change what happens is silently left aside. A stranger still hears 401 and
//! nothing else.

use std::collections::HashMap;

use actix_web::{
    Error as ActixError, HttpRequest,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, header::HeaderMap},
    middleware::Next,
    web::Data,
};
use crm_kernel::{Error, FieldError};
use serde_json::Value;

use crate::{
    answer::entity_tags,
    caller,
    policy::{self, Access},
    problem::Problem,
    question,
};

/// Headers by which a client asks for something to happen differently. Whoever sends one to an operation that does not honour
/// it believes in a protection that is not there.
const DECISIVE: &[&str] = &[
    "If-Match",
    "If-None-Match",
    "If-Unmodified-Since",
    "Idempotency-Key",
    "Prefer",
    "X-HTTP-Method",
    "X-HTTP-Method-Override",
    "X-Method-Override",
];

/// The same, for which one wrong letter is worth a look: the request would be carried out without its protection.
const PROTECTIVE: &[&str] = &["If-Match", "If-None-Match", "If-Unmodified-Since", "Idempotency-Key"];

/// Headers that say one thing.
const SINGLE: &[&str] = &["Content-Type", "Content-Encoding", "Idempotency-Key"];

/// Headers that are either `*` or a list of entity tags (RFC 9110, 13.1).
const LISTS_OF_TAGS: &[&str] = &["If-Match", "If-None-Match"];

/// Faults that are named; whoever sends more is told the first ones.
const MOST_ERRORS: usize = 50;

/// What every operation of the document takes.
#[derive(Debug, Default)]
pub struct Contract(HashMap<(String, String), Takes>);

#[derive(Debug)]
struct Takes {
    query: bool,
    body: bool,
    headers: Vec<String>,
}

impl Contract {
    /// As the document says it.
    #[must_use]
    pub fn of(document: &Value) -> Self {
        let paths = document.get("paths").and_then(Value::as_object).into_iter().flatten();
        let operations = paths.flat_map(|(path, item)| {
            let methods = item.as_object().into_iter().flatten();
            methods.map(move |(method, operation)| ((method.to_uppercase(), path.clone()), Takes::of(document, operation)))
        });
        Self(operations.collect())
    }

    fn find(&self, method: &Method, pattern: &str) -> Option<&Takes> {
        self.0.get(&(method.as_str().to_owned(), pattern.to_owned()))
    }
}

impl Takes {
    fn of(document: &Value, operation: &Value) -> Self {
        // A parameter that several operations share may be named instead of said.
        let named = |parameter: &Value| document.pointer(parameter.get("$ref")?.as_str()?.strip_prefix('#')?).cloned();
        let said = operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
        let parameters: Vec<Value> = said.map(|parameter| named(parameter).unwrap_or_else(|| parameter.clone())).collect();
        let text = |parameter: &Value, key: &str| parameter.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            query: parameters.iter().any(|parameter| text(parameter, "in") == "query"),
            body: operation.get("requestBody").is_some(),
            headers: parameters
                .iter()
                .filter(|parameter| text(parameter, "in") == "header")
                .map(|parameter| text(parameter, "name"))
                .collect(),
        }
    }

    fn honours(&self, header: &str) -> bool {
        self.headers.iter().any(|known| known.eq_ignore_ascii_case(header))
    }

    /// Everything about the request that the operation would not look at.
    fn faults(&self, request: &HttpRequest) -> Result<Vec<FieldError>, Problem> {
        let mut faults = self.faults_of_headers(request.method(), request.headers());
        let pairs = question::pairs(request)?;
        if percent_encoding::percent_decode_str(request.uri().path()).decode_utf8().is_err() {
            // Read as something else it would name another record.
            faults.push(FieldError::new("", "encoding", "the address is not UTF-8"));
        }
        if !self.query {
            let mut names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            faults.extend(names.iter().map(|name| FieldError::new(*name, "unknown", "this operation takes no query parameters")));
        }
        if !self.body && brings_body(request.headers()) {
            faults.push(FieldError::new("", "body", "this operation takes no body"));
        }
        faults.truncate(MOST_ERRORS);
        Ok(faults)
    }

    fn faults_of_headers(&self, method: &Method, headers: &HeaderMap) -> Vec<FieldError> {
        let mut faults = Vec::new();
        for header in DECISIVE.iter().filter(|header| headers.contains_key(**header) && !self.honours(header)) {
            // To read what one has already costs more and does no harm, and answers with a tag do look at it.
            if *header == "If-None-Match" && method == Method::GET {
                continue;
            }
            faults.push(FieldError::new(*header, "unsupported", "this operation does not honour this header"));
        }
        for (given, meant) in headers.keys().filter_map(|given| Some((given.as_str(), misspelt(given.as_str())?))) {
            faults.push(FieldError::new(given, "unknown", format!("did you mean {meant}?")));
        }
        for header in SINGLE.iter().filter(|header| headers.get_all(**header).count() > 1) {
            faults.push(FieldError::new(*header, "repeated", "may be given once"));
        }
        for header in LISTS_OF_TAGS.iter().filter(|header| mixes_all_with_some(headers, header)) {
            faults.push(FieldError::new(*header, "value", "* stands alone, without any tag beside it"));
        }
        if takes_over(headers) {
            faults.push(FieldError::new("Upgrade", "unsupported", "this server speaks no WebSocket"));
        }
        let encoding = headers.get("content-encoding").filter(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
        if encoding.is_some() {
            faults.push(FieldError::new("Content-Encoding", "unsupported", "send the body as it is, without compressing it"));
        }
        faults
    }
}

/// Whether it says at once that every tag will do and that only these will.
fn mixes_all_with_some(headers: &HeaderMap, header: &str) -> bool {
    let given = headers.get_all(header).filter_map(|value| value.to_str().ok());
    let tags: Vec<&str> = given.flat_map(entity_tags).collect();
    tags.len() > 1 && tags.contains(&"*")
}

/// The protective header that this one is a misspelling of: other separators, an `X-`, one letter wrong, two swapped.
fn misspelt(given: &str) -> Option<&'static str> {
    let letters = |name: &str| name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let plain = letters(given.strip_prefix("x-").unwrap_or(given));
    let known = |name: &&str| DECISIVE.iter().any(|decisive| decisive.eq_ignore_ascii_case(name));
    if known(&given) {
        return None;
    }
    PROTECTIVE.iter().copied().find(|meant| strsim::damerau_levenshtein(&plain, &letters(meant)) <= 1)
}

/// Whether the client goes on in another language on this connection: the HTTP library takes all that follows for it, so that a body
/// would never end, whatever its length.
pub(crate) fn takes_over(headers: &HeaderMap) -> bool {
    headers.get_all("upgrade").any(|protocol| protocol.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket"))
}

fn brings_body(headers: &HeaderMap) -> bool {
    let announced = headers.get("content-length").is_some_and(|length| length.as_bytes() != b"0");
    announced || headers.contains_key("transfer-encoding")
}

/// The middleware.
///
/// # Errors
/// Those of the inner service.
pub async fn keep<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, ActixError> {
    match refusal(&request) {
        None => Ok(next.call(request).await?.map_into_left_body()),
        Some(problem) => Ok(request.error_response(problem).map_into_right_body()),
    }
}

fn refusal(request: &ServiceRequest) -> Option<Problem> {
    let pattern = request.match_pattern()?;
    let takes = request.app_data::<Data<Contract>>()?.find(request.method(), &pattern)?;
    let problem = match takes.faults(request.request()) {
        Ok(faults) if faults.is_empty() => return None,
        Ok(faults) => Problem(Error::Malformed(faults)),
        Err(problem) => problem,
    };
    let needs_token = policy::find(request.method(), &pattern).is_none_or(|operation| operation.access != Access::Public);
    match caller::proof(request.request()) {
        Err(unauthenticated) if needs_token => Some(Problem(unauthenticated)),
        _ => Some(problem),
    }
}
