//! The API of a running Dockbell, as the command line calls it.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use dockbell_chassis::crypto::http_client;
use dockbell_console::Problem;
use dockbell_proto::secret::Secret;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder, Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// How long a connection may take: the API is close to its operator.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long a whole call may take.
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// The largest answer that is read, in bytes: a page of a hundred entries at their limits is far smaller.
const ANSWER_LIMIT: usize = 8 * 1024 * 1024;

/// Why a command did not succeed: one line for the operator. The exit code is 1.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The command line or environment names no usable API.
    #[error("{0}")]
    Settings(String),
    /// Nobody answered.
    #[error("cannot reach dockbell at {url}: {reason}; is `dockbell up` running? set --api-url/DOCKBELL_API_URL")]
    Unreachable {
        /// Where it should be.
        url: String,
        /// Why not.
        reason: String,
    },
    /// Dockbell refused the call.
    #[error("{}", in_words(.0))]
    Refused(Box<Problem>),
    /// Whoever answered is not Dockbell, or not of this version.
    #[error("{url} does not answer as dockbell does ({reason}); check --api-url/DOCKBELL_API_URL")]
    Strange {
        /// Who answered.
        url: String,
        /// What was strange.
        reason: String,
    },
    /// The test delivery was made, but not accepted.
    #[error("{0}")]
    NotAccepted(String),
    /// What the command is about is not there.
    #[error("{0}")]
    Nothing(String),
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// The problem as one line.
fn in_words(problem: &Problem) -> String {
    if problem.errors.is_empty() {
        return problem.detail.clone();
    }
    let errors: Vec<&str> = problem.errors.iter().map(|error| error.problem.as_str()).collect();
    format!("{}: {}", problem.detail, errors.join("; "))
}

/// Calls the API.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    token: Secret,
}

impl Client {
    /// A client of the API at `api_url`, below which `/api/v1` is. A TLS provider must be installed.
    /// `roots` are certificates (PEM), any of which may vouch for it, besides the system's.
    pub(crate) fn new(api_url: &str, roots: Option<&[u8]>, token: Secret) -> Result<Self, CliError> {
        let usable = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        let base = Url::parse(api_url).ok().filter(usable).ok_or_else(|| {
            CliError::Settings("--api-url/DOCKBELL_API_URL must be a URL such as http://127.0.0.1:8080".to_owned())
        })?;
        // The token must go nowhere but to that URL: neither through a proxy that the environment names, nor
        // after a redirect.
        let roots = match roots.map(reqwest::Certificate::from_pem_bundle) {
            None => Vec::new(),
            Some(Ok(roots)) if !roots.is_empty() => roots,
            Some(_) => {
                return Err(CliError::Settings(
                    "api_ca_file/DOCKBELL_API_CA_FILE holds no certificate (PEM)".to_owned(),
                ));
            }
        };
        let configured = || {
            let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
            builder.connect_timeout(CONNECT_LIMIT).timeout(CALL_LIMIT).tls_certs_merge(roots.clone())
        };
        let http = http_client(configured)
            .map_err(|error| CliError::Settings(format!("cannot prepare the connection: {}", root_cause(&error))))?;
        Ok(Self { http, base, token })
    }

    /// Reads what is at `path`; members of the query that have no value are left out.
    pub(crate) async fn get(&self, path: &[&str], query: &[(&str, Option<String>)]) -> Result<Value, CliError> {
        self.ask(Method::GET, path, query).await
    }

