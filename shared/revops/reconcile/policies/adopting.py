"""Whose a customer of Stripe's is: a pure function of what is known here (STR-8)."""

from dataclasses import dataclass

from revops.reconcile.adopting_ports import AccountCard, Known, PayerCard
from revops.reconcile.adoption import Match, Verdict

_MOST = 5


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict with the accounts that were looked at and why. `account_id` is the certain one."""

    verdict: Verdict
    account_id: str = ""
    matches: tuple[Match, ...] = ()
    reasons: tuple[str, ...] = ()


def judge(card: PayerCard, known: Known) -> Judged:
    """Metadata decides; then an exclusive mail domain, unless the name says somebody else; then the name alone, where
    the matcher of conversion would take it. Whatever disagrees is for a person."""
    matches = _matches(known)
    if known.profile is not None and card.account_id == known.profile.id:
        return Judged(Verdict.LINKED, known.profile.id, matches, ("its profile and its metadata say so",))
    if card.account_id and known.named is None:
        reason = f"its metadata names {card.account_id}, which is no active account here"
        return Judged(Verdict.DOUBTFUL, "", matches, (reason,))
    if known.named is not None:
        return _against_profile(known, known.named, matches, "its metadata names the account")
    if known.profile is not None:
        return Judged(Verdict.CERTAIN, known.profile.id, matches, ("its profile here is this account's",))
    if known.by_domain is not None:
        return _by_domain(card, known, known.by_domain, matches)
    return _by_name(known, matches)


def _against_profile(known: Known, named: AccountCard, matches: tuple[Match, ...], reason: str) -> Judged:
    if known.profile is not None and known.profile.id != named.id:
        said = f"{reason}, its profile here is that of {known.profile.id}"
        return Judged(Verdict.DOUBTFUL, "", matches, (said,))
    return Judged(Verdict.CERTAIN, named.id, matches, (reason,))


def _by_domain(card: PayerCard, known: Known, holder: AccountCard, matches: tuple[Match, ...]) -> Judged:
    others = [each for each in known.by_name if each.account.id != holder.id and each.account.id == known.sure]
    alike = any(each.account.id == holder.id for each in known.by_name)
    if others:
        said = f"the mail domain is that of {holder.id}, the name that of {others[0].account.id}"
        return Judged(Verdict.DOUBTFUL, "", matches, (said,))
    if card.name and not alike:
        return Judged(Verdict.DOUBTFUL, "", matches, (f"the mail domain is that of {holder.id}, the name is not",))
    return Judged(Verdict.CERTAIN, holder.id, matches, ("the mail domain is the account's alone",))


def _by_name(known: Known, matches: tuple[Match, ...]) -> Judged:
    if not known.by_name:
        return Judged(Verdict.NONE, "", (), ("no account is known by this metadata, mail domain or name",))
    sure = next((each for each in known.by_name if each.account.id == known.sure), None)
    if sure is not None and not sure.flags:
        return Judged(
            Verdict.CERTAIN, sure.account.id, matches, ("the name is the account's, and no other is like it",)
        )
    reason = "the name is written in a doubtful way" if sure is not None else "the name is like that of an account"
    return Judged(Verdict.DOUBTFUL, "", matches, (reason,))


def _matches(known: Known) -> tuple[Match, ...]:
    found: dict[str, Match] = {}
    for account, score, reason in (
        (known.named, 1.0, "metadata"),
        (known.profile, 1.0, "profile"),
        (known.by_domain, known.domain_likeness, "mail domain"),
    ):
        if account is not None:
            before = found.get(account.id)
            reasons = (*(before.reasons if before else ()), reason)
            found[account.id] = Match(account_id=account.id, name=account.name, score=score, reasons=reasons)
    for each in known.by_name:
        before = found.get(each.account.id)
        reasons = (*(before.reasons if before else ()), "name", *each.flags)
        found[each.account.id] = Match(
            account_id=each.account.id,
            name=each.account.name,
            score=max(each.similarity, before.score if before else 0.0),
            reasons=reasons,
        )
    return tuple(sorted(found.values(), key=lambda match: (-match.score, match.account_id))[:_MOST])
