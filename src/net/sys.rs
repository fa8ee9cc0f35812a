//! System calls that the packages we build on leave out. The only file of the
//! project with `unsafe` in it.

#![allow(unsafe_code)]

use core::net::{Ipv4Addr, SocketAddrV4};
use core::sync::atomic::{AtomicBool, Ordering};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

pub use libc::pollfd as PollFd;

/// Whether the program was started without a standard output (`>&-`). The
/// standard library puts /dev/null in its place before `main`, where everything
/// can be written and nothing is read; so this is looked at even earlier.
pub fn began_without_stdout() -> bool {
    WITHOUT_STDOUT.load(Ordering::Relaxed)
}

static WITHOUT_STDOUT: AtomicBool = AtomicBool::new(false);

// SAFETY: what stands in this section is called before `main`, as a C function
// whose arguments may be left alone.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = look_for_stdout;

extern "C" fn look_for_stdout() {
    // SAFETY: it only asks for a number, and nothing else runs yet.
    let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
    WITHOUT_STDOUT.store(flags < 0, Ordering::Relaxed);
}

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

/// Raises the limit of open descriptors to the most that is allowed here, and
/// gives what it is then.
///
/// prlimit(2), since musl's setrlimit(3) has a way for kernels before 2.6.36
/// that stops all threads first: 2 KB.
pub fn raise_descriptors() -> Option<usize> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: 0 is this process; both pointers are live or null.
    let known = unsafe { libc::prlimit(0, libc::RLIMIT_NOFILE, core::ptr::null(), &raw mut limit) };
    if known != 0 {
        return None;
    }
    let raised = libc::rlimit {
        rlim_cur: limit.rlim_max,
        ..limit
    };
    // SAFETY: the same.
    let done = unsafe {
        libc::prlimit(
            0,
            libc::RLIMIT_NOFILE,
            &raw const raised,
            core::ptr::null_mut(),
        )
    };
    let allowed = if done == 0 { raised } else { limit };
    Some(usize::try_from(allowed.rlim_cur).unwrap_or(usize::MAX))
}

/// Adds `fd` to an epoll set, for poll's `events`, with `data` of the caller's.
pub fn epoll_add(epoll: RawFd, fd: RawFd, events: i16, data: u64) -> io::Result<()> {
    let mut event = libc::epoll_event {
        events: u32::from(events.cast_unsigned()),
        u64: data,
    };
    // SAFETY: the event is a live one; what the numbers mean is the kernel's
    // to check.
    match unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Removes `fd` from an epoll set. One that is closed has left it already.
pub fn epoll_remove(epoll: RawFd, fd: RawFd) {
    // SAFETY: no memory is handed over; what the numbers mean is the kernel's
    // to check.
    unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_DEL, fd, core::ptr::null_mut()) };
}

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

/// The size of a terminal in columns and rows, if it is one.
pub fn window_size(terminal: BorrowedFd<'_>) -> Option<(u16, u16)> {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: TIOCGWINSZ writes one winsize to where the pointer leads, and
    // that is a live one.
    let done = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (done == 0).then_some((size.ws_col, size.ws_row))
}

/// One instruction of a socket filter.
pub use libc::sock_filter as FilterStep;

