//! Where a webhook is, as far as it can be judged without asking anybody. Its path and query often
//! carry a token: only `show`, which writes the file again, prints them.

use std::fmt;
use std::net::IpAddr;

/// An `https://` or `http://` URL. Its `Debug` and `Display` are `scheme://host` only.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    text: String,
    tls: bool,
}

/// A text is no URL for a webhook. The text itself is not repeated: it may carry a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    #[error("this URL is neither https:// nor http://")]
    Scheme,
    #[error("this URL has no host")]
    Host,
    #[error("this URL holds a blank")]
    Blank,
    #[error(
        "a user or password stands before the host of this URL; that is not supported: a token goes \
         into the path or query, or check the signature"
    )]
    UserInfo,
}

impl Url {
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        let begins = |scheme: &str| {
            text.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme))
        };
        let tls = match (begins("https://"), begins("http://")) {
            (true, _) => true,
            (_, true) => false,
            _ => return Err(UrlError::Scheme),
        };
        let url = Self { text: text.to_owned(), tls };
        if text.contains(char::is_whitespace) {
            return Err(UrlError::Blank);
        }
        if url.authority().contains('@') {
            return Err(UrlError::UserInfo);
        }
        if url.host().is_empty() {
            return Err(UrlError::Host);
        }
        Ok(url)
    }

    /// All of it, for whoever connects.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the connection is encrypted.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Whether its host is, as it is written, this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let ip = self.host().parse::<IpAddr>();
        ip.map_or_else(|_| self.host().eq_ignore_ascii_case("localhost"), |ip| ip.is_loopback())
    }

    fn authority(&self) -> &str {
        let after = self.text.split_once("://").map_or("", |(_, rest)| rest);
        after.split(['/', '?', '#']).next().unwrap_or_default()
    }

    fn host(&self) -> &str {
        let authority = self.authority();
        match authority.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scheme_and_host_are_shown() {
        let url = Url::parse("HTTPS://Hooks.example.com:8443/services/TOKEN?key=TOKEN").unwrap();
        assert_eq!(url.to_string(), "https://Hooks.example.com:8443");
        assert!(url.is_tls() && !format!("{url:?}").contains("TOKEN"));
    }

    #[test]
    fn this_machine_is_told_from_others_by_what_is_written() {
        let near = |text| Url::parse(text).unwrap().is_loopback();
        assert!(
            near("http://localhost/") && near("http://127.0.0.9:80") && near("http://[::1]:8/")
        );
        assert!(!near("http://localhost.example.com/") && !near("http://[::2]/"));
    }

    #[test]
    fn what_is_no_url_is_refused_without_being_repeated() {
        for text in
            ["", "hush", "https://", "/hush", "ftp://hush/", "https://a:hush@b/", "http://a hush"]
        {
            let refused = Url::parse(text).unwrap_err().to_string();
            assert!(!refused.contains("hush"), "{refused}");
        }
    }
}
