//! What is kept for each peer, sorted by peer.
//!
//! A sorted vector: some thousands of peers at most, looked up often and
//! changed seldom, and a fifth of the code of a tree.

use crate::service::Peer;

/// Something for each of some peers.
#[derive(Debug)]
pub struct Table<T>(Vec<(Peer, T)>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Table<T> {
    /// How many peers it has.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it has `peer`.
    pub fn has(&self, peer: Peer) -> bool {
        self.place(peer).is_ok()
    }

    /// What is kept for `peer`.
    pub fn get(&self, peer: Peer) -> Option<&T> {
        let at = self.place(peer).ok()?;
        Some(&self.0.get(at)?.1)
    }

    /// What is kept for `peer`, to be changed.
    pub fn get_mut(&mut self, peer: Peer) -> Option<&mut T> {
        let at = self.place(peer).ok()?;
        Some(&mut self.0.get_mut(at)?.1)
    }

    /// Keeps `value` for a peer that it does not have.
    pub fn insert(&mut self, peer: Peer, value: T) {
        if let Err(at) = self.place(peer) {
            self.0.insert(at, (peer, value));
        }
    }

    /// Takes out what is kept for `peer`.
    pub fn remove(&mut self, peer: Peer) -> Option<T> {
        let at = self.place(peer).ok()?;
        Some(self.0.remove(at).1)
    }

    /// The peer that came first of those it has.
    pub fn first(&self) -> Option<(Peer, &T)> {
        self.0.first().map(|(peer, value)| (*peer, value))
    }

    /// All that is kept.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }

    /// All peers and what is kept for them, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Peer, &mut T)> {
        self.0.iter_mut().map(|(peer, value)| (*peer, value))
    }

    fn place(&self, peer: Peer) -> Result<usize, usize> {
        self.0.binary_search_by_key(&peer, |&(peer, _)| peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_found_in_whatever_order_they_came() {
        let mut table = Table::default();
        for peer in [5, 1, 9, 3] {
            table.insert(Peer(peer), peer * 10);
        }
        assert_eq!(table.first(), Some((Peer(1), &10)));
        assert_eq!(table.remove(Peer(1)), Some(10));
        assert_eq!(table.remove(Peer(1)), None);
        assert_eq!(table.get(Peer(9)), Some(&90));
        *table.get_mut(Peer(3)).unwrap() += 1;
        for (peer, value) in table.iter_mut() {
            *value += peer.0;
        }
        assert_eq!(table.values().copied().collect::<Vec<_>>(), [34, 55, 99]);
        assert!(table.has(Peer(5)) && !table.has(Peer(4)));
        assert_eq!((table.len(), table.is_empty()), (3, false));
    }
}
