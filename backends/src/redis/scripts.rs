//! The scripts. Each is one atomic step at the server, and harmless if it runs twice.

use std::fmt;

use redis::Script;

macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident: $($part:literal)+;)+) => {
        /// Every script.
        pub(super) struct Scripts { $($(#[$doc])* pub(super) $name: Script,)+ }

        impl Default for Scripts {
            fn default() -> Self {
                Self { $($name: Script::new(concat!($(include_str!(concat!("lua/", $part, ".lua")), "\n"),+)),)+ }
            }
        }
    };
}

scripts! {
    claim: "claim";
    claim_attempts: "guard" "verdict" "claim_attempts";
    position: "guard" "position";
    put: "guard" "put";
    remove: "guard" "remove";
    revived: "guard" "revived";
    /// Of webhooks and of tokens, as the next.
    find: "guard" "find";
    range: "guard" "range";
    first_seen: "guard" "first_seen";
    /// Of all that is kept with its expiry before it.
    settled: "guard" "verdict" "settled";
    health: "guard" "health" "counters";
    begin_trial: "guard" "health" "verdict" "begin_trial";
    reset_health: "guard" "health" "reset_health";
    forget_skipped: "guard" "health" "forget_skipped";
    keep_change: "guard" "keep" "keep_change";
    changes_of: "guard" "changes_of";
    tell: "guard" "tell";
    newest: "guard" "newest";
    record: "guard" "kept" "drop" "health" "count" "keep" "verdict" "enter" "record";
    park: "guard" "kept" "drop" "health" "verdict" "enter" "order" "park";
    forget: "guard" "kept" "drop" "forget";
    revive: "guard" "revive";
    history: "guard" "kept" "history";
    delivery: "guard" "kept" "delivery";
    take_request: "guard" "kept" "take_request";
    mark_dead: "guard" "mark_dead";
    put_token: "guard" "put_token";
    remove_token: "guard" "remove_token";
    note: "guard" "note";
    audit: "guard" "audit";
    keep_callback: "guard" "keep_callback";
    claim_news: "guard" "told" "order" "claim_news";
    keep_told: "guard" "told" "keep_told";
}

impl fmt::Debug for Scripts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripts").finish_non_exhaustive()
    }
}
