#!/bin/sh
# When to listen: six losses, five seeds, 100 epochs, one recurrent layer of 256 neurons.
#
#     sh sweeps/when_to_listen.sh data/words runs/listen SPEAKER
#
# A study of 40 short trials finds the numbers of the Gaussian, the learning rate and the
# regularisation; the training speaker SPEAKER is left out of its training and validates it. The test
# set is read once by each of the long runs. They need an idle machine. The same command goes on
# with what was stopped: complete runs are left alone. SEEDS, EPOCHS, TRIALS, TRIAL_EPOCHS and
# PRESET change what is run; PYTHON is the interpreter.
set -eu
DATA=${1:?give the folder of a dataset}
RUNS=${2:?give a folder for the runs}
SPEAKER=${3:?give the training speaker for validation of the study}
PYTHON=${PYTHON:-python}
SEEDS=${SEEDS:-0 1 2 3 4}
COMMON="--preset ${PRESET:-shd-genn-80} --dataset $DATA --runs $RUNS"
SHAPE="o + d*(s-m)*exp(-(s-m)**2/(2*c**2))"

# a study that has all its trials only prints its best one
$PYTHON -m shd_genn.sweep readout_weight --study study --trials "${TRIALS:-40}" $COMMON \
    --epochs "${TRIAL_EPOCHS:-25}" --validation speaker --validation-speaker "$SPEAKER" --no-test |
    tee "$RUNS.study.txt"
BEST=$(sed -n 's/^run folder *//p' "$RUNS.study.txt")

train() {
    name=$1
    shift
    for seed in $SEEDS; do
        run="$RUNS/$name-$seed"
        if [ -e "$run/last.npz" ]; then
            grep -q '"state": "complete"' "$run/summary.json" || $PYTHON -m shd_genn.run --resume "$run"
        else
            rm -rf "$run"
            $PYTHON -m shd_genn.run "$@" --epochs "${EPOCHS:-100}" --validation auto --test \
                --seed "$seed" --name "$name-$seed"
        fi
    done
}

train sum-exp $COMMON
train gaussian $COMMON --readout weighted --readout-weight "$SHAPE" \
    --weight-o 0.3 --weight-d 2.3 --weight-m 0 --weight-c 0.37
train searched --config "$BEST/config.toml" --runs "$RUNS"
train learned $COMMON --readout learned_weight
train fast $COMMON --readout learned_weight --weight-learning-rate 0.01
train attention $COMMON --readout learned_weight --weight-attention
for name in sum-exp gaussian searched learned fast attention; do
    set -- "$@" "$RUNS/$name"-*
done
shift 3
$PYTHON analysis/loss_curves.py "$@" -o "$RUNS/loss_curves.pdf"
$PYTHON analysis/readout_weight.py "$@" -o "$RUNS/readout_weight.pdf"
$PYTHON analysis/ablation.py "$@" -o "$RUNS/paired_tests.pdf"
