//! Merging into JSON columns inside the statement that changes the row, so that two writers of different keys both win.

use diesel::sql_types::{Jsonb, Nullable};

diesel::define_sql_function! {
    /// RFC 7396; no patch keeps the target, JSON null empties it.
    #[sql_name = "app.merge_patch"]
    fn merge_patch(target: Nullable<Jsonb>, patch: Nullable<Jsonb>) -> Nullable<Jsonb>;
}

/// The column after an [`crm_kernel::ObjectChange`]: kept, merged into, or replaced.
#[macro_export]
macro_rules! patched {
    ($column:expr, $change:expr) => {
        $crate::patch::merge_patch(
            diesel::dsl::case_when(
                diesel::IntoSql::into_sql::<diesel::sql_types::Bool>($change.replaces()),
                diesel::IntoSql::into_sql::<diesel::sql_types::Nullable<diesel::sql_types::Jsonb>>(None::<crm_kernel::Object>),
            )
            .otherwise($column),
            $change.patch(),
        )
    };
}
