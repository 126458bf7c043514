//! Random conditions of the filter language: what properties are proved with.
//!
//! Must stay true: every tree could have been asked for, by text and by JSON; the same seed gives the same trees.

use std::ops::RangeInclusive;

use bigdecimal::BigDecimal;
use crm_kernel::{
    Comparison, Condition, Date, Field, FieldPath, FilterValue, Kind, Money, Operator, Parent, Period, Relative, Span, Timestamp,
    Vocabulary,
};
use fastrand::Rng;
use uuid::Uuid;

/// Texts on which quoting, folding and comparing could go wrong.
pub const TEXTS: &[&str] = &[
    "",
    " ",
    "null",
    "me",
    "true",
    "a",
    "A",
    "Acme",
    "ACME GmbH",
    "acme",
    "50%",
    "a_b",
    "\\",
    "\\n",
    "\"",
    "'",
    "a\"b'c",
    "* AND (",
    "line\nbreak\r\n\t",
    "\u{1}\u{7f}\u{85}",
    "\u{feff}",
    "\u{200b}",
    "Łódź",
    "lodz",
    "Straße",
    "STRASSE",
    "ÆØÅ",
    "cafe\u{301}",
    "café",
    "CAFÉ",
    "İstanbul",
    "ıI",
    "ΟΔΟΣ",
    "οδος",
    "ǅ",
    "ﬁ",
    "Ω",
    "K",
    "東京",
    "кириллица",
    "عربي",
    "שלום",
    "👩‍👩‍👧",
    "🇩🇪",
    "e\u{301}\u{327}",
    "\u{301}",
    "ẞ",
    "ŉ",
    "ΐ",
    "Ḁ\u{345}",
    "각",
    "ก็",
    "2026-01-31",
    "12.5",
    "-1",
    "1e5",
    "{\"a\":1}",
    "[]",
    "$1",
    "--",
    ";",
    "\u{10ffff}",
];

/// Keys that objects are asked for.
pub const KEYS: &[&str] = &["region", "size", "vip", "a.b", "", "mit Umlaut ü", "\"", "Not", "1st"];

/// Makes conditions that may be asked of one noun.
#[derive(Debug)]
pub struct Trees {
    random: Rng,
    vocabulary: Vocabulary,
    known: Vec<FilterValue>,
    relative: bool,
}

impl Trees {
    /// Conditions with nothing relative in them.
    #[must_use]
    pub fn new(seed: u64, vocabulary: Vocabulary) -> Self {
        Self { random: Rng::with_seed(seed), vocabulary, known: Vec::new(), relative: false }
    }

    /// Uses `me`, `now()`, `today()` and days on instants as well.
    #[must_use]
    pub fn with_relative(mut self) -> Self {
        self.relative = true;
        self
    }

    /// Asks for these values more often than by chance, so that conditions hold for some records.
    #[must_use]
    pub fn knowing(mut self, values: impl IntoIterator<Item = FilterValue>) -> Self {
        self.known.extend(values);
        self
    }

    /// The next one.
    pub fn condition(&mut self) -> Condition {
        if self.random.u8(..) == 0 { Condition::default() } else { self.within(4) }
    }

    fn within(&mut self, depth: u8) -> Condition {
        match self.random.u8(0..10) {
            0..=1 if depth > 0 => Condition::All(self.parts(depth)),
            2..=3 if depth > 0 => Condition::Any(self.parts(depth)),
            4 if depth > 0 => Condition::Not(Box::new(self.within(depth - 1))),
            5 if depth > 0 && !self.vocabulary.parents.is_empty() => self.of_one_parent(),
            _ => Condition::Compare(self.comparison()),
        }
    }

    fn parts(&mut self, depth: u8) -> Vec<Condition> {
        (0..self.random.u8(2..5)).map(|_| self.within(depth - 1)).collect()
    }

