#!/bin/sh
# keepalived has the virtual address, with the same priority and `nopreempt` at every host, and runs
# where the primary is: it is stopped and started over ssh. It serves as failover_script and as
# switchover_script:
#
#     failover_script = "/etc/primacy/vip-keepalived.sh --service=keepalived"
#
# The login (`ssh_user`) is root, or may use `sudo` without a password. It does not open or close
# servers: that is Primacy's work.

service=keepalived command= ssh_user= orig= new= orig_port= new_port= ssh_options=
for word in "$@"; do
  value=${word#*=}
  case $word in
    --service=*) service=$value ;;
    --command=*) command=$value ;;
    --ssh_user=* | --new_master_ssh_user=*) ssh_user=$value ;;
    --orig_master_host=*) orig=$value ;;
    --new_master_host=*) new=$value ;;
    --orig_master_ssh_port=*) orig_port=$value ;;
    --new_master_ssh_port=*) new_port=$value ;;
    --ssh_options=*) ssh_options=$value ;;
  esac
done
[ -n "$command" ] || { echo "usage: $0 [--service=NAME]" >&2; exit 1; }

# Runs a line at a host, as root. Options of ssh are several words.
at() {
  host=$1 port=$2 line=$3
  # shellcheck disable=SC2086
  ssh -o BatchMode=yes -o ConnectTimeout=5 $ssh_options ${port:+-p "$port"} \
    "${ssh_user:-root}@$host" "[ \$(id -u) = 0 ] || sudo='sudo -n'; $line"
}

case $command in
  status)
    at "$orig" "$orig_port" "\$sudo service $service status >/dev/null" ||
      { echo "$service does not run at $orig" >&2; exit 1; } ;;
  # The host answers over ssh, so it must let go.
  stopssh) at "$orig" "$orig_port" "\$sudo service $service stop" || exit 1 ;;
  stop)
    at "$orig" "$orig_port" "\$sudo service $service stop"
    case $? in
      0) ;;
      255) echo "$orig is not reached over ssh: $service was not stopped there" >&2; exit 10 ;;
      *) exit 1 ;;
    esac ;;
  start) at "$new" "$new_port" "\$sudo service $service start" || exit 1 ;;
  *) echo "what is --command=$command?" >&2; exit 1 ;;
esac
