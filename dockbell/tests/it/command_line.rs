//! Dockbell as its operator meets it: what is typed, what is told, and the codes that scripts read.

use std::time::Duration;

use dockbell_backends::keyring::new_key;
use dockbell_testkit::receiver::{Answer, Receiver};
use dockbell_testkit::wait;
use serde_json::Value;
use tokio::time::Instant;

use crate::calls::{Made, push};
use crate::payload::{assert_signed, delivery_id, tag};
use crate::process::{Dockbell, Ended, Home};

/// Within which a process must end, with room for a slow machine.
const END: Duration = Duration::from_secs(5);
/// What `sysexits.h` calls `EX_USAGE`.
const USAGE: i32 = 64;

fn assert_tells(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    for word in words {
        assert!(ended.stderr.contains(word), "{word:?} is not told: {}", ended.stderr);
    }
}

/// A command of the operator that must succeed; what it says as JSON.
async fn operate(home: &Home, dockbell: &Dockbell, arguments: &[&str]) -> Value {
    let ended = home.operate(dockbell, &[arguments, &["--json"]].concat()).await;
    assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
    serde_json::from_str(&ended.stdout).unwrap_or_default()
}

#[tokio::test]
async fn what_is_typed_wrong_is_told_and_ends_with_64() {
    let home = Home::new();
    for (arguments, word) in [
        (&["up", "--lisen", "127.0.0.1:0"][..], "--lisen"),
        (&["webhooks", "add", "--name", "a"], "--repository"),
        (&["webhooks", "show", "7"], "a webhook id starts with wh_"),
        (&["frobnicate"], "frobnicate"),
        (&[], "Usage"),
        (&["up", "--listen", "nowhere"], "--listen: found \"nowhere\", expected an address and a port"),
    ] {
        assert_tells(&home.run(arguments).await, USAGE, &[word]);
    }
    assert_eq!(home.run(&["--help"]).await.code, Some(0));
    assert_eq!(home.run(&["--version"]).await.stdout.split(' ').next(), Some("dockbell"));
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_configuration_is_told_at_once_with_its_line() {
    let home = Home::new().with("DOCKBELL_TARGETS_ALLOW", "").with("DOCKBELL_WINDOW_QUIET", "");
    let text = "listen = \"localhost\"\n\n[window]\nquiet = \"1 fortnight\"\nqiuet = \"1s\"\n\n[targets]\nallow = [\"10.0.0.0/8\", \"10.0.0.0/99\"]\n";
    let file = home.write("dockbell.toml", text);
    let line = |number: usize| format!("{file}:{number}: ");
    for command in ["up", "check-config"] {
        let ended = home.run(&[command, "--config", &file]).await;
        let words = [
            &line(1),
            "listen: found \"localhost\"",
            &line(4),
            "window.quiet: found \"1 fortnight\"",
            &line(5),
            "did you mean",
            &line(8),
            "10.0.0.0/99",
        ];
        assert_tells(&ended, USAGE, &words);
    }
    assert!(!home.data().exists(), "nothing was started");
}

#[tokio::test]
async fn a_good_configuration_is_called_valid() {
    let home = Home::new();
    let file =
        home.write("dockbell.toml", "[window]\nquiet = \"2s\"\n\n[sources.lab]\nformat = \"native\"\ntoken = \"t\"\n");
    let ended = home.run(&["check-config", "--config", &file]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "the configuration is valid\n"), "{ended:?}");
    let missing = home.run(&["check-config", "--config", "missing.toml"]).await;
    assert_tells(&missing, USAGE, &["missing.toml", "No such file"]);
}

const AMQP: (&str, &str) = ("DOCKBELL_AMQP_URL", "amqp://user:canary@127.0.0.1");
const REDIS: (&str, &str) = ("DOCKBELL_REDIS_URL", "redis://:canary@127.0.0.1");

#[tokio::test]
async fn one_server_is_refused_without_the_other() {
    for ((variable, url), missing) in [(AMQP, "redis.url"), (REDIS, "amqp.url")] {
        for command in ["up", "console", "check-config"] {
            let ended = Home::new().with(variable, url).run(&[command]).await;
            assert_tells(&ended, USAGE, &[missing, "is missing"]);
            assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
        }
        let ended = Home::new().with(variable, url).run_program("dockbell-deliverer", &[]).await;
        assert_tells(&ended, USAGE, &[missing, "is missing"]);
    }
    let ended = Home::new().with(REDIS.0, REDIS.1).run_program("dockbell-producer", &[]).await;
    assert_tells(&ended, USAGE, &["amqp.url: is missing", "ingest_token: is missing"]);
}

