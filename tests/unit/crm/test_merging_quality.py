"""The matcher on a small seeded corpus with known truth; the whole one is a row of the bench."""

import pytest

from revops.crm.model import MatchDecision
from revops.crm.policies.matching import MatchRules
from tests.bench.matching import Study
from tests.builders.match_corpus import MatchCorpus


@pytest.mark.mission("CAP-11")
@pytest.mark.fault("S14")
@pytest.mark.parametrize("seed", [1, 2])
def test_who_is_joined_is_one_person_and_who_is_one_is_found(seed: int) -> None:
    corpus = MatchCorpus(seed, 2_000)
    study = Study(corpus.records, MatchRules())
    decided = study.decided()
    joined = {pair for pair, decision in decided.items() if decision is MatchDecision.SAME} | study.claimed
    assert len(joined - study.truth) / len(joined) <= 0.001
    assert len((joined | decided.keys()) & study.truth) / len(study.truth) >= 0.95
    impostors = {place for place, record in enumerate(corpus.records) if "homograph" in record.how}
    assert not [pair for pair in joined if impostors & set(pair)]
    assert len(corpus.phenomena) >= 20, "every way of writing is in the corpus"
