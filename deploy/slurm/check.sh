#!/bin/bash
# Everything that the project does with SLURM, on a cluster of one node that this script brings up and takes down again.
#
#   deploy/slurm/check.sh [FOLDER]     # as root on Debian, in the repository, after `make setup`; minutes
#
# A sweep of four jobs, of which one is told to leave as at the end of its time and others are preempted by a job of
# another partition; a training of two processes, requeued; a data set drawn by an array. What was disturbed must end in
# the same weights as a run that was not. It ends with the job-completion log.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(realpath -m "${1:-/tmp/gan_slurm}")
export PATH=$here/../../.venv/bin:$PATH OMP_NUM_THREADS=1

(command -v slurmctld && command -v munged) > /dev/null || { apt-get update -qq && apt-get install -y -qq slurm-wlm munge; }
rm -rf "$folder" && mkdir -p "$folder" && cd "$folder"
trap '"$here/one_node.sh" stop "$folder/cluster"' EXIT
source "$here/one_node.sh" start "$folder/cluster"
sinfo

tiny=(data=digits data.batch_size=50 trainer.max_epochs=15 trainer.log_every_n_steps=10 model.latent_dim=8
    'model.generator.channels=[16,8,8]' 'model.discriminator.channels=[8,8,8]' '~callbacks.plots' '~callbacks.samples'
    'callbacks.measures.measures=[fid]')
alone=(callbacks.progress_bar.refresh_rate=0 hardware=cpu)

until_there() { timeout 120 bash -c 'until [ -e "$0" ]; do sleep 0.5; done' "$1"; }
same_weights() {
    python - "$@" << 'PYTHON'
import sys
import torch

one, other = (torch.load(f"{path}/checkpoints/last.ckpt", weights_only=True) for path in sys.argv[1:])
assert one["epoch"] == other["epoch"] and one["state_dict"].keys() == other["state_dict"].keys()
assert all(torch.equal(value, other["state_dict"][name]) for name, value in one["state_dict"].items())
print(f"the same weights after epoch {one['epoch'] + 1}: {' '.join(sys.argv[1:])}")
PYTHON
}

echo "== a sweep of four jobs"
sweep=outputs/multirun/check
gan train --multirun launcher=slurm sweep_name=check seed=0,1,2,3 hardware=cpu "${tiny[@]}" \
    hydra.launcher.partition=spare hydra.launcher.cpus_per_task=1 hydra.launcher.poll_seconds=2 &
sweeping=$!
until_there $sweep/0/checkpoints/last.ckpt
array=$(squeue --noheader --format=%F | head -n 1)
echo "-- job 0 is told that its time is over, as SLURM does signal_delay_s before its limit"
scancel --signal=USR2 "${array}_0.0" || true
until_there $sweep/1/checkpoints/last.ckpt
echo "-- the others are preempted"
timeout 120 srun --partition=main --ntasks=2 --job-name=urgent sleep 1
squeue
wait $sweeping
grep -e "Caught signal" -e "Requeued" -e "resumed " $sweep/.submitit/*/*.out
for seed in 0 1; do
    gan train hydra.run.dir="alone_$seed" seed=$seed "${tiny[@]}" "${alone[@]}"
    same_weights $sweep/$seed alone_$seed
done

echo "== a training of two processes, requeued once"
for job in 0 1; do
    sbatch --wait --nodes=1 --ntasks-per-node=2 --output="ddp_$job.log" "$here/train.sbatch" "${tiny[@]}" \
        trainer.accelerator=cpu hydra.run.dir="outputs/train/ddp_$job" &
    until_there outputs/train/ddp_$job/checkpoints/last.ckpt
    [ $job = 0 ] || scontrol requeue "$(squeue --noheader --name=gan_train --format=%i)"
    wait $!
done
cat ddp_1.log
grep -q "resumed " ddp_1.log
same_weights outputs/train/ddp_0 outputs/train/ddp_1

echo "== a data set drawn by an array of four jobs"
gan generate ckpt=pretrained num_images=1200 digits=all output=whole.npz
sbatch --wait --array=0-3 --output=generate_%a.log "$here/generate.sbatch" 300 ckpt=pretrained digits=all format=npz \
    output=drawn
python - << 'PYTHON'
from pathlib import Path
import numpy as np

whole, shards = np.load("whole.npz"), [np.load(path) for path in sorted(Path("drawn").glob("*.npz"))]
for name in ("images", "labels"):
    assert whole[name].tobytes() == b"".join(shard[name].tobytes() for shard in shards)
print(f"{len(shards)} shards hold the bytes of one run: {whole['images'].shape}")
PYTHON

echo "== the job-completion log"
cat "$folder/cluster/jobs.log"
