//! What a line says to people.
//!
//! Must stay true: no id is shown as text, whatever the log has; of a note or task in the bin nothing is quoted.

use crm_kernel::{Actor, Object, UserId};
use serde_json::Value;
use uuid::Uuid;

use super::store::{Known, Line};

/// Fields that name a member.
const PEOPLE: &[&str] = &["owner_id", "assigned_to_id", "project_manager_id"];
/// Of a text, so many characters are shown.
const LONGEST_QUOTE: usize = 120;
/// Values of a change are shown when they are no longer than this.
const LONGEST_VALUE: usize = 60;
/// So many changed fields are named.
const MOST_FIELDS: usize = 3;

/// The members that a change names.
pub(super) fn people(changes: Option<&Object>) -> Vec<UserId> {
    let values = PEOPLE.iter().filter_map(|field| change(changes, field));
    values.flat_map(|(before, after)| [person(before), person(after)]).flatten().collect()
}

/// The sentence of a line.
pub(super) fn of(line: &Line, known: &Known) -> String {
    let who = who(line, known);
    let changes = line.changes.as_ref();
    match (line.entity_type.as_str(), line.activity_type.as_str()) {
        ("note", kind) => about_note(line, &who, kind),
        ("campaign_contact", "created") => joined(line, &who),
        ("campaign_contact", "status_changed") => match status(changes) {
            Some((_, now)) => format!("A member of the campaign is {now} now"),
            None => "A member of the campaign went on".into(),
        },
        ("campaign_contact", _) => format!("{who} took a member out of the campaign"),
        ("external_id", "created") => format!("{who} linked it with another system"),
        ("external_id", _) => format!("{who} changed its link with another system"),
        ("contact_company", kind) => part(&who, kind, "a company"),
        ("deal_contact", kind) => part(&who, kind, "a contact"),
        ("deal_line_item" | "contact_point", kind) => part(&who, kind, &name(line, "a part")),
        (_, "created") => format!("{who} {} {}", if line.entity_type == "task" { "added" } else { "created" }, subject(line)),
        (_, "deleted") => format!("{who} moved {} to the bin", subject(line)),
        (_, "restored") => format!("{who} brought {} back from the bin", subject(line)),
        (_, "purged") => format!("{} was removed for good", capital(&subject(line))),
        (_, "stage_changed") => moved(line, &who, known),
        ("task", "status_changed") if status(changes).is_some_and(|(_, now)| now == "completed") => {
            format!("{who} completed {}", subject(line))
        }
        (_, "status_changed") => match status(changes) {
            Some((before, now)) => format!("{who} changed the status of {} from {before} to {now}", subject(line)),
            None => format!("{who} changed the status of {}", subject(line)),
        },
        _ => updated(line, &who, known),
    }
}

fn who(line: &Line, known: &Known) -> String {
    match (line.user_id.and_then(|id| known.members.get(&id)), line.actor_kind) {
        (Some(name), _) => name.clone(),
        (None, Actor::System) => "The CRM".into(),
        (None, Actor::Service) => "A service".into(),
        (None, Actor::User) => "A member".into(),
    }
}

/// What the record is called, with its kind where the name alone does not say it.
fn subject(line: &Line) -> String {
    let kind = words(&line.entity_type);
    match (&line.description, line.entity_type.as_str()) {
        (Some(name), "task") if !line.is_deleted && !name.is_empty() => format!("the task {}", quoted(name)),
        (Some(name), "company" | "contact" | "deal" | "project" | "campaign") if !name.is_empty() => shortened(name),
        _ => format!("the {kind}"),
    }
}

fn name(line: &Line, otherwise: &str) -> String {
    line.description.as_deref().filter(|name| !name.is_empty()).map_or_else(|| otherwise.to_owned(), shortened)
}

fn about_note(line: &Line, who: &str, kind: &str) -> String {
    match (kind, line.description.as_deref()) {
        ("created", Some(text)) if !line.is_deleted => format!("{who} wrote: {}", quoted(text)),
        ("created", _) => format!("{who} wrote a note"),
        ("deleted", _) => format!("{who} moved a note to the bin"),
        ("restored", _) => format!("{who} brought a note back from the bin"),
        ("purged", _) => "A note was removed for good".into(),
        _ => match change(line.changes.as_ref(), "is_pinned") {
            Some((_, Value::Bool(true))) => format!("{who} pinned a note"),
            Some((_, Value::Bool(false))) => format!("{who} took the pin off a note"),
            _ => format!("{who} changed a note"),
        },
    }
}

