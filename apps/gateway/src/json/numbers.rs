//! Numbers of a JSON text that would not be kept as they are written.
//!
//! A number is kept when it is a whole one of 64 bits, or when it is what a double precision number gives back: written with as few digits as
//! tell it from others, or with 17, as many programs write it. Not here: whether the text is JSON.
//! Must stay true: one pass, with work and memory bounded by the length of the text, whatever stands in it.

use crm_kernel::FieldError;

use super::MOST_ERRORS;

/// Digits that every double precision number gives back.
const ALWAYS_KEPT: usize = 15;

/// What the place in the text is inside of.
enum Level<'t> {
    Items(usize),
    /// With the name of the value, as it is written.
    Names(&'t [u8]),
}

/// Every number that is not kept, by its pointer; of a text that is no JSON nothing sensible is said.
pub(super) fn not_kept(text: &[u8]) -> Vec<FieldError> {
    let (mut levels, mut faults, mut place) = (Vec::new(), Vec::new(), 0);
    while let Some(byte) = text.get(place) {
        let rest = text.get(place..).unwrap_or_default();
        let length = match byte {
            b'"' => text_length(rest),
            b'-' | b'0'..=b'9' => number_length(rest),
            _ => 1,
        };
        let token = rest.get(..length).unwrap_or_default();
        match byte {
            b'[' => levels.push(Level::Items(0)),
            b'{' => levels.push(Level::Names(&[])),
            b']' | b'}' => drop(levels.pop()),
            b',' => {
                if let Some(Level::Items(index)) = levels.last_mut() {
                    *index += 1;
                }
            }
            // A name, or a value that is a text; a value comes behind its name and is no longer asked for.
            b'"' if is_name(text, place + length) => {
                if let Some(Level::Names(name)) = levels.last_mut() {
                    *name = token;
                }
            }
            b'-' | b'0'..=b'9' if faults.len() < MOST_ERRORS && !is_kept(token) => {
                let message = "this number would not be kept as it is written: send it as text, or with at most 15 digits";
                faults.push(FieldError::new(pointer(&levels), "number", message));
            }
            _ => {}
        }
        place += length;
    }
    faults
}

/// With both quotes.
fn text_length(text: &[u8]) -> usize {
    let mut escaped = false;
    let inside = text.iter().skip(1).take_while(|byte| {
        let goes_on = escaped || **byte != b'"';
        escaped = !escaped && **byte == b'\\';
        goes_on
    });
    (inside.count() + 2).min(text.len())
}

fn number_length(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte)).count()
}

fn is_name(text: &[u8], behind: usize) -> bool {
    let mut rest = text.get(behind..).unwrap_or_default().iter();
    rest.find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
}

fn pointer(levels: &[Level<'_>]) -> String {
    let step = |level: &Level<'_>| match level {
        Level::Items(index) => format!("/{index}"),
        Level::Names(name) => {
            let name: String = serde_json::from_slice(name).unwrap_or_default();
            format!("/{}", name.replace('~', "~0").replace('/', "~1"))
        }
    };
    levels.iter().map(step).collect()
}

fn is_kept(token: &[u8]) -> bool {
    let Ok(token) = std::str::from_utf8(token) else { return false };
    let digits = token.bytes().filter(u8::is_ascii_digit).count();
    let is_short = digits <= ALWAYS_KEPT && !token.contains(['e', 'E']);
    if is_short || token.parse::<i64>().is_ok() || token.parse::<u64>().is_ok() {
        return true;
    }
    let Ok(number) = token.parse::<f64>() else { return false };
    let is_of = |written: String| Decimal::of(token) == Decimal::of(&written);
    number.is_finite() && (is_of(format!("{number:e}")) || is_of(format!("{number:.16e}")))
}

/// A number by its digits, without zeros before and behind them: equal numbers are equal here, however they are written.
#[derive(PartialEq)]
struct Decimal {
    is_negative: bool,
    digits: String,
    /// Of the last digit; none of what is zero.
    exponent: Option<i64>,
}

impl Decimal {
    fn of(text: &str) -> Option<Self> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) =
            mantissa.trim_start_matches('-').split_once('.').unwrap_or((mantissa.trim_start_matches('-'), ""));
        let written = format!("{whole}{fraction}");
        let digits = written.trim_end_matches('0');
        let zeros_behind = i64::try_from(written.len() - digits.len()).ok()?;
        let exponent =
            exponent.parse::<i64>().ok()?.checked_sub(i64::try_from(fraction.len()).ok()?)?.checked_add(zeros_behind)?;
        let digits = digits.trim_start_matches('0').to_owned();
        let is_zero = digits.is_empty();
        Some(Self { is_negative: !is_zero && mantissa.starts_with('-'), digits, exponent: (!is_zero).then_some(exponent) })
    }
}

#[cfg(test)]
mod tests {
    use super::not_kept;

    #[test]
    fn a_number_that_would_become_another_is_named() {
        for kept in [
            "0",
            "-0",
            "-0.0",
            "0e5",
            "1.50",
            "0.1",
            "1e3",
            "1E+3",
            "1.5e300",
            "9007199254740993",
            "18446744073709551615",
            "-9223372036854775808",
            "0.30000000000000004",
            "47.376886599999999",
            "1.7976931348623157e308",
            "5e-324",
            "100000000000000000000",
            "1.0000000000000000000000000000000",
            "0.00000000000000000000000000000000000001",
            "123456789012.345",
            "0e99999",
        ] {
            assert_eq!(not_kept(kept.as_bytes()), [], "{kept}");
        }
        for other in [
            "18446744073709551616.5",
            "-9223372036854775809",
            "123456789012345678901234567890",
            "0.1000000000000000000001",
            "1.79769313486231571e308",
            "1e-400",
            "-1e400",
            "1e99999999999999999999",
            "4e-324",
            "999999999999999.999",
            "9999999999999.9999",
            "47.376886599999996",
        ] {
            let faults = not_kept(other.as_bytes());
            assert_eq!(faults.iter().map(|fault| fault.code.as_str()).collect::<Vec<_>>(), ["number"], "{other}");
        }
    }

    #[test]
    fn it_is_named_by_its_pointer() {
        let text = br#"{"a":[1,{"b\"~/":1e-400,"c":"1e-400, \\"},[1e-400]],"d":{}, "e" : 0.1000000000000000000001 ,"f":"x"}"#;
        let pointers: Vec<String> = not_kept(text).into_iter().map(|fault| fault.pointer).collect();
        assert_eq!(pointers, ["/a/1/b\"~0~1", "/a/2/0", "/e"]);
        assert_eq!(not_kept("[1e-400,".repeat(1000).as_bytes()).len(), 50);
        for no_json in ["\"", "\"\\", "{\"", "]", "}1e-400", "-", "[\"\u{e9}", "{\"a\"\"b\":-"] {
            not_kept(no_json.as_bytes());
        }
    }
}
