//! What an API token looks like from outside, and what makes one.

use crm_kernel::{Direction, Field, Kind, Sort, Timestamp, TokenId, UserId, validation};
use diesel::{Queryable, Selectable};
use serde::{Deserialize, Serialize};

use crate::{schema::q_api_tokens, token::Limits};

crm_kernel::text_enum!(
    /// Whether a token can be used.
    TokenStatus {
        /// Yes, while its person may enter.
        Active = "active",
        /// Its time is over.
        Expired = "expired",
        /// It was taken back.
        Revoked = "revoked",
    }
);

/// What is known of an API token; never the token itself.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = q_api_tokens, check_for_backend(diesel::pg::Pg))]
pub struct ApiToken {
    /// Its id; the log names it.
    pub id: TokenId,
    /// As whom it acts: its maker, or a service user.
    pub user_id: UserId,
    /// Their name.
    pub user_name: String,
    /// What it is for, in its maker's words.
    pub name: String,
    /// Only these operations; every one that its role may do when empty.
    pub operations: Vec<String>,
    /// Only these kinds of records; every one when empty.
    pub entities: Vec<String>,
    /// Whether it only reads.
    pub read_only: bool,
    /// Whether it can be used.
    pub status: TokenStatus,
    /// Who made it.
    pub created_by_id: UserId,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// When it was last used, to a minute or so.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Who revoked it; null when it ended with its person's membership in another way.
    pub revoked_by_id: Option<UserId>,
}

/// A new API token.
#[derive(Clone, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
pub struct NewApiToken {
    /// What it is for.
    #[serde(default)]
    #[garde(length(chars, max = 100), custom(validation::readable))]
    pub name: String,
    /// When it ends: within a year; after 90 days when absent.
    #[serde(default)]
    #[garde(custom(within_a_year))]
    pub expires_at: Option<Timestamp>,
    /// Only these operations, as the document of the API names them; every one when absent or empty.
    #[serde(default)]
    #[garde(inner(length(max = 100), inner(length(chars, max = 100))))]
    pub operations: Option<Vec<String>>,
    /// Only these kinds of records, such as `contact`; every one when absent or empty.
    #[serde(default)]
    #[garde(inner(length(max = 100), inner(length(chars, max = 100))))]
    pub entities: Option<Vec<String>>,
    /// Whether it only reads; no when absent.
    #[serde(default)]
    #[garde(skip)]
    pub read_only: Option<bool>,
    /// The current password; required of who has one: a token outlives the session in which it is made. None is asked of who has
    /// none, as those who come in with another identity provider.
    #[serde(default)]
    #[garde(length(bytes, max = 1024))]
    pub password: Option<String>,
}

impl std::fmt::Debug for NewApiToken {
    /// Without the password.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("NewApiToken").field("name", &self.name).finish_non_exhaustive()
    }
}

impl NewApiToken {
    /// What it is kept from.
    pub(super) fn limits(&self) -> Limits {
        let names = |names: &Option<Vec<String>>| names.clone().unwrap_or_default();
        Limits {
            operations: names(&self.operations),
            entities: names(&self.entities),
            read_only: self.read_only.unwrap_or_default(),
        }
    }
}

fn within_a_year(expires: &Option<Timestamp>, _: &()) -> garde::Result {
    let Some(Timestamp(expires)) = expires else { return Ok(()) };
    let now = time::OffsetDateTime::now_utc();
    let fits = *expires > now && *expires <= now + time::Duration::days(366);
    if fits { Ok(()) } else { Err(garde::Error::new("token_expiry: must be in the future, and within a year")) }
}

/// A token, this once, and what is known of it from now on.
#[derive(Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct IssuedApiToken {
    /// Send as `Authorization: Bearer …`. It is not shown again.
    pub token: String,
    /// What is known of it.
    pub api_token: ApiToken,
}

impl std::fmt::Debug for IssuedApiToken {
    /// Without the token: a value that is printed by accident must not tell it.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("IssuedApiToken").field("api_token", &self.api_token).finish_non_exhaustive()
    }
}

const CREATED_AT: Field = Field::shown("created_at", Kind::Timestamp).sortable();

/// What lists of API tokens can be filtered, sorted and picked by.
pub static FIELDS: &[Field] = &[
    Field::shown("id", Kind::Id),
    Field::shown("user_id", Kind::Member).filterable(),
    Field::shown("user_name", Kind::Text),
    Field::shown("name", Kind::Text).filterable(),
    Field::shown("operations", Kind::Tags).incomparable(),
    Field::shown("entities", Kind::Tags).incomparable(),
    Field::shown("read_only", Kind::Boolean),
    Field::shown("status", Kind::Choice(TokenStatus::WORDS)).filterable(),
    Field::shown("created_by_id", Kind::Member).filterable(),
    CREATED_AT,
    Field::shown("expires_at", Kind::Timestamp),
    Field::shown("last_used_at", Kind::Timestamp).nullable(),
    Field::shown("revoked_at", Kind::Timestamp).nullable(),
    Field::shown("revoked_by_id", Kind::Member).nullable(),
];

/// The order of lists: newest first. They can be turned round, but know no other order.
#[must_use]
pub fn default_sort() -> Sort {
    Sort { field: &CREATED_AT, direction: Direction::Descending }
}
