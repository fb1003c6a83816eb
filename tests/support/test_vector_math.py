"""The functions of vector_math.h and of math.cuh, compiled, against NumPy in float64."""

import ctypes
import platform
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from shd_genn.backends import cuda
from shd_genn.network.neurons.expressions import exprel, exprel_slope, relu, relu_slope
from shd_genn.support import builder

INCLUDE = Path(builder.__file__).parent / "include"
SOURCE = Path(__file__).with_name("vector_math.cpp")
N = 4096
X86 = platform.machine() == "x86_64"
WIDTHS = {"widest": (), "eight lanes": ("-mno-avx512f",), "four lanes": ("-mno-avx",)}
CUDA = Path(cuda.__file__).parent / "kernels"
ON_GPU = "one number, as on a GPU"
TINY, LARGE = 1e-30, 1e30


def bernoulli(x):
    return 1 / exprel(x)


def bernoulli_slope(x):
    return -exprel_slope(x) / exprel(x) ** 2


# name: NumPy's function, range of x, range of y, the largest relative error in units of 1e-7. Where
# the function is near 0, the error is in relation to the last number.
FUNCTIONS = {
    "power_of_two": (np.exp2, (-126, 127.9), (0, 1), 2.0, 0.0),
    "exponential": (np.exp, (-87, 88.7), (0, 1), 100.0, 0.0),
    "logarithm": (np.log, (TINY, 1e4), (0, 1), 1.2, 0.1),
    "square_root": (np.sqrt, (0, 1e6), (0, 1), 1.2, 0.0),
    "sine": (np.sin, (-100, 100), (0, 1), 1.2, 0.1),
    "cosine": (np.cos, (-100, 100), (0, 1), 1.2, 0.1),
    "arctangent": (np.arctan, (-100, 100), (0, 1), 2.0, 0.0),
    "hyperbolic_sine": (np.sinh, (-80, 80), (0, 1), 2.0, 0.0),
    "hyperbolic_cosine": (np.cosh, (-80, 80), (0, 1), 100.0, 0.0),
    "hyperbolic_tangent": (np.tanh, (-12, 12), (0, 1), 3.0, 0.0),
    "exprel": (exprel, (-2, 2), (0, 1), 5.0, 0.0),
    "exprel_slope": (exprel_slope, (-2, 2), (0, 1), 20.0, 0.0),
    "bernoulli": (bernoulli, (-2, 2), (0, 1), 5.0, 0.0),
    "bernoulli_slope": (bernoulli_slope, (-2, 2), (0, 1), 20.0, 0.0),
    "reciprocal": (lambda x: 1 / x, (TINY, LARGE), (0, 1), 1.2, 0.0),
    "quotient": (np.divide, (-1e3, 1e3), (-1e3, 1e3), 1.8, 0.0),
    "raised": (np.power, (1e-3, 100), (-5, 5), 2.0, 0.0),
    "power": (lambda x: x**7, (-10, 10), (0, 1), 4.0, 0.0),
    "absolute": (np.abs, (-5, 5), (0, 1), 0.0, 0.0),
    "sign": (np.sign, (-5, 5), (0, 1), 0.0, 0.0),
    "relu": (relu, (-5, 5), (0, 1), 0.0, 0.0),
    "relu_slope": (relu_slope, (-5, 5), (0, 1), 0.0, 0.0),
    "larger": (np.maximum, (-5, 5), (-5, 5), 0.0, 0.0),
    "smaller": (np.minimum, (-5, 5), (-5, 5), 0.0, 0.0),
}


@pytest.fixture(scope="module", params=["g++", "clang++"])
def compiler(request):
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return request.param


@pytest.fixture(scope="module", params=[*(WIDTHS if X86 else ["widest"]), ON_GPU])
def library(request, compiler, tmp_path_factory):
    """The functions as one compiler makes them, for vectors of one width."""
    path = tmp_path_factory.mktemp("vector_math") / "library.so"
    on_gpu = ("-DON_GPU", "-ffp-contract=off", f"-I{CUDA}")
    of_width = {**WIDTHS, ON_GPU: on_gpu}[request.param]
    flags = [*builder.FLAGS, *of_width, "-Werror", f"-I{INCLUDE}"]
    subprocess.run([compiler, *flags, str(SOURCE), "-o", str(path)], check=True)
    loaded = ctypes.CDLL(str(path))
    assert N % loaded.lanes() == 0
    return loaded


def both(library, name, x, y=None):
    """What a function gives number by number, and vector by vector."""
    x = np.ascontiguousarray(x, np.float32)
    y = np.zeros_like(x) if y is None else np.ascontiguousarray(y, np.float32)
    found = np.zeros((2, len(x)), np.float32)
    arrays = (a.ctypes.data_as(ctypes.c_void_p) for a in (x, y, found[0], found[1]))
    getattr(library, f"of_{name}")(*arrays, len(x))
    return found


