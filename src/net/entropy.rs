//! Random numbers from the operating system, asked when one is due.

use super::{files, sys};
use crate::rng::Entropy;
use std::io::Read;
use std::path::Path;

/// The operating system's generator. It never blocks: right after boot, when
/// getrandom(2) would wait for the kernel's pool, /dev/urandom is read, which
/// is good enough for a vote. Keys and nonces come from elsewhere.
#[derive(Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        if !sys::random_now(&mut bytes) && !read_urandom(&mut bytes) {
            // Neither call nor device (a bare chroot on an old kernel): the
            // clock's microseconds, spread out, differ from board to board.
            let ticks = super::clock::now().micros() ^ u64::from(std::process::id()) << 32;
            return crate::rng::Seeded::new(ticks).next_u32();
        }
        u32::from_ne_bytes(bytes)
    }
}

fn read_urandom(bytes: &mut [u8]) -> bool {
    files::read(Path::new("/dev/urandom")).is_ok_and(|mut device| device.read_exact(bytes).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_differ() {
        let numbers: Vec<u32> = (0..8).map(|_| OsEntropy.next_u32()).collect();
        assert!(numbers.iter().any(|&n| n != numbers[0]), "{numbers:?}");
    }

    #[test]
    fn the_device_serves_where_the_call_does_not() {
        let mut bytes = [0; 64];
        assert!(read_urandom(&mut bytes));
        assert!(bytes.iter().any(|&byte| byte != 0));
    }

    /// Chi-square, 9 degrees of freedom: 33.7 is exceeded by a fair source
    /// once in ten thousand runs, 50 once in ten million.
    #[test]
    fn votes_of_the_system_are_uniform() {
        let mut counts = [0u32; 10];
        for _ in 0..100_000 {
            counts[usize::from(OsEntropy.one_to_ten()) - 1] += 1;
        }
        let chi_square: f64 = counts
            .iter()
            .map(|&n| (f64::from(n) - 10_000.0).powi(2) / 10_000.0)
            .sum();
        assert!(chi_square < 50.0, "chi-square {chi_square}, {counts:?}");
    }
}
