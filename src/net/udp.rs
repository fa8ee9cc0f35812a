//! A UDP socket that never blocks, and tells which datagrams were refused.

use super::sys;
use core::net::SocketAddrV4;
use nix::errno::Errno;
use nix::sys::socket::{self, ControlMessageOwned, MsgFlags, SockaddrIn, sockopt};
use nix::sys::time::TimeVal;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, RawFd};

/// How a socket is bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shared(
    /// Others may bind the same address and port. On a unicast address this
    /// would let a second program take the datagrams silently; it is for
    /// sockets bound to a broadcast address.
    pub bool,
);

/// A bound socket: non-blocking, allowed to broadcast.
#[derive(Debug)]
pub struct Udp {
    socket: UdpSocket,
}

impl Udp {
    /// Binds to `at`; port 0 asks for a free one.
    pub fn bind(at: SocketAddrV4, shared: Shared) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::IPV4,
            Type::DGRAM.nonblocking().cloexec(),
            Some(Protocol::UDP),
        )?;
        if shared.0 {
            socket.set_reuse_address(true)?;
        }
        socket.set_broadcast(true)?;
        socket.bind(&at.into())?;
        Ok(Self {
            socket: socket.into(),
        })
    }

    /// Has the kernel keep the ICMP errors that answer our datagrams, for
    /// [`Udp::refused`]. Where it cannot, refusals are not told.
    pub fn want_refusals(&self) {
        let _ = socket::setsockopt(&self.socket, sockopt::Ipv4RecvErr, &true);
    }

    /// Asks for room for a thousand datagrams that come at once; without
    /// privilege the system's own limit holds.
    pub fn want_room(&self) {
        if socket::setsockopt(&self.socket, sockopt::RcvBufForce, &ROOM).is_err() {
            let _ = socket::setsockopt(&self.socket, sockopt::RcvBuf, &ROOM);
        }
    }

    /// The port bound.
    pub fn port(&self) -> u16 {
        self.socket.local_addr().map_or(0, |at| at.port())
    }

    /// Takes one datagram: its length within `buffer`, and its sender. `None`
    /// when none waits. What does not fit into `buffer` is cut.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddrV4)>> {
        // An error that waits (a refusal) is told by the next call, once.
        for _ in 0..2 {
            match sys::receive_from(self.as_raw_fd(), buffer) {
                Ok(received) => return Ok(Some(received)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if is_of_an_earlier_send(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Has the kernel tell the interface that each datagram came by, for
    /// [`Udp::receive_by`]. Where it cannot, the interface is not told.
    pub fn want_interface(&self) {
        let _ = socket::setsockopt(&self.socket, sockopt::Ipv4PacketInfo, &true);
    }

    /// As [`Udp::receive`], with the interface's index, if it is known.
    pub fn receive_by(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddrV4, Option<u32>)> {
        let mut interface = None;
        let (len, from) = self.receive_with(buffer, &mut |part| {
            if let ControlMessageOwned::Ipv4PacketInfo(info) = part {
                interface = u32::try_from(info.ipi_ifindex).ok();
            }
        })?;
        Some((len, from, interface))
    }

    /// Has the kernel stamp each datagram with the time of its arrival, for
    /// [`Udp::receive_stamped`]; whether it does. In microseconds: nanoseconds
    /// are younger than the vendors' kernels, and qemu-arm does not know them.
    pub fn want_stamps(&self) -> bool {
        socket::setsockopt(&self.socket, sockopt::ReceiveTimestamp, &true).is_ok()
    }

    /// As [`Udp::receive`], with the time of its arrival by the wall clock.
    pub fn receive_stamped(
        &self,
        buffer: &mut [u8],
    ) -> Option<(usize, SocketAddrV4, Option<TimeVal>)> {
        let mut stamp = None;
        let (len, from) = self.receive_with(buffer, &mut |part| {
            if let ControlMessageOwned::ScmTimestamp(time) = part {
                stamp = Some(time);
            }
        })?;
        Some((len, from, stamp))
    }

    /// Takes one datagram, and looks at what the kernel tells beside it.
    fn receive_with(
        &self,
        buffer: &mut [u8],
        look: &mut dyn FnMut(ControlMessageOwned),
    ) -> Option<(usize, SocketAddrV4)> {
        let mut control = Control([0; 256]);
        let mut iov = [IoSliceMut::new(buffer)];
        let message = socket::recvmsg::<SockaddrIn>(
            self.socket.as_raw_fd(),
            &mut iov,
            Some(&mut control.0),
            MsgFlags::MSG_DONTWAIT,
        )
        .ok()?;
        let from = message.address?;
        message.cmsgs().ok()?.for_each(look);
        Some((message.bytes, SocketAddrV4::new(from.ip(), from.port())))
    }

    /// Sends a datagram now, or fails.
    pub fn send(&self, to: SocketAddrV4, bytes: &[u8]) -> io::Result<()> {
        match sys::send_to(self.as_raw_fd(), bytes, to) {
            Err(error) if is_of_an_earlier_send(&error) => {
                sys::send_to(self.as_raw_fd(), bytes, to)
            }
            sent => sent,
        }
    }

    /// Takes one error off the queue that [`Udp::want_refusals`] asked for:
    /// where the datagram had gone, and whether its port was closed there.
    pub fn refused(&self) -> Option<Refusal> {
        let (mut data, mut control) = ([0; 64], Control([0; 256]));
        let mut iov = [IoSliceMut::new(&mut data)];
        let message = socket::recvmsg::<SockaddrIn>(
            self.socket.as_raw_fd(),
            &mut iov,
            Some(&mut control.0),
            MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT,
        )
        .ok()?;
        let to = message
            .address
            .map(|to| SocketAddrV4::new(to.ip(), to.port()))?;
        let port_closed = message.cmsgs().ok()?.any(|part| {
            matches!(part, ControlMessageOwned::Ipv4RecvErr(error, _)
                if error.ee_origin == libc::SO_EE_ORIGIN_ICMP
                    && Errno::from_raw(error.ee_errno as i32) == Errno::ECONNREFUSED)
        });
        Some(Refusal { to, port_closed })
    }
}

/// Room for what the kernel tells beside a datagram. It holds structs that are
/// read in place, and an ARM9 does not read them from odd addresses.
#[repr(align(8))]
struct Control([u8; 256]);

/// An ICMP error that answered a datagram of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Where the datagram had gone.
    pub to: SocketAddrV4,
    /// The host is there and its port is closed; else a router did not find it.
    pub port_closed: bool,
}

impl AsRawFd for Udp {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Whether an error belongs to a datagram sent before, told by the kernel at
/// the next call on the socket, whatever that is.
fn is_of_an_earlier_send(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNREFUSED
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::EPROTO
                | libc::EINTR
        )
    )
}

/// In bytes. The kernel doubles it, and reckons some 770 for a small datagram.
const ROOM: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::soon::soon;
    use core::net::Ipv4Addr;

    fn at(port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
    }

    /// A closed port, and none that another test could be given meanwhile.
    const CLOSED: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(127, 83, 0, 1), 9);

    #[test]
    fn what_is_sent_comes_with_its_sender() {
        let (a, b) = (
            Udp::bind(at(0), Shared(false)).unwrap(),
            Udp::bind(at(0), Shared(false)).unwrap(),
        );
        let mut buffer = [0; 4];
        assert_eq!(b.receive(&mut buffer).unwrap(), None);
        a.send(at(b.port()), b"hello").unwrap();
        assert_eq!(
            soon(|| b.receive(&mut buffer).unwrap()),
            Some((4, at(a.port())))
        );
        assert_eq!(&buffer, b"hell");
    }

    #[test]
    fn the_interface_is_told() {
        let a = Udp::bind(at(0), Shared(false)).unwrap();
        a.want_interface();
        a.send(at(a.port()), b"self").unwrap();
        let mut buffer = [0; 8];
        let (len, from, interface) = soon(|| a.receive_by(&mut buffer)).unwrap();
        assert_eq!((len, from), (4, at(a.port())));
        assert_eq!(interface, nix::net::if_::if_nametoindex("lo").ok());
        assert_eq!(a.receive_by(&mut buffer), None);
    }

    #[test]
    fn the_time_of_arrival_is_told() {
        let a = Udp::bind(at(0), Shared(false)).unwrap();
        if !a.want_stamps() {
            println!("SKIP: this kernel does not stamp datagrams");
            return;
        }
        let wall = || crate::net::clock::wall().unwrap();
        let mut buffer = [0; 8];
        // The kernel begins to stamp some time after it was asked to; until
        // then the stamp is the time of reading.
        let is_stamped = (0..100).any(|_| {
            let before = wall();
            a.send(at(a.port()), b"self").unwrap();
            let after = wall();
            std::thread::sleep(std::time::Duration::from_millis(5));
            let (len, from, stamp) = soon(|| a.receive_stamped(&mut buffer)).unwrap();
            assert_eq!((len, from), (4, at(a.port())));
            let stamp = stamp.unwrap();
            before <= stamp && stamp <= after
        });
        assert!(is_stamped);
        assert_eq!(a.receive_stamped(&mut buffer), None);
    }

    #[test]
    fn a_port_belongs_to_one() {
        let a = Udp::bind(at(0), Shared(false)).unwrap();
        for shared in [Shared(false), Shared(true)] {
            let error = Udp::bind(at(a.port()), shared).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AddrInUse);
        }
    }

    #[test]
    fn a_refusal_names_the_one_who_refused_and_disturbs_nothing() {
        let a = Udp::bind(at(0), Shared(false)).unwrap();
        a.want_refusals();
        let b = Udp::bind(at(0), Shared(false)).unwrap();
        a.send(CLOSED, b"anyone?").unwrap();
        let refusal = soon(|| a.refused()).unwrap();
        assert_eq!(
            refusal,
            Refusal {
                to: CLOSED,
                port_closed: true
            }
        );
        assert_eq!(a.refused(), None);
        a.send(at(b.port()), b"you").unwrap();
        let mut buffer = [0; 16];
        assert_eq!(
            soon(|| b.receive(&mut buffer).unwrap()),
            Some((3, at(a.port())))
        );
    }

    #[test]
    fn a_waiting_refusal_stops_neither_a_send_nor_a_receive() {
        let a = Udp::bind(at(0), Shared(false)).unwrap();
        a.want_refusals();
        let b = Udp::bind(at(0), Shared(false)).unwrap();
        let mut buffer = [0; 16];
        for _ in 0..3 {
            a.send(CLOSED, b"x").unwrap();
            a.send(at(b.port()), b"still").unwrap();
            assert_eq!(
                soon(|| b.receive(&mut buffer).unwrap()),
                Some((5, at(a.port())))
            );
            a.send(CLOSED, b"x").unwrap();
            b.send(at(a.port()), b"heard").unwrap();
            assert_eq!(
                soon(|| a.receive(&mut buffer).unwrap()),
                Some((5, at(b.port())))
            );
        }
    }
}
