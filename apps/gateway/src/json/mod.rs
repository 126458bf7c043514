//! JSON text as a value in which every name is there once, and every number is the one that was sent.
//!
//! JSON leaves open which of two equal names counts. Whoever sends two has made a mistake, or wants a proxy before us to see
//! another value than we do. It leaves open, too, how large and how exact a number may be; ours are those of 64 bits, and others are
//! refused instead of rounded. A reader that keeps the digits was considered: it makes every number an object with one secret name,
//! which a client can send as well, and types that look before they read do not know it.
//! Must stay true: all repeated names are found in one reading, and nesting is bounded while it is read, before the library's own bound.

mod numbers;
mod objects;

use std::{
    cell::{Cell, RefCell},
    fmt,
};

use crm_kernel::{Error, FieldError, Result};
pub(crate) use objects::Objects;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Levels of arrays and objects a text may have. The library gives up at 128 and calls that a fault of grammar.
const DEEPEST: usize = 64;
/// Repeated names, and numbers, that are reported; whoever sends more is told the first ones.
const MOST_ERRORS: usize = 50;

/// Reads a JSON text.
///
/// # Errors
/// `Malformed` where it is none or nested too deep, or with every name that an object has twice and every number that would be kept as another.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value> {
    let (twice, too_deep) = (RefCell::new(Vec::new()), Cell::new(false));
    let mut text = serde_json::Deserializer::from_slice(bytes);
    let place = Place { above: None, step: Step::Root, level: 0, twice: &twice, too_deep: &too_deep };
    let value = place.deserialize(&mut text).and_then(|value| text.end().map(|()| value));
    if too_deep.get() {
        return Err(Error::malformed("", "depth", format!("at most {DEEPEST} levels of arrays and objects")));
    }
    let faults = match &value {
        Ok(_) => [twice.into_inner(), numbers::not_kept(bytes)].concat(),
        // What is beyond the largest number ends the reading, but not what can be said about it.
        Err(error) if error.to_string().starts_with("number out of range") => numbers::not_kept(bytes),
        Err(_) => Vec::new(),
    };
    if !faults.is_empty() {
        return Err(Error::Malformed(faults));
    }
    value.map_err(|error| Error::malformed("", "json", format!("not JSON: line {} column {}", error.line(), error.column())))
}

/// Where in the text a value is, without a copy of the way there.
#[derive(Clone, Copy)]
struct Place<'a> {
    above: Option<&'a Place<'a>>,
    step: Step<'a>,
    /// Arrays and objects around the value.
    level: usize,
    twice: &'a RefCell<Vec<FieldError>>,
    too_deep: &'a Cell<bool>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Item(usize),
    Key(&'a str),
}

impl Place<'_> {
    fn pointer(&self) -> String {
        let before = self.above.map(Place::pointer).unwrap_or_default();
        match self.step {
            Step::Root => before,
            Step::Item(index) => format!("{before}/{index}"),
            Step::Key(key) => format!("{before}/{}", key.replace('~', "~0").replace('/', "~1")),
        }
    }

    /// Refuses to go into one more array or object than there may be.
    fn enter<E: serde::de::Error>(&self) -> Result<(), E> {
        if self.level < DEEPEST {
            return Ok(());
        }
        self.too_deep.set(true);
        Err(E::custom("nested too deep"))
    }

    fn note_twice(&self, key: &str) {
        let mut twice = self.twice.borrow_mut();
        if twice.len() < MOST_ERRORS {
            let pointer = Place { above: Some(self), step: Step::Key(key), ..*self }.pointer();
            twice.push(FieldError::new(pointer, "duplicate", "is there twice"));
        }
    }
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number beyond every bound"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.enter()?;
        let (mut list, level) = (Vec::new(), self.level + 1);
        while let Some(item) =
            items.next_element_seed(Place { above: Some(&self), step: Step::Item(list.len()), level, ..self })?
        {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.enter()?;
        let (mut map, level) = (Map::new(), self.level + 1);
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(Place { above: Some(&self), step: Step::Key(&key), level, ..self })?;
            if map.contains_key(&key) {
                self.note_twice(&key);
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "tests fail by panicking")]

    use crm_kernel::Error;
    use serde_json::{Value, json};

    use super::parse;

    fn faults(text: &str) -> Vec<String> {
        match parse(text.as_bytes()) {
            Err(Error::Malformed(faults)) => {
                faults.into_iter().map(|fault| format!("{} {}", fault.pointer, fault.code)).collect()
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn it_reads_what_serde_json_reads() {
        for text in
            [r#"{"a":[1,-2,0.5,1e3,"x",null,true,{"b":{}}],"":"\u00e9","a/b":18446744073709551615}"#, "[]", "-0", "\"\"", "null"]
        {
            assert_eq!(parse(text.as_bytes()).ok(), serde_json::from_str::<Value>(text).ok(), "{text}");
        }
        for text in ["", "{", "{} {}", "NaN", "01", "\"\\ud800\"", "\"\\udc00\\ud800\"", "'a'", "{a:1}", "[1,]", "\"\n\""] {
            assert_eq!(faults(text), [" json"], "{text}");
        }
        for nested in [&"[".repeat(100_000), &format!("{}{}", "{\"a\":".repeat(65), "1"), &"[".repeat(65)] {
            assert_eq!(faults(nested), [" depth"], "the reader bounds how deep it goes, whatever comes behind");
        }
        assert_eq!(faults(&"[".repeat(64)), [" json"]);
        assert!(parse(format!("{}{}", "[".repeat(64), "]".repeat(64)).as_bytes()).is_ok());
        assert_eq!(parse(br#"{"a":{"a":{"a":1}}}"#).ok(), Some(json!({ "a": { "a": { "a": 1 } } })), "the same name further in");
    }

    #[test]
    fn every_number_that_would_be_another_is_named() {
        assert_eq!(faults("1e400"), [" number"]);
        assert_eq!(faults(r#"{"a":[0.5,-1e400],"b":123456789012345678901234567890}"#), ["/a/1 number", "/b number"]);
        assert_eq!(faults(r#"{"a":1e-400,"a":1}"#), ["/a duplicate", "/a number"]);
    }

    #[test]
    fn every_name_that_is_there_twice_is_named() {
        assert_eq!(faults(r#"{"a":1,"b":2,"a":1}"#), ["/a duplicate"]);
        assert_eq!(faults(r#"{"x":[{"y~/":1,"y~/":2}],"a":1,"\u0061":2}"#), ["/x/0/y~0~1 duplicate", "/a duplicate"]);
        let many: Vec<String> = (0..100).map(|_| "\"a\":1".to_owned()).collect();
        assert_eq!(faults(&format!("{{{}}}", many.join(","))).len(), 50);
    }
}
