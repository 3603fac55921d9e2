//! `tapwire mcp`: MCP over stdio, for assistants that start their servers as programs. The wire protocol is spoken here,
//! in all its versions; what a tool answers comes from the agent, by one request to its `/mcp` for each call. So there
//! is no session to lose: an agent may be started, stopped or replaced at any time, and a call meanwhile says so.

use std::process::ExitCode;

use clap::Args;
use rmcp::{
    ErrorData, RoleServer, ServerHandler, ServiceExt,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, CustomRequest, CustomResult, ErrorCode,
        GetPromptRequestParams, GetPromptResponse, ListPromptsResult, ListResourcesResult, ListToolsResult,
        PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, ResultType,
        ServerConfig, Tool,
    },
    service::RequestContext,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Failure, Target, client::Client};
use crate::mcp;

#[derive(Args, Clone, Debug)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
}

/// # Errors
/// Standard input or output cannot be used.
pub fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        let bridge = Bridge { client: Client::new(&arguments.target) };
        match bridge.serve(rmcp::transport::stdio()).await {
            Ok(service) => service.waiting().await.map(|_| ()).map_err(|error| error.to_string()),
            // Closed before it said a word: nothing was asked.
            Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    });
    // Reading standard input blocks a thread that nothing can wake.
    runtime.shutdown_background();
    served.map_err(|line| Failure::Failed(format!("mcp: {line}")))?;
    Ok(ExitCode::SUCCESS)
}

/// A server whose answers come from an agent.
#[derive(Clone, Debug)]
struct Bridge {
    client: Client,
}

impl Bridge {
    /// One JSON-RPC request to the agent.
    async fn ask<T: DeserializeOwned + Send + 'static>(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<T, Refusal> {
        let client = self.client.clone();
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let asked = tokio::task::spawn_blocking(move || client.mcp(&request)).await;
        let answer = asked.map_err(|error| Refusal::Unreachable(error.to_string()))?.map_err(Refusal::Unreachable)?;
        let strange = || Refusal::Unreachable("the agent's answer is not MCP: is it of another version?".to_owned());
        let mut answer: Value = serde_json::from_str(&answer).map_err(|_| strange())?;
        if let Some(error) = answer.get("error") {
            let code = error.get("code").and_then(Value::as_i64).and_then(|code| i32::try_from(code).ok());
            let message = error.get("message").and_then(Value::as_str).unwrap_or("refused").to_owned();
            return Err(Refusal::Error(ErrorData::new(
                code.map_or(ErrorCode::INTERNAL_ERROR, ErrorCode),
                message,
                None,
            )));
        }
        let result = answer.get_mut("result").map(Value::take).ok_or_else(strange)?;
        serde_json::from_value(result).map_err(|_| strange())
    }
}

/// Why there is no answer.
enum Refusal {
    /// The agent's own error.
    Error(ErrorData),
    /// One line that says what to do.
    Unreachable(String),
}

impl ServerHandler for Bridge {
    fn get_info(&self) -> ServerConfig {
        mcp::info()
    }

    /// The tools of this build, so that an assistant can be set up before any agent runs.
    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(mcp::tools()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        mcp::tools().into_iter().find(|tool| tool.name == name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if self.get_tool(&request.name).is_none() {
            return Err(mcp::unknown_tool(&request.name));
        }
        let arguments = request.arguments.unwrap_or_default();
        match self.ask::<CallToolResult>("tools/call", json!({"name": request.name, "arguments": arguments})).await {
            // The agent was asked in an older version, whose results don't say that they are complete; here rmcp leaves
            // the word out again for older clients.
            Ok(mut result) => {
                result.result_type = Some(ResultType::COMPLETE);
                Ok(result.into())
            }
            Err(Refusal::Error(error)) => Err(error),
            // An assistant reads a tool's error, and seldom a protocol's.
            Err(Refusal::Unreachable(line)) => Ok(mcp::failed(&line).into()),
        }
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(mcp::resources()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        if request.uri != mcp::STATUS_URI {
            return Err(mcp::unknown_resource(&request.uri));
        }
        match self.ask::<ReadResourceResult>("resources/read", json!({"uri": request.uri})).await {
            Ok(mut result) => {
                result.result_type = Some(ResultType::COMPLETE);
                Ok(result.into())
            }
            Err(Refusal::Error(error)) => Err(error),
            Err(Refusal::Unreachable(line)) => Err(ErrorData::internal_error(line, None)),
        }
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(mcp::prompts())
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        mcp::fill_prompt(&request.name, request.arguments.unwrap_or_default()).map(Into::into)
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        Err(mcp::misread(&request))
    }
}
