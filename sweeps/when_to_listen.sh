#!/bin/sh
# When to listen: four losses, five seeds, 100 epochs, one recurrent layer of 256 neurons.
#
#     sh sweeps/when_to_listen.sh data/words runs/listen
#
# Needs an idle machine. It may be stopped and started again: complete runs are left alone and others
# resumed. The numbers of the Gaussian come from a study on left-out training speakers (the test set
# is not read): export them as O, D, M, C, LR and REG, which the study prints as its best trial.
set -eu
DATA=${1:?give the folder of a dataset}
RUNS=${2:?give a folder for the runs}
PYTHON=${PYTHON:-python}
COMMON="--dataset $DATA --hidden-sizes 256 --softmax-temperature 0.2 --learning-rate 2e-3 --runs $RUNS"
SHAPE="o + d*(s-m)*exp(-(s-m)**2/(2*c**2))"

if [ -z "${O:-}" ] && [ ! -e "$RUNS/study-done" ]; then
    $PYTHON -m shd_genn.sweep readout_weight --study readout_weight --trials 40 --folds 4 --epochs 40 $COMMON
    touch "$RUNS/study-done"
    echo "now export O, D, M, C, LR and REG of the best trial, and start this again"
    exit
fi

train() {
    name=$1
    shift
    for seed in 0 1 2 3 4; do
        if [ -e "$RUNS/$name-$seed/last.npz" ]; then
            grep -q '"state": "complete"' "$RUNS/$name-$seed/summary.json" ||
                $PYTHON -m shd_genn.run --resume "$RUNS/$name-$seed"
        else
            rm -rf "$RUNS/$name-$seed"
            $PYTHON -m shd_genn.run $COMMON --epochs 100 --seed $seed --name "$name-$seed" "$@"
        fi
    done
}

train sum-exp
train gaussian --readout weighted --readout-weight "$SHAPE" \
    --weight-o 0.3 --weight-d 2.3 --weight-m 0 --weight-c 0.37
train searched --readout weighted --readout-weight "$SHAPE" \
    --weight-o "${O:-0.3}" --weight-d "${D:-2.3}" --weight-m "${M:-0}" --weight-c "${C:-0.37}" \
    --learning-rate "${LR:-2e-3}" --reg-lambda "${REG:-2.5e-10}"
train learned --readout learned_weight
train attention --readout learned_weight --weight-attention
$PYTHON analysis/loss_curves.py "$RUNS" -o "$RUNS/loss_curves.pdf"
$PYTHON analysis/readout_weight.py "$RUNS" -o "$RUNS/readout_weight.pdf"
$PYTHON analysis/ablation.py "$RUNS" -o "$RUNS/paired_tests.pdf"
