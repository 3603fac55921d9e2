//! Error codes (RFC 9113 section 7).

use std::borrow::Cow;

const NAMES: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

pub(in crate::dissect) const CANCEL: u32 = 8;

/// The code's name; its digits, if nobody has registered one.
pub(in crate::dissect) fn name(code: u32) -> Cow<'static, str> {
    match usize::try_from(code).ok().and_then(|code| NAMES.get(code)) {
        Some(name) => Cow::Borrowed(name),
        None => Cow::Owned(format!("{code:#x}")),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names() {
        for (code, name) in [(0, "NO_ERROR"), (super::CANCEL, "CANCEL"), (14, "0xe"), (u32::MAX, "0xffffffff")] {
            assert_eq!(super::name(code), name);
        }
    }
}
