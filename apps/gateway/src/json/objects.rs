//! Reads a value as a type, where an object is an object: serde takes a list for one as well, its fields by their places, which the
//! document of the API does not promise.
//!
//! Must stay true: everything else is read as the library reads a value. Not here: whether the text is JSON.

use serde::{
    Deserializer,
    de::{
        Error as _, IntoDeserializer, Unexpected, Visitor,
        value::{MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::{Error, Value};

/// A value to be read so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Objects<'a>(pub(crate) &'a Value);

impl<'de> IntoDeserializer<'de, Error> for Objects<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Objects<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(items) => {
                let mut items = SeqDeserializer::new(items.iter().map(Objects));
                let value = visitor.visit_seq(&mut items)?;
                items.end().map(|()| value)
            }
            Value::Object(entries) => {
                let mut entries = MapDeserializer::new(entries.iter().map(|(name, value)| (name.as_str(), Objects(value))));
                let value = visitor.visit_map(&mut entries)?;
                entries.end().map(|()| value)
            }
            plain => plain.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(_) => Err(Error::invalid_type(Unexpected::Seq, &"an object")),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct
        map identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::Objects;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    #[derive(Default)]
    struct Line {
        name: Option<String>,
        count: i32,
        kept: Value,
        lines: Vec<Line>,
    }

    #[test]
    fn a_list_is_no_object() {
        let line = |value: Value| Line::deserialize(Objects(&value)).map_err(|error| error.to_string());
        let whole = json!({ "name": "a", "count": -3, "kept": [1.5, { "b": null }], "lines": [{}, { "count": 2 }] });
        let inner = Line { count: 2, ..Line::default() };
        let expected =
            Line { name: Some("a".into()), count: -3, kept: json!([1.5, { "b": null }]), lines: vec![Line::default(), inner] };
        assert_eq!(line(whole), Ok(expected));
        for list in [json!([]), json!(["a", 1, null, []]), json!({ "lines": [[]] }), json!({ "lines": [["a", 1, null, []]] })] {
            assert!(line(list.clone()).is_err_and(|error| error.contains("an object")), "{list}");
        }
        assert!(line(json!({ "colour": 1 })).is_err_and(|error| error.starts_with("unknown field")));
        assert!(line(json!({ "count": "1" })).is_err());
    }
}
