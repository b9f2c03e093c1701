//! Pointing a replica to a source: `CHANGE MASTER TO`, `CHANGE REPLICATION SOURCE TO`.

use std::collections::BTreeMap;

use primacy_types::{Address, BinlogPosition, ChannelStatus, Millis, Positioning, ServerVersion};
use primacy_wire::{quote, quote_plain};
use secrecy::{ExposeSecret, SecretString};

use super::settings::{Kind, Needs, SETTINGS, Setting};
use super::{Dialect, Feature};

/// Where the replica starts to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// By GTID, in the way of the flavour. On MariaDB `CurrentPos` is its own way; everything
    /// else that is GTID is `slave_pos` there and auto-position on MySQL.
    Gtid(Positioning),
    /// At this place of the source's binary log, without GTID.
    Position(BinlogPosition),
    /// Where it stands: for a change that concerns only other settings.
    Unchanged,
}

/// Which threads are stopped while the change is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeScope {
    /// Both. **Drops what is in the relay log and not applied.**
    BothStopped,
    /// Only the receiver (MySQL 5.7 and later): the relay log stays, and settings that need the
    /// applier stopped are left as they are.
    ReceiverStopped,
}

/// All that a replica must know of its source.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// Where the source listens.
    pub source: Address,
    /// The replication account.
    pub user: String,
    /// Its password.
    pub password: SecretString,
    /// Where to start.
    pub start_at: StartAt,
    /// How often the source says that it lives. Always written: servers set it back to their
    /// default when the source changes.
    pub heartbeat_period: Millis,
    /// Seconds between two attempts to connect.
    pub connect_retry_seconds: u32,
    /// How often it is tried; `None` leaves it to `settings`. MariaDB has no such setting.
    pub retry_count: Option<u64>,
    /// Seconds that the applier stays behind on purpose.
    pub delay_seconds: u64,
    /// Ask the source for its RSA key (MySQL 8.0.4 and later, accounts of caching_sha2_password
    /// without TLS); `false` leaves it to `settings`.
    pub get_public_key: bool,
    /// What else is carried over: [`ChannelStatus::settings`], by keyword of either vocabulary.
    pub settings: BTreeMap<String, String>,
}

/// A statement that holds a password. `Debug` and [`ChangeSource::redacted`] do not show it.
#[derive(Clone, Debug)]
pub struct ChangeSource {
    sql: SecretString,
    redacted: String,
}

impl ChangeSource {
    /// The statement, for the server only.
    pub fn sql(&self) -> &str {
        self.sql.expose_secret()
    }

    /// The statement without the password, for logs and plans.
    pub fn redacted(&self) -> &str {
        &self.redacted
    }
}

/// The settings cannot be said in this server's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The server is too old, or of the other flavour, for a setting that is in use.
    #[error("{version} has no {keyword}, which is set to {value:?} where it was read")]
    Unsupported {
        /// The server.
        version: ServerVersion,
        /// The setting.
        keyword: String,
        /// Its value.
        value: String,
    },
    /// The value is not what the setting takes.
    #[error("{value:?} is no value for {keyword}")]
    BadValue {
        /// The setting.
        keyword: String,
        /// Its value.
        value: String,
    },
    /// A change with only the receiver stopped is not possible on this server.
    #[error("{0} cannot change its source while the applier runs: stop both threads")]
    NeedsBothStopped(ServerVersion),
    /// The place cannot be changed while the applier runs.
    #[error("a start by file and position needs both threads stopped")]
    PlaceNeedsBothStopped,
}

