use super::*;

fn sources(flags: &[(&str, &str, &str)], environment: &[(&str, &str)], file: &str) -> Sources {
    let own = |text: &str| text.to_owned();
    Sources {
        flags: flags.iter().map(|(key, value, name)| (own(key), own(value), own(name))).collect(),
        environment: environment.iter().map(|(name, value)| (own(name), own(value))).collect(),
        file: (!file.is_empty()).then(|| (PathBuf::from("dockbell.toml"), own(file))),
    }
}

fn quiet(reader: &mut Reader) -> u128 {
    reader.duration("window.quiet", Duration::from_secs(1)).as_millis()
}

fn told(reader: Reader) -> String {
    reader.finish().map_or_else(|errors| errors.to_string(), |()| String::new())
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() {
    let flag = [("window.quiet", "4s", "--quiet")];
    let variable = [("DOCKBELL_WINDOW_QUIET", "3s")];
    let file = "[window]\nquiet = \"2s\"";
    let table = [
        (sources(&flag, &variable, file), 4000),
        (sources(&[], &variable, file), 3000),
        (sources(&[], &[], file), 2000),
    ];
    for (sources, expected) in table.into_iter().chain([(Sources::default(), 1000)]) {
        let mut reader = Reader::new(sources);
        assert_eq!(quiet(&mut reader), expected);
        assert_eq!(told(reader), "");
    }
}

#[test]
fn everything_wrong_is_told_at_once_with_its_place() {
    let file = "\
listen = \"everywhere\"
prefetch = 70_000

[window]
quiet = 5
quite = \"1s\"
hosts = [\"a\", 7,
  \"\", [\"b\"]]

[colour]
";
    let flags = [("admin.listen", "9090", "--admin-listen")];
    let environment = [("DOCKBELL_WINDOW_MAX_WAIT", "soon"), ("DOCKBELL_WINDOW_QUIT", "1s"), ("DOCKBELL_JSON", "TRUE")];
    let mut reader = Reader::new(sources(&flags, &environment, file));
    let local = SocketAddr::from(([127, 0, 0, 1], 80));
    assert_eq!(reader.address("listen", local), local);
    assert_eq!(reader.address("admin.listen", local), local);
    assert_eq!(reader.count("prefetch", 500_u16, 1..=1000), 500);
    assert_eq!(quiet(&mut reader), 1000);
    assert_eq!(reader.duration("window.max_wait", Duration::ZERO), Duration::ZERO);
    assert!(!reader.flag("json", false));
    let letter = |text: &str| text.chars().next().filter(char::is_ascii_alphabetic);
    assert_eq!(reader.get_list("window.hosts", "a letter", letter), None);
    assert_eq!(
        told(reader),
        "\
dockbell.toml:1: listen: found \"everywhere\", expected an address and a port such as 127.0.0.1:8080 or [::]:8080
dockbell.toml:2: prefetch: found \"70000\", expected a whole number from 1 to 1000
dockbell.toml:5: window.quiet: found \"5\", expected a duration such as 500ms, 5s or 1m30s
dockbell.toml:6: window.quite: unknown setting, did you mean window.quiet?
dockbell.toml:7: window.hosts: found \"7\", expected a letter
dockbell.toml:7: window.hosts: found a list, expected a letter
dockbell.toml:8: window.hosts: found \"\", expected a letter
dockbell.toml:10: colour: unknown setting
DOCKBELL_JSON: found \"TRUE\", expected true or false
DOCKBELL_WINDOW_MAX_WAIT: found \"soon\", expected a duration such as 500ms, 5s or 1m30s
DOCKBELL_WINDOW_QUIT: unknown setting, did you mean DOCKBELL_WINDOW_QUIET?
--admin-listen: found \"9090\", expected an address and a port such as 127.0.0.1:8080 or [::]:8080"
    );
}

#[test]
fn secrets_are_never_repeated() {
    let file = "[bus]\nurl = \"ftp://user:canary@host\"\n[sources.lab]\ntoken = [\"canary\"]\ntokens = [\"canary\"]";
    let environment = [("DOCKBELL_ADMIN_PASSWORD", "canary"), ("DOCKBELL_ADMIN_TOKEN_OLD", "canary")];
    let mut reader = Reader::new(sources(&[], &environment, file));
    let nothing = |_: &str| None::<()>;
    reader.get("bus.url", "an amqp:// URL", nothing);
    reader.get("admin.password", "20 letters", nothing);
    reader.get("sources.lab.token", "20 letters", nothing);
    reader.get_list("sources.lab.tokens", "20 letters", nothing);
    let told = told(reader);
    assert_eq!(told.lines().count(), 5, "{told}");
    assert!(!told.contains("canary"), "{told}");
    assert!(
        told.contains("dockbell.toml:2: bus.url: found a value that is not shown, expected an amqp:// URL"),
        "{told}"
    );
}

#[test]
fn what_is_repeated_stays_on_its_line() {
    let mut reader = Reader::new(sources(&[], &[("DOCKBELL_LISTEN", "a\nb\u{1b}[2J")], ""));
    reader.get("listen", "an address", |_| None::<()>);
    assert_eq!(told(reader), "DOCKBELL_LISTEN: found \"a\\nb\\u{1b}[2J\", expected an address");
}

#[test]
fn a_syntax_error_has_line_and_column_and_silences_the_rest_of_the_file() {
    let file = "colour = 1\n[window]\nquiet = 5s\n[targets\nallow = []";
    let mut reader = Reader::new(sources(&[], &[("DOCKBELL_WINDOW_QUIT", "1s")], file));
    quiet(&mut reader);
    reader.reject("bus.url", "is missing");
    let told = told(reader);
    assert!(told.contains("dockbell.toml:3: column "), "{told}");
    assert!(told.contains("dockbell.toml:4: column "), "{told}");
    assert!(told.contains("DOCKBELL_WINDOW_QUIT: unknown"), "{told}");
    assert!(!told.contains("colour") && !told.contains("bus.url"), "{told}");
}

#[test]
fn a_relation_that_does_not_hold_is_told_at_the_place_of_its_setting() {
    let flags = [("lease", "1s", "--lease")];
    let file = "[window]\nquiet = \"9s\"\n[sources.lab]\n";
    let mut reader = Reader::new(sources(&flags, &[], file));
    assert_eq!(reader.table_names("sources"), ["lab"]);
    quiet(&mut reader);
    reader.duration("lease", Duration::ZERO);
    reader.reject("window.quiet", "must not be longer than window.max_wait");
    reader.reject("lease", "must be longer than the time-out");
    reader.reject("sources.lab", "needs a token");
    reader.reject("prefetch", "is too low");
    let expected = "\
dockbell.toml:2: window.quiet: must not be longer than window.max_wait
dockbell.toml:3: sources.lab: needs a token
--lease: must be longer than the time-out
prefetch: is too low";
    assert_eq!(told(reader), expected);
}

#[test]
fn lists_are_arrays_in_the_file_and_have_commas_elsewhere() {
    let numbers = |text: &str| text.parse::<u8>().ok();
    for sources in [
        sources(&[], &[], "steps = [1, \"2\", 3]"),
        sources(&[], &[("DOCKBELL_STEPS", "1, 2,3")], "steps = [9]"),
        sources(&[("steps", "1,2,3", "--steps")], &[], ""),
    ] {
        let mut reader = Reader::new(sources);
        assert_eq!(reader.get_list("steps", "a number", numbers), Some(vec![1, 2, 3]));
        assert_eq!(told(reader), "");
    }
    let mut reader = Reader::new(sources(&[], &[], "steps = \"1,2\""));
    assert_eq!(reader.get_list("steps", "a number", numbers), None);
    assert_eq!(told(reader), "dockbell.toml:1: steps: found \"1,2\", expected a list, each element a number");
}

#[test]
fn tables_are_found_by_their_names_and_their_settings_by_theirs() {
    let mut reader = Reader::new(sources(&[], &[], "[sources.\"hub.test\"]\ntoken = \"b\""));
    assert_eq!(reader.table_names("sources"), ["hub.test"]);
    assert_eq!(reader.text("sources.hub.test.token").as_deref(), Some("b"));
    assert_eq!(told(reader), "");

    let environment = [("DOCKBELL_SOURCES", "lab,main"), ("DOCKBELL_SOURCES_LAB_TOKEN", "c")];
    let mut reader = Reader::new(sources(&[], &environment, "sources = { inline = { token = \"a\" } }"));
    assert_eq!(reader.table_names("sources"), ["inline", "lab", "main"]);
    assert_eq!(reader.text("sources.inline.token").as_deref(), Some("a"));
    assert_eq!(reader.text("sources.lab.token").as_deref(), Some("c"));
    assert_eq!(reader.text("sources.main.token"), None);
    assert_eq!(told(reader), "");

    let mut reader = Reader::new(sources(&[], &[], "sources = \"lab\""));
    assert!(reader.table_names("sources").is_empty());
    assert_eq!(told(reader), "dockbell.toml:1: sources: found \"lab\", expected tables such as [sources.name]");
}

#[test]
fn settings_of_other_processes_are_left_to_them() {
    let environment = [("DOCKBELL_LANES_WIDTH", "16"), ("DOCKBELL_LANESWIDTH", "16")];
    let mut reader = Reader::new(sources(&[], &environment, "[lanes]\nwidth = 3\n[lanes.deep]\n[lanesx]\n"));
    reader.leave_to_others("lanes");
    assert_eq!(told(reader), "dockbell.toml:4: lanesx: unknown setting\nDOCKBELL_LANESWIDTH: unknown setting");
}

#[test]
fn an_empty_variable_and_an_empty_section_are_not_settings() {
    let mut reader = Reader::new(sources(&[], &[("DOCKBELL_WINDOW_QUIET", "")], "[window]\n# quiet = \"1s\"\n"));
    assert_eq!(quiet(&mut reader), 1000);
    assert_eq!(told(reader), "");
}

#[test]
fn an_empty_text_is_wrong() {
    let mut reader = Reader::new(sources(&[], &[], "name = \" \""));
    assert_eq!(reader.text("name"), None);
    assert_eq!(told(reader), "dockbell.toml:1: name: found \" \", expected a text that is not empty");
}

#[test]
fn one_text_or_several_are_read_wherever_they_stand() {
    let expected = Some(vec!["a".to_owned(), "b".to_owned()]);
    for sources in [
        sources(&[], &[], "hosts = \"a, b\""),
        sources(&[], &[], "hosts = [\"a\", \"b\"]"),
        sources(&[], &[("DOCKBELL_HOSTS", "a,b")], "hosts = \"c\""),
    ] {
        let mut reader = Reader::new(sources);
        assert_eq!(reader.texts("hosts"), expected);
        assert_eq!(told(reader), "");
    }
    let mut reader = Reader::new(sources(&[], &[], "hosts = \"a,,b\""));
    assert_eq!(reader.texts("hosts"), None);
    assert_eq!(told(reader), "dockbell.toml:1: hosts: has an empty element");
    assert_eq!(Reader::new(Sources::default()).texts("hosts"), None);
}

#[test]
fn settings_that_are_missing_are_wrong_even_if_nobody_says_so() {
    let reader = Reader::new(Sources::default());
    assert!(reader.conclude(None::<u8>).is_err());
    assert_eq!(Reader::new(Sources::default()).conclude(Some(7)), Ok(7));
    let mut reader = Reader::new(sources(&[], &[("DOCKBELL_URL", "")], "hosts = 7"));
    assert!(reader.is_given("hosts") && !reader.is_given("url"));
    reader.leave_to_others("hosts");
}
