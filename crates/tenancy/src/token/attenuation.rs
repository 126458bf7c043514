//! What a holder may add to a token: a closed grammar, judged on the blocks as they were signed.
//!
//! Not on the text that they print as: a fact may be *named* `check if f`, prints as a check, and is one more row to join. And not
//! left to the limits of a run, which are looked at between its rounds only: one check that joins facts of its own, one regular
//! expression or nested closures keep a thread busy for minutes within one round.
//! Must stay true: what is not named here is refused; every fact that can be asked for is there once at most, and a block brings no
//! facts, so that a check costs as much as it is long, and all of them together have [`MOST_PARTS`] parts.

use biscuit_auth::{
    Biscuit,
    datalog::SymbolTable,
    format::schema::{
        Block, Check, Expression, Op, Predicate, Rule, Term, check::Kind, op::Content as Step, op_binary::Kind as Binary,
        op_unary::Kind as Unary, term::Content as Value,
    },
};
use crm_kernel::{Error, Result};
use prost::Message;

/// Blocks that may follow the first, and the bytes that each may have.
pub(super) const MOST_BLOCKS: usize = 4;
const LONGEST_BLOCK: usize = 2048;

/// Facts, operators and values in all the blocks together; each member of a set is one.
const MOST_PARTS: usize = 256;

/// Facts that one body of a check may join.
const MOST_FACTS: usize = 4;

/// Bytes of a text.
const LONGEST_TEXT: usize = 128;

/// How deep `&&` and `||` may be in each other.
const DEEPEST: usize = 4;

/// What a check may ask for: what the server signs, and what it says of a request. Each has one value.
const FACTS: [&str; 12] = [
    "access",
    "actor",
    "api_token",
    "entity",
    "environment",
    "operation",
    "organization",
    "resource",
    "role",
    "session",
    "time",
    "user",
];

/// Whether the blocks that a holder has added speak of single records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Records {
    /// No.
    Unnamed,
    /// Some may be used.
    Named,
    /// Some may not: what is about no single record could contain them.
    Excluded,
}

/// Refuses what is not of the grammar, of a token that has been read and so has few blocks, and answers how the checks speak of single records.
///
/// # Errors
/// `Unauthenticated`, saying what it is that a holder may not add.
pub(super) fn judge(token: &Biscuit) -> Result<Records> {
    if token.block_count() == 1 {
        return Ok(Records::Unnamed);
    }
    let mut judge = Judge { symbols: SymbolTable::new(), parts: 0 };
    let container = token.container().to_proto();
    judge.block(&container.authority.block)?;
    let mut records = Records::Unnamed;
    for signed in &container.blocks {
        if signed.external_signature.is_some() {
            return Err(refused("a block is signed by a third party"));
        }
        if signed.block.len() > LONGEST_BLOCK {
            return Err(refused("a block is longer than 2,048 bytes"));
        }
        let block = judge.block(&signed.block)?;
        let is_plain = block.facts.is_empty() && block.rules.is_empty() && block.scope.is_empty();
        if !is_plain || !block.public_keys.is_empty() || block.context.is_some() {
            return Err(refused("a block has something that is not a check"));
        }
        for check in &block.checks {
            records = records.max(judge.check(check)?);
        }
    }
    Ok(records)
}

pub(super) fn refused(what: &str) -> Error {
    Error::unauthenticated(format!("the token was narrowed by more than plain checks: {what}"))
}

struct Judge {
    symbols: SymbolTable,
    parts: usize,
}

impl Judge {
    /// The block, whose names count from now on: later blocks name things by them, too.
    fn block(&mut self, bytes: &[u8]) -> Result<Block> {
        let unreadable = || refused("a block cannot be read");
        let block = Block::decode(bytes).map_err(|_| unreadable())?;
        let symbols = SymbolTable::from(block.symbols.clone()).map_err(|_| unreadable())?;
        self.symbols.extend(&symbols).map_err(|_| unreadable())?;
        Ok(block)
    }

    fn count(&mut self) -> Result<()> {
        self.parts += 1;
        if self.parts > MOST_PARTS { Err(refused("the checks have more than 256 parts")) } else { Ok(()) }
    }

    fn check(&mut self, check: &Check) -> Result<Records> {
        let mentioned = match check.kind.map_or(Some(Kind::One), Kind::from_i32) {
            Some(Kind::One) => Records::Named,
            Some(Kind::Reject) => Records::Excluded,
            _ => return Err(refused("it has another statement than `check if` and `reject if`")),
        };
        let mut records = Records::Unnamed;
        for body in &check.queries {
            if self.body(body)? {
                records = mentioned;
            }
        }
        Ok(records)
    }

