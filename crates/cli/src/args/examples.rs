//! The examples at the end of help texts and man pages.

pub(super) const PRIMACY: &str = "\
Examples:
  primacy sandbox up              make a cluster to try things on
  primacy manager                 watch the clusters of ./primacy.toml
  primacy status                  what is the matter
  primacy check                   what would stand in the way of a failover
  primacy switchover --dry-run    what would be done";

pub(super) const MANAGER: &str = "\
Examples:
  primacy manager --config /etc/primacy/primacy.toml
  primacy manager --log-format json --log-level info,primacy_wire=debug";

pub(super) const STATUS: &str = "\
Examples:
  primacy status                    all clusters
  primacy status orders --watch     one cluster, redrawn every second
  primacy status orders --json | jq -r .primary";

pub(super) const CHECK: &str = "\
Examples:
  primacy check orders
  primacy check --json | jq -r '.[].findings[].mend'";

pub(super) const CHECK_VIP: &str = "\
Examples:
  primacy check-vip --url http://127.0.0.1:7621
  primacy check-vip --config /etc/primacy/primacy.toml --server db1:3306

In keepalived.conf:
  vrrp_script primary {
      script \"/usr/bin/primacy check-vip --url http://127.0.0.1:7621\"
      interval 1
      fall 1
      rise 1
  }";

pub(super) const EXPLAIN: &str = "\
Examples:
  primacy explain orders     why is it not failing over?";

pub(super) const SWITCHOVER: &str = "\
Examples:
  primacy switchover --dry-run              the steps to the best candidate
  primacy switchover orders --to db2:3306
  primacy switchover orders --yes           do not ask";

pub(super) const FAILOVER: &str = "\
Examples:
  primacy failover orders --dry-run
  primacy failover orders --to db2:3306
  primacy failover orders --force           the primary is dead for sure, though it cannot be fenced
  primacy failover orders --force --accept-loss
                                            give up what only unreachable servers hold";

pub(super) const REBUILD: &str = "\
Examples:
  primacy rebuild db2:3306 --dry-run             from whom, and how
  primacy rebuild db2:3306 --limit-rate 50M
  primacy rebuild db2:3306 --from db3:3306 --yes --background
  primacy rebuild db2:3306 --cancel";

pub(super) const ADD_REPLICA: &str = "\
Examples:
  primacy add-replica db4:3306 --dry-run    is it fit, and what goes into the configuration
  primacy add-replica db4:3306 --limit-rate 50M";

pub(super) const PAUSE: &str = "\
Examples:
  primacy pause orders --reason \"kernel upgrade, Jo\"
  primacy resume orders";

pub(super) const REJOIN: &str = "\
Examples:
  primacy rejoin db1:3306 --dry-run             what would be done
  primacy rejoin db1:3306
  primacy rejoin db1:3306 --on-errant rewind    undo what only it has, where that is provable";

pub(super) const RESTART: &str = "\
Examples:
  primacy restart db2:3306
  primacy restart db2:3306 --limit 30m    large buffers take long to write";

pub(super) const ROLLING_RESTART: &str = "\
Examples:
  primacy rolling-restart orders --dry-run
  primacy rolling-restart orders --yes
  primacy rolling-restart orders --keep-primary    the replicas only";

pub(super) const ERRANT: &str = "\
Examples:
  primacy errant show                         of all clusters
  primacy errant export db2:3306 --readable   what they did
  primacy errant export db2:3306 -o errant.binlog
  primacy errant inject-empty orders --dry-run
  primacy errant inject-empty orders --server db2:3306";

pub(super) const PURGE_RELAY_LOGS: &str = "\
Examples:
  primacy purge-relay-logs --dry-run          what would go
  primacy purge-relay-logs                    of all replicas, one after another
  primacy purge-relay-logs db2:3306           exits with 1 if it keeps them";

pub(super) const HISTORY: &str = "\
Examples:
  primacy history                     the latest operations
  primacy history --cluster orders -n 100
  primacy history 019aa3f1-7c2e       one of them, with its timeline and journal";

