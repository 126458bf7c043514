//! Values that no two records share: ids, slugs, e-mail addresses. Compared within the file and with what is there.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use crm_kernel::{CompanyId, FieldError, slug::slugify};
use serde_json::json;
use tokio_postgres::Client;

use crate::import::nouns::{Definition, Unique};
use crate::import::references::References;
use crate::import::rows::Row;

const SLUG: &str = "slug";
/// Characters of chance behind a slug that is taken, as the service of companies adds them.
const CHANCE: usize = 8;

/// Names every value that is taken, then gives companies without a slug one that is free.
pub async fn settle(admin: &Client, references: &References, noun: &Definition, rows: &mut [Row]) -> Result<()> {
    for unique in noun.unique {
        let made = if unique.field == SLUG { slugs_to_make(rows) } else { Vec::new() };
        let wanted: Vec<String> = values(rows, unique).chain(made.iter().map(|(_, slug)| slug.clone())).collect();
        let taken = taken(admin, references, unique, &wanted).await?;
        let mut seen = name_taken(rows, unique, &taken);
        seen.extend(taken.into_iter().map(|value| (value, 0)));
        make_slugs(rows, made, &mut seen);
    }
    Ok(())
}

fn values<'a>(rows: &'a [Row], unique: &'a Unique) -> impl Iterator<Item = String> + 'a {
    rows.iter().filter_map(|row| row.text(unique.field)).map(str::to_lowercase)
}

async fn taken(admin: &Client, references: &References, unique: &Unique, wanted: &[String]) -> Result<HashSet<String>> {
    if wanted.is_empty() {
        return Ok(HashSet::new());
    }
    let found = admin.query(unique.taken, &[&references.organization_id, &wanted]).await?;
    found.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Adds a problem to each row whose value is taken; gives all values of the file with their lines.
fn name_taken(rows: &mut [Row], unique: &Unique, taken: &HashSet<String>) -> HashMap<String, u64> {
    let mut seen: HashMap<String, u64> = HashMap::new();
    for row in rows {
        let Some(value) = row.text(unique.field).map(str::to_lowercase) else { continue };
        let message = match seen.get(&value) {
            _ if taken.contains(&value) => Some("another record has this value".to_owned()),
            Some(line) => Some(format!("line {line} has the same value")),
            None => None,
        };
        row.problems.extend(message.map(|message| FieldError::new(format!("/{}", unique.field), "unique", message)));
        seen.entry(value).or_insert(row.line);
    }
    seen
}

/// The rows without a slug, by their place, with the one that their name gives.
fn slugs_to_make(rows: &[Row]) -> Vec<(usize, String)> {
    let without = rows.iter().enumerate().filter(|(_, row)| row.text(SLUG).is_none());
    without.filter_map(|(place, row)| Some((place, slugify(row.text("name")?, "company")))).collect()
}

fn make_slugs(rows: &mut [Row], made: Vec<(usize, String)>, seen: &mut HashMap<String, u64>) {
    for (place, plain) in made {
        let Some(row) = rows.get_mut(place) else { continue };
        let slug = if seen.contains_key(&plain) { with_chance(&plain) } else { plain };
        row.values.insert(SLUG.into(), json!(slug));
        seen.insert(slug, row.line);
    }
}

fn with_chance(plain: &str) -> String {
    let chance = CompanyId::generate().to_string();
    let tail = chance.get(chance.len().saturating_sub(CHANCE)..).unwrap_or_default();
    format!("{plain}-{tail}")
}
