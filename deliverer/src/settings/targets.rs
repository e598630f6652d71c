//! Which addresses may be reached.

use std::net::IpAddr;
use std::sync::Arc;

use dockbell_chassis::config::Reader;
use dockbell_proto::address::{AddressPolicy, AllowedTarget};
use ipnet::IpNet;

use crate::transport::proxy::Proxy;

/// Reads the address policy. What is wrong is noted in `reader`.
pub(super) fn read(reader: &mut Reader) -> AddressPolicy {
    let expected = "networks with optional ports, such as 10.1.0.0/16 or 127.0.0.1:9000";
    let allowed = reader.get_list("targets.allow", expected, |text| text.parse::<AllowedTarget>().ok());
    let network = |text: &str| text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    let denied = reader.get_list("targets.deny", "networks, such as 203.0.113.0/24 or 203.0.113.7", network);
    AddressPolicy::new(allowed.unwrap_or_default())
        .denying(denied.unwrap_or_default())
        .owning(own_addresses())
        .with_nat64(reader.flag("targets.nat64", false))
}

/// Reads through whom receivers are reached. What is wrong is noted in `reader`, without what was set: it may hold a password.
pub(super) fn read_proxy(reader: &mut Reader) -> Option<Arc<Proxy>> {
    let proxy = Proxy::parse(&reader.text("targets.proxy")?);
    proxy.map_err(|error| reader.reject("targets.proxy", error.to_string())).map(Arc::new).ok()
}

/// The addresses of this machine, as they are now; none, if the system does not tell.
fn own_addresses() -> Vec<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    interfaces.iter().map(if_addrs::Interface::ip).collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn the_machine_knows_its_own_addresses() {
        assert!(own_addresses().contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }
}
