//! A small map in one vector.
//!
//! For the tables of the services, of at most some thousand entries: each
//! `BTreeMap` of another type would add some 7 KB to a program that is to fit
//! a small board, and each sort some 5 KB.

/// Entries in the order of their keys.
#[derive(Clone, Debug)]
pub struct Table<K, V>(Vec<(K, V)>);

impl<K: Copy + Ord, V> Table<K, V> {
    /// A table without entries.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// How many entries there are.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is an entry of that key.
    pub fn has(&self, key: K) -> bool {
        self.find(key).is_ok()
    }

    /// The entry of that key.
    pub fn get(&self, key: K) -> Option<&V> {
        let at = self.find(key).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// The entry of that key, to be changed.
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let at = self.find(key).ok()?;
        self.0.get_mut(at).map(|(_, value)| value)
    }

    /// The entry of that key; made with `new` if there is none.
    pub fn entry(&mut self, key: K, new: impl FnOnce() -> V) -> &mut V {
        let at = match self.find(key) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (key, new()));
                at
            }
        };
        #[allow(clippy::indexing_slicing)] // found or put there just now
        &mut self.0[at].1
    }

    /// Sets the entry of that key; gives the one that was there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.find(key) {
            Ok(at) => {
                let old = self.0.get_mut(at)?;
                Some(core::mem::replace(&mut old.1, value))
            }
            Err(at) => {
                self.0.insert(at, (key, value));
                None
            }
        }
    }

    /// Takes the entry of that key out.
    pub fn remove(&mut self, key: K) -> Option<V> {
        let at = self.find(key).ok()?;
        Some(self.0.remove(at).1)
    }

    /// Keeps only the entries for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&V) -> bool) {
        self.0.retain(|(_, value)| keep(value));
    }

    /// The entry of the least key.
    pub fn first(&self) -> Option<(K, &V)> {
        self.0.first().map(|(key, value)| (*key, value))
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = K> {
        self.0.iter().map(|(key, _)| *key)
    }

    /// All values, by key.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    /// All values, by key, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// All entries, by key.
    pub fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.0.iter().map(|(key, value)| (*key, value))
    }

    /// All entries, by key, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (K, &mut V)> {
        self.0.iter_mut().map(|(key, value)| (*key, value))
    }

    fn find(&self, key: K) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.cmp(&key))
    }
}

impl<K: Copy + Ord, V> Default for Table<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

/// Takes one that equals `value` out of a sorted vector.
pub fn remove_sorted<T: Ord>(sorted: &mut Vec<T>, value: &T) {
    if let Ok(at) = sorted.binary_search(value) {
        sorted.remove(at);
    }
}

/// Puts `value` where it belongs in a sorted vector, behind its equals.
pub fn insert_sorted<T: Ord>(sorted: &mut Vec<T>, value: T) {
    let at = sorted.partition_point(|other| *other <= value);
    sorted.insert(at, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Entropy, Seeded};
    use std::collections::BTreeMap;

    #[test]
    fn it_does_what_a_map_does() {
        let mut random = Seeded::new(3);
        let (mut table, mut map) = (Table::new(), BTreeMap::new());
        for i in 0..5_000 {
            let key = random.below(60);
            match random.below(6) {
                4 => assert_eq!(table.has(key), map.contains_key(&key)),
                5 => assert_eq!(table.entry(key, || i), map.entry(key).or_insert(i)),
                0 => assert_eq!(table.remove(key), map.remove(&key)),
                1 => assert_eq!(table.get(key), map.get(&key)),
                2 => assert_eq!(table.get_mut(key), map.get_mut(&key)),
                _ => assert_eq!(table.insert(key, i), map.insert(key, i)),
            }
            assert_eq!((table.len(), table.is_empty()), (map.len(), map.is_empty()));
            assert!(
                table
                    .iter()
                    .eq(map.iter().map(|(&key, value)| (key, value)))
            );
        }
        assert_eq!(
            table.first(),
            map.first_key_value().map(|(&key, value)| (key, value))
        );
        table.retain(|value| value % 2 == 0);
        map.retain(|_, value| *value % 2 == 0);
        assert!(table.values().eq(map.values()));
        assert!(table.keys().eq(map.keys().copied()));
        assert!(table.values_mut().eq(map.values_mut()));
        assert!(table.iter_mut().map(|(key, _)| key).eq(map.into_keys()));
    }

    #[test]
    fn what_is_inserted_sorted_is_sorted() {
        let mut sorted = Vec::new();
        for value in [3, 1, 2, 3, 0, 9, 1] {
            insert_sorted(&mut sorted, value);
        }
        assert_eq!(sorted, [0, 1, 1, 2, 3, 3, 9]);
        remove_sorted(&mut sorted, &3);
        remove_sorted(&mut sorted, &4);
        assert_eq!(sorted, [0, 1, 1, 2, 3, 9]);
    }
}
