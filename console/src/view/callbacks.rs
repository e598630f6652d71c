//! What receivers reported.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use dockbell_proto::callback::Callback;

/// What a receiver reported of a delivery that it took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Callback)]
pub struct CallbackView {
    /// The request that it is about; 0 is the push itself.
    pub request: u32,
    /// What came of it.
    #[schema(schema_with = crate::openapi::callback_schema)]
    pub state: String,
    /// In words.
    pub description: Option<String>,
    /// What it was done for.
    pub context: Option<String>,
    /// Where more can be read.
    pub target_url: Option<String>,
    /// When it was reported.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

impl From<Callback> for CallbackView {
    fn from(callback: Callback) -> Self {
        let report = callback.report;
        Self {
            request: callback.id.request,
            state: report.state.as_str().to_owned(),
            description: report.description,
            context: report.context,
            target_url: report.target_url,
            at: callback.at,
        }
    }
}
