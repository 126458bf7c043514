//! What each column of the file means. Names are those of the API's fields, in any case.
//!
//! Besides them: `custom.<key>` and `<object>.<key>` (`billing_address.country`) fill one key of an object; `owner` takes an
//! e-mail address, `company`, `parent` and `contact` take what people call the record. A name that means nothing is refused, because
//! silently losing a column would be noticed too late.

use std::collections::HashSet;

use anyhow::{Result, bail};
use crm_kernel::{Field, Kind, fields};

use crate::import::nouns::Definition;

/// Shown by the API and never set by anyone.
const READ_ONLY: [&str; 8] =
    ["created_by_id", "updated_at", "deleted_at", "version", "base_amount", "base_rate", "base_rate_on", "rots_at"];
const CUSTOM: &str = "custom.";

#[derive(Clone, Debug)]
pub enum Target {
    /// The whole field.
    Whole(&'static Field),
    /// One key of an object.
    Key(&'static Field, String),
    /// This field, through what people call the record it refers to.
    ByName(&'static str),
}

#[derive(Debug)]
pub struct Columns {
    pub targets: Vec<Target>,
    names: Vec<String>,
}

impl Columns {
    pub fn of(header: &[String], noun: &Definition) -> Result<Self> {
        let found: Vec<Option<Target>> = header.iter().map(|name| target(name.trim(), noun)).collect();
        let unknown: Vec<&str> =
            header.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(name, _)| name.as_str()).collect();
        if !unknown.is_empty() {
            bail!("{} have no column called {}; known are {}", noun.plural, quoted(&unknown), known(noun));
        }
        let columns = Self { targets: found.into_iter().flatten().collect(), names: header.to_vec() };
        columns.refuse_doubles()?;
        Ok(columns)
    }

    /// Whether any column fills this field.
    pub fn fill(&self, field: &str) -> bool {
        self.targets.iter().any(|target| target.field() == field)
    }

    fn refuse_doubles(&self) -> Result<()> {
        let mut seen = HashSet::new();
        for (target, name) in self.targets.iter().zip(&self.names) {
            let key = if let Target::Key(_, key) = target { key.as_str() } else { "" };
            if !seen.insert((target.field(), key)) {
                bail!("the column {name} fills what another column fills already");
            }
        }
        Ok(())
    }
}

impl Target {
    pub fn field(&self) -> &'static str {
        match self {
            Self::Whole(field) | Self::Key(field, _) => field.name,
            Self::ByName(field) => field,
        }
    }
}

fn target(name: &str, noun: &Definition) -> Option<Target> {
    let plain = name.to_ascii_lowercase();
    if let Some((_, field)) = noun.by_name.iter().find(|(column, _)| *column == plain) {
        return Some(Target::ByName(field));
    }
    let (whole, key) = match plain.strip_prefix(CUSTOM) {
        // Keys of custom fields are the organisation's own: their case stays.
        Some(_) => ("custom_fields", name.get(CUSTOM.len()..)),
        None => (plain.as_str(), None),
    };
    let (whole, key) = key
        .map_or_else(|| whole.split_once('.').map_or((whole, None), |(field, key)| (field, Some(key))), |key| (whole, Some(key)));
    let field = writable(noun).find(|field| field.name == whole)?;
    match key {
        None => Some(Target::Whole(field)),
        Some(key) => (field.kind == Kind::Object && !key.is_empty()).then(|| Target::Key(field, key.to_owned())),
    }
}

fn writable(noun: &Definition) -> impl Iterator<Item = &'static Field> {
    noun.fields.iter().filter(|field| !READ_ONLY.contains(&field.name))
}

fn known(noun: &Definition) -> String {
    let by_name: Vec<&str> = noun.by_name.iter().map(|(column, _)| *column).collect();
    let fields = fields::names(noun.fields, |field| !READ_ONLY.contains(&field.name));
    format!("{fields}, {}, custom.<key>", by_name.join(", "))
}

fn quoted(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::{Columns, Target};
    use crate::import::nouns::Noun;

    fn columns(names: &[&str]) -> anyhow::Result<Columns> {
        let header: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Columns::of(&header, &Noun::Companies.definition())
    }

    #[test]
    fn names_are_taken_in_any_case_and_keys_of_custom_fields_keep_theirs() {
        let found = columns(&["Name", "OWNER", "billing_address.country", "Custom.Year Founded", "tags"]).expect("known");
        let fields: Vec<&str> = found.targets.iter().map(Target::field).collect();
        assert_eq!(fields, ["name", "owner_id", "billing_address", "custom_fields", "tags"]);
        assert!(matches!(&found.targets[3], Target::Key(_, key) if key == "Year Founded"));
    }

    #[test]
    fn unknown_read_only_and_double_columns_are_refused_by_name() {
        let error = columns(&["name", "Nmae", "version", "", "name.x"]).expect_err("unknown").to_string();
        assert!(error.contains("`Nmae`, `version`, ``, `name.x`"), "{error}");
        assert!(columns(&["owner", "owner_id"]).is_err());
        assert!(columns(&["custom.a", "custom.b"]).is_ok());
    }
}
