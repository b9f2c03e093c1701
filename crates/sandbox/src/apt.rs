//! The machine's own package sources: which mirror serves the Debian archive here.
//!
//! Reads text only. Both forms of `sources.list(5)` are understood: one line each (`.list`) and
//! stanzas (`.sources`).

/// One place that packages come from: a line, or one URI and suite of a stanza.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) uri: String,
    pub(crate) suite: String,
    pub(crate) components: Vec<String>,
    /// `Signed-By`: a keyring's path. An embedded key counts as none.
    pub(crate) signed_by: Option<String>,
}

/// The sources of a `.list` file.
pub(crate) fn parse_list(text: &str) -> Vec<Source> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Source> {
    let line = line.split('#').next()?.trim();
    let rest = line.strip_prefix("deb")?.strip_prefix([' ', '\t'])?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let signed_by = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
    let mut words = rest.split_whitespace().map(str::to_owned);
    Some(Source {
        uri: words.next()?,
        suite: words.next()?,
        components: words.collect(),
        signed_by: signed_by.and_then(keyring),
    })
}

/// The sources of a `.sources` (deb822) file.
pub(crate) fn parse_deb822(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut stanza: Vec<(String, String)> = Vec::new();
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            sources.extend(expand(&stanza));
            stanza.clear();
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = stanza.last_mut() {
                value.push('\n');
                value.push_str(line.trim());
            }
        } else if let Some((key, value)) = line.split_once(':') {
            stanza.push((key.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    sources
}

fn expand(stanza: &[(String, String)]) -> Vec<Source> {
    let field = |name: &str| {
        stanza.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    };
    let enabled = !matches!(field("enabled"), "no" | "false" | "0");
    if !enabled || !field("types").split_whitespace().any(|kind| kind == "deb") {
        return Vec::new();
    }
    let pairs = field("uris")
        .split_whitespace()
        .flat_map(|uri| field("suites").split_whitespace().map(move |suite| (uri, suite)));
    pairs
        .map(|(uri, suite)| Source {
            uri: uri.to_owned(),
            suite: suite.to_owned(),
            components: field("components").split_whitespace().map(str::to_owned).collect(),
            signed_by: keyring(field("signed-by")),
        })
        .collect()
}

fn keyring(value: &str) -> Option<String> {
    value.starts_with('/').then(|| value.to_owned())
}

/// The source whose suite is this release itself: the mirror of the Debian archive.
///
/// Third parties' repositories name suites of their own, or a release's name with a prefix; one
/// that uses the very name has neither the component `main` nor, usually, a path that ends in
/// `debian`, which is preferred.
pub(crate) fn debian_mirror<'a>(sources: &'a [Source], codename: &str) -> Option<&'a Source> {
    let of_release = || {
        sources
            .iter()
            .filter(|s| s.suite == codename && s.components.iter().any(|part| part == "main"))
    };
    of_release()
        .find(|s| s.uri.trim_end_matches('/').ends_with("/debian"))
        .or_else(|| of_release().find(|s| by_debian(s)))
        .or_else(|| of_release().find(|s| s.signed_by.is_none()))
}

fn by_debian(source: &Source) -> bool {
    source.signed_by.as_deref().is_some_and(|keyring| keyring.contains("debian-archive"))
}

/// The release's code name in the text of `/etc/os-release`, on Debian only.
pub(crate) fn debian_codename(os_release: &str) -> Option<String> {
    let field = |name: &str| {
        os_release.lines().find_map(|line| {
            let value = line.strip_prefix(name)?.strip_prefix('=')?;
            Some(value.trim_matches(['"', '\'']).to_owned())
        })
    };
    let is_debian = field("ID").is_some_and(|id| id == "debian");
    is_debian.then(|| field("VERSION_CODENAME")).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANZAS: &str = "Types: deb
# a remark
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb deb-src
Enabled: no
URIs: http://off.example/debian
Suites: bookworm
Components: main
";

    #[test]
    fn a_stanza_yields_each_uri_with_each_suite() {
        let sources = parse_deb822(STANZAS);
        let suites: Vec<_> = sources.iter().map(|s| s.suite.as_str()).collect();
        assert_eq!(suites, ["bookworm", "bookworm-updates", "bookworm-security"]);
        let mirror = debian_mirror(&sources, "bookworm").unwrap();
        assert_eq!(mirror.uri, "http://mirror.example/debian");
        assert!(mirror.signed_by.as_deref().unwrap().ends_with("debian-archive-keyring.gpg"));
    }

    #[test]
    fn lines_with_and_without_options() {
        let sources = parse_list(
            "# deb http://no.example/debian bookworm main\n\
             deb https://third.example/apt vendor-bookworm main\n\
             deb [arch=amd64 signed-by=/k.gpg] http://a.example/x bookworm stable\n\
             deb-src http://b.example/debian bookworm main\n\
             deb\thttp://c.example/debian/ bookworm main contrib # ours\n",
        );
        assert_eq!(sources.len(), 3);
        assert_eq!(sources[1].signed_by.as_deref(), Some("/k.gpg"));
        assert_eq!(sources[2].components, ["main", "contrib"]);
        assert_eq!(debian_mirror(&sources, "bookworm").unwrap().uri, "http://c.example/debian/");
    }

    #[test]
    fn a_vendor_that_uses_the_release_name_is_not_the_archive() {
        let vendor = "deb [signed-by=/v.gpg] https://v.example/repo bookworm main";
        assert_eq!(debian_mirror(&parse_list(vendor), "bookworm"), None);
    }

    #[test]
    fn an_embedded_key_is_not_a_path() {
        let text = "Types: deb\nURIs: http://m/debian\nSuites: sid\nComponents: main\n\
                    Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n";
        assert_eq!(parse_deb822(text)[0].signed_by, None);
    }

    #[test]
    fn only_debian_has_a_debian_codename() {
        let text = "ID=debian\nVERSION_CODENAME=bookworm\n";
        assert_eq!(debian_codename(text).as_deref(), Some("bookworm"));
        assert_eq!(debian_codename("ID=ubuntu\nVERSION_CODENAME=noble\n"), None);
    }
}
