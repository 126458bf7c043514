//! The organisation that is imported into, and what its rows may refer to: members, companies, contacts.
//!
//! Read once and held in memory, so that every row can be judged without a question to the database.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result};
use crm_kernel::FieldError;
use tokio_postgres::Client;

use crate::import::columns::Columns;

const MEMBERS: &str = "SELECT user_id::text, lower(email), NULL FROM memberships JOIN users ON users.id = user_id
     WHERE organization_id = $1::text::uuid AND status = 'active' AND deleted_at IS NULL";
const COMPANIES: &str = "SELECT id::text, lower(name), slug FROM crm_companies
     WHERE organization_id = $1::text::uuid AND deleted_at IS NULL";
const CONTACTS: &str = "SELECT id::text, lower(email), NULL FROM crm_contacts
     WHERE organization_id = $1::text::uuid AND deleted_at IS NULL";
/// Fields that refer to another record, and where those records are found.
const DIRECTORIES: [(&str, &str); 4] =
    [("owner_id", MEMBERS), ("company_id", COMPANIES), ("parent_id", COMPANIES), ("primary_contact_id", CONTACTS)];

pub struct References {
    pub organization_id: String,
    /// In whose name the import runs, and who owns what names no owner.
    pub owner_id: String,
    by_field: HashMap<&'static str, Directory>,
}

/// Records by id and by what people call them.
#[derive(Default)]
struct Directory {
    ids: HashSet<String>,
    /// No two have the same.
    slugs: HashMap<String, String>,
    /// In lower case; a name that several share is there without an id.
    names: HashMap<String, Option<String>>,
}

impl References {
    pub async fn load(admin: &Client, organization: &str, columns: &Columns) -> Result<Self> {
        let row = admin
            .query_opt(
                "SELECT organizations.id::text, user_id::text
                   FROM organizations JOIN memberships ON organization_id = organizations.id JOIN users ON users.id = user_id
                  WHERE slug = $1 AND role = 'owner' AND status = 'active'
                    AND organizations.deleted_at IS NULL AND users.deleted_at IS NULL
                  ORDER BY memberships.created_at, user_id LIMIT 1",
                &[&organization],
            )
            .await?;
        let row = row.with_context(|| {
            format!("there is no organisation `{organization}` with an owner: `cargo xtask seed` makes the demo one")
        })?;
        let (organization_id, owner_id): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let mut by_field = HashMap::new();
        for (field, query) in DIRECTORIES.into_iter().filter(|(field, _)| columns.fill(field)) {
            by_field.insert(field, Directory::load(admin, query, &organization_id).await?);
        }
        Ok(Self { organization_id, owner_id, by_field })
    }

    /// The id of what people call so.
    pub fn by_name(&self, field: &str, name: &str) -> Result<&str, FieldError> {
        let unknown = || problem(field, "reference", format!("there is no {name} here"));
        let directory = self.by_field.get(field).ok_or_else(unknown)?;
        if let Some(id) = directory.slugs.get(name.trim()) {
            return Ok(id);
        }
        match directory.names.get(&name.trim().to_lowercase()) {
            Some(Some(id)) => Ok(id),
            Some(None) => Err(problem(field, "ambiguous", format!("several are called {name}: give the slug or the id"))),
            None => Err(unknown()),
        }
    }

    /// Whether a field that refers to a record refers to one that is there; other fields always do.
    pub fn check_id(&self, field: &str, id: &str) -> Result<(), FieldError> {
        match self.by_field.get(field) {
            Some(directory) if !directory.ids.contains(id) => Err(problem(field, "reference", "no such record".into())),
            _ => Ok(()),
        }
    }
}

impl Directory {
    async fn load(admin: &Client, query: &str, organization_id: &str) -> Result<Self> {
        let mut directory = Self::default();
        for row in admin.query(query, &[&organization_id]).await? {
            let (id, name, slug): (String, Option<String>, Option<String>) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            if let Some(name) = name {
                directory.name(name, &id);
            }
            directory.slugs.extend(slug.map(|slug| (slug, id.clone())));
            directory.ids.insert(id);
        }
        Ok(directory)
    }

    fn name(&mut self, name: String, id: &str) {
        let known = self.names.entry(name).or_insert_with(|| Some(id.to_owned()));
        if known.as_deref() != Some(id) {
            *known = None;
        }
    }
}

fn problem(field: &str, code: &str, message: String) -> FieldError {
    FieldError::new(format!("/{field}"), code, message)
}

#[cfg(test)]
mod tests {
    use super::Directory;

    #[test]
    fn a_name_that_two_share_names_neither() {
        let mut directory = Directory::default();
        directory.name("acme".into(), "1");
        directory.name("acme".into(), "1");
        assert_eq!(directory.names.get("acme"), Some(&Some("1".into())));
        directory.name("acme".into(), "2");
        directory.name("acme".into(), "1");
        assert_eq!(directory.names.get("acme"), Some(&None));
    }
}
