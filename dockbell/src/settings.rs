//! The settings of the whole process, from flags, environment and file.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use dockbell_chassis::config::{ConfigErrors, Reader, Sources};
use dockbell_chassis::telemetry::TelemetryConfig;
use dockbell_proto::secret::Secret;

/// The address of intake and API.
const LISTEN: &str = "127.0.0.1:8080";
/// The address of health and metrics.
const ADMIN_LISTEN: &str = "127.0.0.1:8081";
/// The data folder.
const DATA: &str = "./dockbell-data";

/// Everything that can be set.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) admin_listen: SocketAddr,
    pub(crate) data: PathBuf,
    pub(crate) admin_token: Option<Secret>,
    pub(crate) api_url: Option<String>,
    pub(crate) telemetry: TelemetryConfig,
    pub(crate) queue_bytes: u64,
    pub(crate) producer: dockbell_producer::settings::Settings,
    pub(crate) deliverer: dockbell_deliverer::settings::Settings,
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("read the configuration file {path}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("{0}")]
    Wrong(ConfigErrors),
}

/// What was typed: key, value, flag.
pub(crate) type Flags = Vec<(String, String, String)>;

impl Settings {
    /// Reads everything. `config` is the file that was named on the command line.
    pub(crate) fn load(
        config: Option<PathBuf>,
        flags: Flags,
        environment: BTreeMap<String, String>,
    ) -> Result<Self, SettingsError> {
        let named = environment.get("DOCKBELL_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
        let file = match config.or(named) {
            None => None,
            Some(path) => match std::fs::read_to_string(&path) {
                Ok(text) => Some((path, text)),
                Err(source) => return Err(SettingsError::File { path, source }),
            },
        };
        let mut reader = Reader::new(Sources { flags, environment, file });
        let settings = Self::read(&mut reader);
        reader.finish().map_err(SettingsError::Wrong)?;
        Ok(settings)
    }

    fn read(reader: &mut Reader) -> Self {
        // Named where the file is named; no setting of the file itself.
        reader.text("config");
        for (key, what) in [("amqp.url", "RabbitMQ"), ("redis.url", "Redis")] {
            if reader.text(key).is_some() {
                reader.reject(
                    key,
                    format!(
                        "{what} is not supported by this version, which keeps everything in its data folder: unset it"
                    ),
                );
            }
        }
        Self {
            listen: reader.address("listen", address(LISTEN)),
            admin_listen: reader.address("admin_listen", address(ADMIN_LISTEN)),
            data: reader.text("data").unwrap_or_else(|| DATA.to_owned()).into(),
            admin_token: reader.text("admin_token").map(Secret::new),
            api_url: reader.text("api_url"),
            telemetry: TelemetryConfig::read(reader, "dockbell"),
            queue_bytes: reader.count("embedded.queue_bytes", 1 << 30, (1 << 20)..=(1 << 40)),
            producer: dockbell_producer::settings::Settings::read(reader),
            deliverer: dockbell_deliverer::settings::Settings::read(reader),
        }
    }

    /// Where the command line finds the API.
    pub(crate) fn api_url(&self) -> String {
        self.api_url.clone().unwrap_or_else(|| format!("http://{}", self.listen))
    }
}

fn address(text: &str) -> SocketAddr {
    #[expect(clippy::expect_used, reason = "only the constants above are given")]
    text.parse().expect("an address and a port")
}