impl SourceSettings {
    /// The settings of a channel as it is, to be pointed elsewhere.
    pub fn of_channel(channel: &ChannelStatus, password: SecretString) -> Self {
        let start_at = match (channel.positioning, &channel.applied) {
            (Positioning::FileAndPosition, Some(place)) => StartAt::Position(place.clone()),
            (Positioning::FileAndPosition, None) => StartAt::Unchanged,
            (gtid, _) => StartAt::Gtid(gtid),
        };
        Self {
            source: channel.source.clone(),
            user: channel.user.clone(),
            password,
            start_at,
            heartbeat_period: channel.heartbeat_period.unwrap_or(Millis(1000)),
            connect_retry_seconds: channel.connect_retry_seconds,
            retry_count: None,
            delay_seconds: channel.delay_seconds,
            get_public_key: false,
            settings: channel.settings.clone(),
        }
    }
}

/// Collects `keyword = literal` pairs.
struct Clauses {
    list: Vec<String>,
    no_backslash_escapes: bool,
}

impl Clauses {
    fn text(&mut self, keyword: &str, value: &str) {
        self.raw(keyword, &quote_plain(value, self.no_backslash_escapes));
    }

    fn raw(&mut self, keyword: &str, value: &str) {
        self.list.push(format!("{keyword} = {value}"));
    }
}

impl Dialect {
    /// Points a channel to a source.
    ///
    /// `no_backslash_escapes`: what the session that runs it has in force
    /// (`Session::no_backslash_escapes`); the grammar takes only plain literals here.
    pub fn change_source(
        self,
        channel: &str,
        settings: &SourceSettings,
        scope: ChangeScope,
        no_backslash_escapes: bool,
    ) -> Result<ChangeSource, SourceError> {
        let both = scope == ChangeScope::BothStopped;
        if !both && !self.has(Feature::ReceiverOnlyChange) {
            return Err(SourceError::NeedsBothStopped(self.version()));
        }
        let p = self.pick(Feature::SourceWords, "SOURCE", "MASTER");
        let mut clauses = Clauses { list: Vec::new(), no_backslash_escapes };
        clauses.text(&format!("{p}_HOST"), settings.source.host());
        clauses.raw(&format!("{p}_PORT"), &settings.source.port().to_string());
        clauses.text(&format!("{p}_USER"), &settings.user);
        let password_at = clauses.list.len();
        clauses.text(&format!("{p}_PASSWORD"), "");
        self.place(&mut clauses, &settings.start_at, both)?;
        let Millis(heartbeat) = settings.heartbeat_period;
        let heartbeat = format!("{}.{:03}", heartbeat / 1000, heartbeat % 1000);
        clauses.raw(&format!("{p}_HEARTBEAT_PERIOD"), &heartbeat);
        clauses.raw(&format!("{p}_CONNECT_RETRY"), &settings.connect_retry_seconds.to_string());
        if both && self.has(Feature::Delay) {
            clauses.raw(&format!("{p}_DELAY"), &settings.delay_seconds.to_string());
        }
        for (key, value) in self.all_settings(settings) {
            self.carry_over(&mut clauses, &key, &value, &settings.start_at, both)?;
        }
        let head = if self.is_mariadb() {
            format!("CHANGE MASTER {} TO ", quote(channel))
        } else {
            self.pick(Feature::SourceWords, "CHANGE REPLICATION SOURCE TO ", "CHANGE MASTER TO ")
                .to_owned()
        };
        let statement = |password: String, list: &mut Vec<String>| {
            list[password_at] = format!("{p}_PASSWORD = {password}");
            format!("{head}{}{}", list.join(", "), self.for_channel(channel))
        };
        let secret = quote_plain(settings.password.expose_secret(), no_backslash_escapes);
        Ok(ChangeSource {
            redacted: statement("'***'".to_owned(), &mut clauses.list),
            sql: statement(secret, &mut clauses.list).into(),
        })
    }

