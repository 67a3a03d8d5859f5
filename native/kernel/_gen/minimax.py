"""Computes the coefficients in approximations.go, in a minute: .tandem/python/venv/bin/python native/kernel/_gen/minimax.py

Each polynomial is the minimax one for the weighted error, by Remez's exchange (Muller, "Elementary Functions", 3rd ed., section 3.5) in 60
digits. Then its coefficients are rounded to float32 one by one, the lowest order first, and after each the others are fitted
again, by weighted least squares on Chebyshev nodes, so that they make up for the rounding. Needs mpmath, which comes with PyTorch.
"""

import struct

from mpmath import cos, erf, erfc, exp, expm1, log, log1p, lu_solve, matrix, mp, mpf, pi, sqrt, tanh

mp.dps = 60
GRID = 600


def float32(x):
    return mpf(struct.unpack("f", struct.pack("f", float(x)))[0])


def solve(rows, right):
    a, b = matrix(len(rows), len(rows[0])), matrix(len(rows), 1)
    for i, row in enumerate(rows):
        b[i] = right[i]
        for j, v in enumerate(row):
            a[i, j] = v
    return list(lu_solve(a, b))  # least squares where there are more rows than columns


def errors(values, coefficients):
    return [w * (y - sum(c * x**p for p, c in enumerate(coefficients))) for x, y, w in values]


def minimax(values, n):
    """The n coefficients with the smallest largest error on the grid, by exchange of n + 1 points."""
    points = [values[round(k * (len(values) - 1) / n)] for k in range(n + 1)]
    for _ in range(30):
        *c, level = solve(
            [[w * x**p for p in range(n)] + [(-1) ** k] for k, (x, _, w) in enumerate(points)], [w * y for _, y, w in points]
        )
        error = errors(values, c)
        peaks = []  # the largest error of each run of one sign
        for k, e in enumerate(error):
            if peaks and (e > 0) == (error[peaks[-1]] > 0):
                if abs(e) > abs(error[peaks[-1]]):
                    peaks[-1] = k
            else:
                peaks.append(k)
        while len(peaks) > n + 1:
            peaks.pop(0 if abs(error[peaks[0]]) < abs(error[peaks[-1]]) else -1)
        if len(peaks) < n + 1 or max(map(abs, error)) < abs(level) * mpf("1.0001"):
            break
        points = [values[k] for k in peaks]
    return c


def fit(name, n, lo, hi, f, weight):
    """Prints the coefficients, the highest order first, and the largest weighted error before and after rounding."""
    lo, hi = mpf(lo), mpf(hi)
    values = []
    for k in range(GRID):
        x = (lo + hi) / 2 - (hi - lo) / 2 * cos(pi * (2 * k + 1) / (2 * GRID))
        values.append((x, f(x), weight(x)))
    c = minimax(values, n)
    before = max(map(abs, errors(values, c)))
    for fixed in range(1, n):
        c = [float32(v) if p < fixed else v for p, v in enumerate(c)]
        left = [(x, y - sum(v * x**p for p, v in enumerate(c[:fixed])), w) for x, y, w in values[::4]]
        c[fixed:] = solve([[w * x**p for p in range(fixed, n)] for x, _, w in left], [w * y for _, y, w in left])
    c = [float32(v) for v in c]
    after = max(map(abs, errors(values, c)))
    print(f"// {name}: weighted error 2^{float(log(before, 2)):.1f}, with rounded coefficients 2^{float(log(after, 2)):.1f}.")
    print("\t" + ", ".join(float(v).hex() for v in reversed(c)) + ",")


half = log(2) / 2 * mpf("1.001")
fit("exp(r) = 1 + r + r^2 p(r)", 5, -half, half, lambda r: (exp(r) - 1 - r) / r**2, lambda r: r**2 / exp(r))
fit("expm1(r) = r + r^2 p(r)", 6, -half, half, lambda r: (expm1(r) - r) / r**2, lambda r: r**2 / expm1(r))
fit(
    "log(1 + f) = f + f^2 (-1/2 + f p(f))", 8, sqrt(mpf(1) / 2) - 1, sqrt(mpf(2)) - 1,
    lambda f: (log1p(f) - f + f**2 / 2) / f**3, lambda f: f**3 / log1p(f),
)
fit("erf(x) = x + x p(x^2)", 6, 0, mpf("0.9") ** 2, lambda z: erf(sqrt(z)) / sqrt(z) - 1, lambda z: sqrt(z) / erf(sqrt(z)))
fit("erfc(x) = exp(x p(x))", 8, "0.9", "3.95", lambda x: log(erfc(x)) / x, lambda x: x * erfc(x) / erf(x))


fit("tanh(x) = x + x^3 p(x^2)", 5, 0, mpf("0.6") ** 2, lambda z: (tanh(sqrt(z)) / sqrt(z) - 1) / z, lambda z: z * sqrt(z) / tanh(sqrt(z)))


def phi(x):
    return exp(-x * x / 2) / sqrt(2 * pi)


def normal(x):
    return erfc(-x / sqrt(2)) / 2


K = 2


def tail(t):
    a = K * (1 + t) / (1 - t)
    return (a + K) * exp(a * a / 2) * normal(-a)


def at(a):
    return (mpf(a) - K) / (mpf(a) + K)


fit(f"Phi(-a) = exp(-a^2/2) p(t) / (a + {K}), t = (a - {K})/(a + {K})", 9, at("0.99"), at("14.5"), tail, lambda t: 1 / tail(t))
fit("Phi(x) = 1/2 + x p(x^2)", 6, 0, 1, lambda z: (normal(sqrt(z)) - mpf(1) / 2) / sqrt(z), lambda z: sqrt(z) / normal(-sqrt(z)))
fit(
    "Phi(x) + x phi(x) = 1/2 + x p(x^2)", 6, 0, 1,
    lambda z: (normal(sqrt(z)) + sqrt(z) * phi(sqrt(z)) - mpf(1) / 2) / sqrt(z), lambda z: sqrt(z) / normal(-sqrt(z)),
)
