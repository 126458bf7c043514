//! Query parameters: the question to a list, and the shape of a record.
//!
//! Must stay true: every parameter is known by name, or the request is refused and told what is allowed; all bad
//! parameters are named at once. A typo in a filter must never quietly return everything.

mod custom;
pub(crate) mod described;
mod given;
mod known;
mod paged;
mod periods;
mod search;
mod timeline;

use std::{
    future::{Ready, ready},
    marker::PhantomData,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use crm_kernel::{
    Condition, Context, Count, Deleted, Direction, Error, Field, FieldError, Filter, ListQuery, Result, Sort, Timestamp,
    Vocabulary,
    fields::{self, names},
    filter::Moment,
    query::{DEFAULT_LIMIT, LARGEST_LIMIT},
};
use crm_tenancy::custom_fields::RecordKind;
use paperclip::v2::schema::Apiv2Schema;
use uuid::Uuid;

use self::custom::Defined;
use crate::{caller::Caller, problem::Problem, related::Relation, services::Services, shape::Shape};

pub use given::{Given, QueryParameter};
pub use known::FieldList;
pub use paged::Paged;
pub use periods::Periods;
pub use search::SearchRequest;
pub(crate) use search::{asked_at, in_where};
pub use timeline::TimelineParameters;

/// The question below a record, for what hangs on it in another way too.
pub(crate) fn letting_in<N: Noun>(query: ListQuery, field: &str, also: impl Iterator<Item = Uuid>) -> ListQuery {
    let (Some(field), Some(own)) = (fields::find(N::fields(), field), fields::find(N::fields(), "id")) else { return query };
    let also: Vec<Uuid> = also.collect();
    ListQuery { filter: query.filter.letting_in(field, own, &also), ..query }
}

/// What can be asked about a noun.
pub trait Noun: 'static {
    /// What its cursors say that they are of: `contact`.
    const NAME: &'static str;
    /// Its typed fields.
    fn fields() -> &'static [Field];
    /// All that a filter may name: the fields, and those of the records it points to.
    fn vocabulary() -> Vocabulary {
        Vocabulary { fields: Self::fields(), parents: &[] }
    }
    /// The order when none is asked for.
    fn default_sort() -> Sort;
    /// What can be embedded.
    const RELATIONS: &'static [Relation];
    /// Whether it has a bin.
    const BIN: bool;
    /// Whose custom fields its records have, if they have any.
    const CUSTOM: Option<RecordKind> = None;
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
        "; and filter, limit, cursor, sort, count, fields, include, deleted"
    } else {
        "; and filter, limit, cursor, sort, count, fields, include"
    };

    /// Understands it for this caller.
    ///
    /// # Errors
    /// `Malformed` with every bad parameter.
    pub async fn read(&self, services: &Services, caller: &Caller) -> Result<(ListQuery, Shape)> {
        self.understand(services, caller, every::<N>()).await
    }

    /// The same for a list below a record: only those whose `field` is this id, whatever else is asked.
    ///
    /// # Errors
    /// `Malformed` with every bad parameter.
    pub async fn read_within(&self, services: &Services, caller: &Caller, field: &str, id: Uuid) -> Result<(ListQuery, Shape)> {
        let field = self.said_by_address(field)?;
        let mut query = every::<N>();
        query.filter = query.filter.and_id(field, id);
        self.understand(services, caller, query).await
    }

    /// The same for what can be about several kinds of record: only what is about this record of this kind. An id alone does not say it,
    /// clients choose ids and records of two kinds may have the same.
    ///
    /// # Errors
    /// `Malformed` with every bad parameter.
    pub async fn read_about(&self, services: &Services, caller: &Caller, kind: &str, id: Uuid) -> Result<(ListQuery, Shape)> {
        let (of_kind, of_id) = (self.said_by_address("related_to_type")?, self.said_by_address("related_to_id")?);
        let mut query = every::<N>();
        query.filter = query.filter.and_word(of_kind, kind).and_id(of_id, id);
        self.understand(services, caller, query).await
    }

    fn said_by_address(&self, field: &str) -> Result<&'static Field> {
        let field = fields::find(N::fields(), field).ok_or_else(|| Error::internal("a list below a record needs its field"))?;
        if self.pairs.iter().any(|(name, _)| name == field.name) {
            return Err(Error::malformed(field.name, "repeated", "the address says it already"));
        }
        Ok(field)
    }

    async fn understand(&self, services: &Services, caller: &Caller, mut query: ListQuery) -> Result<(ListQuery, Shape)> {
        let (mut shape, mut cursor, mut condition, mut errors) = (Shape::default(), None, None, Vec::new());
        let defined = Defined::of::<N>(services, caller, mentions_custom_fields(&self.pairs)).await?;
        errors.extend(repeated(&self.pairs, &["filter", "limit", "cursor", "sort", "count", "fields", "include", "deleted"]));
        for (name, value) in &self.pairs {
            let understood = match name.as_str() {
                "filter" => parsed::<N>(value, &defined).map(|parsed| condition = Some(parsed)),
                "limit" => limit(value).map(|limit| query.limit = limit),
                "cursor" => {
                    cursor = Some(value);
                    Ok(())
                }
                "sort" => sort::<N>(&mut query, value, &defined),
                "count" => boolean("count", value).map(|wanted| query.count = counted(wanted)),
                "fields" => picked::<N>(value.split(',')).map(|fields| shape.fields = Some(fields)),
                "include" => included::<N>(value.split(',')).map(|relations| shape.include = relations),
                "deleted" if N::BIN => bin(value).map(|deleted| query.deleted = deleted),
                name => filter::<N>(&caller.context, &mut query.filter, (name, value), &defined, Self::BESIDE_FILTERS),
            };
            errors.extend(understood.err());
        }
        if !errors.is_empty() {
            return Err(Error::Malformed(errors));
        }
        query.filter = narrowed(services, caller, query.filter, condition).await?;
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
                "fields" => picked::<N>(value.split(',')).map(|fields| shown.shape.fields = Some(fields)),
                "include" => included::<N>(value.split(',')).map(|relations| shown.shape.include = relations),
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
    pub async fn read(&self, services: &Services, caller: &Caller) -> Result<Filter> {
        read_filter::<N>(services, caller, &self.pairs, &[], |_, _| None).await
    }
}

