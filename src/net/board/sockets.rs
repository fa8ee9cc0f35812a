//! A board's sockets: one bound to its own address, without SO_REUSEADDR, by
//! which it speaks and hears what is for it alone; two bound to the directed
//! and the limited broadcast address, with it, by which it hears what is for
//! all. So several boards live on one machine, answers come from the board's
//! own address, and no interface need be forced upon a socket.

use super::place::Place;
use crate::net::filter::{self, Passing, What};
use crate::net::udp::{Shared, Udp};
use core::net::{Ipv4Addr, SocketAddrV4};
use nix::net::if_::if_nametoindex;
use std::io;

/// The open sockets of one place.
#[derive(Debug)]
pub(super) struct Sockets {
    /// Bound to the own address.
    pub(super) own: Udp,
    /// Bound to the directed broadcast address.
    pub(super) broadcast: Udp,
    /// As `broadcast`, and only for claims: it need not be polled while a
    /// slave has nothing to fear. None where the kernel cannot tell claims
    /// apart, or without failover.
    pub(super) claims: Option<Udp>,
    /// Bound to 255.255.255.255; a machine may refuse it.
    limited: Option<Udp>,
    /// Claims tell when they came, so that they can wait in their socket.
    pub(super) has_stamps: bool,
    interface: Option<u32>,
}

/// Why a socket cannot be had.
#[derive(Debug)]
pub(super) struct CannotBind {
    /// Where.
    pub(super) at: SocketAddrV4,
    /// Why.
    pub(super) error: io::Error,
}

impl Sockets {
    /// Opens all of them at `port`.
    pub(super) fn open(place: &Place, port: u16, split_claims: bool) -> Result<Self, CannotBind> {
        let bind = |ip: Ipv4Addr, shared| {
            let at = SocketAddrV4::new(ip, port);
            Udp::bind(at, shared).map_err(|error| CannotBind { at, error })
        };
        let own = bind(place.address, Shared(false))?;
        own.want_refusals();
        let broadcast = bind(place.broadcast, Shared(true))?;
        let passing = |what| Passing {
            own: place.address,
            port,
            is_loopback: place.is_loopback,
            what,
        };
        let claims = match split_claims {
            true => bind(place.broadcast, Shared(true))
                .ok()
                .filter(|socket| filter::attach(socket, passing(What::OnlyClaims))),
            false => None,
        };
        let rest = match claims {
            Some(_) => What::NoClaims,
            None => What::All,
        };
        // Filters first come on top of each other only where claims are split;
        // a kernel that took the one takes the other.
        filter::attach(&broadcast, passing(rest));
        let limited = bind(Ipv4Addr::BROADCAST, Shared(true)).ok();
        if let Some(limited) = &limited {
            limited.want_interface();
        }
        Ok(Self {
            has_stamps: claims.as_ref().is_some_and(Udp::want_stamps),
            own,
            broadcast,
            claims,
            limited,
            interface: if_nametoindex(place.interface.as_str()).ok(),
        })
    }

    /// Finds the interface's number anew: it may have been deleted and made
    /// again.
    pub(super) fn find_interface(&mut self, place: &Place) {
        self.interface = if_nametoindex(place.interface.as_str()).ok();
    }

    /// The socket for the limited broadcast.
    pub(super) const fn limited(&self) -> Option<&Udp> {
        self.limited.as_ref()
    }

    /// Takes a datagram sent to 255.255.255.255 that came by our interface.
    pub(super) fn receive_limited(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddrV4)> {
        let (len, from, by) = self.limited.as_ref()?.receive_by(buffer)?;
        let is_ours = by.is_none() || self.interface.is_none() || by == self.interface;
        is_ours.then_some((len, from))
    }
}