/// Whoever has the database would have every secret.
#[tokio::test]
async fn a_store_on_servers_is_not_used_without_a_key_that_seals() {
    let both = || Home::new().with(AMQP.0, AMQP.1).with(REDIS.0, REDIS.1).with("DOCKBELL_ADMIN_TOKEN", "a");
    let told = ["secrets.key_file: is missing", "`dockbell secrets new-key`", "secrets.unsealed = true"];
    for command in ["up", "console", "check-config"] {
        assert_tells(&both().run(&[command]).await, USAGE, &told);
    }
    assert_tells(&both().run_program("dockbell-deliverer", &[]).await, USAGE, &told);
    let unsealed = both().with("DOCKBELL_SECRETS_UNSEALED", "true");
    assert_eq!(unsealed.run(&["check-config"]).await.code, Some(0));
    let keys = unsealed.write("keys", &new_key());
    let ended = unsealed.with("DOCKBELL_SECRETS_KEY_FILE", &keys).run(&["check-config"]).await;
    assert_tells(&ended, USAGE, &["DOCKBELL_SECRETS_UNSEALED: is of no use beside secrets.key_file"]);
}

#[tokio::test]
async fn servers_that_are_set_wrong_are_told_without_their_passwords() {
    let both = || Home::new().with(AMQP.0, AMQP.1).with(REDIS.0, REDIS.1);
    for (variable, value, words) in [
        ("DOCKBELL_AMQP_URL", "canary", &["DOCKBELL_AMQP_URL: ", "amqp://user:password@host"][..]),
        ("DOCKBELL_AMQP_URL", "amqp://127.0.0.1,canary", &["DOCKBELL_AMQP_URL: ", "number 2"]),
        (
            "DOCKBELL_TARGETS_PROXY",
            "socks5h://user:canary@127.0.0.1",
            &["DOCKBELL_TARGETS_PROXY: ", "SOCKS is not spoken"],
        ),
        ("DOCKBELL_REDIS_URL", "http://canary", &["DOCKBELL_REDIS_URL: ", "redis://"]),
        ("DOCKBELL_AMQP_SHARDS", "65", &["DOCKBELL_AMQP_SHARDS: ", "from 1 to 64"]),
        ("DOCKBELL_AMQP_HEARTBEAT", "1s", &["the heartbeat must be 5 s to 60 s"]),
        ("DOCKBELL_REDIS_CA_FILE", "missing.pem", &["DOCKBELL_REDIS_CA_FILE: ", "missing.pem"]),
        ("DOCKBELL_AMQP_NAMES_EVENTS", "amq.direct", &["must not begin with amq."]),
    ] {
        let ended = both().with(variable, value).run(&["check-config"]).await;
        assert_tells(&ended, USAGE, words);
        assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn every_process_reads_the_same_file() {
    let text = r#"
admin_token = "a"
ingest_token = "i"
data = "elsewhere"

[amqp]
url = ["amqp://127.0.0.1:1", "amqp://127.0.0.1:2"]
shards = 2
names = { registry = "pushes" }

[redis]
url = "redis://127.0.0.1:1"

[secrets]
unsealed = true

[window]
quiet = "2s"

[delivery]
timeout = "10s"

[embedded]
queue_bytes = 1_048_576
"#;
    let home = Home::new().with("DOCKBELL_LISTEN", "127.0.0.1:0").with("DOCKBELL_ADMIN_LISTEN", "127.0.0.1:0");
    let file = home.write("dockbell.toml", text);
    for (program, arguments) in
        [("dockbell", &["up"][..]), ("dockbell", &["console"]), ("dockbell-producer", &[]), ("dockbell-deliverer", &[])]
    {
        let process = home.start_program(program, &[arguments, &["--config", &file]].concat());
        process.addresses().await;
        let began = Instant::now();
        let ended = process.stop_well().await;
        let is_warned = ended.stderr.contains("kept in redis as they are");
        assert_eq!(is_warned, program != "dockbell-producer", "{program}: {}", ended.stderr);
        assert!(began.elapsed() < END, "{program} waits for servers that are away");
    }
}

#[tokio::test]
async fn webhooks_are_managed_from_the_command_line() {
    let (home, receiver) = (Home::new(), Receiver::start().await);
    let dockbell = home.up().await;
    let url = receiver.url("/hook?token=canary");
    let add = ["webhooks", "add", "--name", "ci", "--repository", "team/*", "--format", "dockerhub"];
    let made = operate(&home, &dockbell, &[&add[..], &["--url", &url, "--header", "X-Key: canary"]].concat()).await;
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());

    let listed = home.operate(&dockbell, &["webhooks", "list"]).await;
    assert!(listed.stdout.contains(id) && listed.stdout.contains("team/*"), "{listed:?}");
    let shown = home.operate(&dockbell, &["webhooks", "show", id]).await;
    assert!(shown.stdout.contains("token=***") && shown.stdout.contains("x-key"), "{shown:?}");
    assert!(!shown.stdout.contains("canary") && !shown.stdout.contains(secret), "{shown:?}");

    let tested = home.operate(&dockbell, &["webhooks", "test", id]).await;
    assert!(tested.code == Some(0) && tested.stdout.contains("accepted (HTTP 200)"), "{tested:?}");
    let request = receiver.wait_for(1).await.remove(0);
    assert_eq!((tag(&request).as_str(), request.path_and_query.as_str()), ("dockbell-test", "/hook?token=canary"));
    assert_signed(&request, &Made { id: id.to_owned(), secret: secret.to_owned() });
    receiver.answer_with(vec![Answer::Status(418)]);
    assert_tells(&home.operate(&dockbell, &["webhooks", "test", id]).await, 1, &["was not accepted", "HTTP 418"]);

    let changed = operate(&home, &dockbell, &["webhooks", "update", id, "--name", "deploy", "--disable"]).await;
    assert_eq!((&changed["name"], &changed["enabled"]), (&"deploy".into(), &false.into()));
    assert_tells(&home.operate(&dockbell, &["webhooks", "test", id]).await, 1, &["disabled"]);
    let removed = home.operate(&dockbell, &["webhooks", "remove", id]).await;
    assert_eq!((removed.code, removed.stdout), (Some(0), format!("{id} is removed\n")));
    assert_tells(&home.operate(&dockbell, &["webhooks", "show", id]).await, 1, &["there is no webhook of this id"]);
    dockbell.stop_well().await;
}

#[tokio::test]
async fn the_standing_of_a_webhook_is_explained_on_the_command_line() {
    let (home, receiver) = (Home::new(), Receiver::start().await);
    let dockbell = home.up().await;
    let add = ["webhooks", "add", "--name", "ci", "--repository", "*", "--format", "batch", "--url"];
    let made = operate(&home, &dockbell, &[&add[..], &[&receiver.url("/"), "--policy", "cooldown=5m"]].concat()).await;
    let id = made["id"].as_str().unwrap();
    let tells = async |arguments: &[&str], code, words: &[&str]| {
        let ended = home.operate(&dockbell, &[&["webhooks"], arguments].concat()).await;
        let told = format!("{}{}", ended.stdout, ended.stderr);
        assert!(ended.code == Some(code) && words.iter().all(|word| told.contains(word)), "{arguments:?}: {ended:?}");
    };
    tells(&["show", id], 0, &["cooldown=5m", "healthy", "waiting"]).await;
    tells(&["update", id, "--policy", "cooldown=7h"], 1, &["policy: cooldown must be", "longest_cooldown"]).await;
    tells(&["update", id, "--disable"], 0, &["disabled"]).await;
    tells(&["show", id], 0, &["disabled", "BECAUSE", "disabled by its owner"]).await;
    tells(&["replay", id], 1, &["disabled"]).await;
    tells(&["update", id, "--enable", "--default-policy"], 0, &["healthy", "as for all"]).await;
    tells(&["standing", id], 0, &["healthy", "enabled by its owner", "disabled by its owner"]).await;
    tells(&["replay", id, "--since", "1h"], 0, &["replayed", "no longer recorded"]).await;
    tells(&["discard-skipped", id], 0, &["0 skipped deliveries are given up"]).await;
    tells(&["resume", id], 0, &["healthy"]).await;
    dockbell.stop_well().await;
}

#[tokio::test]
async fn a_url_that_is_not_allowed_is_refused_with_what_would_allow_it() {
    let home = Home::new().with("DOCKBELL_TARGETS_ALLOW", "");
    let dockbell = home.up().await;
    let add = ["webhooks", "add", "--name", "ci", "--repository", "*", "--format", "batch", "--url"];
    for url in ["http://127.0.0.1:9000/?token=canary", "http://[::ffff:10.0.0.1]/?token=canary"] {
        let ended = home.operate(&dockbell, &[&add[..], &[url]].concat()).await;
        assert_tells(&ended, 1, &["url", "DOCKBELL_TARGETS_ALLOW"]);
        assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
    }
    dockbell.stop_well().await;
}

#[tokio::test]
async fn deliveries_are_looked_at_and_sent_again_from_the_command_line() {
    let (home, receiver) = (Home::new().with("DOCKBELL_DELIVERY_SCHEDULE", "50ms"), Receiver::start().await);
    let dockbell = home.up().await;
    dockbell.caller.add_webhook(("team/app", "alin", &receiver.url("/"))).await;
    receiver.answer_with(vec![Answer::StatusWithBody(500, "out of order".to_owned()), Answer::Status(500)]);
    dockbell.caller.report(&push("e-1", "team/app", "1.0")).await;
    let dead = async || {
        let page = operate(&home, &dockbell, &["deliveries", "list", "--state", "dead"]).await;
        page["items"].as_array().unwrap().first().map(|item| item["id"].as_str().unwrap().to_owned())
    };
    let id = wait::until("the delivery to be given up", dead).await;
    let shown = home.operate(&dockbell, &["deliveries", "show", &id]).await;
    for word in ["dead", "hub.test/team/app", "1.0", "refused (HTTP 500)", "out of order", "given up after 2 attempts"]
    {
        assert!(shown.stdout.contains(word), "{word:?} is not shown: {}", shown.stdout);
    }
    let asked = home.operate(&dockbell, &["deliveries", "redeliver", &id]).await;
    assert_eq!((asked.code, asked.stdout), (Some(0), format!("{id} is on its way again, as request 1\n")));
    let requests = receiver.wait_for(3).await;
    assert!(requests.iter().all(|request| delivery_id(request) == id), "all attempts carry one id");
    let delivered = async || {
        let delivery = operate(&home, &dockbell, &["deliveries", "show", &id]).await;
        (delivery["state"] == "delivered").then_some(())
    };
    wait::until("the redelivery to be recorded", delivered).await;
    let listed = home.operate(&dockbell, &["deliveries", "list", "--state", "delivered"]).await;
    assert!(listed.stdout.contains(&id), "{listed:?}");
    dockbell.stop_well().await;
}

#[tokio::test]
async fn an_operator_who_asks_in_the_wrong_place_is_told_where_to_ask() {
    let home = Home::new();
    assert_tells(&home.run(&["webhooks", "list", "--data", "data"]).await, 1, &["DOCKBELL_ADMIN_TOKEN", "--data"]);
    let dockbell = home.up().await;
    let url = dockbell.caller.intake.clone();
    dockbell.stop_well().await;
    let ended = home.run(&["webhooks", "list", "--data", "data", "--api-url", &url]).await;
    assert_tells(&ended, 1, &["cannot reach dockbell", &url, "is `dockbell up` running?"]);
    let dockbell = home.up().await;
    let stranger = Home::new().with("DOCKBELL_ADMIN_TOKEN", "wrong");
    let ended = stranger.operate(&dockbell, &["webhooks", "list"]).await;
    assert_tells(&ended, 1, &["a token that is valid"]);
    dockbell.stop_well().await;
}

#[tokio::test]
async fn a_second_dockbell_on_the_same_folder_or_port_is_refused() {
    let home = Home::new();
    let dockbell = home.up().await;
    let anywhere = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let second = home.run(&[&["up", "--data", "data"], &anywhere[..]].concat()).await;
    assert_tells(&second, 1, &["the data folder data is in use by another dockbell process", "stop it first"]);
    let taken = dockbell.caller.intake.trim_start_matches("http://");
    let third = home.run(&["up", "--data", "other", "--listen", taken, "--admin-listen", "127.0.0.1:0"]).await;
    assert_tells(&third, 1, &["in use", taken]);
    // The first one does not notice.
    assert_eq!(dockbell.caller.admin("/readyz").await.status, 200);
    dockbell.stop_well().await;
}

#[tokio::test]
async fn a_terminated_dockbell_ends_soon_and_owes_nothing_of_an_open_window() {
    let home = Home::new().with("DOCKBELL_WINDOW_QUIET", "30s").with("DOCKBELL_WINDOW_MAX_WAIT", "40s");
    let (dockbell, receiver) = (home.up().await, Receiver::start().await);
    dockbell.caller.add_webhook(("team/app", "dockerhub", &receiver.url("/"))).await;
    dockbell.caller.report(&push("e-1", "team/app", "1.0")).await;
    let open = async || (dockbell.caller.metric("dockbell_windows_open", &[]).await >= 1.0).then_some(());
    wait::until("the window to be open", open).await;
    let began = tokio::time::Instant::now();
    dockbell.stop_well().await;
    let took = began.elapsed();
    assert!(took < std::time::Duration::from_secs(8), "it ended after {took:?}, the window did not");
    // What is closed at the end may wait for the next start, and then it waits for no window.
    let dockbell = home.up().await;
    assert_eq!(tag(&receiver.wait_for(1).await[0]), "1.0");
    assert!(began.elapsed() < std::time::Duration::from_secs(25), "no window was opened again");
    dockbell.stop_well().await;
}
