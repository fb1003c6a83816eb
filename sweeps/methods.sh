#!/bin/sh
# Training methods side by side: a study with the same number of trials for each, then three seeds.
#
#     sh sweeps/methods.sh data/words runs/methods SPEAKER
#
# The training speaker SPEAKER is left out of the studies' training and validates them; the long runs
# test once. Methods that follow a gradient train the recurrent network of PRESET, also with neurons of
# other kinds (surrogate-alif); the others train one feed-forward layer. The same command goes on with
# what was stopped. ROWS, SEEDS, EPOCHS, TRIALS, TRIAL_EPOCHS and PRESET change what is run; PYTHON is
# the interpreter, which needs torch for conversion.
set -eu
DATA=${1:?give the folder of a dataset}
RUNS=${2:?give a folder for the runs}
SPEAKER=${3:?give the training speaker for validation of the studies}
PYTHON=${PYTHON:-python}
EPOCHS=${EPOCHS:-60}
TRIAL_EPOCHS=${TRIAL_EPOCHS:-15}
GRADIENT="--preset ${PRESET:-shd-genn-80}"
LAYER="--model feedforward --hidden-sizes 256 --dt-ms 2 --shift-channels 20"
LOCAL="$LAYER --w-in-mean 0.3 --w-in-sd 0.1 --theta-jump 0.005 --inhibition 0.2 --schedule cosine"
NANOCOMPOSITE="--window nanocomposite --device-levels 64 --device-noise 0.03 --device-spread 0.2"

# study NAME SPACE EPOCHS OPTIONS...: sets BEST to the settings of its best trial
study() {
    name=$1 space=$2 epochs=$3
    shift 3
    # a study that has all its trials only prints its best one
    $PYTHON -m shd_genn.sweep "sweeps/$space.py" --study "study-$name" --trials "${TRIALS:-10}" \
        --pruner none --epochs "$epochs" --dataset "$DATA" --runs "$RUNS" --no-test \
        --validation speaker --validation-speaker "$SPEAKER" "$@" | tee "$RUNS/study-$name.txt"
    BEST=$(sed -n 's|^run folder *\(.*\)|\1/config.toml|p' "$RUNS/study-$name.txt")
}

# train NAME EPOCHS OPTIONS...: one run for each seed, with the settings in BEST
train() {
    name=$1 epochs=$2
    shift 2
    [ -n "$BEST" ] || return 0 # every trial failed, and the study's report says why
    for seed in ${SEEDS:-0 1 2}; do
        run="$RUNS/$name-$seed"
        if [ -e "$run/last.npz" ]; then
            grep -q '"state": "complete"' "$run/summary.json" || $PYTHON -m shd_genn.run --resume "$run"
        else
            rm -rf "$run"
            $PYTHON -m shd_genn.run --config "$BEST" "$@" --runs "$RUNS" --epochs "$epochs" \
                --validation none --test --seed "$seed" --name "$name-$seed"
        fi
    done
}

mkdir -p "$RUNS"
for row in ${ROWS:-eventprop surrogate eprop eventprop-alif surrogate-alif eprop-alif conversion qcfs few-spike stdp frozen counts nanocomposite r-stdp}; do
    case $row in
    conversion | qcfs | few-spike)
        [ $row = conversion ] && kind=percentile || kind=$row
        # few-spike neurons take over the network that was trained for the conversion by percentile
        [ $row = qcfs ] && network=qcfs || network=conversion
        [ $row = few-spike ] && first=percentile || first=$kind
        study $network methods_conversion "$TRIAL_EPOCHS" $LAYER --method conversion --backend reference --conversion $first
        train $row "$EPOCHS" --conversion $kind
        ;;
    stdp | frozen | counts)
        study stdp methods_stdp 3 --method stdp $LOCAL
        case $row in
        stdp) train stdp 5 ;;
        frozen) train frozen 5 --control frozen ;;
        counts) train counts 2 --control counts ;;
        esac
        ;;
    nanocomposite)
        study nanocomposite methods_stdp 3 --method stdp $LOCAL $NANOCOMPOSITE
        train nanocomposite 5
        ;;
    r-stdp)
        study r-stdp methods_r_stdp 3 --method r-stdp $LOCAL
        train r-stdp 5
        ;;
    *)
        neuron=${row##*-}
        [ "$neuron" = "$row" ] && neuron=lif
        study "$row" methods "$TRIAL_EPOCHS" $GRADIENT --method "${row%%-*}" --neuron "$neuron"
        train "$row" "$EPOCHS"
        ;;
    esac
done
$PYTHON analysis/methods.py "$RUNS" -o "$RUNS/methods.pdf"
$PYTHON analysis/methods.py "$RUNS" -o "$RUNS/methods.tex"
