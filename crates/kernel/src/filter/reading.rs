//! From what was asked to the tree: every name is looked up, every operator allowed, every value read as its field demands.
//!
//! Must stay true: this is the only way from the text or JSON form of a filter to a tree, and it holds both to the bounds.

use super::{
    Comparison, Condition, FieldPath, FilterValue, Known, Operator,
    bounds::{DEEPEST, LONGEST_KEY, MOST_COMPARISONS, MOST_VALUES, MOST_VALUES_IN_ALL},
    syntax::{At, Complaint, Place, Spelling, Syntax, Word},
    value,
};
use crate::{Field, Kind};

/// Makes the tree.
pub(super) fn read(syntax: Syntax, known: &Known<'_>) -> Result<Condition, Complaint> {
    Reader { known: *known, comparisons: 0, values: 0 }.condition(syntax, 0)
}

/// The object whose keys organisations define.
const CUSTOM_FIELDS: &str = "custom_fields";

struct Reader<'k> {
    known: Known<'k>,
    comparisons: usize,
    values: usize,
}

impl Reader<'_> {
    fn condition(&mut self, syntax: Syntax, depth: usize) -> Result<Condition, Complaint> {
        if let Syntax::All(place, _) | Syntax::Any(place, _) | Syntax::Not(place, _) = &syntax
            && depth == DEEPEST
        {
            return Err(too_deep(place));
        }
        match syntax {
            Syntax::All(_, parts) => Ok(Condition::All(self.conditions(parts, depth)?)),
            Syntax::Any(_, parts) => Ok(Condition::Any(self.conditions(parts, depth)?)),
            Syntax::Not(_, part) => Ok(Condition::Not(Box::new(self.condition(*part, depth + 1)?))),
            Syntax::Compare(words, operator, values) => self.comparison(&words, &operator, &values).map(Condition::Compare),
        }
    }

    fn conditions(&mut self, parts: Vec<Syntax>, depth: usize) -> Result<Vec<Condition>, Complaint> {
        parts.into_iter().map(|part| self.condition(part, depth + 1)).collect()
    }

    fn comparison(&mut self, words: &[Word], operator: &At<Operator>, values: &[At<Spelling>]) -> Result<Comparison, Complaint> {
        let field = self.path(words, &operator.place)?;
        self.count(&operator.place, values.len())?;
        if let [At { place, what: Spelling::Present }] = values {
            require_missable(&field, place)?;
            return Ok(Comparison { field, operator: Operator::NotEqual, values: vec![FilterValue::Null] });
        }
        let only_null = values.iter().all(|value| value.what == Spelling::Null);
        let asks_whether_missing = only_null && matches!(operator.what, Operator::Equal | Operator::NotEqual);
        if !asks_whether_missing {
            require_operator(&field, operator)?;
        }
        let values: Result<Vec<FilterValue>, Complaint> =
            values.iter().map(|value| read_value(&field, operator, value)).collect();
        Ok(Comparison { field, operator: operator.what, values: values? })
    }

    fn count(&mut self, place: &Place, values: usize) -> Result<(), Complaint> {
        self.comparisons += 1;
        self.values += values;
        let too_many = |most: usize, what: &str| Err(Complaint::new(place, "too_many", format!("at most {most} {what}")));
        if self.comparisons > MOST_COMPARISONS {
            too_many(MOST_COMPARISONS, "comparisons in one filter")
        } else if values > MOST_VALUES {
            too_many(MOST_VALUES, "values in one list")
        } else if self.values > MOST_VALUES_IN_ALL {
            too_many(MOST_VALUES_IN_ALL, "values in one filter")
        } else {
            Ok(())
        }
    }

    /// `field`, `parent.field`, and behind either the key of an object. `end` is where the path ends.
    fn path(&self, words: &[Word], end: &Place) -> Result<FieldPath, Complaint> {
        let (first, rest) = words.split_first().ok_or_else(|| Complaint::new(end, "syntax", "expected a field"))?;
        let Some(parent) = self.known.vocabulary.parents.iter().find(|parent| parent.name == first.what) else {
            let field = find(self.known.vocabulary.fields, first).ok_or_else(|| self.unknown(first))?;
            return with_key(FieldPath::of(field), rest).map(|path| self.defined(path, self.known.entity));
        };
        let Some((second, rest)) = rest.split_first() else {
            let message = format!("expected a field of `{0}`, such as `{0}.{1}`", parent.name, example(parent.fields));
            return Err(Complaint::new(end, "syntax", message));
        };
        let field = find(parent.fields, second).ok_or_else(|| unknown(second, &names(parent.fields), parent.name))?;
        with_key(FieldPath::of(field).within(parent), rest).map(|path| self.defined(path, parent.entity))
    }

    /// With what the organisation says about the key, if it is one of custom fields.
    fn defined(&self, path: FieldPath, entity: &str) -> FieldPath {
        let custom = match &path.key {
            Some(key) if path.field.name == CUSTOM_FIELDS => self.known.custom.find(entity, key).cloned(),
            _ => None,
        };
        FieldPath { custom, ..path }
    }

    fn unknown(&self, word: &Word) -> Complaint {
        let mut known = names(self.known.vocabulary.fields);
        known.extend(self.known.vocabulary.parents.iter().map(|parent| parent.name));
        unknown(word, &known, "")
    }
}

