#!/bin/bash
# A SLURM cluster with this machine as its only node, for tests: munge, slurmctld and slurmd of Debian's slurm-wlm.
#
#   apt-get install -y slurm-wlm munge
#   source deploy/slurm/one_node.sh start /tmp/one_node     # as root; sourced, so that SLURM_CONF is set
#   deploy/slurm/one_node.sh stop /tmp/one_node
#
# Jobs in the partition `spare` are requeued when a job in `main` needs their CPUs. FOLDER/jobs.log is the
# job-completion log; FOLDER/slurmctld.log and FOLDER/slurmd.log are the logs of the daemons.

one_node_start() {
    local folder=$1 host
    host=$(hostname -s)
    mkdir -p "$folder"/{state,spool} /run/munge
    touch "$folder/jobs.log"
    export SLURM_CONF=$folder/slurm.conf
    cat > "$SLURM_CONF" <<CONF
ClusterName=one_node
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=cred_expire=10
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobCompType=jobcomp/filetxt
JobCompLoc=$folder/jobs.log
JobRequeue=1
KillWait=20
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(getconf _NPROCESSORS_ONLN) State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES PriorityTier=2 MaxTime=UNLIMITED
PartitionName=spare Nodes=ALL PriorityTier=1 MaxTime=UNLIMITED
CONF
    chown munge: /run/munge
    munge --no-input > /dev/null 2>&1 || runuser -u munge -- munged --pid-file=/run/munge/one_node.pid
    slurmctld && slurmd
    timeout 30 bash -c 'until sinfo --noheader --states=idle | grep -q idle; do sleep 1; done' 2> /dev/null
}

one_node_stop() {
    local pid
    for pid in "$1"/slurmd.pid "$1"/slurmctld.pid /run/munge/one_node.pid; do
        [ ! -f "$pid" ] || kill "$(cat "$pid")"
    done
}

"one_node_$1" "$2"
