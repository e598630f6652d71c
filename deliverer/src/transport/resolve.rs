//! Names to addresses, each of which the policy has permitted.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use dockbell_proto::address::{AddressPolicy, Forbidden};
use dockbell_proto::target::is_localhost;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::names::{LookUpError, Names};
use super::routes::has_route;

/// How long a look-up may take.
const BUDGET: Duration = Duration::from_secs(3);
/// How many addresses of one name are dialled at most.
const ADDRESSES_LIMIT: usize = 16;

/// A name leads to an address that the policy forbids.
#[derive(Debug, thiserror::Error)]
#[error("the name leads to a forbidden address")]
pub(super) struct ForbiddenName(#[source] Forbidden);

/// Resolves names for connections to one port, or to any port that no exception is limited to.
///
/// Nothing bounds how many look-ups are under way but the number of attempts: one that its name servers leave unanswered
/// must not stand before those of others.
#[derive(Debug, Clone)]
pub(super) struct VettingResolver {
    names: Arc<Names>,
    policy: Arc<AddressPolicy>,
    port: Option<u16>,
    budget: Duration,
}

impl VettingResolver {
    /// `connect` is the time of a whole connection. A look-up gets a part of it, so that name servers that are away are
    /// not taken for a receiver that is away.
    pub(super) fn new(names: Arc<Names>, policy: Arc<AddressPolicy>, port: Option<u16>, connect: Duration) -> Self {
        Self { names, policy, port, budget: BUDGET.min(connect * 3 / 5) }
    }

    async fn look_up(self, name: String) -> Result<Addrs, Box<dyn Error + Send + Sync>> {
        let dialled = self.vetted(self.addresses(&name).await?, has_route)?;
        // Port 0 makes the client use the port of the URL.
        Ok(Box::new(dialled.into_iter().map(|address| SocketAddr::new(address, 0))))
    }

    async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, LookUpError> {
        if is_localhost(name) {
            return Ok(vec![Ipv4Addr::LOCALHOST.into()]);
        }
        self.names.look_up(name, self.budget).await
    }

    /// What of it is dialled. One forbidden address refuses the whole name, or a name could hide it behind a permitted
    /// one.
    fn vetted(
        &self,
        found: Vec<IpAddr>,
        has_route: impl Fn(IpAddr) -> bool,
    ) -> Result<Vec<IpAddr>, Box<dyn Error + Send + Sync>> {
        for address in &found {
            self.policy.check(SocketAddr::new(*address, self.port.unwrap_or(0))).map_err(ForbiddenName)?;
        }
        let routable = found.into_iter().filter(|address| has_route(*address));
        let dialled: Vec<IpAddr> = routable.take(ADDRESSES_LIMIT).collect();
        if dialled.is_empty() { Err(LookUpError::NoRoute.into()) } else { Ok(dialled) }
    }
}

impl Resolve for VettingResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(self.clone().look_up(name.as_str().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vetted(found: &[&str], has_route: impl Fn(IpAddr) -> bool) -> Result<usize, String> {
        let (names, policy) = (Arc::new(Names::new(Vec::new())), Arc::default());
        let resolver = VettingResolver::new(names, policy, None, BUDGET);
        let found = found.iter().map(|text| text.parse().unwrap()).collect();
        resolver.vetted(found, has_route).map(|dialled| dialled.len()).map_err(|error| error.to_string())
    }

    #[test]
    fn one_forbidden_address_refuses_the_name_wherever_it_stands() {
        let mut found = vec!["1.1.1.1"; 500];
        assert_eq!(vetted(&found, |_| true), Ok(ADDRESSES_LIMIT));
        for forbidden in ["10.0.0.1", "::ffff:127.0.0.1", "fd00:ec2::254"] {
            found.push(forbidden);
            assert_eq!(vetted(&found, |_| true), Err("the name leads to a forbidden address".to_owned()));
            assert!(vetted(&found, |address| address.is_ipv4()).is_err(), "what cannot be dialled counts too");
            found.pop();
        }
    }

    #[test]
    fn at_a_port_of_other_services_only_what_is_allowed_is_dialled() {
        let policy = Arc::new(AddressPolicy::new(vec!["10.0.0.0/8".parse().unwrap()]));
        let resolver = VettingResolver::new(Arc::new(Names::new(Vec::new())), policy, Some(1), BUDGET);
        let dialled = |found: &[&str]| {
            resolver.vetted(found.iter().map(|text| text.parse().unwrap()).collect(), |_| true).is_ok()
        };
        assert!(dialled(&["10.0.0.1"]));
        assert!(!dialled(&["1.1.1.1"]) && !dialled(&["10.0.0.1", "1.1.1.1"]));
    }

    #[test]
    fn addresses_without_a_route_are_left_out_and_none_at_all_is_our_fault() {
        assert_eq!(vetted(&["1.1.1.1", "2606:4700::1"], |address| address.is_ipv4()), Ok(1));
        assert_eq!(vetted(&["1.1.1.1"], |_| false), Err(LookUpError::NoRoute.to_string()));
        assert!(LookUpError::NoRoute.is_ours());
        assert!(has_route(Ipv4Addr::LOCALHOST.into()));
    }

    #[test]
    fn a_look_up_leaves_a_connection_time_to_be_made() {
        let budget = |connect| VettingResolver::new(Arc::new(Names::new(vec![])), Arc::default(), None, connect).budget;
        assert_eq!(budget(Duration::from_secs(30)), BUDGET);
        assert!(budget(Duration::from_secs(1)) < Duration::from_secs(1));
    }
}
