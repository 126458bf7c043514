//! Identifiers: one type per noun, all UUID version 7, so that a deal's id can never be passed where a company's is due.
//!
//! Must stay true: an id is opaque text outside and `uuid` in the database; new ids are made by the database or by
//! `generate`, which orders them by time of making.

/// Defines one identifier type: a UUID inside, text in JSON, `uuid` in PostgreSQL.
#[macro_export]
macro_rules! id_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord,
            ::diesel::expression::AsExpression, ::diesel::deserialize::FromSqlRow,
            ::serde::Serialize, ::serde::Deserialize,
        )]
        #[diesel(sql_type = ::diesel::sql_types::Uuid)]
        #[serde(transparent)]
        pub struct $name(pub ::uuid::Uuid);

        impl $name {
            /// A new id, version 7: later calls sort after earlier ones.
            #[must_use]
            pub fn generate() -> Self {
                Self(::uuid::Uuid::now_v7())
            }

            /// The UUID itself.
            #[must_use]
            pub fn uuid(self) -> ::uuid::Uuid {
                self.0
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                self.0.fmt(formatter)
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = ::uuid::Error;
            fn from_str(text: &str) -> ::std::result::Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl From<$name> for ::uuid::Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        const _: () = {
            use ::diesel::{
                deserialize::{self, FromSql},
                pg::{Pg, PgValue},
                serialize::{self, Output, ToSql},
                sql_types,
            };

            impl ToSql<sql_types::Uuid, Pg> for $name {
                fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
                    ToSql::<sql_types::Uuid, Pg>::to_sql(&self.0, out)
                }
            }

            impl FromSql<sql_types::Uuid, Pg> for $name {
                fn from_sql(bytes: PgValue<'_>) -> deserialize::Result<Self> {
                    FromSql::<sql_types::Uuid, Pg>::from_sql(bytes).map(Self)
                }
            }
        };

        #[cfg(feature = "openapi")]
        impl ::paperclip::v2::schema::TypedData for $name {
            fn data_type() -> ::paperclip::v2::models::DataType {
                ::paperclip::v2::models::DataType::String
            }
            fn format() -> Option<::paperclip::v2::models::DataTypeFormat> {
                Some(::paperclip::v2::models::DataTypeFormat::Uuid)
            }
        }
    };
}

id_newtype!(
    /// An organisation: the tenant. Every row of the CRM belongs to exactly one.
    OrganizationId
);
id_newtype!(
    /// A person. Belongs to organisations through memberships.
    UserId
);
id_newtype!(
    /// A login session: the family of refresh tokens that descend from one login.
    SessionId
);
id_newtype!(
    /// An API token that acted instead of a session.
    TokenId
);
id_newtype!(
    /// One bulk call, import or merge: the handle under which all of its changes are found again.
    OperationId
);
id_newtype!(
    /// A team of an organisation, such as a regional office.
    TeamId
);
id_newtype!(
    /// An invitation to an organisation.
    InvitationId
);
id_newtype!(
    /// The link between a person and an identity at an external provider.
    ExternalIdentityId
);
id_newtype!(
    /// A company.
    CompanyId
);
id_newtype!(
    /// A contact: a person at a company.
    ContactId
);
id_newtype!(
    /// A deal.
    DealId
);
id_newtype!(
    /// A project: work for a company.
    ProjectId
);
id_newtype!(
    /// A note.
    NoteId
);
id_newtype!(
    /// A task.
    TaskId
);
id_newtype!(
    /// A campaign.
    CampaignId
);
id_newtype!(
    /// A contact's membership in a campaign.
    CampaignContactId
);
id_newtype!(
    /// A sales pipeline with its stages.
    PipelineId
);
id_newtype!(
    /// A product: what a line of a deal may be of.
    ProductId
);
id_newtype!(
    /// What a currency is worth from one day on.
    ExchangeRateId
);
id_newtype!(
    /// One line of a deal.
    LineItemId
);
id_newtype!(
    /// The definition of a custom field.
    CustomFieldId
);
id_newtype!(
    /// One row of the activity log.
    ActivityId
);
