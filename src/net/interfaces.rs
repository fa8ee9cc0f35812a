//! The machine's IPv4 addresses, and which of them is ours.

use core::net::Ipv4Addr;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use std::io;

/// One IPv4 address of an interface that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// `eth0`; without an alias' label (`eth0:1` is `eth0`).
    pub name: String,
    /// The address.
    pub address: Ipv4Addr,
    /// The network's mask.
    pub mask: Ipv4Addr,
    /// Where a broadcast goes. A loopback interface has none of its own: there
    /// it is computed from the prefix (127.255.255.255).
    pub broadcast: Ipv4Addr,
    /// Whether it leads nowhere but to this machine.
    pub is_loopback: bool,
    /// Whether a cable is plugged in, as far as the driver can tell.
    pub has_link: bool,
}

impl Interface {
    /// Whether `address` may be a host's in this address's prefix: neither the
    /// prefix itself nor where a broadcast goes.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        let mask = self.mask.to_bits();
        let is_host = address != self.broadcast && address.to_bits() & !mask != 0;
        is_host && address.to_bits() & mask == self.address.to_bits() & mask
    }
}

/// The addresses of all interfaces that are up and can broadcast, in the
/// kernel's order.
pub fn list() -> io::Result<Vec<Interface>> {
    let all = getifaddrs()?;
    let usable = all.filter(|one| one.flags.contains(InterfaceFlags::IFF_UP));
    Ok(usable.filter_map(from_kernel).take(ADDRESSES_MAX).collect())
}

/// Whether an interface of this name exists, up or not, with or without an
/// address.
pub fn exists(name: &str) -> bool {
    getifaddrs().is_ok_and(|mut all| all.any(|one| without_label(&one.interface_name) == name))
}

/// Where a client's question goes: the broadcast address of each network of
/// the interface named, or of every interface but loopback.
pub fn broadcasts(interface: Option<&str>) -> Vec<Ipv4Addr> {
    let mut found: Vec<Ipv4Addr> = list()
        .unwrap_or_default()
        .into_iter()
        .filter(|one| interface.map_or(!one.is_loopback, |name| one.name == name))
        .map(|one| one.broadcast)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn from_kernel(one: nix::ifaddrs::InterfaceAddress) -> Option<Interface> {
    let address = one.address.as_ref()?.as_sockaddr_in()?.ip();
    let mask = one.netmask.as_ref()?.as_sockaddr_in()?.ip();
    let is_loopback = one.flags.contains(InterfaceFlags::IFF_LOOPBACK);
    let broadcast = if is_loopback {
        Ipv4Addr::from_bits(address.to_bits() | !mask.to_bits())
    } else {
        one.broadcast.as_ref()?.as_sockaddr_in()?.ip()
    };
    // A /32, or no broadcast address set: nobody else could be reached.
    if broadcast == address || broadcast.is_unspecified() {
        return None;
    }
    Some(Interface {
        name: without_label(&one.interface_name).into(),
        address,
        mask,
        broadcast,
        is_loopback,
        has_link: one.flags.contains(InterfaceFlags::IFF_RUNNING),
    })
}

fn without_label(name: &str) -> &str {
    name.split(':').next().unwrap_or(name)
}

/// More addresses than any board has; what lies beyond is not looked at.
const ADDRESSES_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_broadcasts_by_its_prefix() {
        let all = list().unwrap();
        let Some(lo) = all.iter().find(|one| one.is_loopback) else {
            println!("SKIP: no loopback interface is up here");
            return;
        };
        assert_eq!(lo.broadcast, Ipv4Addr::new(127, 255, 255, 255));
        assert!(lo.contains(Ipv4Addr::new(127, 3, 2, 1)));
        assert!(!lo.contains(Ipv4Addr::new(128, 0, 0, 1)));
        assert!(!lo.contains(Ipv4Addr::new(127, 0, 0, 0)), "no host");
        assert!(!lo.contains(lo.broadcast), "no host");
        assert!(exists(&lo.name));
        assert!(broadcasts(Some(&lo.name)).contains(&lo.broadcast));
        assert!(!broadcasts(None).contains(&lo.broadcast));
    }

    #[test]
    fn what_does_not_exist_has_no_broadcast() {
        assert!(!exists("br-no-such"));
        assert!(broadcasts(Some("br-no-such")).is_empty());
    }

    #[test]
    fn an_alias_belongs_to_its_interface() {
        assert_eq!(without_label("eth0:1"), "eth0");
        assert_eq!(without_label("eth0"), "eth0");
    }
}