/// The filter among these pairs. `other` understands what else may be there, each once, or leaves it.
async fn read_filter<N: Noun>(
    services: &Services,
    caller: &Caller,
    pairs: &[(String, String)],
    others: &[&'static str],
    mut other: impl FnMut(&str, &str) -> Option<Result<(), FieldError>>,
) -> Result<Filter> {
    let (mut terms, mut condition, mut errors) = (Filter::default(), None, Vec::new());
    let defined = Defined::of::<N>(services, caller, mentions_custom_fields(pairs)).await?;
    let beside = format!("; and {}", [&["filter"], others].concat().join(", "));
    errors.extend(repeated(pairs, &[&["filter"], others].concat()));
    for (name, value) in pairs {
        let understood = match (name.as_str(), other(name, value)) {
            (_, Some(understood)) => understood,
            ("filter", None) => parsed::<N>(value, &defined).map(|parsed| condition = Some(parsed)),
            (name, None) => filter::<N>(&caller.context, &mut terms, (name, value), &defined, &beside),
        };
        errors.extend(understood.err());
    }
    if errors.is_empty() { narrowed(services, caller, terms, condition).await } else { Err(Error::Malformed(errors)) }
}

/// The filter that also demands the condition, which means what it means to this caller now. Their time zone and team are asked for
/// only when they decide something. Whoever may not read a parent may not find out about it by asking for it.
pub(crate) async fn narrowed(
    services: &Services,
    caller: &Caller,
    filter: Filter,
    condition: Option<Condition>,
) -> Result<Filter> {
    let Some(condition) = condition else { return Ok(filter) };
    condition.parents().into_iter().try_for_each(|parent| caller.may_read(services, parent.entity, None))?;
    let (context, now) = (&caller.context, Timestamp::now());
    let team = if condition.names_team() {
        caller.may_read(services, "member", None)?;
        services.members.team_mates(context).await?
    } else {
        Vec::new()
    };
    let moment = if condition.depends_on_time_zone() {
        let member = services.members.get(context, context.user_id).await?;
        Moment::new(context.user_id, now, &member.time_zone)
    } else {
        Ok(Moment::utc(context.user_id, now))
    };
    let moment = moment.map(|moment| moment.with_team(team));
    moment.and_then(|moment| filter.and(condition, &moment)).map_err(|error| Error::Malformed(vec![error]))
}

/// The whole list, first page.
pub(crate) fn every<N: Noun>() -> ListQuery {
    ListQuery { of: N::NAME, ..ListQuery::all(N::default_sort()) }
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

fn parsed<N: Noun>(text: &str, defined: &Defined) -> Result<Condition, FieldError> {
    let vocabulary = N::vocabulary();
    Condition::parse_with(text, &defined.known(&vocabulary))
}

/// Whether any name or value could be about custom fields.
fn mentions_custom_fields(pairs: &[(String, String)]) -> bool {
    pairs.iter().any(|(name, value)| name.contains(custom::FIELD) || value.contains(custom::FIELD))
}

fn sort<N: Noun>(query: &mut ListQuery, value: &str, defined: &Defined) -> Result<(), FieldError> {
    let (name, direction) = match value.strip_prefix('-') {
        Some(name) => (name, Direction::Descending),
        None => (value, Direction::Ascending),
    };
    if N::CUSTOM.is_some() && name.starts_with(custom::PREFIX) {
        return defined.sort(query, name, direction);
    }
    let field = fields::find(N::fields(), name).filter(|field| field.sortable);
    let allowed = || format!("allowed: {}; a leading - turns the order round", names(N::fields(), |field| field.sortable));
    let sort = field.map(|field| Sort { field, direction }).ok_or_else(|| FieldError::new("sort", "unknown", allowed()))?;
    query.sort = sort;
    Ok(())
}

fn counted(wanted: bool) -> Count {
    if wanted { Count::Bounded } else { Count::Skip }
}

fn picked<'n, N: Noun>(wanted: impl Iterator<Item = &'n str>) -> Result<Vec<&'static str>, FieldError> {
    let picked: Option<Vec<_>> = wanted.map(|name| fields::find(N::fields(), name).map(|field| field.name)).collect();
    picked.ok_or_else(|| FieldError::new("fields", "unknown", format!("allowed: {}", names(N::fields(), |_| true))))
}

