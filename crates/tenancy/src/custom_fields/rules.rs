//! What a definition must keep, alone and as a whole. No SQL here.

use crm_kernel::{Error, FieldError, Result, validation};
use serde_json::Value;

use super::model::{ConversionRequest, CustomFieldChanges, CustomFieldDefinition, NewCustomField, Options};

const MOST_OPTIONS: usize = 200;
const LONGEST_NAME: usize = 50;
const LONGEST_LABEL: usize = 100;

/// A key: a lower case letter, then lower case letters, digits and `_`.
pub(super) fn machine_name(key: &str, (): &()) -> garde::Result {
    let fits = key.len() <= LONGEST_NAME
        && key.starts_with(|first: char| first.is_ascii_lowercase())
        && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if fits { Ok(()) } else { Err(garde::Error::new("format: a lower case letter, then letters, digits and _, at most 50")) }
}

/// Bounded, each with a key of its own, a label, and a colour that is one.
pub(super) fn options(options: &Options, (): &()) -> garde::Result {
    let options = &options.0;
    if options.len() > MOST_OPTIONS {
        return Err(garde::Error::new(format!("too_many: at most {MOST_OPTIONS} options")));
    }
    for (index, option) in options.iter().enumerate() {
        let name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let named = option.key.len() <= LONGEST_NAME
            && option.key.bytes().next().is_some_and(name)
            && option.key.bytes().all(|byte| name(byte) || byte == b'_' || byte == b'-');
        if !named {
            return Err(garde::Error::new(format!(
                "option: the key of option {index} has lower case letters, digits, _ and -, at most 50"
            )));
        }
        if options.iter().take(index).any(|earlier| earlier.key == option.key) {
            return Err(garde::Error::new(format!("duplicate: the key of option {index} is there twice")));
        }
        let label = option.label.as_str();
        if label.trim().is_empty() || label.chars().count() > LONGEST_LABEL || label.contains('\0') {
            return Err(garde::Error::new(format!(
                "option: the label of option {index} must have 1 to {LONGEST_LABEL} characters"
            )));
        }
        if option.color.as_deref().is_some_and(|color| !is_color(color)) {
            return Err(garde::Error::new(format!("option: the colour of option {index} must be #rrggbb")));
        }
    }
    Ok(())
}

fn is_color(color: &str) -> bool {
    color.strip_prefix('#').is_some_and(|digits| digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The new field, its default value in the normal form.
pub(super) fn judged_new(mut new: NewCustomField) -> Result<NewCustomField> {
    let mut faults = faults_of(&new);
    faults.extend(as_a_whole(&new, new.default_value.as_ref()));
    if faults.is_empty() {
        new.default_value = normal(&new, new.default_value.as_ref(), &mut faults);
    }
    none(faults).map(|()| new)
}

/// The changes, the default value in the normal form.
pub(super) fn judged_change(field: &CustomFieldDefinition, mut changes: CustomFieldChanges) -> Result<CustomFieldChanges> {
    let mut faults = faults_of(&changes);
    if field.retired_at.is_some() {
        faults.push(FieldError::new("", "retired", "a retired field cannot be changed: bring it back first"));
    }
    let options = changes.options.as_ref().unwrap_or(&field.options);
    let missing = field.options.0.iter().find(|old| !options.0.iter().any(|option| option.key == old.key));
    if let Some(missing) = missing {
        let message = format!("the option {} may be retired, but not removed: records have it", missing.key);
        faults.push(FieldError::new("/options", "option_removed", message));
    }
    let default = changes.default_value.clone().unwrap_or_else(|| field.default_value.clone());
    let whole = NewCustomField {
        id: None,
        entity: field.entity,
        key: field.key.clone(),
        label: field.label.clone(),
        help_text: None,
        field_type: field.field_type,
        options: options.clone(),
        required: changes.required.unwrap_or(field.required),
        unique: changes.unique.unwrap_or(field.unique),
        indexed: changes.indexed.unwrap_or(field.indexed),
        default_value: None,
        position: 0,
    };
    faults.extend(as_a_whole(&whole, default.as_ref()));
    // Retiring the option that new records get takes another default, or none.
    if faults.is_empty() && (changes.default_value.is_some() || changes.options.is_some()) {
        let normal = normal(&whole, default.as_ref(), &mut faults);
        changes.default_value = changes.default_value.map(|_| normal);
    }
    none(faults).map(|()| changes)
}

/// Whether the field may become what is asked for.
pub(super) fn judge_conversion(field: &CustomFieldDefinition, request: &ConversionRequest) -> Result<()> {
    let mut faults = faults_of(request);
    if field.retired_at.is_some() {
        faults.push(FieldError::new("", "retired", "a retired field cannot be converted: bring it back first"));
    }
    if field.field_type == request.field_type {
        faults.push(FieldError::new("/field_type", "same", "it has this type already"));
    }
    if request.field_type.is_reference() {
        faults.push(FieldError::new("/field_type", "conversion", "nothing can become a reference: make a field of its own"));
    }
    if field.unique {
        faults.push(FieldError::new("/field_type", "unique", "a unique field cannot be converted: turn that off first"));
    }
    faults.extend(options_fit(request.field_type.has_options(), &request.options));
    none(faults)
}

fn as_a_whole(field: &NewCustomField, default: Option<&Value>) -> Vec<FieldError> {
    let mut faults = Vec::new();
    faults.extend(options_fit(field.field_type.has_options(), &field.options));
    let mut fault = |broken: bool, pointer: &str, message: String| {
        if broken {
            faults.push(FieldError::new(pointer, "type", message));
        }
    };
    let word = field.field_type.as_str();
    fault(field.unique && !field.field_type.may_be_unique(), "/unique", format!("a field of type {word} cannot be unique"));
    fault(field.indexed && !field.field_type.is_sortable(), "/indexed", format!("values of type {word} have no order to keep"));
    fault(
        field.unique && default.is_some_and(|value| !value.is_null()),
        "/default_value",
        "a unique field has no default: the second record would collide".into(),
    );
    faults
}

fn options_fit(wanted: bool, options: &Options) -> Option<FieldError> {
    match (wanted, options.0.is_empty()) {
        (true, true) => Some(FieldError::new("/options", "required", "a choice has at least one option")),
        (false, false) => Some(FieldError::new("/options", "type", "only a choice has options")),
        _ => None,
    }
}

/// A default is for new records: of what is offered to them.
fn normal(field: &NewCustomField, value: Option<&Value>, faults: &mut Vec<FieldError>) -> Option<Value> {
    match field.field_type.normal(&field.options.offered(), value?) {
        Ok(normal) => normal,
        Err(misfit) => {
            faults.push(FieldError::new("/default_value", misfit.code, misfit.message));
            None
        }
    }
}

fn faults_of<T: garde::Validate<Context = ()>>(input: &T) -> Vec<FieldError> {
    input.validate().err().map(|report| validation::field_errors(&report)).unwrap_or_default()
}

fn none(faults: Vec<FieldError>) -> Result<()> {
    if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
}