    fn place(self, out: &mut Clauses, start: &StartAt, both: bool) -> Result<(), SourceError> {
        let p = self.pick(Feature::SourceWords, "SOURCE", "MASTER");
        match start {
            StartAt::Unchanged => {}
            // MySQL refuses SOURCE_AUTO_POSITION while the applier runs, and keeps it.
            StartAt::Gtid(_) if !both => {}
            StartAt::Gtid(Positioning::CurrentPos) if self.is_mariadb() => {
                out.raw("MASTER_USE_GTID", "current_pos");
            }
            StartAt::Gtid(_) if self.is_mariadb() => out.raw("MASTER_USE_GTID", "slave_pos"),
            StartAt::Gtid(_) => out.raw(&format!("{p}_AUTO_POSITION"), "1"),
            StartAt::Position(_) if !both => return Err(SourceError::PlaceNeedsBothStopped),
            StartAt::Position(place) => {
                if self.is_mariadb() {
                    out.raw("MASTER_USE_GTID", "no");
                } else {
                    out.raw(&format!("{p}_AUTO_POSITION"), "0");
                }
                out.text(&format!("{p}_LOG_FILE"), &place.file);
                out.raw(&format!("{p}_LOG_POS"), &place.offset.to_string());
            }
        }
        Ok(())
    }

    /// The map, with the fields that stand beside it put in.
    fn all_settings(self, settings: &SourceSettings) -> BTreeMap<String, String> {
        let mut all = settings.settings.clone();
        let mut put = |keyword: &str, value: String| {
            all.retain(|key, _| key.replacen("MASTER", "SOURCE", 1) != keyword);
            all.insert(keyword.to_owned(), value);
        };
        if let Some(count) = settings.retry_count.filter(|_| self.has(Feature::RetryCount)) {
            put("SOURCE_RETRY_COUNT", count.to_string());
        }
        if settings.get_public_key && self.has(Feature::PublicKey) {
            put("GET_SOURCE_PUBLIC_KEY", "1".to_owned());
        }
        all
    }

    fn carry_over(
        self,
        out: &mut Clauses,
        key: &str,
        value: &str,
        start: &StartAt,
        both: bool,
    ) -> Result<(), SourceError> {
        let bad = || SourceError::BadValue { keyword: key.to_owned(), value: value.to_owned() };
        let known: Option<&Setting> =
            SETTINGS.iter().find(|setting| setting.is(key) && self.has(setting.since));
        let Some(setting) = known else {
            if ["", "0", "OFF"].contains(&value) {
                return Ok(());
            }
            let (keyword, value) = (key.to_owned(), value.to_owned());
            return Err(SourceError::Unsupported { version: self.version(), keyword, value });
        };
        if setting.needs == Needs::Both && !both {
            return Ok(());
        }
        let keyword = setting.keyword(self);
        match setting.kind {
            // MySQL has no use for it with GTID, and refuses it (error 3139).
            Kind::Ids if !self.is_mariadb() && !matches!(start, StartAt::Position(_)) => {}
            Kind::Ids => {
                let ids: Result<Vec<u32>, _> =
                    value.split(',').map(|id| id.trim().parse()).collect();
                let ids: Vec<String> =
                    ids.map_err(|_| bad())?.iter().map(ToString::to_string).collect();
                out.raw(&keyword, &format!("({})", ids.join(",")));
            }
            Kind::Switch | Kind::Number => {
                let number: u64 = value.parse().map_err(|_| bad())?;
                out.raw(&keyword, &number.to_string());
            }
            Kind::Text => out.text(&keyword, value),
            Kind::Account => {
                let (user, host) = value.rsplit_once('@').ok_or_else(bad)?;
                let bare = |part: &str| part.trim_matches(['\'', '`', '"']).to_owned();
                let quoted = |part: &str| quote_plain(&bare(part), out.no_backslash_escapes);
                let account = format!("{}@{}", quoted(user), quoted(host));
                out.raw(&keyword, &account);
            }
            Kind::Word if value.chars().all(|c| c.is_ascii_uppercase() || c == '_') => {
                out.raw(&keyword, value);
            }
            // The UUID of ASSIGN_GTIDS_TO_ANONYMOUS_TRANSACTIONS.
            Kind::Word => out.text(&keyword, value),
        }
        Ok(())
    }
}
