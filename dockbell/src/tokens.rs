//! `dockbell tokens` and `dockbell audit`: who may call, and who changed what.

use std::io::{Read, Write};

use dockbell_chassis::config::parse_duration;
use dockbell_console::{AuditedView, CreatedToken, NewToken, PageView, TokenView};
use dockbell_proto::ids::TokenId;
use dockbell_proto::pattern::Pattern;
use dockbell_proto::token::{Permission, TokenHash};
use jiff::Timestamp;
use reqwest::Method;

use crate::client::{CliError, Client};
use crate::deliveries::{Page, show_next};
use crate::present::{self, or_nothing, time};

/// The longest token that is hashed, in bytes.
const TOKEN_LIMIT: u64 = 4096;

/// Make tokens, look at them, revoke them.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a token and print it, this once
    Create(Create),
    /// List tokens, oldest first
    List(Page),
    /// Show a token, without what its bearer presents
    Show {
        /// The token's id
        #[arg(value_parser = TokenId::parse)]
        id: TokenId,
    },
    /// Revoke a token
    Revoke {
        /// The token's id
        #[arg(value_parser = TokenId::parse)]
        id: TokenId,
    },
    /// Print the hash of a token (on standard input), which can be set as `admin_token` in place of it
    Hash,
}

/// What the token is to be.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// Whom it is for
    name: String,
    /// The repositories that it reaches: `team/app`, `team/*` or `*`; may be given several times
    #[arg(long = "repository", value_name = "PATTERN", value_parser = Pattern::parse, required_unless_present = "operator", conflicts_with = "operator")]
    repositories: Vec<Pattern>,
    /// What it permits there: `read`, `write` (which includes it) or `ingest`; may be given several times
    #[arg(long = "permit", value_name = "PERMISSION", value_parser = permission, required_unless_present = "operator", conflicts_with = "operator")]
    permissions: Vec<Permission>,
    /// Make it an operator's, who may do everything
    #[arg(long)]
    operator: bool,
    /// How long it counts, such as 90d; for ever, if left out
    #[arg(long, value_name = "DURATION", value_parser = span)]
    expires_in: Option<std::time::Duration>,
}

fn permission(text: &str) -> Result<Permission, String> {
    Permission::parse(text).ok_or_else(|| "it must be read, write or ingest".to_owned())
}

fn span(text: &str) -> Result<std::time::Duration, String> {
    parse_duration(text).ok_or_else(|| "it must be a duration such as 12h or 90d".to_owned())
}

impl Command {
    /// Carries the command out. `now` is the time from which the life of a new token counts.
    pub(crate) async fn run(
        self,
        client: &Client,
        output: &mut impl Write,
        json: bool,
        now: Timestamp,
    ) -> Result<(), CliError> {
        match self {
            Self::Create(create) => create.run(client, output, json, now).await,
            Self::List(page) => list(client, &page, output, json).await,
            Self::Show { id } => show(client, &id, output, json).await,
            Self::Revoke { id } => {
                client.ask(Method::DELETE, &["tokens", id.as_str()], &[]).await?;
                if json { Ok(()) } else { Ok(writeln!(output, "revoked {id}")?) }
            }
            Self::Hash => Ok(()),
        }
    }
}

/// Prints the hash of the token that is read. It needs no settings, and nothing keeps the token.
pub(crate) fn print_hash(input: impl Read, output: &mut impl Write) -> Result<(), CliError> {
    let mut token = String::new();
    input.take(TOKEN_LIMIT).read_to_string(&mut token)?;
    let token = token.trim();
    if token.is_empty() {
        return Err(CliError::Settings("give the token on standard input".to_owned()));
    }
    Ok(writeln!(output, "{}", TokenHash::of(token))?)
}

