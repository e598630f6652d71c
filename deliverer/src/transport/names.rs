//! Look-ups of names, and whose fault it is if one fails.
//!
//! The system's own call, `getaddrinfo`, cannot be called off and holds a thread for as long as its name servers take, so
//! they are asked here (`docs/decisions/0013-names-are-looked-up-by-hickory.md`).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use tokio::time::{Instant, timeout};

/// Where the system says which name servers there are.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Where name servers listen unless told otherwise.
pub(crate) const PORT: u16 = 53;
/// How long what the files of the system said is held true.
const HELD_TRUE: Duration = Duration::from_secs(30);
/// How long one round of questions takes before the next one, which asks further servers.
const ROUND: Duration = Duration::from_secs(1);
/// How many rounds follow the first.
const FURTHER_ROUNDS: usize = 2;

/// Leads names to addresses: by the hosts file of this machine, or else by name servers.
#[derive(Debug)]
pub struct Names {
    servers: Vec<SocketAddr>,
    sources: Mutex<Option<Sources>>,
}

/// Who knows addresses.
#[derive(Debug, Clone)]
struct Sources {
    read_at: Instant,
    hosts: Arc<Hosts>,
    resolver: TokioResolver,
}

/// A name that leads nowhere.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookUpError {
    /// There is no such name, or it has no address: the receiver's fault.
    #[error("the name of the host does not exist, or has no address")]
    NoSuchName,
    /// The name servers did not say: our own fault, as far as can be told from here.
    #[error("the name of the host could not be looked up: the name servers gave no answer")]
    NoAnswer(#[source] NetError),
    /// The same, before they gave up.
    #[error("the name of the host was not looked up in time")]
    TimedOut,
    /// Every address is of a network that this machine has no route to: our own fault.
    #[error("this machine has no route to any address of the host")]
    NoRoute,
}

impl LookUpError {
    /// Whether it says something about us and nothing about the receiver.
    ///
    /// Name servers also say SERVFAIL, which counts as no answer, when the zone of the name is broken. The receiver then
    /// gets the benefit of the doubt: its deliveries end all the same, by their schedule.
    pub(super) fn is_ours(&self) -> bool {
        match self {
            Self::NoSuchName => false,
            Self::NoAnswer(_) | Self::TimedOut | Self::NoRoute => true,
        }
    }
}

impl From<NetError> for LookUpError {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Dns(DnsError::NoRecordsFound(_)) => Self::NoSuchName,
            NetError::Timeout => Self::TimedOut,
            error => Self::NoAnswer(error),
        }
    }
}

impl Names {
    /// Names that these servers know, or those of the system if there are none.
    pub fn new(servers: Vec<SocketAddr>) -> Self {
        Self { servers, sources: Mutex::default() }
    }

    /// All addresses of a name, at least one, within `budget`. The name is taken as it is: search domains would lead
    /// `kubernetes` to wherever this machine stands.
    ///
    /// Dropping the future ends the look-up.
    pub(super) async fn look_up(&self, name: &str, budget: Duration) -> Result<Vec<IpAddr>, LookUpError> {
        let mut name = Name::from_ascii(name).map_err(|_| LookUpError::NoSuchName)?;
        name.set_fqdn(true);
        let sources = self.sources()?;
        let known = known(&sources.hosts, &name);
        if !known.is_empty() {
            return Ok(known);
        }
        let ask = |kind| ask(&sources.resolver, name.clone(), kind, budget);
        let (six, four) = tokio::join!(ask(RecordType::AAAA), ask(RecordType::A));
        both(six, four)
    }

    /// What the system says changes while a process runs, with the network that a machine is in.
    fn sources(&self) -> Result<Sources, LookUpError> {
        let mut held = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held {
            Some(sources) if sources.read_at.elapsed() < HELD_TRUE => Ok(sources.clone()),
            _ => Ok(held.insert(self.read()?).clone()),
        }
    }

    fn read(&self) -> Result<Sources, LookUpError> {
        let hosts = Arc::new(Hosts::from_system().unwrap_or_default());
        let of_system = || named_in(&std::fs::read(RESOLV_CONF).unwrap_or_default());
        let servers = if self.servers.is_empty() { of_system() } else { self.servers.clone() };
        Ok(Sources { read_at: Instant::now(), hosts, resolver: resolver(&servers)? })
    }
}

