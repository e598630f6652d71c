//! The decoder of `jfrog`.

#![no_main]

use dockbell_fuzz::decoder;
use dockbell_proto::input::InputFormat;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| decoder(InputFormat::Jfrog, input));
