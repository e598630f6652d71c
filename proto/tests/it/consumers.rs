//! Models of those who receive: what each reads of a payload, of which type, and what it cannot do without.
//!
//! They were written from the sources of Flux's notification-controller, Keel, Argo CD and its Image Updater, Kargo,
//! Jenkins' dockerhub-notification plugin, go-playground/webhooks, Kudu and Dokploy.

use dockbell_proto::output::Rendered;
use dockbell_proto::webhook::Format;
use serde_json::Value;

use super::outputs::{kept, rendered, samples};
use all::CONSUMERS;

mod all;

/// A type that a consumer reads a member as.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Type {
    Text,
    /// Of a language that has no fractions there: `1.0` and `"1"` are none.
    Integer,
    Number,
    Texts,
    TextsOrNull,
    TextOrNull,
}

impl Type {
    fn fits(self, value: &Value) -> bool {
        let are_texts = |values: &Vec<Value>| values.iter().all(Value::is_string);
        match self {
            Self::Text => value.is_string(),
            Self::TextOrNull => value.is_string() || value.is_null(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::Texts => value.as_array().is_some_and(are_texts),
            Self::TextsOrNull => value.is_null() || value.as_array().is_some_and(are_texts),
        }
    }
}

/// A consumer, as it reads one of our formats.
struct Consumer {
    name: &'static str,
    format: Format,
    /// What it cannot do without.
    needs: &'static [(&'static str, Type)],
    /// What it reads if it is there.
    reads: &'static [(&'static str, Type)],
    /// What it asks for besides.
    asks: fn(&Value) -> bool,
    /// A header, and what it must hold.
    header: Option<(&'static str, &'static str)>,
    /// Payloads that were sent to it, or that its own tests send.
    taken: &'static [&'static str],
    /// Payloads that it refuses.
    refused: &'static [&'static str],
}

impl Consumer {
    fn reads(&self, payload: &Value) -> Result<(), String> {
        for (pointer, kind) in self.needs {
            let value = payload.pointer(pointer).ok_or_else(|| format!("{}: {pointer} is absent", self.name))?;
            if !kind.fits(value) || value == "" {
                return Err(format!("{}: {pointer} is {value}", self.name));
            }
        }
        let wrong = |(pointer, kind): &&(&str, Type)| payload.pointer(pointer).is_some_and(|value| !kind.fits(value));
        if let Some((pointer, kind)) = self.reads.iter().find(wrong) {
            return Err(format!("{}: {pointer} is no {kind:?}", self.name));
        }
        if (self.asks)(payload) { Ok(()) } else { Err(format!("{}: {payload} is not what it asks for", self.name)) }
    }

    fn takes(&self, request: &Rendered) -> Result<(), String> {
        if let Some((name, part)) = self.header {
            let value = request.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
            if !value.is_some_and(|value| value.contains(part)) {
                return Err(format!("{}: {name} is {value:?}", self.name));
            }
        }
        self.reads(&serde_json::from_slice(&request.body).map_err(|error| error.to_string())?)
    }

    /// It refuses the payload with any of what it needs taken away, and with anything of another type.
    fn minds_every_member_of(&self, payload: &Value) {
        for (pointer, _) in self.needs {
            let (parent, member) = pointer.rsplit_once('/').unwrap();
            let mut without = payload.clone();
            without.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(member).unwrap();
            assert!(self.reads(&without).is_err(), "{} does without {pointer}", self.name);
        }
        for (pointer, _) in self.needs.iter().chain(self.reads) {
            let mut other = payload.clone();
            if let Some(value) = other.pointer_mut(pointer) {
                *value = serde_json::json!({ "of": "another type" });
                assert!(self.reads(&other).is_err(), "{} takes anything as {pointer}", self.name);
            }
        }
    }
}

#[test]
fn every_consumer_takes_what_is_written_for_it() {
    for consumer in CONSUMERS {
        for (name, batch) in samples() {
            let request = rendered(consumer.format, &batch);
            assert_eq!(consumer.takes(&request), Ok(()), "{name}");
            consumer.minds_every_member_of(&serde_json::from_slice(&request.body).unwrap());
        }
        let kept = kept(consumer.format);
        for payload in &kept {
            assert_eq!(consumer.reads(payload), Ok(()), "of some version");
        }
        // What no payload has was not tried.
        for (pointer, _) in consumer.needs.iter().chain(consumer.reads) {
            let is_there = kept.iter().any(|payload| payload.pointer(pointer).is_some());
            assert!(is_there, "{} reads {pointer}, which we never write", consumer.name);
        }
    }
}

/// The models take what their consumers take, and refuse what those refuse.
#[test]
fn the_models_read_what_was_really_sent() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpus/output");
    if !std::path::Path::new(corpus).exists() {
        // They are no part of this repository; the models were tried with our own.
        return;
    }
    let read = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(format!("{corpus}/{name}.json")).unwrap()).unwrap()
    };
    for consumer in CONSUMERS {
        for name in consumer.taken {
            let payload = read(name);
            assert_eq!(consumer.reads(&payload), Ok(()), "{name}");
            consumer.minds_every_member_of(&payload);
        }
        for name in consumer.refused {
            assert!(consumer.reads(&read(name)).is_err(), "{} takes {name}", consumer.name);
        }
    }
}
