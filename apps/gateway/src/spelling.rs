//! Requests in one spelling, so that nothing behind it can take two spellings for two things.
//!
//! An address may escape letters that need not be escaped (RFC 3986, 6.2.2): routes, limits, the policy and what is remembered of a
//! request see it without. HEAD is GET whose answer is sent without its body, which the HTTP library leaves out.
//! Must stay true: this comes before anything that looks at method or address; what is escaped for a reason stays so.

use actix_web::{
    dev::ServiceRequest,
    http::{Method, Uri},
};

/// Gives the request the spelling that all others see.
pub fn settle(request: &mut ServiceRequest) {
    if request.method() == Method::HEAD {
        request.head_mut().method = Method::GET;
    }
    let Some(uri) = plain(request.uri()) else { return };
    request.match_info_mut().get_mut().update(&uri);
    request.head_mut().uri = uri;
}

/// The address without escapes that mean nothing; none when it has none.
fn plain(uri: &Uri) -> Option<Uri> {
    let path = unescaped(uri.path())?;
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(format!("{path}{query}").parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// Letters, digits and `-._~` as they are, all other escapes in capitals.
fn unescaped(path: &str) -> Option<String> {
    let (first, escapes) = path.split_once('%')?;
    let mut plain = first.to_owned();
    for part in escapes.split('%') {
        let byte = part.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match byte.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => plain.push(char::from(byte)),
            Some(byte) => plain.push_str(&format!("%{byte:02X}")),
            None => {
                plain.push('%');
                plain.push_str(part);
                continue;
            }
        }
        plain.push_str(part.get(2..).unwrap_or_default());
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn only_what_need_not_be_escaped_is_written_out() {
        for (given, settled) in [
            ("/%63ontacts/%7e%2D%5f?q=%63", Some("/contacts/~-_?q=%63".to_owned())),
            ("/a%2fb%2Fc%25%3F%c3%bc%00", Some("/a%2Fb%2Fc%25%3F%C3%BC%00".to_owned())),
            ("/%2e%2e/x", Some("/../x".to_owned())),
            ("/%zz%6", Some("/%zz%6".to_owned())),
            ("/contacts?q=%63", None),
        ] {
            assert_eq!(plain(&given.parse().unwrap_or_default()).map(|uri| uri.to_string()), settled, "{given}");
        }
    }
}