/// Has the kernel pass to the socket only what `program` accepts. Where the
/// kernel has no filters the socket stays as it was.
pub fn attach_filter(fd: RawFd, program: &[FilterStep]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).unwrap_or(0),
        // The kernel copies the program and does not write to it.
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the option's value is a sock_fprog of the length given, whose
    // pointer and count are those of one live slice.
    let done = unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            core::ptr::from_ref(&program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Takes one datagram by a socket that does not block: its length within
/// `buffer`, and its sender. std's way makes three times the steps, for
/// addresses of every kind.
pub fn receive_from(fd: RawFd, buffer: &mut [u8]) -> io::Result<(usize, SocketAddrV4)> {
    let mut from = address_of(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
    let mut len = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    // SAFETY: the pointers and lengths are those of one live slice and one live
    // address; an IPv4 socket writes no other kind of address.
    let got = unsafe {
        libc::recvfrom(
            fd,
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            0,
            (&raw mut from).cast(),
            &raw mut len,
        )
    };
    let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
    Ok((got, of_address(&from)))
}

/// Sends one datagram.
pub fn send_to(fd: RawFd, bytes: &[u8], to: SocketAddrV4) -> io::Result<()> {
    let to = address_of(to);
    // SAFETY: the pointers and lengths are those of one live slice and one live
    // address.
    let sent = unsafe {
        libc::sendto(
            fd,
            bytes.as_ptr().cast(),
            bytes.len(),
            libc::MSG_NOSIGNAL,
            (&raw const to).cast(),
            size_of::<libc::sockaddr_in>() as libc::socklen_t,
        )
    };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn address_of(at: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: at.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(*at.ip()).to_be(),
        },
        sin_zero: [0; 8],
    }
}

fn of_address(address: &libc::sockaddr_in) -> SocketAddrV4 {
    let ip = Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
    SocketAddrV4::new(ip, u16::from_be(address.sin_port))
}

/// Many small datagrams by one system call, for times of flood. All memory is
/// taken once.
pub struct Batch {
    places: Vec<Place>,
    headers: Vec<libc::mmsghdr>,
}

/// Room for one datagram and its address.
#[derive(Clone, Copy)]
struct Place {
    bytes: [u8; BATCH_BYTES],
    address: libc::sockaddr_in,
    iov: libc::iovec,
}

/// Datagrams of one batch.
pub const BATCH_MAX: usize = 32;
/// What is kept of a datagram received, and the longest that is sent.
pub const BATCH_BYTES: usize = 64;

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        // SAFETY: all three are plain numbers and pointers that are looked at
        // only after `aim` has set them; all zeros is a valid value.
        let (place, header) = unsafe { (core::mem::zeroed(), core::mem::zeroed()) };
        Self {
            places: vec![place; BATCH_MAX],
            headers: vec![header; BATCH_MAX],
        }
    }

    /// Takes what waits, up to [`BATCH_MAX`] datagrams; how many.
    pub fn receive(&mut self, fd: RawFd) -> io::Result<usize> {
        self.aim(BATCH_MAX, |_| BATCH_BYTES);
        // SAFETY: `aim` has pointed each of the headers at a place of its own,
        // which lives as long as `self` and is not moved during the call.
        let got = unsafe {
            libc::recvmmsg(
                fd,
                self.headers.as_mut_ptr(),
                BATCH_MAX as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                core::ptr::null_mut(),
            )
        };
        usize::try_from(got).map_err(|_| io::Error::last_os_error())
    }

    /// The datagram at `index` of those received, and its sender.
    pub fn received(&self, index: usize) -> Option<(&[u8], SocketAddrV4)> {
        let (place, header) = (self.places.get(index)?, self.headers.get(index)?);
        let bytes = place.bytes.get(..header.msg_len as usize)?;
        Some((bytes, of_address(&place.address)))
    }

    /// Puts a datagram in place `index`, to be sent. False when it does not
    /// fit.
    pub fn put(&mut self, index: usize, to: SocketAddrV4, bytes: &[u8]) -> bool {
        let (Some(place), Some(header)) = (self.places.get_mut(index), self.headers.get_mut(index))
        else {
            return false;
        };
        let Some(room) = place.bytes.get_mut(..bytes.len()) else {
            return false;
        };
        room.copy_from_slice(bytes);
        place.address = address_of(to);
        header.msg_len = bytes.len() as libc::c_uint;
        true
    }

    /// Sends places `from..until`; how many went. At least one did not if that
    /// is an error: the first.
    pub fn send(&mut self, fd: RawFd, from: usize, until: usize) -> io::Result<usize> {
        let until = until.min(BATCH_MAX);
        let lengths = |header: &libc::mmsghdr| header.msg_len as usize;
        self.aim(until, lengths);
        let Some(headers) = self.headers.get_mut(from..until) else {
            return Ok(0);
        };
        // SAFETY: as for `receive`; the count is that of one live slice.
        let sent = unsafe {
            libc::sendmmsg(
                fd,
                headers.as_mut_ptr(),
                headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT as _,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// Points the first headers at their places.
    fn aim(&mut self, count: usize, len: impl Fn(&libc::mmsghdr) -> usize) {
        let pairs = self.headers.iter_mut().zip(&mut self.places);
        for (header, place) in pairs.take(count) {
            place.iov.iov_base = place.bytes.as_mut_ptr().cast();
            place.iov.iov_len = len(header).min(BATCH_BYTES);
            header.msg_hdr.msg_name = core::ptr::from_mut(&mut place.address).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            header.msg_hdr.msg_iov = core::ptr::from_mut(&mut place.iov);
            header.msg_hdr.msg_iovlen = 1;
        }
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{SocketAddr, UdpSocket};
    use std::os::fd::AsRawFd;

    #[test]
    fn a_batch_goes_out_and_comes_in_whole() {
        let (a, b) = (
            UdpSocket::bind("127.0.0.1:0").unwrap(),
            UdpSocket::bind("127.0.0.1:0").unwrap(),
        );
        let SocketAddr::V4(to) = b.local_addr().unwrap() else {
            panic!("no IPv4 address");
        };
        let SocketAddr::V4(from) = a.local_addr().unwrap() else {
            panic!("no IPv4 address");
        };
        let mut batch = Batch::new();
        for index in 0..BATCH_MAX {
            assert!(batch.put(index, to, &vec![index as u8; index]));
        }
        assert!(!batch.put(BATCH_MAX, to, b"one too many"));
        assert!(!batch.put(0, to, &[0; BATCH_BYTES + 1]));
        assert_eq!(batch.send(a.as_raw_fd(), 1, BATCH_MAX).unwrap(), 31);
        let mut other = Batch::new();
        assert_eq!(other.receive(b.as_raw_fd()).unwrap(), 31);
        for index in 0..31 {
            let expected = vec![index as u8 + 1; index + 1];
            assert_eq!(other.received(index), Some((&expected[..], from)));
        }
        let error = other.receive(b.as_raw_fd()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let a = UdpSocket::bind("127.0.0.1:0").unwrap();
        a.send_to(&[7; 500], a.local_addr().unwrap()).unwrap();
        let mut batch = Batch::new();
        assert_eq!(batch.receive(a.as_raw_fd()).unwrap(), 1);
        assert_eq!(batch.received(0).unwrap().0, [7; BATCH_BYTES]);
    }
}
