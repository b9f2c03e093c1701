#!/bin/sh
# A virtual address as an alias of an interface, moved over ssh. It serves as failover_script and as
# switchover_script:
#
#     failover_script = "/etc/primacy/vip-alias.sh --vip=10.0.0.100/24 --interface=eth0"
#
# The login (`ssh_user`) is root, or may use `sudo` without a password. It does not open or close
# servers: that is Primacy's work.

vip= interface=eth0 command= ssh_user= orig= new= orig_port= new_port= ssh_options=
for word in "$@"; do
  value=${word#*=}
  case $word in
    --vip=*) vip=$value ;;
    --interface=*) interface=$value ;;
    --command=*) command=$value ;;
    --ssh_user=* | --new_master_ssh_user=*) ssh_user=$value ;;
    --orig_master_host=*) orig=$value ;;
    --new_master_host=*) new=$value ;;
    --orig_master_ssh_port=*) orig_port=$value ;;
    --new_master_ssh_port=*) new_port=$value ;;
    --ssh_options=*) ssh_options=$value ;;
  esac
done
[ -n "$vip" ] && [ -n "$command" ] || { echo "usage: $0 --vip=ADDRESS/BITS [--interface=NAME]" >&2; exit 1; }

# Runs a line at a host, as root. Options of ssh are several words.
at() {
  host=$1 port=$2 line=$3
  # shellcheck disable=SC2086
  ssh -o BatchMode=yes -o ConnectTimeout=5 $ssh_options ${port:+-p "$port"} \
    "${ssh_user:-root}@$host" "[ \$(id -u) = 0 ] || sudo='sudo -n'; $line"
}

has="\$sudo ip -o address show dev $interface | grep -qw '${vip%/*}'"
drop="if $has; then \$sudo ip address del '$vip' dev $interface; fi; ! $has"
# Neighbours are told who has it now, as far as there is something that does so.
take="$has || \$sudo ip address add '$vip' dev $interface || exit 1
      if command -v arping >/dev/null; then \$sudo arping -q -U -c 3 -I $interface '${vip%/*}' || true; fi; $has"

case $command in
  status) at "$orig" "$orig_port" "$has" || { echo "$orig does not have $vip" >&2; exit 1; } ;;
  # The host answers over ssh, so it must let go.
  stopssh) at "$orig" "$orig_port" "$drop" || exit 1 ;;
  stop)
    at "$orig" "$orig_port" "$drop"
    case $? in
      0) ;;
      255) echo "$orig is not reached over ssh: $vip was not taken from it" >&2; exit 10 ;;
      *) exit 1 ;;
    esac ;;
  start) at "$new" "$new_port" "$take" || exit 1 ;;
  *) echo "what is --command=$command?" >&2; exit 1 ;;
esac
