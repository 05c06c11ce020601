# Two network namespaces, joined by a cable and by nothing else; a command in each, under `torchrun`.
#
# unshare --map-root-user --net --mount sh two_machines.sh PYTHON COMMAND...
#
# Prints, last, the bytes that went through the cable. All of it is gone when the command ends.
set -e
python=$1
shift
mount -t tmpfs none /run
for machine in 1 2; do ip netns add $machine; done
ip link add eth0 netns 1 type veth peer name eth0 netns 2
for machine in 1 2; do
    ip -n $machine link set lo up
    ip -n $machine link set eth0 up
    ip -n $machine address add 10.77.0.$machine/24 dev eth0
done
[ $# -gt 0 ] || exit 0

machine() {
    number=$1
    shift
    GLOO_SOCKET_IFNAME=eth0 nsenter --net=/run/netns/$number "$python" -m torch.distributed.run \
        --nnodes 2 --nproc-per-node 1 --rdzv-backend c10d --rdzv-endpoint 10.77.0.1:29400 \
        --rdzv-id two-machines --rdzv-conf is_host=$((2 - number)) --local-addr 10.77.0.$number "$@" 2>&1
}

machine 1 "$@" &
first=$!
machine 2 "$@" &
wait $!
wait $first
ip -n 1 -s -j link show eth0 | sed 's/.*"tx":{"bytes":\([0-9]*\).*/\1/'
