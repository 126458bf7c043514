//! Query parameters: the question to a list, and the shape of a record.
//!
//! Must stay true: every parameter is known by name, or the request is refused and told what is allowed; all bad
//! parameters are named at once. A typo in a filter must never quietly return everything.

mod described;
mod given;

use std::{
    future::{Ready, ready},
    marker::PhantomData,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use crm_kernel::{
    Context, Count, Deleted, Direction, Error, Field, FieldError, Filter, ListQuery, Result, Sort,
    fields::{self, names},
    query::{DEFAULT_LIMIT, LARGEST_LIMIT},
};
use paperclip::v2::schema::Apiv2Schema;
use uuid::Uuid;

pub use given::{Given, QueryParameter};

use crate::{problem::Problem, related::Relation, shape::Shape};

/// What can be asked about a noun.
pub trait Noun: 'static {
    /// Its typed fields.
    fn fields() -> &'static [Field];
    /// The order when none is asked for.
    fn default_sort() -> Sort;
    /// What can be embedded.
    const RELATIONS: &'static [Relation];
    /// Whether it has a bin.
    const BIN: bool;
    /// What narrows its lists without being a field of a record, such as the ends of a period.
    fn bounds() -> &'static [Field] {
        &[]
    }
}

/// Pairs of a query string; more than any honest question has are refused.
const MOST_PARAMETERS: usize = 300;

/// The question to a list of `N`, not yet understood.
#[derive(Debug)]
pub struct Question<N> {
    pairs: Vec<(String, String)>,
    noun: PhantomData<N>,
}

/// What a report on `N` is narrowed to: filters only, not yet understood.
#[derive(Debug)]
pub struct Narrowing<N> {
    pairs: Vec<(String, String)>,
    noun: PhantomData<N>,
}

/// How to show one `N`, not yet understood.
#[derive(Debug)]
pub struct Show<N> {
    pairs: Vec<(String, String)>,
    noun: PhantomData<N>,
}

/// How to show one record.
#[derive(Debug, Default)]
pub struct Shown {
    /// Fields and relations.
    pub shape: Shape,
    /// Whether a record in the bin is shown too.
    pub from_bin: bool,
}

impl<N: Noun> Question<N> {
    /// What a list takes beside its filters, for whoever asks for something else.
    const BESIDE_FILTERS: &str = if N::BIN {
        "; and limit, cursor, sort, count, fields, include, deleted"
    } else {
        "; and limit, cursor, sort, count, fields, include"
    };

    /// Understands it for this caller.
    ///
    /// # Errors
    /// `Malformed` with every bad parameter.
    pub fn read(&self, context: &Context) -> Result<(ListQuery, Shape)> {
        self.understand(context, ListQuery::all(N::default_sort()))
    }

    /// The same for a list below a record: only those whose `field` is this id, whatever else is asked.
    ///
    /// # Errors
    /// `Malformed` with every bad parameter.
    pub fn read_within(&self, context: &Context, field: &str, id: Uuid) -> Result<(ListQuery, Shape)> {
        let field = fields::find(N::fields(), field).ok_or_else(|| Error::internal("a list below a record needs its field"))?;
        let mut query = ListQuery::all(N::default_sort());
        query.filter = query.filter.and_id(field, id);
        if self.pairs.iter().any(|(name, _)| name == field.name) {
            return Err(Error::malformed(field.name, "repeated", "the address says it already"));
        }
        self.understand(context, query)
    }

    fn understand(&self, context: &Context, mut query: ListQuery) -> Result<(ListQuery, Shape)> {
        let (mut shape, mut cursor, mut errors) = (Shape::default(), None, Vec::new());
        errors.extend(repeated(&self.pairs, &["limit", "cursor", "sort", "count", "fields", "include", "deleted"]));
        for (name, value) in &self.pairs {
            let understood = match name.as_str() {
                "limit" => limit(value).map(|limit| query.limit = limit),
                "cursor" => {
                    cursor = Some(value);
                    Ok(())
                }
                "sort" => sort::<N>(value).map(|sort| query.sort = sort),
                "count" => boolean("count", value).map(|wanted| query.count = if wanted { Count::Bounded } else { Count::Skip }),
                "fields" => picked::<N>(value).map(|fields| shape.fields = Some(fields)),
                "include" => included::<N>(value).map(|relations| shape.include = relations),
                "deleted" if N::BIN => bin(value).map(|deleted| query.deleted = deleted),
                name => filter::<N>(context, &mut query, name, value, Self::BESIDE_FILTERS),
            };
            errors.extend(understood.err());
        }
        if !errors.is_empty() {
            return Err(Error::Malformed(errors));
        }
        let query = match cursor {
            Some(cursor) => query.continue_after(cursor)?,
            None => query,
        };
        Ok((query, shape))
    }
}

impl<N: Noun> Show<N> {
    /// Understands it.
    ///
    /// # Errors
    /// `Malformed` with every bad parameter.
    pub fn read(&self) -> Result<Shown> {
        let (mut shown, mut errors) = (Shown::default(), Vec::new());
        errors.extend(repeated(&self.pairs, &["fields", "include", "deleted"]));
        for (name, value) in &self.pairs {
            let understood = match name.as_str() {
                "fields" => picked::<N>(value).map(|fields| shown.shape.fields = Some(fields)),
                "include" => included::<N>(value).map(|relations| shown.shape.include = relations),
                "deleted" if N::BIN && value == "include" => {
                    shown.from_bin = true;
                    Ok(())
                }
                "deleted" if N::BIN => Err(FieldError::new("deleted", "value", "expected include")),
                name => Err(FieldError::new(
                    name,
                    "unknown",
                    if N::BIN { "allowed here: fields, include, deleted" } else { "allowed here: fields, include" },
                )),
            };
            errors.extend(understood.err());
        }
        if errors.is_empty() { Ok(shown) } else { Err(Error::Malformed(errors)) }
    }
}

