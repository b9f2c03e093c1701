//! What is run on the far side to kill a server, to keep it down, and to let it start again: POSIX
//! sh and nothing that has to be installed. One line each, for login shells that take no more.

/// Stands in the arguments of every guard, with the number of its data directory behind it, so
/// that one which lost its manager is found again.
pub(super) const GUARD_TAG: &str = "primacy-keeps-down-";

/// Runs `$2` with the further arguments, by way of `sudo -n` if `$1` says so.
pub(super) const RUN: &str = "s=$2; case \"$1\" in \
    sudo) shift 2; exec sudo -n -- sh -c \"$s\" sh \"$@\";; \
    *) shift 2; exec sh -c \"$s\" sh \"$@\";; esac";

/// The unit whose main process is process `$1` or its wrapper; `$2` is `/proc`. A service that merely has the
/// server somewhere below it, or a user's own, is not one.
pub(super) const UNIT: &str = "LC_ALL=C; export LC_ALL; u=; \
    while IFS=: read -r a b c; do case \"$b\" in \"\"|name=systemd) ;; *) continue;; esac; \
        case \"$c\" in */user@*) ;; *.service) u=${c##*/};; \
            *.service/*) u=${c%%.service/*}.service; u=${u##*/};; esac; \
    done <\"$2/$1/cgroup\"; [ -n \"$u\" ] || exit 0; \
    m=$(systemctl show -p MainPID -- \"$u\" 2>/dev/null) || exit 0; m=${m#MainPID=}; \
    [ \"$m\" = \"$1\" ] && echo \"unit $u\" && exit 0; \
    p=$2; read -r l <\"$p/$1/stat\" || exit 0; set -- ${l##*\") \"}; \
    read -r c <\"$p/$2/comm\" || exit 0; case \"$c\" in \
        mysqld_safe|mariadbd-safe) [ \"$m\" = \"$2\" ] && echo \"unit $u\";; esac; exit 0";

