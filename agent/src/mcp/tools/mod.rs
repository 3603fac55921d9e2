//! The tools: a table of questions that a person would ask, one file each. Names and arguments are those that
//! Kubeshark's users and skills know.

mod call;
mod calls;
mod schema;
mod stats;
mod status;

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};

pub(crate) use stats::to_json as stats_json;
pub(crate) use status::{TOOL as STATUS, to_json as status_json};

use super::answer::Answer;
use crate::web::App;

/// One tool.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) name: &'static str,
    title: &'static str,
    /// When to use it, what it returns, what to do next: an assistant has no other documentation.
    description: &'static str,
    input: fn() -> Arc<JsonObject>,
    output: fn() -> Arc<JsonObject>,
    pub(crate) run: fn(&App, JsonObject) -> Result<Answer, String>,
}

/// In the order in which an assistant would ask.
static TOOLS: [&Definition; 4] = [&calls::TOOL, &call::TOOL, &stats::TOOL, &status::TOOL];

impl Definition {
    pub(crate) fn tool(&self) -> Tool {
        // All of them only look at what was captured: nothing outside changes, nothing outside is asked.
        let annotations = ToolAnnotations::with_title(self.title)
            .read_only(true)
            .destructive(false)
            .idempotent(true)
            .open_world(false);
        Tool::new(self.name, self.description, (self.input)())
            .with_title(self.title)
            .with_raw_output_schema((self.output)())
            .with_annotations(annotations)
    }
}

pub(crate) fn find(name: &str) -> Option<&'static Definition> {
    TOOLS.iter().copied().find(|tool| tool.name == name)
}

pub(crate) fn all() -> impl Iterator<Item = &'static Definition> {
    TOOLS.iter().copied()
}