/// The name servers that a `resolv.conf` names; one on this machine, if it names none (resolv.conf(5)). Of the rest of
/// it nothing is needed, so that what is wrong there is passed over.
fn named_in(resolv_conf: &[u8]) -> Vec<SocketAddr> {
    let (config, _) = resolv_conf::Config::parse_with_errors(resolv_conf);
    let servers: Vec<IpAddr> = config.nameservers.into_iter().map(IpAddr::from).collect();
    let servers = if servers.is_empty() { vec![Ipv4Addr::LOCALHOST.into()] } else { servers };
    servers.into_iter().map(|ip| SocketAddr::new(ip, PORT)).collect()
}

fn resolver(servers: &[SocketAddr]) -> Result<TokioResolver, NetError> {
    let config = ResolverConfig::from_name_servers(servers.iter().map(server).collect());
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    // Name servers remember answers, and connections are kept; what is remembered here would only go stale.
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.timeout = ROUND;
    options.attempts = FURTHER_ROUNDS;
    builder.build()
}

fn server(address: &SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

/// The addresses of the hosts file, of both kinds: name servers are asked for neither if it knows one.
fn known(hosts: &Hosts, name: &Name) -> Vec<IpAddr> {
    let of_kind = |kind| hosts.lookup_static_host(&Query::query(name.clone(), kind));
    let found = [RecordType::AAAA, RecordType::A].into_iter().filter_map(of_kind);
    found
        .flat_map(|lookup| lookup.answers().iter().filter_map(|record| record.data.ip_addr()).collect::<Vec<_>>())
        .collect()
}

async fn ask(
    resolver: &TokioResolver,
    name: Name,
    kind: RecordType,
    budget: Duration,
) -> Result<Vec<IpAddr>, LookUpError> {
    let answer = timeout(budget, resolver.lookup(name, kind)).await.map_err(|_| LookUpError::TimedOut)??;
    let found: Vec<IpAddr> = answer.answers().iter().filter_map(|record| record.data.ip_addr()).collect();
    if found.is_empty() { Err(LookUpError::NoSuchName) } else { Ok(found) }
}

/// Addresses of one kind are enough. A name that exists for nobody who answered may exist for him who did not.
fn both(
    six: Result<Vec<IpAddr>, LookUpError>,
    four: Result<Vec<IpAddr>, LookUpError>,
) -> Result<Vec<IpAddr>, LookUpError> {
    match (six, four) {
        (Ok(six), Ok(four)) => Ok([six, four].concat()),
        (Ok(found), Err(_)) | (Err(_), Ok(found)) => Ok(found),
        (Err(LookUpError::NoSuchName), Err(error)) | (Err(error), Err(_)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::lookup::Lookup;
    use hickory_resolver::proto::rr::RData;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_kind_of_address_is_enough_and_doubts_are_in_favour_of_the_receiver() {
        let found = || Ok(vec![ip("192.0.2.1")]);
        assert_eq!(both(found(), Ok(vec![ip("2001:db8::1")])).unwrap().len(), 2);
        assert_eq!(both(found(), Err(LookUpError::TimedOut)).unwrap().len(), 1);
        assert_eq!(both(Err(LookUpError::NoSuchName), found()).unwrap().len(), 1);
        let unanswered = || Err(LookUpError::NoAnswer(NetError::NoConnections));
        assert!(both(Err(LookUpError::NoSuchName), unanswered()).unwrap_err().is_ours());
        assert!(both(unanswered(), Err(LookUpError::NoSuchName)).unwrap_err().is_ours());
        assert!(!both(Err(LookUpError::NoSuchName), Err(LookUpError::NoSuchName)).unwrap_err().is_ours());
    }

    #[test]
    fn the_name_servers_of_the_system_are_those_that_its_file_names() {
        let file = b"# made by hand\nsearch team.test ..\nnameserver 10.0.0.53\noptions ndots:5 unheard-of\nnameserver fd00::53\n";
        assert_eq!(named_in(file), ["10.0.0.53:53".parse().unwrap(), "[fd00::53]:53".parse().unwrap()]);
        assert_eq!(named_in(b""), ["127.0.0.1:53".parse().unwrap()]);
    }

    #[test]
    fn what_the_hosts_file_knows_is_asked_of_nobody() {
        let name = Name::from_ascii("registry.test.").unwrap();
        let query = Query::query(name.clone(), RecordType::A);
        let mut hosts = Hosts::default();
        hosts.insert(
            name.clone(),
            RecordType::A,
            Lookup::from_rdata(query, RData::A(Ipv4Addr::new(192, 0, 2, 1).into())),
        );
        assert_eq!(known(&hosts, &name), [ip("192.0.2.1")]);
        assert_eq!(known(&hosts, &Name::from_ascii("other.test.").unwrap()), [] as [IpAddr; 0]);
    }
}
