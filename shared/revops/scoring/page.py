"""The training report as a page of its own: no script, no font, nothing fetched. Texts of leads are escaped."""

from collections.abc import Sequence
from html import escape

from revops.scoring import plots
from revops.scoring.training.model import Candidate, Report, Verdict, Window

_STYLE = """
:root{--ink:#1c2430;--paper:#fff;--faint:#9aa4b2;--first:#1f6feb;--second:#c2571a;color-scheme:light dark}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--paper:#14181f;--faint:#6b7686;--first:#6ea8fe;--second:#f0955b}}
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:var(--ink);
background:var(--paper)}
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.3rem .9rem .3rem 0;text-align:right}
th{font-weight:600;border-bottom:1px solid var(--faint)}td:first-child,th:first-child{text-align:left}
.plots{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0;flex:1 1 20rem}figure.wide{flex-basis:100%}
figcaption{font-weight:600}svg{width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:var(--ink)}
.verdict{border-left:4px solid var(--first);padding:.2rem 1rem}.key span{margin-right:1.5rem}
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_HEADLINES = {
    Verdict.TOO_FEW: "Too little to learn from",
    Verdict.NO_SIGNAL: "Nothing that holds for later leads",
    Verdict.KEPT: "What is in force stays",
    Verdict.REPLACED: "A better model is in force",
}
_MOST_WEIGHTS = 12
_KEY = {"none": "base rate for everybody", "champion": "model in force", "challenger": "trained now"}


def page_of(report: Report) -> str:
    """A report as one HTML page."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width"><title>Scoring: training report</title>'
        f"<style>{_STYLE}</style></head><body><h1>{_HEADLINES[report.verdict]}</h1>"
        f'<p class="verdict">{escape(report.why)}</p>'
        f"<p>Trained {report.at:%d %B %Y, %H:%M} UTC on {report.leads} closed leads, {report.conversions} of them "
        f"converted ({report.needed} it takes at least).{_advantage(report)}</p>"
        f"{_windows(report.windows)}{_measures(report.candidates)}{_plots(report)}{_weights(report)}"
        f"{_looked_at(report)}</body></html>"
    )


def _advantage(report: Report) -> str:
    if not report.champion_saw:
        return ""
    return f" The model in force had itself learned from {report.champion_saw} of the test leads, to its advantage."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(each)}</th>" for each in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def _windows(windows: Sequence[Window]) -> str:
    if not windows:
        return ""
    rows = [
        (
            each.name,
            f"{each.start:%d/%m/%Y}",
            f"{each.end:%d/%m/%Y}",
            str(each.leads),
            f"{each.conversions / each.leads:.1%}",
        )
        for each in windows
    ]
    return "<h2>History, cut by closing time</h2>" + _table(("", "from", "to", "leads", "converted"), rows)


def _measures(candidates: Sequence[Candidate]) -> str:
    if not candidates:
        return ""
    rows = [
        (
            _KEY[each.name],
            f"{each.measures.auc:.3f}",
            f"{each.measures.log_loss:.4f}",
            f"{each.measures.brier:.4f}",
            f"{each.calibration_error:.3f}",
            f"{each.top_fifth:.0%}",
        )
        for each in candidates
    ]
    head = ("on the test leads", "AUC", "log loss", "Brier", "calibration error", "conversions in best fifth")
    return "<h2>Compared on the newest leads</h2>" + _table(head, rows)


def _plots(report: Report) -> str:
    judged = [each for each in report.candidates if each.name != "none"]
    if not judged:
        return ""
    told, curves = "", ""
    for each in judged:
        colour = plots.COLOURS[each.name]
        seen = [(part.said, part.happened, part.low, part.high) for part in each.calibration]
        told += plots.line([(x, y) for x, y, _, _ in seen], colour) + plots.dots(seen, colour)
        curves += plots.line(each.roc, colour)
    key = "".join(f'<span style="color:{plots.COLOURS[each.name]}">■ {_KEY[each.name]}</span>' for each in judged)
    calibration = plots.square("Calibration: what was said, what happened", "probability said", "converted", told)
    ranking = plots.square("Ranking: conversions found, best leads first", "other leads", "conversions found", curves)
    return f'<p class="key">{key}</p><div class="plots">{calibration}{ranking}</div>'


def _weights(report: Report) -> str:
    every = [
        (f"{name}: {value or 'not known'}", weight)
        for name, values in report.weights.items()
        for value, weight in values.items()
    ]
    if not every:
        return ""
    ordered = sorted(every, key=lambda each: -each[1])
    shown = ordered if len(ordered) <= 2 * _MOST_WEIGHTS else [*ordered[:_MOST_WEIGHTS], *ordered[-_MOST_WEIGHTS:]]
    title = "What speaks for a conversion and what against, in log odds"
    return f'<div class="plots">{plots.bars(title, shown)}</div>'


def _looked_at(report: Report) -> str:
    if not report.looked_at:
        return ""
    fields = escape(", ".join(report.looked_at))
    return (
        f"<p>Learned from what leads came with: {fields}. A field that was filled in or corrected later counts as it "
        "came; what is set while a lead is worked on is not looked at.</p>"
    )
