//! How the document of the API describes the query parameters: from the typed fields, so that it cannot say less or more.

use crm_kernel::{
    Field, Kind, Operator,
    fields::names,
    filter::bounds::{LONGEST_TEXT, MOST_VALUES},
    query::{DEFAULT_LIMIT, LARGEST_LIMIT},
};
use paperclip::{
    actix::OperationModifier,
    v2::models::{CollectionFormat, DataType, DataTypeFormat, DefaultOperationRaw, Either, Items, Parameter, ParameterIn},
};
use serde_json::{Value, json};

use super::{Narrowing, Noun, Paged, Question, Show, custom};
use crate::openapi::views;

impl<N: Noun> OperationModifier for Narrowing<N> {
    fn update_parameter(operation: &mut DefaultOperationRaw) {
        operation.parameters.push(Either::Right(filter_text::<N>()));
        for field in N::fields().iter().filter(|field| field.filterable) {
            operation.parameters.push(Either::Right(filter_parameter(field)));
        }
    }
}

impl<N: Noun> OperationModifier for Paged<N> {
    fn update_parameter(operation: &mut DefaultOperationRaw) {
        let cursor = "Where to go on: `page.next_cursor` of what was shown before, with the same filter.";
        for parameter in [limit_parameter(), parameter("cursor", cursor, DataType::String)] {
            operation.parameters.push(Either::Right(parameter));
        }
        Narrowing::<N>::update_parameter(operation);
    }
}

impl<N: Noun> OperationModifier for Question<N> {
    fn update_parameter(operation: &mut DefaultOperationRaw) {
        let mut add = |parameter| operation.parameters.push(Either::Right(parameter));
        add(limit_parameter());
        add(parameter(
            "cursor",
            "Where to go on: `page.next_cursor` of the page before, with the same filter and sort.",
            DataType::String,
        ));
        let mut sort = parameter(
            "sort",
            "One key; a leading `-` turns the order round. Records without a value come last.",
            DataType::String,
        );
        let sortable = N::fields().iter().filter(|field| field.sortable);
        sort.enum_ = sortable.flat_map(|field| [field.name.into(), format!("-{}", field.name).into()]).collect();
        if N::CUSTOM.is_some() {
            // Beside the closed list, in the document.
            sort.pattern = Some(custom::SORT.into());
            let custom = "or `custom_fields.` and the key of a custom field that is indexed";
            sort.description = sort.description.map(|text| format!("{text} One of the listed keys, {custom}."));
        }
        add(sort);
        add(parameter("count", "Whether to count what matches, up to a bound.", DataType::Boolean));
        if N::BIN {
            let mut deleted = parameter("deleted", "`only` lists the bin; for owner and admin.", DataType::String);
            deleted.enum_ = vec!["only".into()];
            add(deleted);
        }
        add(filter_text::<N>());
        for field in N::fields().iter().filter(|field| field.filterable) {
            add(filter_parameter(field));
        }
        for bound in N::bounds() {
            add(bound_parameter(bound));
        }
        shape_parameters::<N>(&mut add);
    }
}

impl<N: Noun> OperationModifier for Show<N> {
    fn update_parameter(operation: &mut DefaultOperationRaw) {
        let mut add = |parameter| operation.parameters.push(Either::Right(parameter));
        if N::BIN {
            let mut deleted =
                parameter("deleted", "`include` shows a record in the bin too; for owner and admin.", DataType::String);
            deleted.enum_ = vec!["include".into()];
            add(deleted);
        }
        shape_parameters::<N>(&mut add);
    }
}

pub(super) type Described = Parameter<paperclip::v2::models::DefaultSchemaRaw>;

pub(super) fn parameter(name: &str, description: &str, data_type: DataType) -> Described {
    Parameter {
        name: name.into(),
        description: Some(description.into()),
        in_: ParameterIn::Query,
        data_type: Some(data_type),
        ..Default::default()
    }
}

fn limit_parameter() -> Described {
    let mut limit = parameter("limit", &format!("Records per page, 1 to {LARGEST_LIMIT}."), DataType::Integer);
    (limit.minimum, limit.maximum, limit.default) = (Some(1.0), Some(f32::from(LARGEST_LIMIT)), Some(DEFAULT_LIMIT.into()));
    limit
}

/// The language, beside the short form: both together mean and.
fn filter_text<N: Noun>() -> Described {
    let fields = names(N::fields(), |field| field.comparable);
    let parents: String = N::vocabulary().parents.iter().map(|parent| format!(", {}.…", parent.name)).collect();
    let description = format!(
        "A condition of the filter language, such as `name ~ \"acme\" AND created_at > now() - 30d`, over {fields}{parents}. Narrows beside \
         the parameters of single fields{}.",
        if N::CUSTOM.is_some() { ", which custom fields are too: `custom_fields.region=eu`" } else { "" }
    );
    let mut filter = parameter("filter", &description, DataType::String);
    filter.max_length = u32::try_from(LONGEST_TEXT).ok();
    filter
}

