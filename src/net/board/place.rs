//! Which of the machine's addresses is the board's.

use crate::net::interfaces::Interface;
use core::fmt;
use core::net::Ipv4Addr;

/// What the command line says about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Only this interface; none: any but loopback.
    pub interface: Option<String>,
    /// Only this address: any that lies in a prefix of the interface and that
    /// bind(2) accepts.
    pub address: Option<Ipv4Addr>,
    /// An interface without a link counts as not there: a board that comes up
    /// unplugged must not be elected by itself (failover).
    pub needs_link: bool,
}

/// Where a board stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The interface's name.
    pub(super) interface: String,
    /// The board's address.
    pub(super) address: Ipv4Addr,
    /// Where its broadcasts go.
    pub(super) broadcast: Ipv4Addr,
    /// Whether it is a loopback interface.
    pub(super) is_loopback: bool,
}

/// Why there is no place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Absence {
    /// The interface asked for does not exist.
    NoInterface(String),
    /// It has no link: a cable is not plugged in.
    NoLink(String),
    /// It is down, or has no address.
    NoAddress(String),
    /// No interface but loopback has an address.
    NoneAtAll,
    /// The address asked for lies in no prefix.
    Foreign(Ipv4Addr),
}

/// Chooses among the machine's addresses. The present one stays as long as it
/// is there; an address of the 169.254 kind only while there is no other.
pub(super) fn choose(
    all: &[Interface],
    exists: impl Fn(&str) -> bool,
    wish: &Wish,
    present: Option<Ipv4Addr>,
) -> Result<Place, Absence> {
    let named = |one: &&Interface| match (&wish.interface, wish.address) {
        (Some(name), _) => one.name == *name,
        // An address says which interface is meant, loopback too.
        (None, Some(_)) => true,
        (None, None) => !one.is_loopback,
    };
    let candidates: Vec<&Interface> = all.iter().filter(named).collect();
    let linked = candidates
        .iter()
        .copied()
        .filter(|one| one.has_link || !wish.needs_link);
    let found = match wish.address {
        Some(address) => linked
            .filter(|one| one.contains(address))
            // The address itself rather than a prefix around it.
            .max_by_key(|one| (one.address == address, one.mask)),
        None => best(linked, present),
    };
    match found {
        Some(one) => Ok(Place {
            interface: one.name.clone(),
            address: wish.address.unwrap_or(one.address),
            broadcast: one.broadcast,
            is_loopback: one.is_loopback,
        }),
        None => Err(absence(&candidates, exists, wish)),
    }
}

/// The first one, but rather the present one, and rather no 169.254 one.
fn best<'a>(
    candidates: impl Iterator<Item = &'a Interface>,
    present: Option<Ipv4Addr>,
) -> Option<&'a Interface> {
    let worth = |one: &Interface| {
        let is_present = Some(one.address) == present;
        (!one.address.is_link_local(), is_present)
    };
    candidates.reduce(|best, one| if worth(one) > worth(best) { one } else { best })
}

fn absence(candidates: &[&Interface], exists: impl Fn(&str) -> bool, wish: &Wish) -> Absence {
    let unlinked = candidates
        .iter()
        .find(|one| wish.address.is_none_or(|address| one.contains(address)));
    match (&wish.interface, unlinked, wish.address) {
        (Some(name), ..) if !exists(name) => Absence::NoInterface(name.clone()),
        (_, Some(one), _) => Absence::NoLink(one.name.clone()),
        (_, None, Some(address)) => Absence::Foreign(address),
        (Some(name), None, None) => Absence::NoAddress(name.clone()),
        (None, None, None) => Absence::NoneAtAll,
    }
}

