//! Of what a webhook is told, and when, as it is typed and shown.

use clap::Args;
use dockbell_console::{AfterView, FilterView};
use dockbell_proto::ids::WebhookId;
use serde_json::{Map, Value};

use super::policy::Member;
use crate::present;

/// Whom a webhook waits for.
#[derive(Debug, Args)]
pub(super) struct Waits {
    /// Tell it of a push once the receiver of this webhook has reported success of it, by its callback URL
    #[arg(long, value_name = "WEBHOOK", value_parser = WebhookId::parse)]
    after: Option<WebhookId>,
    /// How long it waits for that before the delivery is given up; 1h if never said
    #[arg(long, value_name = "DURATION")]
    within: Option<String>,
}

impl Waits {
    /// What was said, as the API takes it.
    pub(super) fn members(&self) -> Option<Map<String, Value>> {
        let webhook = self.after.as_ref().map(|id| ("webhook".to_owned(), Value::from(id.as_str())));
        let within = self.within.clone().map(|within| ("within".to_owned(), Value::from(within)));
        let members: Map<String, Value> = webhook.into_iter().chain(within).collect();
        (!members.is_empty()).then_some(members)
    }
}

/// Reads `tags=v*`. Without a value the member lets everything through. Whether there is such a member, and what it may be,
/// is for the API to say.
pub(super) fn member(text: &str) -> Result<Member, &'static str> {
    let (name, value) = text.split_once('=').ok_or("expected a member, an equals sign and a value")?;
    Ok((name.to_owned(), if value.is_empty() { Value::Null } else { value.into() }))
}

/// The members as the API takes them: what is given several times is a list.
pub(super) fn filter(given: &[Member]) -> Map<String, Value> {
    let mut members = Map::new();
    for (name, value) in given {
        match members.get_mut(name) {
            Some(Value::Array(values)) => values.push(value.clone()),
            Some(one) => *one = Value::Array(vec![one.take(), value.clone()]),
            None => drop(members.insert(name.clone(), value.clone())),
        }
    }
    members
}

/// The filter as it is typed.
pub(super) fn shown(filter: &FilterView) -> String {
    let mut shown = Vec::new();
    for (name, values) in [("tags", &filter.tags), ("repositories", &filter.repositories), ("kinds", &filter.kinds)] {
        shown.extend(values.iter().map(|value| format!("{name}={value}")));
    }
    shown.extend(filter.only_changed.then(|| "only_changed=true".to_owned()));
    present::or_nothing((!shown.is_empty()).then(|| shown.join(" ")))
}

/// Whom it waits for, in words.
pub(super) fn waits(after: Option<&AfterView>) -> String {
    let within = |after: &AfterView| after.within.as_ref().map(|within| format!(", for {within}")).unwrap_or_default();
    present::or_nothing(after.map(|after| format!("{} reports success{}", after.webhook, within(after))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_given_several_times_is_a_list_and_what_has_no_value_lets_everything_through() {
        let given: Vec<Member> =
            ["tags=v*", "kinds=image", "tags=!*-rc", "tags=", "only_changed=true", "repositories="]
                .map(|text| member(text).unwrap())
                .into();
        let expected =
            json!({ "tags": ["v*", "!*-rc", null], "kinds": "image", "only_changed": "true", "repositories": null });
        assert_eq!(Value::Object(filter(&given)), expected);
        assert!(member("tags").is_err());
    }
}