/// The JSON form of the language. Written by hand, because it contains itself.
pub fn condition() -> Value {
    let operators: Vec<&str> = Operator::ALL.iter().map(|operator| operator.as_str()).collect();
    let itself = json!({ "$ref": "#/components/schemas/FilterCondition" });
    let value = json!({
        "anyOf": [
            { "type": "string" },
            { "type": "number" },
            { "type": "boolean" },
            { "type": "array", "items": {} },
            {
                "type": "object",
                "description": "A moment or the caller, in the words of the language: `now() - 30d`, `today()`, `me`.",
                "required": ["expression"],
                "additionalProperties": false,
                "properties": { "expression": { "type": "string" } },
            },
        ],
        "nullable": true,
        "description": "A value of the field's kind; a list of them for `in`, and if wanted for `:`; null asks whether it is missing.",
    });
    let field = json!({
        "type": "string", "description": "A field of the record, `parent.field` of one it points to, or `object.key`.",
        "example": "company_status",
    });
    let one = |required: Value, properties: Value| json!({ "type": "object", "additionalProperties": false, "required": required, "properties": properties });
    json!({
        "type": "object",
        "description": "One of: `and` or `or` with a list of conditions; `not` with one; or a comparison: `field`, `op` and `value`.",
        "anyOf": [
            one(json!(["and"]), json!({ "and": { "type": "array", "items": itself, "description": "Each of these holds." } })),
            one(json!(["or"]), json!({ "or": { "type": "array", "items": itself, "description": "At least one of these holds." } })),
            one(json!(["not"]), json!({ "not": { "allOf": [itself], "description": "This does not hold." } })),
            one(
                json!(["field", "op", "value"]),
                json!({ "field": field, "op": { "type": "string", "enum": operators }, "value": value }),
            ),
        ],
    })
}

/// A list of alternatives: `company_status=lead&company_status=prospect`.
fn filter_parameter(field: &Field) -> Described {
    let mut items = Items { data_type: Some(DataType::String), ..Default::default() };
    let id = "[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}";
    let null = if field.nullable { "|null" } else { "" };
    match field.kind {
        Kind::Choice(words) => items.enum_ = words.iter().map(|word| (*word).into()).collect(),
        Kind::Date => items.pattern = Some(format!("^([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}{null})$")),
        Kind::Id => items.pattern = Some(format!("^({id}{null})$")),
        Kind::Member => items.pattern = Some(format!("^({id}|me{null})$")),
        Kind::Integer => items.pattern = Some(format!("^(-?[0-9]{{1,9}}{null})$")),
        Kind::Decimal => items.pattern = Some(format!("^(-?[0-9]{{1,15}}(\\.[0-9]{{1,3}})?{null})$")),
        Kind::Boolean => items.pattern = Some(format!("^(true|false{null})$")),
        Kind::Text | Kind::Caseless | Kind::Tags => items.max_length = u32::try_from(LONGEST_TEXT).ok(),
        Kind::Timestamp | Kind::Object => {}
    }
    if field.nullable && matches!(field.kind, Kind::Choice(_)) {
        items.enum_.push("null".into());
    }
    let description = match field.kind {
        Kind::Member => "Any of these members; `me` is the caller.",
        Kind::Tags => "Carries any of these tags.",
        Kind::Caseless => "Any of these values, in upper or lower case.",
        Kind::Date => "Any of these dates.",
        _ => "Any of these values.",
    };
    let mut parameter = parameter(field.name, description, DataType::Array);
    parameter.items = Some(items);
    parameter.max_items = u32::try_from(MOST_VALUES).ok();
    parameter.collection_format = Some(CollectionFormat::Multi);
    parameter
}

/// An end of a period.
fn bound_parameter(bound: &Field) -> Described {
    let mut parameter = parameter(bound.name, "The end of a period, as RFC 3339; the later end is outside.", DataType::String);
    parameter.format = Some(DataTypeFormat::DateTime);
    parameter
}

fn shape_parameters<N: Noun>(add: &mut impl FnMut(Described)) {
    let fields = names(N::fields(), |_| true);
    let mut picked = parameter("fields", &format!("Only these fields, separated by commas: {fields}."), DataType::String);
    picked.pattern = Some(views::pattern(N::fields().iter().map(|field| field.name)));
    add(picked);
    views::note(N::RELATIONS);
    if !N::RELATIONS.is_empty() {
        let relations: Vec<&str> = N::RELATIONS.iter().map(|relation| relation.name).collect();
        let description = format!("Embed related records, separated by commas: {}.", relations.join(", "));
        let mut embedded = parameter("include", &description, DataType::String);
        embedded.pattern = Some(views::pattern(relations.into_iter()));
        add(embedded);
    }
}
