//! May this IP address be called?
//!
//! A destination's address can come from a template, a name server or a token endpoint, so somebody else may have a hand in
//! it. Two kinds of address are never called: those that lead to a cloud's metadata, where machines fetch their own
//! credentials, and those at which no server can be (unspecified, multicast, reserved). Private addresses are what the
//! relay is for, so they are allowed unless a destination says `allow_private = false`.
//!
//! An IPv6 address can carry an IPv4 address to which a translator or a tunnel passes the packets on. It is the inner one
//! that counts.
//!
//! Names are looked up by [`crate::send`], which asks here about each address before it connects to exactly that one.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use url::{Host, Url};

/// Which addresses may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Public and private ones.
    #[default]
    AllowPrivate,
    /// Public ones only.
    PublicOnly,
}

impl Policy {
    /// Whether `address` may be called.
    ///
    /// # Errors
    /// [`Forbidden`].
    pub fn check(self, address: IpAddr) -> Result<(), Forbidden> {
        let kind = Kind::of(address);
        match (kind, self) {
            (Kind::Public, _) | (Kind::Loopback | Kind::Private | Kind::Shared, Self::AllowPrivate) => Ok(()),
            _ => Err(Forbidden { address, kind }),
        }
    }

    /// Whether the host of `url` may be called, as far as it is an address and no name.
    ///
    /// # Errors
    /// [`Forbidden`].
    pub fn check_literal(self, url: &Url) -> Result<(), Forbidden> {
        match url.host() {
            Some(Host::Ipv4(address)) => self.check(address.into()),
            Some(Host::Ipv6(address)) => self.check(address.into()),
            Some(Host::Domain(_)) | None => Ok(()),
        }
    }
}

/// Why an address isn't called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forbidden {
    address: IpAddr,
    kind: Kind,
}

impl Forbidden {
    /// Whether the address is private, so that `allow_private` decides.
    #[must_use]
    pub fn is_private(&self) -> bool {
        matches!(self.kind, Kind::Loopback | Kind::Private | Kind::Shared)
    }
}

impl std::error::Error for Forbidden {}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = if self.is_private() { "`allow_private = false` forbids it" } else { "it is never called" };
        write!(f, "{} is {}, {rule}", self.address, self.kind.words())
    }
}

/// What an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Public,
    Loopback,
    Private,
    /// Between a provider and its customers (RFC 6598); Tailscale's, too.
    Shared,
    LinkLocal,
    Metadata,
    Unspecified,
    Multicast,
    Documentation,
    Reserved,
}
use Kind::{Documentation, LinkLocal, Loopback, Metadata, Multicast, Private, Public, Reserved, Shared, Unspecified};

/// A block of addresses, by its first address and the bits that all of them share, and what it is for.
type Block<A> = (A, u32, Kind);

const fn v4(a: u8, b: u8, c: u8, d: u8) -> Ipv4Addr {
    Ipv4Addr::new(a, b, c, d)
}

const fn v6(s: [u16; 8]) -> Ipv6Addr {
    Ipv6Addr::new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7])
}

/// The first block that holds an address decides. IANA's registry of special addresses, and what clouds put into it.
const V4_BLOCKS: &[Block<Ipv4Addr>] = &[
    (v4(100, 100, 100, 200), 32, Metadata), // Alibaba
    (v4(168, 63, 129, 16), 32, Metadata),   // Azure, beside 169.254.169.254
    (v4(192, 0, 0, 192), 32, Metadata),     // Oracle
    (v4(0, 0, 0, 0), 8, Unspecified),       // Linux takes 0.0.0.0 for itself
    (v4(10, 0, 0, 0), 8, Private),
    (v4(100, 64, 0, 0), 10, Shared),
    (v4(127, 0, 0, 0), 8, Loopback),
    (v4(169, 254, 0, 0), 16, LinkLocal), // with the metadata of AWS, Azure, Google and most others
    (v4(172, 16, 0, 0), 12, Private),
    (v4(192, 0, 0, 0), 24, Private),
    (v4(192, 0, 2, 0), 24, Documentation),
    (v4(192, 168, 0, 0), 16, Private),
    (v4(198, 18, 0, 0), 15, Private), // for test beds
    (v4(198, 51, 100, 0), 24, Documentation),
    (v4(203, 0, 113, 0), 24, Documentation),
    (v4(224, 0, 0, 0), 4, Multicast),
    (v4(240, 0, 0, 0), 4, Reserved), // with the broadcast address
    (v4(0, 0, 0, 0), 0, Public),
];

