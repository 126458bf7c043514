//! JSON columns: objects of the caller's choice, tags, and changes to them.

use diesel::{
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    pg::{Pg, PgValue},
    serialize::{self, Output, ToSql},
    sql_types,
};
#[cfg(feature = "openapi")]
use paperclip::v2::{
    models::{DataType, DefaultSchemaRaw},
    schema::{Apiv2Schema, TypedData},
};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};

/// A JSON object with keys of the caller's choice: custom fields, addresses, preferences.
#[derive(Debug, Clone, Default, PartialEq, AsExpression, FromSqlRow, Serialize, Deserialize)]
#[diesel(sql_type = sql_types::Jsonb)]
#[serde(transparent)]
pub struct Object(pub Map<String, Value>);

impl ToSql<sql_types::Jsonb, Pg> for Object {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let value = Value::Object(self.0.clone());
        ToSql::<sql_types::Jsonb, Pg>::to_sql(&value, &mut out.reborrow())
    }
}

impl FromSql<sql_types::Jsonb, Pg> for Object {
    fn from_sql(bytes: PgValue<'_>) -> deserialize::Result<Self> {
        match <Value as FromSql<sql_types::Jsonb, Pg>>::from_sql(bytes)? {
            Value::Object(map) => Ok(Self(map)),
            other => Err(format!("expected a JSON object, the database has {other}").into()),
        }
    }
}

/// Words attached to a record: a JSON array of strings.
#[derive(Debug, Clone, Default, PartialEq, Eq, AsExpression, FromSqlRow, Serialize, Deserialize)]
#[diesel(sql_type = sql_types::Jsonb)]
#[serde(transparent)]
pub struct Tags(pub Vec<String>);

impl ToSql<sql_types::Jsonb, Pg> for Tags {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let value = Value::from(self.0.clone());
        ToSql::<sql_types::Jsonb, Pg>::to_sql(&value, &mut out.reborrow())
    }
}

impl FromSql<sql_types::Jsonb, Pg> for Tags {
    fn from_sql(bytes: PgValue<'_>) -> deserialize::Result<Self> {
        let value = <Value as FromSql<sql_types::Jsonb, Pg>>::from_sql(bytes)?;
        Ok(serde_json::from_value(value)?)
    }
}

/// What a change does to a JSON object: keep it, merge into it (RFC 7396), or put another in its place.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum ObjectChange {
    /// The request did not mention it.
    #[default]
    Keep,
    /// Merge patch: keys with null go, objects merge, all else replaces. `Value::Null` empties the whole field.
    Merge(Value),
    /// Exactly this from now on; `None` empties it.
    Replace(Option<Object>),
}

impl ObjectChange {
    /// Whether the present value is put aside before the patch applies.
    #[must_use]
    pub fn replaces(&self) -> bool {
        matches!(self, Self::Replace(_))
    }

    /// The patch for `app.merge_patch`: none keeps the value, JSON null empties it.
    #[must_use]
    pub fn patch(&self) -> Option<Value> {
        match self {
            Self::Keep => None,
            Self::Merge(patch) => Some(patch.clone()),
            Self::Replace(Some(Object(map))) => Some(Value::Object(map.clone())),
            Self::Replace(None) => Some(Value::Null),
        }
    }
}

impl<'de> Deserialize<'de> for ObjectChange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            patch @ (Value::Object(_) | Value::Null) => Ok(Self::Merge(patch)),
            _ => Err(de::Error::custom("expected an object or null")),
        }
    }
}

#[cfg(feature = "openapi")]
impl TypedData for Object {
    fn data_type() -> DataType {
        DataType::Object
    }
}

#[cfg(feature = "openapi")]
impl TypedData for ObjectChange {
    fn data_type() -> DataType {
        DataType::Object
    }
}

#[cfg(feature = "openapi")]
impl Apiv2Schema for Tags {
    fn raw_schema() -> DefaultSchemaRaw {
        Vec::<String>::raw_schema()
    }
}
