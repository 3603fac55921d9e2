//! Points in time as every stage carries them: nanoseconds since 1970, UTC. Printing is RFC 3339 with microseconds.

/// Nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Whole microseconds from `earlier` to `self`; 0 when `earlier` is later. Both ends are cut to microseconds first,
    /// so that the difference is that of the printed times.
    pub fn micros_since(self, earlier: Self) -> u64 {
        (self.0 / 1000).saturating_sub(earlier.0 / 1000)
    }

    pub fn micros(self) -> u64 {
        self.0 / 1000
    }

    pub fn millis(self) -> u64 {
        self.0 / 1_000_000
    }

    pub fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    pub fn saturating_sub(self, nanos: u64) -> Self {
        Self(self.0.saturating_sub(nanos))
    }

    /// Appends `2026-11-21T01:02:03.456789Z`.
    pub fn write_rfc3339(self, out: &mut Vec<u8>) {
        let micros = self.micros();
        let (secs, micros) = (micros / 1_000_000, micros % 1_000_000);
        let (days, second) = (secs / 86_400, secs % 86_400);
        let (year, month, day) = civil_from_days(days);
        decimal(out, year, 4);
        out.push(b'-');
        decimal(out, month, 2);
        out.push(b'-');
        decimal(out, day, 2);
        out.push(b'T');
        decimal(out, second / 3600, 2);
        out.push(b':');
        decimal(out, second / 60 % 60, 2);
        out.push(b':');
        decimal(out, second % 60, 2);
        out.push(b'.');
        decimal(out, micros, 6);
        out.push(b'Z');
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = Vec::with_capacity(27);
        self.write_rfc3339(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

fn decimal(out: &mut Vec<u8>, value: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut rest = value;
    for digit in digits[..width].iter_mut().rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&digits[..width]);
}

/// Year, month and day of a day since 1970, by counting from 0000-03-01 in eras of 400 years.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970: u64 = 719_468;
    const DAYS_PER_ERA: u64 = 146_097;
    let z = days + DAYS_TO_1970;
    let era = z / DAYS_PER_ERA;
    let day_of_era = z % DAYS_PER_ERA;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_rfc_3339() {
        assert_eq!(Time(0).to_string(), "1970-01-01T00:00:00.000000Z");
        assert_eq!(Time(951_827_696_789_012_345).to_string(), "2000-02-29T12:34:56.789012Z");
        assert_eq!(Time(1_795_309_323_456_789_000).to_string(), "2026-11-22T01:02:03.456789Z");
    }
}
