//! `dockbell up --demo`: the real process with a receiver of its own and a recorded push every few seconds.

mod player;
mod receiver;

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

use dockbell_proto::address::AddressPolicy;
use dockbell_proto::ids::WebhookId;
use dockbell_proto::pattern::Pattern;
use dockbell_proto::proof::Proofs;
use dockbell_proto::secret::Secret;
use dockbell_proto::signature::SigningSecret;
use dockbell_proto::tls::TargetTls;
use dockbell_proto::webhook::{Format, Webhook};
use rand::Rng as _;
use rand::rngs::StdRng;

use crate::settings::Settings;
use crate::up::{House, UpError};
use player::Plays;
use receiver::Receiver;

/// Runs the demo in a temporary folder. `keeps` says which of listen and admin address were asked for; the
/// others are free ones, so that a demo is never in the way of anything.
pub(crate) async fn run(mut settings: Settings, keeps: (bool, bool)) -> Result<(), UpError> {
    let temporary = tempfile::tempdir().map_err(|error| UpError::Demo(error.into()))?;
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    temporary.path().clone_into(&mut settings.data);
    // Its player speaks plain HTTP.
    settings.listen = if keeps.0 { settings.listen.address } else { any_port }.into();
    settings.admin_listen = if keeps.1 { settings.admin_listen.address } else { any_port }.into();
    "warn".clone_into(&mut settings.telemetry.log_filter);
    let receiver = Receiver::bind().await.map_err(UpError::Listen)?;
    settings.deliverer.targets = Arc::new(policy(receiver.address())?);
    let data = settings.data.display().to_string();
    settings.servers = None;
    let house = House::set_up(settings).await?;
    let secrets = add_webhooks(&house, receiver.address()).await?;
    let intake = format!("http://{}", house.intake_and_api.local_addr());
    say(&format!(
        "dockbell demo: intake and API on {intake}, data in {data}\n\
         a recorded push of a two-platform image is played every few seconds; Ctrl-C ends it\n\
         look around from another terminal: dockbell webhooks list --data {data} --api-url {intake}\n"
    ));
    let (plays, shutdown) = (Plays::default(), house.process.lifecycle.shutdown());
    let lifecycle = &house.process.lifecycle;
    lifecycle.spawn("demo receiver", receiver.run(secrets, plays.clone(), shutdown.clone()));
    lifecycle.spawn("demo player", player::play(intake, house.ingest_token.clone(), plays, shutdown));
    house.run().await
}

/// The demo may dial its own receiver, and nothing else that is private.
fn policy(receiver: SocketAddr) -> Result<AddressPolicy, UpError> {
    let allowed = receiver
        .to_string()
        .parse()
        .map_err(|error| UpError::Demo(Box::<dyn std::error::Error + Send + Sync>::from(format!("{error}"))))?;
    Ok(AddressPolicy::new(vec![allowed]))
}

/// One webhook in each format of its own on everything below `demo`.
async fn add_webhooks(house: &House, receiver: SocketAddr) -> Result<HashMap<String, SigningSecret>, UpError> {
    let mut rng: StdRng = rand::make_rng();
    let mut secrets = HashMap::new();
    let now = house.process.clock.now();
    let demo = |text: &str| UpError::Demo(text.to_owned().into());
    // A template would have to be written first, and an empty body says nothing.
    for format in Format::ALL.into_iter().filter(|format| !matches!(format, Format::Template | Format::Empty)) {
        let (mut id, mut key) = ([0; 16], [0; 32]);
        rng.fill_bytes(&mut id);
        rng.fill_bytes(&mut key);
        let secret = SigningSecret::from_random(key);
        let path = format!("/{}", format.as_str());
        let webhook = Webhook {
            id: WebhookId::from_random(id),
            name: format!("demo {}", format.as_str()),
            pattern: Pattern::parse("demo/*").map_err(|error| demo(&error.to_string()))?,
            registry: None,
            filter: dockbell_proto::filter::Filter::default(),
            after: None,
            url: Secret::new(format!("http://{receiver}{path}")),
            format,
            options: dockbell_proto::options::Options::default(),
            headers: std::collections::BTreeMap::new(),
            proofs: Proofs::v1(secret.clone()),
            tls: TargetTls::default(),
            enabled: true,
            disabled_reason: None,
            policy: dockbell_proto::policy::PolicyPatch::default(),
            created_at: now,
            updated_at: now,
        };
        house.store.put_webhook(&webhook).await.map_err(|error| demo(&error.to_string()))?;
        secrets.insert(path, secret);
    }
    Ok(secrets)
}

/// Prints a line for the person who watches; if nobody does, that is no reason to stop.
fn say(line: &str) {
    writeln!(io::stdout(), "{line}").ok();
}
