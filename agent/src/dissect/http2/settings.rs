//! SETTINGS (RFC 9113 section 6.5): what one side allows the other. They apply to what the other side sends after its
//! acknowledgement.

use std::collections::VecDeque;

use super::frame::number;

/// Frames that may wait for their acknowledgement. Real peers send one, or two in a row; a sender of more is not waited
/// for, and what it set is unknown.
const WAITING: usize = 16;

/// Section 6.5.2: the largest frame without a setting.
const FRAME_SIZE: u32 = 16_384;

const HEADER_TABLE_SIZE: u16 = 1;
const MAX_FRAME_SIZE: u16 = 5;

/// What one frame sets, as far as a reader needs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Set {
    pub(super) header_table: Option<u32>,
    frame_size: Option<u32>,
}

impl Set {
    /// The last value of a setting counts.
    pub(super) fn parse(payload: &[u8]) -> Self {
        let mut set = Self::default();
        for entry in payload.as_chunks::<6>().0 {
            let Some(value) = number(entry, 2) else { continue };
            match u16::from_be_bytes([entry[0], entry[1]]) {
                HEADER_TABLE_SIZE => set.header_table = Some(value),
                MAX_FRAME_SIZE => set.frame_size = Some(value),
                _ => {}
            }
        }
        set
    }
}

/// What a side has set and the other has not acknowledged, and the largest frame that it ever allowed.
#[derive(Debug)]
pub(super) struct Settings {
    waiting: VecDeque<Set>,
    /// Since the connection's first byte; else any 24-bit length may be allowed.
    frame_size: Option<u32>,
    /// Frames that went by without being kept in `waiting`.
    overflowed: bool,
}

impl Settings {
    /// `whole`: seen since the connection began.
    pub(super) fn new(whole: bool) -> Self {
        Self { waiting: VecDeque::new(), frame_size: whole.then_some(FRAME_SIZE), overflowed: false }
    }

    pub(super) fn sent(&mut self, set: Set) {
        // The other side may use a larger size as soon as it has read the frame, before its acknowledgement is seen.
        if let (Some(allowed), Some(size)) = (&mut self.frame_size, set.frame_size) {
            *allowed = (*allowed).max(size);
        }
        if self.waiting.len() >= WAITING {
            self.overflowed = true;
        } else {
            self.waiting.push_back(set);
        }
    }

    /// The other side acknowledges the oldest frame. `None`: nobody knows which that was.
    pub(super) fn acknowledged(&mut self) -> Option<Set> {
        if self.overflowed { None } else { self.waiting.pop_front() }
    }

    /// Frames may have passed unseen.
    pub(super) fn lose(&mut self) {
        self.frame_size = None;
        self.overflowed = true;
        self.waiting.clear();
    }

    /// Section 4.2: whether the other side may send a frame so long.
    pub(super) fn allow(&self, length: u32) -> bool {
        self.frame_size.is_none_or(|allowed| length <= allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_counts_and_unknown_ones_are_ignored() {
        let set = Set::parse(b"\0\x01\0\0\x10\0\0\x63\0\0\0\x09\0\x05\0\x01\0\0\0\x01\0\0\0\0");
        assert_eq!(set, Set { header_table: Some(0), frame_size: Some(65_536) });
    }

    #[test]
    fn they_apply_in_order_when_acknowledged() {
        let mut settings = Settings::new(true);
        let set = |size| Set { header_table: Some(size), frame_size: None };
        settings.sent(set(1));
        settings.sent(set(2));
        assert_eq!(settings.acknowledged(), Some(set(1)));
        assert_eq!(settings.acknowledged(), Some(set(2)));
        assert_eq!(settings.acknowledged(), None);
    }

    #[test]
    fn frames_may_be_as_long_as_was_ever_allowed() {
        let mut settings = Settings::new(true);
        assert!(settings.allow(16_384) && !settings.allow(16_385));
        settings.sent(Set { header_table: None, frame_size: Some(1 << 20) });
        settings.sent(Set { header_table: None, frame_size: Some(16_384) });
        assert!(settings.allow(1 << 20));
        settings.lose();
        assert!(settings.allow((1 << 24) - 1));
        assert!(Settings::new(false).allow((1 << 24) - 1));
    }

    #[test]
    fn a_flood_is_not_kept() {
        let mut settings = Settings::new(true);
        for size in 0..1000 {
            settings.sent(Set { header_table: Some(size), frame_size: None });
        }
        assert!(settings.waiting.len() <= WAITING);
        assert_eq!(settings.acknowledged(), None, "which one is not known any more");
    }
}
