//! Environment variables: which are ours, and how a setting is named there.

use std::collections::BTreeMap;

const PREFIX: &str = "DOCKBELL_";
/// Settings whose variable has a name that every program knows.
const STANDARD: [(&str, &str); 1] = [("telemetry.otlp_endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT")];

/// The variables of this process that concern us. Only this file reads the environment.
pub fn process_environment() -> BTreeMap<String, String> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    ours(std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect())
}

/// Where a test wants this process to end. It is no setting, so that nobody finds it among them.
#[cfg(feature = "failpoints")]
pub(crate) fn failpoint() -> Option<String> {
    std::env::var_os("FAILPOINT")?.into_string().ok()
}

/// The variable of a setting: "window.quiet" is `DOCKBELL_WINDOW_QUIET`.
pub fn variable_of(key: &str) -> String {
    if let Some((_, name)) = STANDARD.iter().find(|(standard, _)| *standard == key) {
        return (*name).to_owned();
    }
    let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
    PREFIX.chars().chain(key.chars().map(letter)).collect()
}

/// Leaves out what is not meant for us.
pub(super) fn ours(mut environment: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let is_standard = |name: &str| STANDARD.iter().any(|(_, standard)| *standard == name);
    environment.retain(|name, value| is_standard(name) || name.starts_with(PREFIX) && !is_service_link(name, value));
    environment
}

/// Whether Kubernetes wrote this variable. It does so in every pod for every service of the namespace, so
/// a service called `dockbell` would otherwise look like a dozen misspelt settings.
///
/// Source: <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>.
fn is_service_link(name: &str, value: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if name.ends_with("_SERVICE_HOST") || name.contains("_SERVICE_PORT_") {
        return true;
    }
    if name.ends_with("_SERVICE_PORT") {
        return is_number(value);
    }
    if name.ends_with("_PORT") && ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme)) {
        return true;
    }
    let name = ["_PROTO", "_PORT", "_ADDR"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    let Some(name) = ["_TCP", "_UDP", "_SCTP"].iter().find_map(|end| name.strip_suffix(end)) else { return false };
    name.rsplit_once("_PORT_").is_some_and(|(_, port)| is_number(port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_of_a_setting_is_mechanical() {
        assert_eq!(variable_of("window.quiet"), "DOCKBELL_WINDOW_QUIET");
        assert_eq!(variable_of("sources.my-lab.token"), "DOCKBELL_SOURCES_MY_LAB_TOKEN");
        assert_eq!(variable_of("telemetry.otlp_endpoint"), "OTEL_EXPORTER_OTLP_ENDPOINT");
    }

    #[test]
    fn variables_of_kubernetes_services_are_not_settings() {
        let links = [
            ("DOCKBELL_SERVICE_HOST", "10.0.0.1"),
            ("DOCKBELL_SERVICE_PORT", "8080"),
            ("DOCKBELL_SERVICE_PORT_HTTP", "8080"),
            ("DOCKBELL_PORT", "tcp://10.0.0.1:8080"),
            ("DOCKBELL_CONSOLE_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
            ("DOCKBELL_PORT_8080_TCP_PROTO", "tcp"),
            ("DOCKBELL_PORT_8080_TCP_PORT", "8080"),
            ("DOCKBELL_PORT_8080_TCP_ADDR", "10.0.0.1"),
            ("HOME", "/root"),
            ("OTEL_SERVICE_NAME", "other"),
        ];
        let settings = [
            ("DOCKBELL_WINDOW_QUIET", "1s"),
            ("DOCKBELL_TARGETS_PORT", "8080"),
            ("DOCKBELL_A_TCP", "1"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
        ];
        let all = links.iter().chain(&settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let kept: Vec<String> = ours(all.collect()).into_keys().collect();
        assert_eq!(
            kept,
            ["DOCKBELL_A_TCP", "DOCKBELL_TARGETS_PORT", "DOCKBELL_WINDOW_QUIET", "OTEL_EXPORTER_OTLP_ENDPOINT"]
        );
    }
}
