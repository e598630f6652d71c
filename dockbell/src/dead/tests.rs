//! What may be typed.

use clap::Parser as _;

use super::*;

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

fn parse(arguments: &[&str]) -> Result<Command, clap::Error> {
    Line::try_parse_from(["dead"].iter().chain(arguments)).map(|line| line.command)
}

#[test]
fn one_dead_letter_is_named_by_position_or_delivery() {
    let which = |text: &str| match parse(&["show", text]).unwrap() {
        Command::Show { which } => which,
        other => panic!("{other:?}"),
    };
    assert_eq!(which("17"), Which::Position(17));
    assert_eq!(which("msg_1"), Which::Delivery(DeliveryId::parse("msg_1").unwrap()));
    for wrong in ["wh_1", "-1", ""] {
        assert!(parse(&["show", wrong]).is_err(), "{wrong}");
    }
}

#[test]
fn dead_letters_are_decided_about_only_if_something_says_which() {
    for decision in ["revive", "discard"] {
        for good in [
            &["17"][..],
            &["msg_1"],
            &["--all"],
            &["--webhook", "wh_1"],
            &["--since", "2026-01-02T03:04:05Z", "--until", "2026-01-03T00:00:00+02:00", "--queue", "events"],
        ] {
            let parsed = parse(&[&[decision], good].concat());
            assert!(parsed.is_ok(), "{good:?}: {parsed:?}");
        }
        for wrong in [
            &[][..],
            &["--all", "--webhook", "wh_1"],
            &["17", "--all"],
            &["17", "--since", "2026-01-02T03:04:05Z"],
            &["--since", "yesterday"],
            &["--queue", "dead"],
        ] {
            assert!(parse(&[&[decision], wrong].concat()).is_err(), "{decision} {wrong:?}");
        }
    }
    assert!(parse(&["list"]).is_ok());
}