/// As [`V4_BLOCKS`], for addresses that carry none of those.
const V6_BLOCKS: &[Block<Ipv6Addr>] = &[
    (v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0]), 64, Metadata), // AWS: …::254, EKS at …::23
    (v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]), 128, Metadata), // Google
    (v6([0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe]), 128, Metadata), // Oracle
    (v6([0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42]), 128, Metadata), // Scaleway
    (v6([0, 0, 0, 0, 0, 0, 0, 0]), 128, Unspecified),
    (v6([0, 0, 0, 0, 0, 0, 0, 1]), 128, Loopback),
    // NAT64 with a prefix of its owner's choice (RFC 8215): where it carries the inner address can't be known.
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0]), 48, Reserved),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0]), 32, Documentation),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0]), 20, Documentation),
    (v6([0x2000, 0, 0, 0, 0, 0, 0, 0]), 3, Public),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0]), 7, Private),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0]), 10, LinkLocal),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0]), 10, Private), // site-local, out of use
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0]), 8, Multicast),
    (v6([0, 0, 0, 0, 0, 0, 0, 0]), 0, Reserved),
];

impl Kind {
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => carried_by(address).map_or_else(|| Self::of_v6(address), Self::of_v4),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        first_that_holds(V4_BLOCKS, |first| (first.to_bits() ^ address.to_bits()).leading_zeros())
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        first_that_holds(V6_BLOCKS, |first| (first.to_bits() ^ address.to_bits()).leading_zeros())
    }

    fn words(self) -> &'static str {
        match self {
            Self::Public => "a public address",
            Self::Loopback => "this machine's own address",
            Self::Private => "a private address",
            Self::Shared => "an address between a provider and its customers",
            Self::LinkLocal => "a link-local address, where clouds keep their metadata",
            Self::Metadata => "the address of a cloud's metadata",
            Self::Unspecified => "no machine's address",
            Self::Multicast => "the address of a group",
            Self::Documentation => "an address for examples",
            Self::Reserved => "a reserved address",
        }
    }
}

/// The kind of the first block with which an address has as many leading bits in common as the block is long.
fn first_that_holds<A>(blocks: &[Block<A>], bits_in_common: impl Fn(&A) -> u32) -> Kind {
    let block = blocks.iter().find(|(first, length, _)| bits_in_common(first) >= *length);
    block.map_or(Reserved, |(_, _, kind)| *kind)
}

