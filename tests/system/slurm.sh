#!/usr/bin/env bash
# A SLURM cluster of one node, this machine, for the tests of the SLURM launcher. As root, tried on Debian 12:
#
#   slurm.sh start   installs slurm-wlm and munge where absent, writes the configuration, starts munged, slurmctld and
#                    slurmd (no systemd needed) without the jobs of earlier clusters, and returns once the node takes
#                    jobs; harmless when already running
#   slurm.sh stop    cancels what is queued and ends the three daemons; packages and configuration stay
#
# There is no accounting (slurmdbd), so `sacct` fails here, as on many small clusters; ask `squeue` or `scontrol`.
# Jobs land in the partition "low"; one sent to "high" (--partition=high) preempts them: each gets the signal it asked
# for (--signal), ten seconds of grace, and goes back to the queue, as it does by `scontrol requeue`.
set -euo pipefail

conf=/etc/slurm/slurm.conf
mark="# Written by tests/system/slurm.sh, anew at each start"
node=$(hostname -s)

die() { echo "slurm.sh: $*" >&2; exit 1; }

write_conf() {
    # SlurmUser=root: no other user need own the state. linuxproc: works without cgroups, which containers often lack.
    # config_overrides: believe CPUs= below where sockets and threads look different. cred_expire: a requeued job waits
    # that long, by default two minutes, and the scheduler's intervals come on top. KillWait: from SIGTERM to SIGKILL.
    # nproc --all: without it nproc says 1 where OMP_NUM_THREADS is 1, as under the tests, and jobs of two would wait.
    # MinJobAge: `squeue --states=all` and `scontrol show job` know a job for that long after its end.
    install -d /etc/slurm /var/log/slurm /var/lib/slurm/slurmctld /var/lib/slurm/slurmd
    cat >"$conf" <<CONF
$mark
ClusterName=test
SlurmctldHost=$node(127.0.0.1)
SlurmUser=root
AuthInfo=cred_expire=5
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=1
SlurmdParameters=config_overrides
SlurmctldParameters=preempt_send_user_signal
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=5
MinJobAge=600
ReturnToService=2
StateSaveLocation=/var/lib/slurm/slurmctld
SlurmdSpoolDir=/var/lib/slurm/slurmd
SlurmctldLogFile=/var/log/slurm/slurmctld.log
SlurmdLogFile=/var/log/slurm/slurmd.log
NodeName=$node NodeAddr=127.0.0.1 CPUs=$(nproc --all) RealMemory=$(awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
PartitionName=low Nodes=$node Default=YES PriorityTier=1 GraceTime=10
PartitionName=high Nodes=$node PriorityTier=2 PreemptMode=OFF
CONF
}

afresh() {
    # The jobs of a cluster that was killed, not stopped, would come back with its state and hold a core for good.
    local left
    left=$(pidof slurmstepd srun || true)
    [ -z "$left" ] || { pkill -KILL --parent "${left// /,}" || true; xargs kill -KILL <<<"$left" || true; } 2>/dev/null
    rm -rf /var/lib/slurm/slurmctld /var/lib/slurm/slurmd
    write_conf
}

start() {
    if ! { command -v slurmctld && command -v slurmd && command -v sbatch && command -v munged; } >/dev/null; then
        export DEBIAN_FRONTEND=noninteractive
        { apt-get update && apt-get install -y --no-install-recommends slurm-wlm munge; } >/dev/null ||
            die "apt-get cannot install slurm-wlm and munge"
    fi
    pidof slurmctld slurmd >/dev/null || afresh # never under running daemons
    if ! munge -n </dev/null >/dev/null 2>&1; then
        install -d -o munge -g munge /run/munge # systemd would make it at boot
        runuser -u munge -- munged || die "munged does not start"
    fi
    pidof slurmctld >/dev/null || slurmctld || die "slurmctld does not start, see /var/log/slurm"
    pidof slurmd >/dev/null || slurmd || die "slurmd does not start, see /var/log/slurm"
    for _ in $(seq 60); do
        state=$(sinfo --noheader --partition=low --format=%T 2>/dev/null || true)
        case $state in
            idle | mixed | allocated) echo "slurm.sh: node $node is $state"; return ;;
            down* | drain*) scontrol update nodename="$node" state=resume 2>/dev/null || true ;; # after a hard stop
        esac
        sleep 0.5
    done
    die "node $node is '${state:-unknown}' after 30 s, see /var/log/slurm"
}

stop() {
    # Jobs first, since their processes outlive slurmd; one that ignores SIGTERM is gone after KillWait.
    if pidof slurmctld >/dev/null; then
        timeout 10 scancel --user=root || true
        for _ in $(seq 30); do [ -n "$(timeout 10 squeue --noheader || true)" ] || break; sleep 0.5; done
    fi
    for daemon in slurmd slurmctld munged; do
        pidof "$daemon" | xargs --no-run-if-empty kill || true
        for _ in $(seq 30); do pidof "$daemon" >/dev/null || break; sleep 0.5; done
    done
}

[ "$(id -u)" = 0 ] || die "must run as root"
if [ -e "$conf" ] && [ "$(head -n 1 "$conf")" != "$mark" ]; then die "$conf is not mine, I leave this cluster alone"; fi
case ${1:-} in start | stop) "$1" ;; *) die "usage: slurm.sh start|stop" ;; esac