/// Kills and keeps down until its standard input ends. `$1` is the data directory, `$2` and `$3`
/// the process and its start time (empty: it is not known, and looked for), `$4` the directory's
/// identity if it is known, `$5` the unit to mask, `$6` its tag, `$7` is `again` if it follows one
/// that was lost.
///
/// The directory is known by device, inode and moment of creation, so that it may be renamed and
/// another one may get its inode; where the moment or stat(1) itself is missing, its path counts.
pub(super) const GUARD: &str = concat!(
    "LC_ALL=C; export LC_ALL; m=$$; done=; k=$4; b=$2:$3; ",
    // Start time, state and parent of a process; its name may hold anything but ends at the last
    // parenthesis (proc(5)).
    "st() { l=; { read -r l <\"/proc/$1/stat\"; } 2>/dev/null; \
        case \"$l\" in *\") \"*) ;; *) return 1;; esac; \
        set -- ${l##*\") \"}; z=$1; up=$2; shift 19; s=$1; }; ",
    // Whether this very process lives. A corpse that waits for its parent does not, unless other
    // threads of it are still on their way out.
    "live() { if st \"$1\"; then [ \"$s\" = \"$2\" ] || return 1; \
        case \"$z\" in [ZX]) set -- /proc/\"$1\"/task/*; [ $# -gt 1 ];; esac; \
        else case $(kill -0 \"$1\" 2>&1) in *\"o such process\"*) return 1;; esac; fi; }; ",
    // Whether it is a database server, perhaps behind a dynamic loader.
    "srv() { c=; { read -r c <\"/proc/$1/comm\"; } 2>/dev/null; case \"$c\" in \
        mysqld|mariadbd|mysqld-debug) return 0;; ld-*|ld.so*) ;; *) return 1;; esac; \
        ( tr \"\\000\" \"\\012\" <\"/proc/$1/cmdline\" 2>/dev/null | while read -r a; do \
            case \"${a##*/}\" in mysqld|mariadbd|mysqld-debug) exit 7;; esac; done ); \
        [ $? = 7 ]; }; ",
    "ident() { i=$(stat -L -c \"%d:%i:%w\" -- \"$1\" 2>/dev/null) || i=; \
        w=$(cd -P -- \"$1\" 2>/dev/null && pwd -P 2>/dev/null) || w=; }; ",
    // 0: it works in the directory; 1: in another one; 2: that cannot be seen.
    "same() { ident \"/proc/$1/cwd\"; case \"$k\" in \
        \"\") [ -n \"$w\" ] || return 2; [ \"$w\" = \"$d\" ];; \
        *\" \"*) [ -n \"$i\" ] || return 2; [ \"$i\" = \"$k\" ];; \
        *) [ -n \"$i\" ] && [ -n \"$w\" ] || return 2; \
            [ \"$i\" = \"$k\" ] && [ \"$w\" = \"$d\" ];; esac; }; ",
    // One round over all processes: kills what works there. $n: so many of them; $x: those of
    // which it is not certain where they work, such as in a container.
    "round() { n=0; x=; for f in /proc/[0-9]*; do p=${f#/proc/}; srv \"$p\" || continue; \
        st \"$p\" || continue; t=$s; [ \"$p:$t\" = \"$b\" ] && continue; \
        live \"$p\" \"$t\" || continue; same \"$p\"; case $? in \
        0) live \"$p\" \"$t\" || continue; n=$((n+1)); [ -z \"$y\" ] || continue; \
            e=$(kill -9 \"$p\" 2>&1); r=$?; \
            [ ${#done} -gt 2000 ] && done=; case \"$done\" in *\" $p:$t \"*) continue;; esac; \
            done=\"$done $p:$t \"; if [ $r = 0 ]; then echo \"killed $p\"; \
            else echo \"spared $p $e\"; fi;; \
        1) [ \"/proc/$p/root\" -ef / ] 2>/dev/null || x=\"$x $p\";; \
        *) x=\"$x $p\";; esac; done; }; ",
    "nap() { sleep 0.1 2>/dev/null || sleep 1; }; ",
    "if [ -n \"$2\" ]; then ident \"/proc/$2/cwd\"; [ -n \"$i$w\" ] || ident \"$1\"; \
        else ident \"$1\"; fi; d=$w; [ -n \"$k\" ] || k=$i; \
    [ -n \"$k$d\" ] || { echo nowhere; exit 0; }; y=; ",
    // The guard. It also ends when nobody hears it any more: each word is written to the session.
    "( o=0; while kill -0 \"$m\" 2>/dev/null; do round; o=$(((o+1)%10)); \
        [ $o = 0 ] && { echo tick || exit; }; nap; done ) & g=$!; echo up; ",
    "v=; end() { kill \"$g\" $v 2>/dev/null; wait; echo ended; exit 0; }; ",
    // Masking makes systemd reload all its units, so it is done beside the rest.
    "[ -n \"$5\" ] && ( if e=$(systemctl --no-ask-password mask --runtime -- \"$5\" 2>&1); \
        then echo \"$5\" >\"/run/$6\"; echo masked; else echo \"unmasked\" $e; fi ) & ",
    // Without a process to begin with, the guard finds and kills it, and it is only counted here.
    // One that is ending shows no directory any more, so that is believed only after a while.
    "if [ -z \"$2\" ]; then [ \"$7\" = again ] || { y=0; while [ $y -lt 20 ]; do round; \
        if [ $n != 0 ]; then y=0; elif [ -z \"$x\" ]; then break; else y=$((y+1)); fi; nap; done; \
        if [ -r /proc/1/stat ]; then :; else x=\"$x 1\"; fi; \
        [ -z \"$x\" ] || { echo \"uncertain$x\"; end; }; echo gone; }; ",
    "else if live \"$2\" \"$3\"; then \
        while IFS= read -r l; do case \"$l\" in *docker*|*libpod*|*kubepods*|*containerd*) \
            echo \"container ${l##*/}\"; break;; esac; done <\"/proc/$2/cgroup\"; \
        st \"$2\"; q=$up; c=; { read -r c <\"/proc/$q/comm\"; } 2>/dev/null; \
        case \"$c\" in sh|dash|bash|busybox) c=$(tr \"\\000\" \"\\012\" <\"/proc/$q/cmdline\" | \
            { read -r a; read -r a; echo \"${a##*/}\"; });; esac; \
        case \"$c\" in mysqld_safe|mariadbd-safe) if e=$(kill -9 \"$q\" 2>&1); \
            then echo \"wrapper $q $c\"; else echo \"spared $q $e\"; fi;; esac; \
        e=$(kill -9 \"$2\" 2>&1) || { live \"$2\" \"$3\" && { echo refused $e; end; }; }; fi; \
    ( while live \"$2\" \"$3\"; do kill -0 \"$m\" 2>/dev/null || exit; \
        [ \"$z\" = \"$h\" ] || { h=$z; echo \"state $z\"; }; nap; done; \
        y=0; round; while [ $n != 0 ] && kill -0 \"$m\" 2>/dev/null; do nap; round; done; \
        echo gone ) & v=$!; fi; ",
    "cat >/dev/null; end"
);

