"""The charts of a run: how it learned, what it predicts, where it errs, which learning rate suits it.

Every function returns a Figure whose title says the finding, with its number. `frame` is a DataFrame of one row a
picture: `image` (the name to show), `path` (the file to open), the targets' columns, and each column's prediction in
`<column>_predicted`. Rows that lack either are left out.
"""
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, MultipleLocator, NullFormatter

from .sheets import (
    BLUE,
    CYCLE,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SHADE,
    SKY,
    VERMILION,
    Sheet,
    amount,
    empty,
    in_a_row,
    known,
    unit_word,
)

BAND_FROM = 30  # rows needed before a running median says anything


def _scale(axis, values) -> None:
    """Set a log scale where `values` span more than a factor of ten, with ticks a person can read."""
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() > 10 * values.min():
        axis.axes.set(**{f"{axis.axis_name}scale": "log"})
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(lambda v, _: f"{v:g}")
        axis.set_minor_formatter(NullFormatter())


def _lines(ax, history, columns: dict[str, str], colours, best) -> None:
    """Columns of `history` over the epochs under the names given; a ring where `best` (a row's position) is."""
    epochs, dot = history["epoch"], "o" if len(history) <= 40 else ""
    for (column, name), colour in zip(columns.items(), colours, strict=False):
        ax.plot(epochs, history[column], color=colour, marker=dot, markersize=3.5, linewidth=1.8, label=name)
        if best is not None and column != "train_loss":
            ax.plot(epochs.iloc[best], history[column].iloc[best], "o", markersize=10, markerfacecolor="none",
                    markeredgecolor=INK, markeredgewidth=1.3)
    if best is not None:
        ax.axvline(epochs.iloc[best], color=GREY, linewidth=0.9, linestyle=(0, (2, 3)), zorder=1)
    _scale(ax.yaxis, history[list(columns)].to_numpy(float))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=(1, 2, 5, 10)))
    ax.set_xlabel("epoch", color=INK)
    if len(columns) > 1:
        ax.legend(frameon=False, fontsize=9, labelcolor=INK)


def curves(history, unit: str | dict[str, str]) -> Figure:
    """Losses and validation errors over the epochs; the epoch of the lowest validation loss, which is kept, marked.

    `history`: a DataFrame of `epoch`, `train_loss`, `valid_loss` and a `<target>_error` for each target; `unit`: of
    the errors, or {target name: unit}, and then errors in other units get a chart of their own.
    """
    names = {c: c.removesuffix("_error") for c in history.columns if c.endswith("_error")}
    units = {c: unit if isinstance(unit, str) else unit.get(name, "") for c, name in names.items()}
    best = int(np.nanargmin(history["valid_loss"].to_numpy(float))) if history["valid_loss"].notna().any() else None
    title = f"{len(history)} epochs" if best is None else f"Best at epoch {history['epoch'].iloc[best]:g}"
    row = history.iloc[-1 if best is None else best] if len(history) else {}
    told = [f"{n} error {amount(row[c], units[c])}" for c, n in names.items() if np.isfinite(row.get(c, np.nan))]
    kinds = list(dict.fromkeys(units.values()))
    sheet = Sheet(4.6 * (1 + len(kinds)), 3.5, ": ".join([title, ", ".join(told)]) if told else title,
                  "The ring is the epoch with the lowest validation loss: its weights are kept." * (best is not None))
    left, *others = sheet.charts(1 + len(kinds))
    _lines(left, history, {"train_loss": "training", "valid_loss": "validation"}, (SKY, BLUE), best)
    left.set_ylabel("loss", color=INK)
    for ax, kind in zip(others, kinds, strict=True):
        _lines(ax, history, {c: n for c, n in names.items() if units[c] == kind}, (VERMILION, *CYCLE[2:]), best)
        ax.set_ylabel("mean validation error" + (f" ({kind})" if kind else ""), color=INK)
    return sheet


def _dots(ax, x, y, colour=BLUE) -> None:
    """Dots that stay visible alone and show their density together."""
    ax.scatter(x, y, s=18 if len(x) <= 300 else 9, alpha=float(np.clip(900 / max(1, len(x)), 0.35, 0.75)), color=colour,
               linewidth=0)


def _axis_name(target, column: str, word: str) -> str:
    name = target.name if len(target.columns) == 1 else column
    return f"{word} {name}" + (f" ({target.unit})" if target.unit else "")


