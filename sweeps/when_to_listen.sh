#!/bin/sh
# When to listen: six losses, five seeds, 100 epochs, one recurrent layer of 256 neurons.
#
#     sh sweeps/when_to_listen.sh data/words runs/listen SPEAKERS
#
# A study of 40 short trials finds the numbers of the Gaussian, the learning rate and the
# regularisation; SPEAKERS (training speakers, separated by commas) are left out of its training and
# validate it. The test set is read once by each of the long runs. They need an idle machine. The
# same command goes on with what was stopped: complete runs are left alone. LOSSES, SEEDS, EPOCHS,
# TRIALS, TRIAL_EPOCHS, PRESET and THREADS change what is run; PYTHON is the interpreter.
set -eu
DATA=${1:?give the folder of a dataset}
RUNS=${2:?give a folder for the runs}
SPEAKERS=${3:?give the training speakers for validation of the study}
PYTHON=${PYTHON:-python}
LOSSES=${LOSSES:-sum-exp gaussian searched learned fast attention}
THREADS="--n-threads ${THREADS:-0}"
COMMON="--preset ${PRESET:-shd-genn-80} --dataset $DATA --runs $RUNS $THREADS"
SHAPE="o + d*(s-m)*exp(-(s-m)**2/(2*c**2))"

# a study that has all its trials only prints its best one
$PYTHON -m shd_genn.sweep readout_weight --study study --trials "${TRIALS:-40}" $COMMON \
    --epochs "${TRIAL_EPOCHS:-25}" --validation speaker --validation-speaker "$SPEAKERS" --no-test |
    tee "$RUNS.study.txt"
BEST=$(sed -n 's/^run folder *//p' "$RUNS.study.txt")

train() {
    name=$1
    shift
    run="$RUNS/$name-$seed"
    if [ -e "$run/last.npz" ]; then
        grep -q '"state": "complete"' "$run/summary.json" || $PYTHON -m shd_genn.run --resume "$run"
    else
        rm -rf "$run"
        $PYTHON -m shd_genn.run "$@" --epochs "${EPOCHS:-100}" --validation auto --test \
            --seed "$seed" --name "$name-$seed"
    fi
}

one() {
    case $1 in
    sum-exp) train "$1" $COMMON ;;
    gaussian)
        train "$1" $COMMON --readout weighted --readout-weight "$SHAPE" \
            --weight-o 0.3 --weight-d 2.3 --weight-m 0 --weight-c 0.37
        ;;
    searched) train "$1" --config "$BEST/config.toml" --runs "$RUNS" $THREADS ;;
    learned) train "$1" $COMMON --readout learned_weight ;;
    fast) train "$1" $COMMON --readout learned_weight --weight-learning-rate 0.01 ;;
    attention) train "$1" $COMMON --readout learned_weight --weight-attention ;;
    *)
        echo "LOSSES may be sum-exp, gaussian, searched, learned, fast, attention, but has $1" >&2
        exit 2
        ;;
    esac
}

for seed in ${SEEDS:-0 1 2 3 4}; do
    for loss in $LOSSES; do one "$loss"; done
done
set --
for loss in $LOSSES; do
    set -- "$@" "$RUNS/$loss"-*
done
$PYTHON analysis/loss_curves.py "$@" -o "$RUNS/loss_curves.pdf"
$PYTHON analysis/readout_weight.py "$@" -o "$RUNS/readout_weight.pdf"
$PYTHON analysis/ablation.py "$@" -o "$RUNS/paired_tests.pdf"