    /// As [`Client::get`], by another method.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, Option<String>)],
    ) -> Result<Value, CliError> {
        let mut url = self.url(path);
        for (name, value) in query {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        self.call(self.http.request(method, url)).await
    }

    /// Sends `body`, if there is one.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&impl Serialize>,
    ) -> Result<Value, CliError> {
        let mut request = self.http.request(method, self.url(path));
        if let Some(body) = body {
            let body = serde_json::to_vec(body).map_err(|error| CliError::Settings(error.to_string()))?;
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        self.call(request).await
    }

    /// Reads an answer as what it must be.
    pub(crate) fn read<T: DeserializeOwned>(&self, answer: &Value) -> Result<T, CliError> {
        T::deserialize(answer).map_err(|error| self.strange(error.to_string()))
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        url
    }

    async fn call(&self, request: RequestBuilder) -> Result<Value, CliError> {
        let response = request.bearer_auth(self.token.expose()).send().await;
        let mut response = response.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let body = self.body(&mut response).await?;
        if status.is_success() && body.is_empty() {
            return Ok(Value::Null);
        }
        let answer: Result<Value, _> = serde_json::from_slice(&body);
        match answer {
            Ok(answer) if status.is_success() => Ok(answer),
            Ok(answer) if status.is_client_error() || status.is_server_error() => {
                let problem = serde_json::from_value(answer);
                Err(CliError::Refused(problem.map_err(|_| self.strange(format!("HTTP {}", status.as_u16())))?))
            }
            _ => Err(self.strange(format!("HTTP {}", status.as_u16()))),
        }
    }

    async fn body(&self, response: &mut Response) -> Result<Vec<u8>, CliError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_LIMIT {
                return Err(self.strange(format!("more than {ANSWER_LIMIT} bytes")));
            }
        }
        Ok(body)
    }

    fn unreachable(&self, error: &reqwest::Error) -> CliError {
        let reason = if error.is_timeout() { "no answer in time".to_owned() } else { root_cause(error) };
        CliError::Unreachable { url: self.shown_base(), reason }
    }

    fn strange(&self, reason: String) -> CliError {
        CliError::Strange { url: self.shown_base(), reason }
    }

    /// Where the API is, without what may be a credential.
    fn shown_base(&self) -> String {
        self.base.origin().ascii_serialization()
    }
}

/// The innermost reason: what is around it repeats the URL and says "error".
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(inner) = cause.and_then(std::error::Error::source) {
        cause = Some(inner);
    }
    cause.map_or_else(|| "the call failed".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    fn client(api_url: &str) -> Result<Client, CliError> {
        dockbell_chassis::crypto::install_crypto_provider();
        Client::new(api_url, None, Secret::new("canary"))
    }

    /// What the client makes of an answer, and the request that it sent.
    async fn call(answer: &str) -> (Result<Value, CliError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = client(&format!("http://{}/behind/", listener.local_addr().unwrap())).unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        };
        let query = [("state", Some("dead".to_owned())), ("after", None)];
        tokio::join!(client.get(&["deliveries", "a/b"], &query), serve)
    }

    fn answer(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nlocation: /elsewhere\r\n\r\n{body}", body.len())
    }

    #[tokio::test]
    async fn the_token_and_the_query_are_sent() {
        let (result, request) = call(&answer("200 OK", "{\"a\":1}")).await;
        assert_eq!(result.unwrap(), json!({ "a": 1 }));
        assert!(request.starts_with("GET /behind/api/v1/deliveries/a%2Fb?state=dead HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("authorization: Bearer canary\r\n"), "{request}");
    }

    #[tokio::test]
    async fn a_problem_is_told_on_one_line() {
        let problem = json!({
            "type": "about:blank", "title": "t", "status": 422, "detail": "some members are not valid",
            "errors": [{ "member": "a", "problem": "a is bad" }, { "member": "b", "problem": "b is worse" }],
        });
        let (result, _) = call(&answer("422 Unprocessable Entity", &problem.to_string())).await;
        assert_eq!(result.unwrap_err().to_string(), "some members are not valid: a is bad; b is worse");
    }

    #[tokio::test]
    async fn who_is_not_dockbell_is_told_apart() {
        for (status, body) in
            [("200 OK", "<html>"), ("404 Not Found", "{}"), ("302 Found", ""), ("502 Bad Gateway", "")]
        {
            let (result, _) = call(&answer(status, body)).await;
            let error = result.unwrap_err().to_string();
            assert!(error.contains("does not answer as dockbell does (HTTP "), "{error}");
            assert!(error.contains("--api-url/DOCKBELL_API_URL") && !error.contains("canary"), "{error}");
        }
    }

    #[tokio::test]
    async fn when_nobody_answers_the_operator_is_told_what_to_check() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let error = client(&format!("http://{free}")).unwrap().get(&["webhooks"], &[]).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot reach dockbell at http://{free}: ")), "{error}");
        assert!(error.ends_with("is `dockbell up` running? set --api-url/DOCKBELL_API_URL"), "{error}");
    }

    #[test]
    fn what_is_no_url_of_an_api_is_refused() {
        for api_url in ["", "localhost:8080", "ftp://a", "/api", "http:"] {
            assert!(matches!(client(api_url), Err(CliError::Settings(_))), "{api_url:?}");
        }
    }
}