/// A contact's page has the campaign and how far the contact is; a campaign's page has who added somebody.
fn joined(line: &Line, who: &str) -> String {
    if line.user_id.is_some() || !line.fields.is_empty() {
        return format!("{who} added a contact to the campaign");
    }
    let campaign =
        line.description.as_deref().map_or_else(|| "a campaign".to_owned(), |name| format!("the campaign {}", quoted(name)));
    match status(line.changes.as_ref()) {
        Some((_, now)) if now != "pending" => format!("Joined {campaign}: {now}"),
        _ => format!("Joined {campaign}"),
    }
}

fn part(who: &str, kind: &str, what: &str) -> String {
    match kind {
        "created" => format!("{who} added {what}"),
        "deleted" => format!("{who} took {what} out"),
        _ => format!("{who} changed {what}"),
    }
}

fn moved(line: &Line, who: &str, known: &Known) -> String {
    let label = |key: &Value| key.as_str().map(|key| known.stages.get(key).cloned().unwrap_or_else(|| capital(&words(key))));
    let stages = change(line.changes.as_ref(), "stage").and_then(|(from, to)| Some((label(from)?, label(to)?)));
    match stages {
        Some((from, to)) => format!("{who} moved {} from {from} to {to}", subject(line)),
        None => format!("{who} moved {} to another stage", subject(line)),
    }
}

fn updated(line: &Line, who: &str, known: &Known) -> String {
    let (changes, what) = (line.changes.as_ref(), subject(line));
    if let [field] = line.fields.as_slice() {
        let Some((before, after)) = change(changes, field) else {
            return format!("{who} changed the {} of {what}", words(field));
        };
        if matches!(field.as_str(), "owner_id" | "assigned_to_id") {
            return match person(after) {
                None if after.is_null() => format!("{who} left {what} without an owner"),
                id => {
                    let name = id.and_then(|id| known.members.get(&id)).map_or("another member", String::as_str);
                    format!("{who} gave {what} to {name}")
                }
            };
        }
        return match (field.ends_with("_id"), shown(before), shown(after)) {
            (false, Some(before), Some(after)) => {
                format!("{who} changed the {} of {what} from {before} to {after}", words(field))
            }
            (false, None, Some(after)) if before.is_null() => format!("{who} set the {} of {what} to {after}", words(field)),
            (false, Some(_), None) if after.is_null() => format!("{who} emptied the {} of {what}", words(field)),
            _ => format!("{who} changed the {} of {what}", words(field)),
        };
    }
    let named: Vec<String> = line.fields.iter().take(MOST_FIELDS).map(|field| words(field)).collect();
    match (named.split_last(), line.fields.len().saturating_sub(MOST_FIELDS)) {
        (None, _) => format!("{who} changed {what}"),
        (Some((last, before)), 0) => format!("{who} changed {} and {last} of {what}", before.join(", ")),
        (Some(_), more) => format!("{who} changed {} and {more} more of {what}", named.join(", ")),
    }
}

/// Before and after of whichever field is the status.
fn status(changes: Option<&Object>) -> Option<(String, String)> {
    let (_, pair) = changes?.0.iter().find(|(field, _)| *field == "status" || field.ends_with("_status"))?;
    let word = |place: usize| pair.get(place).and_then(Value::as_str).map(words).unwrap_or_default();
    Some((word(0), word(1)))
}

fn change<'a>(changes: Option<&'a Object>, field: &str) -> Option<(&'a Value, &'a Value)> {
    let pair = changes?.0.get(field)?;
    Some((pair.get(0)?, pair.get(1)?))
}

fn person(value: &Value) -> Option<UserId> {
    value.as_str()?.parse().ok()
}

/// A value that people can read, if it is one.
fn shown(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        _ => return None,
    };
    let readable =
        !text.is_empty() && text.chars().count() <= LONGEST_VALUE && !text.contains('\n') && Uuid::try_parse(&text).is_err();
    readable.then_some(text)
}

/// `expected_close_date` as people write it.
fn words(name: &str) -> String {
    name.strip_suffix("_id").unwrap_or(name).replace('_', " ")
}

fn capital(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
}

fn quoted(text: &str) -> String {
    format!("\u{201c}{}\u{201d}", shortened(text))
}

/// One line, and not too long.
fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_QUOTE) {
        Some((end, _)) => format!("{}\u{2026}", line.get(..end).unwrap_or_default().trim_end()),
        None => line,
    }
}
