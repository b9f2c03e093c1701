//! Servers and how their hosts are reached: over ssh, as MHA does.

use primacy_types::{Address, SshOption};

use super::Making;
use crate::model::{Block, Notice};

/// MHA accepts the key of any host. Here a host that is not known yet is accepted, and one whose key
/// has changed is not.
const HOST_KEYS: &str = "-oStrictHostKeyChecking=accept-new";

/// What ssh is told by MHA's users and what makes no difference here: there is no terminal, no
/// question and nothing printed anyway.
const WITHOUT_EFFECT: &[&str] =
    &["-q", "-n", "-T", "-t", "-tt", "-v", "-vv", "-vvv", "-x", "-a", "-k"];

/// What an `ssh_options` says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    user: Option<String>,
    port: Option<String>,
    options: Vec<String>,
    dropped: Vec<String>,
}

impl Making<'_> {
    pub(super) fn hosts(&mut self) {
        let mha = self.mha;
        self.out.comment("As MHA does: over ssh, or not at all. An agent on each host is better.");
        self.out.key("host_access", "\"ssh\"", None);
        let last = mha.servers.last().unwrap_or(&mha.defaults);
        let shared = &mha.defaults;
        let place = last.written("ssh_options").cloned();
        let said = read_options(&last.text("ssh_options").unwrap_or_default());
        if mha.servers.iter().any(|block| block.value("ssh_options") != last.value("ssh_options")) {
            let text = "`ssh_options` differ between servers: those of the last one count for all, \
                        as with MHA";
            self.notices.push(Notice { place: place.clone(), text: text.to_owned() });
        }
        for option in &said.dropped {
            let text = format!("`ssh_options`: {option} makes no difference here and is left out");
            self.notices.push(Notice { place: place.clone(), text });
        }
        let user = shared.filled("ssh_user").or(said.user);
        if let Some(user) = user {
            let from = shared.written("ssh_user").or(place.as_ref()).cloned();
            self.out.text_key("ssh_user", &user, from.as_ref());
        }
        if let Some(from) = shared.written("ssh_port").cloned() {
            let port = shared.number("ssh_port").unwrap_or(22);
            self.out.key("ssh_port", &port.to_string(), Some(&from));
        } else if let Some(port) = said.port {
            self.out.key("ssh_port", &port, place.as_ref());
        }
        let mut options = said.options;
        let decided = |option: &String| {
            option.starts_with("-F")
                || option.to_ascii_lowercase().contains("stricthostkeychecking")
        };
        if !options.iter().any(decided) {
            options.insert(0, HOST_KEYS.to_owned());
        }
        self.out.list_key("ssh_options", &options, place.as_ref());
    }

    pub(super) fn server(&mut self, block: &Block) {
        let place = block.place.clone();
        self.out.item(&format!("cluster.{}.server", self.cluster), place.as_ref());
        let from = block.written("ip").or(block.written("hostname")).cloned();
        let address = Address::new(block.host(), block.port());
        let label =
            block.filled("node_label").map(|label| format!(" ({label})")).unwrap_or_default();
        let name = block.hostname();
        let alias = if block.filled("ip").is_some() { format!(": {name}") } else { String::new() };
        self.out.comment(&format!("[{}]{alias}{label}", block.name));
        self.out.text_key("address", &address.to_string(), from.as_ref());
        match (block.flag("no_master"), block.flag("candidate_master")) {
            (true, candidate) => {
                self.out.key("promotion", "\"never\"", block.written("no_master"));
                if candidate {
                    let text = "`candidate_master` and `no_master`: it is never promoted";
                    let place = block.written("no_master").cloned();
                    self.notices.push(Notice { place, text: text.to_owned() });
                }
            }
            (false, true) => {
                self.out.key("promotion", "\"prefer\"", block.written("candidate_master"));
            }
            (false, false) => {}
        }
        if block.written("ignore_fail").is_some() {
            let flag = block.flag("ignore_fail").to_string();
            self.out.key("ignore_failure", &flag, block.written("ignore_fail"));
        }
        self.own_ssh(block);
    }

    /// The folders of a `[binlogN]`, each as a place of its own: MHA looks into one after another.
    pub(super) fn binlog_copies(&mut self, block: &Block) {
        let text = format!(
            "[{}] is read only where the dead primary's own disk cannot be, on MySQL with GTID",
            block.name
        );
        self.notices.push(Notice { place: block.place.clone(), text });
        let folders = block.text("master_binlog_dir").unwrap_or_default();
        let host = block.filled("ssh_host").unwrap_or_else(|| block.host());
        let from = block.written("ssh_host").or(block.written("ip")).or(block.written("hostname"));
        for folder in folders.split(',').map(str::trim).filter(|folder| !folder.is_empty()) {
            if !folder.starts_with('/') {
                let text =
                    format!("{folder} of [{}] is no absolute path: it is not read", block.name);
                let place = block.written("master_binlog_dir").cloned();
                self.notices.push(Notice { place, text });
                continue;
            }
            self.out.item(&format!("cluster.{}.binlog_copy", self.cluster), block.place.as_ref());
            self.out.comment(&format!("[{}]", block.name));
            self.out.text_key("host", &host, from);
            self.out.text_key("folder", folder, block.written("master_binlog_dir"));
            self.own_login(block);
        }
    }

    /// What is different for the host of this server.
    fn own_ssh(&mut self, block: &Block) {
        if let Some(host) = block.filled("ssh_host")
            && host != block.host()
        {
            self.out.text_key("ssh_host", &host, block.written("ssh_host"));
        }
        self.own_login(block);
    }

    /// Who logs in at this host and where, if not as at the others.
    fn own_login(&mut self, block: &Block) {
        let shared = &self.mha.defaults;
        if let Some(user) = block.filled("ssh_user")
            && shared.filled("ssh_user").as_ref() != Some(&user)
        {
            self.out.text_key("ssh_user", &user, block.written("ssh_user"));
        }
        if block.written("ssh_port").is_some()
            && block.written("ssh_port") != shared.written("ssh_port")
        {
            let port = block.number("ssh_port").unwrap_or(22);
            self.out.key("ssh_port", &port.to_string(), block.written("ssh_port"));
        }
    }
}

