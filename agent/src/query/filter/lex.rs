//! What happens to a filter's text before the `cel` crate's parser sees it.
//!
//! That parser is generated, recursive, and explains little. So the words are read here first: foreign characters,
//! cut texts and deep nesting are refused with one clear line, `and`, `or` and `not` become operators, and habits from
//! the older dialect and from other languages get told what to write. Nothing moves: each replacement is as long as
//! what it replaces, so positions are those of the text as it was typed.

use super::FilterError;

/// Longest filter, in bytes: more than any person writes, and little enough that reading it costs nothing.
pub(super) const MAX_LENGTH: usize = 8 << 10;

/// Open brackets, which count twice, and operators in a row that nest in the parser's tree, all counted together.
/// The parser's calls for one bracket take about 20 KiB of stack in a debug build, and tokio's threads have 2 MiB.
pub(super) const MAX_DEPTH: usize = 64;

/// A word of the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Token<'a> {
    kind: Kind,
    at: usize,
    text: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Name,
    Number,
    Text,
    /// `r"…"`
    RawText,
    Operator,
}

/// Longest first.
const OPERATORS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ",", ".", "(", ")", "[", "]",
    "{", "}",
];

/// What others write, and what to write here. Searched before `OPERATORS`.
const FOREIGN: [(&str, &str); 8] = [
    ("=~", "write name.matches(\"…\") for a regular expression"),
    ("!~", "write !name.matches(\"…\") for a regular expression"),
    ("<>", "write != instead of <>"),
    ("===", "write == instead of ==="),
    ("“", "write plain quotes: \""),
    ("”", "write plain quotes: \""),
    ("‘", "write plain quotes: '"),
    ("’", "write plain quotes: '"),
];

/// The words that stand for operators, with replacements of the same length.
const WORDS: [(&str, &str); 6] =
    [("and", "&& "), ("or", "||"), ("not", "!  "), ("AND", "&& "), ("OR", "||"), ("NOT", "!  ")];

/// The text for the parser: same length, same positions.
pub(super) fn prepare(source: &str) -> Result<String, FilterError> {
    if source.len() > MAX_LENGTH {
        let message = format!("the filter has {} bytes; at most {MAX_LENGTH} are read", source.len());
        return Err(FilterError::whole(message));
    }
    let tokens = tokens(source)?;
    if tokens.is_empty() {
        return Err(FilterError::whole("the filter is empty: leave it out to see all"));
    }
    check_depth(source, &tokens)?;
    let mut text = source.to_owned();
    for (at, token) in tokens.iter().enumerate() {
        check_raw_equality(source, &tokens, at)?;
        let after_dot = at > 0 && tokens[at - 1].text == ".";
        if token.kind == Kind::Name
            && !after_dot
            && let Some((word, operator)) = WORDS.iter().find(|(word, _)| *word == token.text)
        {
            text.replace_range(token.at..token.at + word.len(), operator);
        }
    }
    Ok(text)
}

/// The word at a byte of the source, for messages.
pub(super) fn word_at(source: &str, at: usize) -> Option<&str> {
    tokens(source).ok()?.into_iter().find(|token| token.at == at).map(|token| token.text)
}

fn tokens(source: &str) -> Result<Vec<Token<'_>>, FilterError> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = source.get(at..).filter(|rest| !rest.is_empty()) {
        let space = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']).len();
        if space > 0 {
            at += space;
        } else if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else {
            let (kind, length) = token(rest).map_err(|message| FilterError::at(source, at, message))?;
            found.push(Token { kind, at, text: &rest[..length] });
            at += length;
        }
    }
    Ok(found)
}