fn included<'n, N: Noun>(wanted: impl Iterator<Item = &'n str>) -> Result<Vec<&'static Relation>, FieldError> {
    let included: Option<Vec<_>> = wanted.map(|name| N::RELATIONS.iter().find(|relation| relation.name == name)).collect();
    let allowed: Vec<&str> = N::RELATIONS.iter().map(|relation| relation.name).collect();
    included.ok_or_else(|| FieldError::new("include", "unknown", format!("allowed: {}", allowed.join(", "))))
}

fn filter<N: Noun>(
    context: &Context,
    filter: &mut Filter,
    (name, value): (&str, &str),
    defined: &Defined,
    beside: &str,
) -> Result<(), FieldError> {
    let bound = fields::find(N::bounds(), name);
    if bound.is_some_and(|bound| filter.narrows(bound)) {
        return Err(FieldError::new(name, "repeated", "may be given once"));
    }
    if let (Some(custom), Some(object)) = (defined.find(name), fields::find(N::fields(), custom::FIELD)) {
        return filter.add_custom(context, object, custom, value);
    }
    let Some(field) = bound.or_else(|| fields::find(N::fields(), name).filter(|field| field.filterable)) else {
        let known: Vec<Field> = N::fields().iter().chain(N::bounds()).copied().collect();
        let allowed = names(&known, |field| field.filterable);
        return Err(FieldError::new(name, "unknown", format!("filters here: {allowed}{beside}")));
    };
    filter.add(context, field, value)
}

/// The pairs of the query string.
///
/// # Errors
/// `Malformed` when there are too many, or bytes that are no text: they would be asked for as something else.
pub(crate) fn pairs(request: &HttpRequest) -> Result<Vec<(String, String)>, Problem> {
    if percent_encoding::percent_decode_str(request.query_string()).decode_utf8().is_err() {
        return Err(Problem(Error::malformed("", "encoding", "the query string is not UTF-8")));
    }
    let pairs: Vec<_> =
        form_urlencoded::parse(request.query_string().as_bytes()).into_owned().take(MOST_PARAMETERS + 1).collect();
    if pairs.len() > MOST_PARAMETERS {
        return Err(Problem(Error::malformed("", "too_many", format!("at most {MOST_PARAMETERS} query parameters"))));
    }
    Ok(pairs)
}

/// All of them begin as the pairs of the query string; what they mean depends on the caller.
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
from_query!(Paged);
from_query!(Periods);
