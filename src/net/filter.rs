//! Socket filters: what the kernel need not wake us for. All of them are
//! optional; without them the board hears more and does the same.
//!
//! A filter on a UDP socket sees the datagram from its UDP header on; the IP
//! header before it is at [`NET`], and what the kernel knows besides at
//! [`ABOUT`].

use super::sys::{self, FilterStep};
use core::net::Ipv4Addr;
use std::os::fd::AsRawFd;

/// What a board's broadcast socket passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passing {
    /// The board's own address and port: what it broadcast itself need not be
    /// heard again. Another host's datagram under our address is passed on,
    /// since it is a conflict that someone should know of.
    pub own: Ipv4Addr,
    /// The election's port.
    pub port: u16,
    /// On loopback the kernel does not mark what comes back; there no other
    /// host can have our address.
    pub is_loopback: bool,
    /// Which datagrams.
    pub what: What,
}

/// A part of the datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// All.
    All,
    /// All but claims.
    NoClaims,
    /// Only claims.
    OnlyClaims,
}

/// Attaches the filter; whether the kernel took it.
pub fn attach(socket: &impl AsRawFd, passing: Passing) -> bool {
    sys::attach_filter(socket.as_raw_fd(), &program(passing)).is_ok()
}

fn program(passing: Passing) -> Vec<FilterStep> {
    let mut steps = own_dropped(passing);
    if passing.what == What::All {
        steps.push(answer(PASS));
        return steps;
    }
    let (claim, other) = match passing.what {
        What::OnlyClaims => (PASS, DROP),
        _ => (DROP, PASS),
    };
    steps.extend([
        load(libc::BPF_W | libc::BPF_LEN, 0),
        step(libc::BPF_JMP | libc::BPF_JGE, UDP_HEADER + 1, 0, 3),
        load(libc::BPF_B | libc::BPF_ABS, UDP_HEADER),
        unless(u32::from(b'!'), 1),
        answer(claim),
        answer(other),
    ]);
    steps
}

/// Drops what the board itself broadcast, and goes on with all else.
fn own_dropped(passing: Passing) -> Vec<FilterStep> {
    let came_back: &[FilterStep] = if passing.is_loopback {
        &[]
    } else {
        &[
            load(libc::BPF_B | libc::BPF_ABS, ABOUT + ABOUT_KIND),
            unless(KIND_CAME_BACK, 1),
        ]
    };
    // How far a test that fails has to jump: to behind the drop.
    let left = came_back.len() as u8 + 1;
    let mut steps = vec![
        load(libc::BPF_W | libc::BPF_ABS, NET + NET_SOURCE),
        unless(u32::from(passing.own), left + 2),
        load(libc::BPF_H | libc::BPF_ABS, 0),
        unless(u32::from(passing.port), left),
    ];
    steps.extend_from_slice(came_back);
    steps.push(answer(DROP));
    steps
}

const fn step(code: u32, k: u32, jt: u8, jf: u8) -> FilterStep {
    FilterStep {
        code: code as u16,
        jt,
        jf,
        k,
    }
}

/// Loads a number from the datagram.
const fn load(how: u32, at: u32) -> FilterStep {
    step(libc::BPF_LD | how, at, 0, 0)
}

/// Goes on if the number loaded is `value`, else leaves `skip` steps out.
const fn unless(value: u32, skip: u8) -> FilterStep {
    step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, 0, skip)
}

/// Ends the filter.
const fn answer(bytes: u32) -> FilterStep {
    step(libc::BPF_RET | libc::BPF_K, bytes, 0, 0)
}

const DROP: u32 = 0;
const PASS: u32 = u32::MAX;
/// The length of a UDP header; the source port comes first in it.
const UDP_HEADER: u32 = 8;
/// Where the IP header is.
const NET: u32 = libc::SKF_NET_OFF as u32;
/// The source address within it.
const NET_SOURCE: u32 = 12;
/// What the kernel knows about the datagram.
const ABOUT: u32 = libc::SKF_AD_OFF as u32;
/// Whether it was for us, for all, or came back.
const ABOUT_KIND: u32 = libc::SKF_AD_PKTTYPE as u32;
/// PACKET_LOOPBACK: our own broadcast, given back to us on its way out.
const KIND_CAME_BACK: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::udp::{Shared, Udp};
    use core::net::SocketAddrV4;

    fn on_loopback(last: u8, port: u16) -> Udp {
        let at = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, last), port);
        Udp::bind(at, Shared(false)).unwrap()
    }

    fn heard(what: What) -> Vec<Vec<u8>> {
        let all = Ipv4Addr::new(127, 255, 255, 255);
        let listener = Udp::bind(SocketAddrV4::new(all, 0), Shared(true)).unwrap();
        let port = listener.port();
        let own = on_loopback(81, port);
        let other = on_loopback(82, port);
        let asker = on_loopback(81, 0);
        let passing = Passing {
            own: Ipv4Addr::new(127, 0, 0, 81),
            port,
            is_loopback: true,
            what,
        };
        assert!(attach(&listener, passing));
        let to = SocketAddrV4::new(all, port);
        own.send(to, b"! own").unwrap();
        own.send(to, b"# own").unwrap();
        other.send(to, b"! other").unwrap();
        other.send(to, b"# other").unwrap();
        other.send(to, b"").unwrap();
        asker.send(to, b"WHOIS").unwrap();
        let mut buffer = [0; 64];
        core::iter::from_fn(|| {
            listener
                .receive(&mut buffer)
                .unwrap()
                .map(|(len, _)| buffer[..len].to_vec())
        })
        .collect()
    }

    #[test]
    fn own_broadcasts_are_not_heard_again() {
        assert_eq!(
            heard(What::All),
            [&b"! other"[..], b"# other", b"", b"WHOIS"]
        );
    }

    #[test]
    fn claims_go_one_way_and_all_else_the_other() {
        assert_eq!(heard(What::OnlyClaims), [&b"! other"[..]]);
        assert_eq!(heard(What::NoClaims), [&b"# other"[..], b"", b"WHOIS"]);
    }

    /// On a real network what came back is told by the kernel's mark.
    #[test]
    fn a_conflict_is_passed_on_where_the_kernel_marks_what_came_back() {
        let passing = Passing {
            own: Ipv4Addr::new(10, 3, 52, 2),
            port: 2000,
            is_loopback: false,
            what: What::All,
        };
        let steps = program(passing);
        assert_eq!(steps.len(), 8);
        // Each failing test lands on the last step, which passes.
        for (at, one) in steps.iter().enumerate().filter(|(_, one)| one.jf > 0) {
            assert_eq!(at + 1 + usize::from(one.jf), 7, "step {at}");
        }
    }
}
