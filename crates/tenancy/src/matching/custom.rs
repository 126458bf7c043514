//! Keys of `custom_fields` that the organisation has defined, compared as their type demands.
//!
//! Must stay true: `=` is asked of the object, whose index answers it; what has an order is compared by `app.custom_number_key`, or by
//! what that gave when the value was written, if the database keeps it (`crm_custom_values`).

use crm_kernel::{CustomField, Field, FilterValue, Operator};
use serde_json::{Map, Value};

use super::{
    bound::Bound,
    writer::{Asked, Writer, symbol},
};

impl Writer {
    pub(super) fn custom_compared(&mut self, field: &'static Field, custom: &CustomField, asked: &Asked<'_>) {
        match asked.operator {
            Operator::Contains => self.key_compared(field, &custom.key, asked),
            Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
                self.each(&asked.values, " OR ", "FALSE", |writer, value| writer.ordered(field, custom, asked.operator, value));
            }
            operator => {
                let json = asked.values.iter().filter_map(|value| custom.field_type.json(value));
                let held = json.map(|json| if operator == Operator::Has { Value::Array(vec![json]) } else { json });
                let document = |json| Value::Object(Map::from_iter([(custom.key.clone(), json)])).to_string();
                self.holds(field.name, held.map(document).collect());
            }
        }
    }

    fn ordered(&mut self, field: &'static Field, custom: &CustomField, operator: Operator, value: &FilterValue) {
        let Some(key) = custom.field_type.number_key_of(value) else { return self.sql("FALSE") };
        match custom.ordered {
            Some(generation) => {
                self.sql("EXISTS (SELECT FROM q_custom_values AS kept WHERE kept.organization_id = ");
                self.organization();
                self.sql(" AND kept.field_id = ");
                self.value(Bound::Id(custom.id.uuid()));
                self.sql(" AND kept.generation = ");
                self.value(Bound::Number(i64::from(generation)));
                self.sql(" AND kept.record_id = ");
                self.column("id");
                self.sql(" AND kept.number_key");
                self.sql(symbol(operator));
                self.value(Bound::Number(key));
                // It holds anyway; but what the database knows about keys is about those of all fields.
                let (least, most) = custom.field_type.number_range();
                match operator {
                    Operator::Less | Operator::LessOrEqual => {
                        self.sql(" AND kept.number_key >= ");
                        self.value(Bound::Number(least));
                    }
                    _ => {
                        self.sql(" AND kept.number_key <= ");
                        self.value(Bound::Number(most));
                    }
                }
                self.sql(")");
            }
            None => {
                self.sql("app.custom_number_key(");
                self.value(Bound::Text(custom.field_type.as_str().to_owned()));
                self.sql(", ");
                self.column(field.name);
                self.sql(" -> ");
                self.value(Bound::Text(custom.key.clone()));
                self.sql(")");
                self.sql(symbol(operator));
                self.value(Bound::Number(key));
            }
        }
    }
}
