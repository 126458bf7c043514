//! The text of the language, after AIP-160, read with the parser library `winnow`.
//!
//! ```text
//! filter      = [ condition ]
//! condition   = operand { "AND" operand } | operand { "OR" operand }
//! operand     = "NOT" operand | "(" [ condition ] ")" | comparison
//! comparison  = name { "." ( name | string ) } operator values
//! operator    = "=" | "!=" | "<" | "<=" | ">" | ">=" | "~" | ":" | "IN"
//! values      = value | "*" | "(" value { "," value } ")"
//! value       = string | number | date | time | "null" | "true" | "false" | "me" | "my_team" | moment
//! moment      = start { ( "+" | "-" ) number ( "w" | "d" | "h" | "m" | "s" ) }
//! start       = ( "now" | "today" ) "(" ")" | ( "week_start" | "month_start" | "quarter_start" | "year_start" ) "(" [ number ] ")"
//! ```
//!
//! Words are read whatever their case. AND and OR do not mix without parentheses: AIP-160 binds OR first, every language of
//! queries AND, and a filter must not mean what its author did not. Must stay true: reading never goes deeper than the
//! bound, so a text can neither fill the stack nor run for long.

use winnow::{
    LocatingSlice, ModalResult, Parser, Stateful,
    combinator::{alt, cut_err, delimited, opt, peek, preceded, separated},
    error::{ErrMode, ParserError},
    stream::{Location, Stream},
    token::{any, one_of, take_while},
};

use super::{
    Operator, Period, Relative, Span,
    bounds::{DEEPEST, LONGEST_TEXT, MOST_DAYS, MOST_PERIODS},
    reading::too_deep,
    syntax::{At, Complaint, Place, Spelling, Syntax, Word},
};

/// The text and how deep within it we are.
type Input<'t> = Stateful<LocatingSlice<&'t str>, usize>;
type Reading<T> = ModalResult<T, Complaint>;

const END: &str = "expected AND, OR or the end of the filter";
const CLOSE: &str = "expected AND, OR or )";
const OPERAND: &str = "expected a field, NOT or (";
const OPERATOR: &str = "expected an operator: = != < <= > >= ~ : or IN";
const VALUE: &str =
    "expected a value: text in quotes, a number, a date, null, true, false, me, my_team, now(), today() or quarter_start()";

/// Reads a whole filter.
pub(super) fn parse(text: &str) -> Result<Syntax, Complaint> {
    if let Some((end, _)) = text.char_indices().nth(LONGEST_TEXT) {
        return Err(Complaint::new(&Place::Text(end), "too_long", format!("at most {LONGEST_TEXT} characters")));
    }
    let mut input = Input { input: LocatingSlice::new(text), state: 0 };
    filter.parse_next(&mut input).map_err(|error| match error {
        ErrMode::Backtrack(complaint) | ErrMode::Cut(complaint) => complaint,
        ErrMode::Incomplete(_) => Complaint::new(&Place::Text(text.len()), "syntax", END),
    })
}

fn filter(input: &mut Input<'_>) -> Reading<Syntax> {
    space(input)?;
    if input.is_empty() {
        return Ok(Syntax::All(here(input), Vec::new()));
    }
    let syntax = condition(input)?;
    if input.is_empty() { Ok(syntax) } else { Err(cut(input, END)) }
}

/// Operands joined by one of the two words; everything behind the last one is left.
fn condition(input: &mut Input<'_>) -> Reading<Syntax> {
    let place = here(input);
    let first = operand(input)?;
    let joined = opt(peek(word)).parse_next(input)?.map(str::to_ascii_lowercase);
    let (joint, other) = match joined.as_deref() {
        Some("and") => ("and", "or"),
        Some("or") => ("or", "and"),
        _ => return Ok(first),
    };
    let mut parts = vec![first];
    while opt(keyword(joint)).parse_next(input)?.is_some() {
        parts.push(cut_err(operand).parse_next(input)?);
    }
    if opt(peek(keyword(other))).parse_next(input)?.is_some() {
        let message = "AND and OR stand beside each other; say with ( ) which of them binds first";
        return Err(ErrMode::Cut(Complaint::new(&here(input), "mixed", message)));
    }
    Ok(if joint == "and" { Syntax::All(place, parts) } else { Syntax::Any(place, parts) })
}