impl<N: Noun> Narrowing<N> {
    /// Understands it for this caller.
    ///
    /// # Errors
    /// `Malformed` with every bad parameter.
    pub fn read(&self, context: &Context) -> Result<Filter> {
        let mut query = ListQuery::all(N::default_sort());
        let errors: Vec<FieldError> =
            self.pairs.iter().filter_map(|(name, value)| filter::<N>(context, &mut query, name, value, "").err()).collect();
        if errors.is_empty() { Ok(query.filter) } else { Err(Error::Malformed(errors)) }
    }
}

/// Those of `once` that are there more than once.
fn repeated(pairs: &[(String, String)], once: &[&'static str]) -> Vec<FieldError> {
    let times = |name: &str| pairs.iter().filter(|(given, _)| given == name).count();
    let twice = once.iter().filter(|name| times(name) > 1);
    twice.map(|name| FieldError::new(*name, "repeated", "may be given once")).collect()
}

fn limit(value: &str) -> Result<u16, FieldError> {
    let number = value.parse().ok().filter(|limit| (1..=LARGEST_LIMIT).contains(limit));
    number.ok_or_else(|| FieldError::new("limit", "value", format!("expected 1 to {LARGEST_LIMIT}; {DEFAULT_LIMIT} when absent")))
}

fn boolean(name: &str, value: &str) -> Result<bool, FieldError> {
    value.parse().map_err(|_| FieldError::new(name, "value", "expected true or false"))
}

fn bin(value: &str) -> Result<Deleted, FieldError> {
    if value == "only" { Ok(Deleted::Only) } else { Err(FieldError::new("deleted", "value", "expected only")) }
}

fn sort<N: Noun>(value: &str) -> Result<Sort, FieldError> {
    let (name, direction) = match value.strip_prefix('-') {
        Some(name) => (name, Direction::Descending),
        None => (value, Direction::Ascending),
    };
    let field = fields::find(N::fields(), name).filter(|field| field.sortable);
    let allowed = || format!("allowed: {}; a leading - turns the order round", names(N::fields(), |field| field.sortable));
    field.map(|field| Sort { field, direction }).ok_or_else(|| FieldError::new("sort", "unknown", allowed()))
}

fn picked<N: Noun>(value: &str) -> Result<Vec<&'static str>, FieldError> {
    let find = |name: &str| fields::find(N::fields(), name).map(|field| field.name);
    let picked: Option<Vec<_>> = value.split(',').map(find).collect();
    picked.ok_or_else(|| FieldError::new("fields", "unknown", format!("allowed: {}", names(N::fields(), |_| true))))
}

fn included<N: Noun>(value: &str) -> Result<Vec<&'static Relation>, FieldError> {
    let find = |name: &str| N::RELATIONS.iter().find(|relation| relation.name == name);
    let included: Option<Vec<_>> = value.split(',').map(find).collect();
    let allowed: Vec<&str> = N::RELATIONS.iter().map(|relation| relation.name).collect();
    included.ok_or_else(|| FieldError::new("include", "unknown", format!("allowed: {}", allowed.join(", "))))
}

fn filter<N: Noun>(context: &Context, query: &mut ListQuery, name: &str, value: &str, beside: &str) -> Result<(), FieldError> {
    let bound = fields::find(N::bounds(), name);
    if bound.is_some_and(|bound| query.filter.terms.iter().any(|term| term.field.name == bound.name)) {
        return Err(FieldError::new(name, "repeated", "may be given once"));
    }
    let Some(field) = bound.or_else(|| fields::find(N::fields(), name).filter(|field| field.filterable)) else {
        let known: Vec<Field> = N::fields().iter().chain(N::bounds()).copied().collect();
        let allowed = names(&known, |field| field.filterable);
        return Err(FieldError::new(name, "unknown", format!("filters here: {allowed}{beside}")));
    };
    query.filter.add(context, field, value)
}

fn pairs(request: &HttpRequest) -> Result<Vec<(String, String)>, Problem> {
    let pairs: Vec<_> =
        form_urlencoded::parse(request.query_string().as_bytes()).into_owned().take(MOST_PARAMETERS + 1).collect();
    if pairs.len() > MOST_PARAMETERS {
        return Err(Problem(Error::malformed("", "too_many", format!("at most {MOST_PARAMETERS} query parameters"))));
    }
    Ok(pairs)
}

/// All three begin as the pairs of the query string; what they mean depends on the caller.
macro_rules! from_query {
    ($name:ident) => {
        impl<N> FromRequest for $name<N> {
            type Error = Problem;
            type Future = Ready<Result<Self, Problem>>;
            fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
                ready(pairs(request).map(|pairs| Self { pairs, noun: PhantomData }))
            }
        }

        impl<N> Apiv2Schema for $name<N> {}
    };
}
from_query!(Question);
from_query!(Show);
from_query!(Narrowing);
