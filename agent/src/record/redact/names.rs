//! Whose values are secrets: the one table of names, for headers, cookies' headers, query and form parameters, and the
//! keys of JSON bodies.
//!
//! Case does not count, nor does anything but letters and digits (`X-API-Key`, `x_api_key` and `user[apiKey]` are all
//! `apikey` at their end), nor digits at the end (`token2`). Redacting too much costs little, because equal secrets show as
//! equal; so endings are generous, and what is known to be harmless is listed. To add a name, add a row.

/// Where a name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Header,
    /// Of a query, a path or a form.
    Parameter,
    /// Of JSON.
    Key,
}

/// How a row applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// The name is this.
    Whole,
    /// The name ends so, whatever stands before.
    Ending,
    /// The name is this, and stands in a query, a path or a form: in headers and JSON it means something else.
    Parameter,
    /// The name is this and holds no secret, though an ending says so.
    Harmless,
}

use Rule::{Ending, Harmless, Parameter, Whole};

/// In lower case, letters only, none ending in a digit.
const TABLE: &[(&str, Rule)] = &[
    // HTTP's own.
    ("authorization", Ending),
    ("cookie", Whole),
    ("setcookie", Whole),
    // Tokens, of any kind: access, refresh, CSRF, page, session.
    ("token", Ending),
    ("accesstokens", Whole),
    ("refreshtokens", Whole),
    ("jwt", Ending),
    ("bearer", Whole),
    ("assertion", Ending),
    ("samlresponse", Whole),
    ("csrf", Whole),
    ("xsrf", Whole),
    ("jsessionid", Whole),
    ("phpsessid", Whole),
    ("aspnetsessionid", Whole),
    ("sessionid", Whole),
    ("sessid", Whole),
    // Kafka's SASL tokens, what SCRAM makes of a password, and delegation tokens.
    ("authbytes", Whole),
    ("jaasconfig", Ending),
    ("salt", Whole),
    ("hmac", Whole),
    // Passwords.
    ("password", Ending),
    ("passwords", Ending),
    ("passwordhash", Ending),
    ("passwordconfirm", Ending),
    ("passwordconfirmation", Ending),
    ("passwordrepeat", Ending),
    ("passwordagain", Ending),
    ("passwd", Ending),
    ("passwort", Ending),
    ("passphrase", Ending),
    ("passcode", Ending),
    ("pass", Whole),
    ("dbpass", Whole),
    ("userpass", Whole),
    ("pwd", Ending),
    ("pw", Whole),
    ("psk", Whole),
    ("otp", Whole),
    ("totp", Whole),
    ("cvv", Whole),
    ("cvc", Whole),
    // Secrets by their name.
    ("secret", Ending),
    ("secrets", Whole),
    ("credential", Ending),
    ("credentials", Ending),
    ("creds", Ending),
    ("connectionstring", Ending),
    ("auth", Whole),
    ("xauth", Whole),
    // OAuth 2: one-time codes. As a key of JSON `code` is an error number, in a query it is not worth the risk.
    ("code", Parameter),
    ("authcode", Whole),
    ("authorizationcode", Whole),
    ("devicecode", Whole),
    ("verificationcode", Whole),
    ("codeverifier", Whole),
    // Signatures, which make a URL a credential.
    ("signature", Ending),
    ("sig", Whole),
    // Keys. In a query `key` is how many services take theirs; in JSON it is any key of any map.
    ("key", Ending),
    ("key", Parameter),
    ("apikeys", Ending),
    ("key", Harmless),
    // A nonce (RFC 6455, 4.1), and what identifies without opening anything.
    ("secwebsocketkey", Harmless),
    ("idempotencykey", Harmless),
    ("xidempotencykey", Harmless),
    ("publickey", Harmless),
    ("sshpublickey", Harmless),
    ("cachekey", Harmless),
    ("xcachekey", Harmless),
    ("surrogatekey", Harmless),
    ("primarykey", Harmless),
    ("foreignkey", Harmless),
    ("partitionkey", Harmless),
    ("routingkey", Harmless),
    ("messagekey", Harmless),
    ("sortkey", Harmless),
    ("rowkey", Harmless),
    ("hashkey", Harmless),
    ("rangekey", Harmless),
    ("shardkey", Harmless),
    ("groupkey", Harmless),
    ("joinkey", Harmless),
    ("objectkey", Harmless),
    ("labelkey", Harmless),
    ("topologykey", Harmless),
    ("issuekey", Harmless),
    ("projectkey", Harmless),
    ("translationkey", Harmless),
    ("kafkaapikey", Harmless),
    ("hotkey", Harmless),
    ("monkey", Harmless),
    ("donkey", Harmless),
    ("turkey", Harmless),
    ("hockey", Harmless),
    ("jockey", Harmless),
    ("whiskey", Harmless),
];

