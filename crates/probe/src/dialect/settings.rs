//! What a CHANGE of source must carry over, as a table: the keyword, where it is read, how it is
//! written, and with which threads stopped it may be written.

use std::collections::BTreeMap;

use primacy_wire::Row;

use super::{Column, Dialect, Feature};

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `1` or `0`.
    Switch,
    /// A string.
    Text,
    /// A number.
    Number,
    /// `(1,2)`.
    Ids,
    /// A bare word, such as `STREAM`.
    Word,
    /// `'user'@'host'`.
    Account,
}

/// Which threads must be stopped to write it (MySQL; elsewhere always both).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    Receiver,
    Both,
}

/// One setting.
pub(crate) struct Setting {
    /// Keyword of the CHANGE statement; `{}` is SOURCE or MASTER.
    pub(crate) keyword: &'static str,
    /// Column of the replica status.
    status: Option<Column>,
    /// Column of MySQL's tables.
    table: Option<&'static str>,
    pub(crate) kind: Kind,
    pub(crate) needs: Needs,
    pub(crate) since: Feature,
}

const fn both(
    keyword: &'static str,
    modern: &'static str,
    old: &'static str,
    table: &'static str,
    kind: Kind,
) -> Setting {
    let status = Some(Column(modern, old));
    let table = Some(table);
    Setting { keyword, status, table, kind, needs: Needs::Receiver, since: Feature::Always }
}

const fn table(
    keyword: &'static str,
    column: &'static str,
    kind: Kind,
    needs: Needs,
    since: Feature,
) -> Setting {
    Setting { keyword, status: None, table: Some(column), kind, needs, since }
}

const fn ids(keyword: &'static str, column: &'static str, since: Feature) -> Setting {
    let status = Some(Column(column, column));
    Setting { keyword, status, table: None, kind: Kind::Ids, needs: Needs::Receiver, since }
}

impl Setting {
    const fn since(mut self, feature: Feature) -> Self {
        self.since = feature;
        self
    }
}

