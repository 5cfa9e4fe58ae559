"""The edge filter as one loop of machine code, where numba is installed."""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from numba import boolean, float32, void

from mtpano_model.inference.compiled import compiled, part


@part
def _slopes(before, here, behind, ratio, out):
    """Mark where depth rises or falls by more than `ratio` on both sides of a pixel."""
    for j in range(out.shape[0]):
        a, b, c = before[j], here[j], behind[j]
        rises = (b > a * ratio) & (c > b * ratio)
        falls = (a > b * ratio) & (b > c * ratio)
        out[j] = out[j] | rises | falls


@compiled(void(float32[:, ::1], float32[::1], float32, boolean[:, ::1]))
def hanging(depth, across, down, out):
    """out [H, W]: which pixels of depth hang. across [H], down: ratios along rows and columns."""
    height, width = depth.shape
    for i in range(height):
        row, found = depth[i], out[i]
        found[:] = False
        if 0 < i < height - 1:
            _slopes(depth[i - 1], row, depth[i + 1], down, found)
        _slopes(row[:-2], row[1:-1], row[2:], across[i], found[1:-1])
        # The seam is no border.
        _slopes(row[width - 1 :], row[:1], row[1:2], across[i], found[:1])
        _slopes(row[width - 2 : -1], row[width - 1 :], row[:1], across[i], found[width - 1 :])