/// Kind and length of the first word of `rest`, which is not empty.
fn token(rest: &str) -> Result<(Kind, usize), String> {
    let bytes = rest.as_bytes();
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let first = bytes[0];
    let name = bytes.iter().take_while(|byte| is_name(byte)).count();
    if let Some(quote) = bytes.get(name).filter(|byte| matches!(byte, b'"' | b'\''))
        && matches!(&rest[..name], "" | "r" | "R" | "b" | "B" | "br" | "bR" | "Br" | "BR")
    {
        let raw = rest[..name].ends_with(['r', 'R']);
        let length = name + quoted(&rest[name..], *quote, raw)?;
        return Ok((if raw { Kind::RawText } else { Kind::Text }, length));
    }
    if first.is_ascii_digit() || (first == b'.' && bytes.get(1).is_some_and(u8::is_ascii_digit)) {
        return number(rest).map(|length| (Kind::Number, length));
    }
    if name > 0 {
        return Ok((Kind::Name, name));
    }
    if let Some((_, hint)) = FOREIGN.iter().find(|(foreign, _)| rest.starts_with(foreign)) {
        return Err((*hint).to_owned());
    }
    if let Some(operator) = OPERATORS.iter().find(|operator| rest.starts_with(**operator)) {
        return Ok((Kind::Operator, operator.len()));
    }
    Err(match first {
        b'=' => "write == to compare".to_owned(),
        b'&' => "write && for \"and\"".to_owned(),
        b'|' => "write || for \"or\"".to_owned(),
        _ => format!("unexpected character {:?}", rest.chars().next().unwrap_or_default()),
    })
}

/// Length of a quoted text at the start of `rest`, quotes included.
fn quoted(rest: &str, quote: u8, raw: bool) -> Result<usize, String> {
    let bytes = rest.as_bytes();
    let triple = bytes.starts_with(&[quote; 3]);
    let edge = if triple { 3 } else { 1 };
    let mut at = edge;
    loop {
        let Some(&byte) = bytes.get(at) else {
            return Err("the text that begins here has no closing quote".to_owned());
        };
        match byte {
            b'\\' if !raw => {
                match bytes.get(at + 1) {
                    Some(b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'\\' | b'?' | b'"' | b'\'' | b'`') => {}
                    Some(b'x' | b'X' | b'u' | b'U' | b'0'..=b'3') => {}
                    _ => {
                        return Err(
                            "\\ in a text begins an escape: write \\\\ for \\, or r\"…\" as in r\"\\d+\"".to_owned()
                        );
                    }
                }
                at += 2;
            }
            b'\n' | b'\r' if !triple => {
                return Err("the text that begins here has no closing quote on its line".to_owned());
            }
            _ if byte == quote && (!triple || bytes[at..].starts_with(&[quote; 3])) => return Ok(at + edge),
            _ => at += 1,
        }
    }
}