/// Reads a line of options as a shell would split it: `-o Name=value`, `-i key`, `-p 2222`.
fn read_options(line: &str) -> Options {
    let mut read = Options::default();
    let mut words = shell_words(line).into_iter().peekable();
    while let Some(word) = words.next() {
        if WITHOUT_EFFECT.contains(&word.as_str()) {
            read.dropped.push(word);
            continue;
        }
        let (letter, value) = match (word.get(..2), word.get(2..)) {
            (Some(letter), Some(value)) if letter.starts_with('-') => (letter, value.to_owned()),
            _ => ("", String::new()),
        };
        let value = match (letter, value.as_str()) {
            // A flag has no value, and what is no option is refused below.
            ("" | "-4" | "-6" | "-C", _) => value,
            (_, "") => words.next_if(|next| !next.starts_with('-')).unwrap_or_default(),
            _ => value,
        };
        match letter {
            "-p" => read.port = Some(value),
            "-l" => read.user = Some(value),
            "" => read.options.push(word),
            _ => {
                let option = format!("{letter}{value}");
                // In its plain form if it is one; else the native file says what is wrong with it.
                let plain = option.parse::<SshOption>().map(|option| option.as_str().to_owned());
                read.options.push(plain.unwrap_or(option));
            }
        }
    }
    read
}

/// The words of a line of options as a shell divides them: at blanks; quotes hold words together, a
/// backslash keeps the next character.
pub fn shell_words(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => found.extend(word.take()),
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(characters.next()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    found.extend(word);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_split_as_a_shell_does_and_joined_with_their_values() {
        let read =
            read_options("-o ServerAliveInterval=5 -i '/a b/key' -p 2222 -l root -q -C -oUser=x");
        assert_eq!(
            read,
            Options {
                user: Some("root".to_owned()),
                port: Some("2222".to_owned()),
                options: ["-oServerAliveInterval=5", "-i/a b/key", "-C", "-oUser=x"]
                    .map(str::to_owned)
                    .to_vec(),
                dropped: vec!["-q".to_owned()],
            }
        );
    }

    #[test]
    fn what_is_no_option_is_kept_to_be_refused() {
        for line in ["-N", "stray", "-", "-L 1:h:2", "é"] {
            let read = read_options(line);
            assert!(
                read.options.iter().any(|o| o.parse::<SshOption>().is_err()),
                "{line}: {read:?}"
            );
        }
    }
}
