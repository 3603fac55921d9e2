//! Doubly linked lists of slot numbers, for orders that are kept with every packet and asked for seldom: idle longest,
//! waits longest, holds most. A slot is in at most one list of each kind; all steps take constant time.

const NONE: u32 = u32::MAX;

/// Orders kept apart: a slot has a place in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Activity,
    Waiting,
    Held,
}

const KINDS: usize = 3;

/// A list of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct List {
    pub(super) kind: Kind,
    pub(super) number: u8,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    previous: u32,
    next: u32,
    /// The list's number, or `OUT`.
    list: u8,
}

const OUT: u8 = u8::MAX;

#[derive(Clone, Copy, Debug)]
struct Ends {
    first: u32,
    last: u32,
    count: usize,
}

/// All lists of a table.
#[derive(Debug)]
pub(super) struct Lists {
    links: Vec<[Link; KINDS]>,
    ends: [Vec<Ends>; KINDS],
}

impl Lists {
    /// `numbers`: how many lists of each kind there are.
    pub(super) fn new(numbers: [usize; KINDS]) -> Self {
        let ends = numbers.map(|number| vec![Ends { first: NONE, last: NONE, count: 0 }; number]);
        Self { links: Vec::new(), ends }
    }

    /// Puts a slot last in a list, out of the one of that kind in which it was.
    pub(super) fn push(&mut self, list: List, slot: u32) {
        let kind = list.kind as usize;
        let index = slot as usize;
        if index >= self.links.len() {
            self.links.resize(index + 1, [Link { previous: NONE, next: NONE, list: OUT }; KINDS]);
        }
        self.remove(list.kind, slot);
        let ends = &mut self.ends[kind][usize::from(list.number)];
        let previous = ends.last;
        ends.last = slot;
        ends.count += 1;
        if previous == NONE {
            ends.first = slot;
        } else {
            self.links[previous as usize][kind].next = slot;
        }
        self.links[index][kind] = Link { previous, next: NONE, list: list.number };
    }

    pub(super) fn remove(&mut self, kind: Kind, slot: u32) {
        let Some(links) = self.links.get_mut(slot as usize) else { return };
        let kind = kind as usize;
        let Link { previous, next, list } = links[kind];
        if list == OUT {
            return;
        }
        links[kind] = Link { previous: NONE, next: NONE, list: OUT };
        let ends = &mut self.ends[kind][usize::from(list)];
        ends.count -= 1;
        if previous == NONE {
            ends.first = next;
        } else {
            self.links[previous as usize][kind].next = next;
        }
        if next == NONE {
            ends.last = previous;
        } else {
            self.links[next as usize][kind].previous = previous;
        }
    }

    pub(super) fn first(&self, list: List) -> Option<u32> {
        Some(self.ends[list.kind as usize][usize::from(list.number)].first).filter(|&slot| slot != NONE)
    }

    pub(super) fn iter(&self, list: List) -> impl Iterator<Item = u32> {
        let after =
            move |slot: &u32| Some(self.links[*slot as usize][list.kind as usize].next).filter(|&slot| slot != NONE);
        std::iter::successors(self.first(list), after)
    }

    pub(super) fn count(&self, list: List) -> usize {
        self.ends[list.kind as usize][usize::from(list.number)].count
    }

    /// The number of the list of this kind in which the slot is.
    pub(super) fn list_of(&self, kind: Kind, slot: u32) -> Option<u8> {
        self.links.get(slot as usize).map(|links| links[kind as usize].list).filter(|&list| list != OUT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_order_through_moves_and_removals() {
        let list = |number| List { kind: Kind::Activity, number };
        let mut lists = Lists::new([2, 1, 1]);
        for slot in [3, 0, 7] {
            lists.push(list(0), slot);
        }
        lists.push(list(0), 3);
        assert_eq!(lists.first(list(0)), Some(0));
        lists.push(list(1), 0);
        assert_eq!((lists.first(list(0)), lists.first(list(1))), (Some(7), Some(0)));
        assert_eq!((lists.count(list(0)), lists.count(list(1))), (2, 1));
        assert!(lists.iter(list(0)).eq([7, 3]));
        lists.remove(Kind::Activity, 7);
        lists.remove(Kind::Activity, 7);
        lists.remove(Kind::Activity, 3);
        assert_eq!((lists.first(list(0)), lists.count(list(0))), (None, 0));
        assert_eq!(lists.list_of(Kind::Activity, 0), Some(1));
        assert_eq!(lists.list_of(Kind::Activity, 3), None);
    }
}