fn operand(input: &mut Input<'_>) -> Reading<Syntax> {
    let place = here(input);
    if opt(keyword("not")).parse_next(input)?.is_some() {
        let inner = deeper(input, &place, operand)?;
        return Ok(Syntax::Not(place, Box::new(inner)));
    }
    if opt(symbol('(')).parse_next(input)?.is_none() {
        return comparison(input);
    }
    if opt(symbol(')')).parse_next(input)?.is_some() {
        return Ok(Syntax::All(place, Vec::new()));
    }
    let inner = deeper(input, &place, condition)?;
    if opt(symbol(')')).parse_next(input)?.is_some() { Ok(inner) } else { Err(cut(input, CLOSE)) }
}

fn deeper(input: &mut Input<'_>, place: &Place, parser: fn(&mut Input<'_>) -> Reading<Syntax>) -> Reading<Syntax> {
    if input.state == DEEPEST {
        return Err(ErrMode::Cut(too_deep(place)));
    }
    input.state += 1;
    let inner = parser(input)?;
    input.state -= 1;
    Ok(inner)
}

fn comparison(input: &mut Input<'_>) -> Reading<Syntax> {
    let path = path(input)?;
    let operator = placed(operator).parse_next(input).map_err(|_| cut(input, OPERATOR))?;
    let values = match operator.what {
        Operator::In => list(input)?,
        Operator::Has if opt(symbol('*')).parse_next(input)?.is_some() => {
            vec![At { place: operator.place.clone(), what: Spelling::Present }]
        }
        Operator::Has if opt(peek(symbol('('))).parse_next(input)?.is_some() => list(input)?,
        _ => vec![value(input)?],
    };
    Ok(Syntax::Compare(path, operator, values))
}

fn path(input: &mut Input<'_>) -> Reading<Vec<Word>> {
    if opt(peek(alt((keyword("and"), keyword("or"))))).parse_next(input)?.is_some() {
        return Err(cut(input, OPERAND));
    }
    let mut words = vec![placed(word.map(str::to_owned)).parse_next(input).map_err(|_: ErrMode<Complaint>| cut(input, OPERAND))?];
    while opt(symbol('.')).parse_next(input)?.is_some() {
        let next = placed(alt((word.map(str::to_owned), string))).parse_next(input);
        words.push(
            next.map_err(|error| if error.is_backtrack() { cut(input, "expected a name behind the point") } else { error })?,
        );
    }
    Ok(words)
}

fn operator(input: &mut Input<'_>) -> Reading<Operator> {
    let spelled = |text: &'static str, operator: Operator| (text, space).value(operator);
    alt((
        spelled("!=", Operator::NotEqual),
        spelled("<=", Operator::LessOrEqual),
        spelled(">=", Operator::GreaterOrEqual),
        spelled("=", Operator::Equal),
        spelled("<", Operator::Less),
        spelled(">", Operator::Greater),
        spelled(":", Operator::Has),
        spelled("~", Operator::Contains),
        keyword("in").value(Operator::In),
    ))
    .parse_next(input)
}

fn list(input: &mut Input<'_>) -> Reading<Vec<At<Spelling>>> {
    if opt(symbol('(')).parse_next(input)?.is_none() {
        return Err(cut(input, "expected ( and values with commas between them"));
    }
    let values = separated(1.., value, symbol(',')).parse_next(input)?;
    if opt(symbol(')')).parse_next(input)?.is_some() { Ok(values) } else { Err(cut(input, "expected , or )")) }
}

fn value(input: &mut Input<'_>) -> Reading<At<Spelling>> {
    let spelling = alt((string.map(Spelling::Quoted), bare.map(Spelling::Bare), moment, constant));
    placed(spelling).parse_next(input).map_err(|error| if error.is_backtrack() { cut(input, VALUE) } else { error })
}

fn constant(input: &mut Input<'_>) -> Reading<Spelling> {
    alt((
        keyword("null").value(Spelling::Null),
        keyword("true").value(Spelling::Boolean(true)),
        keyword("false").value(Spelling::Boolean(false)),
        people,
    ))
    .parse_next(input)
}

fn people(input: &mut Input<'_>) -> Reading<Spelling> {
    let people = alt((keyword("me").value(Relative::Me), keyword("my_team").value(Relative::MyTeam)));
    people.map(Spelling::Relative).parse_next(input)
}

/// What begins like a number and goes on like a number, a date or a time.
fn bare(input: &mut Input<'_>) -> Reading<String> {
    let first = one_of(|character: char| character.is_ascii_digit() || character == '-');
    let rest = take_while(0.., |character: char| character.is_alphanumeric() || matches!(character, '.' | ':' | '-' | '+' | '_'));
    ((first, rest).take(), space).map(|(text, ()): (&str, ())| text.to_owned()).parse_next(input)
}

