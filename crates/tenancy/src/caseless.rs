//! Comparing names and addresses whatever their case: the database lowers both sides, because every program has its own idea
//! of lower case, and the key columns hold the database's.

use diesel::sql_types::{Array, Text};

diesel::define_sql_function! {
    /// Each text in lower case.
    #[sql_name = "app.lower_all"]
    fn lower_all(texts: Array<Text>) -> Array<Text>;
}

diesel::define_sql_function! {
    /// Any element of the list: `key = ANY(list)`. Diesel writes that for a list of values, not for one the database computes.
    #[sql_name = "ANY"]
    fn any_element(list: Array<Text>) -> Text;
}

/// What a lower-case key column is compared with: `q_companies::name_key.eq(any_caseless(texts))`.
#[must_use]
pub fn any_caseless(texts: Vec<String>) -> any_element<lower_all<Vec<String>>> {
    any_element(lower_all(texts))
}