/// All settings that are carried over. Host, port, account, place, delay, heartbeat period and
/// connect retry stand in fields of their own.
#[rustfmt::skip]
pub(crate) const SETTINGS: &[Setting] = {
    use Feature as F;
    use Kind::{Account, Number, Switch, Text, Word};
    use Needs::{Both, Receiver};
    &[
        both("{}_SSL", "Source_SSL_Allowed", "Master_SSL_Allowed", "SSL_ALLOWED", Switch),
        both("{}_SSL_CA", "Source_SSL_CA_File", "Master_SSL_CA_File", "SSL_CA_FILE", Text),
        both("{}_SSL_CAPATH", "Source_SSL_CA_Path", "Master_SSL_CA_Path", "SSL_CA_PATH", Text),
        both("{}_SSL_CERT", "Source_SSL_Cert", "Master_SSL_Cert", "SSL_CERTIFICATE", Text),
        both("{}_SSL_KEY", "Source_SSL_Key", "Master_SSL_Key", "SSL_KEY", Text),
        both("{}_SSL_CIPHER", "Source_SSL_Cipher", "Master_SSL_Cipher", "SSL_CIPHER", Text),
        both("{}_SSL_CRL", "Source_SSL_Crl", "Master_SSL_Crl", "SSL_CRL_FILE", Text),
        both("{}_SSL_CRLPATH", "Source_SSL_Crlpath", "Master_SSL_Crlpath", "SSL_CRL_PATH", Text),
        both("{}_SSL_VERIFY_SERVER_CERT", "Source_SSL_Verify_Server_Cert", "Master_SSL_Verify_Server_Cert", "SSL_VERIFY_SERVER_CERTIFICATE", Switch),
        both("{}_RETRY_COUNT", "Source_Retry_Count", "Master_Retry_Count", "CONNECTION_RETRY_COUNT", Number).since(F::RetryCount),
        both("{}_BIND", "Source_Bind", "Master_Bind", "NETWORK_INTERFACE", Text).since(F::Bind),
        both("{}_TLS_VERSION", "Source_TLS_Version", "Master_TLS_Version", "TLS_VERSION", Text).since(F::TlsVersion),
        both("{}_PUBLIC_KEY_PATH", "Source_public_key_path", "Master_public_key_path", "PUBLIC_KEY_PATH", Text).since(F::PublicKey),
        both("GET_{}_PUBLIC_KEY", "Get_Source_public_key", "Get_master_public_key", "GET_PUBLIC_KEY", Switch).since(F::PublicKey),
        both("NETWORK_NAMESPACE", "Network_Namespace", "Network_Namespace", "NETWORK_NAMESPACE", Text).since(F::NetworkNamespace),
        table("{}_TLS_CIPHERSUITES", "TLS_CIPHERSUITES", Text, Receiver, F::TlsCipherSuites),
        table("{}_COMPRESSION_ALGORITHMS", "COMPRESSION_ALGORITHM", Text, Receiver, F::Compression),
        table("{}_ZSTD_COMPRESSION_LEVEL", "ZSTD_COMPRESSION_LEVEL", Number, Receiver, F::Compression),
        table("PRIVILEGE_CHECKS_USER", "PRIVILEGE_CHECKS_USER", Account, Both, F::PrivilegeChecks),
        table("REQUIRE_ROW_FORMAT", "REQUIRE_ROW_FORMAT", Switch, Both, F::RowFormatCheck),
        table("REQUIRE_TABLE_PRIMARY_KEY_CHECK", "REQUIRE_TABLE_PRIMARY_KEY_CHECK", Word, Both, F::PrimaryKeyCheck),
        table("ASSIGN_GTIDS_TO_ANONYMOUS_TRANSACTIONS", "ASSIGN_GTIDS_TO_ANONYMOUS_TRANSACTIONS_TYPE", Word, Both, F::AssignGtids),
        table("SOURCE_CONNECTION_AUTO_FAILOVER", "SOURCE_CONNECTION_AUTO_FAILOVER", Switch, Both, F::AutoFailover),
        table("GTID_ONLY", "GTID_ONLY", Switch, Both, F::GtidOnly),
        ids("IGNORE_SERVER_IDS", "Replicate_Ignore_Server_Ids", F::Always),
        ids("DO_DOMAIN_IDS", "Replicate_Do_Domain_Ids", F::DomainIds),
        ids("IGNORE_DOMAIN_IDS", "Replicate_Ignore_Domain_Ids", F::DomainIds),
    ]
};

impl Setting {
    /// The keyword as this server writes it.
    pub(crate) fn keyword(&self, dialect: Dialect) -> String {
        self.keyword.replace("{}", dialect.pick(Feature::SourceWords, "SOURCE", "MASTER"))
    }

    /// Whether `key` is this setting, under either vocabulary.
    pub(crate) fn is(&self, key: &str) -> bool {
        ["SOURCE", "MASTER"].iter().any(|word| self.keyword.replace("{}", word) == key)
    }

    /// The value that a channel has; `None` if the server does not say, or says "none".
    fn read(&self, status: &Row, tables: Option<&Row>) -> Option<String> {
        let from_table = || self.table.and_then(|column| tables?.get(column));
        let value = self.status.and_then(|column| column.of(status)).or_else(from_table)?;
        let word = value.to_ascii_uppercase();
        match self.kind {
            Kind::Switch => Some(if ["YES", "1", "IGNORED"].contains(&&*word) { "1" } else { "0" }),
            Kind::Word if word == "UUID" => {
                tables?.get("ASSIGN_GTIDS_TO_ANONYMOUS_TRANSACTIONS_VALUE")
            }
            Kind::Text | Kind::Ids | Kind::Account if value.is_empty() => None,
            _ => Some(value),
        }
        .map(str::to_owned)
    }
}

/// The settings of a channel by keyword, as texts without quotes.
pub(crate) fn read_settings(
    dialect: Dialect,
    status: &Row,
    tables: Option<&Row>,
) -> BTreeMap<String, String> {
    SETTINGS
        .iter()
        .filter(|setting| dialect.has(setting.since))
        .filter_map(|setting| Some((setting.keyword(dialect), setting.read(status, tables)?)))
        .collect()
}
