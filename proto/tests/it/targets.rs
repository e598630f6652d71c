//! What may be typed as the URL of a webhook, and which addresses may be dialled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use dockbell_proto::address::AddressPolicy;
use dockbell_proto::target::{TargetError, TargetUrl};
use proptest::prelude::*;

/// What is said of a URL when nothing is allowed besides the internet.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Verdict {
    /// It may be dialled, as far as its text tells.
    Dialled,
    /// It is no URL of a receiver.
    Invalid,
    /// Its literal is forbidden.
    Forbidden,
    /// Its host is of an inner network.
    Inner,
    /// Its port is one of other services.
    Port,
}

use Verdict::{Dialled, Forbidden, Inner, Invalid, Port};

/// Spellings that were meant to get around such checks elsewhere.
const URLS: [(&str, Verdict); 104] = [
    ("http://127.0.0.1/", Forbidden),
    ("http://127.1/", Forbidden),
    ("http://127.0.1/", Forbidden),
    ("http://2130706433/", Forbidden),
    ("http://0x7f000001/", Forbidden),
    ("http://0x7f.1/", Forbidden),
    ("http://0177.0.0.1/", Forbidden),
    ("http://0177.0.0.01/", Forbidden),
    ("http://00000177.0.0.1/", Forbidden),
    ("http://127.0.0.1.", Forbidden),
    ("http://0/", Forbidden),
    ("http://0.0.0.0/", Forbidden),
    ("http://%31%32%37.0.0.1/", Forbidden),
    ("http://127%2e0%2e0%2e1/", Forbidden),
    ("http://①②⑦.⓪.⓪.①/", Forbidden),
    ("http://127。0。0。1/", Forbidden),
    ("http://127.0.0.1:80/", Forbidden),
    ("https://127.0.0.1:443/", Forbidden),
    ("http:/127.0.0.1/", Forbidden),
    ("http:127.0.0.1/", Forbidden),
    ("HTTP://127.0.0.1/", Forbidden),
    ("http://[::1]/", Forbidden),
    ("http://[::]/", Forbidden),
    ("http://[0:0:0:0:0:0:0:1]/", Forbidden),
    ("http://[::ffff:127.0.0.1]/", Forbidden),
    ("http://[::ffff:7f00:1]/", Forbidden),
    ("http://[::ffff:0:127.0.0.1]/", Forbidden),
    ("http://[::127.0.0.1]/", Forbidden),
    ("http://[64:ff9b::7f00:1]/", Forbidden),
    ("http://[64:ff9b:1::7f00:1]/", Forbidden),
    ("http://[2002:7f00:1::]/", Forbidden),
    ("http://[2001:0:4136:e378:8000:63bf:80ff:fffe]/", Forbidden),
    ("http://[fd00:ec2::254]/", Forbidden),
    ("http://[fec0::1]/", Forbidden),
    ("http://[fe80::1]/", Forbidden),
    ("http://[100::1]/", Forbidden),
    ("http://[2001:db8::1]/", Forbidden),
    ("http://[0:0:0:0:0:ffff:0a00:0001]/", Forbidden),
    ("http://[ff02::1]/", Forbidden),
    ("http://169.254.169.254/latest/meta-data/", Forbidden),
    ("http://169.254.43518/", Forbidden),
    ("http://0xa9fea9fe/", Forbidden),
    ("http://0251.0376.0251.0376/", Forbidden),
    ("http://169.254.170.2/", Forbidden),
    ("http://168.63.129.16/", Forbidden),
    ("http://192.0.0.192/", Forbidden),
    ("http://100.100.100.200/", Forbidden),
    ("http://10.0.0.1/", Forbidden),
    ("http://172.16.0.1/", Forbidden),
    ("http://192.168.0.1/", Forbidden),
    ("http://198.18.0.1/", Forbidden),
    ("http://224.0.0.1/", Forbidden),
    ("http://240.0.0.1/", Forbidden),
    ("http://255.255.255.255/", Forbidden),
    ("http://localhost/", Forbidden),
    ("http://localhost./", Forbidden),
    ("http://LOCALHOST/", Forbidden),
    ("http://a.localhost/", Forbidden),
    ("http://ｌｏｃａｌｈｏｓｔ/", Forbidden),
    ("http://ⓛocalhost/", Forbidden),
    ("http://loc\u{ad}alhost/", Forbidden),
    ("http://metadata.google.internal/", Inner),
    ("http://metadata.google.internal./", Inner),
    ("http://kubernetes.default.svc/", Inner),
    ("http://kubernetes.default.svc.cluster.local/", Inner),
    ("http://kubernetes/", Inner),
    ("http://redis:8080/", Inner),
    ("http://vault.service.consul/", Inner),
    ("http://printer.home.arpa/", Inner),
    ("https://hooks.example.com:5672/", Port),
    ("http://hooks.example.com:22/", Port),
    ("http://hooks.example.com:6379/", Port),
    ("http://1.1.1.1:6379/", Forbidden),
    ("http://256.256.256.256/", Invalid),
    ("http://4294967296/", Invalid),
    ("http://[fe80::1%25eth0]/", Invalid),
    ("http://[fe80::1%eth0]/", Invalid),
    ("http://[v1.fe80::a+en1]/", Invalid),
    ("https://[::1", Invalid),
    ("http://user:pass@127.0.0.1/", Invalid),
    ("http://127.0.0.1@example.com/", Invalid),
    ("http://example.com:80@127.0.0.1/", Invalid),
    ("http://example.com\\@127.0.0.1/", Invalid),
    ("http://127.0.0.1\\@example.com/", Invalid),
    ("http://1.1.1.1 &@2.2.2.2# @3.3.3.3/", Invalid),
    ("http://example.com%00.127.0.0.1/", Invalid),
    ("http://example.com%0d%0aHost:x/", Invalid),
    ("http://exa\nmple.com/", Invalid),
    (" http://example.com/ ", Invalid),
    ("http://127.0.0.1:65536/", Invalid),
    ("http://example.com:+80/", Invalid),
    ("http://example.com:0/", Invalid),
    ("http://localhost..", Invalid),
    ("http://xn--example-.org/", Invalid),
    ("http://-a.example.com/", Invalid),
    ("http://example..com/", Invalid),
    ("gopher://127.0.0.1:6379/_FLUSHALL", Invalid),
    ("http+unix://%2Fvar%2Frun%2Fdocker.sock/info", Invalid),
    ("//127.0.0.1/", Invalid),
    // What the world can reach, and what only a look-up tells.
    ("http://0127.0.0.1/", Dialled),
    ("http://example.com:00080/", Dialled),
    ("http://127.0.0.1.nip.io/", Dialled),
    ("http://аррӏе.com/", Dialled),
    ("https://[2606:4700:4700::1111]/", Dialled),
];

#[test]
fn no_spelling_gets_around_the_rules() {
    for (url, expected) in URLS {
        let verdict = match TargetUrl::parse(url, &AddressPolicy::default()) {
            Ok(_) => Dialled,
            Err(TargetError::Invalid(_)) => Invalid,
            Err(TargetError::Forbidden { .. }) => Forbidden,
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
