//! People's own scripts. MHA has a line for a shell; `shutdown_script` of a native file is a program
//! with its arguments.

use super::Making;

/// MHA's key, and the native one that takes the same line.
const LINES: [(&str, &str); 4] = [
    ("master_ip_failover_script", "failover_script"),
    ("master_ip_online_change_script", "switchover_script"),
    ("report_script", "report_script"),
    ("secondary_check_script", "secondary_check_script"),
];

impl Making<'_> {
    pub(super) fn scripts(&mut self) {
        let defaults = &self.mha.defaults;
        if let Some(line) = defaults.filled("shutdown_script") {
            let place = defaults.written("shutdown_script").cloned();
            self.out.list_key("shutdown_script", &call(&line), place.as_ref());
        }
        for (mha, native) in LINES {
            if let Some(line) = defaults.filled(mha) {
                self.out.text_key(native, &line.replace('\t', " "), defaults.written(mha));
            }
        }
    }
}

/// A line for a shell as a program and its arguments; more arguments may follow.
pub(crate) fn call(line: &str) -> Vec<String> {
    let line = line.trim();
    let plain = |c: char| {
        c.is_alphanumeric()
            || matches!(c, '/' | '.' | '_' | '-' | '=' | ':' | ',' | '@' | '+' | '%')
    };
    let words: Vec<String> =
        line.split([' ', '\t']).filter(|w| !w.is_empty()).map(str::to_owned).collect();
    let simple = words.iter().all(|word| word.chars().all(plain));
    // What stands before a `=` of the first word would be a variable, not a program.
    if simple && words.first().is_some_and(|word| word.starts_with('/') && !word.contains('=')) {
        return words;
    }
    let line = line.replace('\t', " ");
    vec!["/bin/sh".to_owned(), "-c".to_owned(), format!("{line} \"$@\""), "sh".to_owned()]
}

#[cfg(test)]
mod tests {
    use super::call;

    #[test]
    fn a_plain_line_is_called_without_a_shell() {
        assert_eq!(call("/usr/bin/power_manager"), ["/usr/bin/power_manager"]);
        assert_eq!(call(" /usr/bin/p  --a=b c "), ["/usr/bin/p", "--a=b", "c"]);
    }

    #[test]
    fn any_other_line_is_given_to_a_shell_with_the_arguments_behind_it() {
        for line in
            ["power_manager", "sudo /usr/bin/p", "A=1 /usr/bin/p", "/usr/bin/p 'a b'", "/a | /b"]
        {
            let words = call(line);
            assert_eq!(words, ["/bin/sh", "-c", &format!("{line} \"$@\""), "sh"], "{line}");
        }
    }
}