fn find(fields: &'static [Field], word: &Word) -> Option<&'static Field> {
    fields.iter().find(|field| field.comparable && field.name == word.what)
}

fn names(fields: &'static [Field]) -> Vec<&'static str> {
    fields.iter().filter(|field| field.comparable).map(|field| field.name).collect()
}

fn example(fields: &'static [Field]) -> &'static str {
    fields
        .iter()
        .find(|field| field.comparable && matches!(field.kind, Kind::Text | Kind::Caseless))
        .map_or("id", |field| field.name)
}

/// The name itself is said again only as far as it helps: it may be as long as the filter.
fn unknown(word: &Word, known: &[&'static str], parent: &str) -> Complaint {
    let said: String = word.what.chars().take(60).collect();
    let of = if parent.is_empty() { String::new() } else { format!(" of `{parent}`") };
    let hint = match nearest(&said, known) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("expected one of {}", known.join(", ")),
    };
    Complaint::new(&word.place, "unknown", format!("unknown field `{said}`{of}; {hint}"))
}

/// What a choice is made of, and which of it was likely meant.
pub(crate) fn expected_one_of(words: &[&str], given: &str) -> String {
    let hint = nearest(given, words).map(|word| format!("; did you mean {word}?"));
    format!("expected one of {}{}", words.join(", "), hint.unwrap_or_default())
}

/// The known word that this was likely meant to be: at most a third of it is wrong.
pub(crate) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let word = word.to_lowercase();
    let distances = known.iter().map(|name| (strsim::damerau_levenshtein(&word, name), *name));
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= (word.chars().count() / 3).max(1)).then_some(name)
}

fn with_key(mut path: FieldPath, rest: &[Word]) -> Result<FieldPath, Complaint> {
    let name = path.field.name;
    match (path.field.kind, rest) {
        (_, []) => {}
        (Kind::Object, [key]) if key.what.contains('\0') || key.what.chars().count() > LONGEST_KEY => {
            let message = format!("a key has at most {LONGEST_KEY} characters, and U+0000 is none of them");
            return Err(Complaint::new(&key.place, "value", message));
        }
        (Kind::Object, [key]) => path.key = Some(key.what.clone()),
        (Kind::Object, [_, too_far, ..]) => {
            return Err(Complaint::new(&too_far.place, "unknown", format!("`{name}` is compared one key deep")));
        }
        (_, [too_far, ..]) => {
            return Err(Complaint::new(&too_far.place, "unknown", format!("`{name}` has nothing within it")));
        }
    }
    Ok(path)
}

fn require_missable(field: &FieldPath, place: &Place) -> Result<(), Complaint> {
    if field.may_be_missing() {
        return Ok(());
    }
    Err(Complaint::new(place, "value", format!("`{}` always has a value", field.field.name)))
}

fn require_operator(field: &FieldPath, operator: &At<Operator>) -> Result<(), Complaint> {
    let name = field.to_string();
    if field.field.kind == Kind::Object && field.key.is_none() {
        let message = format!("expected a key of `{name}`, such as `{name}.region`");
        return Err(Complaint::new(&operator.place, "operator", message));
    }
    let allowed = field.operators();
    if allowed.contains(&operator.what) {
        return Ok(());
    }
    let allowed: Vec<&str> = allowed.iter().map(|operator| operator.as_str()).collect();
    let message = format!("`{name}` cannot be compared with `{}`; expected {}", operator.what, allowed.join(" "));
    Err(Complaint::new(&operator.place, "operator", message))
}

fn read_value(field: &FieldPath, operator: &At<Operator>, value: &At<Spelling>) -> Result<FilterValue, Complaint> {
    let complain = |message: String| Complaint::new(&value.place, "value", message);
    match &value.what {
        Spelling::Null => {
            if !matches!(operator.what, Operator::Equal | Operator::NotEqual | Operator::In) {
                return Err(complain("`null` is compared with = and != or stands in a list of IN".into()));
            }
            require_missable(field, &value.place)?;
            Ok(FilterValue::Null)
        }
        Spelling::Present => Err(complain("`*` stands alone behind :".into())),
        other if operator.what == Operator::Contains => match other {
            Spelling::Quoted(text) => value::storable(text).map_err(complain),
            _ => Err(complain("expected text in quotes".into())),
        },
        Spelling::Boolean(_) if !matches!(operator.what, Operator::Equal | Operator::NotEqual | Operator::In) => {
            Err(complain("true and false are compared with = and != or stand in a list of IN".into()))
        }
        other => value::read(field, other).map_err(complain),
    }
}

pub(super) fn too_deep(place: &Place) -> Complaint {
    Complaint::new(place, "too_deep", format!("conditions may stand at most {DEEPEST} deep within each other"))
}
