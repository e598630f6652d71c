//! Whatever a webhook's URL, its name servers or its receiver say: nothing is dialled that must not be. The witness is
//! the system, which counts the first packet of each connection (SYN) in a network of the test's own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use dockbell_testkit::name_server::{NameServer, Reply};
use dockbell_testkit::rogue::{Rogue, Step};
use dockbell_testkit::spellings::{URLS, Verdict};

use super::harness::{House, Told};
use super::street::{Ended, attempt_each};

/// Set in the process that has a network of its own.
const INSIDE: &str = "DOCKBELL_TEST_NETWORK";
/// Every address there is leads back to this machine, where nobody listens unless the test does.
const NETWORK: &str = "ip link set lo up && ip route add local 0.0.0.0/0 dev lo && ip -6 route add local ::/0 dev lo \
     && for tables in iptables ip6tables; do $tables -A OUTPUT -p tcp --syn; done && exec \"$0\" \"$@\"";
/// A proxy that the environment names, and where the library of another client would go.
const PROXY: &str = "http://127.0.0.1:9";
/// As many URLs at once as `attempt_each` takes.
const AT_ONCE: usize = 200;

/// Runs the rest of a test, by its name, in a network of its own. Says whether this is the process that has it.
fn is_inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let may = Command::new("unshare").args(["--net", "true"]).output().is_ok_and(|tried| tried.status.success());
    if !may {
        eprintln!("not tested: this needs the right to make a network, as root has it");
        return false;
    }
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", NETWORK]).arg(program).args(["--exact", test, "--nocapture"]).env(INSIDE, "1");
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env(variable, PROXY).env(variable.to_lowercase(), PROXY);
    }
    let output = command.env_remove("NO_PROXY").env_remove("no_proxy").output().unwrap();
    let told = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
    false
}

/// How many connections were begun, except to where the test itself listens.
struct Witness {
    before: usize,
}

impl Witness {
    /// Takes note of all from now on, but those to these places.
    fn except(places: &[SocketAddr]) -> Self {
        for place in places {
            let (ip, port) = (place.ip().to_string(), place.port().to_string());
            run(tables(place.ip()), &["-I", "OUTPUT", "-p", "tcp", "-d", &ip, "--dport", &port, "-j", "ACCEPT"]);
        }
        let before = counted();
        let (four, six) = (Ipv4Addr::new(10, 9, 9, 9), "fd00::1".parse::<IpAddr>().unwrap());
        TcpStream::connect((four, 80)).unwrap_err();
        TcpStream::connect((six, 80)).unwrap_err();
        assert_eq!(counted() - before, 2, "it counts");
        Self { before: counted() }
    }

    fn dialled(&self) -> usize {
        counted() - self.before
    }
}

fn counted() -> usize {
    ["iptables", "ip6tables"].map(|tables| of_rule(&run(tables, &["-L", "OUTPUT", "-v", "-x", "-n"]))).iter().sum()
}

fn tables(ip: IpAddr) -> &'static str {
    if ip.is_ipv4() { "iptables" } else { "ip6tables" }
}