def _ends(target, values) -> tuple[float, float, bool]:
    """Where an axis of true values begins and ends, and whether it is a full circle."""
    low, high = float(np.min(values)), float(np.max(values))
    period = getattr(target, "period", None)
    if period and high - low > period / 2:
        start = 0.0 if low >= 0 else -period / 2
        if low >= start and high <= start + period:
            return start, start + period, True
    pad = 0.05 * (high - low) or 1.0
    return low - pad, high + pad, False


def _circle(axis, target) -> None:
    axis.set_major_locator(MultipleLocator(target.period / 4 if target.period > 180 else 30))


def predicted_against_true(task, target, frame, baseline: dict[str, float] | None = None) -> Figure:
    """Prediction over truth with the diagonal, one chart a column; the title has the error and that of guessing.

    `baseline`: {target name: mean error of guessing in units}, as scoring takes it from the training part; where it is
    missing, that of the best guess for this very frame.
    """
    _, true, predicted, error = known(target, frame)
    if not len(true):
        return empty(target)
    guess = (baseline or {}).get(target.name)
    if guess is None:
        guess = target.error(np.broadcast_to(target.centre(true), true.shape), true).mean()
    near = true + target.residual(predicted, true)  # an angle across the seam is drawn beside its truth
    n, means = len(target.columns), [amount(e, target.unit) for e in (error.mean(), guess)]
    note = f"{len(true)} pictures, task {task.name}. {_crossing(target, true, near, predicted)}"
    sheet = Sheet(5.9 * n, 5.45, f"{target.name}: mean error {means[0]}, guessing {means[1]}", note)
    for i, (ax, column) in enumerate(zip(sheet.charts(n), target.columns, strict=True)):
        low, high, circle = _ends(target, true[:, i])
        if not circle:
            low, high, _ = _ends(target, np.stack([true[:, i], near[:, i]]))
        ax.plot((low, high), (low, high), color=INK, linewidth=1, zorder=1)
        _dots(ax, true[:, i], near[:, i])
        ax.set(xlim=(low, high), ylim=(low, high))
        if circle:
            _seam(ax, target, low, high, near[:, i])
        ax.set_xlabel(_axis_name(target, column, "true"), color=INK)
        ax.set_ylabel(_axis_name(target, column, "predicted"), color=INK)
    return sheet


def _crossing(target, true, near, predicted) -> str:
    """What to say of predictions that were drawn a period away from their number; nothing if there are none."""
    low, high, circle = _ends(target, true)
    beyond = ((near < low) | (near > high)).any(axis=1).sum()
    if circle and beyond:
        return f"{beyond} beyond the seam 0° = {target.period:g}° (shaded) stand beside their truth."
    return "" if np.allclose(near, predicted) else "Angles are drawn the short way round from their truth."


def _seam(ax, target, low, high, near) -> None:
    """Make room beyond the circle's ends, shaded, whose ticks still tell the angle that was predicted."""
    pad = 0.03 * (high - low)
    bottom, top = min(low, near.min()) - pad, max(high, near.max()) + pad
    ax.set_ylim(bottom, top)
    ax.axhspan(bottom, low, color=SHADE, zorder=0)
    ax.axhspan(high, top, color=SHADE, zorder=0)
    for axis in (ax.xaxis, ax.yaxis):
        _circle(axis, target)
    ax.yaxis.set_major_formatter(lambda v, _: f"{v if low <= v <= high else (v - low) % target.period + low:g}")


