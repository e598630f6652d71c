//! The check of a webhook's URL.

#![no_main]

use std::net::{IpAddr, SocketAddr};

use dockbell_proto::address::AddressPolicy;
use dockbell_proto::target::TargetUrl;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let policy = AddressPolicy::default();
    let Ok(url) = TargetUrl::parse(input, &policy) else { return };
    let text = url.expose().as_str();
    let again = TargetUrl::parse(text, &policy).expect("what was permitted is permitted as it was understood");
    assert_eq!((again.expose(), again.host()), (url.expose(), url.host()));
    // What is shown names the host, and the literal of a permitted URL may be dialled.
    assert!(url.to_string().contains(url.host()));
    let host = url.host().trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = host.parse::<IpAddr>() {
        let port = url.expose().port_or_known_default().expect("a port");
        assert_eq!(policy.check(SocketAddr::new(ip, port)), Ok(()));
    }
});
