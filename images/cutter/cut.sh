# sever ADDRESS...   let no packet pass between this network and these addresses, either way and without a word
# mend ADDRESS...    take exactly that back
#
# Each set of addresses is a table of its own, so that one cut is mended without another. Ends with 0 if it is done and
# what was cut had been in use, 3 if it is done and nobody had talked there, 4 if it was so already.
set -eu
act=$1
shift
table=lab_$(printf '%s ' "$@" | sha256sum | cut -c1-16)
set_of_addresses=$(printf '%s, ' "$@")

is_there() { nft list table inet "$table" >/dev/null 2>&1; }

# The kernel writes an address as the hexadecimal of its bytes from the last to the first, 01 is an open connection.
is_connected() {
    address=$(echo "$1" | (IFS=. read -r a b c d; printf '%02X%02X%02X%02X' "$d" "$c" "$b" "$a"))
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -Eq "( |FFFF0000)$address:[0-9A-F]{4} 01 "
}

was_in_use() {
    for one in "$@"; do is_connected "$one" && return 0; done
    return 1
}

# Within a second somebody who has no connection open may try to make one.
drops_something() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        nft list table inet "$table" | grep -q 'packets [1-9]' && return 0
        sleep 0.1
    done
    return 1
}

case $act in
sever)
    is_there && exit 4
    in_use=no
    was_in_use "$@" && in_use=yes
    nft -f - <<END
table inet $table {
    chain arrives { type filter hook input priority -300; policy accept; ip saddr { $set_of_addresses } counter drop; }
    chain leaves { type filter hook output priority -300; policy accept; ip daddr { $set_of_addresses } counter drop; }
}
END
    is_there
    [ $in_use = yes ] || drops_something "$@" || exit 3
    ;;
mend)
    is_there || exit 4
    nft delete table inet "$table"
    ! is_there
    ;;
*)
    echo "there is no act $act" >&2
    exit 2
    ;;
esac