/// A value that the JSON form has no type for.
pub(super) fn parse_expression(text: &str, place: &Place) -> Result<Spelling, Complaint> {
    let message = "expected me, my_team, a moment such as now() - 30d, today() or quarter_start(), or a number";
    whole(text, alt((moment, people, bare.map(Spelling::Bare))), place, message)
}

/// The name of a field, as the JSON form has it.
pub(super) fn parse_path(text: &str, place: &Place) -> Result<Vec<Word>, Complaint> {
    let words = whole(text, path, place, "expected the name of a field")?;
    Ok(words.into_iter().map(|word| At { place: place.clone(), what: word.what }).collect())
}

/// All of the text is what the parser reads; whatever is wrong with it is wrong at `place`.
fn whole<'t, T>(
    text: &'t str,
    parser: impl Parser<Input<'t>, T, ErrMode<Complaint>>,
    place: &Place,
    expected: &str,
) -> Result<T, Complaint> {
    let wrong = || Complaint::new(place, "value", expected);
    let mut input = Input { input: LocatingSlice::new(text), state: 0 };
    if text.len() > LONGEST_TEXT {
        return Err(wrong());
    }
    match preceded(space, parser).parse_next(&mut input) {
        Ok(read) if input.is_empty() => Ok(read),
        Err(ErrMode::Cut(complaint)) => Err(Complaint { place: place.clone(), ..complaint }),
        _ => Err(wrong()),
    }
}

fn moment(input: &mut Input<'_>) -> Reading<Spelling> {
    let start = alt((now, today, start_of_period)).parse_next(input)?;
    let mut span = Span::default();
    while let Some(sign) = opt(alt((symbol('+').value(1), symbol('-').value(-1)))).parse_next(input)? {
        let place = here(input);
        let (amount, unit) = duration(input).map_err(|_| ErrMode::Cut(Complaint::new(&place, "syntax", DURATION)))?;
        if !matches!(start, Relative::Now(_)) && !matches!(unit, 'd' | 'w') {
            let message = "a day is moved by days (d) and weeks (w); now() by all units";
            return Err(ErrMode::Cut(Complaint::new(&place, "value", message)));
        }
        span = moved(span, sign * amount, unit).ok_or_else(|| {
            ErrMode::Cut(Complaint::new(&place, "value", format!("a moment is moved by at most {MOST_DAYS} days")))
        })?;
    }
    Ok(Spelling::Relative(match start {
        Relative::Now(_) => Relative::Now(span),
        Relative::Start(period, offset, _) => Relative::Start(period, offset, span),
        _ => Relative::Today(span),
    }))
}

fn now(input: &mut Input<'_>) -> Reading<Relative> {
    (keyword("now"), symbol('(')).parse_next(input)?;
    close(input).map(|()| Relative::Now(Span::default()))
}

fn today(input: &mut Input<'_>) -> Reading<Relative> {
    (keyword("today"), symbol('(')).parse_next(input)?;
    close(input).map(|()| Relative::Today(Span::default()))
}

/// `quarter_start()` is the first day of this quarter, `quarter_start(1)` of the next, `quarter_start(-1)` of the last one.
fn start_of_period(input: &mut Input<'_>) -> Reading<Relative> {
    let period = |period: Period| keyword(period.function()).value(period);
    let [week, month, quarter, year] = Period::ALL;
    let (period, ()) = (alt((period(week), period(month), period(quarter), period(year))), symbol('(')).parse_next(input)?;
    let place = here(input);
    let offset: Option<i32> = opt(bare.verify_map(|text: String| text.parse().ok())).parse_next(input)?;
    let offset = offset.unwrap_or_default();
    if !(-MOST_PERIODS..=MOST_PERIODS).contains(&offset) {
        let message = format!("at most {MOST_PERIODS} periods before or after this one");
        return Err(ErrMode::Cut(Complaint::new(&place, "value", message)));
    }
    close(input).map(|()| Relative::Start(period, offset, Span::default()))
}

fn close(input: &mut Input<'_>) -> Reading<()> {
    if opt(symbol(')')).parse_next(input)?.is_some() { Ok(()) } else { Err(cut(input, "expected )")) }
}

const DURATION: &str = "expected a duration: 2w, 30d, 12h, 15m or 45s";

