//! The settings of the whole process, from flags, environment and file.

use std::path::PathBuf;

use dockbell_chassis::config::Reader;
use dockbell_chassis::listener::Place;
use dockbell_chassis::telemetry::TelemetryConfig;
use dockbell_process::files::content;
use dockbell_process::keys::key_file;
use dockbell_process::limits::Limits;
use dockbell_process::listen::{admin_listen, listen};
use dockbell_process::servers::Servers;
use dockbell_proto::secret::Secret;
use dockbell_proto::token::TokenHash;

/// The data folder.
const DATA: &str = "./dockbell-data";

/// Everything that can be set.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) listen: Place,
    pub(crate) admin_listen: Place,
    pub(crate) data: PathBuf,
    pub(crate) admin_token: Option<AdminToken>,
    /// What the command line presents in place of the operator's token.
    pub(crate) api_token: Option<Secret>,
    pub(crate) api_url: Option<String>,
    /// Who may vouch for the API, besides those whom the system trusts.
    pub(crate) api_roots: Option<Vec<u8>>,
    pub(crate) telemetry: TelemetryConfig,
    /// None where the data folder holds everything.
    pub(crate) servers: Option<Servers>,
    /// The file of the keys that seal secrets; if none, one in the data folder; on servers, nothing is sealed.
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) limits: Limits,
    pub(crate) queue_bytes: u64,
    pub(crate) producer: dockbell_producer::settings::Settings,
    pub(crate) deliverer: dockbell_deliverer::settings::Settings,
}

/// What is set as the operator's token: the token itself, or its hash.
#[derive(Debug, Clone)]
pub(crate) struct AdminToken {
    token: Option<Secret>,
    hash: TokenHash,
}

impl AdminToken {
    /// Reads it, if it is set. What is wrong is noted in `reader`.
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let set = reader.text("admin_token").map(Secret::new)?;
        match TokenHash::of_setting(&set) {
            Ok(hash) => Some(Self { token: (!TokenHash::is_written(&set)).then_some(set), hash }),
            Err(error) => {
                reader.reject("admin_token", error.to_string());
                None
            }
        }
    }

    /// The token; none where only its hash is set.
    pub(crate) fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    /// Its hash.
    pub(crate) fn hash(&self) -> &TokenHash {
        &self.hash
    }
}

impl Settings {
    /// Reads everything. What is wrong is noted in `reader`.
    pub(crate) fn read(reader: &mut Reader) -> Self {
        let servers = Servers::read(reader);
        Self {
            listen: listen(reader),
            admin_listen: admin_listen(reader),
            data: reader.text("data").unwrap_or_else(|| DATA.to_owned()).into(),
            admin_token: AdminToken::read(reader),
            api_token: reader.text("api_token").map(Secret::new),
            api_url: reader.text("api_url"),
            api_roots: content(reader, "api_ca_file"),
            telemetry: TelemetryConfig::read(reader, "dockbell"),
            key_file: key_file(reader, servers.is_some()),
            servers,
            limits: Limits::read(reader),
            queue_bytes: reader.count("embedded.queue_bytes", 1 << 30, (1 << 20)..=(1 << 40)),
            producer: dockbell_producer::settings::Settings::read(reader),
            deliverer: dockbell_deliverer::settings::Settings::read(reader),
        }
    }

    /// Where the command line finds the API.
    pub(crate) fn api_url(&self) -> String {
        self.api_url.clone().unwrap_or_else(|| format!("{}://{}", self.listen.scheme(), self.listen.address))
    }
}
