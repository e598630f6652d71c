use super::*;

fn problem(text: &str) -> String {
    Scenario::parse(&format!("about = \"x\"\n{text}"), |_| ()).unwrap_err()
}

#[test]
fn what_a_file_leaves_out_is_as_by_default_and_the_command_line_has_the_last_word() {
    let text =
        "about = \"x\"\n[repositories]\ncount = 7\n[settings]\n\"window.quiet\" = \"20ms\"\n\"delivery.attempts\" = 5";
    let scenario = Scenario::parse(text, |scenario| scenario.load.rate = 50.0).unwrap();
    assert_eq!((scenario.load.rate, scenario.load.seconds, scenario.repositories.count), (50.0, 30, 7));
    let variables: BTreeMap<String, String> = scenario.variables().collect();
    let told = [("DOCKBELL_DELIVERY_ATTEMPTS", "5"), ("DOCKBELL_WINDOW_QUIET", "20ms")];
    assert_eq!(variables, told.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
}

#[test]
fn an_unknown_key_is_an_error_that_names_it_and_those_that_there_are() {
    let told = problem("[load]\nspeed = 3");
    assert!(told.contains("unknown field `speed`") && told.contains("`rate`") && told.contains("line 3"), "{told}");
    for text in ["[loads]\nrate = 3", "[[trouble]]\nshare = 0.1\nfrom = 1\nto = 2\nslow = 3", "[webhooks]\nurl = 1"] {
        assert!(problem(text).contains("unknown field"), "{text}");
    }
}

#[test]
fn a_value_that_is_not_possible_is_an_error_that_names_its_key_and_what_to_do() {
    let cases = [
        ("[load]\nrate = 0.0", "load.rate = 0 is not possible: set it to 0.01 to 100000"),
        ("[load]\nrate = nan", "load.rate = NaN is not possible"),
        ("[load]\nseconds = 0", "load.seconds = 0 is not possible"),
        ("[load]\nway = \"smtp\"", "unknown variant `smtp`, expected `amqp` or `http`"),
        ("[load]\nrate = 90000.0\nseconds = 3600", "lower one of them"),
        ("[repositories]\ncount = 0", "repositories.count = 0"),
        ("[repositories]\nspread = \"zipf\"", "repositories.exponent is absent"),
        ("[repositories]\nexponent = 1.0", "repositories.exponent says nothing of spread = \"even\""),
        ("[repositories]\nbursts = 1.5", "repositories.bursts = 1.5"),
        ("[repositories]\ntags = 3", "webhooks.format = \"batch\""),
        ("[webhooks]\nformat = \"empty\"", "webhooks.format"),
        ("[webhooks]\nformat = \"smoke\"", "unknown variant `smoke`"),
        ("[fleet]\ndeliverers = 0", "fleet.deliverers = 0"),
        ("[settings]\n\"amqp.url\" = \"amqp://x\"", "is given by the run itself"),
        ("[settings]\n\"window.quiet\" = 1.5", "expected a text, a number, true or false"),
        ("[[trouble]]\nshare = 0.1\nfrom = 9\nto = 9\nhang = true", "from must be less than to"),
        ("[[trouble]]\nshare = 0.1\nfrom = 35\nto = 90\nhang = true", "the 35 seconds of the load"),
        ("[[trouble]]\nshare = 0.1\nfrom = 1\nto = 9", "say one of"),
        ("[[trouble]]\nshare = 0.1\nfrom = 1\nto = 9\nhang = true\nrefuse = 500", "say one of"),
        ("[[trouble]]\nshare = 0.1\nfrom = 1\nto = 9\nrefuse = 410", "take another"),
        ("[[trouble]]\nshare = 0.1\nfrom = 1\nto = 9\nrefuse = 200", "trouble.refuse = 200"),
    ];
    for (text, told) in cases {
        let problem = problem(text);
        assert!(problem.contains(told), "{text}: {problem}");
    }
}

#[test]
fn the_error_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    let told = |path: &Path| Scenario::read(path, |_| ()).unwrap_err().to_string();
    assert!(told(&path).contains("mine.toml: No such file"), "{}", told(&path));
    std::fs::write(&path, "about = \"x\"\n[load]\nrate = -1.0\n").unwrap();
    assert!(told(&path).contains("mine.toml: load.rate = -1"), "{}", told(&path));
}

#[test]
fn the_standing_scenarios_are_possible_and_take_less_than_a_minute() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 5, "{files:?}");
    for path in files {
        let scenario = Scenario::read(&path, |_| ()).unwrap();
        assert!(scenario.load.warm_up + scenario.load.seconds <= 40, "{}", path.display());
    }
}
