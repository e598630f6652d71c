//! What may be typed as the URL of a webhook, and which addresses may be dialled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use dockbell_proto::address::AddressPolicy;
use dockbell_proto::target::{TargetError, TargetUrl};
use dockbell_testkit::spellings::URLS;
use dockbell_testkit::spellings::Verdict::{Dialled, Forbidden, Inner, Invalid, Port};
use proptest::prelude::*;

#[test]
fn no_spelling_gets_around_the_rules() {
    for (url, expected) in URLS.iter().copied() {
        let verdict = match TargetUrl::parse(url, &AddressPolicy::default()) {
            Ok(_) => Dialled,
            Err(TargetError::Invalid(_)) => Invalid,
            Err(TargetError::Forbidden { .. } | TargetError::Denied { .. }) => Forbidden,
            Err(TargetError::Inner { .. }) => Inner,
            Err(TargetError::Port { .. }) => Port,
        };
        assert_eq!(verdict, expected, "{url}");
    }
}

/// Receivers of a company have such names; what they lead to is judged when they are dialled.
#[test]
fn where_an_inner_network_is_allowed_its_names_and_ports_may_be_typed() {
    let policy = AddressPolicy::new(vec!["10.1.0.0/16".parse().unwrap()]);
    for url in ["http://jenkins.corp.internal:5672/", "http://receiver:8080/"] {
        assert!(TargetUrl::parse(url, &policy).is_ok(), "{url}");
    }
    let one_port = AddressPolicy::new(vec!["10.1.0.0/16:8080".parse().unwrap()]);
    let error = TargetUrl::parse("http://jenkins.corp.internal:5672/", &one_port).unwrap_err();
    assert!(
        error.to_string().contains("targets.allow") && matches!(error, TargetError::Port { port: 5672 }),
        "{error}"
    );
}

#[test]
fn what_the_operator_denies_is_told_by_the_setting_that_denies_it() {
    let policy = AddressPolicy::new(vec!["10.0.0.0/8".parse().unwrap()]).denying(vec!["10.1.0.0/16".parse().unwrap()]);
    assert!(TargetUrl::parse("http://10.2.0.1/", &policy).is_ok());
    let error = TargetUrl::parse("http://10.1.0.1/", &policy).unwrap_err().to_string();
    assert!(error.contains("targets.deny") && !error.contains("targets.allow"), "{error}");
}

/// The registries of IANA, written down once more: the first and the last address of every network that is not globally
/// reachable, and the addresses of clouds that lie elsewhere.
const NOT_GLOBAL: [(&str, &str); 19] = [
    ("0.0.0.0", "0.255.255.255"),
    ("10.0.0.0", "10.255.255.255"),
    ("100.64.0.0", "100.127.255.255"),
    ("127.0.0.0", "127.255.255.255"),
    ("168.63.129.16", "168.63.129.16"),
    ("169.254.0.0", "169.254.255.255"),
    ("172.16.0.0", "172.31.255.255"),
    ("192.0.0.0", "192.0.0.255"),
    ("192.0.2.0", "192.0.2.255"),
    ("192.31.196.0", "192.31.196.255"),
    ("192.52.193.0", "192.52.193.255"),
    ("192.88.99.0", "192.88.99.255"),
    ("192.168.0.0", "192.168.255.255"),
    ("192.175.48.0", "192.175.48.255"),
    ("198.18.0.0", "198.19.255.255"),
    ("198.51.100.0", "198.51.100.255"),
    ("203.0.113.0", "203.0.113.255"),
    ("224.0.0.0", "239.255.255.255"),
    ("240.0.0.0", "255.255.255.255"),
];

fn is_global(ip: Ipv4Addr) -> bool {
    let parsed = |text: &str| text.parse::<Ipv4Addr>().unwrap();
    !NOT_GLOBAL.iter().any(|(first, last)| (parsed(first)..=parsed(last)).contains(&ip))
}

fn may(ip: impl Into<IpAddr>) -> bool {
    AddressPolicy::default().check(SocketAddr::new(ip.into(), 443)).is_ok()
}

/// Every way in which an IPv6 address holds an IPv4 address: mapped, compatible, translated (SIIT), NAT64 by its two
/// prefixes, and 6to4.
fn embedded(ip: Ipv4Addr) -> [Ipv6Addr; 6] {
    let bits = u128::from(u32::from(ip));
    [
        Ipv6Addr::from_bits(0xffff_0000_0000 | bits),
        Ipv6Addr::from_bits(bits),
        Ipv6Addr::from_bits(0xffff_0000_0000_0000 | bits),
        Ipv6Addr::from_bits((0x0064_ff9b_u128 << 96) | bits),
        Ipv6Addr::from_bits((0x0064_ff9b_0001_u128 << 80) | bits),
        Ipv6Addr::from_bits((0x2002_u128 << 112) | (bits << 80)),
    ]
}

/// A million of them, by a sequence that repeats none, and the borders of every network.
#[test]
fn the_policy_and_the_registries_agree_on_a_million_addresses() {
    let borders = NOT_GLOBAL.iter().flat_map(|(first, last)| [first, last]).flat_map(|text| {
        let ip = u32::from(text.parse::<Ipv4Addr>().unwrap());
        [ip.wrapping_sub(1), ip, ip.wrapping_add(1)]
    });
    let spread = (0..1_000_000_u32).map(|number| number.wrapping_mul(2_654_435_761));
    for ip in borders.chain(spread).map(Ipv4Addr::from) {
        assert_eq!(may(ip), is_global(ip), "{ip}");
        if !is_global(ip) {
            assert!(embedded(ip).iter().all(|embedded| !may(*embedded)), "{:?}", embedded(ip));
        }
    }
}

proptest! {
    /// Outside of 2000::/3 nothing of IPv6 is global but what is an IPv4 address that is.
    #[test]
    fn nothing_is_global_that_iana_has_not_given_out(bits in any::<u128>()) {
        let ip = Ipv6Addr::from_bits(bits);
        let is_given_out = bits >> 125 == 1 || ip.to_ipv4_mapped().is_some_and(is_global);
        prop_assert!(!may(ip) || is_given_out, "{}", ip);
    }

    #[test]
    fn no_text_brings_the_check_down(text in ".{0,60}", host in "[0-9a-fx.:%\\[\\]]{0,30}") {
        for url in [text.clone(), format!("http://{text}/"), format!("https://{host}/")] {
            TargetUrl::parse(&url, &AddressPolicy::default()).ok();
        }
    }
}
