//! From the dict shapes of the seed (as JSON) to a call of the crate. No value of the request stands in an error.

use std::collections::HashMap;

use alchemy_llm::providers::openai_completions::ReasoningEffort;
use alchemy_llm::types::{
    AnthropicMessages, ApiType, AssistantMessageEventStream, Context, InputType, KnownProvider, MaxTokensField,
    MinimaxCompletions, Model, ModelCost, OpenAICompletions, OpenAICompletionsCompat, Provider, Tool, ZaiCompletions,
};
use alchemy_llm::{OpenAICompletionsOptions, get_env_api_key};
use serde_json::Value;
use thiserror::Error;

use super::messages::to_message;
use super::value::At;

/// Sent where a server wants no key: the crate does not start without one.
const NO_KEY: &str = "no-key";
const COMPLETIONS: &str = "/chat/completions";
const DEFAULT_WINDOW: u32 = 128_000;
/// Of an answer, where nothing says how many: `anthropic-messages` has to say a number.
const DEFAULT_MAX_TOKENS: u32 = 8192;
const ANTHROPIC_VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

/// Why a request cannot be made.
#[derive(Debug, Error)]
pub enum RequestError {
    /// It is not JSON.
    #[error("the request is not JSON")]
    NotJson,
    /// A member is missing or has another shape.
    #[error("{path}: {problem}")]
    Shape {
        /// Such as `context.messages[2].content[0].text`.
        path: String,
        /// What is wrong, without the value.
        problem: String,
    },
    /// There is no key, neither in the options nor in the environment.
    #[error("no key for {0:?}: give options.api_key, or set its variable")]
    NoKey(String),
}

/// A call of the crate that can be made.
pub struct Ask {
    /// As the caller named it.
    pub provider: String,
    /// The dialect, as `Model.api` has it.
    pub api: &'static str,
    /// The model's id.
    pub model: String,
    call: Call,
    context: Context,
    options: OpenAICompletionsOptions,
}

enum Call {
    OpenAi(Model<OpenAICompletions>),
    Anthropic(Model<AnthropicMessages>),
    Minimax(Model<MinimaxCompletions>),
    Zai(Model<ZaiCompletions>),
}

impl Ask {
    /// Make a call of `{"model": ..., "context": ..., "options": ...}`.
    ///
    /// # Errors
    ///
    /// [`RequestError`].
    pub fn from_json(text: &[u8]) -> Result<Self, RequestError> {
        let value: Value = serde_json::from_slice(text).map_err(|_| RequestError::NotJson)?;
        let root = At::root(&value);
        let model = root.object("model")?;
        let id = model.text("id")?.to_owned();
        let options = root.object("options")?;
        let provider = model.text_or("provider", "openrouter")?.trim().to_owned();
        let api = api_of(&model, &provider)?;
        let options = to_options(&options, &model, &provider, api)?;
        Ok(Self {
            call: to_call(&model, &provider, api)?,
            context: to_context(&root.object("context")?)?,
            options,
            model: id,
            provider,
            api,
        })
    }

    /// Call `alchemy_llm::stream`. It spawns on the runtime that this is called on.
    pub(crate) fn start(&self) -> alchemy_llm::Result<AssistantMessageEventStream> {
        let options = Some(self.options.clone());
        match &self.call {
            Call::OpenAi(model) => alchemy_llm::stream(model, &self.context, options),
            Call::Anthropic(model) => alchemy_llm::stream(model, &self.context, options),
            Call::Minimax(model) => alchemy_llm::stream(model, &self.context, options),
            Call::Zai(model) => alchemy_llm::stream(model, &self.context, options),
        }
    }
}