/// Whether the value under this name is a secret. The name is as sent, escapes undone.
pub(super) fn is_secret(name: &[u8], place: Place) -> bool {
    // gRPC's headers with binary values.
    let name = match name.len().checked_sub(4).and_then(|at| name.split_at_checked(at)) {
        Some((front, suffix)) if place == Place::Header && suffix.eq_ignore_ascii_case(b"-bin") => front,
        _ => name,
    };
    if let [.., before, last] = *name
        && before.is_ascii_alphabetic()
        && last.is_ascii_alphabetic()
        && FIRST[Tail::slot_of(last, before)] == NONE
    {
        return false;
    }
    let Some(tail) = Tail::of(name) else { return false };
    let mut verdict = false;
    let mut row = FIRST[tail.slot()];
    while let Some(&(text, rule)) = TABLE.get(row as usize) {
        let Row { tail: row_tail, next } = ROWS[row as usize];
        row = next;
        if (tail.0 ^ row_tail.0) & row_tail.mask() != 0 {
            continue;
        }
        if let Some(whole) = ends_with(name, text) {
            match rule {
                Whole => verdict |= whole,
                Ending => verdict = true,
                Parameter if whole && place == Place::Parameter => return true,
                Harmless if whole => return false,
                Parameter | Harmless => {}
            }
        }
    }
    verdict
}

/// Whether the name ends in `text`, and then whether that is all of it.
fn ends_with(name: &[u8], text: &str) -> Option<bool> {
    let mut letters = without_tail(name).iter().rev().filter(|byte| byte.is_ascii_alphanumeric());
    for expected in text.bytes().rev() {
        if letters.next()?.to_ascii_lowercase() != expected {
            return None;
        }
    }
    Some(letters.next().is_none())
}

/// Up to the last letter.
fn without_tail(name: &[u8]) -> &[u8] {
    let mut rest = name;
    while let [front @ .., last] = rest {
        if last.is_ascii_alphabetic() {
            break;
        }
        rest = front;
    }
    rest
}

/// The last four letters of a name, the last one lowest, in lower case: every header and key of every call is asked, and
/// they decide nearly always, mostly the last two alone.
#[derive(Clone, Copy)]
struct Tail(u32);

impl Tail {
    /// `None` when there are less than two: no row is that short.
    const fn of(name: &[u8]) -> Option<Self> {
        let mut at = name.len();
        let (mut tail, mut count) = (0, 0);
        while at > 0 && count < 4 {
            at -= 1;
            let byte = name[at];
            if byte.is_ascii_alphabetic() || (byte.is_ascii_digit() && count > 0) {
                tail |= (byte.to_ascii_lowercase() as u32) << (8 * count);
                count += 1;
            }
        }
        if count < 2 { None } else { Some(Self(tail)) }
    }

    /// By the last two letters.
    const fn slot(self) -> usize {
        let [last, before, ..] = self.0.to_le_bytes();
        Self::slot_of(last, before)
    }

    /// Without regard to case. Digits share slots with letters: a false alarm, which the comparison clears.
    const fn slot_of(last: u8, before: u8) -> usize {
        (last as usize & 0x1f) | (before as usize & 0x1f) << 5
    }

    /// Of a row with less than four letters the others don't count.
    const fn mask(self) -> u32 {
        match self.0 {
            0x0100_0000.. => u32::MAX,
            0x0001_0000.. => 0x00ff_ffff,
            _ => 0xffff,
        }
    }
}

#[derive(Clone, Copy)]
struct Row {
    tail: Tail,
    /// The next one with the same last two letters.
    next: u8,
}

const NONE: u8 = u8::MAX;