def spread(low, high):
    """Numbers all over a range, and close to 0 where that is in it; small and large alike."""
    if low == TINY:
        return np.geomspace(low, high, N).astype(np.float32)
    even = np.linspace(low, high, N - N // 4)
    sizes = np.geomspace(1e-12, max(abs(low), abs(high)), N // 8)
    near = np.concatenate([sizes, -sizes])
    return np.random.default_rng(0).permutation(
        np.concatenate([even, np.clip(near, low, high)]).astype(np.float32)
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_numpys(library, name):
    function, range_of_x, range_of_y, bound, floor = FUNCTIONS[name]
    x, y = spread(*range_of_x), np.random.default_rng(1).uniform(*range_of_y, N).astype(np.float32)
    both_given = isinstance(function, np.ufunc) and function.nin == 2
    given = (x.astype(float), y.astype(float))[: 1 + both_given]
    expected = function(*given)
    size = np.maximum(np.abs(expected), max(floor, 1e-37))
    for found in both(library, name, x, y):
        worst = np.argmax(error := np.abs(found - expected) / size)
        assert error[worst] <= 1e-7 * bound, (x[worst], y[worst], found[worst], expected[worst])


@pytest.mark.parametrize("name", ["exponential", "exprel", "exprel_slope", "bernoulli"])
def test_exponentials_are_as_exact_as_the_rounding_of_their_argument(library, name):
    function = FUNCTIONS[name][0]
    x = spread(-80, 80)
    error = np.abs(both(library, name, x) / function(x.astype(float)) - 1)
    size = 1 + np.abs(x)
    assert np.all(error <= np.maximum(1.2e-7 * size, 2e-6 if "slope" in name else 5e-7))


INF, NAN = np.inf, np.nan
SPECIAL = {
    # name: x → the value
    "exponential": {0: 1, INF: INF, -INF: 0, NAN: NAN, 200: INF, -200: 0, 1e-40: 1},
    "power_of_two": {0: 1, 1: 2, -1: 0.5, 127: 2.0**127, 128: INF, -126: 2.0**-126, -160: 0}
    | {INF: INF, -INF: 0, NAN: NAN, -149: 2.0**-149, -140: 2.0**-140},
    "logarithm": {1: 0, 0: -INF, INF: INF, NAN: NAN, -1: NAN},
    "square_root": {0: 0, 4: 2, INF: INF, -1: NAN, NAN: NAN},
    "hyperbolic_tangent": {0: 0, 1e-40: 1e-40, INF: 1, -INF: -1, NAN: NAN, 1e30: 1, -1e30: -1},
    "hyperbolic_cosine": {0: 1, INF: INF, -INF: INF, NAN: NAN},
    "exprel": {0: 1, 1e-40: 1, -1e-7: 1 - 5e-8, NAN: NAN, 200: INF, -1e10: 1e-10},
    "exprel_slope": {0: 0.5, 1e-40: 0.5, NAN: NAN},
    "bernoulli": {0: 1, 1e-40: 1, NAN: NAN, 60: 60 * np.exp(-60.0), -1e10: 1e10},
    "bernoulli_slope": {0: -0.5, 1e-40: -0.5, NAN: NAN, -1e10: -1},
    "reciprocal": {INF: 0, -INF: 0, 0: INF, NAN: NAN, 2: 0.5, -4: -0.25},
    "absolute": {-0.0: 0, -INF: INF, NAN: NAN, -1e-40: 1e-40},
    "sign": {0: 0, INF: 1, -INF: -1, 1e-40: 1, -1e-40: -1},
    "relu": {0: 0, INF: INF, -INF: 0, 1e-40: 1e-40},
    "relu_slope": {0: 0, INF: 1, -INF: 0, 1e-40: 1, -1e-40: 0},
}


@pytest.mark.parametrize("name", SPECIAL)
def test_special_numbers(library, name):
    """0, infinity, what is not a number, denormal numbers, and the limits of exponents."""
    given, expected = np.array(list(SPECIAL[name].items()), np.float32).T
    x = np.resize(given, N)
    for found in both(library, name, x):
        np.testing.assert_allclose(found[: len(given)], expected, rtol=1e-5, atol=0)
        np.testing.assert_array_equal(found, np.resize(found[: len(given)], N))


def test_choices_take_the_lane_that_fits(library):
    x, y = np.random.default_rng(2).normal(size=(2, N)).astype(np.float32)
    x[:8], y[:8] = [0, -0.0, NAN, 1, INF, -INF, 2, 2], [0, 0, 1, NAN, INF, 0, 2, -2]
    for found in both(library, "chosen_where_less", x, y):
        np.testing.assert_array_equal(found, np.where(x < y, x, 0))
