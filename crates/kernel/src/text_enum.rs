//! Closed lists of words: an enum in Rust, the same word in JSON and in the database.

/// Defines an enum whose values are words, with their spelling written once.
///
/// The database keeps `text` with a CHECK: an enum type of PostgreSQL is not leakproof and would cost the index.
#[macro_export]
macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash,
            ::diesel::expression::AsExpression, ::diesel::deserialize::FromSqlRow,
            ::serde::Serialize, ::serde::Deserialize,
        )]
        #[diesel(sql_type = ::diesel::sql_types::Text)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// Every word, in the order of declaration.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word as JSON and the database spell it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> ::std::result::Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    other => Err(format!("`{other}` is not one of {}", Self::WORDS.join(", "))),
                }
            }
        }

        const _: () = {
            use ::diesel::{
                deserialize::{self, FromSql},
                pg::{Pg, PgValue},
                serialize::{self, Output, ToSql},
                sql_types,
            };

            impl ToSql<sql_types::Text, Pg> for $name {
                fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
                    ToSql::<sql_types::Text, Pg>::to_sql(self.as_str(), out)
                }
            }

            impl FromSql<sql_types::Text, Pg> for $name {
                fn from_sql(bytes: PgValue<'_>) -> deserialize::Result<Self> {
                    let text = <String as FromSql<sql_types::Text, Pg>>::from_sql(bytes)?;
                    text.parse().map_err(Into::into)
                }
            }
        };

        #[cfg(feature = "openapi")]
        impl ::paperclip::v2::schema::Apiv2Schema for $name {
            fn raw_schema() -> ::paperclip::v2::models::DefaultSchemaRaw {
                ::paperclip::v2::models::DefaultSchemaRaw {
                    data_type: Some(::paperclip::v2::models::DataType::String),
                    enum_: Self::WORDS.iter().map(|word| (*word).into()).collect(),
                    ..Default::default()
                }
            }
        }
    };
}
