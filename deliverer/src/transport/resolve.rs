//! Names to addresses, each of which the policy has permitted.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use dockbell_proto::address::{AddressPolicy, Forbidden};
use dockbell_proto::target::is_localhost;

use super::dial::BoxError;
use super::names::{LookUpError, Names};
use super::routes::has_route;

/// How long a look-up may take.
const BUDGET: Duration = Duration::from_secs(3);
/// How many addresses of one name are dialled at most.
const ADDRESSES_LIMIT: usize = 16;

/// A host leads to an address that the policy forbids.
#[derive(Debug, thiserror::Error)]
#[error("the host leads to a forbidden address")]
pub(super) struct ForbiddenHost(#[source] Forbidden);

/// Leads hosts to addresses that may be dialled.
///
/// Nothing bounds how many look-ups are under way but the number of attempts: one that its name servers leave unanswered
/// must not stand before those of others.
#[derive(Debug, Clone)]
pub(super) struct VettingResolver {
    names: Arc<Names>,
    policy: Arc<AddressPolicy>,
    budget: Duration,
}

impl VettingResolver {
    /// `connect` is the time of a whole connection. A look-up gets a part of it, so that name servers that are away are
    /// not taken for a receiver that is away.
    pub(super) fn new(names: Arc<Names>, policy: Arc<AddressPolicy>, connect: Duration) -> Self {
        Self { names, policy, budget: BUDGET.min(connect * 3 / 5) }
    }

    /// The addresses of a host, a literal among them, at least one, all of which may be dialled at this port.
    pub(super) async fn vetted(&self, host: &str, port: u16) -> Result<Vec<IpAddr>, BoxError> {
        self.vetted_with(host, port, has_route).await
    }

    /// The same, to be dialled by somebody who has routes of his own.
    pub(super) async fn vetted_for_others(&self, host: &str, port: u16) -> Result<Vec<IpAddr>, BoxError> {
        self.vetted_with(host, port, |_| true).await
    }

    async fn vetted_with(
        &self,
        host: &str,
        port: u16,
        has_route: impl Fn(IpAddr) -> bool,
    ) -> Result<Vec<IpAddr>, BoxError> {
        if let Ok(literal) = host.parse() {
            self.check(literal, port)?;
            return Ok(vec![literal]);
        }
        self.chosen(self.addresses(host).await?, port, has_route)
    }

    /// Where other names are looked up, and within which time.
    pub(super) fn names_within(&self) -> (&Names, Duration) {
        (&self.names, self.budget)
    }

    async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, LookUpError> {
        if is_localhost(name) {
            return Ok(vec![Ipv4Addr::LOCALHOST.into()]);
        }
        self.names.look_up(name, self.budget).await
    }

    /// What of it is dialled. One forbidden address refuses the whole name, or a name could hide it behind a permitted
    /// one.
    fn chosen(
        &self,
        found: Vec<IpAddr>,
        port: u16,
        has_route: impl Fn(IpAddr) -> bool,
    ) -> Result<Vec<IpAddr>, BoxError> {
        found.iter().try_for_each(|address| self.check(*address, port))?;
        let routable = found.into_iter().filter(|address| has_route(*address));
        let dialled: Vec<IpAddr> = routable.take(ADDRESSES_LIMIT).collect();
        if dialled.is_empty() { Err(LookUpError::NoRoute.into()) } else { Ok(dialled) }
    }

    fn check(&self, address: IpAddr, port: u16) -> Result<(), ForbiddenHost> {
        self.policy.check(SocketAddr::new(address, port)).map_err(ForbiddenHost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolver(allowed: &[&str]) -> VettingResolver {
        let policy = AddressPolicy::new(allowed.iter().map(|text| text.parse().unwrap()).collect());
        VettingResolver::new(Arc::new(Names::new(Vec::new())), Arc::new(policy), BUDGET)
    }

    fn chosen(found: &[&str], has_route: impl Fn(IpAddr) -> bool) -> Result<usize, String> {
        let found = found.iter().map(|text| text.parse().unwrap()).collect();
        resolver(&[]).chosen(found, 443, has_route).map(|dialled| dialled.len()).map_err(|error| error.to_string())
    }

    #[test]
    fn one_forbidden_address_refuses_the_name_wherever_it_stands() {
        let mut found = vec!["1.1.1.1"; 500];
        assert_eq!(chosen(&found, |_| true), Ok(ADDRESSES_LIMIT));
        for forbidden in ["10.0.0.1", "::ffff:127.0.0.1", "fd00:ec2::254"] {
            found.push(forbidden);
            assert_eq!(chosen(&found, |_| true), Err("the host leads to a forbidden address".to_owned()));
            assert!(chosen(&found, |address| address.is_ipv4()).is_err(), "what cannot be dialled counts too");
            found.pop();
        }
    }

    #[test]
    fn at_a_port_of_other_services_only_what_is_allowed_is_dialled() {
        let resolver = resolver(&["10.0.0.0/8"]);
        let dialled = |found: &[&str]| {
            resolver.chosen(found.iter().map(|text| text.parse().unwrap()).collect(), 6379, |_| true).is_ok()
        };
        assert!(dialled(&["10.0.0.1"]));
        assert!(!dialled(&["1.1.1.1"]) && !dialled(&["10.0.0.1", "1.1.1.1"]));
    }

    #[tokio::test]
    async fn literals_are_judged_where_they_are_dialled_too() {
        let resolver = resolver(&["127.0.0.1:9000"]);
        assert_eq!(resolver.vetted("127.0.0.1", 9000).await.unwrap(), [IpAddr::from(Ipv4Addr::LOCALHOST)]);
        for (host, port) in [("127.0.0.1", 9001), ("127.0.0.2", 9000), ("::1", 9000), ("1.1.1.1", 22)] {
            let refused = resolver.vetted(host, port).await.unwrap_err();
            assert!(refused.is::<ForbiddenHost>(), "{host} {port}: {refused}");
        }
    }

    #[test]
    fn addresses_without_a_route_are_left_out_and_none_at_all_is_our_fault() {
        assert_eq!(chosen(&["1.1.1.1", "2606:4700::1"], |address| address.is_ipv4()), Ok(1));
        assert_eq!(chosen(&["1.1.1.1"], |_| false), Err(LookUpError::NoRoute.to_string()));
        assert!(LookUpError::NoRoute.is_ours());
        assert!(has_route(Ipv4Addr::LOCALHOST.into()));
    }

    #[test]
    fn a_look_up_leaves_a_connection_time_to_be_made() {
        let budget = |connect| VettingResolver::new(Arc::new(Names::new(vec![])), Arc::default(), connect).budget;
        assert_eq!(budget(Duration::from_secs(30)), BUDGET);
        assert!(budget(Duration::from_secs(1)) < Duration::from_secs(1));
    }
}