impl Absence {
    /// Whether the command line cannot be right now, as opposed to a network
    /// that comes late.
    pub(super) const fn is_wrong_at_start(&self) -> bool {
        matches!(self, Self::NoInterface(_) | Self::Foreign(_))
    }
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoInterface(name) => write!(f, "there is no interface {name}"),
            Self::NoLink(name) => write!(f, "{name} has no link"),
            Self::NoAddress(name) => write!(f, "{name} has no IPv4 address with a broadcast"),
            Self::NoneAtAll => f.write_str("no interface has an IPv4 address with a broadcast"),
            Self::Foreign(address) => write!(
                f,
                "{address} is no host's address in a network of this machine"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, address: [u8; 4], bits: u32) -> Interface {
        let address = Ipv4Addr::from(address);
        let mask = Ipv4Addr::from_bits(!(u32::MAX >> bits));
        Interface {
            name: name.into(),
            address,
            mask,
            broadcast: Ipv4Addr::from_bits(address.to_bits() | !mask.to_bits()),
            is_loopback: name == "lo",
            has_link: true,
        }
    }

    fn machine() -> Vec<Interface> {
        vec![
            interface("lo", [127, 0, 0, 1], 8),
            interface("eth0", [169, 254, 7, 7], 16),
            interface("eth0", [10, 3, 52, 2], 24),
            interface("eth1", [10, 4, 0, 9], 16),
        ]
    }

    fn wish(interface: Option<&str>, address: Option<[u8; 4]>) -> Wish {
        Wish {
            interface: interface.map(Into::into),
            address: address.map(Into::into),
            needs_link: false,
        }
    }

    fn chosen(wish: &Wish, present: Option<[u8; 4]>) -> Result<String, Absence> {
        let exists = |name: &str| name != "wlan0";
        choose(&machine(), exists, wish, present.map(Into::into))
            .map(|place| format!("{} {} {}", place.interface, place.address, place.broadcast))
    }

    #[test]
    fn without_a_wish_the_first_real_address_is_taken_and_kept() {
        let any = wish(None, None);
        assert_eq!(chosen(&any, None).unwrap(), "eth0 10.3.52.2 10.3.52.255");
        assert_eq!(
            chosen(&any, Some([10, 4, 0, 9])).unwrap(),
            "eth1 10.4.0.9 10.4.255.255"
        );
        // One that is gone, and one of the 169.254 kind, are not kept.
        for present in [[10, 9, 9, 9], [169, 254, 7, 7]] {
            assert_eq!(
                chosen(&any, Some(present)).unwrap(),
                "eth0 10.3.52.2 10.3.52.255"
            );
        }
    }

    #[test]
    fn an_address_is_ours_within_a_prefix() {
        let lo = wish(Some("lo"), Some([127, 0, 0, 2]));
        assert_eq!(chosen(&lo, None).unwrap(), "lo 127.0.0.2 127.255.255.255");
        let eth1 = wish(None, Some([10, 4, 0, 9]));
        assert_eq!(chosen(&eth1, None).unwrap(), "eth1 10.4.0.9 10.4.255.255");
        let wrong = wish(Some("lo"), Some([10, 4, 0, 9]));
        assert_eq!(
            chosen(&wrong, None),
            Err(Absence::Foreign([10, 4, 0, 9].into()))
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(
            chosen(&wish(Some("wlan0"), None), None),
            Err(Absence::NoInterface("wlan0".into()))
        );
        assert_eq!(
            chosen(&wish(Some("eth9"), None), None),
            Err(Absence::NoAddress("eth9".into()))
        );
        let nothing = choose(&machine()[..1], |_| true, &wish(None, None), None);
        assert_eq!(nothing, Err(Absence::NoneAtAll));
        assert!(!Absence::NoneAtAll.is_wrong_at_start());
    }

    #[test]
    fn a_cable_that_is_not_plugged_in_counts_with_failover_only() {
        let mut all = machine();
        all[2].has_link = false;
        all[1].has_link = false;
        let mut wish = wish(Some("eth0"), None);
        assert!(choose(&all, |_| true, &wish, None).is_ok());
        wish.needs_link = true;
        assert_eq!(
            choose(&all, |_| true, &wish, None),
            Err(Absence::NoLink("eth0".into()))
        );
    }
}