pub(super) const AGENT: &str = "\
Example of /etc/primacy/primacy.toml on a database host:
  [agent]
  certificate = \"/etc/primacy/db1.crt\"
  key = \"/etc/primacy/db1.key\"
  authority = \"/etc/primacy/authority.crt\"
  [[agent.server]]
  address = \"db1:3306\"
  socket = \"/run/mysqld/mysqld.sock\"
  [agent.account]
  user = \"primacy\"
  password_file = \"/etc/primacy/password\"";

pub(super) const CERTS: &str = "\
Examples:
  primacy certs init
  primacy certs issue manager primacy1
  primacy certs issue agent db1 --host db1 --host 10.0.0.11
  primacy certs show certs/db1.crt";

pub(super) const GRANTS: &str = "\
Examples:
  primacy grants                      for what the configured servers run
  primacy grants --server mariadb-10.11
  primacy grants --server mysql-9.7 --purpose manager --account primacy@10.0.0.%";

pub(super) const CONFIG_IMPORT: &str = "\
Examples:
  primacy config import app1.cnf                          only show it
  primacy config import app1.cnf --output /etc/primacy/primacy.toml
  primacy manager --config app1.cnf                       without importing it";

pub(super) const BINLOG: &str = "\
Examples:
  primacy binlog show --transactions /var/lib/mysql/binlog.000007
  primacy binlog diff /var/lib/mysql server:db2:3306
  primacy binlog save --server db1:3306 --out /backup/db1 --follow
  primacy binlog verify /backup/db1";

pub(super) const BINLOG_SHOW: &str = "\
Examples:
  primacy binlog show binlog.000007 | less
  primacy binlog show --transactions --table app.orders --since '2026-11-20 21:00:00' binlog.*
  primacy binlog show --server db1:3306 --from binlog.000007:4
  zcat binlog.000007.gz | primacy binlog show -";

pub(super) const BINLOG_CUT: &str = "\
Examples:
  primacy binlog cut binlog.00000[78] --from binlog.000007:1154 --out saved
  primacy binlog cut relay-bin.* --missing-from 0-1-100 --out saved
  primacy binlog cut binlog.000007 --out - | mysqlbinlog -";

pub(super) const BINLOG_DIFF: &str = "\
Examples:
  primacy binlog diff server:db1:3306 server:db2:3306
  primacy binlog diff --transactions /var/lib/mysql server:db2:3306
  primacy binlog diff '/backup/db1/binlog.*' /backup/db2";

pub(super) const BINLOG_SAVE: &str = "\
Examples:
  primacy binlog save --server db1:3306 --out /backup/db1
  primacy binlog save --server db1:3306 --out /backup/db1 --follow
  primacy binlog save --server db9:3306 --user dump --password-env DUMP --out /backup/db9";

pub(super) const BINLOG_VERIFY: &str = "\
Examples:
  primacy binlog verify /backup/db1
  primacy binlog verify --json binlog.000007 | jq .files[].disorders
  ssh db1 cat /var/lib/mysql/binlog.000007 | primacy binlog verify -";

pub(super) const MHA: &str = "\
Examples:
  primacy mha                                   which commands there are
  primacy mha purge_relay_logs --help
  primacy mha save_binary_logs --command=test --binlog_prefix=mysql-bin --start_pos=4 \\
          --output_file=/var/tmp/test";

pub(super) const INSTALL_MHA_LINKS: &str = "\
Examples:
  primacy install-mha-links /usr/local/bin
  primacy install-mha-links /usr/bin --force    MHA's own files are kept under other names";

pub(super) const SANDBOX: &str = "\
Examples:
  primacy sandbox up                              three servers called demo
  primacy sandbox up shop --server mysql-9.7 --semi-sync
  primacy sandbox kill s1                         of demo
  primacy sandbox freeze shop s2
  primacy sandbox down shop";

pub(super) const COMPLETIONS: &str = "\
Examples:
  primacy completions bash > /etc/bash_completion.d/primacy
  primacy completions fish > ~/.config/fish/completions/primacy.fish";

pub(super) const MAN: &str = "\
Examples:
  primacy man | man -l -
  primacy man /usr/local/share/man/man1";
