//! The reader of settings, from a file and from a variable.

#![no_main]

use dockbell_chassis::config::{Reader, Sources};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str)| {
    let (file, variable) = input;
    let environment = [("DOCKBELL_WINDOW_QUIET".to_owned(), variable.to_owned())].into();
    let file = Some(("dockbell.toml".into(), file.to_owned()));
    let mut reader = Reader::new(Sources { file, environment, ..Sources::default() });
    reader.duration("window.quiet", std::time::Duration::ZERO);
    reader.address("listen", ([127, 0, 0, 1], 8080).into());
    reader.count("amqp.shards", 1_u16, 1..=64);
    reader.flag("amqp.declare", true);
    reader.texts("amqp.url");
    reader.get_list("targets.allow", "networks", |text| text.parse::<dockbell_proto::address::AllowedTarget>().ok());
    for name in reader.table_names("sources") {
        reader.text(&format!("sources.{name}.token"));
    }
    if let Err(errors) = reader.finish() {
        assert!(!errors.to_string().is_empty());
    }
});