/// The IPv4 address to which packets for an IPv6 address are passed on.
fn carried_by(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let (high, low) = match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => return None, // Unspecified and loopback, and not what they look like.
        // Compatible (RFC 4291 2.5.5.1) and mapped (2.5.5.2), translated (RFC 2765), NAT64 (RFC 6052), 6to4 (RFC 3056).
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => (high, low),
        // Teredo (RFC 4380): the client behind the tunnel, with all bits flipped.
        [0x2001, 0, .., high, low] => (!high, !low),
        _ => return None,
    };
    Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Addresses, and whether they may be called where private ones are allowed, and where they aren't.
    const VERDICTS: &[(&str, &str, &str)] = &[
        // Public.
        ("8.8.8.8", "yes", "yes"),
        ("169.253.255.255", "yes", "yes"),
        ("169.255.0.0", "yes", "yes"),
        ("100.63.255.255", "yes", "yes"),
        ("100.128.0.0", "yes", "yes"),
        ("172.15.255.255", "yes", "yes"),
        ("172.32.0.0", "yes", "yes"),
        ("223.255.255.255", "yes", "yes"),
        ("2606:4700:4700::1111", "yes", "yes"),
        ("2001:4860:4860::8888", "yes", "yes"),
        // Private.
        ("127.0.0.1", "yes", "no"),
        ("127.255.255.254", "yes", "no"),
        ("::1", "yes", "no"),
        ("10.0.0.0", "yes", "no"),
        ("172.16.0.1", "yes", "no"),
        ("172.31.255.255", "yes", "no"),
        ("192.168.1.1", "yes", "no"),
        ("192.0.0.8", "yes", "no"),
        ("198.19.255.255", "yes", "no"),
        ("100.64.0.0", "yes", "no"),
        ("100.127.255.255", "yes", "no"),
        ("fc00::1", "yes", "no"),
        ("fdff:ffff::1", "yes", "no"),
        ("fec0::1", "yes", "no"),
        // Metadata.
        ("169.254.169.254", "no", "no"),
        ("169.254.170.2", "no", "no"),
        ("169.254.0.0", "no", "no"),
        ("169.254.255.255", "no", "no"),
        ("fe80::1", "no", "no"),
        ("febf:ffff::1", "no", "no"),
        ("100.100.100.200", "no", "no"),
        ("168.63.129.16", "no", "no"),
        ("192.0.0.192", "no", "no"),
        ("fd00:ec2::254", "no", "no"),
        ("fd00:ec2::23", "no", "no"),
        ("fd20:ce::254", "no", "no"),
        ("fd00:c1::a9fe:a9fe", "no", "no"),
        ("fd00:42::42", "no", "no"),
        // Nobody's.
        ("0.0.0.0", "no", "no"),
        ("0.1.2.3", "no", "no"),
        ("::", "no", "no"),
        ("224.0.0.1", "no", "no"),
        ("239.255.255.250", "no", "no"),
        ("ff02::1", "no", "no"),
        ("240.0.0.1", "no", "no"),
        ("255.255.255.255", "no", "no"),
        ("192.0.2.1", "no", "no"),
        ("198.51.100.7", "no", "no"),
        ("203.0.113.9", "no", "no"),
        ("2001:db8::1", "no", "no"),
        ("3fff:fff::1", "no", "no"),
        ("100::1", "no", "no"),
        ("64:ff9b:1::808:808", "no", "no"),
        // Carried by another.
        ("::ffff:169.254.169.254", "no", "no"),
        ("::169.254.169.254", "no", "no"),
        ("::ffff:0:a9fe:a9fe", "no", "no"),
        ("64:ff9b::a9fe:a9fe", "no", "no"),
        ("2002:a9fe:a9fe::1", "no", "no"),
        ("2001:0:4136:e378:8000:63bf:5601:5601", "no", "no"),
        ("::ffff:10.0.0.1", "yes", "no"),
        ("64:ff9b::808:808", "yes", "yes"),
    ];

    #[test]
    fn every_block_has_its_verdict() {
        let word = |policy: Policy, address: IpAddr| if policy.check(address).is_ok() { "yes" } else { "no" };
        let verdicts = VERDICTS.iter().map(|(text, ..)| {
            let address: IpAddr = text.parse().unwrap();
            (*text, word(Policy::AllowPrivate, address), word(Policy::PublicOnly, address))
        });
        assert_eq!(verdicts.collect::<Vec<_>>(), VERDICTS);
    }

    #[test]
    fn however_an_address_is_spelt_it_is_the_same_address() {
        for host in [
            "169.254.169.254",
            "169.254.169.254.",
            "2852039166",
            "0xa9fea9fe",
            "0xa9.0xfe.0xa9.0xfe",
            "0251.0376.0251.0376",
            "169.254.43518",
            "[::ffff:169.254.169.254]",
            "[0:0:0:0:0:ffff:a9fe:a9fe]",
            "%31%36%39.254.169.254",
            "１６９.254.169.254",
        ] {
            let url: Url = format!("http://{host}/latest/meta-data/").parse().unwrap();
            let refused = Policy::AllowPrivate.check_literal(&url).expect_err(host);
            assert_eq!(Kind::of(refused.address), LinkLocal, "{host}");
        }
    }

    #[test]
    fn a_name_is_left_to_those_who_look_it_up() {
        let url: Url = "https://metadata.google.internal/".parse().unwrap();
        assert_eq!(Policy::PublicOnly.check_literal(&url), Ok(()));
    }

    #[test]
    fn a_refusal_says_what_the_address_is_and_which_rule_forbids_it() {
        let told = |policy: Policy, address: &str| policy.check(address.parse().unwrap()).unwrap_err().to_string();
        assert_eq!(
            told(Policy::AllowPrivate, "fe80::1"),
            "fe80::1 is a link-local address, where clouds keep their metadata, it is never called"
        );
        assert_eq!(
            told(Policy::PublicOnly, "10.1.2.3"),
            "10.1.2.3 is a private address, `allow_private = false` forbids it"
        );
    }

    /// All ways in which an IPv6 address can carry an IPv4 one; the random bits stand where a way leaves some free.
    fn carriers(inner: Ipv4Addr, random: u64) -> Vec<Ipv6Addr> {
        let (low, random) = (u128::from(inner.to_bits()), u128::from(random));
        let teredo = 0x2001_0000_u128 << 96 | random << 32 | low ^ 0xffff_ffff;
        let sixtofour = 0x2002_u128 << 112 | low << 80 | random;
        let bits = [low, 0xffff << 32 | low, 0xffff << 48 | low, 0x64_ff9b_u128 << 96 | low, sixtofour, teredo];
        bits.map(Ipv6Addr::from_bits).to_vec()
    }

    proptest! {
        /// `0.0.0.1` is left out: as a compatible address it is `::1`, which is loopback and nothing else.
        #[test]
        fn an_ipv4_address_has_the_same_verdict_whatever_carries_it(
            inner in prop_oneof![any::<u32>(), proptest::sample::select(VERDICTS).prop_map(|(text, ..)| {
                text.parse().map_or(0, Ipv4Addr::to_bits)
            })],
            random: u64,
        ) {
            prop_assume!(inner != 1);
            let inner = Ipv4Addr::from_bits(inner);
            for policy in [Policy::AllowPrivate, Policy::PublicOnly] {
                let verdict = policy.check(inner.into()).map_err(|refused| refused.kind);
                for carrier in carriers(inner, random) {
                    let carried = policy.check(carrier.into()).map_err(|refused| refused.kind);
                    prop_assert_eq!(carried, verdict, "{} in {}", inner, carrier);
                }
            }
        }
    }
}