/// Give the dialect: what is said, under any of its names, else the provider's.
fn api_of(model: &At<'_>, provider: &str) -> Result<&'static str, RequestError> {
    let named = model.text_or("api", "")?.trim();
    let named = match named {
        "" => match provider {
            "minimax" | "minimax-cn" => "minimax",
            "anthropic" | "kimi" => "anthropic",
            "zai" => "zai",
            _ => "openai",
        },
        other => other,
    };
    match named {
        "openai" | "openrouter" | "openai-completions" => Ok("openai-completions"),
        "minimax" | "minimax-completions" => Ok("minimax-completions"),
        "zai" | "zai-completions" => Ok("zai-completions"),
        "anthropic" | "anthropic-messages" => Ok("anthropic-messages"),
        _ => Err(model.at("api").wrong("the alchemy engine does not speak it")),
    }
}

fn to_call(model: &At<'_>, provider: &str, api: &str) -> Result<Call, RequestError> {
    Ok(match api {
        "anthropic-messages" => Call::Anthropic(to_model(model, AnthropicMessages, by_bearer(), None)?),
        "minimax-completions" => Call::Minimax(to_model(model, MinimaxCompletions, custom(provider), None)?),
        "zai-completions" => Call::Zai(to_model(model, ZaiCompletions, custom(provider), None)?),
        _ => {
            let compat = Some(to_compat(&model.object("compat")?)?);
            Call::OpenAi(to_model(model, OpenAICompletions, custom(provider), compat)?)
        }
    })
}

fn custom(provider: &str) -> Provider {
    Provider::Custom(provider.to_owned())
}

/// The crate's one provider of `anthropic-messages` that sends a key as a bearer token. The others' header,
/// `x-api-key`, would follow a redirect to another origin.
fn by_bearer() -> Provider {
    Provider::Known(KnownProvider::Kimi)
}

fn to_model<A: ApiType>(
    model: &At<'_>,
    api: A,
    provider: Provider,
    compat: Option<A::Compat>,
) -> Result<Model<A>, RequestError> {
    let id = model.text("id")?.to_owned();
    Ok(Model {
        name: id.clone(),
        id,
        base_url: url_of(model.text("base_url")?, &api.api().to_string(), model)?,
        api,
        provider,
        reasoning: model.flag("reasoning")?.unwrap_or(false),
        input: vec![InputType::Text, InputType::Image],
        cost: ModelCost {
            input: 0.0,
            output: 0.0,
            cache_read: 0.0,
            cache_write: 0.0,
        },
        context_window: model.count("context_window")?.unwrap_or(DEFAULT_WINDOW),
        max_tokens: model.count("max_tokens")?.unwrap_or(DEFAULT_MAX_TOKENS),
        headers: None,
        compat,
    })
}

/// Give the URL as the crate wants it: whole, or for `anthropic-messages` without what it appends.
fn url_of(given: &str, api: &str, model: &At<'_>) -> Result<String, RequestError> {
    let given = given.trim().trim_end_matches('#');
    let (path, query) = given
        .split_once('?')
        .map_or((given, None), |(path, query)| (path, Some(query)));
    let path = path.trim_end_matches('/');
    if api == "anthropic-messages" {
        let base = path.strip_suffix("/messages").unwrap_or(path);
        let base = base.strip_suffix("/v1").unwrap_or(base);
        return match query {
            None => Ok(base.to_owned()),
            Some(_) => Err(model.at("base_url").wrong("may hold no query with anthropic-messages")),
        };
    }
    let whole = if path.ends_with(COMPLETIONS) { "" } else { COMPLETIONS };
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Ok(format!("{path}{whole}{query}"))
}

/// Set every rule, so that the crate guesses none. What is not said is what any server understands.
fn to_compat(compat: &At<'_>) -> Result<OpenAICompletionsCompat, RequestError> {
    let is_set = |name: &str, default: bool| compat.flag(name).map(|flag| Some(flag.unwrap_or(default)));
    Ok(OpenAICompletionsCompat {
        supports_store: is_set("supports_store", false)?,
        supports_developer_role: is_set("supports_developer_role", false)?,
        supports_reasoning_effort: is_set("supports_reasoning_effort", true)?,
        supports_usage_in_streaming: is_set("supports_usage_in_streaming", true)?,
        max_tokens_field: match compat.text_or("max_tokens_field", "max_tokens")? {
            "max_tokens" => Some(MaxTokensField::MaxTokens),
            "max_completion_tokens" => Some(MaxTokensField::MaxCompletionTokens),
            _ => return Err(compat.at("max_tokens_field").wrong("there is no such field")),
        },
        requires_tool_result_name: is_set("requires_tool_result_name", false)?,
        requires_assistant_after_tool_result: Some(false),
        requires_thinking_as_text: Some(false),
        requires_mistral_tool_ids: Some(false),
        thinking_format: None,
    })
}

fn to_options(
    options: &At<'_>,
    model: &At<'_>,
    provider: &str,
    api: &str,
) -> Result<OpenAICompletionsOptions, RequestError> {
    let mut headers = HashMap::new();
    if api == "anthropic-messages" {
        headers.insert(ANTHROPIC_VERSION.0.to_owned(), ANTHROPIC_VERSION.1.to_owned());
    }
    model.texts("headers", &mut headers)?;
    options.texts("headers", &mut headers)?;
    Ok(OpenAICompletionsOptions {
        api_key: Some(key_of(options, model, provider, &headers)?),
        temperature: options.number("temperature")?,
        max_tokens: options.count("max_tokens")?,
        reasoning_effort: effort_of(options)?,
        headers: Some(headers),
        ..OpenAICompletionsOptions::default()
    })
}

fn key_of(
    options: &At<'_>,
    model: &At<'_>,
    provider: &str,
    headers: &HashMap<String, String>,
) -> Result<String, RequestError> {
    let given = options.text_or("api_key", "")?.trim();
    if !given.is_empty() {
        return Ok(given.to_owned());
    }
    let known: Option<Provider> = provider.parse().ok();
    if let Some(key) = known
        .as_ref()
        .and_then(get_env_api_key)
        .filter(|key| !key.trim().is_empty())
    {
        return Ok(key.trim().to_owned());
    }
    if headers.contains_key("authorization") || is_loopback(model.text("base_url")?) {
        return Ok(NO_KEY.to_owned());
    }
    Err(RequestError::NoKey(provider.to_owned()))
}

/// Whether a URL names this machine.
fn is_loopback(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.starts_with("[::1]") || {
        let name = host.split(':').next().unwrap_or_default();
        name == "localhost" || (name.starts_with("127.") && name.parse::<std::net::Ipv4Addr>().is_ok())
    }
}

fn effort_of(options: &At<'_>) -> Result<Option<ReasoningEffort>, RequestError> {
    Ok(match options.text_or("reasoning_effort", "")? {
        "" => None,
        "minimal" => Some(ReasoningEffort::Minimal),
        "low" => Some(ReasoningEffort::Low),
        "medium" => Some(ReasoningEffort::Medium),
        "high" => Some(ReasoningEffort::High),
        "xhigh" => Some(ReasoningEffort::Xhigh),
        _ => {
            let problem = "the crate knows minimal, low, medium, high and xhigh";
            return Err(options.at("reasoning_effort").wrong(problem));
        }
    })
}

fn to_context(context: &At<'_>) -> Result<Context, RequestError> {
    let system_prompt = context.text_or("system_prompt", "")?;
    let mut messages = Vec::new();
    for message in context.items("messages")? {
        messages.extend(to_message(&message)?);
    }
    let tools: Vec<Tool> = context.items("tools")?.iter().map(to_tool).collect::<Result<_, _>>()?;
    Ok(Context {
        system_prompt: (!system_prompt.is_empty()).then(|| system_prompt.to_owned()),
        messages,
        tools: (!tools.is_empty()).then_some(tools),
    })
}

fn to_tool(tool: &At<'_>) -> Result<Tool, RequestError> {
    let parameters = tool.object("parameters")?.value();
    Ok(Tool::new(
        tool.text("name")?,
        tool.text_or("description", "")?,
        parameters
            .cloned()
            .unwrap_or_else(|| serde_json::json!({"type": "object", "properties": {}})),
    ))
}