fn duration(input: &mut Input<'_>) -> Reading<(i64, char)> {
    let amount = take_while(1..=12, |character: char| character.is_ascii_digit()).parse_to();
    (amount, one_of(['w', 'd', 'h', 'm', 's']), end_of_word, space).map(|(amount, unit, (), ())| (amount, unit)).parse_next(input)
}

/// None beyond the bound.
pub(super) fn moved(span: Span, amount: i64, unit: char) -> Option<Span> {
    let (days, seconds) = match unit {
        'w' => (amount.checked_mul(7)?, 0),
        'd' => (amount, 0),
        'h' => (0, amount.checked_mul(3_600)?),
        'm' => (0, amount.checked_mul(60)?),
        _ => (0, amount),
    };
    let days = span.days.checked_add(i32::try_from(days).ok()?)?;
    let seconds = span.seconds.checked_add(seconds)?;
    let within = days.abs() <= MOST_DAYS && seconds.abs() <= i64::from(MOST_DAYS) * 86_400;
    within.then_some(Span { days, seconds })
}

/// Text in double or single quotes; a backslash takes the next character as it is, or as n, t, r and u{hex} say.
fn string(input: &mut Input<'_>) -> Reading<String> {
    let start = here(input);
    let quote = one_of(['"', '\'']).parse_next(input)?;
    let mut text = String::new();
    loop {
        let place = here(input);
        let unclosed = || ErrMode::Cut(Complaint::new(&start, "syntax", "the quotes that open here are never closed"));
        match any::<_, ErrMode<Complaint>>.parse_next(input).map_err(|_| unclosed())? {
            '\\' => {
                let escaped = any::<_, ErrMode<Complaint>>.parse_next(input).map_err(|_| unclosed())?;
                text.push(escape(input, escaped).map_err(|_| {
                    ErrMode::Cut(Complaint::new(&place, "syntax", "expected \\\" \\' \\\\ \\n \\r \\t or \\u{2022}"))
                })?);
            }
            end if end == quote => break,
            character => text.push(character),
        }
    }
    space(input)?;
    Ok(text)
}

fn escape(input: &mut Input<'_>, escaped: char) -> Reading<char> {
    match escaped {
        'n' => Ok('\n'),
        'r' => Ok('\r'),
        't' => Ok('\t'),
        '"' | '\'' | '\\' => Ok(escaped),
        'u' => {
            let digits = take_while(1..=6, |character: char| character.is_ascii_hexdigit());
            let code = delimited('{', digits, '}').verify_map(|digits| u32::from_str_radix(digits, 16).ok());
            code.verify_map(char::from_u32).parse_next(input)
        }
        _ => Err(ErrMode::from_input(input)),
    }
}

fn word<'t>(input: &mut Input<'t>) -> Reading<&'t str> {
    let first = one_of(|character: char| character.is_alphabetic() || character == '_');
    ((first, take_while(0.., is_word)).take(), space).map(|(text, ())| text).parse_next(input)
}

fn keyword<'t>(expected: &'static str) -> impl Parser<Input<'t>, (), ErrMode<Complaint>> {
    word.verify(move |text: &str| text.eq_ignore_ascii_case(expected)).void()
}

fn symbol<'t>(expected: char) -> impl Parser<Input<'t>, (), ErrMode<Complaint>> {
    (expected, space).void()
}

fn end_of_word(input: &mut Input<'_>) -> Reading<()> {
    if input.peek_token().is_some_and(is_word) { Err(ErrMode::from_input(input)) } else { Ok(()) }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn space(input: &mut Input<'_>) -> Reading<()> {
    take_while(0.., char::is_whitespace).void().parse_next(input)
}

/// What the parser reads, with the place where it begins.
fn placed<'t, T>(mut parser: impl Parser<Input<'t>, T, ErrMode<Complaint>>) -> impl Parser<Input<'t>, At<T>, ErrMode<Complaint>> {
    move |input: &mut Input<'t>| {
        let place = here(input);
        parser.parse_next(input).map(|what| At { place, what })
    }
}

fn here(input: &Input<'_>) -> Place {
    Place::Text(input.current_token_start())
}

fn cut(input: &Input<'_>, expected: &'static str) -> ErrMode<Complaint> {
    ErrMode::Cut(Complaint::new(&here(input), "syntax", expected))
}

/// What no one says more about: that something else was expected here.
impl<'t> ParserError<Input<'t>> for Complaint {
    type Inner = Self;

    fn from_input(input: &Input<'t>) -> Self {
        Self::new(&here(input), "syntax", "not understood")
    }

    fn into_inner(self) -> Result<Self, Self> {
        Ok(self)
    }
}
