#!/bin/sh
# Neurons side by side: a study of 10 short trials for each, then three seeds with what it chose.
#
#     sh sweeps/neurons.sh data/words runs/neurons SPEAKER
#
# The training speaker SPEAKER is left out of the studies' training and validates them; the long runs
# test once. Two layers of 128 neurons have the settings that one layer of 256 was given. The same
# command goes on with what was stopped. SIZES, NEURONS, SEEDS, EPOCHS, TRIALS, TRIAL_EPOCHS and
# PRESET change what is run; PYTHON is the interpreter.
set -eu
DATA=${1:?give the folder of a dataset}
RUNS=${2:?give a folder for the runs}
SPEAKER=${3:?give the training speaker for validation of the studies}
PYTHON=${PYTHON:-python}

train() {
    name=$1
    shift
    for seed in ${SEEDS:-0 1 2}; do
        run="$RUNS/$name-$seed"
        if [ -e "$run/last.npz" ]; then
            grep -q '"state": "complete"' "$run/summary.json" || $PYTHON -m shd_genn.run --resume "$run"
        else
            rm -rf "$run"
            $PYTHON -m shd_genn.run "$@" --runs "$RUNS" --epochs "${EPOCHS:-60}" \
                --validation none --test --seed "$seed" --name "$name-$seed"
        fi
    done
}

mkdir -p "$RUNS"
for sizes in ${SIZES:-256 128-128}; do
    for neuron in ${NEURONS:-lif lif_learned alif adlif izhikevich}; do
        # a study that has all its trials only prints its best one
        $PYTHON -m shd_genn.sweep "sweeps/neurons/$neuron.py" --study "study-$neuron" \
            --trials "${TRIALS:-10}" --epochs "${TRIAL_EPOCHS:-15}" --preset "${PRESET:-shd-genn-80}" \
            --dataset "$DATA" --runs "$RUNS" --no-test \
            --validation speaker --validation-speaker "$SPEAKER" | tee "$RUNS/$neuron.txt"
        best=$(sed -n 's/^run folder *//p' "$RUNS/$neuron.txt")
        [ -n "$best" ] || continue # every trial failed, and the study's report says why
        train "$neuron-$sizes" --config "$best/config.toml" --hidden-sizes $(echo "$sizes" | tr - ' ')
    done
done
$PYTHON analysis/comparison.py "$RUNS" -o "$RUNS/neurons.pdf"