impl Create {
    async fn run(self, client: &Client, output: &mut impl Write, json: bool, now: Timestamp) -> Result<(), CliError> {
        let too_long = || CliError::Settings("--expires-in reaches beyond all calendars".to_owned());
        let expires_at = self.expires_in.map(|span| now.checked_add(span).map_err(|_| too_long())).transpose()?;
        let body = NewToken {
            name: self.name,
            repositories: self.repositories.iter().map(ToString::to_string).collect(),
            permissions: self.permissions.into_iter().map(Permission::as_str).map(str::to_owned).collect(),
            operator: self.operator,
            expires_at,
        };
        let answer = client.send(Method::POST, &["tokens"], Some(&body)).await?;
        if json {
            return Ok(present::json(output, &answer)?);
        }
        let CreatedToken { view, token } = client.read(&answer)?;
        let mut fields = fields(&view);
        fields.push(("token", token));
        present::fields(output, &fields)?;
        Ok(writeln!(output, "\nThe token is shown this once. It is presented as `Authorization: Bearer <token>`.")?)
    }
}

fn parameters(page: &Page) -> [(&'static str, Option<String>); 2] {
    [("limit", Some(page.limit.to_string())), ("after", page.after.clone())]
}

async fn list(client: &Client, page: &Page, output: &mut impl Write, json: bool) -> Result<(), CliError> {
    let answer = client.get(&["tokens"], &parameters(page)).await?;
    if json {
        return Ok(present::json(output, &answer)?);
    }
    let page: PageView<TokenView> = client.read(&answer)?;
    let row =
        |token: TokenView| [token.id.clone(), token.name.clone(), reach(&token), permitted(&token), expiry(&token)];
    present::table(
        output,
        ["ID", "NAME", "REPOSITORIES", "PERMITS", "EXPIRES"],
        page.items.into_iter().map(row).collect(),
    )?;
    Ok(show_next(output, page.next)?)
}

async fn show(client: &Client, id: &TokenId, output: &mut impl Write, json: bool) -> Result<(), CliError> {
    let answer = client.get(&["tokens", id.as_str()], &[]).await?;
    if json {
        return Ok(present::json(output, &answer)?);
    }
    Ok(present::fields(output, &fields(&client.read(&answer)?))?)
}

fn fields(token: &TokenView) -> Vec<(&'static str, String)> {
    vec![
        ("id", token.id.clone()),
        ("name", token.name.clone()),
        ("repositories", reach(token)),
        ("permits", permitted(token)),
        ("made", time(token.created_at)),
        ("expires", expiry(token)),
    ]
}

fn reach(token: &TokenView) -> String {
    if token.operator { "everything".to_owned() } else { token.repositories.join(", ") }
}

fn permitted(token: &TokenView) -> String {
    if token.operator { "everything".to_owned() } else { token.permissions.join(", ") }
}

fn expiry(token: &TokenView) -> String {
    match token.expires_at {
        None => "never".to_owned(),
        Some(at) if token.expired => format!("{} (over)", time(at)),
        Some(at) => time(at),
    }
}

/// Lists who changed what.
pub(crate) async fn audit(client: &Client, page: &Page, output: &mut impl Write, json: bool) -> Result<(), CliError> {
    let answer = client.get(&["audit"], &parameters(page)).await?;
    if json {
        return Ok(present::json(output, &answer)?);
    }
    let page: PageView<AuditedView> = client.read(&answer)?;
    let row = |change: AuditedView| {
        let who = match (change.token, change.token_name) {
            (Some(id), Some(name)) => format!("{name} ({id})"),
            _ => "operator".to_owned(),
        };
        [
            time(change.at),
            who,
            or_nothing(change.address),
            change.action,
            or_nothing(change.subject),
            or_nothing(change.repository),
            change.members.join(", "),
        ]
    };
    let heads = ["AT", "WHO", "FROM", "ACTION", "OF", "REPOSITORY", "MEMBERS"];
    present::table(output, heads, page.items.into_iter().map(row).collect())?;
    Ok(show_next(output, page.next)?)
}
