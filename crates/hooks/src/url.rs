//! Where a webhook is. Its path and query often carry a token, so nothing here shows them.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use hyper::Uri;

/// An `https://` or `http://` URL. Printed, in errors too, it is `scheme://host:port` only.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(Arc<Parts>);

#[derive(PartialEq, Eq)]
struct Parts {
    uri: Uri,
    host: String,
    port: u16,
    tls: bool,
    target: String,
}

/// A text is no URL for a webhook. The text itself is not repeated: it may carry a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It is no URL.
    #[error("this is no URL ({reason}); write https://host/path")]
    Malformed {
        /// What the parser said.
        reason: String,
    },
    /// It is neither https nor http.
    #[error("this URL is neither https:// nor http://")]
    Scheme,
    /// User and password stand in it.
    #[error(
        "a user or password stands before the host of this URL; that is not supported. Give the \
         receiver a token in the path or query, or check the signature"
    )]
    UserInfo,
}

impl WebhookUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// If it is none that could be used.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let malformed =
            |reason: &dyn fmt::Display| UrlError::Malformed { reason: reason.to_string() };
        let uri: Uri = text.trim().parse().map_err(|error| malformed(&error))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) => return Err(UrlError::Scheme),
            None => return Err(malformed(&"it does not begin with https://")),
        };
        let authority = uri.authority().ok_or_else(|| malformed(&"it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(UrlError::UserInfo);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(malformed(&"it has no host"));
        }
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => {
                if tls {
                    443
                } else {
                    80
                }
            }
            _ => authority
                .port_u16()
                .filter(|port| *port != 0)
                .ok_or_else(|| malformed(&"its port is none"))?,
        };
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        // `https://host?query` has no path, but a request has.
        let slash = if target.starts_with('/') { "" } else { "/" };
        let target = format!("{slash}{target}");
        Ok(Self(Arc::new(Parts { uri, host, port, tls, target })))
    }

    /// Whether the connection is encrypted.
    pub fn is_tls(&self) -> bool {
        self.0.tls
    }

    /// Whether its host is, as it is written, this machine.
    pub fn is_loopback(&self) -> bool {
        let ip = self.0.host.parse::<IpAddr>();
        ip.map_or_else(|_| self.0.host.eq_ignore_ascii_case("localhost"), |ip| ip.is_loopback())
    }

    pub(crate) fn host(&self) -> &str {
        &self.0.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port
    }

    /// What the `Host` header says.
    pub(crate) fn authority(&self) -> &str {
        self.0.uri.authority().map_or("", |authority| authority.as_str())
    }

    /// What is asked for: path and query.
    pub(crate) fn target(&self) -> &str {
        &self.0.target
    }

    /// A text of a stranger without what is secret in this URL: receivers like to repeat what they
    /// were asked for.
    pub(crate) fn without_secrets(&self, text: &str) -> String {
        /// A shorter part is an ordinary word.
        const SHORTEST: usize = 8;
        let target = self.target();
        let parts = target.split(['/', '?', '&', '=']).filter(|part| part.len() >= SHORTEST);
        let mut clean = text.to_owned();
        for secret in std::iter::once(target).filter(|target| target.len() > 1).chain(parts) {
            clean = clean.replace(secret, "<hidden>");
        }
        clean
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.0.tls { "https" } else { "http" };
        let bracketed = self.0.host.contains(':');
        let (open, close) = if bracketed { ("[", "]") } else { ("", "") };
        write!(f, "{scheme}://{open}{}{close}:{}", self.0.host, self.0.port)
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> WebhookUrl {
        WebhookUrl::parse(text).unwrap()
    }

    #[test]
    fn only_scheme_host_and_port_are_ever_shown() {
        let url = url("https://hooks.example.com/services/T0KEN-T0KEN?key=S3CRET-S3CRET");
        assert_eq!(url.to_string(), "https://hooks.example.com:443");
        assert!(!format!("{url:?}").contains("T0KEN"));
        assert_eq!(url.target(), "/services/T0KEN-T0KEN?key=S3CRET-S3CRET");
        let answer = "no /services/T0KEN-T0KEN?key=S3CRET-S3CRET; T0KEN-T0KEN or S3CRET-S3CRET?";
        assert_eq!(url.without_secrets(answer), "no <hidden>; <hidden> or <hidden>?");
    }

    #[test]
    fn hosts_and_ports_are_read_as_they_are_written() {
        for (text, shown, target, authority) in [
            ("http://[::1]:8080/x", "http://[::1]:8080", "/x", "[::1]:8080"),
            ("HTTPS://Example.com", "https://Example.com:443", "/", "Example.com"),
            ("http://10.0.0.1?a=b", "http://10.0.0.1:80", "/?a=b", "10.0.0.1"),
        ] {
            let url = url(text);
            assert_eq!(
                (&*url.to_string(), url.target(), url.authority()),
                (shown, target, authority)
            );
        }
    }

    #[test]
    fn this_machine_is_told_from_others_by_what_is_written() {
        for near in ["http://localhost/", "http://127.0.0.9/", "http://[::1]/"] {
            assert!(url(near).is_loopback(), "{near}");
        }
        for far in ["http://localhost.example.com/", "http://10.0.0.1/", "http://[::2]/"] {
            assert!(!url(far).is_loopback(), "{far}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused_without_being_repeated() {
        for text in [
            "",
            "hush",
            "https://",
            "/hush",
            "ftp://hush/",
            "https://a:hush@b/",
            "https://a:0/hush",
            "https://a:99999/hush",
            "https://a:/hush",
            "https://a b/hush",
        ] {
            let refused = WebhookUrl::parse(text).unwrap_err().to_string();
            assert!(!refused.contains("hush"), "{refused}");
        }
    }
}