    /// Several comparisons with one parent's fields, some denied, among others of the noun's own.
    fn of_one_parent(&mut self) -> Condition {
        let parent: Option<&'static Parent> = self.random.choice(self.vocabulary.parents);
        let mut parts = Vec::new();
        for _ in 0..self.random.u8(2..5) {
            let comparison = Condition::Compare(self.comparison_of(parent));
            parts.push(match self.random.u8(0..4) {
                0 => Condition::Not(Box::new(comparison)),
                1 => Condition::Any(vec![comparison, Condition::Compare(self.comparison_of(parent))]),
                _ => comparison,
            });
        }
        if self.random.bool() {
            parts.insert(self.random.usize(..parts.len()), Condition::Compare(self.comparison_of(None)));
        }
        if self.random.u8(0..3) == 0 { Condition::All(parts) } else { Condition::Any(parts) }
    }

    fn comparison(&mut self) -> Comparison {
        let parent = if self.random.u8(0..4) == 0 { self.random.choice(self.vocabulary.parents) } else { None };
        self.comparison_of(parent)
    }

    fn comparison_of(&mut self, parent: Option<&'static Parent>) -> Comparison {
        loop {
            let field = self.path(parent);
            let missable = field.may_be_missing();
            if missable && self.random.u8(0..6) == 0 {
                let operator = self.one_of(&[Operator::Equal, Operator::NotEqual]);
                return Comparison { field, operator, values: vec![FilterValue::Null] };
            }
            if field.field.operators().is_empty() || (field.field.kind == Kind::Object && field.key.is_none()) {
                continue;
            }
            let operator = self.one_of(field.field.operators());
            let values = self.values(&field, operator);
            return Comparison { field, operator, values };
        }
    }

    fn path(&mut self, parent: Option<&'static Parent>) -> FieldPath {
        let fields = parent.map_or(self.vocabulary.fields, |parent| parent.fields);
        let field = loop {
            let field: &'static Field = &fields[self.random.usize(..fields.len())];
            if field.comparable {
                break field;
            }
        };
        let key = (field.kind == Kind::Object && self.random.u8(0..8) > 0).then(|| self.one_of(KEYS).to_owned());
        FieldPath { field, parent, key, custom: None }
    }

    fn values(&mut self, field: &FieldPath, operator: Operator) -> Vec<FilterValue> {
        let count = match operator {
            Operator::In => self.random.usize(1..5),
            Operator::Has => self.random.usize(1..4),
            _ => 1,
        };
        let with_null = operator == Operator::In && field.may_be_missing();
        let mut values: Vec<FilterValue> = (0..count).map(|_| self.value(field, operator)).collect();
        if with_null && self.random.u8(0..4) == 0 {
            values.push(FilterValue::Null);
        }
        values
    }

    fn value(&mut self, field: &FieldPath, operator: Operator) -> FilterValue {
        let fits = |value: &&FilterValue| could_be(field, operator, value);
        let known: Vec<FilterValue> = self.known.iter().filter(fits).cloned().collect();
        if !known.is_empty() && self.random.u8(0..3) > 0 {
            return known[self.random.usize(..known.len())].clone();
        }
        match (field.field.kind, operator) {
            (_, Operator::Contains) => self.text(),
            (Kind::Object, Operator::Equal | Operator::NotEqual | Operator::In) => match self.random.u8(0..3) {
                0 => self.text(),
                1 => self.number(),
                _ => FilterValue::Boolean(self.random.bool()),
            },
            (Kind::Object, _) if self.random.bool() => self.number(),
            (Kind::Text | Kind::Caseless | Kind::Tags | Kind::Object, _) => self.text(),
            (Kind::Choice(words), _) => FilterValue::Text(self.one_of(words).to_owned()),
            (Kind::Integer, _) => {
                FilterValue::Integer(self.one_of(&[0, 1, -1, 7, i64::MIN, i64::MAX, i64::from(i32::MAX), -2_147_483_649]))
            }
            (Kind::Decimal, _) => FilterValue::Decimal(self.money()),
            (Kind::Boolean, _) => FilterValue::Boolean(self.random.bool()),
            (Kind::Date, _) if self.relative && self.random.bool() => FilterValue::Relative(self.day()),
            (Kind::Date, _) => FilterValue::Date(self.date()),
            (Kind::Timestamp, _) if self.relative && self.random.bool() => self.moment(),
            (Kind::Timestamp, _) => FilterValue::Timestamp(self.instant()),
            (Kind::Member, _) if self.relative && self.random.bool() => {
                FilterValue::Relative(self.one_of(&[Relative::Me, Relative::MyTeam]))
            }
            (Kind::Id | Kind::Member, _) => FilterValue::Id(Uuid::from_u128(self.random.u128(..))),
        }
    }

