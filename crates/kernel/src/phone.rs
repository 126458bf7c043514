//! Telephone numbers: read as people write them, kept as E.164 with the extension behind.
//!
//! The numbering plans of the world are those of libphonenumber, which the library carries.
//! Must stay true: what is kept is read again as itself, so that a record can be sent back as it came.

use rlibphonenumber::{NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, enums::Region};

/// Digits of an extension that are kept; ITU-T E.164 knows none at all.
const LONGEST_EXTENSION: usize = 20;

/// Whether a number says its country itself, so that it is read without knowing where it was written.
#[must_use]
pub fn names_its_country(text: &str) -> bool {
    text.trim_start().trim_start_matches("tel:").starts_with(['+', '\u{ff0b}'])
}

/// The number as it is kept: `+41446681800`, with an extension `+41446681800;ext=12`. A number that does not name its country is
/// one of `country` (ISO 3166-1 alpha-2).
///
/// # Errors
/// A sentence for people when it is no number that could be dialled.
pub fn normalised(text: &str, country: Option<&str>) -> Result<String, &'static str> {
    let region: Option<Region> = country.and_then(|code| code.parse().ok());
    if region.is_none() && !names_its_country(text) {
        return Err("must begin with + and the code of its country, because the organisation has no country");
    }
    if text.chars().any(|letter| letter.is_control()) {
        return Err("must be a telephone number");
    }
    let number = PHONE_NUMBER_UTIL.parse(text, region).map_err(|_| "must be a telephone number")?;
    if !could_be_dialled(&number, text) {
        return Err("must be a telephone number that its country can have");
    }
    let kept = PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164).into_owned();
    match number.extension.as_deref().filter(|extension| !extension.is_empty()) {
        None => Ok(kept),
        Some(extension) if extension.len() <= LONGEST_EXTENSION => Ok(format!("{kept};ext={extension}")),
        Some(_) => Err("must have an extension of at most 20 digits"),
    }
}

/// Of a length that its country has, or known. Ranges are opened faster than programs are released, so an unknown range is no
/// fault; but letters count for digits only in a number that is known, or `+41 44 668 18 00 abc` would become another one.
fn could_be_dialled(number: &PhoneNumber, text: &str) -> bool {
    let written: String = text.chars().filter(char::is_ascii_digit).collect();
    let is_as_written = written.contains(&number.national_number.to_string());
    let possible = PHONE_NUMBER_UTIL.is_possible_number_with_reason(number);
    is_as_written && matches!(possible, Ok(NumberLengthType::IsPossible)) || PHONE_NUMBER_UTIL.is_valid_number(number)
}
