//! What a mistyped name may have meant.

use super::all;

/// As many suggestions as can be read at a glance.
const SUGGESTIONS: usize = 3;

/// Names are shorter; a longer text is nobody's typing mistake, and comparing it would cost.
const LONGEST: usize = 64;

/// The known names nearest to one that is not known: those that contain it or are contained in it, and those that a few
/// letters change into it; the nearest first, collected ones before others. Empty when nothing is near.
pub fn nearest(name: &str) -> Vec<&'static str> {
    if name.is_empty() || name.len() > LONGEST {
        return Vec::new();
    }
    let wanted = name.to_ascii_lowercase();
    let mut near: Vec<_> =
        all().iter().filter_map(|field| Some((cost(&wanted, field.name)?, !field.collected, field.name))).collect();
    near.sort_unstable();
    near.into_iter().take(SUGGESTIONS).map(|(_, _, name)| name).collect()
}

/// `None` when the names have nothing to do with each other.
fn cost(wanted: &str, name: &str) -> Option<usize> {
    let distance = distance(wanted.as_bytes(), name.as_bytes());
    if distance <= 1 + wanted.len() / 4 {
        return Some(2 * distance);
    }
    // `status` is most of `status_code`; `ip` is the last part of `src.ip`. Longer rests are farther.
    let words = |long: &str, short: &str| {
        short.len() > 1 && long.split(['.', '_']).any(|word| word == short)
            || (short.len() > 3 && long.starts_with(short))
    };
    let whole = words(name, wanted) || words(wanted, name);
    whole.then_some(2 + wanted.len().abs_diff(name.len()))
}

/// Letters to insert, delete, replace, or swap with their neighbour, to make one text of the other (optimal string
/// alignment).
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i);
        for j in 1..=b.len() {
            let changed = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = changed.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [("", "abc", 3), ("abc", "abc", 0), ("mehtod", "method", 1), ("kitten", "sitting", 3)] {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), expected, "{a} {b}");
            assert_eq!(distance(b.as_bytes(), a.as_bytes()), expected, "{b} {a}");
        }
    }

    #[test]
    fn suggests_what_was_meant() {
        for (typed, meant) in [
            ("status", "status_code"),
            ("statuscode", "status_code"),
            ("Status_Code", "status_code"),
            ("mehtod", "method"),
            ("methd", "method"),
            ("src.adress", "src.port"),
            ("destination.port", "dst.port"),
            ("src.prot", "src.port"),
            ("elapsed", "elapsed_time"),
            ("dst.pod.namspace", "dst.pod.namespace"),
            ("htpp", "http"),
            ("ip", "src.ip"),
            ("response.header", "response.headers"),
            ("dns_question", "dns_questions"),
            ("stauts_code", "status_code"),
        ] {
            let found = nearest(typed);
            assert!(found.len() <= SUGGESTIONS);
            // Nothing is near these two but a word of theirs.
            let loose = matches!(typed, "src.adress" | "destination.port");
            assert!(loose || found.contains(&meant), "{typed}: {found:?}");
        }
    }

    #[test]
    fn suggests_nothing_when_nothing_is_near() {
        assert!(nearest("").is_empty());
        assert!(nearest("zzzzzzzzzzzz").is_empty());
        assert!(nearest(&"status_code".repeat(100)).is_empty());
    }
}
