//! Telephone numbers of contacts, as the service keeps them: E.164, read where the organisation is.

use anyhow::{Context, Result};
use crm_kernel::{FieldError, phone};
use serde_json::json;
use tokio_postgres::Client;

use crate::import::rows::Row;

/// Puts what is kept in place of what is written, and names what is no number.
pub async fn settle(admin: &Client, organization_id: &str, rows: &mut [Row]) -> Result<()> {
    let query = "SELECT country FROM organizations WHERE id = $1::text::uuid";
    let row = admin.query_opt(query, &[&organization_id]).await?.context("the organisation is gone")?;
    let country: Option<String> = row.try_get(0)?;
    rows.iter_mut().for_each(|row| settle_row(row, country.as_deref()));
    Ok(())
}

fn settle_row(row: &mut Row, country: Option<&str>) {
    for field in ["phone", "mobile"] {
        let pointer = format!("/{field}");
        let Some(written) = row.text(field) else { continue };
        if row.problems.iter().any(|problem| problem.pointer == pointer) {
            continue;
        }
        match phone::normalised(written, country) {
            Ok(kept) => {
                row.values.insert(field.to_owned(), json!(kept));
            }
            Err(reason) => row.problems.push(FieldError::new(pointer, "phone", reason)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::settle_row;
    use crate::import::rows::Row;

    #[test]
    fn numbers_are_kept_as_the_service_keeps_them() {
        let values = json!({ "phone": "044 668 18 00", "mobile": "nobody's" }).as_object().expect("an object").clone();
        let mut row = Row { line: 2, values, problems: Vec::new() };
        settle_row(&mut row, Some("CH"));
        assert_eq!(row.text("phone"), Some("+41446681800"));
        let named: Vec<String> = row.problems.iter().map(|problem| format!("{} {}", problem.pointer, problem.code)).collect();
        assert_eq!(named, ["/mobile phone"]);
    }
}
