//! Options of `primacy check-vip`.

use std::time::Duration;

use clap::Args;
use primacy_health::HealthUrl;
use primacy_types::Address;

/// `primacy check-vip`
#[derive(Debug, Args)]
pub(crate) struct CheckVip {
    /// The health address to ask, of the agent of this host or of a manager [default: what the
    /// configuration says]
    #[arg(long, value_name = "http://HOST:PORT")]
    pub(crate) url: Option<HealthUrl>,
    /// This host's server, as the manager's configuration has it; may be left out if the agent looks
    /// after one server only
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) server: Option<Address>,
    /// Its cluster, where a manager with several is asked
    #[arg(long, value_name = "CLUSTER")]
    pub(crate) cluster: Option<String>,
    /// After so long the answer is no; shorter than the caller's own patience
    #[arg(long, value_name = "TIME", default_value = "900ms", value_parser = deadline)]
    pub(crate) deadline: Duration,
}

fn deadline(text: &str) -> Result<Duration, String> {
    match primacy_health::duration(text) {
        Some(limit) if (10..=60_000).contains(&limit.0) => Ok(limit.as_duration()),
        _ => Err("a deadline is 10ms to 60s, as in 900ms or 2s".to_owned()),
    }
}