    /// Whether it asks for the record.
    fn body(&mut self, body: &Rule) -> Result<bool> {
        self.count()?;
        if !body.scope.is_empty() || !body.head.terms.is_empty() {
            return Err(refused("a check says whom it trusts"));
        }
        if body.body.len() > MOST_FACTS {
            return Err(refused("a check joins more than 4 facts"));
        }
        let mut asks_for_record = false;
        for fact in &body.body {
            asks_for_record |= self.fact(fact)? == "resource";
        }
        for expression in &body.expressions {
            let Expression { ops } = expression;
            self.steps(ops, 0)?;
        }
        Ok(asks_for_record)
    }

    /// Its name.
    fn fact(&mut self, fact: &Predicate) -> Result<&'static str> {
        self.count()?;
        let name = self.symbols.get_symbol(fact.name).and_then(|name| FACTS.into_iter().find(|known| *known == name));
        let name = name.ok_or_else(|| refused("a check asks for a fact that there is not"))?;
        let [Term { content: Some(Value::Variable(_) | Value::String(_) | Value::Date(_)) }] = fact.terms.as_slice() else {
            return Err(refused("a fact has one value: a text, a time or a variable"));
        };
        fact.terms.iter().try_for_each(|term| self.value(term))?;
        Ok(name)
    }

    fn steps(&mut self, steps: &[Op], depth: usize) -> Result<()> {
        let operator = || refused("it has an operator other than == != < <= > >= ! && || contains starts_with ends_with");
        for (place, step) in steps.iter().enumerate() {
            self.count()?;
            match step.content.as_ref().ok_or_else(operator)? {
                Step::Value(value) => self.value(value)?,
                Step::Unary(unary) => match Unary::from_i32(unary.kind) {
                    Some(Unary::Negate | Unary::Parens) => {}
                    _ => return Err(operator()),
                },
                Step::Binary(binary) => match Binary::from_i32(binary.kind) {
                    Some(kind) if is_known(kind) => {}
                    _ => return Err(operator()),
                },
                // The right side of `&&` and `||`, which is looked at when the left one does not decide. Any other closure is a loop.
                Step::Closure(closure) => {
                    let follows = steps.get(place + 1).and_then(|step| step.content.as_ref());
                    if !closure.params.is_empty() || !follows.is_some_and(is_lazy) {
                        return Err(operator());
                    }
                    if depth == DEEPEST {
                        return Err(refused("&& and || are too deep in each other"));
                    }
                    self.steps(&closure.ops, depth + 1)?;
                }
            }
        }
        Ok(())
    }

    fn value(&mut self, value: &Term) -> Result<()> {
        self.count()?;
        match value.content.as_ref() {
            Some(Value::Variable(_) | Value::Date(_) | Value::Bool(_)) => Ok(()),
            Some(Value::String(text)) => self.text(*text),
            Some(Value::Set(set)) => set.set.iter().try_for_each(|member| self.member(member)),
            Some(Value::Array(array)) => array.array.iter().try_for_each(|member| self.member(member)),
            _ => Err(refused("values are texts, times, true, false, variables and sets of texts")),
        }
    }

    fn member(&mut self, member: &Term) -> Result<()> {
        self.count()?;
        match member.content {
            Some(Value::String(text)) => self.text(text),
            _ => Err(refused("values are texts, times, true, false, variables and sets of texts")),
        }
    }

    fn text(&self, text: u64) -> Result<()> {
        let is_short = self.symbols.get_symbol(text).is_some_and(|text| text.len() <= LONGEST_TEXT);
        if is_short { Ok(()) } else { Err(refused("a text is longer than 128 bytes")) }
    }
}

fn is_known(operator: Binary) -> bool {
    use Binary::{
        And, Contains, Equal, GreaterOrEqual, GreaterThan, HeterogeneousEqual, HeterogeneousNotEqual, LazyAnd, LazyOr,
        LessOrEqual, LessThan, NotEqual, Or, Prefix, Suffix,
    };
    let compares = matches!(operator, LessThan | LessOrEqual | GreaterThan | GreaterOrEqual | Equal | NotEqual);
    let compares = compares || matches!(operator, HeterogeneousEqual | HeterogeneousNotEqual);
    compares || matches!(operator, Contains | Prefix | Suffix | And | Or | LazyAnd | LazyOr)
}

fn is_lazy(step: &Step) -> bool {
    let Step::Binary(binary) = step else { return false };
    matches!(Binary::from_i32(binary.kind), Some(Binary::LazyAnd | Binary::LazyOr))
}
