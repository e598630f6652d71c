//! The ports of a node.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the ports that the kernel gives to clients.
const FIRST_PORT: u32 = 11_000;
const PORT_BLOCKS: u32 = 300;
const PORTS_PER_BLOCK: u32 = 40;

/// Spaced, because epmd and the plugins take neighbours at times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) amqp: u16,
    pub(super) tls: u16,
    pub(super) management: u16,
    pub(super) distribution: u16,
    pub(super) epmd: u16,
}

impl Ports {
    /// A block of ports that nobody listens on. Processes begin at different blocks.
    pub(super) fn find() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        for _ in 0..PORT_BLOCKS {
            let block =
                std::process::id().wrapping_mul(7).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORT_BLOCKS;
            let first = u16::try_from(FIRST_PORT + block * PORTS_PER_BLOCK).expect("a port");
            let ports = Self {
                amqp: first,
                tls: first + 5,
                management: first + 10,
                distribution: first + 20,
                epmd: first + 30,
            };
            let all = [ports.amqp, ports.tls, ports.management, ports.distribution, ports.epmd];
            if all.iter().all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()) {
                return ports;
            }
        }
        panic!("no free ports");
    }

    pub(super) fn node_name(self) -> String {
        format!("dockbell{}@localhost", self.amqp)
    }
}