/// By the last two letters: the first row that ends in them.
static FIRST: [u8; 1024] = INDEX.0;
static ROWS: [Row; TABLE.len()] = INDEX.1;

const INDEX: ([u8; 1024], [Row; TABLE.len()]) = index();

const fn index() -> ([u8; 1024], [Row; TABLE.len()]) {
    assert!(TABLE.len() < NONE as usize);
    let mut first = [NONE; 1024];
    let mut rows = [Row { tail: Tail(0), next: NONE }; TABLE.len()];
    let mut row = TABLE.len();
    while row > 0 {
        row -= 1;
        let text = TABLE[row].0.as_bytes();
        assert!(text[text.len() - 1].is_ascii_lowercase() && text[text.len() - 2].is_ascii_lowercase());
        let Some(tail) = Tail::of(text) else { panic!("a name of one letter") };
        rows[row] = Row { tail, next: first[tail.slot()] };
        first[tail.slot()] = row as u8;
    }
    (first, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found() {
        for &(text, rule) in TABLE {
            assert!(text.bytes().all(|byte| byte.is_ascii_lowercase()), "{text}");
            let found = is_secret(text.as_bytes(), Place::Parameter);
            // `key` stands three times: an ending, harmless by itself, and a parameter.
            assert_eq!(found, rule != Harmless || text == "key", "{text}");
        }
    }

    #[test]
    fn spelling_does_not_count() {
        for name in [
            "Authorization",
            "PROXY-AUTHORIZATION",
            "x-forwarded-authorization",
            "Cookie",
            "set_cookie",
            "Set-Cookie2",
            "X-API-Key",
            "x_api_key",
            "xApiKey",
            "APIKEY",
            "api.key",
            "Ocp-Apim-Subscription-Key",
            "x-auth-token",
            "X-CSRF-Token",
            "token",
            "Token2",
            "access_token",
            "accessToken",
            "X-Amz-Security-Token",
            "client_secret",
            "SECRET",
            "AWS_SECRET_ACCESS_KEY",
            "password",
            "newPassword",
            "password1",
            "password_confirmation",
            "user[password]",
            "password[]",
            "user.password",
            "$password",
            "passwd",
            "PGPASSWORD",
            "pwd",
            "passphrase",
            "X-Amz-Signature",
            "X-Hub-Signature-256",
            "sig",
            "private_key",
            "privateKey",
            "x-goog-credential",
            "id_token_hint_token",
            "jwt",
            "p-a-s-s-w-o-r-d",
            "secret\u{200b}",
        ] {
            for place in [Place::Header, Place::Parameter, Place::Key] {
                assert!(is_secret(name.as_bytes(), place), "{name} {place:?}");
            }
        }
    }

    #[test]
    fn what_only_looks_alike_stays() {
        for name in [
            "",
            "-",
            "k",
            "y",
            "host",
            "user-agent",
            "accept",
            "connection",
            "content-type",
            "content-length",
            "date",
            "server",
            "vary",
            "location",
            "www-authenticate",
            "transfer-encoding",
            "sec-websocket-key",
            "monkey",
            "Idempotency-Key",
            "keyboard",
            "keyword",
            "author",
            "authority",
            "authenticated",
            "max_tokens",
            "token_type",
            "total_tokens",
            "tokenizer",
            "secretary",
            "passenger",
            "compass",
            "bypass",
            "signal",
            "design",
            "sigma",
            "cookie_consent",
            "public_key",
            "primaryKey",
            "expires_in",
            "x-request-id",
            "etag",
            "status",
            "mcp-session-id",
            "hotp",
            "cache-control",
            "last-modified",
            "zip_code",
            "error_code",
            "1234",
            "]][[",
            "пароль",
        ] {
            for place in [Place::Header, Place::Parameter, Place::Key] {
                assert!(!is_secret(name.as_bytes(), place), "{name} {place:?}");
            }
        }
    }

    #[test]
    fn key_and_code_are_secrets_in_parameters_only() {
        for name in ["key", "code", "KEY", "key[]"] {
            assert!(is_secret(name.as_bytes(), Place::Parameter), "{name}");
            assert!(!is_secret(name.as_bytes(), Place::Key), "{name}");
            assert!(!is_secret(name.as_bytes(), Place::Header), "{name}");
        }
    }
}
