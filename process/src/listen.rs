//! Where processes listen, unless they are told otherwise: on this machine alone, without TLS.

use std::net::Ipv4Addr;

use dockbell_chassis::config::Reader;
use dockbell_chassis::listener::{Place, ServerTls};

use crate::command::chain;
use crate::files;

/// Reads where intake and API are.
pub fn listen(reader: &mut Reader) -> Place {
    let address = reader.address("listen", (Ipv4Addr::LOCALHOST, 8080).into());
    Place { address, tls: tls(reader, "tls") }
}

/// Reads where health and metrics are.
pub fn admin_listen(reader: &mut Reader) -> Place {
    let address = reader.address("admin_listen", (Ipv4Addr::LOCALHOST, 8081).into());
    Place { address, tls: tls(reader, "admin_tls") }
}

fn tls(reader: &mut Reader, section: &str) -> Option<ServerTls> {
    let certificate_key = format!("{section}.cert_file");
    let (certificate, key) = files::pair(reader, &certificate_key, &format!("{section}.key_file"))?;
    ServerTls::read(&certificate, &key).map_err(|error| reader.reject(&certificate_key, chain(&error))).ok()
}
