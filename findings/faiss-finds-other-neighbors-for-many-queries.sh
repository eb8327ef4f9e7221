#!/usr/bin/env bash
# faiss finds the nearest points of 63,999 queries, and with one more query of none of them.
#
# faiss-cpu 1.15.1, numpy 2.4.6; Python 3.11, Linux, CPU.
#
# IndexFlatL2 compares each query with each point, and is what the other indexes are measured against.
# Where the queries of a search together have fewer than 128,000 numbers, it adds up squared differences.
# Beyond that it takes |x|^2 + |y|^2 - 2 x.y from a product of matrices, in float32. Where the points are
# farther from zero than from each other, that is the difference of large numbers. So it is with
# coordinates in meters, such as UTM's, within some kilometers: of 63,999 queries, the first 200 have
# their nearest points; of 64,000, none of them has, and the distances are 0. Of 24 air pressures in
# pascal it is 5,333 queries and 5,334, of which a quarter are right. Searched in parts, or with the mean
# of the points subtracted from both, all are right. No warning is given.
#
# faiss.cvar.distance_compute_blas_threshold is that limit, and can be raised. It used to be 20 queries
# (faiss pull request 5022). Known: faiss issues 297 and 5285, both closed.
#
# Seen, of the first 200 queries, how many have their nearest point:
#   coordinates  63,999 queries: 100%
#   coordinates  64,000 queries:   0%, least distance 0
#   coordinates  64,000 queries in parts:      100%
#   coordinates  64,000 queries from the mean: 100%
#   pressures     5,333 queries: 100%
#   pressures     5,334 queries:  26%, least distance 0
#   pressures     5,334 queries in parts:      100%
#   pressures     5,334 queries from the mean: 100%
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    faiss-cpu==1.15.1 numpy==2.4.6

cat > "$dir/neighbors.py" <<'PYTHON'
import faiss
import numpy as np

CHECKED, LIMIT = 200, 128_000
generator = np.random.default_rng(0)
assert faiss.cvar.distance_compute_blas_threshold == LIMIT


def search(points, queries):
    index = faiss.IndexFlatL2(points.shape[1])
    index.add(points)
    distances, places = index.search(queries, 1)
    return distances[:, 0], places[:, 0]


def in_parts(points, queries):
    parts = np.array_split(queries, 8)
    found = [search(points, part) for part in parts]
    return tuple(np.concatenate(column) for column in zip(*found, strict=True))


def share(points, queries, places):
    """Of the first queries, those whose nearest point was found, by squared differences in float64."""
    points = points.astype("float64")
    nearest = [((points - query) ** 2).sum(axis=1).argmin() for query in queries[:CHECKED]]
    return (places[:CHECKED] == nearest).mean()


for name, center, deviation, rows in (
    ("coordinates", np.array([500_000.0, 5_400_000.0]), 1000, 2000),
    ("pressures", np.full(24, 101_325.0), 100, 5000),
):
    size = len(center)
    most = (LIMIT - 1) // size
    points, queries = (
        generator.normal(center, deviation, (count, size)).astype("float32")
        for count in (rows, most + 1)
    )
    _, places = search(points, queries[:most])
    print(f"{name:11}  {most:6,} queries: {share(points, queries, places):4.0%}")
    assert share(points, queries, places) == 1

    distances, places = search(points, queries)
    found = share(points, queries, places)
    print(f"{name:11}  {most + 1:6,} queries: {found:4.0%}, least distance {distances.min():.0f}")
    assert found < 0.4

    _, places = in_parts(points, queries)
    print(f"{name:11}  {most + 1:6,} queries in parts:      {share(points, queries, places):4.0%}")
    assert share(points, queries, places) == 1

    mean = points.mean(axis=0, dtype="float64").astype("float32")
    _, places = search(points - mean, queries - mean)
    print(f"{name:11}  {most + 1:6,} queries from the mean: {share(points, queries, places):4.0%}")
    assert share(points, queries, places) == 1
PYTHON

"$dir/venv/bin/python" "$dir/neighbors.py"
