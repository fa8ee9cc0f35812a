//! System calls that the packages we build on leave out. The only file of the
//! project with `unsafe` in it.

#![allow(unsafe_code)]

use std::io;

pub use libc::pollfd as PollFd;

/// Waits until a descriptor of `set` is ready or `timeout_us` microseconds
/// have passed; `None` waits for ever. Gives the number of ready ones.
///
/// ppoll(2), since poll(2) knows only whole milliseconds: at ten milliseconds
/// an interval that would be a tenth of it.
pub fn poll(set: &mut [PollFd], timeout_us: Option<u64>) -> io::Result<usize> {
    let timeout = timeout_us.map(|us| {
        // Both casts fit: the caller's limit is an hour.
        // SAFETY: a timespec is plain numbers (and padding on some 32-bit
        // targets), for which all zeros is a valid value.
        let mut spec: libc::timespec = unsafe { core::mem::zeroed() };
        spec.tv_sec = (us / 1_000_000).min(POLL_SECONDS_MAX) as _;
        spec.tv_nsec = (us % 1_000_000 * 1_000) as _;
        spec
    });
    let timeout = timeout
        .as_ref()
        .map_or(core::ptr::null(), core::ptr::from_ref);
    // SAFETY: the pointer and the count are those of one live slice; the
    // timespec lives until the call returns; no signal mask is given.
    let ready = unsafe {
        libc::ppoll(
            set.as_mut_ptr(),
            set.len() as libc::nfds_t,
            timeout,
            core::ptr::null(),
        )
    };
    usize::try_from(ready).map_err(|_| io::Error::last_os_error())
}

/// The longest that one call of [`poll`] waits.
pub const POLL_SECONDS_MAX: u64 = 3_600;

/// Fills `buffer` from getrandom(2) without ever waiting for the kernel's pool:
/// on kernels 3.17 to 5.18 that can take minutes after boot. False when the
/// pool is not ready or the call is unknown.
pub fn random_now(buffer: &mut [u8]) -> bool {
    // SAFETY: the pointer and the length are those of one live slice.
    let got = unsafe {
        libc::syscall(
            libc::SYS_getrandom,
            buffer.as_mut_ptr(),
            buffer.len(),
            libc::GRND_NONBLOCK,
        )
    };
    usize::try_from(got).is_ok_and(|got| got == buffer.len())
}