    fn text(&mut self) -> FilterValue {
        let mut text = self.one_of(TEXTS).to_owned();
        if self.random.u8(0..4) == 0 {
            text.push_str(self.one_of(TEXTS));
        }
        FilterValue::Text(text)
    }

    fn number(&mut self) -> FilterValue {
        let written = match self.random.u8(0..4) {
            0 => self.random.i64(..).to_string(),
            1 => format!("{}.{}", self.random.i32(..), self.random.u32(..)),
            2 => format!("{}{:020}", self.random.u64(1..), self.random.u64(..)),
            _ => self.one_of(&["0", "1", "10", "10.0", "-0.5", "0.1", "0.0000001", "9007199254740993"]).to_owned(),
        };
        FilterValue::Number(written.parse::<BigDecimal>().expect("digits are a number"))
    }

    fn money(&mut self) -> Money {
        let written = match self.random.u8(0..3) {
            0 => format!("{}.{:03}", self.random.i64(-999_999_999_999_999..=999_999_999_999_999), self.random.u16(0..1000)),
            1 => self.random.i32(-2000..2000).to_string(),
            _ => self.one_of(&["0", "0.001", "-0.001", "999999999999999.999", "-999999999999999.999", "1000000"]).to_owned(),
        };
        written.parse().expect("within what the database holds")
    }

    fn date(&mut self) -> Date {
        let edge = ["0001-01-01", "9999-12-31", "1970-01-01", "2024-02-29"];
        let date = match self.random.u8(0..3) {
            0 => self.one_of(&edge).to_owned(),
            _ => format!("20{:02}-{:02}-{:02}", self.random.u8(15..30), self.random.u8(1..13), self.random.u8(1..29)),
        };
        date.parse().expect("a day of the calendar")
    }

    fn instant(&mut self) -> Timestamp {
        let (date, micros) = (self.date(), self.random.u32(0..1_000_000));
        let (hour, minute, second) = (self.random.u8(0..24), self.random.u8(0..60), self.random.u8(0..60));
        format!("{date}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z").parse().expect("an instant")
    }

    fn moment(&mut self) -> FilterValue {
        match self.random.u8(0..3) {
            0 => FilterValue::Date(self.date()),
            1 => FilterValue::Relative(self.day()),
            _ => {
                let seconds = self.one_of(&[0, 1, -45, 60, -900, 3_600, -43_200, 90_061, 86_400]);
                FilterValue::Relative(Relative::Now(Span { seconds, ..self.days() }))
            }
        }
    }

    fn day(&mut self) -> Relative {
        match self.random.bool() {
            true => Relative::Today(self.days()),
            false => Relative::Start(self.one_of(&Period::ALL), self.one_of(&[0, 1, -1, 12, -400]), self.days()),
        }
    }

    fn days(&mut self) -> Span {
        const DAYS: RangeInclusive<i32> = -400..=400;
        Span { days: if self.random.bool() { 0 } else { self.random.i32(DAYS) }, seconds: 0 }
    }

    fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.random.usize(..items.len())]
    }
}

/// Whether a known value may be asked of the field.
fn could_be(field: &FieldPath, operator: Operator, value: &FilterValue) -> bool {
    let equality = matches!(operator, Operator::Equal | Operator::NotEqual | Operator::In);
    match (field.field.kind, value) {
        (Kind::Text | Kind::Caseless | Kind::Tags | Kind::Object, FilterValue::Text(_)) => true,
        (Kind::Choice(words), FilterValue::Text(text)) => words.contains(&text.as_str()),
        (Kind::Object, FilterValue::Boolean(_)) => equality,
        (Kind::Object, FilterValue::Number(_)) => operator != Operator::Contains,
        (Kind::Integer, FilterValue::Integer(_))
        | (Kind::Decimal, FilterValue::Decimal(_))
        | (Kind::Boolean, FilterValue::Boolean(_))
        | (Kind::Date, FilterValue::Date(_))
        | (Kind::Timestamp, FilterValue::Timestamp(_))
        | (Kind::Id | Kind::Member, FilterValue::Id(_)) => true,
        _ => false,
    }
}
