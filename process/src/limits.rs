//! How much callers may ask and set, as it is configured.

use std::num::NonZeroU32;

use dockbell_chassis::config::Reader;
use dockbell_chassis::limits::Rates;
use ipnet::IpNet;

/// Requests per second to the API, of one caller: people and their scripts.
const API: u32 = 100;
/// Requests per second to the intake: a registry reports each push by itself.
const INTAKE: u32 = 1000;

/// Webhooks on one and the same pattern.
const WEBHOOKS: usize = 100;

/// What is limited of intake and API, which share their settings, whichever of them a process serves.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How often the API may be asked.
    pub api: Rates,
    /// How often the intake may be asked.
    pub intake: Rates,
    /// The most webhooks on one and the same pattern.
    pub webhooks: usize,
}

impl Limits {
    /// Reads the rates. What is wrong is noted in `reader`.
    pub fn read(reader: &mut Reader) -> Self {
        let networks = "networks, such as 10.0.0.0/8 or 192.0.2.7/32";
        let proxies = reader.get_list("limits.proxies", networks, |text| text.parse::<IpNet>().ok());
        let proxies = proxies.unwrap_or_default();
        let mut rates = |listener: &str, default: u32| {
            let mut rate = |of: &str| reader.count(&format!("limits.{listener}_per_{of}"), default, 0..=1_000_000);
            let (per_address, per_token) = (NonZeroU32::new(rate("address")), NonZeroU32::new(rate("token")));
            Rates { per_address, per_token, proxies: proxies.clone() }
        };
        let (api, intake) = (rates("api", API), rates("intake", INTAKE));
        Self { api, intake, webhooks: reader.count("limits.webhooks", WEBHOOKS, 1..=1000) }
    }
}