/// Length of a number at the start of `rest`.
fn number(rest: &str) -> Result<usize, String> {
    let bytes = rest.as_bytes();
    let digits = |from: usize| bytes[from.min(bytes.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut length;
    if rest.starts_with("0x") {
        length = 2 + bytes[2..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    } else {
        length = digits(0);
        if bytes.get(length) == Some(&b'.') && digits(length + 1) > 0 {
            length += 1 + digits(length + 1);
        }
        if matches!(bytes.get(length), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
            let exponent = digits(length + 1 + sign);
            length += if exponent > 0 { 1 + sign + exponent } else { 0 };
        }
    }
    if matches!(bytes.get(length), Some(b'u' | b'U')) && !matches!(bytes.get(length + 1), Some(b's')) {
        length += 1;
    }
    let tail = bytes[length..].iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
    // An address: 10.0.0.1
    if bytes.get(length) == Some(&b'.') && digits(length + 1) > 0 {
        return Err("a number has one point at most: an address stands in quotes".to_owned());
    }
    match &rest[length..length + tail] {
        "" if rest.starts_with("0x") && length == 2 => {
            Err("0x begins a hexadecimal number: digits are missing".to_owned())
        }
        "" => Ok(length),
        unit @ ("ns" | "us" | "ms" | "s" | "m" | "h") => {
            let number = &rest[..length];
            Err(format!("write duration(\"{number}{unit}\"); elapsed_time is a number of microseconds"))
        }
        _ => Err(format!("{:?} is neither a number nor a name: texts stand in quotes", &rest[..length + tail])),
    }
}

/// `path == r"^/api.*"` was a regular expression once; here it would silently compare the text as it stands.
fn check_raw_equality(source: &str, tokens: &[Token<'_>], at: usize) -> Result<(), FilterError> {
    const EXPRESSION: [char; 13] = ['^', '$', '*', '+', '?', '(', ')', '[', ']', '{', '}', '|', '\\'];
    let token = tokens[at];
    let compares = |token: Option<&Token<'_>>| token.is_some_and(|token| matches!(token.text, "==" | "!="));
    let before = at.checked_sub(1).and_then(|before| tokens.get(before));
    if token.kind == Kind::RawText
        && token.text.contains(EXPRESSION)
        && (compares(before) || compares(tokens.get(at + 1)))
    {
        let message =
            format!("== compares the text as it stands; for a regular expression write name.matches({})", token.text);
        return Err(FilterError::at(source, token.at, message));
    }
    Ok(())
}

/// An upper bound of the tree's depth, from the words alone.
fn check_depth(source: &str, tokens: &[Token<'_>]) -> Result<(), FilterError> {
    // Of each open bracket: operators since the last `,`, `&&`, `||`, `?` or `:`, and the `?` since the last `,`.
    let mut open: Vec<(usize, usize)> = vec![(0, 0)];
    // Of all brackets but the innermost.
    let mut around = 0;
    for token in tokens.iter().filter(|token| token.kind == Kind::Operator) {
        if matches!(token.text, ")" | "]" | "}") {
            // A bracket too many is the parser's to name.
            if open.len() > 1 {
                open.pop();
                around -= open.last().map_or(0, |(chain, choices)| chain + choices + 1);
            }
            continue;
        }
        let Some((chain, choices)) = open.last_mut() else { break };
        match token.text {
            "," => (*chain, *choices) = (0, 0),
            "&&" | "||" | ":" => *chain = 0,
            "?" => (*chain, *choices) = (0, *choices + 1),
            _ => *chain += 1,
        }
        let here = *chain + *choices;
        if around + here > MAX_DEPTH {
            let message = format!("the filter is nested deeper than {MAX_DEPTH} from here on");
            return Err(FilterError::at(source, token.at, message));
        }
        if matches!(token.text, "(" | "[" | "{") {
            around += here + 1;
            open.push((0, 0));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_operators_outside_texts_only() {
        let text = |source| prepare(source).map_err(|error| error.to_string());
        assert_eq!(text("http and not dns or x"), Ok("http &&  !   dns || x".to_owned()));
        assert_eq!(
            text("a == \"and or\" and b == 'not \\' or'"),
            Ok("a == \"and or\" &&  b == 'not \\' or'".to_owned())
        );
        assert_eq!(text("a == r'\\' and b"), Err("filter, column 6: == compares the text as it stands; for a regular expression write name.matches(r'\\')".to_owned()));
        assert_eq!(text("a == r'x and' and b"), Ok("a == r'x and' &&  b".to_owned()));
        assert_eq!(text("'''and ' or''' and order"), Ok("'''and ' or''' &&  order".to_owned()));
        assert_eq!(text("a.not and nothing"), Ok("a.not &&  nothing".to_owned()));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |count: usize| format!("{}1{} == 1", "(".repeat(count), ")".repeat(count));
        assert!(prepare(&nested(20)).is_ok());
        assert!(prepare(&nested(MAX_DEPTH + 1)).is_err());
        assert!(prepare(&format!("1{} == 1", "+1".repeat(MAX_DEPTH + 1))).is_err());
        assert!(prepare(&format!("{}a", "a ? b : ".repeat(MAX_DEPTH + 1))).is_err());
        let flat = ["src.ip == \"10.0.0.1\""; 300].join(" || ");
        assert!(prepare(&flat).is_ok());
        let list = format!("a in [{}]", ["a.b"; 2000].join(","));
        assert!(prepare(&list).is_ok());
    }
}
