//! From the text of a cell to the JSON value that the API would be sent.

use std::str::FromStr;

use crm_kernel::{Date, Field, FieldError, Kind, Money, Timestamp};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The value, or what is wrong with the cell.
pub fn value(field: &Field, text: &str) -> Result<Value, FieldError> {
    let parsed = match field.kind {
        Kind::Text | Kind::Caseless => Ok(json!(text)),
        Kind::Choice(words) => choice(words, text),
        Kind::Integer => text.parse::<i32>().map(|number| json!(number)).map_err(|_| "expected a whole number".into()),
        Kind::Decimal => exact::<Money>(text),
        Kind::Boolean => text.parse::<bool>().map(Value::Bool).map_err(|_| "expected true or false".into()),
        Kind::Date => exact::<Date>(text),
        Kind::Timestamp => exact::<Timestamp>(text),
        Kind::Id | Kind::Member => text.parse::<Uuid>().map(|id| json!(id)).map_err(|_| "expected an id".into()),
        Kind::Tags => Ok(text.split(';').map(str::trim).filter(|tag| !tag.is_empty()).collect()),
        Kind::Object => {
            serde_json::from_str::<Map<String, Value>>(text).map(Value::Object).map_err(|_| "expected a JSON object".into())
        }
    };
    let value = parsed.map_err(|message| FieldError::new(format!("/{}", field.name), "type", message))?;
    if field.name == "id" && !is_version_7(text) {
        return Err(FieldError::new("/id", "id_not_v7", "an id must be a UUID of version 7: lists show the newest first by it"));
    }
    Ok(value)
}

fn is_version_7(text: &str) -> bool {
    text.parse::<Uuid>().is_ok_and(|id| id.get_version_num() == 7)
}

/// Read by the type and written back by it, so that what is stored is what was checked.
fn exact<T: FromStr<Err = String> + ToString>(text: &str) -> Result<Value, String> {
    text.parse::<T>().map(|value| json!(value.to_string()))
}

fn choice(words: &[&str], text: &str) -> Result<Value, String> {
    if words.contains(&text) { Ok(json!(text)) } else { Err(format!("expected one of {}", words.join(", "))) }
}

#[cfg(test)]
mod tests {
    use crm_kernel::{Field, Kind};
    use serde_json::{Value, json};

    use super::value;

    fn parsed(kind: Kind, text: &str) -> Option<Value> {
        value(&Field::shown("field", kind), text).ok()
    }

    #[test]
    fn cells_become_the_values_that_the_api_takes() {
        assert_eq!(parsed(Kind::Decimal, "1100040000.04"), Some(json!("1100040000.04")));
        assert_eq!(parsed(Kind::Integer, "12"), Some(json!(12)));
        assert_eq!(parsed(Kind::Tags, " vip; east ;"), Some(json!(["vip", "east"])));
        assert_eq!(parsed(Kind::Object, "{\"city\": \"Bonn\"}"), Some(json!({"city": "Bonn"})));
        assert_eq!(parsed(Kind::Choice(&["lead"]), "lead"), Some(json!("lead")));
    }

    #[test]
    fn cells_that_mean_nothing_are_refused() {
        let refused = [
            (Kind::Decimal, "1,5"),
            (Kind::Decimal, "1e5"),
            (Kind::Integer, "1.0"),
            (Kind::Date, "3/1/2017"),
            (Kind::Id, "7"),
            (Kind::Object, "[]"),
            (Kind::Choice(&["lead"]), "Lead"),
            (Kind::Timestamp, "2017-01-01"),
            (Kind::Boolean, "yes"),
        ];
        for (kind, text) in refused {
            assert_eq!(parsed(kind, text), None, "{text}");
        }
        assert!(value(&Field::shown("id", Kind::Id), "00000000-0000-4000-8000-000000000000").is_err());
    }
}