/// Ends guards that lost their manager (`$1` is the number of the data directory), and unmasks
/// what they masked, or the unit `$2`.
///
/// Only a shell of ours is ended: an ssh that carries the same words, to this machine or from it,
/// is none.
pub(super) const RELEASE: &str = concat!(
    "LC_ALL=C; export LC_ALL; t=primacy-keeps-\"\"down-$1; u=$2; ",
    "for f in $(grep -l -F -e \"$t\" /proc/[0-9]*/cmdline 2>/dev/null); do \
        p=${f#/proc/}; p=${p%/cmdline}; [ \"$p\" = \"$$\" ] && continue; \
        c=; { read -r c <\"/proc/$p/comm\"; } 2>/dev/null; \
        case \"$c\" in sh|dash|bash|ash|busybox) kill \"$p\" 2>/dev/null;; esac; done; ",
    "[ -n \"$u\" ] || { [ -r \"/run/$t\" ] && read -r u <\"/run/$t\"; }; \
    [ -n \"$u\" ] || exit 0; \
    command -v systemctl >/dev/null 2>&1 || exit 0; \
    if e=$(systemctl --no-ask-password unmask --runtime -- \"$u\" 2>&1); \
        then rm -f \"/run/$t\"; echo released; else echo \"unit $u\"; echo still $e; fi; exit 0"
);

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    /// The unit of process 812, whose main process systemd calls `main`.
    #[expect(clippy::disallowed_methods, reason = "a shell that reads three files ends")]
    fn unit(cgroup: &str, main: u32, wrapper: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (pid, comm) in [("812", "mariadbd"), ("7", wrapper)] {
            fs::create_dir(at(pid)).unwrap();
            fs::write(at(pid).join("comm"), format!("{comm}\n")).unwrap();
        }
        fs::write(at("812/stat"), "812 (maria) db) S 7 812 812 0 -1\n").unwrap();
        fs::write(at("812/cgroup"), cgroup).unwrap();
        fs::write(at("systemctl"), format!("#!/bin/sh\necho MainPID={main}\n")).unwrap();
        fs::set_permissions(at("systemctl"), fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let mut shell = Command::new("sh");
        shell.args(["-c", UNIT, "sh", "812"]).arg(folder.path()).env("PATH", path);
        let output = shell.output().unwrap();
        assert_eq!(output.stderr, b"");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn the_unit_is_the_one_whose_main_process_it_is_or_its_wrapper() {
        let service = "9:name=systemd:/\n8:pids:/x.service\n0::/system.slice/mariadb.service\n";
        assert_eq!(unit(service, 812, "systemd"), "unit mariadb.service\n");
        assert_eq!(unit(service, 7, "mysqld_safe"), "unit mariadb.service\n");
        assert_eq!(unit(service, 7, "runner"), "");
        assert_eq!(unit(service, 99, "mysqld_safe"), "");
        let template = "0::/system.slice/system-mysqld.slice/mysqld@a.service/sub\n";
        assert_eq!(unit(template, 812, "systemd"), "unit mysqld@a.service\n");
        let users = "0::/user.slice/user-7.slice/user@7.service/app.slice/db.service\n";
        assert_eq!(unit(users, 812, "systemd"), "");
        assert_eq!(unit("0::/user.slice/session-1.scope\n", 812, "systemd"), "");
    }
}