def _running(x, y, period: float | None):
    """Running quantiles of y over x, [4, places]: x, then the 5th, 50th and 95th per cent; round a circle or not."""
    order = np.argsort(x, kind="stable")
    x, y, n = x[order], y[order], len(x)
    window = int(np.clip(n // 12, 15, 400))
    if period:
        x, y = np.concatenate([x - period, x, x + period]), np.tile(y, 3)
    first, last = (n - window // 2, 2 * n - window // 2) if period else (0, n - window)
    starts = np.unique(np.linspace(first, last, 80).astype(int))
    return np.array([[np.median(x[s:s + window]), *np.quantile(y[s:s + window], (0.05, 0.5, 0.95))] for s in starts]).T


def residuals(task, target, frame) -> Figure:
    """Signed residuals over the truth with their running median and the band that holds 90 % of them."""
    _, true, predicted, _ = known(target, frame)
    if not len(true):
        return empty(target)
    rest = target.residual(predicted, true)
    many, note = len(true) >= BAND_FROM, f"Predicted less true, {len(true)} pictures, task {task.name}."
    low, middle, high = in_a_row(np.quantile(rest, (0.05, 0.5, 0.95) if many else (0, 0.5, 1)), target.unit, "+")
    note += " Line: running median; band: 90 % of the residuals there." * many
    title = f"{target.name}: {'nine in ten' if many else 'all'} residuals from {low} to {high}{unit_word(target.unit)}"
    sheet = Sheet(8 * len(target.columns), 3.9, f"{title}, median {middle}", note)
    for i, (ax, column) in enumerate(zip(sheet.charts(len(target.columns)), target.columns, strict=True)):
        start, end, circle = _ends(target, true[:, i])
        _residual_dots(ax, target, true[:, i], rest[:, i])
        ax.axhline(0, color=INK, linewidth=1, zorder=1)
        if many:
            x, lower, median, upper = _running(true[:, i], rest[:, i], target.period if circle else None)
            ax.fill_between(x, lower, upper, color=ORANGE, alpha=0.3, linewidth=0, zorder=0.5)
            ax.plot(x, median, color=VERMILION, linewidth=2)
        if circle:
            _circle(ax.xaxis, target)
        ax.set_xlim(start, end)
        ax.set_xlabel(_axis_name(target, column, "true"), color=INK)
        ax.set_ylabel("residual" + (f" ({target.unit})" if target.unit else ""), color=INK)
    return sheet


def _residual_dots(ax, target, x, y) -> None:
    """Dots, with the few that would flatten all others put as triangles on the edge, and counted."""
    size = np.abs(y)
    usual = float(np.quantile(size, 0.98)) if len(y) >= BAND_FROM else size.max()
    limit = 1.08 * size.max() if size.max() <= 4 * usual else 2 * usual
    limit = limit or 1.0
    far = size > limit
    _dots(ax, x[~far], y[~far])
    ax.set_ylim(-limit, limit)
    for sign, shape in ((1, "^"), (-1, "v")):
        out = far & (np.sign(y) == sign)
        ax.plot(x[out], np.full(out.sum(), 0.96 * sign * limit), shape, color=PURPLE, markersize=6, linewidth=0)
    if far.any():
        text = f"▲▼ {far.sum()} beyond this chart, up to ±{amount(size.max(), target.unit)}"
        ax.text(1, 1.01, text, transform=ax.transAxes, ha="right", va="bottom", size=8.5, color=PURPLE)


def _smooth(values, width: float = 2.0):
    """A running mean under a bell of `width` points; at the ends over those there are."""
    bell = np.exp(-0.5 * (np.arange(-6, 7) / width) ** 2)
    return np.array([np.average(values[max(0, i - 6):i + 7], weights=bell[max(0, 6 - i):6 + len(values) - i])
                     for i in range(len(values))])


def lr_find(lrs, losses, suggestion: float | None, trusted: bool) -> Figure:
    """The learning-rate sweep: losses, their smoothed course and the `suggestion`, which counts only if `trusted`."""
    lrs, losses = np.asarray(lrs, float), np.asarray(losses, float)
    whole = np.isfinite(lrs) & np.isfinite(losses)
    lrs, losses = lrs[whole], losses[whole]
    good = trusted and suggestion is not None
    title = f"Suggested learning rate: {suggestion:.2g}" if good else "No learning rate to suggest"
    note = ("Dots: the loss at each rate; line: its course, smoothed; dashed: the suggestion." if good else
            "This sweep means nothing: the loss did not fall clearly anywhere. Take the default rate.")
    sheet = Sheet(7.2, 3.7, title, note)
    (ax,) = sheet.charts()
    ax.plot(lrs, losses, ".", color=SKY, markersize=4, alpha=0.8)
    if len(lrs):
        smooth = _smooth(losses)
        ax.plot(lrs, smooth, color=BLUE if good else GREY, linewidth=2)
        low, start = losses.min(), losses[:(len(losses) + 1) // 2].max()
        top = start + 0.4 * (start - low) + 1e-9  # where it bursts, the loss would flatten all that matters
        ax.set_ylim(low - 0.1 * (top - low), top)
    if good:
        ax.axvline(suggestion, color=VERMILION, linewidth=1.5, linestyle=(0, (4, 2)))
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(lambda v, _: f"{v:g}")
    ax.set_xlabel("learning rate", color=INK)
    ax.set_ylabel("loss", color=INK)
    return sheet