/// The packets of the rule that does nothing but count.
fn of_rule(listing: &str) -> usize {
    let line = listing.lines().rev().find(|line| line.contains("flags:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Only the healthy receiver and these places are allowed.
fn told(house: &House, servers: &NameServer, more: &[SocketAddr]) -> (Told, Vec<SocketAddr>) {
    let mut places = vec![house.receiver.addr()];
    places.extend(more);
    let allowed = places.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let told = Told {
        allowed: Box::leak(allowed.into_boxed_str()),
        name_servers: vec![servers.addr()],
        at_once: (256, 256),
        denied: "203.0.112.0/24",
        ..Told::default()
    };
    // Long answers are asked for over TCP.
    places.push(servers.addr());
    (told, places)
}

async fn attempt(house: &House, told: Told, urls: &[String]) -> Vec<Ended> {
    assert!(urls.len() <= AT_ONCE);
    attempt_each(house, told, urls).await
}

#[tokio::test]
async fn no_url_and_no_name_leads_to_where_nothing_may_be_dialled() {
    if !is_inside("outlawed::no_url_and_no_name_leads_to_where_nothing_may_be_dialled") {
        return;
    }
    let (house, servers) = (House::open().await, NameServer::start().await);
    let outlawed = URLS.iter().filter(|(_, verdict)| *verdict != Verdict::Dialled);
    let mut urls: Vec<String> = outlawed.map(|(url, _)| (*url).to_owned()).collect();
    for (number, addresses) in NAMES.iter().enumerate() {
        let name = format!("name{number}.test");
        servers.say(&name, Reply::Addresses(addresses.iter().map(|text| text.parse().unwrap()).collect()));
        urls.push(format!("http://{name}/"));
    }
    servers.say("alias.test", Reply::Alias("inner.corp.test"));
    servers.say("inner.corp.test", Reply::Addresses(vec!["10.0.0.1".parse().unwrap()]));
    servers.say("hint.test", Reply::Hint(Ipv4Addr::new(10, 0, 0, 1)));
    servers.say("denied.test", Reply::Addresses(vec!["1.1.1.1".parse().unwrap(), "203.0.112.9".parse().unwrap()]));
    servers.say("twin.test", Reply::Addresses(vec!["127.0.0.1".parse().unwrap()]));
    urls.extend(["http://hint.test/".to_owned(), "https://hint.test/".to_owned(), "http://denied.test/".to_owned()]);
    urls.extend(["http://alias.test/".to_owned(), "https://alias.test/".to_owned(), "http://twin.test./".to_owned()]);
    let (told, places) = told(&house, &servers, &[]);
    let witness = Witness::except(&places);
    for (ended, url) in attempt(&house, told, &urls).await.iter().zip(&urls) {
        // Some names of the table are none that the name server knows.
        let words = match url {
            // What is no address of the name is none.
            hinted if hinted.contains("hint.test") => vec!["unreachable"],
            named if named.contains(".test") => vec!["blocked"],
            _ => vec!["blocked", "unreachable"],
        };
        assert!(words.contains(&ended.outcome.as_str()), "{url}: {ended:?}");
        let shown = format!("{:?}", ended.outcome);
        assert!(!url.contains(".test") || !shown.contains("10.") && !shown.contains("127."), "{url}: {shown}");
    }
    assert_eq!(witness.dialled(), 0, "something was dialled");
}

/// What name servers say of a name, each of which is enough to refuse it.
const NAMES: [&[&str]; 24] = [
    &["127.0.0.1"],
    &["10.0.0.1"],
    &["169.254.169.254"],
    &["0.0.0.0"],
    &["168.63.129.16"],
    &["100.100.100.200"],
    &["192.168.1.1"],
    &["::1"],
    &["::"],
    &["fd00:ec2::254"],
    &["fe80::1"],
    &["::ffff:169.254.169.254"],
    &["::8.8.8.8"],
    &["64:ff9b::7f00:1"],
    &["64:ff9b:1::7f00:1"],
    &["2002:7f00:1::"],
    &["2001:0:4136:e378:8000:63bf:80ff:fffe"],
    &["fec0::1"],
    &["ff02::1"],
    &["1.1.1.1", "10.0.0.1"],
    &["10.0.0.1", "1.1.1.1"],
    &["1.1.1.1", "fd00::1"],
    &["2606:4700:4700::1111", "127.0.0.1"],
    &["2606:4700:4700::1111", "1.1.1.1", "::1"],
];

/// The world, too, is only dialled as the first look-up said, and at the port of the URL.
#[tokio::test]
async fn a_name_that_turns_is_dialled_where_it_led_when_it_was_judged() {
    if !is_inside("outlawed::a_name_that_turns_is_dialled_where_it_led_when_it_was_judged") {
        return;
    }
    let (house, servers) = (House::open().await, NameServer::start().await);
    let world: SocketAddr = "1.1.1.1:80".parse().unwrap();
    let replies = [world.ip(), "127.0.0.1".parse().unwrap()].map(|ip| Reply::Addresses(vec![ip]));
    servers.say_in_turn("turning.test", replies.into());
    let (told, mut places) = told(&house, &servers, &[]);
    places.push(world);
    let witness = Witness::except(&places);
    let ended = attempt(&house, told, &["http://turning.test/".to_owned()]).await;
    assert_eq!(ended[0].words(), ("unreachable", true), "nobody listens there: {ended:?}");
    let listing = run("iptables", &["-L", "OUTPUT", "-v", "-x", "-n"]);
    let dialled = listing.lines().find(|line| line.contains("1.1.1.1")).unwrap();
    assert_eq!(dialled.split_whitespace().next(), Some("1"), "{listing}");
    assert_eq!(witness.dialled(), 0);
}

#[tokio::test]
async fn no_answer_leads_elsewhere() {
    if !is_inside("outlawed::no_answer_leads_elsewhere") {
        return;
    }
    let (house, servers) = (House::open().await, NameServer::start().await);
    let inside = "http://169.254.169.254/latest/";
    let mut answers: Vec<String> =
        [301, 302, 303, 307, 308].map(|status| format!("{status} There\r\nlocation: {inside}")).into();
    for location in ["//127.0.0.1/", "\\\\127.0.0.1\\a", "gopher://127.0.0.1:6379/_FLUSHALL", "https://10.0.0.1/"] {
        answers.push(format!("302 There\r\nlocation: {location}"));
    }
    answers.push(format!("302 There\r\nlocation: http://10.0.0.1/{}", "x".repeat(10_000)));
    for header in [
        format!("refresh: 0; url={inside}"),
        "alt-svc: h2=\"10.0.0.1:443\"; ma=86400".to_owned(),
        format!("link: <{inside}>; rel=preload"),
        "www-authenticate: Negotiate".to_owned(),
        "proxy-authenticate: Basic realm=\"a\"".to_owned(),
    ] {
        answers.push(format!("401 No\r\n{header}"));
        answers.push(format!("407 No\r\n{header}"));
    }
    answers.push(format!("103 Early Hints\r\nlink: <{inside}>; rel=preload\r\n\r\nHTTP/1.1 500 No"));
    answers.push("101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket".to_owned());
    let rogues: Vec<Rogue> = answers
        .iter()
        .map(|answer| {
            Rogue::start(vec![Step::Read, Step::say(format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n"))])
        })
        .collect();
    let urls: Vec<String> = rogues.iter().map(|rogue| format!("http://{}/", rogue.addr())).collect();
    let (told, places) = told(&house, &servers, &rogues.iter().map(Rogue::addr).collect::<Vec<_>>());
    let witness = Witness::except(&places);
    for ((ended, answer), rogue) in attempt(&house, told, &urls).await.iter().zip(&answers).zip(&rogues) {
        let answer = answer.get(..40.min(answer.len())).unwrap();
        assert_eq!((ended.words(), rogue.connections()), (("refused", true), 1), "{answer}: {ended:?}");
        assert!(ended.took < Duration::from_secs(10), "{answer}: {ended:?}");
    }
    assert_eq!(witness.dialled(), 0, "something was followed");
}
