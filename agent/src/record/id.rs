//! A record's name: `17-3`, the fourth exchange of connection 17, with the agent's epoch before it when it has one
//! (`3f9a1c2b-17-3`). To users it is an opaque string. There is one spelling for each id, so that equal ids are equal
//! texts.

use std::{fmt, str::FromStr};

/// Printed as `conn-number`, with the agent's epoch before it when it has one: an id of an earlier run finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    /// Random per run of an agent, 0 for capture files.
    pub epoch: u32,
    pub conn: u64,
    pub number: u32,
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epoch, conn, number } = self;
        match epoch {
            0 => write!(f, "{conn}-{number}"),
            _ => write!(f, "{epoch:08x}-{conn}-{number}"),
        }
    }
}

/// Not an id of ours. Holds the front of what was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an id of a call: ids look like \"17-3\" or \"3f9a1c2b-17-3\"; take one from a list of calls")]
pub struct BadId(String);

/// What an error repeats of a text that is not an id: enough to recognise it.
const SHOWN: usize = 40;

impl FromStr for RecordId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        parse(text).ok_or_else(|| BadId(text.chars().take(SHOWN).collect()))
    }
}

fn parse(text: &str) -> Option<RecordId> {
    let (rest, number) = text.rsplit_once('-')?;
    let (epoch, conn) = match rest.split_once('-') {
        Some((epoch, conn)) => (hexadecimal(epoch)?, conn),
        None => (0, rest),
    };
    Some(RecordId { epoch, conn: decimal(conn)?, number: u32::try_from(decimal(number)?).ok()? })
}

/// Digits without a sign and without leading zeros: the only spelling of a number.
fn decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    (canonical && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// Eight lower-case digits, not all zero: an epoch of zero is not printed.
fn hexadecimal(text: &str) -> Option<u32> {
    let digits = text.len() == 8 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    digits.then(|| u32::from_str_radix(text, 16).ok()).flatten().filter(|&epoch| epoch != 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prints_the_epoch_only_when_there_is_one() {
        assert_eq!(RecordId { epoch: 0, conn: 17, number: 3 }.to_string(), "17-3");
        assert_eq!(RecordId { epoch: 0x3f9a_1c2b, conn: 17, number: 3 }.to_string(), "3f9a1c2b-17-3");
        assert_eq!(RecordId { epoch: 0x2b, conn: 0, number: 0 }.to_string(), "0000002b-0-0");
    }

    #[test]
    fn refuses_every_other_spelling() {
        for text in [
            "",
            "-",
            "--",
            "17",
            "17-",
            "-3",
            "017-3",
            "17-03",
            "+17-3",
            "17-+3",
            " 17-3",
            "17-3 ",
            "17-3-",
            "1-2-3",
            "00000000-17-3",
            "3F9A1C2B-17-3",
            "3f9a1c2-17-3",
            "3f9a1c2b-17-3-4",
            "17-4294967296",
            "18446744073709551616-0",
            "17‐3",
            "1７-3",
        ] {
            let error = text.parse::<RecordId>().expect_err(text).to_string();
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn an_error_is_one_short_line() {
        let error = "x\n".repeat(10_000).parse::<RecordId>().expect_err("not an id").to_string();
        assert!(error.len() < 250 && !error.contains('\n'), "{error}");
    }

    proptest! {
        #[test]
        fn parses_what_it_prints(epoch: u32, conn: u64, number: u32) {
            let id = RecordId { epoch, conn, number };
            prop_assert_eq!(id.to_string().parse::<RecordId>(), Ok(id));
        }

        #[test]
        fn any_text_is_an_id_in_one_spelling_or_none(text in "[0-9a-f-]{0,24}") {
            if let Ok(id) = text.parse::<RecordId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
