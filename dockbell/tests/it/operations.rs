//! Operators are told at their URL what owners do to their webhooks.

use dockbell_proto::signature::SigningSecret;
use dockbell_testkit::receiver::Receiver;
use reqwest::Method;
use serde_json::{Value, json};

use crate::calls::{Caller, Made};
use crate::fleet::Fleet;
use crate::payload;
use crate::process::Home;

const URL: &str = "DOCKBELL_OPERATIONS_URL";
const SECRET: &str = "DOCKBELL_OPERATIONS_SECRET";

#[tokio::test]
async fn what_an_owner_switches_is_posted_to_the_operators_url() {
    let (operator, secret) = (Receiver::start().await, secret());
    let home = Home::new().with(URL, &operator.url("/operations")).with(SECRET, &secret);
    let dockbell = home.up().await;
    switch_and_hear(&dockbell.caller, &operator, secret).await;
    dockbell.stop_well().await;
}

/// The same of an API that is a process of its own.
pub(crate) async fn a_console_posts_what_an_owner_switches_to_the_operators_url(fleet: Fleet<'_>) {
    let (operator, secret) = (Receiver::start().await, secret());
    let fleet = fleet.with(URL, &operator.url("/operations")).with(SECRET, &secret);
    let console = fleet.console().await;
    switch_and_hear(&console.caller, &operator, secret).await;
    console.stop_well().await;
}

fn secret() -> String {
    SigningSecret::from_random([5; 32]).expose()
}

/// Switches a webhook off and on, of which `operator` must hear once each.
async fn switch_and_hear(caller: &Caller, operator: &Receiver, secret: String) {
    let Made { id, .. } = caller.add_webhook(("team/app", "batch", &operator.url("/hook"))).await;
    let signer = Made { id: id.clone(), secret };
    for (place, enabled) in [false, true].into_iter().enumerate() {
        let change = json!({ "enabled": enabled });
        assert_eq!(caller.api(Method::PATCH, &format!("webhooks/{id}"), Some(change)).await.status, 200);
        operator.wait_for(place + 1).await;
    }
    let requests = operator.requests();
    for request in &requests {
        payload::assert_signed(request, &signer);
    }
    let told: Vec<Value> = requests.iter().map(payload::json).collect();
    let kinds: Vec<(&Value, &Value)> = told.iter().map(|told| (&told["kind"], &told["webhook"]["id"])).collect();
    assert_eq!(kinds, [(&json!("webhook.disabled"), &json!(id)), (&json!("webhook.enabled"), &json!(id))]);
}
